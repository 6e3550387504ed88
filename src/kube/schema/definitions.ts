/** All kinds of ours in one table: names, schemas, rules, and the columns that an operator wants to see at three in the morning. */
import { kinds } from '../objects.ts';
import {
  clusterSpec,
  clusterStatus,
  clusterTemplateSpec,
  machineSpec,
  machineStatus,
  machineTemplateSpec,
  machineTemplateStatus,
  rackHostStatus,
  remediationSpec,
  remediationStatus,
  remediationTemplateSpec,
} from './bare-metal.ts';
import type { Column, Definition } from './crd.ts';
import {
  packetClusterSpec,
  packetClusterStatus,
  packetClusterTemplateSpec,
  packetMachineSpec,
  packetMachineStatus,
  packetMachineTemplateSpec,
  packetMachineTemplateStatus,
} from './packet.ts';
import { endpointIsFixed } from './rules.ts';

const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was made' };
const cluster: Column = {
  name: 'Cluster',
  jsonPath: '.metadata.labels.cluster\\.x-k8s\\.io/cluster-name',
  description: 'The Cluster that it belongs to',
};
const readyCondition = '.status.conditions[?(@.type=="Ready")]';
const ready: readonly Column[] = [
  { name: 'Ready', jsonPath: `${readyCondition}.status`, description: 'Whether all is well' },
  { name: 'Reason', jsonPath: `${readyCondition}.reason`, description: 'Why it is not, in one word' },
];
const message: Column = { name: 'Message', jsonPath: `${readyCondition}.message`, description: 'Why it is not, for people', wide: true };
const machine: readonly Column[] = [
  cluster,
  { name: 'Machine', jsonPath: '.metadata.ownerReferences[?(@.kind=="Machine")].name', description: 'The Machine that owns it' },
  { name: 'Host', jsonPath: '.status.host.name', description: 'The server' },
  { name: 'State', jsonPath: '.status.host.state', description: 'State of the server' },
  ...ready,
];
const machineWide: readonly Column[] = [
  { name: 'ProviderID', jsonPath: '.spec.providerID', description: 'As the Node carries it' },
  age,
  { name: 'Claim', jsonPath: '.spec.claimID', description: 'Under which the rack holds the server', wide: true },
  { name: 'Power', jsonPath: '.status.host.power', description: 'Of the server', wide: true },
  { name: 'Generation', type: 'integer', jsonPath: '.status.claimGeneration', description: 'Images written under this claim', wide: true },
  message,
];
const endpointColumn: Column = { name: 'Endpoint', jsonPath: '.spec.controlPlaneEndpoint.host', description: 'Where the API server is' };
const capacity: readonly Column[] = [
  { name: 'CPU', jsonPath: '.status.capacity.cpu', description: 'Of the smallest host that fits' },
  { name: 'Memory', jsonPath: '.status.capacity.memory', description: 'Of the smallest host that fits' },
  age,
];
const image: Column = { name: 'Image', jsonPath: '.spec.template.spec.image', description: 'The OS image of its machines' };

const bareMetal: readonly Definition[] = [
  {
    kind: kinds.bareMetalCluster,
    description: 'BareMetalCluster is what the machines of one Cluster share: the endpoint of its API server, and where they may stand.',
    shortNames: ['bmcl'],
    spec: clusterSpec,
    status: clusterStatus,
    columns: [cluster, endpointColumn, ...ready, age, message],
    rules: [endpointIsFixed],
    contracts: ['v1beta2'],
  },
  {
    kind: kinds.bareMetalClusterTemplate,
    description: 'BareMetalClusterTemplate is what the BareMetalClusters of a ClusterClass begin as.',
    shortNames: ['bmclt'],
    spec: clusterTemplateSpec,
    columns: [age],
    contracts: ['v1beta2'],
  },
  {
    kind: kinds.bareMetalMachine,
    description: 'BareMetalMachine is one server of the rack with an immutable OS image on its disk, as long as its Machine lives.',
    shortNames: ['bmm'],
    spec: machineSpec,
    status: machineStatus,
    columns: [...machine, { name: 'Image', jsonPath: '.spec.image', description: 'The OS image', wide: true }, ...machineWide],
    contracts: ['v1beta2'],
  },
  {
    kind: kinds.bareMetalMachineTemplate,
    description: 'BareMetalMachineTemplate is what the BareMetalMachines of a control plane or a MachineDeployment begin as.',
    shortNames: ['bmt'],
    spec: machineTemplateSpec,
    status: machineTemplateStatus,
    columns: [image, ...capacity],
    contracts: ['v1beta2'],
  },
  {
    kind: kinds.bareMetalRemediation,
    description: 'BareMetalRemediation helps one unhealthy machine: reboot, then a fresh image, then its owner replaces it.',
    shortNames: ['bmr'],
    spec: remediationSpec,
    status: remediationStatus,
    columns: [
      cluster,
      { name: 'Strategy', jsonPath: '.spec.strategy', description: 'What is tried' },
      { name: 'Phase', jsonPath: '.status.phase', description: 'What it does now' },
      { name: 'Reboots', type: 'integer', jsonPath: '.status.reboots', description: 'So far' },
      { name: 'Reimages', type: 'integer', jsonPath: '.status.reimages', description: 'So far' },
      { name: 'Last try', type: 'date', jsonPath: '.status.lastTryAt', description: 'Since the last try began' },
      age,
      message,
    ],
    contracts: ['v1beta2'],
  },
  {
    kind: kinds.bareMetalRemediationTemplate,
    description: 'BareMetalRemediationTemplate is what a MachineHealthCheck makes its BareMetalRemediations from.',
    shortNames: ['bmrt'],
    spec: remediationTemplateSpec,
    columns: [{ name: 'Strategy', jsonPath: '.spec.template.spec.strategy', description: 'What is tried' }, age],
    isMovedAlone: true,
    contracts: ['v1beta2'],
  },
  {
    kind: kinds.rackHost,
    description:
      'RackHost is a server of the rack as its daemon knows it. It is written by the controller alone; to change a host, ask the daemon.',
    shortNames: ['rh'],
    status: rackHostStatus,
    columns: [
      { name: 'State', jsonPath: '.status.state', description: 'What its daemon does with it' },
      { name: 'Power', jsonPath: '.status.power', description: 'As its BMC last showed it' },
      { name: 'Pool', jsonPath: '.status.pool', description: 'Who may claim it' },
      { name: 'Rack', jsonPath: '.status.rack', description: 'Where it stands' },
      { name: 'Domain', jsonPath: '.status.failureDomain', description: 'What fails together with it' },
      { name: 'Claim', jsonPath: '.status.claim.owner', description: 'Whose it is' },
      { name: 'Image', jsonPath: '.status.claim.image', description: 'What is to be on its disk' },
      { name: 'Doing', jsonPath: '.status.doing', description: 'What it does or waits for' },
      { name: 'Failed', jsonPath: '.status.failed', description: 'The step that failed, and why', wide: true },
      { name: 'Held', jsonPath: '.status.held', description: 'Who stopped it, and why', wide: true },
      { name: 'Claim ID', jsonPath: '.status.claim.id', description: 'ID of the claim', wide: true },
      { name: 'Serial', jsonPath: '.status.hardware.serial', description: 'Of the chassis', wide: true },
      { name: 'BMC', jsonPath: '.status.bmc', description: 'Where its management controller is', wide: true },
    ],
    contracts: [],
  },
];
/** As cluster-api-provider-packet named them; not beside that provider in one cluster. */
const packet: readonly Definition[] = [
  {
    kind: kinds.packetCluster,
    description: 'PacketCluster is what the machines of one Cluster share, as cluster-api-provider-packet had it.',
    shortNames: ['pcl'],
    spec: packetClusterSpec,
    status: packetClusterStatus,
    columns: [cluster, endpointColumn, ...ready, age, message],
    rules: [endpointIsFixed],
    contracts: ['v1beta1', 'v1beta2'],
  },
  {
    kind: kinds.packetClusterTemplate,
    description: 'PacketClusterTemplate is what the PacketClusters of a ClusterClass begin as.',
    shortNames: ['pclt'],
    spec: packetClusterTemplateSpec,
    columns: [age],
    contracts: ['v1beta1', 'v1beta2'],
  },
  {
    kind: kinds.packetMachine,
    description: 'PacketMachine is one server of the rack, as cluster-api-provider-packet had it.',
    shortNames: ['pma'],
    spec: packetMachineSpec,
    status: packetMachineStatus,
    columns: [...machine, { name: 'OS', jsonPath: '.spec.os', description: 'The OS image', wide: true }, ...machineWide],
    contracts: ['v1beta1', 'v1beta2'],
  },
  {
    kind: kinds.packetMachineTemplate,
    description: 'PacketMachineTemplate is what the PacketMachines of a control plane or a MachineDeployment begin as.',
    shortNames: ['pmt'],
    spec: packetMachineTemplateSpec,
    status: packetMachineTemplateStatus,
    columns: [
      { name: 'Type', jsonPath: '.spec.template.spec.machineType', description: 'The plan of its machines' },
      { name: 'OS', jsonPath: '.spec.template.spec.os', description: 'The OS image of its machines' },
      ...capacity,
    ],
    contracts: ['v1beta1', 'v1beta2'],
  },
];
export const definitions: readonly Definition[] = [...bareMetal, ...packet];
