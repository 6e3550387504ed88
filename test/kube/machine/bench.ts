/** A cluster with machines over the API server and the metal in memory; Cluster API's own controllers are played by the test. */
import assert from 'node:assert/strict';
import type { MachineSpec } from '../../../src/kube/schema/bare-metal.ts';
import { clusterReconcilers, clusterWatches } from '../../../src/kube/cluster/reconcile.ts';
import type { ControllerSettings } from '../../../src/kube/controller.ts';
import { machineReconcilers, machineWatches } from '../../../src/kube/machine/reconcile.ts';
import { followRack } from '../../../src/kube/mirror/follow.ts';
import { mirrorReconcilers, mirrorWatches } from '../../../src/kube/mirror/reconcile.ts';
import { capi } from '../../../src/kube/names.ts';
import { apiVersionOf, kinds } from '../../../src/kube/objects.ts';
import type { Condition, Key, Kind, KubeObject } from '../../../src/kube/objects.ts';
import { conditionOf } from '../../../src/kube/runtime/conditions.ts';
import { startControllers } from '../../../src/kube/runtime/start.ts';
import type { StartedControllers } from '../../../src/kube/runtime/start.ts';
import { silentMeter } from '../../../src/metering.ts';
import { fakeWorld } from '../../world/fake.ts';
import type { FakeWorld } from '../../world/fake.ts';
import { FakeApi } from '../fake-api.ts';
import type { Request } from '../fake-api.ts';
import { ModelMetal } from '../model-metal.ts';

export const userData = '#cloud-config\nhush: abcdef.0123456789abcdef\n';
const encode = (text: string): string => Buffer.from(text).toString('base64');
export const objectOf = (
  kind: Kind,
  name: string,
  more: Omit<Partial<KubeObject>, 'metadata'> & { readonly metadata?: Partial<KubeObject['metadata']> } = {},
): KubeObject => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  ...more,
  metadata: { name, ...(kind.namespaced ? { namespace: 'ns' } : {}), ...more.metadata },
});

export class Bench {
  readonly world: FakeWorld = fakeWorld();
  readonly api = new FakeApi(this.world);
  readonly metal = new ModelMetal(() => this.world.clock.now());
  readonly settings: ControllerSettings;
  constructor(settings: Partial<ControllerSettings> = {}) {
    this.settings = { pools: { '*': ['default'] }, reuseSeconds: 600, ...settings };
  }
  /** As Cluster API makes them: a Cluster with its infrastructure, ready. */
  cluster(name = 'c1', more: { readonly isReady?: boolean; readonly infra?: unknown; readonly spec?: object } = {}): KubeObject {
    const { isReady = true, infra = { controlPlaneEndpoint: { host: '10.0.0.9', port: 6443 } }, spec = {} } = more;
    const cluster = this.api.seed(
      kinds.cluster,
      objectOf(kinds.cluster, name, {
        spec: { infrastructureRef: { apiGroup: kinds.bareMetalCluster.group, kind: 'BareMetalCluster', name }, ...spec },
        status: { initialization: { infrastructureProvisioned: isReady } },
      }),
    );
    this.api.seed(
      kinds.bareMetalCluster,
      objectOf(kinds.bareMetalCluster, name, {
        metadata: { labels: { [capi.clusterName]: name }, ownerReferences: [this.ownedBy(cluster)] },
        spec: infra,
      }),
    );
    return cluster;
  }
  ownedBy({ apiVersion, kind, metadata }: KubeObject) {
    return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true };
  }
  /** As Cluster API makes them: a Machine, its bootstrap Secret and its BareMetalMachine. */
  machine(
    name: string,
    spec: Partial<MachineSpec> = {},
    more: { readonly hasSecret?: boolean; readonly failureDomain?: string; readonly labels?: Record<string, string> } = {},
  ): Key {
    const labels = { [capi.clusterName]: 'c1', [capi.deploymentName]: 'md-0', ...more.labels };
    const { hasSecret = true, failureDomain } = more;
    const machine = this.api.seed(
      kinds.machine,
      objectOf(kinds.machine, name, {
        metadata: { labels },
        spec: {
          clusterName: 'c1',
          bootstrap: hasSecret ? { dataSecretName: `${name}-boot` } : {},
          infrastructureRef: { apiGroup: kinds.bareMetalMachine.group, kind: 'BareMetalMachine', name },
          ...(failureDomain === undefined ? {} : { failureDomain }),
        },
      }),
    );
    if (hasSecret)
      this.api.seed(
        kinds.secret,
        objectOf(kinds.secret, `${name}-boot`, { data: { value: encode(userData), format: encode('cloud-config') } }),
      );
    this.api.seed(
      kinds.bareMetalMachine,
      objectOf(kinds.bareMetalMachine, name, {
        metadata: { labels, ownerReferences: [this.ownedBy(machine)] },
        spec: { image: 'alpha', ...spec },
      }),
    );
    return `ns/${name}`;
  }
  start(): StartedControllers {
    return startControllers({
      world: this.world,
      meter: silentMeter,
      api: this.api,
      metal: this.metal,
      settings: this.settings,
      watches: [
        ...new Map(
          [...machineWatches, ...clusterWatches, ...mirrorWatches].toReversed().map((watch) => [watch.kind.plural, watch]),
        ).values(),
      ],
      reconcilers: (tools) => [...machineReconcilers(tools), ...clusterReconcilers(tools), ...mirrorReconcilers(tools)],
      loops: [
        { name: 'rack', run: (tools, signal) => followRack(tools, { machines: [kinds.bareMetalMachine], isMirrored: true }, signal) },
      ],
    });
  }
  look(key: Key, kind: Kind = kinds.bareMetalMachine): KubeObject {
    const object = this.api.peek(kind, key);
    assert.ok(object !== undefined, `${kind.kind} ${key} is gone`);
    return object;
  }
  said(key: Key, type: string, kind: Kind = kinds.bareMetalMachine): Pick<Condition, 'status' | 'reason' | 'message'> {
    const found = conditionOf(this.look(key, kind), type);
    assert.ok(found !== undefined, `${key} has no condition ${type}`);
    const { status, reason, message } = found;
    return { status, reason, message };
  }
  /** `True Ready`, `False NoHostFits`. */
  word(key: Key, type = 'Ready', kind: Kind = kinds.bareMetalMachine): string {
    const { status, reason } = this.said(key, type, kind);
    return `${status} ${reason}`;
  }
  /** What was written to one object. */
  writesTo(kind: Kind, key: Key): readonly Request[] {
    return this.api.requests.filter(
      (one) => one.kind.plural === kind.plural && one.key === key && !['get', 'list', 'watch'].includes(one.verb),
    );
  }
  async change(kind: Kind, key: Key, patch: unknown): Promise<void> {
    await this.api.patch(kind, key, patch, { fieldManager: 'user' });
  }
}
