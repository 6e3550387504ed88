/** The Packet kinds over the API server and the metal in memory, beside our own kinds; Cluster API's own controllers are played by the test. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { clusterReconcilers, clusterWatches } from '../../../src/kube/cluster/reconcile.ts';
import { machineReconcilers, machineWatches } from '../../../src/kube/machine/reconcile.ts';
import { followRack } from '../../../src/kube/mirror/follow.ts';
import { capi } from '../../../src/kube/names.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { Key, KubeObject } from '../../../src/kube/objects.ts';
import { packetReconcilers, packetWatches } from '../../../src/kube/packet/reconcile.ts';
import { startControllers } from '../../../src/kube/runtime/start.ts';
import type { StartedControllers } from '../../../src/kube/runtime/start.ts';
import { silentMeter } from '../../../src/metering.ts';
import { Bench, objectOf } from '../machine/bench.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64');
export const quickstart = readFileSync(new URL('../../vectors/packet/quickstart.yaml', import.meta.url), 'utf8');
/** The objects of the old manifests, by kind and name. */
export const oldObjects: ReadonlyMap<string, KubeObject> = new Map(
  parseAllDocuments(quickstart).map((document) => {
    const object = (document as { toJS: () => unknown }).toJS() as KubeObject;
    return [`${object.kind} ${object.metadata.name}`, { ...object, metadata: { ...object.metadata, namespace: 'ns' } }];
  }),
);
export const templateSpec = (name: string): object => {
  const spec = oldObjects.get(`PacketMachineTemplate ${name}`)?.spec as { readonly template: { readonly spec: object } } | undefined;
  assert.ok(spec !== undefined, `no template ${name}`);
  return spec.template.spec;
};
/** As the kubeadm provider would write a worker's, with what the old template puts into it. */
export const oldUserData = [
  '## template: jinja',
  '#cloud-config',
  '# equinixmetal://{{ `{{ v1.instance_id }}` }}',
  '# {{ .kubernetesVersion }} {{ .controlPlaneEndpoint }} abcdef.0123456789abcdef',
  '',
].join('\n');

export class PacketBench extends Bench {
  /** A Cluster and its PacketCluster, as clusterctl and Cluster API make them. */
  packetCluster(spec: object = {}, more: { readonly isReady?: boolean; readonly annotations?: Record<string, string> } = {}): Key {
    const { isReady = true, annotations = {} } = more;
    const cluster = this.api.seed(
      kinds.cluster,
      objectOf(kinds.cluster, 'c1', {
        spec: { infrastructureRef: { apiGroup: kinds.packetCluster.group, kind: 'PacketCluster', name: 'c1' } },
        status: { initialization: { infrastructureProvisioned: isReady } },
      }),
    );
    const old = oldObjects.get('PacketCluster c1');
    this.api.seed(
      kinds.packetCluster,
      objectOf(kinds.packetCluster, 'c1', {
        metadata: { labels: { [capi.clusterName]: 'c1' }, annotations, ownerReferences: [this.ownedBy(cluster)] },
        spec: { ...(old?.spec as object), ...spec },
      }),
    );
    return 'ns/c1';
  }
  /** As Cluster API makes them of the worker's template: a Machine, its bootstrap Secret and its PacketMachine. */
  packetMachine(
    name: string,
    spec: object = {},
    more: { readonly userData?: string; readonly metadata?: object; readonly status?: object } = {},
  ): Key {
    const labels = { [capi.clusterName]: 'c1', [capi.deploymentName]: 'c1-worker-a' };
    const machine = this.api.seed(
      kinds.machine,
      objectOf(kinds.machine, name, {
        metadata: { labels },
        spec: {
          clusterName: 'c1',
          version: 'v1.34.4',
          bootstrap: { dataSecretName: `${name}-boot` },
          infrastructureRef: { apiGroup: kinds.packetMachine.group, kind: 'PacketMachine', name },
        },
      }),
    );
    const data = { value: encode(more.userData ?? oldUserData), format: encode('cloud-config') };
    this.api.seed(kinds.secret, objectOf(kinds.secret, `${name}-boot`, { data }));
    this.api.seed(
      kinds.packetMachine,
      objectOf(kinds.packetMachine, name, {
        metadata: { labels, ownerReferences: [this.ownedBy(machine)], ...more.metadata },
        spec: { ...templateSpec('c1-worker-a'), ...spec },
        ...(more.status === undefined ? {} : { status: more.status }),
      }),
    );
    return `ns/${name}`;
  }
  override start(): StartedControllers {
    const watches = [...machineWatches, ...clusterWatches, ...packetWatches].toReversed();
    const following = { machines: [kinds.bareMetalMachine, kinds.packetMachine], others: [kinds.packetMachineTemplate], isMirrored: false };
    return startControllers({
      world: this.world,
      meter: silentMeter,
      api: this.api,
      metal: this.metal,
      settings: this.settings,
      watches: [...new Map(watches.map((watch) => [watch.kind.plural, watch])).values()],
      reconcilers: (tools) => [...machineReconcilers(tools), ...clusterReconcilers(tools), ...packetReconcilers(tools)],
      loops: [{ name: 'rack', run: (tools, signal) => followRack(tools, following, signal) }],
    });
  }
}
