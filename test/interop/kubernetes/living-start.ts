/**
 * A Cluster of our package on a living rack: the real plane, the provider as it is shipped under its own service account, hosts that live
 * through the daemon. Played are the kubelets alone: where an OS comes up, a Node with its host name and the provider ID of its seed stands
 * in the stand-in control plane; where it ends, the Node's heart stops. For that control plane see lab/plane/workload.ts.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { kinds } from '../../../src/kube/objects.ts';
import { providerIdOf } from '../../../src/kube/names.ts';
import { field } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import { kubeconfigText } from '../../../src/lab/plane/kubeconfig.ts';
import { startWorkloadPlane } from '../../../src/lab/plane/workload.ts';
import { silentMeter } from '../../../src/metering.ts';
import { startProvider } from '../../../src/provider.ts';
import { parseIpv4 } from '../../../src/wire/address.ts';
import { realLabWorld } from '../../../src/world/real-lab.ts';
import { livingRack } from '../../kube/living-rack.ts';
import type { LivingOptions } from '../../kube/living-rack.ts';
import { Kubelets } from './kubelets.ts';
import { LivingCluster, patientMs } from './living-cluster.ts';
import { filled, providerObjects } from './provider.ts';
import { said, told } from './seen-machine.ts';
import { eventually, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const life = new AbortController();
const world = realLabWorld({ signal: life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
after(() => life.abort(new DOMException('the tests are over', 'AbortError')));

export const oldImage = 'kubernetes-v1.34.4';
export const newImage = 'kubernetes-v1.34.5';
const local = '127.0.0.1';

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

/** Another MachineDeployment of the package beside its first: that one under another name, with other machines. */
export const another = (
  { applied }: LivingCluster,
  name: string,
  { replicas, machine = {} }: { readonly replicas: number; readonly machine?: object },
): readonly PlaneObject[] =>
  applied
    .filter(({ metadata }) => metadata.name === 'c1-md-0')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same with another name
    .map((object) => JSON.parse(JSON.stringify(object).replaceAll('c1-md-0', name)) as PlaneObject)
    .map((object) => {
      const spec = object['spec'] as object;
      if (object.kind === 'MachineDeployment') return { ...object, spec: { ...spec, replicas } };
      if (object.kind !== kinds.bareMetalMachineTemplate.kind) return object;
      return { ...object, spec: { template: { spec: { ...(field(spec, 'template', 'spec') as object), ...machine } } } };
    });

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
