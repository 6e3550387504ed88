/** The objects of one cluster, as functions of what its flavour wants otherwise. */
import { apiVersionOf, kinds } from '../objects.ts';
import type { Kind } from '../objects.ts';
import { controlPlaneConfig, joinConfig, kubeVip } from './kubeadm.ts';
import type { Manifest } from './text.ts';
import { variable } from './variables.ts';
import type { VariableName } from './variables.ts';

const name = (suffix = ''): string => `${variable('CLUSTER_NAME')}${suffix}`;
const meta = (suffix = ''): Manifest['metadata'] => ({ name: name(suffix), namespace: variable('NAMESPACE') });
const bootstrapGroup = 'bootstrap.cluster.x-k8s.io';
const controlPlaneGroup = kinds.kubeadmControlPlane.group;
const infra = ({ group, kind }: Kind, suffix = ''): object => ({ apiGroup: group, kind, name: name(suffix) });
export const endpoint = {
  host: variable('CONTROL_PLANE_ENDPOINT_HOST'),
  port: variable('CONTROL_PLANE_ENDPOINT_PORT'),
};
export const clusterNetwork = {
  pods: { cidrBlocks: [variable('POD_CIDR')] },
  services: { cidrBlocks: [variable('SERVICE_CIDR')] },
};
/** A host of this pool, away from its siblings; of a rolling update the host that the old machine leaves. */
export const machineOf = (pool: VariableName, more: object = {}): object => ({
  image: variable('REMUDA_OS_IMAGE'),
  hostSelector: { pools: [variable(pool)] },
  placement: { by: 'failureDomain', mode: 'Spread' },
  nodeReuse: 'Wait',
  provisionTimeoutSeconds: variable('REMUDA_PROVISION_TIMEOUT_SECONDS'),
  ...more,
});
/** A server needs minutes for its own self-test, and minutes for its image. */
export const checks = {
  nodeStartupTimeoutSeconds: 7200,
  unhealthyNodeConditions: [
    { type: 'Ready', status: 'False', timeoutSeconds: 300 },
    { type: 'Ready', status: 'Unknown', timeoutSeconds: 300 },
  ],
};
export const noSpare = { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } } };

const infraTemplate = (kind: Kind, suffix: string, spec: object): Manifest => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  metadata: meta(suffix),
  spec: { template: { spec } },
});

export const cluster = (): readonly Manifest[] => [
  {
    apiVersion: 'cluster.x-k8s.io/v1beta2',
    kind: 'Cluster',
    metadata: meta(),
    spec: {
      clusterNetwork,
      controlPlaneRef: { apiGroup: controlPlaneGroup, kind: 'KubeadmControlPlane', name: name('-control-plane') },
      infrastructureRef: infra(kinds.bareMetalCluster),
    },
  },
  {
    apiVersion: apiVersionOf(kinds.bareMetalCluster),
    kind: 'BareMetalCluster',
    metadata: meta(),
    spec: { controlPlaneEndpoint: endpoint, failureDomainBy: 'failureDomain' },
  },
];

export interface ControlPlaneWish {
  readonly kubeVip?: boolean;
  readonly withWorkloads?: boolean;
}
export const controlPlane = (wish: ControlPlaneWish = {}): readonly Manifest[] => [
  {
    apiVersion: `${controlPlaneGroup}/v1beta2`,
    kind: 'KubeadmControlPlane',
    metadata: meta('-control-plane'),
    spec: {
      replicas: variable('CONTROL_PLANE_MACHINE_COUNT'),
      version: variable('KUBERNETES_VERSION'),
      rollout: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: variable('CONTROL_PLANE_MAX_SURGE') } } },
      machineTemplate: { spec: { infrastructureRef: infra(kinds.bareMetalMachineTemplate, '-control-plane') } },
      kubeadmConfigSpec: { ...controlPlaneConfig(wish), ...(wish.kubeVip === true ? kubeVip() : {}) },
    },
  },
  infraTemplate(kinds.bareMetalMachineTemplate, '-control-plane', machineOf('REMUDA_CONTROL_PLANE_POOL')),
];

/** `machine`: what a worker has otherwise. */
export const workers = (machine: object = {}): readonly Manifest[] => [
  {
    apiVersion: 'cluster.x-k8s.io/v1beta2',
    kind: 'MachineDeployment',
    metadata: meta('-md-0'),
    spec: {
      clusterName: name(),
      replicas: variable('WORKER_MACHINE_COUNT'),
      rollout: noSpare,
      selector: { matchLabels: {} },
      template: {
        spec: {
          clusterName: name(),
          version: variable('KUBERNETES_VERSION'),
          bootstrap: { configRef: { apiGroup: bootstrapGroup, kind: 'KubeadmConfigTemplate', name: name('-md-0') } },
          infrastructureRef: infra(kinds.bareMetalMachineTemplate, '-md-0'),
        },
      },
    },
  },
  infraTemplate(kinds.bareMetalMachineTemplate, '-md-0', machineOf('REMUDA_WORKER_POOL', machine)),
  {
    apiVersion: `${bootstrapGroup}/v1beta2`,
    kind: 'KubeadmConfigTemplate',
    metadata: meta('-md-0'),
    spec: { template: { spec: joinConfig } },
  },
];

/**
 * A number and no share: Cluster API rounds a share down, so that 40 % of two workers would be none, and no node of a small cluster would
 * ever be helped. Machines without a Node yet count as unhealthy too. When many are, it is rather the network than they: nothing is done.
 */
export const triggerIf = { unhealthyLessThanOrEqualTo: variable('REMUDA_UNHEALTHY_MAX') };
/** Unhealthy workers are rebooted, then given a fresh image, then replaced. */
export const workerHealth = (): readonly Manifest[] => [
  {
    apiVersion: 'cluster.x-k8s.io/v1beta2',
    kind: 'MachineHealthCheck',
    metadata: meta('-md-0'),
    spec: {
      clusterName: name(),
      selector: {
        matchLabels: { 'cluster.x-k8s.io/cluster-name': name(), 'cluster.x-k8s.io/deployment-name': name('-md-0') },
      },
      checks,
      remediation: {
        triggerIf,
        templateRef: {
          apiVersion: apiVersionOf(kinds.bareMetalRemediationTemplate),
          kind: 'BareMetalRemediationTemplate',
          name: name('-md-0'),
        },
      },
    },
  },
  infraTemplate(kinds.bareMetalRemediationTemplate, '-md-0', {
    strategy: 'RebootThenReimage',
    reboots: 1,
    reimages: 1,
    timeoutSeconds: 1800,
  }),
];
