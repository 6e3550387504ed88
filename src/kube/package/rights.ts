/** What the controller may do in the management cluster, with the reason of each line. Nothing else is granted. */

export interface Right {
  /** Empty for the core group. */
  readonly group: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly why: string;
}
const infrastructure = 'infrastructure.cluster.x-k8s.io';
const read = ['get', 'list', 'watch'] as const;
const reconciled = ['baremetalclusters', 'baremetalmachines', 'baremetalremediations', 'packetclusters', 'packetmachines'];
const of = (resources: readonly string[], part: string): readonly string[] => resources.map((resource) => `${resource}/${part}`);

/** In all namespaces. */
export const clusterRights: readonly Right[] = [
  {
    group: infrastructure,
    resources: reconciled,
    verbs: [...read, 'patch'],
    why: 'claim ID, provider ID, endpoint and finalizer are applied to them; Cluster API creates and deletes them',
  },
  { group: infrastructure, resources: of(reconciled, 'status'), verbs: ['patch'], why: 'their conditions, addresses and hosts' },
  {
    group: infrastructure,
    resources: ['baremetalmachinetemplates', 'packetmachinetemplates'],
    verbs: [...read],
    why: 'what the smallest host that fits a template has',
  },
  {
    group: infrastructure,
    resources: ['baremetalmachinetemplates/status', 'packetmachinetemplates/status'],
    verbs: ['patch'],
    why: 'the capacity by which the autoscaler scales from zero',
  },
  {
    group: infrastructure,
    resources: ['rackhosts'],
    verbs: [...read, 'create', 'patch', 'delete'],
    why: 'the mirror of the rack comes and goes with its hosts',
  },
  { group: infrastructure, resources: ['rackhosts/status'], verbs: ['patch'], why: 'what the mirror shows' },
  {
    group: 'cluster.x-k8s.io',
    resources: ['clusters', 'machines'],
    verbs: [...read],
    why: 'whether a cluster is paused, what a machine waits for, and of which owner it is',
  },
  {
    group: 'cluster.x-k8s.io',
    resources: ['machinedeployments'],
    verbs: ['get'],
    why: 'where a rollout is stopped because it cannot be made in place, an event says so',
  },
  {
    group: 'cluster.x-k8s.io',
    resources: ['machines'],
    verbs: ['patch'],
    why: 'skip-remediation stands on a machine while it is updated in place',
  },
  {
    group: 'cluster.x-k8s.io',
    resources: ['machines/status'],
    verbs: ['patch'],
    why: 'OwnerRemediated=False hands a machine that nothing helped to its owner',
  },
  {
    group: 'controlplane.cluster.x-k8s.io',
    resources: ['kubeadmcontrolplanes'],
    verbs: ['get'],
    why: 'by its template: failure domains where no control plane could stand are not offered for one',
  },
  {
    group: 'ipam.cluster.x-k8s.io',
    resources: ['ipaddressclaims'],
    verbs: ['get', 'create'],
    why: 'static addresses and endpoints are asked of pools; a claim goes with its owner',
  },
  { group: 'ipam.cluster.x-k8s.io', resources: ['ipaddresses'], verbs: ['get'], why: 'the addresses that a pool gave' },
  {
    group: '',
    resources: ['secrets'],
    verbs: ['get'],
    why: "by name: a machine's bootstrap data, and the kubeconfig of a workload cluster for cordon, drain and join",
  },
  { group: 'events.k8s.io', resources: ['events'], verbs: ['create', 'patch'], why: 'what happens is told at the object' },
];
/** In the namespace of the controller alone. */
export const ownRights: readonly Right[] = [
  {
    group: 'coordination.k8s.io',
    resources: ['leases'],
    verbs: ['get', 'create', 'update'],
    why: 'of several controllers one works',
  },
];

/** As a rule of a Role or ClusterRole. */
export const ruleOf = ({ group, resources, verbs }: Right): object => ({ apiGroups: [group], resources, verbs });
