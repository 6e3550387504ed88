/** The files of one release as clusterctl reads them from a repository: components, metadata, cluster templates, a ClusterClass. */
import { Document } from 'yaml';
import { RemudaError } from '../../errors.ts';
import { clusterClass, topologyCluster } from './cluster-class.ts';
import { cluster, controlPlane, workerHealth, workers } from './cluster-objects.ts';
import { components } from './components.ts';
import { fileText } from './text.ts';
import type { Manifest } from './text.ts';
import { variable, variableTable } from './variables.ts';

const hosts = [
  'Every machine takes a host of its pool. A host with more than one disk needs a rule: add disk: {pick: Smallest} (or serial, wwn, minSize) to',
  'its BareMetalMachineTemplate. Hosts are spread over failure domains; workers are replaced one by one on the same hosts, without a spare one.',
  'Nodes become Ready when the cluster has a CNI plugin: apply one, unless the OS image brings it.',
];
const given = [
  'The endpoint must be something that exists: a load balancer in front of the control planes, or, with a single control plane, its own address.',
];
/** Each is `cluster-template[-FLAVOUR].yaml`. */
const flavours: readonly { readonly name?: string; readonly about: readonly string[]; readonly manifests: () => readonly Manifest[] }[] = [
  {
    about: [
      'A cluster on the hosts of a rack: kubeadm control planes, workers, and a health check that repairs before it replaces.',
      ...given,
      ...hosts,
    ],
    manifests: () => [...cluster(), ...controlPlane(), ...workers(), ...workerHealth()],
  },
  {
    name: 'development',
    about: [
      'A small cluster to try things: pods run on the control plane too, and nothing is repaired or replaced by itself.',
      ...given,
      ...hosts,
    ],
    manifests: () => [...cluster(), ...controlPlane({ withWorkloads: true }), ...workers()],
  },
  {
    name: 'kube-vip',
    about: [
      'As the default, and kube-vip on the control planes holds the address of the endpoint: a free one in their own network (ARP), or one of',
      'theirs that nothing else has. Its image is pulled, unless the OS image brings it.',
      ...hosts,
    ],
    manifests: () => [...cluster(), ...controlPlane({ kubeVip: true }), ...workers(), ...workerHealth()],
  },
  {
    name: 'workers-in-place',
    about: [
      'As the default, and workers are updated in place: their host gets the new image under the same Machine. A change that cannot be made so',
      'stops the rollout (whenNotInPlace: Stop) instead of replacing machines. It needs extension-config.yaml, and Cluster API with the feature',
      'gates RuntimeSDK and InPlaceUpdates (EXP_RUNTIME_SDK=true EXP_IN_PLACE_UPDATES=true). Control planes are replaced one by one.',
      ...given,
      ...hosts,
    ],
    manifests: () => [...cluster(), ...controlPlane(), ...workers({ whenNotInPlace: 'Stop' }), ...workerHealth()],
  },
  {
    name: 'topology',
    about: ['A cluster by the ClusterClass of clusterclass-remuda.yaml: changes of its variables or version become rollouts.', ...given],
    manifests: topologyCluster,
  },
];

/** Version, `0.2.0` → `[0, 2]`. */
const seriesOf = (version: string): { readonly major: number; readonly minor: number } => {
  const [, major, minor] = /^v?(\d+)\.(\d+)\.\d+/.exec(version) ?? [];
  if (major === undefined || minor === undefined)
    throw new RemudaError('bad-request', `${JSON.stringify(version)} is no version: write it like 0.2.0`);
  return { major: Number(major), minor: Number(minor) };
};
/** All series so far: clusterctl asks it of the newest one about older ones too. The first with a provider is 0.2. */
const metadata = (version: string): string => {
  const { major, minor } = seriesOf(version);
  const first = major === 0 ? 2 : 0;
  const series = Array.from({ length: Math.max(minor - first, 0) + 1 }, (_, at) => ({ major, minor: minor - at, contract: 'v1beta2' }));
  return new Document({
    apiVersion: 'clusterctl.cluster.x-k8s.io/v1alpha3',
    kind: 'Metadata',
    releaseSeries: series.toReversed(),
  }).toString();
};

const componentsAbout = [
  'The infrastructure provider of Remuda for Cluster API: clusterctl init --infrastructure remuda.',
  'The controller speaks to the daemon of a rack by its API; the machines of this management cluster become claims of that rack.',
  'Where the daemon runs the provider itself (kubernetes: in its configuration) say REMUDA_CONTROLLER_REPLICAS=0; nothing else is needed then.',
];
const extension: Manifest = {
  apiVersion: 'runtime.cluster.x-k8s.io/v1beta2',
  kind: 'ExtensionConfig',
  metadata: { name: 'remuda' },
  spec: { clientConfig: { url: variable('REMUDA_EXTENSION_URL'), caBundle: variable('REMUDA_EXTENSION_CA_B64') } },
};
const extensionAbout = [
  'Tells Cluster API where updates in place are made: clusterctl generate yaml --from extension-config.yaml | kubectl apply -f -',
  'The URL is that of kubernetes.extension in the configuration of the daemon, or of remuda controller --extension-listen.',
];

const manifests = (version: string): ReadonlyMap<string, string> =>
  new Map([
    ['metadata.yaml', metadata(version)],
    ['infrastructure-components.yaml', fileText(componentsAbout, components(version), version)],
    ...flavours.map(({ name, about, manifests: objects }): [string, string] => [
      `cluster-template${name === undefined ? '' : `-${name}`}.yaml`,
      fileText(about, objects(), version),
    ]),
    [
      'clusterclass-remuda.yaml',
      fileText(
        ['A ClusterClass for hosts of a rack; see cluster-template-topology.yaml for a cluster of it.', ...hosts],
        clusterClass(),
        version,
      ),
    ],
    ['extension-config.yaml', fileText(extensionAbout, [extension], version)],
  ]);
const tableAbout = `# The variables of these files

clusterctl takes them from the environment or from its own configuration file.

`;
/** Name to text, for `version` such as `0.2.0`. Always the same for the same version. Throws `bad-request` for what is no version. */
export const packageFiles = (version: string): ReadonlyMap<string, string> => {
  const files = manifests(version);
  return new Map([...files, ['variables.md', `${tableAbout}${variableTable(files, version)}`]]);
};
