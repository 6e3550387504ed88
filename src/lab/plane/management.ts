/** A management cluster without nodes: etcd, kube-apiserver, three loops of kube-controller-manager, and Cluster API's managers as processes. */
import { RemudaError } from '../../errors.ts';
import type { LabWorld } from '../../world/lab-world.ts';
import { openDoor } from './door.ts';
import type { Door, PlaneObject } from './door.ts';
import { kubeconfigText } from './kubeconfig.ts';
import type { Kubeconfig } from './kubeconfig.ts';
import { planeObjects } from './manifests.ts';
import { clearPlane, members } from './members.ts';
import type { Member, Members } from './members.ts';
import { kubeadmConfig, kubeadmPhase, kubernetesVersion, readText } from './pki.ts';
import { freePorts } from './ports.ts';
import { apiServerProgram, etcdProgram, flagsOf, loopsProgram } from './servers.ts';

/** A busy machine of two cores needs a quarter of it. */
const readyMs = 120_000;
const local = '127.0.0.1';
const serviceSubnet = '10.0.0.0/24';

/** Of Cluster API; alpha ones that the issue needs among them. */
const gates = 'ClusterTopology=true,RuntimeSDK=true,InPlaceUpdates=true,MachinePool=true';
const providers = [
  {
    name: 'capi-core',
    components: 'core-components.yaml',
    namespace: 'capi-system',
    account: 'capi-manager',
    aggregated: true,
    gates,
  },
  {
    name: 'capi-kubeadm-bootstrap',
    components: 'bootstrap-components.yaml',
    namespace: 'capi-kubeadm-bootstrap-system',
    account: 'capi-kubeadm-bootstrap-manager',
    aggregated: false,
    gates: 'MachinePool=true',
  },
  {
    name: 'capi-kubeadm-controlplane',
    components: 'control-plane-components.yaml',
    namespace: 'capi-kubeadm-control-plane-system',
    account: 'capi-kubeadm-control-plane-manager',
    aggregated: true,
    gates,
  },
] as const;
type Provider = (typeof providers)[number];

export interface PlaneOptions {
  /** The programs, from `planeBinaries`. */
  readonly binaries: string;
  /** The plane's own: everything of an earlier one is removed first. */
  readonly folder: string;
  /** Where the API server listens; default 127.0.0.1. */
  readonly address?: string;
  /** Applied with Cluster API's own: CRDs and RBAC of a provider. */
  readonly objects?: readonly PlaneObject[];
  readonly say?: (line: string) => void;
}
/** What another process needs to know to use a plane. */
export interface PlaneNote {
  readonly folder: string;
  readonly binaries: string;
  /** A file, for system:masters. */
  readonly kubeconfig: string;
  readonly access: Kubeconfig;
  readonly ports: { readonly etcd: number; readonly api: number };
}
export interface Plane extends PlaneNote {
  readonly adminToken: string;
  readonly door: Door;
  readonly members: () => readonly Member[];
  readonly stop: () => Promise<void>;
}

interface Rising {
  readonly lab: LabWorld;
  readonly options: PlaneOptions;
  readonly crew: Members;
  readonly pki: string;
  readonly address: string;
  readonly ports: readonly number[];
}
const portOf = ({ ports }: Rising, index: number): number => ports[index] ?? 0;

/** ECDSA keys of a cluster that exists only here, and the tokens of who may talk to it. */
const makeKeys = async ({ lab, options, pki, address, ports: [, , port = 0] }: Rising, token: string): Promise<string> => {
  const { folder, binaries } = options;
  const config = `${folder}/kubeadm.yaml`;
  const words = { name: 'plane', address, port, podSubnet: '10.1.0.0/16', serviceSubnet, version: kubernetesVersion };
  await lab.files.write(config, kubeadmConfig({ ...words, keys: 'ECDSA-P256' }, pki));
  for (const part of ['ca', 'apiserver', 'sa']) await kubeadmPhase(lab, `${binaries}/kubeadm`, ['certs', part], config);
  await lab.files.write(`${folder}/tokens.csv`, `${token},admin,admin,system:masters\n`, 0o600);
  return readText(lab, `${pki}/ca.crt`);
};

const startApi = async (rising: Rising, door: Door): Promise<void> => {
  const { lab, options, crew, pki, address } = rising;
  const { binaries, folder } = options;
  const etcd = `http://${local}:${portOf(rising, 0)}`;
  await crew.start(etcdProgram(binaries, folder, { client: portOf(rising, 0), peer: portOf(rising, 1) }));
  await crew.until('etcd', () => answers(lab, `${etcd}/health`), readyMs);
  const flags = { 'authorization-mode': 'RBAC' };
  const port = portOf(rising, 2);
  const tokens = `${folder}/tokens.csv`;
  const where = { name: 'kube-apiserver', binaries, etcd, etcdPrefix: '/registry', address, port };
  await crew.start(apiServerProgram({ ...where, pki, tokens, serviceSubnet, flags }));
  await crew.until('kube-apiserver', () => door.isOk('/readyz'), readyMs);
  await crew.until('kube-apiserver', () => door.isOk('/api/v1/namespaces/default'), readyMs);
};

/** Garbage collection, the end of namespaces, and cluster roles that are put together of others: on them Cluster API leans. */
const startLoops = async (rising: Rising, kubeconfig: string): Promise<void> => {
  const { binaries, folder } = rising.options;
  const controllers = 'garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller';
  const name = 'kube-controller-manager';
  await rising.crew.start(loopsProgram({ name, binaries, kubeconfig, port: portOf(rising, 3), folder, controllers, flags: {} }));
};

const webhookPort = (rising: Rising, index: number): number => portOf(rising, 4 + index * 2);
const healthPort = (rising: Rising, index: number): number => portOf(rising, 5 + index * 2);

const startManager = async (rising: Rising, door: Door, index: number, access: Omit<Kubeconfig, 'token'>): Promise<void> => {
  const { lab, options, crew } = rising;
  const provider: Provider | undefined = providers[index];
  if (provider === undefined) return;
  const { name, namespace, account } = provider;
  const kubeconfig = `${options.folder}/${name}.kubeconfig`;
  const token = await door.tokenFor(namespace, account);
  await lab.files.write(kubeconfig, kubeconfigText({ ...access, token }, name), 0o600);
  await crew.start({
    name,
    command: `${options.binaries}/${name}`,
    args: flagsOf({
      kubeconfig,
      'webhook-port': String(webhookPort(rising, index)),
      'webhook-cert-dir': `${options.folder}/webhook`,
      'health-addr': `${local}:${healthPort(rising, index)}`,
      'diagnostics-address': '0',
      'insecure-diagnostics': 'true',
      'feature-gates': provider.gates,
      v: '2',
    }),
    env: { POD_NAMESPACE: namespace, POD_NAME: name, POD_UID: name },
  });
  await crew.until(name, () => answers(lab, `http://${local}:${healthPort(rising, index)}/readyz`), readyMs);
};

/** The roles of managers are put together by a loop: who starts before is refused, and comes back late. */
const rolesAreWhole = async (door: Door): Promise<boolean> => {
  const asked = { group: 'cluster.x-k8s.io', resource: 'clusters', verb: 'list' };
  for (const { aggregated, namespace, account } of providers)
    if (aggregated && !(await door.mayAccount(namespace, account, asked))) return false;
  return true;
};

const answers = async (lab: LabWorld, url: string): Promise<boolean> => {
  try {
    return (await lab.http.call({ method: 'GET', url, timeoutMs: 5_000, replyBytesMax: 1 << 20 })).status === 200;
  } catch (error) {
    // Nobody listens yet; whoever waits knows for how long.
    if (error instanceof RemudaError) return false;
    throw error;
  }
};

/** What all managers serve their webhooks by: the API server's own certificate, which is for 127.0.0.1 too. */
const makeWebhookKeys = async ({ lab, pki, options }: Rising): Promise<void> => {
  await lab.files.makeFolder(`${options.folder}/webhook`, 0o700);
  await lab.files.write(`${options.folder}/webhook/tls.crt`, await lab.files.read(`${pki}/apiserver.crt`));
  await lab.files.write(`${options.folder}/webhook/tls.key`, await lab.files.read(`${pki}/apiserver.key`), 0o600);
};

/** Everything ready, or nothing left behind. Its processes end with `lab`, with `stop`, and with whoever started them. */
export const startPlane = async (lab: LabWorld, options: PlaneOptions): Promise<Plane> => {
  const { folder, binaries, address = local, say = () => {} } = options;
  await clearPlane(lab, folder);
  await lab.files.makeFolder(folder, 0o700);
  const crew = members(lab, folder);
  const ports = await freePorts(lab, local, 4 + providers.length * 2);
  const rising: Rising = { lab, options, crew, pki: `${folder}/pki`, address, ports };
  const token = Buffer.from(lab.random.bytes(24)).toString('hex');
  try {
    const began = lab.clock.now();
    const told = (what: string): void => say(`plane: ${what} after ${((lab.clock.now() - began) / 1000).toFixed(1)} s`);
    const ca = await makeKeys(rising, token);
    const access: Kubeconfig = { server: `https://${address}:${portOf(rising, 2)}`, ca, token };
    const door = openDoor(lab, access);
    const kubeconfig = `${folder}/admin.kubeconfig`;
    await lab.files.write(kubeconfig, kubeconfigText(access, 'plane'), 0o600);
    await makeWebhookKeys(rising);
    await startApi(rising, door);
    told('the API server answers');
    const objects = await Promise.all(
      providers.map(async ({ components }, index) =>
        planeObjects(await readText(lab, `${binaries}/manifests/${components}`), { port: webhookPort(rising, index), ca }),
      ),
    );
    await startLoops(rising, kubeconfig);
    await door.apply([...objects.flat(), ...(options.objects ?? [])]);
    told('CRDs, roles and webhooks stand');
    await crew.until('kube-controller-manager', () => rolesAreWhole(door), readyMs);
    told('the managers may do their work');
    await Promise.all(providers.map((_, index) => startManager(rising, door, index, access)));
    told('all managers are ready');
    const note = { folder, binaries, kubeconfig, access, ports: { etcd: portOf(rising, 0), api: portOf(rising, 2) } };
    return { ...note, adminToken: token, door, members: () => crew.list(), stop: () => crew.stop() };
  } catch (error) {
    await crew.stop();
    throw error;
  }
};
