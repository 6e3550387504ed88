/** A provider of nothing: kinds that fulfil Cluster API's contract for whoever sets their fields by hand. To judge the plane without judging ours. */
import type { PlaneObject } from '../../../src/lab/plane/door.ts';

const group = 'infrastructure.cluster.x-k8s.io';
const version = 'v1alpha1';
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const crd = (kind: string): PlaneObject => {
  const plural = `${kind.toLowerCase()}s`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      labels: { 'cluster.x-k8s.io/v1beta2': version, 'cluster.x-k8s.io/provider': 'infrastructure-toy' },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: { type: 'object', properties: { spec: open, status: open } } },
        },
      ],
    },
  };
};
/** With the role that Cluster API's managers take up. */
export const toyProvider: readonly PlaneObject[] = [
  crd('ToyCluster'),
  crd('ToyMachine'),
  crd('ToyMachineTemplate'),
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'toy-provider', labels: { 'cluster.x-k8s.io/aggregate-to-manager': 'true' } },
    rules: [{ apiGroups: [group], resources: ['toyclusters', 'toymachines', 'toymachinetemplates'], verbs: ['*'] }],
  },
];
export const toyPath = (namespace: string, plural: string): string => `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
const toy = (kind: string, namespace: string, name: string, spec: unknown): PlaneObject => ({
  apiVersion: `${group}/${version}`,
  kind,
  metadata: { name, namespace },
  spec,
});

export interface ToyWish {
  readonly namespace: string;
  readonly name: string;
  readonly endpoint: { readonly host: string; readonly port: number };
  readonly workers: number;
}
/** A Cluster, its control plane of one with an etcd that is not its own, and workers. */
export const toyCluster = ({ namespace, name, endpoint, workers }: ToyWish): readonly PlaneObject[] => {
  const [controlPlane, deployment] = [`${name}-cp`, `${name}-md`];
  const infra = (kind: string, of: string) => ({ apiGroup: group, kind, name: of });
  const object = (apiVersion: string, kind: string, of: string, spec: unknown): PlaneObject => ({
    apiVersion,
    kind,
    metadata: { name: of, namespace },
    spec,
  });
  const external = { endpoints: ['https://127.0.0.1:2379'], caFile: '/e/ca', certFile: '/e/cert', keyFile: '/e/key' };
  return [
    toy('ToyCluster', namespace, name, { controlPlaneEndpoint: endpoint }),
    toy('ToyMachineTemplate', namespace, controlPlane, { template: { spec: {} } }),
    toy('ToyMachineTemplate', namespace, deployment, { template: { spec: {} } }),
    object('cluster.x-k8s.io/v1beta2', 'Cluster', name, {
      clusterNetwork: { pods: { cidrBlocks: ['192.168.0.0/16'] } },
      infrastructureRef: infra('ToyCluster', name),
      controlPlaneRef: { apiGroup: 'controlplane.cluster.x-k8s.io', kind: 'KubeadmControlPlane', name: controlPlane },
    }),
    object('controlplane.cluster.x-k8s.io/v1beta2', 'KubeadmControlPlane', controlPlane, {
      replicas: 1,
      version: 'v1.34.4',
      machineTemplate: { spec: { infrastructureRef: infra('ToyMachineTemplate', controlPlane) } },
      kubeadmConfigSpec: { clusterConfiguration: { etcd: { external } } },
    }),
    object('bootstrap.cluster.x-k8s.io/v1beta2', 'KubeadmConfigTemplate', deployment, {
      template: { spec: { joinConfiguration: { nodeRegistration: { kubeletExtraArgs: [{ name: 'v', value: '2' }] } } } },
    }),
    object('cluster.x-k8s.io/v1beta2', 'MachineDeployment', deployment, {
      clusterName: name,
      replicas: workers,
      selector: { matchLabels: {} },
      template: {
        spec: {
          clusterName: name,
          version: 'v1.34.4',
          bootstrap: {
            configRef: { apiGroup: 'bootstrap.cluster.x-k8s.io', kind: 'KubeadmConfigTemplate', name: deployment },
          },
          infrastructureRef: infra('ToyMachineTemplate', deployment),
        },
      },
    }),
  ];
};
