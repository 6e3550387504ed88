/** PacketCluster, PacketMachine and their templates (v1beta1): what cluster-api-provider-packet v0.9.0 had, and what our own kinds have. */
import { z } from 'zod';
import { machineSpec, machineTemplateStatus } from './bare-metal.ts';
import { address, endpoint, hostFacts, initialization, int64, observedGeneration, providerId, templateMeta } from './fields.ts';
import { claimIdIsFixed, fixed, hostOrSelector, notBoth, notInTemplates, providerIdIsFixed, ruled } from './rules.ts';

const metro = z.string().max(63);
const oneOfBoth = notBoth('metro', 'facility', 'say where it is to stand once');
/** Conditions as Cluster API v1beta1 had them lack reason and message where all is well; objects of the old provider must stay valid. */
const looseConditions = z
  .array(
    z.object({
      type: z.string().min(1).max(316).describe('What it is about, in CamelCase.'),
      status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is so.'),
      severity: z.string().max(32).describe('Of the old conditions; not written any more.').optional(),
      reason: z.string().max(1024).describe('Why, in one CamelCase word.').optional(),
      message: z.string().max(32_768).describe('Why, for people.').optional(),
      lastTransitionTime: z.string().meta({ format: 'date-time' }).describe('Since when.'),
      observedGeneration: int64.describe('The generation of the object that it speaks of.').optional(),
    }),
  )
  .max(32)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .describe('What is so and what is not, each with its reason; Ready sums them up.');

/** Without the rules about change: templates have others. */
const machineFields = z.object({
  os: z.string().max(128).describe('The OS: the image of this name, unless image names another. custom_ipxe is refused.'),
  machineType: z.string().max(63).describe('The plan: hosts whose label plan has this value.'),
  billingCycle: z.string().max(32).describe('Has no effect: nobody is billed.').optional(),
  sshKeys: z
    .array(z.string().max(16_384))
    .max(64)
    .describe("Public keys that may log in as the image's own user; empty ones are none.")
    .optional(),
  facility: metro.describe('Hosts whose label facility has this value. Overrides the PacketCluster.').optional(),
  metro: metro.describe('Hosts whose label metro has this value. Overrides the PacketCluster.').optional(),
  ipxeURL: z.string().max(2048).describe('Refused: hosts run images of the rack, not scripts from elsewhere.').optional(),
  hardwareReservationID: z
    .string()
    .max(4096)
    .describe('A host by name, ID or label reservation; a list with commas, tried in order; next-available: any with that label.')
    .optional(),
  providerID: providerId.describe('equinixmetal://<claim ID>; written by the controller.').optional(),
  tags: z.array(z.string().max(256)).max(256).describe('Told to the OS in its meta-data.').optional(),
  // What follows the old provider did not have.
  image: machineSpec.shape.image.optional(),
  ...machineSpec.pick({
    claimID: true,
    hostName: true,
    host: true,
    hostSelector: true,
    disk: true,
    placement: true,
    nodeReuse: true,
    provisionTimeoutSeconds: true,
    addressesFromPools: true,
    whenNotInPlace: true,
  }).shape,
});
export const packetMachineSpec = machineFields.meta(ruled(claimIdIsFixed, providerIdIsFixed, hostOrSelector, oneOfBoth));
export type PacketMachineSpec = z.infer<typeof packetMachineSpec>;

export const packetMachineStatus = z.object({
  ready: z.boolean().describe('The host runs its image; for Cluster API v1beta1.').optional(),
  initialization: initialization.optional(),
  addresses: z.array(address).max(128).describe('Addresses of the host, for the Machine.').optional(),
  instanceStatus: z.string().max(63).describe('queued, provisioning, active, errored, deprovisioning or off.').optional(),
  failureReason: z.string().max(1024).describe('Of the old provider; not written any more.').optional(),
  failureMessage: z.string().max(32_768).describe('Of the old provider; not written any more.').optional(),
  failureDomain: z.string().min(1).max(256).describe('Where the host stands.').optional(),
  conditions: looseConditions.optional(),
  ...hostFacts,
  observedGeneration,
});
export type PacketMachineStatus = z.infer<typeof packetMachineStatus>;

export const packetMachineTemplateSpec = z.object({
  template: z.object({
    metadata: templateMeta.optional(),
    spec: machineFields.meta(ruled(notInTemplates('claimID'), notInTemplates('providerID'), hostOrSelector, oneOfBoth)),
  }),
});
export const packetMachineTemplateStatus = machineTemplateStatus;

const clusterFields = z.object({
  projectID: z.string().max(256).describe('Has no effect on which hosts are taken; it is kept for manifests and user data that name it.'),
  facility: metro.describe('Hosts whose label facility has this value.').optional(),
  metro: metro.describe('Hosts whose label metro has this value.').optional(),
  controlPlaneEndpoint: endpoint.optional(),
  vipManager: z
    .enum(['CPEM', 'KUBE_VIP', 'EMLB'])
    .default('CPEM')
    .describe('Who holds the endpoint. Its address must be given, or come from a pool that an annotation names: none can be bought here.'),
});
export const packetClusterSpec = clusterFields.meta(
  ruled(fixed('projectID', 'as it was with the old provider'), fixed('vipManager', 'as it was with the old provider'), oneOfBoth),
);
export type PacketClusterSpec = z.infer<typeof packetClusterSpec>;
export const packetClusterStatus = z.object({
  ready: z.boolean().describe('The cluster has its endpoint; for Cluster API v1beta1.').optional(),
  initialization: initialization.optional(),
  conditions: looseConditions.optional(),
  observedGeneration,
});
export type PacketClusterStatus = z.infer<typeof packetClusterStatus>;
export const packetClusterTemplateSpec = z.object({
  template: z.object({ metadata: templateMeta.optional(), spec: clusterFields.meta(ruled(oneOfBoth)) }),
});
