/** What a user applies for the cluster of the whole way: a control plane of one, workers on named hosts, and what becomes of a worker that is ill. */
import type { PlaneObject } from '../../src/lab/plane/door.ts';
import { joinConfig } from '../../src/kube/package/kubeadm.ts';
import { apiVersionOf, kinds } from '../../src/kube/objects.ts';
import type { Kind } from '../../src/kube/objects.ts';

export interface ClusterWish {
  readonly namespace: string;
  readonly name: string;
  readonly endpoint: { readonly host: string; readonly port: number };
  readonly version: string;
  /** Of the host that stands for the control plane. */
  readonly controlPlane: { readonly host: string; readonly image: string };
  readonly worker: { readonly host: string; readonly image: string };
}
const bootstrap = 'bootstrap.cluster.x-k8s.io';
const core = 'cluster.x-k8s.io/v1beta2';
/** The control plane is a stand-in beside the rack: its etcd is not its own. */
const external = { endpoints: ['https://127.0.0.1:2379'], caFile: '/e/ca', certFile: '/e/cert', keyFile: '/e/key' };

const objects = ({ namespace, name }: Pick<ClusterWish, 'namespace' | 'name'>) => ({
  object: (apiVersion: string, kind: string, suffix: string, spec: unknown): PlaneObject => ({
    apiVersion,
    kind,
    metadata: { name: `${name}${suffix}`, namespace },
    spec,
  }),
  ref: ({ group, kind }: Pick<Kind, 'group' | 'kind'>, suffix = '') => ({ apiGroup: group, kind, name: `${name}${suffix}` }),
});

/** A template cannot change: another image is another template. */
export const workerTemplate = (wish: ClusterWish, edition: number): PlaneObject =>
  objects(wish).object(apiVersionOf(kinds.bareMetalMachineTemplate), 'BareMetalMachineTemplate', `-md-${edition}`, {
    template: { spec: { ...wish.worker, nodeReuse: 'Wait', provisionTimeoutSeconds: 1800 } },
  });

export const clusterObjects = (wish: ClusterWish): readonly PlaneObject[] => {
  const { name, endpoint, version, controlPlane } = wish;
  const { object, ref } = objects(wish);
  const infra = 'BareMetalMachineTemplate';
  return [
    object(core, 'Cluster', '', {
      clusterNetwork: { pods: { cidrBlocks: ['192.168.0.0/16'] }, services: { cidrBlocks: ['10.96.0.0/12'] } },
      infrastructureRef: ref(kinds.bareMetalCluster),
      controlPlaneRef: ref({ group: 'controlplane.cluster.x-k8s.io', kind: 'KubeadmControlPlane' }, '-cp'),
    }),
    object(apiVersionOf(kinds.bareMetalCluster), 'BareMetalCluster', '', { controlPlaneEndpoint: endpoint }),
    object(apiVersionOf(kinds.bareMetalMachineTemplate), infra, '-cp', { template: { spec: controlPlane } }),
    object('controlplane.cluster.x-k8s.io/v1beta2', 'KubeadmControlPlane', '-cp', {
      replicas: 1,
      version,
      machineTemplate: { spec: { infrastructureRef: ref(kinds.bareMetalMachineTemplate, '-cp') } },
      kubeadmConfigSpec: { clusterConfiguration: { etcd: { external } } },
    }),
    workerTemplate(wish, 1),
    object(`${bootstrap}/v1beta2`, 'KubeadmConfigTemplate', '-md', {
      template: { spec: { ...joinConfig, preKubeadmCommands: ['remuda-pod-network 192.168.77.0/24'] } },
    }),
    object(core, 'MachineDeployment', '-md', {
      clusterName: name,
      replicas: 1,
      // There is no second server for it.
      rollout: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } } },
      selector: { matchLabels: {} },
      template: {
        spec: {
          clusterName: name,
          version,
          bootstrap: { configRef: ref({ group: bootstrap, kind: 'KubeadmConfigTemplate' }, '-md') },
          infrastructureRef: ref(kinds.bareMetalMachineTemplate, '-md-1'),
          deletion: { nodeDrainTimeoutSeconds: 30 },
        },
      },
    }),
    object(core, 'MachineHealthCheck', '-md', {
      clusterName: name,
      selector: { matchLabels: { 'cluster.x-k8s.io/deployment-name': `${name}-md` } },
      checks: {
        nodeStartupTimeoutSeconds: 3600,
        unhealthyNodeConditions: [{ type: 'Ready', status: 'Unknown', timeoutSeconds: 10 }],
      },
      remediation: {
        triggerIf: { unhealthyLessThanOrEqualTo: '100%' },
        templateRef: {
          apiVersion: apiVersionOf(kinds.bareMetalRemediationTemplate),
          kind: 'BareMetalRemediationTemplate',
          name: `${name}-md`,
        },
      },
    }),
    object(apiVersionOf(kinds.bareMetalRemediationTemplate), 'BareMetalRemediationTemplate', '-md', {
      template: { spec: { strategy: 'RebootThenReimage', reboots: 1, reimages: 1, timeoutSeconds: 600 } },
    }),
  ];
};
