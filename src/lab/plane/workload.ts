/**
 * A stand-in for the control plane of a workload cluster: a second real kube-apiserver and a whole kube-controller-manager, with the keys that
 * Cluster API keeps for the cluster, and with what `kubeadm init` uploads put there by kubeadm itself. Hosts join it by the kubeadm provider's
 * own bootstrap data.
 *
 * What is a stand-in: no host runs these processes, so its control plane Node, that Node's heartbeat and the mirror pods of its static pods are
 * objects that are written here; its etcd is the management cluster's under another prefix, so the cluster must say `etcd.external`.
 */
import type { LabWorld } from '../../world/lab-world.ts';
import { field, openDoor } from './door.ts';
import type { Door } from './door.ts';
import { kubeconfigText } from './kubeconfig.ts';
import type { Kubeconfig } from './kubeconfig.ts';
import { clearPlane, members } from './members.ts';
import type { Member, Members } from './members.ts';
import { kubeadmConfig, kubeadmPhase, kubernetesVersion, readText } from './pki.ts';
import type { ClusterWords } from './pki.ts';
import { freePorts } from './ports.ts';
import { fetchKeys, offerKeys } from './cluster-keys.ts';
import type { PlaneNote } from './management.ts';
import { apiServerProgram, loopsProgram } from './servers.ts';
import { standInNodes } from './stand-in.ts';
import type { StandInNodes } from './stand-in.ts';

const readyMs = 120_000;
const signedMs = 30_000;
const local = '127.0.0.1';
const standInName = 'cp-0';

export interface WorkloadOptions {
  /** The plane whose etcd it uses, and in which the Cluster stands or will stand. */
  readonly plane: PlaneNote;
  readonly folder: string;
  /** Of the Cluster. */
  readonly namespace: string;
  readonly name: string;
  /** Where it listens, as the Cluster's endpoint says: an address of this machine that hosts and managers reach. Default 127.0.0.1. */
  readonly address?: string;
  /** Default a free one. */
  readonly port?: number;
  readonly podSubnet?: string;
  readonly serviceSubnet?: string;
  /** The name of the Node that stands for its control plane; default `cp-0`. It has no provider ID until `nodes.put` gives it one. */
  readonly controlPlaneNode?: string;
  /** After so long without a heartbeat a Node is not ready; default 50, as upstream. */
  readonly nodeGraceSeconds?: number;
}
export interface WorkloadPlane {
  /** What the Cluster's `controlPlaneEndpoint` must be. */
  readonly endpoint: { readonly host: string; readonly port: number };
  /** A file, for system:masters. */
  readonly kubeconfig: string;
  readonly access: Kubeconfig;
  readonly door: Door;
  readonly nodes: StandInNodes;
  readonly members: () => readonly Member[];
  readonly stop: () => Promise<void>;
}

interface Rising {
  readonly lab: LabWorld;
  readonly options: WorkloadOptions;
  readonly crew: Members;
  readonly words: ClusterWords;
  readonly pki: string;
  /** kubeadm's settings. */
  readonly config: string;
  readonly kubeconfig: string;
}

/** From the Cluster's secrets where they stand already; else made, and put there before Cluster API would make its own. */
const makeKeys = async ({ lab, options, pki, config }: Rising): Promise<string> => {
  const { plane, namespace, name } = options;
  const door = openDoor(lab, plane.access);
  const kubeadm = `${plane.binaries}/kubeadm`;
  await lab.files.makeFolder(`${pki}/etcd`, 0o700);
  const fetched = await fetchKeys(lab, door, { namespace, name, pki });
  const parts = fetched ? ['apiserver', 'apiserver-kubelet-client', 'front-proxy-client'] : ['all'];
  for (const part of parts) await kubeadmPhase(lab, kubeadm, ['certs', part], config);
  if (!fetched) await offerKeys(lab, door, { namespace, name, pki });
  return readText(lab, `${pki}/ca.crt`);
};

const startApi = async ({ lab, options, crew, words, pki }: Rising, token: string, door: Door): Promise<void> => {
  const { plane, folder, namespace, name } = options;
  const tokens = `${folder}/tokens.csv`;
  await lab.files.write(tokens, `${token},admin,admin,system:masters\n`, 0o600);
  const { address, port, serviceSubnet } = words;
  const etcd = `http://${local}:${plane.ports.etcd}`;
  const flags = {
    'authorization-mode': 'Node,RBAC',
    'enable-bootstrap-token-auth': 'true',
    'enable-admission-plugins': 'NodeRestriction',
    'kubelet-client-certificate': `${pki}/apiserver-kubelet-client.crt`,
    'kubelet-client-key': `${pki}/apiserver-kubelet-client.key`,
    'kubelet-preferred-address-types': 'InternalIP',
    'proxy-client-cert-file': `${pki}/front-proxy-client.crt`,
    'proxy-client-key-file': `${pki}/front-proxy-client.key`,
    'requestheader-client-ca-file': `${pki}/front-proxy-ca.crt`,
    'requestheader-allowed-names': 'front-proxy-client',
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
  };
  const etcdPrefix = `/workload/${namespace}/${name}`;
  const binaries = plane.binaries;
  await crew.start(
    apiServerProgram({ name: 'kube-apiserver', binaries, etcd, etcdPrefix, address, port, pki, tokens, serviceSubnet, flags }),
  );
  const isUp = async (): Promise<boolean> => (await door.isOk('/readyz')) && (await door.isOk('/api/v1/namespaces/kube-system'));
  await crew.until('kube-apiserver', isUp, readyMs);
  await crew.until('kube-apiserver', () => door.isOk('/api/v1/namespaces/kube-public'), readyMs);
};

const startLoops = async ({ lab, options, crew, words, pki, kubeconfig }: Rising): Promise<void> => {
  const [port = 0] = await freePorts(lab, local, 1);
  const flags = {
    'cluster-name': words.name,
    'cluster-signing-cert-file': `${pki}/ca.crt`,
    'cluster-signing-key-file': `${pki}/ca.key`,
    'root-ca-file': `${pki}/ca.crt`,
    'service-account-private-key-file': `${pki}/sa.key`,
    'use-service-account-credentials': 'true',
    'node-monitor-grace-period': `${options.nodeGraceSeconds ?? 50}s`,
  };
  const controllers = '*,bootstrap-signer-controller,token-cleaner-controller';
  const { folder } = options;
  const binaries = options.plane.binaries;
  await crew.start(loopsProgram({ name: 'kube-controller-manager', binaries, kubeconfig, port, folder, controllers, flags }));
};

/** What `kubeadm join` looks for: kubeadm-config, kubelet-config, cluster-info and its signature, the roles of who joins. */
const upload = async ({ lab, options, crew, words, kubeconfig }: Rising, door: Door): Promise<void> => {
  // As a host has it: what is uploaded tells each kubelet where to find the authority's certificate, and that is not in our folder.
  const config = `${options.folder}/uploaded.yaml`;
  await lab.files.write(config, kubeadmConfig(words, '/etc/kubernetes/pki', { name: options.controlPlaneNode ?? standInName }));
  const kubeadm = `${options.plane.binaries}/kubeadm`;
  const to = ['--kubeconfig', kubeconfig];
  for (const phase of [
    ['upload-config', 'all'],
    ['bootstrap-token', '--skip-token-print'],
  ])
    await kubeadmPhase(lab, kubeadm, [...phase, ...to], config);
  const isSigned = async (): Promise<boolean> => {
    const info = await door.get('/api/v1/namespaces/kube-public/configmaps/cluster-info');
    return Object.keys(field(info, 'data') ?? {}).some((key) => key.startsWith('jws-kubeconfig-'));
  };
  await crew.until('kube-controller-manager', isSigned, signedMs);
};

/** Ready for hosts to join, or nothing left behind. It ends with `lab`, with `stop`, and with whoever started it; and before its plane. */
export const startWorkloadPlane = async (lab: LabWorld, options: WorkloadOptions): Promise<WorkloadPlane> => {
  const { folder, name, address = local, controlPlaneNode = standInName } = options;
  await clearPlane(lab, folder);
  await lab.files.makeFolder(folder, 0o700);
  const port = options.port ?? (await freePorts(lab, address, 1))[0] ?? 0;
  const { podSubnet = '192.168.0.0/16', serviceSubnet = '10.96.0.0/12' } = options;
  const words = { name, address, port, podSubnet, serviceSubnet, version: kubernetesVersion };
  const [pki, config, kubeconfig] = [`${folder}/pki`, `${folder}/kubeadm.yaml`, `${folder}/admin.kubeconfig`];
  const crew = members(lab, folder);
  const rising: Rising = { lab, options, crew, words, pki, config, kubeconfig };
  const token = Buffer.from(lab.random.bytes(24)).toString('hex');
  await lab.files.write(config, kubeadmConfig(words, pki, { name: controlPlaneNode }));
  const ca = await makeKeys(rising);
  const access: Kubeconfig = { server: `https://${address}:${port}`, ca, token };
  await lab.files.write(kubeconfig, kubeconfigText(access, name), 0o600);
  const door = openDoor(lab, access);
  const nodes = standInNodes(lab, door);
  const stop = async (): Promise<void> => {
    await nodes.stop();
    await crew.stop();
  };
  try {
    await startApi(rising, token, door);
    await startLoops(rising);
    await nodes.put({ name: controlPlaneNode, isControlPlane: true });
    await upload(rising, door);
    return { endpoint: { host: address, port }, kubeconfig, access, door, nodes, members: () => crew.list(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
