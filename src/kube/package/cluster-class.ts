/** A ClusterClass of our kinds, and a cluster that uses it. */
import { apiVersionOf, kinds } from '../objects.ts';
import type { Kind } from '../objects.ts';
import { checks, clusterNetwork, endpoint, noSpare, triggerIf } from './cluster-objects.ts';
import { controlPlaneConfig, joinConfig } from './kubeadm.ts';
import type { Manifest } from './text.ts';
import { variable } from './variables.ts';

const className = 'remuda';
const workerClass = 'default-worker';
const metadata = (suffix = ''): Manifest['metadata'] => ({ name: `${className}${suffix}`, namespace: variable('NAMESPACE') });
const refTo = (apiVersion: string, kind: string, suffix: string): object => ({
  templateRef: { apiVersion, kind, name: `${className}${suffix}` },
});
const infraRef = (kind: Kind, suffix: string): object => refTo(apiVersionOf(kind), kind.kind, suffix);
const template = (apiVersion: string, kind: string, suffix: string, spec: object): Manifest => ({
  apiVersion,
  kind,
  metadata: metadata(suffix),
  spec: { template: { spec } },
});
const bootstrap = 'bootstrap.cluster.x-k8s.io/v1beta2';
const controlPlaneVersion = apiVersionOf(kinds.kubeadmControlPlane);
const machineVersion = apiVersionOf(kinds.bareMetalMachineTemplate);
/** The image is put in by a patch, but a template without one is refused. */
const machineSpec = { image: 'by-the-variable-image', placement: { by: 'failureDomain', mode: 'Spread' }, nodeReuse: 'Wait' };

const text = (description: string, more: object = {}): object => ({
  openAPIV3Schema: { type: 'string', description, minLength: 1, maxLength: 128, ...more },
});
const endpointSchema = {
  type: 'object',
  description: 'Where the API server of the cluster is reached.',
  required: ['host'],
  properties: {
    host: { type: 'string', description: 'Address or name.', minLength: 1, maxLength: 512 },
    port: { type: 'integer', description: 'TCP port.', minimum: 1, maximum: 65_535, default: 6443 },
  },
};
const classVariables = [
  { name: 'controlPlaneEndpoint', required: true, schema: { openAPIV3Schema: endpointSchema } },
  {
    name: 'image',
    required: true,
    schema: text(
      "Name or digest of the OS image in the rack's catalogue; it must have the version of Kubernetes. VERSION in it stands for the version " +
        'that each machine is to have: with kubernetes-VERSION an upgrade is one change, of the version.',
    ),
  },
  { name: 'controlPlanePool', required: true, schema: text('Pool of hosts for the control planes.', { default: 'default' }) },
  { name: 'workerPool', required: true, schema: text('Pool of hosts for the workers.', { default: 'default' }) },
  {
    name: 'whenNotInPlace',
    required: true,
    schema: text('What becomes of a change that cannot be made in place: Replace the workers, or Stop the rollout.', {
      default: 'Replace',
      enum: ['Replace', 'Stop'],
    }),
  },
];
/** Which templates of the class a patch is for. */
interface Target {
  readonly kind: Kind;
  readonly matchResources: object;
}
/** Sets one field of these templates to what a variable of the cluster says. */
const patched = (
  field: string,
  { kind, matchResources }: Target,
  valueFrom: { readonly variable: string } | { readonly template: string },
): object => ({
  selector: { apiVersion: apiVersionOf(kind), kind: kind.kind, matchResources },
  jsonPatches: [{ op: 'add', path: `/spec/template/spec/${field}`, valueFrom }],
});
const machines = (matchResources: object): Target => ({ kind: kinds.bareMetalMachineTemplate, matchResources });
const controlPlanes = machines({ controlPlane: true });
const workers = machines({ machineDeploymentClass: { names: [workerClass] } });
const clusters: Target = { kind: kinds.bareMetalClusterTemplate, matchResources: { infrastructureCluster: true } };
/** In an upgrade control planes come first, and over several minors each step has a version, so an image, of its own. */
const imageFor = (what: 'controlPlane' | 'machineDeployment'): { readonly template: string } => ({
  template: `"{{ .image | replace "VERSION" .builtin.${what}.version }}"`,
});
const patches = [
  { name: 'endpoint', definitions: [patched('controlPlaneEndpoint', clusters, { variable: 'controlPlaneEndpoint' })] },
  {
    name: 'image',
    definitions: [patched('image', controlPlanes, imageFor('controlPlane')), patched('image', workers, imageFor('machineDeployment'))],
  },
  {
    name: 'pools',
    definitions: [
      patched('hostSelector', controlPlanes, { template: 'pools: ["{{ .controlPlanePool }}"]' }),
      patched('hostSelector', workers, { template: 'pools: ["{{ .workerPool }}"]' }),
    ],
  },
  { name: 'in-place', definitions: [patched('whenNotInPlace', workers, { variable: 'whenNotInPlace' })] },
];

export const clusterClass = (): readonly Manifest[] => [
  {
    apiVersion: 'cluster.x-k8s.io/v1beta2',
    kind: 'ClusterClass',
    metadata: metadata(),
    spec: {
      infrastructure: infraRef(kinds.bareMetalClusterTemplate, ''),
      controlPlane: {
        ...refTo(controlPlaneVersion, 'KubeadmControlPlaneTemplate', ''),
        machineInfrastructure: infraRef(kinds.bareMetalMachineTemplate, '-control-plane'),
      },
      workers: {
        machineDeployments: [
          {
            class: workerClass,
            bootstrap: refTo(bootstrap, 'KubeadmConfigTemplate', `-${workerClass}`),
            infrastructure: infraRef(kinds.bareMetalMachineTemplate, `-${workerClass}`),
            rollout: noSpare,
            healthCheck: {
              checks,
              remediation: {
                triggerIf,
                ...infraRef(kinds.bareMetalRemediationTemplate, `-${workerClass}`),
              },
            },
          },
        ],
      },
      variables: classVariables,
      patches,
    },
  },
  template(apiVersionOf(kinds.bareMetalClusterTemplate), 'BareMetalClusterTemplate', '', { failureDomainBy: 'failureDomain' }),
  template(controlPlaneVersion, 'KubeadmControlPlaneTemplate', '', { kubeadmConfigSpec: controlPlaneConfig() }),
  template(machineVersion, 'BareMetalMachineTemplate', '-control-plane', machineSpec),
  template(machineVersion, 'BareMetalMachineTemplate', `-${workerClass}`, machineSpec),
  template(bootstrap, 'KubeadmConfigTemplate', `-${workerClass}`, joinConfig),
  template(apiVersionOf(kinds.bareMetalRemediationTemplate), 'BareMetalRemediationTemplate', `-${workerClass}`, {
    strategy: 'RebootThenReimage',
    reboots: 1,
    reimages: 1,
    timeoutSeconds: 1800,
  }),
];

/** `clusterctl` finds the file of the class by its name. */
export const topologyCluster = (): readonly Manifest[] => [
  {
    apiVersion: 'cluster.x-k8s.io/v1beta2',
    kind: 'Cluster',
    metadata: { name: variable('CLUSTER_NAME'), namespace: variable('NAMESPACE') },
    spec: {
      clusterNetwork,
      topology: {
        classRef: { name: className },
        version: variable('KUBERNETES_VERSION'),
        controlPlane: { replicas: variable('CONTROL_PLANE_MACHINE_COUNT') },
        workers: { machineDeployments: [{ class: workerClass, name: 'md-0', replicas: variable('WORKER_MACHINE_COUNT') }] },
        variables: [
          { name: 'controlPlaneEndpoint', value: endpoint },
          { name: 'image', value: variable('REMUDA_OS_IMAGE') },
          { name: 'controlPlanePool', value: variable('REMUDA_CONTROL_PLANE_POOL') },
          { name: 'workerPool', value: variable('REMUDA_WORKER_POOL') },
        ],
      },
    },
  },
];
