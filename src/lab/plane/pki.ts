/** The keys of a control plane, made as `kubeadm init` makes them: by kubeadm itself, which keeps what stands in the folder already. */
import { RemudaError } from '../../errors.ts';
import type { LabWorld } from '../../world/lab-world.ts';

/** What images/kubernetes/module/go.mod pins. */
export const kubernetesVersion = 'v1.34.4';
const kubeadmMs = 60_000;
/** kubeadm wants an address that could be advertised; nobody advertises loopback (RFC 5737 §3: for documentation). */
const nowhere = '192.0.2.1';

export interface ClusterWords {
  readonly name: string;
  /** Where its API server listens. */
  readonly address: string;
  readonly port: number;
  readonly podSubnet: string;
  readonly serviceSubnet: string;
  readonly version: string;
  /** Default RSA-2048, as Cluster API's own are; ECDSA is made in no time. */
  readonly keys?: 'RSA-2048' | 'ECDSA-P256';
}
export const isLoopback = (address: string): boolean => address.startsWith('127.');

/** The file that all phases of kubeadm read. JSON is YAML. */
export const kubeadmConfig = (cluster: ClusterWords, pki: string, node?: { readonly name: string }): string =>
  [
    {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'ClusterConfiguration',
      clusterName: cluster.name,
      kubernetesVersion: cluster.version,
      certificatesDir: pki,
      encryptionAlgorithm: cluster.keys ?? 'RSA-2048',
      controlPlaneEndpoint: `${cluster.address}:${cluster.port}`,
      networking: { podSubnet: cluster.podSubnet, serviceSubnet: cluster.serviceSubnet },
      apiServer: { certSANs: ['127.0.0.1', 'localhost', cluster.address] },
    },
    {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'InitConfiguration',
      localAPIEndpoint: { advertiseAddress: isLoopback(cluster.address) ? nowhere : cluster.address, bindPort: cluster.port },
      nodeRegistration: { name: node?.name ?? 'none', criSocket: 'unix:///run/containerd/containerd.sock' },
    },
    { apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration', cgroupDriver: 'systemd' },
  ]
    .map((document) => JSON.stringify(document))
    .join('\n---\n');

/** `kubeadm init phase PHASE`; throws with its words. */
export const kubeadmPhase = async (lab: LabWorld, kubeadm: string, phase: readonly string[], config: string): Promise<void> => {
  const { code, stderr } = await lab.processes.run(kubeadm, ['init', 'phase', ...phase, '--config', config], { timeoutMs: kubeadmMs });
  if (code === 0) return;
  throw new RemudaError('internal', `kubeadm init phase ${phase.join(' ')} failed (${config}): ${stderr.trim().slice(-2000)}`);
};

export const readText = async (lab: LabWorld, file: string): Promise<string> => new TextDecoder().decode(await lab.files.read(file));
