/** What a user applies for a cluster of this rack: one control plane on a server of its own pool, workers on the others. Pure. */
import { stringify } from 'yaml';
import type { PlaneObject } from '../plane/door.ts';
import { kubernetesVersion } from '../plane/pki.ts';

/** The etcd of the control plane's image, by its tag: what images/kubernetes/module/go.mod pins. */
export const etcdImageTag = '3.6.6-0';
/** Names in the rack's catalogue. */
export const images = {
  worker: `kubernetes-${kubernetesVersion}`,
  controlPlane: `kubernetes-${kubernetesVersion}-control-plane`,
} as const;
/** Of hosts. */
export const pools = { controlPlane: 'control-plane', workers: 'workers' } as const;

export interface ClusterWish {
  readonly name: string;
  readonly workers: number;
  /** Where the API server of the cluster is to be reached: the address of the control plane's host. */
  readonly endpoint: { readonly host: string; readonly port: number };
}
export const namespace = 'default';
export const apis = {
  core: 'cluster.x-k8s.io',
  infra: 'infrastructure.cluster.x-k8s.io',
  bootstrap: 'bootstrap.cluster.x-k8s.io',
  controlPlane: 'controlplane.cluster.x-k8s.io',
} as const;

/** An emulated processor brings up a control plane in minutes; a real one never waits so long. */
const timeouts = {
  controlPlaneComponentHealthCheckSeconds: 1200,
  kubeletHealthCheckSeconds: 600,
  kubernetesAPICallSeconds: 300,
  discoverySeconds: 1800,
  tlsBootstrapSeconds: 1800,
};
/** Host name and provider ID come with the host (NoCloud meta-data), so that the Node and its Machine find each other. */
const nodeRegistration = {
  name: '{{ ds.meta_data.local_hostname }}',
  kubeletExtraArgs: [{ name: 'provider-id', value: '{{ ds.meta_data.provider_id }}' }],
};
/** No registry can be reached from the rack: what kubeadm runs is in the image. */
const withoutRegistry = { ...nodeRegistration, imagePullPolicy: 'Never' };
/** Of each node alone, so that it is Ready without a network add-on; such an add-on wins over it. */
const podNetwork = { preKubeadmCommands: ['remuda-pod-network 10.244.0.0/24'] };

/** There is one of each: it need not win a lease, nor end where a busy machine made it miss one. */
const alone = { extraArgs: [{ name: 'leader-elect', value: 'false' }] };

const writer = (name: string) => ({
  object: (group: keyof typeof apis, kind: string, suffix: string, spec: unknown): PlaneObject => ({
    apiVersion: `${apis[group]}/v1beta2`,
    kind,
    metadata: { name: `${name}${suffix}`, namespace },
    spec,
  }),
  ref: (group: keyof typeof apis, kind: string, suffix = '') => ({ apiGroup: apis[group], kind, name: `${name}${suffix}` }),
});
type Writer = ReturnType<typeof writer>;

const machineTemplate = ({ object }: Writer, suffix: string, image: string, pool: string): PlaneObject =>
  object('infra', 'BareMetalMachineTemplate', suffix, {
    template: { spec: { image, hostSelector: { pools: [pool] }, nodeReuse: 'Wait', provisionTimeoutSeconds: 3600 } },
  });

const controlPlane = (write: Writer): readonly PlaneObject[] => [
  write.object('controlPlane', 'KubeadmControlPlane', '-control-plane', {
    replicas: 1,
    version: kubernetesVersion,
    machineTemplate: { spec: { infrastructureRef: write.ref('infra', 'BareMetalMachineTemplate', '-control-plane') } },
    kubeadmConfigSpec: {
      clusterConfiguration: { etcd: { local: { imageTag: etcdImageTag } }, controllerManager: alone, scheduler: alone },
      // Add-ons would be pulled; a cluster for trying things is Ready without them.
      initConfiguration: { nodeRegistration: withoutRegistry, skipPhases: ['addon/coredns', 'addon/kube-proxy'], timeouts },
      joinConfiguration: { nodeRegistration: withoutRegistry, timeouts },
      ...podNetwork,
    },
  }),
  machineTemplate(write, '-control-plane', images.controlPlane, pools.controlPlane),
];

const deployment = (write: Writer, { name, workers }: ClusterWish, template: string): PlaneObject =>
  write.object('core', 'MachineDeployment', '-workers', {
    clusterName: name,
    replicas: workers,
    // There is no spare server: the old machine goes before the new one comes.
    rollout: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } } },
    selector: { matchLabels: {} },
    template: {
      spec: {
        clusterName: name,
        version: kubernetesVersion,
        bootstrap: { configRef: write.ref('bootstrap', 'KubeadmConfigTemplate', '-workers') },
        infrastructureRef: write.ref('infra', 'BareMetalMachineTemplate', template),
        deletion: { nodeDrainTimeoutSeconds: 60 },
      },
    },
  });

/** Everything, in the order in which people read it. */
export const clusterObjects = (wish: ClusterWish): readonly PlaneObject[] => {
  const write = writer(wish.name);
  return [
    write.object('core', 'Cluster', '', {
      clusterNetwork: { pods: { cidrBlocks: ['10.244.0.0/16'] }, services: { cidrBlocks: ['10.96.0.0/12'] } },
      infrastructureRef: write.ref('infra', 'BareMetalCluster'),
      controlPlaneRef: write.ref('controlPlane', 'KubeadmControlPlane', '-control-plane'),
    }),
    write.object('infra', 'BareMetalCluster', '', { controlPlaneEndpoint: wish.endpoint }),
    ...controlPlane(write),
    deployment(write, wish, '-workers'),
    machineTemplate(write, '-workers', images.worker, pools.workers),
    write.object('bootstrap', 'KubeadmConfigTemplate', '-workers', {
      template: { spec: { joinConfiguration: { nodeRegistration, timeouts }, ...podNetwork } },
    }),
  ];
};
/** For trying things: the workers get another image. A template cannot change, so that it is another template. */
export const otherImageObjects = (wish: ClusterWish): readonly PlaneObject[] => {
  const write = writer(wish.name);
  return [machineTemplate(write, '-workers-2', images.controlPlane, pools.workers), deployment(write, wish, '-workers-2')];
};

/** A file for `kubectl apply -f`. */
export const yamlOf = (about: string, objects: readonly PlaneObject[]): string =>
  `# ${about}\n${objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n')}`;
