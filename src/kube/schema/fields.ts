/** Fields that several kinds share. Only what a structural schema can say (no unions, no unknowns); the rest is said in CEL (rules.ts). */
import { z } from 'zod';
import { diskRuleSaysSomething, diskSizesFit, expressionHasValues, ruled } from './rules.ts';

/** RFC 1123 label. */
export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
export const providerId = z.string().min(1).max(512);
const int32 = (least: number, most = 2_147_483_647) => z.int32().min(least).max(most);
/** Both optional: a server-side apply of a topology leaves them out where they are empty. */
export const endpoint = z
  .object({
    host: z.string().min(1).max(512).describe('Name or address of the API server.').optional(),
    port: int32(1, 65_535).describe('Its TCP port.').optional(),
  })
  .describe('Where the API server of the cluster is reached.');
export const address = z.object({
  type: z.enum(['Hostname', 'ExternalIP', 'InternalIP', 'ExternalDNS', 'InternalDNS']).describe('What kind of address.'),
  address: z.string().min(1).max(256).describe('The address itself.'),
});
export const labelMap = z
  .record(z.string().max(317), z.string().max(63))
  .meta({ maxProperties: 64 })
  .describe('Labels as Kubernetes has them.');
/** clusterv1.ObjectMeta: what a template puts on its machines. */
export const templateMeta = z
  .object({
    labels: labelMap.optional(),
    annotations: z
      .record(z.string().max(317), z.string().max(4096))
      .meta({ maxProperties: 64 })
      .describe('Annotations as Kubernetes has them.')
      .optional(),
  })
  .describe('Labels and annotations of what is made from the template.');
export const int64 = z.number().int().min(0).meta({ format: 'int64' });

/** metav1.Condition; a list-map by `type`. */
export const conditions = z
  .array(
    z.object({
      type: z.string().min(1).max(316).describe('What it is about, in CamelCase.'),
      status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is so.'),
      reason: z.string().min(1).max(1024).describe('Why, in one CamelCase word.'),
      message: z.string().max(32_768).describe('Why, for people.'),
      lastTransitionTime: z.string().meta({ format: 'date-time' }).describe('Since when.'),
      observedGeneration: int64.describe('The generation of the object that it speaks of.').optional(),
    }),
  )
  .max(32)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .describe('What is so and what is not, each with its reason; Ready sums them up.');
export const initialization = z
  .object({ provisioned: z.boolean().describe('It is there for the first time; never false again.').optional() })
  .describe('What Cluster API waits for.');

/** `64Gi`, `500M`, `1024`. */
export const quantity = z
  .string()
  .max(32)
  .regex(/^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$/);
const labelExpression = z
  .object({
    key: z.string().min(1).max(317).describe('Key of the label.'),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How it is compared.'),
    values: z.array(z.string().max(63)).max(64).describe('For In and NotIn.').optional(),
  })
  .meta(ruled(expressionHasValues));
/** Which hosts may be taken; numbers are minimums. */
export const hostSelector = z
  .object({
    pools: z
      .array(z.string().min(1).max(63))
      .max(16)
      .describe('Any of these pools. Without it: every pool that the namespace may use.')
      .optional(),
    matchLabels: labelMap.describe('Labels that the host must have.').optional(),
    matchExpressions: z.array(labelExpression).max(32).describe('All of them must hold for the labels of the host.').optional(),
    cores: int32(1).describe('At least so many CPU cores.').optional(),
    memory: quantity.describe('At least so much memory, such as 64Gi.').optional(),
    diskSize: quantity.describe('The largest disk that may be written has at least this size.').optional(),
    disks: int32(1, 256).describe('At least so many disks.').optional(),
    nics: int32(1, 128).describe('At least so many network interfaces.').optional(),
    gpus: int32(1, 64).describe('At least so many GPUs.').optional(),
    arch: z.string().min(1).max(32).describe('Architecture of the CPU, such as x86_64.').optional(),
    firmware: z.enum(['bios', 'uefi']).describe('How the host boots.').optional(),
    vendor: z.string().min(1).max(256).describe('Of the server, in any case of letters.').optional(),
    model: z.string().min(1).max(256).describe('Of the server, in any case of letters.').optional(),
  })
  .describe('What the host must be like. Numbers are minimums.');
export const diskRule = z
  .object({
    serial: z.string().min(1).max(256).describe('The disk with this serial number.').optional(),
    wwn: z.string().min(1).max(256).describe('The disk with this World Wide Name.').optional(),
    minSize: quantity.describe('At least this size.').optional(),
    maxSize: quantity.describe('At most this size.').optional(),
    pick: z.enum(['Smallest', 'Largest']).describe('Which one where several match; without it several are refused.').optional(),
  })
  .describe('Which disk of the host is written. Without it the host must have exactly one that could be.')
  .meta(ruled(diskRuleSaysSomething, diskSizesFit));
/** Where machines of one owner (control plane, MachineDeployment) come to stand, as seen from each other. */
export const placement = z
  .object({
    by: z.string().min(1).max(317).default('failureDomain').describe('failureDomain, rack, or the key of a label of the hosts.'),
    mode: z
      .enum(['Spread', 'RequireSpread', 'Together'])
      .default('Spread')
      .describe('Spread: where the fewest are; RequireSpread: only where none is; Together: only where one is, if there is one.'),
  })
  .describe('Where machines of one control plane or MachineDeployment come to stand, as seen from each other.');
export const poolReference = z
  .object({
    apiGroup: z.string().min(1).max(253).describe('Such as ipam.cluster.x-k8s.io.'),
    kind: z.string().min(1).max(63).describe('Such as InClusterIPPool.'),
    name: z.string().min(1).max(253).describe('Of the pool; in the same namespace where its kind has namespaces.'),
  })
  .describe('A pool of addresses of an IPAM provider of Cluster API.');
/** An address of Cluster API's IPAM contract, given to the OS as a static address of one interface. */
export const addressFromPool = z.object({
  interface: z.string().min(1).max(15).describe('Name of the interface as the OS is to call it.'),
  mac: z.string().max(17).describe('MAC address of the interface; the one that the host boots from when absent.').optional(),
  pool: poolReference,
  nameservers: z.array(z.string().max(64)).max(8).describe('DNS servers that the OS asks.').optional(),
});
/** Of any status. */
export const observedGeneration = int64.describe('The generation that this status speaks of.').optional();
/** What every kind of machine tells of its host. */
export const hostFacts = {
  host: z
    .object({
      name: z.string().max(64).describe('Its name in the rack.'),
      id: z.string().max(64).describe('Its ID in the rack.'),
      state: z.string().max(32).describe('Such as provisioning or provisioned.'),
      power: z.string().max(16).describe('on, off or unknown.'),
    })
    .describe('The host, for people; what counts is the claim.')
    .optional(),
  claimGeneration: z.int32().min(0).describe('Generation of the claim: each re-image is the next one.').optional(),
  imageDigest: z.string().max(128).describe('Digest of the image that was read back from the disk.').optional(),
};
