/** The keys of a workload cluster between Cluster API's secrets in the management cluster and kubeadm's folder. */
import type { LabWorld } from '../../world/lab-world.ts';
import { textField } from './door.ts';
import type { Door } from './door.ts';

/** By the secret's last word: which files kubeadm calls them. A service account's public key stands as `tls.crt`. */
const pairs = [
  { purpose: 'ca', certificate: 'ca.crt', key: 'ca.key' },
  { purpose: 'proxy', certificate: 'front-proxy-ca.crt', key: 'front-proxy-ca.key' },
  { purpose: 'sa', certificate: 'sa.pub', key: 'sa.key' },
] as const;
/** Only offered: the cluster's etcd counts as external, and of an external one Cluster API wants these to exist. */
const etcdPairs = [
  { purpose: 'etcd', certificate: 'etcd/ca.crt', key: 'etcd/ca.key' },
  { purpose: 'apiserver-etcd-client', certificate: 'apiserver-etcd-client.crt', key: 'apiserver-etcd-client.key' },
] as const;

interface Cluster {
  readonly namespace: string;
  readonly name: string;
  /** kubeadm's folder. */
  readonly pki: string;
}
const decoded = (base64: string | undefined): Uint8Array => Buffer.from(base64 ?? '', 'base64');

/** Whether the secrets were there; then the keys stand in the folder. */
export const fetchKeys = async (lab: LabWorld, door: Door, { namespace, name, pki }: Cluster): Promise<boolean> => {
  for (const { purpose, certificate, key } of pairs) {
    const secret = await door.get(`/api/v1/namespaces/${namespace}/secrets/${name}-${purpose}`);
    if (secret === undefined) return false;
    await lab.files.write(`${pki}/${certificate}`, decoded(textField(secret, 'data', 'tls.crt')));
    await lab.files.write(`${pki}/${key}`, decoded(textField(secret, 'data', 'tls.key')), 0o600);
  }
  return true;
};

/** As a user brings a cluster's own certificates: Cluster API takes what it finds instead of making some. */
export const offerKeys = async (lab: LabWorld, door: Door, { namespace, name, pki }: Cluster): Promise<void> => {
  const read = async (file: string): Promise<string> => Buffer.from(await lab.files.read(`${pki}/${file}`)).toString('base64');
  for (const { purpose, certificate, key } of [...pairs, ...etcdPairs])
    await door.apply([
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: `${name}-${purpose}`, namespace, labels: { 'cluster.x-k8s.io/cluster-name': name } },
        type: 'cluster.x-k8s.io/secret',
        data: { 'tls.crt': await read(certificate), 'tls.key': await read(key) },
      },
    ]);
};
