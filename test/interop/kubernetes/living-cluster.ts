/**
 * A Cluster of our package on a living rack: the real plane, the provider as it is shipped under its own service account, hosts that live
 * through the daemon. Played are the kubelets alone: where an OS comes up, a Node with its host name and the provider ID of its seed stands
 * in the stand-in control plane; where it ends, the Node's heart stops. For that control plane see lab/plane/workload.ts.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { apiVersionOf, kinds } from '../../../src/kube/objects.ts';
import type { Condition, Kind } from '../../../src/kube/objects.ts';
import { providerIdOf } from '../../../src/kube/names.ts';
import { field, textField } from '../../../src/lab/plane/door.ts';
import type { Door, PlaneObject } from '../../../src/lab/plane/door.ts';
import { kubeconfigText } from '../../../src/lab/plane/kubeconfig.ts';
import { startWorkloadPlane } from '../../../src/lab/plane/workload.ts';
import type { WorkloadPlane } from '../../../src/lab/plane/workload.ts';
import { silentMeter } from '../../../src/metering.ts';
import { startProvider } from '../../../src/provider.ts';
import type { Provider } from '../../../src/provider.ts';
import { parseIpv4 } from '../../../src/wire/address.ts';
import { realLabWorld } from '../../../src/world/real-lab.ts';
import { livingRack } from '../../kube/living-rack.ts';
import type { LivingOptions, LivingRack } from '../../kube/living-rack.ts';
import { Kubelets } from './kubelets.ts';
import { filled, providerObjects } from './provider.ts';
import { eventually, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const life = new AbortController();
const world = realLabWorld({ signal: life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
after(() => life.abort(new DOMException('the tests are over', 'AbortError')));

export const oldImage = 'kubernetes-v1.34.4';
export const newImage = 'kubernetes-v1.34.5';
const local = '127.0.0.1';
/** A busy machine of two cores needs a quarter of it. */
export const patientMs = 240_000;

/** Kinds that only these tests read. */
export const moreKinds = {
  controlPlane: {
    group: 'controlplane.cluster.x-k8s.io',
    version: 'v1beta2',
    kind: 'KubeadmControlPlane',
    plural: 'kubeadmcontrolplanes',
    namespaced: true,
  },
  healthCheck: {
    group: 'cluster.x-k8s.io',
    version: 'v1beta2',
    kind: 'MachineHealthCheck',
    plural: 'machinehealthchecks',
    namespaced: true,
  },
  extensionConfig: {
    group: 'runtime.cluster.x-k8s.io',
    version: 'v1beta2',
    kind: 'ExtensionConfig',
    plural: 'extensionconfigs',
    namespaced: false,
  },
} as const satisfies Record<string, Kind>;

export interface ClusterWish {
  /** Of the pools `control` and `workers`, and more hosts; failure domains a, b, c in turn. */
  readonly pools: Readonly<Record<string, number>>;
  readonly controlPlanes: number;
  readonly workers: number;
  /** Of the package. */
  readonly template: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** The last word on each object before it is applied. */
  readonly changed?: (object: PlaneObject) => PlaneObject;
  /** Pools that the namespace may claim from; all of `pools`. */
  readonly allowed?: readonly string[];
  /** With our update extension, for this namespace alone. */
  readonly updatesInPlace?: boolean;
  readonly nodeGraceSeconds?: number;
  readonly speed?: number;
  readonly living?: Partial<LivingOptions>;
}

/** A Machine and what stands behind it. */
export interface SeenMachine {
  readonly name: string;
  readonly uid: string;
  readonly set: string;
  readonly isControlPlane: boolean;
  readonly phase: string;
  readonly node: string;
  readonly providerId: string;
  readonly version: string;
  readonly isLeaving: boolean;
  readonly annotations: Readonly<Record<string, string>>;
  readonly conditions: readonly Condition[];
  /** Its BareMetalMachine. */
  readonly infra: unknown;
  readonly host: string;
  readonly image: string;
  readonly generation: number;
}

const said = (object: unknown, ...names: readonly string[]): string => textField(object, ...names) ?? '';
const conditionsOf = (object: unknown): readonly Condition[] =>
  (field(object, 'status', 'conditions') as readonly Condition[] | undefined) ?? [];
/** One condition's `reason: message`; empty where there is none. */
export const told = (object: unknown, type: string): string => {
  const found = conditionsOf(object).find((one) => one.type === type);
  return found === undefined ? '' : `${found.status} ${found.reason}: ${found.message}`;
};
const seenMachine = (machine: unknown, infra: unknown): SeenMachine => {
  const labels = (field(machine, 'metadata', 'labels') ?? {}) as Readonly<Record<string, string>>;
  return {
    name: said(machine, 'metadata', 'name'),
    uid: said(machine, 'metadata', 'uid'),
    set: labels['cluster.x-k8s.io/deployment-name'] ?? '',
    isControlPlane: labels['cluster.x-k8s.io/control-plane'] !== undefined,
    phase: said(machine, 'status', 'phase'),
    node: said(machine, 'status', 'nodeRef', 'name'),
    providerId: said(machine, 'spec', 'providerID'),
    version: said(machine, 'spec', 'version'),
    isLeaving: field(machine, 'metadata', 'deletionTimestamp') !== undefined,
    annotations: (field(machine, 'metadata', 'annotations') ?? {}) as Readonly<Record<string, string>>,
    conditions: conditionsOf(machine),
    infra,
    host: said(infra, 'status', 'host', 'name'),
    image: said(infra, 'spec', 'image'),
    generation: Number(field(infra, 'status', 'claimGeneration') ?? 0),
  };
};

/** KCP of a stand-in control plane: its etcd is none of its machines'. */
const externalEtcd = { endpoints: ['https://127.0.0.1:2379'], caFile: '/e/ca', certFile: '/e/cert', keyFile: '/e/key' };
const withExternalEtcd = (object: PlaneObject): PlaneObject => {
  const isTemplate = object.kind === 'KubeadmControlPlaneTemplate';
  if (object.kind !== 'KubeadmControlPlane' && !isTemplate) return object;
  const copy = structuredClone(object);
  const spec = field(copy, 'spec', ...(isTemplate ? ['template', 'spec'] : []), 'kubeadmConfigSpec');
  Object.assign(spec ?? assert.fail('no kubeadmConfigSpec'), { clusterConfiguration: { etcd: { external: externalEtcd } } });
  return copy;
};

export class LivingCluster {
  readonly on: TestPlane;
  readonly namespace: string;
  readonly name = 'c1';
  readonly rack: LivingRack;
  readonly workload: WorkloadPlane;
  readonly kubelets: Kubelets;
  readonly provider: Provider;
  /** What was applied. */
  applied: readonly PlaneObject[] = [];
  readonly #ends: readonly (() => Promise<void>)[];

  constructor(
    parts: Pick<LivingCluster, 'on' | 'namespace' | 'rack' | 'workload' | 'kubelets' | 'provider'>,
    ends: readonly (() => Promise<void>)[],
  ) {
    ({ on: this.on, namespace: this.namespace, rack: this.rack, workload: this.workload } = parts);
    ({ kubelets: this.kubelets, provider: this.provider } = parts);
    this.#ends = ends;
  }
  path({ group, version, plural, namespaced }: Kind, name?: string): string {
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    return `${root}${namespaced ? `/namespaces/${this.namespace}` : ''}/${plural}${name === undefined ? '' : `/${name}`}`;
  }
  async list(kind: Kind): Promise<readonly unknown[]> {
    const found = field(await this.on.door.get(this.path(kind)), 'items');
    return Array.isArray(found) ? (found as readonly unknown[]) : [];
  }
  get(kind: Kind, name: string): Promise<unknown> {
    return this.on.door.get(this.path(kind, name));
  }
  async patch(kind: Kind, name: string, patch: unknown): Promise<void> {
    await merge(this.on.door, this.path(kind, name), patch);
  }
  async remove(kind: Kind, name: string): Promise<void> {
    const { status, body } = await this.on.door.call('DELETE', this.path(kind, name));
    assert.ok(status < 300 || status === 404, JSON.stringify(body));
  }
  /** All Machines, oldest name first. */
  async machines(): Promise<readonly SeenMachine[]> {
    const infras = await this.list(kinds.bareMetalMachine);
    const machines = await this.list(kinds.machine);
    return machines
      .map((machine) => {
        const name = said(machine, 'spec', 'infrastructureRef', 'name');
        return seenMachine(
          machine,
          infras.find((infra) => said(infra, 'metadata', 'name') === name),
        );
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
  async workers(deployment = `${this.name}-md-0`): Promise<readonly SeenMachine[]> {
    return (await this.machines()).filter(({ set }) => set === deployment);
  }
  async controlPlanes(): Promise<readonly SeenMachine[]> {
    return (await this.machines()).filter(({ isControlPlane }) => isControlPlane);
  }
  /** Until so many machines, and no others, run and have their Nodes. */
  async running(which: () => Promise<readonly SeenMachine[]>, count: number, wanted: (machine: SeenMachine) => boolean = () => true) {
    return await this.reach(`${count} machines run`, async () => {
      const seen = await which();
      const good = seen.filter((one) => one.phase === 'Running' && one.node !== '' && !one.isLeaving && wanted(one));
      return seen.length === count && good.length === count && seen;
    });
  }
  /** Like `eventually`, and says what every machine and host does where it never is. */
  async reach<T>(what: string, seen: () => Promise<T | undefined | false>, withinMs = patientMs): Promise<T> {
    try {
      return await eventually(
        what,
        async () => {
          this.kubelets.blame();
          return seen();
        },
        withinMs,
      );
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${await this.state()}`, { cause: error });
    }
  }
  async state(): Promise<string> {
    const machines = (await this.machines()).map(
      ({ name, phase, node, host, conditions, infra }) =>
        `${name} ${phase} node=${node} host=${host}\n    ${told(infra, 'Ready')}\n    ${conditions
          .filter(({ status, type, message }) => status !== 'True' && message !== '' && type !== 'Deleting')
          .map(({ type, reason, message }) => `${type}: ${reason} ${message}`)
          .join('\n    ')}`,
    );
    const hosts = this.rack.daemon
      .hosts()
      .map(({ name, state, claim, failed }) => `${name} ${state} ${claim?.owner ?? ''} ${failed?.reason ?? ''}`);
    return [...machines, ...hosts].join('\n');
  }
  /** A new template like this one but for `spec`. */
  async newTemplate(from: string, name: string, spec: object): Promise<void> {
    const before = field(await this.get(kinds.bareMetalMachineTemplate, from), 'spec', 'template', 'spec') as object;
    await this.on.apply({
      apiVersion: apiVersionOf(kinds.bareMetalMachineTemplate),
      kind: kinds.bareMetalMachineTemplate.kind,
      metadata: { name, namespace: this.namespace },
      spec: { template: { spec: { ...before, ...spec } } },
    });
  }
  /** As a user rolls out: another template, and the version that its image holds. */
  async rollWorkers(template: string, version?: string, deployment = `${this.name}-md-0`): Promise<void> {
    const spec = { infrastructureRef: { name: template }, ...(version === undefined ? {} : { version }) };
    await this.patch(kinds.machineDeployment, deployment, { spec: { template: { spec } } });
  }
  async rollControlPlane(template: string, version: string): Promise<void> {
    const machineTemplate = { spec: { infrastructureRef: { name: template } } };
    await this.patch(moreKinds.controlPlane, `${this.name}-control-plane`, { spec: { version, machineTemplate } });
  }
  /** The Cluster is deleted as users do it: nothing of it is left, and every host is clean. Then all that was started ends. */
  async end(): Promise<void> {
    await this.remove(kinds.cluster, this.name);
    await this.reach('the Cluster is gone', async () => (await this.get(kinds.cluster, this.name)) === undefined);
    await this.rack.allAvailable(patientMs);
    for (const { disk, name } of this.rack.hosts) assert.ok(disk.isZero(), `${name} is not clean`);
    this.kubelets.blame();
  }
  async stop(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
  }
}

export const merge = async (door: Door, path: string, patch: unknown): Promise<void> => {
  const { status, body } = await door.call('PATCH', path, patch, 'application/merge-patch+json');
  assert.ok(status < 300, `PATCH ${path}: ${JSON.stringify(body)}`);
};

let isInstalled = false;
/** Our CRDs, rights and policies; Cluster API's managers have the rights that we give them. */
const install = async (on: TestPlane): Promise<void> => {
  if (isInstalled) return;
  await on.apply(...providerObjects());
  const asked = { group: kinds.bareMetalMachine.group, resource: 'baremetalmachines', verb: 'list' };
  await eventually('the managers may read our kinds', () => on.door.mayAccount('capi-system', 'capi-manager', asked));
  isInstalled = true;
};

const profileBy = (pools: Readonly<Record<string, number>>): NonNullable<LivingOptions['profile']> => {
  const each = Object.entries(pools).flatMap(([pool, count]) =>
    Array.from({ length: count }, (_, at) => ({ pool, failureDomain: 'abc'[at % 3] ?? 'a' })),
  );
  return (index) => each[index] ?? {};
};

const extensionFor = async (on: TestPlane, namespace: string, wish: ClusterWish) => {
  if (wish.updatesInPlace !== true) return undefined;
  const address = parseIpv4(local);
  assert.ok(address !== undefined);
  const identity = await world.http.selfSigned(local);
  const announce = async (port: number | undefined): Promise<void> => {
    const variables = {
      REMUDA_EXTENSION_URL: `https://${local}:${port ?? 0}`,
      REMUDA_EXTENSION_CA_B64: Buffer.from(identity.certificate).toString('base64'),
    };
    const [config] = filled('extension-config.yaml', variables);
    assert.ok(config !== undefined);
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
    await on.apply({ ...config, spec: { ...(config['spec'] as object), namespaceSelector } });
    await eventually('Cluster API has asked the extension what it can', async () =>
      told(await on.door.get(`/apis/runtime.cluster.x-k8s.io/v1beta2/extensionconfigs/remuda`), 'Discovered').startsWith('True'),
    );
  };
  return { at: { address, port: 0 }, identity, announce };
};

let count = 0;
/** Its hosts are available, its provider works, and nothing is applied yet. */
export const livingCluster = async (wish: ClusterWish): Promise<LivingCluster> => {
  const on = plane();
  const ends: (() => Promise<void>)[] = [];
  try {
    await install(on);
    const namespace = `living-${process.pid}-${count++}`;
    await on.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    ends.push(async () => void (await on.door.call('DELETE', `/api/v1/namespaces/${namespace}`)));
    const hosts = Object.values(wish.pools).reduce((sum, one) => sum + one, 0);
    const rack = await livingRack({ hosts, profile: profileBy(wish.pools), speed: wish.speed ?? 60, ...wish.living });
    ends.push(() => rack.stop());
    const { nodeGraceSeconds } = wish;
    const workload = await startWorkloadPlane(world, {
      plane: on,
      folder: `${on.folder}-${namespace}`,
      namespace,
      name: 'c1',
      ...(nodeGraceSeconds === undefined ? {} : { nodeGraceSeconds }),
    });
    ends.push(() => workload.stop());
    // It stood for a control plane; here machines are one.
    await workload.nodes.remove('cp-0');
    const kubelets = new Kubelets(rack, workload, new Map((await rack.metal.images()).map(({ name, digest }) => [digest, name])));
    ends.push(() => kubelets.stop());
    const extension = await extensionFor(on, namespace, wish);
    const token = await on.door.tokenFor('remuda-system', 'remuda-controller');
    const provider = await startProvider(
      { world, meter: silentMeter, metal: rack.metal, version: 'test' },
      {
        source: { is: 'text', text: kubeconfigText({ ...on.access, token }, 'remuda'), of: 'the plane' },
        settings: { namespace, pools: { '*': [], [namespace]: wish.allowed ?? Object.keys(wish.pools) }, reuseSeconds: 3600 },
        ...(extension === undefined ? {} : { extension }),
      },
    );
    ends.push(() => provider.stop());
    if (extension !== undefined) {
      ends.push(async () => void (await on.door.call('DELETE', '/apis/runtime.cluster.x-k8s.io/v1beta2/extensionconfigs/remuda')));
      await extension.announce(provider.extension?.port);
    }
    await rack.allAvailable(patientMs);
    return new LivingCluster({ on, namespace, rack, workload, kubelets, provider }, ends);
  } catch (error) {
    for (const end of ends.toReversed()) await end();
    throw error;
  }
};

/** What `clusterctl generate cluster` would print for it, with an etcd that is not its machines'. */
export const clusterObjects = ({ namespace, workload, name }: LivingCluster, wish: ClusterWish): readonly PlaneObject[] =>
  filled(wish.template, {
    CLUSTER_NAME: name,
    NAMESPACE: namespace,
    KUBERNETES_VERSION: 'v1.34.4',
    CONTROL_PLANE_MACHINE_COUNT: String(wish.controlPlanes),
    WORKER_MACHINE_COUNT: String(wish.workers),
    CONTROL_PLANE_ENDPOINT_HOST: workload.endpoint.host,
    CONTROL_PLANE_ENDPOINT_PORT: String(workload.endpoint.port),
    REMUDA_OS_IMAGE: oldImage,
    REMUDA_CONTROL_PLANE_POOL: 'control',
    REMUDA_WORKER_POOL: 'workers',
    ...wish.variables,
  })
    .map(withExternalEtcd)
    .map((object) => wish.changed?.(object) ?? object);

/** One Cluster from `kubectl apply` to the end; `act` finds all its machines running. */
export const withCluster = async (wish: ClusterWish, act: (cluster: LivingCluster) => Promise<void>): Promise<void> => {
  const cluster = await livingCluster(wish);
  try {
    cluster.applied = clusterObjects(cluster, wish);
    await cluster.on.apply(...cluster.applied);
    await cluster.running(() => cluster.machines(), wish.controlPlanes + wish.workers);
    for (const { providerId, infra } of await cluster.machines()) assert.equal(providerId, providerIdOf(said(infra, 'spec', 'claimID')));
    await act(cluster);
    await cluster.end();
  } finally {
    await cluster.stop();
  }
};

/** Looks often and keeps what `look` gives, until `stop`: what must hold all the time, not only at the end. */
export const meanwhile = (look: () => void): { stop(): Promise<void> } => {
  const ending = new AbortController();
  const run = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      look();
      await pause(5);
    }
  };
  const running = run();
  return {
    stop: async () => {
      ending.abort(new DOMException('looked long enough', 'AbortError'));
      await running;
    },
  };
};
