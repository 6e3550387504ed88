/** Every variable that clusterctl fills in, in one table: the manifests take them from here, and each file explains those that it has. */

/** What clusterctl asks for when it reads one of our files. Without `value` it must be given. */
interface Variable {
  readonly value?: string;
  readonly meaning: string;
  /** A number, or brings its own quotes. */
  readonly isPlain?: true;
}
const table = {
  // clusterctl's own, with options of its own: --target-namespace, --kubernetes-version, ...
  CLUSTER_NAME: { meaning: 'name of the cluster (the argument of clusterctl generate cluster)' },
  NAMESPACE: { meaning: 'where the objects of the cluster stand (--target-namespace)' },
  KUBERNETES_VERSION: { meaning: 'such as v1.34.4 (--kubernetes-version); the OS image must have it' },
  CONTROL_PLANE_MACHINE_COUNT: { meaning: 'control planes (--control-plane-machine-count): 1, 3 or 5', isPlain: true },
  WORKER_MACHINE_COUNT: { meaning: 'workers (--worker-machine-count)', isPlain: true },
  // Of a cluster.
  CONTROL_PLANE_ENDPOINT_HOST: {
    meaning:
      'address or name under which the API server of the cluster is reached. Something must answer there: kube-vip (the flavour of that name), ' +
      'a load balancer of yours, or the only control plane by its own address. Nothing makes it up',
  },
  CONTROL_PLANE_ENDPOINT_PORT: { value: '6443', meaning: 'its TCP port', isPlain: true },
  CONTROL_PLANE_MAX_SURGE: {
    value: '1',
    meaning: 'control planes beside the old ones while they are replaced; 0 (no spare server) needs 3 or more control planes',
    isPlain: true,
  },
  POD_CIDR: { value: '192.168.0.0/16', meaning: 'network of the pods' },
  SERVICE_CIDR: { value: '10.96.0.0/12', meaning: 'network of the services' },
  REMUDA_OS_IMAGE: { meaning: "name or digest of the OS image in the rack's catalogue (remuda image list)" },
  REMUDA_CONTROL_PLANE_POOL: { value: 'default', meaning: 'pool of hosts for the control planes' },
  REMUDA_WORKER_POOL: { value: 'default', meaning: 'pool of hosts for the workers' },
  REMUDA_PROVISION_TIMEOUT_SECONDS: {
    value: '3600',
    meaning: 'a machine that is not provisioned by then says so in its conditions',
    isPlain: true,
  },
  REMUDA_UNHEALTHY_MAX: {
    value: '1',
    meaning:
      'how many workers at once, ill or without a Node yet, are still helped; with more nothing is repaired, as it is rather the network. ' +
      'A number, or a share like 40%, which Cluster API rounds down: of 2 workers that is none',
    isPlain: true,
  },
  KUBE_VIP_IMAGE: { value: 'ghcr.io/kube-vip/kube-vip:v0.9.2', meaning: 'kube-vip; taken from there unless the OS image brings it' },
  KUBE_VIP_INTERFACE: { value: 'eth0', meaning: 'interface of the control planes that carries the address of the endpoint' },
  // Of the provider.
  // These three are of no use without a controller; with one, what was not said is what it complains of at its start.
  REMUDA_URL: {
    value: 'REMUDA_URL-is-not-set',
    meaning: "URL of the rack's daemon as the pods of the management cluster reach it (api.listen): https://10.0.0.2:7471",
  },
  REMUDA_TOKEN: { value: '""', isPlain: true, meaning: 'a token of that daemon with the role operator (remuda token create)' },
  REMUDA_TRUST: {
    value: 'fingerprint=REMUDA_TRUST-is-not-set',
    meaning:
      'how the daemon is known: fingerprint=<SHA-256 of its certificate, 64 hex digits>, or ca=/etc/remuda/daemon/ca.crt with REMUDA_CA_B64',
  },
  // clusterctl takes `:=` with nothing behind it for a variable without a default.
  REMUDA_CA_B64: { value: '""', isPlain: true, meaning: 'PEM of the authorities for REMUDA_TRUST=ca=..., in base64' },
  // clusterctl takes whole names only; this is what every container runtime makes of `remuda:VERSION`.
  REMUDA_CONTROLLER_IMAGE: {
    value: 'docker.io/library/remuda:VERSION',
    meaning: 'container image with the program remuda: build it from the Dockerfile, and put it on the nodes or into a registry of yours',
  },
  REMUDA_CONTROLLER_REPLICAS: {
    value: '1',
    meaning: 'controllers, all but one wait for its Lease; 0 where the daemon runs the provider itself',
    isPlain: true,
  },
  REMUDA_SCOPE: {
    value: '--namespace=',
    meaning:
      'which objects: --namespace=NAME those of one namespace, --watch-filter=VALUE those with this label cluster.x-k8s.io/watch-filter',
  },
  REMUDA_POOLS: {
    value: '*=default',
    meaning: 'which pools of hosts a namespace may claim from: NAMESPACE=POOL,POOL; * is every namespace',
  },
  REMUDA_REUSE: { value: '1h', meaning: 'how long the host of a deleted machine is kept for its successor' },
  REMUDA_LOG: { value: 'info', meaning: 'debug, info, warn or error' },
  REMUDA_EXTENSION_URL: { meaning: "URL of the update extension as Cluster API's managers reach it: https://10.0.0.2:7444" },
  REMUDA_EXTENSION_CA_B64: { meaning: 'PEM of the certificate of that URL (or of its authority), in base64' },
} as const satisfies Readonly<Record<string, Variable>>;
export type VariableName = keyof typeof table;
export const variables: Readonly<Record<VariableName, Variable>> = table;

/** `${NAME:=default}` as clusterctl reads it. */
export const variable = (name: VariableName, version = ''): string => {
  const { value } = variables[name];
  return value === undefined ? `\${${name}}` : `\${${name}:=${value.replace('VERSION', version)}}`;
};
const written = /\$\{([A-Z][A-Z0-9_]*)(?::=([^}]*))?\}/g;
const isKnown = (name: string): name is VariableName => Object.hasOwn(table, name);
/** The variables of a text, in the order of the table; throws nothing: names that are not in it are `strangers`. */
export const variablesOf = (text: string): { readonly known: readonly VariableName[]; readonly strangers: readonly string[] } => {
  const names = new Set([...text.matchAll(written)].map(([, name = '']) => name));
  return {
    known: Object.keys(table)
      .filter(isKnown)
      .filter((name) => names.has(name)),
    strangers: [...names].filter((name) => !isKnown(name)),
  };
};
/** The whole scalar is one variable that is not to be quoted. */
export const isPlainVariable = (text: string): boolean => {
  const [whole, name = ''] = [...text.matchAll(written)][0] ?? [];
  return whole === text && isKnown(name) && variables[name].isPlain === true;
};
const defaultOf = (name: VariableName, version: string): string | undefined => {
  const { value } = variables[name];
  return value === '""' ? 'empty' : value?.replace('VERSION', version);
};
/** One line a variable: name, default or `required`, meaning. */
export const explained = (name: VariableName, version: string): string =>
  `${name} (${defaultOf(name, version) ?? 'required'}): ${variables[name].meaning}`;
/** All of them as a table in Markdown, with the files that have each. */
export const variableTable = (files: ReadonlyMap<string, string>, version: string): string => {
  const rows = Object.keys(table)
    .filter(isKnown)
    .map((name) => {
      const places = [...files]
        .filter(([, text]) => variablesOf(text).known.includes(name))
        .map(([file]) => file.replace(/^cluster-template-|\.yaml$/g, ''));
      const without = defaultOf(name, version);
      return `| \`${name}\` | ${without === undefined ? 'required' : without === 'empty' ? 'empty' : `\`${without}\``} | ${variables[name].meaning} | ${places.join(', ')} |`;
    });
  return ['| variable | default | meaning | in |', '|---|---|---|---|', ...rows, ''].join('\n');
};
