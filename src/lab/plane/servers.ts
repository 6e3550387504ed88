/** How etcd, kube-apiserver and kube-controller-manager are started: the flags that both planes share. */
import type { Program } from './members.ts';
import { isLoopback } from './pki.ts';

/** A plane's data are not worth a disk's time: nothing outlives it. */
export const etcdProgram = (binaries: string, folder: string, ports: { readonly client: number; readonly peer: number }): Program => {
  const [client, peer] = [`http://127.0.0.1:${ports.client}`, `http://127.0.0.1:${ports.peer}`];
  const flags = {
    'data-dir': `${folder}/etcd/data`,
    'unsafe-no-fsync': 'true',
    'log-level': 'warn',
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `default=${peer}`,
  };
  return { name: 'etcd', command: `${binaries}/etcd`, args: flagsOf(flags) };
};

export interface ApiServerOptions {
  readonly name: string;
  readonly binaries: string;
  readonly etcd: string;
  readonly etcdPrefix: string;
  readonly address: string;
  readonly port: number;
  /** As kubeadm lays it out. */
  readonly pki: string;
  /** Lines of `--token-auth-file`. */
  readonly tokens: string;
  readonly serviceSubnet: string;
  readonly flags: Readonly<Record<string, string>>;
}
export const apiServerProgram = (options: ApiServerOptions): Program => {
  const { name, binaries, etcd, etcdPrefix, address, port, pki, tokens, serviceSubnet } = options;
  const flags = {
    'etcd-servers': etcd,
    'etcd-prefix': etcdPrefix,
    'bind-address': address,
    'secure-port': String(port),
    // Nobody looks for it by the service `kubernetes`; a loopback address would be refused every ten seconds.
    ...(isLoopback(address) ? { 'endpoint-reconciler-type': 'none' } : { 'advertise-address': address }),
    'cert-dir': pki,
    'tls-cert-file': `${pki}/apiserver.crt`,
    'tls-private-key-file': `${pki}/apiserver.key`,
    'client-ca-file': `${pki}/ca.crt`,
    'token-auth-file': tokens,
    'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
    'service-account-key-file': `${pki}/sa.pub`,
    'service-account-signing-key-file': `${pki}/sa.key`,
    'service-cluster-ip-range': serviceSubnet,
    'allow-privileged': 'true',
    ...options.flags,
  };
  return { name, command: `${binaries}/kube-apiserver`, args: flagsOf(flags) };
};

export interface LoopsOptions {
  readonly name: string;
  readonly binaries: string;
  readonly kubeconfig: string;
  readonly port: number;
  readonly folder: string;
  /** As `--controllers` has them. */
  readonly controllers: string;
  readonly flags: Readonly<Record<string, string>>;
}
export const loopsProgram = ({ name, binaries, kubeconfig, port, folder, controllers, flags }: LoopsOptions): Program => ({
  name,
  command: `${binaries}/kube-controller-manager`,
  args: flagsOf({
    kubeconfig,
    'bind-address': '127.0.0.1',
    'secure-port': String(port),
    'cert-dir': `${folder}/${name}`,
    'leader-elect': 'false',
    controllers,
    ...flags,
  }),
});

export const flagsOf = (flags: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
