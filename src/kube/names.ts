/** The names that we, Cluster API and its peers write on objects, and the reasons that our conditions give. */

export const infraGroup = 'infrastructure.cluster.x-k8s.io';
/** Under which our writes stand in `managedFields`. */
export const fieldManager = 'remuda';
export const finalizers = {
  machine: `baremetalmachine.${infraGroup}`,
  cluster: `baremetalcluster.${infraGroup}`,
  remediation: `baremetalremediation.${infraGroup}`,
  // As cluster-api-provider-packet had them: objects that it left behind are ours to finish.
  packetMachine: `packetmachine.${infraGroup}`,
  packetCluster: `packetcluster.${infraGroup}`,
} as const;
/** Of Cluster API. */
export const capi = {
  clusterName: 'cluster.x-k8s.io/cluster-name',
  controlPlane: 'cluster.x-k8s.io/control-plane',
  deploymentName: 'cluster.x-k8s.io/deployment-name',
  setName: 'cluster.x-k8s.io/set-name',
  controlPlaneName: 'cluster.x-k8s.io/control-plane-name',
  paused: 'cluster.x-k8s.io/paused',
  managedBy: 'cluster.x-k8s.io/managed-by',
  watchFilter: 'cluster.x-k8s.io/watch-filter',
  skipRemediation: 'cluster.x-k8s.io/skip-remediation',
  updateInProgress: 'in-place-updates.internal.cluster.x-k8s.io/update-in-progress',
  blockMove: 'clusterctl.cluster.x-k8s.io/block-move',
  deleteForMove: 'clusterctl.cluster.x-k8s.io/delete-for-move',
  move: 'clusterctl.cluster.x-k8s.io/move',
  clonedFromName: 'cluster.x-k8s.io/cloned-from-name',
  clonedFromKind: 'cluster.x-k8s.io/cloned-from-groupkind',
  excludeDraining: 'machine.cluster.x-k8s.io/exclude-node-draining',
  /** Label of pods: `skip`. */
  drain: 'cluster.x-k8s.io/drain',
  topologyDryRun: 'topology.cluster.x-k8s.io/dry-run',
} as const;
/** Ours. */
export const ours = {
  /** On a machine that is being deleted: `<claim ID>` lets it go without its host being seen off. Somebody has fenced it by hand. */
  abandon: `baremetal.${infraGroup}/abandon`,
  /** The host of a machine, for people; what counts is the claim. */
  host: `baremetal.${infraGroup}/host`,
  /** On a machine whose host is imaged again under its claim: for what, from which generation on, and with which join token. */
  reimage: `baremetal.${infraGroup}/reimage`,
  /** On a PacketMachine whose server was another provider's: this host, by name or ID, is written and takes its provider ID over. */
  adopt: `baremetal.${infraGroup}/adopt`,
  /** On a PacketCluster: the pool that its endpoint's address comes from, as `<API group>/<kind>/<name>`. */
  endpointPool: `baremetal.${infraGroup}/endpoint-pool`,
} as const;
/** Provider IDs are `remuda://<claim ID>`: unique per allocation, never per host. */
export const providerIdOf = (claimId: string): string => `remuda://${claimId}`;

/** Condition types of ours beside `Ready` and `Paused`. */
export const conditionTypes = {
  ready: 'Ready',
  paused: 'Paused',
  /** A host is claimed. */
  hostClaimed: 'HostClaimed',
  /** Its image runs. */
  provisioned: 'HostProvisioned',
  /** The host of a deleted machine was seen off. */
  released: 'HostReleased',
} as const;
/** What `reason` may be; docs/cluster-api.md explains each. */
export const reasons = {
  paused: 'Paused',
  notPaused: 'NotPaused',
  ready: 'Ready',
  claimed: 'Claimed',
  provisioned: 'Provisioned',
  provisioning: 'Provisioning',
  waitingForCluster: 'WaitingForClusterInfrastructure',
  waitingForBootstrap: 'WaitingForBootstrapData',
  waitingForHost: 'NoHostFits',
  waitingForReserved: 'WaitingForReservedHost',
  waitingForAddress: 'WaitingForIPAddress',
  waitingForEndpoint: 'WaitingForControlPlaneEndpoint',
  waitingForControlPlane: 'WaitingForControlPlane',
  invalid: 'InvalidSpec',
  poolNotAllowed: 'PoolNotAllowed',
  imageNotFound: 'ImageNotFound',
  hostFailed: 'HostFailed',
  hostHeld: 'HostHeld',
  hostGone: 'HostGone',
  timedOut: 'ProvisioningTimedOut',
  bootstrapFailed: 'BootstrapFailed',
  rackUnreachable: 'RackUnreachable',
  updating: 'InPlaceUpdate',
  poweringOff: 'PoweringOff',
  offNotVerified: 'OffNotVerified',
  abandoned: 'Abandoned',
  deleting: 'Deleting',
  remediating: 'Remediating',
  rebootFailed: 'RebootFailed',
  reimageFailed: 'ReimageFailed',
  waitingForHealth: 'WaitingForHealth',
  givenUp: 'GivenUp',
} as const;
