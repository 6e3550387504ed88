/** What every Kubernetes object has, the kinds that we meet, and the conditions that they show. */

/** A kind of the API: where its objects live and what they are called. */
export interface Kind {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}
export interface Meta {
  readonly name: string;
  readonly namespace?: string;
  readonly generateName?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}
/** As it came: `spec` and `status` are checked by whoever knows the kind. */
export interface KubeObject<Spec = unknown, Status = unknown> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
  readonly spec?: Spec;
  readonly status?: Status;
  /** Of Secrets and ConfigMaps: base64 in the former. */
  readonly data?: Readonly<Record<string, string>>;
  readonly type?: string;
}
/** `namespace/name`; of a cluster-scoped object `/name`. */
export type Key = `${string}/${string}`;
export const keyOf = ({ metadata }: Pick<KubeObject, 'metadata'>): Key => `${metadata.namespace ?? ''}/${metadata.name}`;
export const splitKey = (key: Key): { readonly namespace: string; readonly name: string } => {
  const at = key.indexOf('/');
  return { namespace: key.slice(0, at), name: key.slice(at + 1) };
};
/** `cluster.x-k8s.io/v1beta2`, `v1`. */
export const apiVersionOf = ({ group, version }: Pick<Kind, 'group' | 'version'>): string =>
  group === '' ? version : `${group}/${version}`;
/** The group of `cluster.x-k8s.io/v1beta2`; empty for `v1`. */
export const groupOf = (apiVersion: string): string => (apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '');

/** metav1.Condition */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, never empty. */
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

const infra = (kind: string, plural: string, version = 'v1beta2', namespaced = true): Kind => ({
  group: 'infrastructure.cluster.x-k8s.io',
  version,
  kind,
  plural,
  namespaced,
});
const core = (kind: string, plural: string): Kind => ({ group: 'cluster.x-k8s.io', version: 'v1beta2', kind, plural, namespaced: true });
const plain = (kind: string, plural: string, namespaced = true): Kind => ({ group: '', version: 'v1', kind, plural, namespaced });
export const kinds = {
  bareMetalCluster: infra('BareMetalCluster', 'baremetalclusters'),
  bareMetalClusterTemplate: infra('BareMetalClusterTemplate', 'baremetalclustertemplates'),
  bareMetalMachine: infra('BareMetalMachine', 'baremetalmachines'),
  bareMetalMachineTemplate: infra('BareMetalMachineTemplate', 'baremetalmachinetemplates'),
  bareMetalRemediation: infra('BareMetalRemediation', 'baremetalremediations'),
  bareMetalRemediationTemplate: infra('BareMetalRemediationTemplate', 'baremetalremediationtemplates'),
  packetCluster: infra('PacketCluster', 'packetclusters', 'v1beta1'),
  packetMachine: infra('PacketMachine', 'packetmachines', 'v1beta1'),
  packetMachineTemplate: infra('PacketMachineTemplate', 'packetmachinetemplates', 'v1beta1'),
  packetClusterTemplate: infra('PacketClusterTemplate', 'packetclustertemplates', 'v1beta1'),
  /** The rack as kubectl sees it: cluster-scoped, read-only, written by the controller alone. */
  rackHost: infra('RackHost', 'rackhosts', 'v1beta2', false),
  cluster: core('Cluster', 'clusters'),
  machine: core('Machine', 'machines'),
  machineSet: core('MachineSet', 'machinesets'),
  machineDeployment: core('MachineDeployment', 'machinedeployments'),
  kubeadmControlPlane: {
    group: 'controlplane.cluster.x-k8s.io',
    version: 'v1beta2',
    kind: 'KubeadmControlPlane',
    plural: 'kubeadmcontrolplanes',
    namespaced: true,
  },
  ipAddressClaim: {
    group: 'ipam.cluster.x-k8s.io',
    version: 'v1beta2',
    kind: 'IPAddressClaim',
    plural: 'ipaddressclaims',
    namespaced: true,
  },
  ipAddress: { group: 'ipam.cluster.x-k8s.io', version: 'v1beta2', kind: 'IPAddress', plural: 'ipaddresses', namespaced: true },
  secret: plain('Secret', 'secrets'),
  configMap: plain('ConfigMap', 'configmaps'),
  namespace: plain('Namespace', 'namespaces', false),
  node: plain('Node', 'nodes', false),
  pod: plain('Pod', 'pods'),
  event: { group: 'events.k8s.io', version: 'v1', kind: 'Event', plural: 'events', namespaced: true },
  lease: { group: 'coordination.k8s.io', version: 'v1', kind: 'Lease', plural: 'leases', namespaced: true },
  crd: {
    group: 'apiextensions.k8s.io',
    version: 'v1',
    kind: 'CustomResourceDefinition',
    plural: 'customresourcedefinitions',
    namespaced: false,
  },
} as const satisfies Record<string, Kind>;
