/** BareMetalCluster, BareMetalMachine and their templates (v1beta2): one definition for the CRDs and for our own code. */
import { z } from 'zod';
import {
  address,
  addressFromPool,
  conditions,
  diskRule,
  endpoint,
  hostFacts,
  hostSelector,
  initialization,
  labelMap,
  observedGeneration,
  placement,
  poolReference,
  providerId,
  quantity,
  templateMeta,
} from './fields.ts';
import { claimIdIsFixed, hostOrSelector, notInTemplates, providerIdIsFixed, ruled } from './rules.ts';

/** Without the rules about change: templates have others. */
const machineFields = z.object({
  providerID: providerId.describe('remuda://<claim ID>; written by the controller.').optional(),
  claimID: z
    .string()
    .min(1)
    .max(128)
    .describe('Under which a host is claimed; written by the controller before any metal is touched. By it a moved machine finds its host.')
    .optional(),
  image: z.string().min(1).max(128).describe("Name or digest (sha256:...) of an OS image in the rack's catalogue."),
  hostName: z.string().min(1).max(253).describe("Of the OS, and so of the Node; the Machine's name when absent.").optional(),
  host: z.string().min(1).max(64).describe('This very host, by name or ID.').optional(),
  hostSelector: hostSelector.optional(),
  disk: diskRule.optional(),
  placement: placement.optional(),
  nodeReuse: z
    .enum(['None', 'Prefer', 'Wait'])
    .describe('The host that the machine before it had: Prefer it, Wait while it is being cleaned, or None.')
    .optional(),
  provisionTimeoutSeconds: z
    .int32()
    .min(60)
    .max(604_800)
    .describe('A host that is not provisioned by then makes the machine Ready=False, reason ProvisioningTimedOut.')
    .optional(),
  addressesFromPools: z.array(addressFromPool).max(8).describe('Static addresses of the OS, from pools of an IPAM provider.').optional(),
  whenNotInPlace: z
    .enum(['Replace', 'Stop'])
    .describe("When a changed machine cannot be updated in place: Replace it (Cluster API's own way), or Stop the rollout.")
    .optional(),
});
export const machineSpec = machineFields.meta(ruled(claimIdIsFixed, providerIdIsFixed, hostOrSelector));
export type MachineSpec = z.infer<typeof machineSpec>;

export const machineStatus = z.object({
  initialization: initialization.optional(),
  addresses: z.array(address).max(128).describe('Addresses of the host, for the Machine.').optional(),
  failureDomain: z.string().min(1).max(256).describe('Where the host stands.').optional(),
  conditions: conditions.optional(),
  ...hostFacts,
  observedGeneration,
});
export type MachineStatus = z.infer<typeof machineStatus>;

export const machineTemplateSpec = z.object({
  template: z.object({
    metadata: templateMeta.optional(),
    spec: machineFields.meta(ruled(notInTemplates('claimID'), notInTemplates('providerID'), hostOrSelector)),
  }),
});
export type MachineTemplateSpec = z.infer<typeof machineTemplateSpec>;
/** For the autoscaler's scaling from zero: what the smallest host that fits the template has. */
export const machineTemplateStatus = z.object({
  capacity: z
    .record(z.string().max(317), quantity)
    .meta({ maxProperties: 32 })
    .describe('What the smallest host that fits has: cpu, memory, ephemeral-storage, nvidia.com/gpu.')
    .optional(),
  nodeInfo: z
    .object({
      architecture: z.enum(['amd64', 'arm64', 's390x', 'ppc64le']).describe('As Go names it.').optional(),
      operatingSystem: z.string().max(32).describe('linux').optional(),
    })
    .describe('What a Node of this template will say of itself.')
    .optional(),
});

export const clusterSpec = z.object({
  controlPlaneEndpoint: endpoint.optional(),
  endpointFromPool: z
    .object({ pool: poolReference, port: z.int32().min(1).max(65_535).default(6443).describe('Of the API server.') })
    .describe("Where the endpoint's address is taken from when the user names none.")
    .optional(),
  failureDomainBy: z
    .string()
    .min(1)
    .max(317)
    .describe('What tells the failure domain of a host: failureDomain, rack, or the key of a label. None: no domains are published.')
    .optional(),
});
export type ClusterSpec = z.infer<typeof clusterSpec>;
export const clusterStatus = z.object({
  initialization: initialization.optional(),
  failureDomains: z
    .array(
      z.object({
        name: z.string().min(1).max(256).describe('Name of the domain.'),
        controlPlane: z.boolean().describe('Control planes may stand there.').optional(),
        attributes: labelMap.describe('More about it.').optional(),
      }),
    )
    .max(100)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .describe('Where hosts stand that this cluster may use.')
    .optional(),
  conditions: conditions.optional(),
  observedGeneration,
});
export type ClusterStatus = z.infer<typeof clusterStatus>;
export const clusterTemplateSpec = z.object({ template: z.object({ metadata: templateMeta.optional(), spec: clusterSpec }) });

/** How an unhealthy machine is helped before it is replaced. */
export const remediationSpec = z.object({
  strategy: z
    .enum(['Reboot', 'Reimage', 'RebootThenReimage'])
    .default('RebootThenReimage')
    .describe("In this order, each as often as its number says; then the machine's owner replaces it."),
  reboots: z.int32().min(0).max(10).default(1).describe('How often it is rebooted.'),
  reimages: z.int32().min(0).max(10).default(1).describe('How often its image is written anew.'),
  timeoutSeconds: z.int32().min(30).max(86_400).default(600).describe('How long each try may take until the machine is healthy.'),
});
export type RemediationSpec = z.infer<typeof remediationSpec>;
export const remediationStatus = z.object({
  phase: z.enum(['Waiting', 'Rebooting', 'Reimaging', 'GivenUp']).describe('What it does now.').optional(),
  reboots: z.int32().min(0).describe('Reboots so far.').optional(),
  reimages: z.int32().min(0).describe('Images written so far.').optional(),
  lastTryAt: z.string().meta({ format: 'date-time' }).describe('When the last try began.').optional(),
  conditions: conditions.optional(),
});
export type RemediationStatus = z.infer<typeof remediationStatus>;
export const remediationTemplateSpec = z.object({ template: z.object({ metadata: templateMeta.optional(), spec: remediationSpec }) });

/** The rack as kubectl sees it. Status only: whoever wants to change a host asks the daemon. */
const hostDisk = z.object({
  path: z.string().max(256).describe('As the agent found it.'),
  size: quantity.describe('Its size.'),
  serial: z.string().max(256).describe('Its serial number.').optional(),
});
const hostHardware = z.object({
  vendor: z.string().max(256).describe('Who made the server.').optional(),
  model: z.string().max(256).describe('What the maker calls it.').optional(),
  serial: z.string().max(256).describe('Serial number of the chassis.').optional(),
  arch: z.string().max(32).describe('Architecture of the CPU.').optional(),
  firmware: z.string().max(16).describe('bios or uefi.').optional(),
  cores: z.int32().describe('CPU cores.').optional(),
  memory: quantity.describe('Memory.').optional(),
  disks: z.array(hostDisk).max(256).describe('Its disks.').optional(),
  nics: z.int32().describe('Network interfaces.').optional(),
  gpus: z.int32().describe('GPUs.').optional(),
});
const hostClaim = z.object({
  id: z.string().max(128).describe('ID of the claim.'),
  owner: z.string().max(128).describe('Whose it is.'),
  image: z.string().max(128).describe('The image that it wants on the disk.'),
  generation: z.int32().describe('Each re-image is the next one.'),
  hostName: z.string().max(253).describe('Of the OS.'),
});
export const rackHostStatus = z.object({
  id: z.string().max(64).describe('Its ID in the rack.'),
  state: z.string().max(32).describe('discovered, enrolled, inspecting, available, provisioning, provisioned or cleaning.'),
  power: z.string().max(16).describe('on, off or unknown, as its BMC last showed it.'),
  doing: z.string().max(2048).describe('What it does or waits for, in one sentence.'),
  held: z.string().max(1024).describe('Who stopped it, and why.').optional(),
  failed: z.string().max(2048).describe('The step that failed, and why.').optional(),
  pool: z.string().max(64).describe('Its pool.'),
  rack: z.string().max(64).describe('The rack that it stands in.').optional(),
  unit: z.int32().describe('Its lowest rack unit.').optional(),
  failureDomain: z.string().max(256).describe('What fails together with it.').optional(),
  labels: labelMap.describe('Its labels in the rack.').optional(),
  macs: z.array(z.string().max(17)).max(64).describe('Its MAC addresses.').optional(),
  bmc: z.string().max(512).describe('Where its management controller is.').optional(),
  hardware: hostHardware.describe('What the agent found.').optional(),
  claim: hostClaim.describe('Who has it.').optional(),
  reservedFor: z.string().max(253).describe('Kept for the next machine of this owner.').optional(),
});
export type RackHostStatus = z.infer<typeof rackHostStatus>;
