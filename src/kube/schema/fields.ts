/** Fields that several kinds share. Only what a structural schema can say (no unions, no unknowns); the rest is said in CEL (crd.ts). */
import { z } from 'zod';

/** RFC 1123 label. */
export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
export const providerId = z.string().min(1).max(512);
const int32 = (least: number, most = 2_147_483_647) => z.int32().min(least).max(most);
/** Both optional: a server-side apply of a topology leaves them out where they are empty. */
export const endpoint = z.object({ host: z.string().min(1).max(512).optional(), port: int32(1, 65_535).optional() });
export const address = z.object({
  type: z.enum(['Hostname', 'ExternalIP', 'InternalIP', 'ExternalDNS', 'InternalDNS']),
  address: z.string().min(1).max(256),
});
export const labelMap = z.record(z.string().max(317), z.string().max(63));
/** clusterv1.ObjectMeta: what a template puts on its machines. */
export const templateMeta = z.object({
  labels: labelMap.optional(),
  annotations: z.record(z.string().max(317), z.string().max(4096)).optional(),
});

/** metav1.Condition; a list-map by `type`. */
export const conditions = z
  .array(
    z.object({
      type: z.string().min(1).max(316),
      status: z.enum(['True', 'False', 'Unknown']),
      reason: z.string().min(1).max(1024),
      message: z.string().max(32_768),
      lastTransitionTime: z.string().meta({ format: 'date-time' }),
      observedGeneration: z.number().int().min(0).meta({ format: 'int64' }).optional(),
    }),
  )
  .max(32)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });
export const initialization = z.object({ provisioned: z.boolean().optional() });

/** `64Gi`, `500M`, `1024`. */
export const quantity = z
  .string()
  .max(32)
  .regex(/^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$/);
/** Which hosts may be taken; numbers are minimums. */
export const hostSelector = z.object({
  /** Any of these pools. Without it: every pool that the namespace may use. */
  pools: z.array(z.string().min(1).max(63)).max(16).optional(),
  matchLabels: labelMap.optional(),
  matchExpressions: z
    .array(
      z.object({
        key: z.string().min(1).max(317),
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(z.string().max(63)).max(64).optional(),
      }),
    )
    .max(32)
    .optional(),
  cores: int32(1).optional(),
  memory: quantity.optional(),
  /** Of the largest disk that may be written. */
  diskSize: quantity.optional(),
  disks: int32(1, 256).optional(),
  nics: int32(1, 128).optional(),
  gpus: int32(1, 64).optional(),
  arch: z.string().min(1).max(32).optional(),
  firmware: z.enum(['bios', 'uefi']).optional(),
  vendor: z.string().min(1).max(256).optional(),
  model: z.string().min(1).max(256).optional(),
});
/** Which disk of the host is written; without it the host must have exactly one that could be. */
export const diskRule = z.object({
  serial: z.string().min(1).max(256).optional(),
  wwn: z.string().min(1).max(256).optional(),
  minSize: quantity.optional(),
  maxSize: quantity.optional(),
  pick: z.enum(['Smallest', 'Largest']).optional(),
});
/** Where machines of one owner (control plane, MachineDeployment) come to stand, as seen from each other. */
export const placement = z.object({
  /** `failureDomain`, `rack`, or a label of the hosts. */
  by: z.string().min(1).max(317).default('failureDomain'),
  mode: z.enum(['Spread', 'RequireSpread', 'Together']).default('Spread'),
});
/** An address of Cluster API's IPAM contract, given to the OS as a static address of one interface. */
export const addressFromPool = z.object({
  /** Name of the interface as the OS is to call it. */
  interface: z.string().min(1).max(15),
  /** Found by the host's NIC that boots, when absent. */
  mac: z.string().max(17).optional(),
  pool: z.object({ apiGroup: z.string().min(1).max(253), kind: z.string().min(1).max(63), name: z.string().min(1).max(253) }),
  nameservers: z.array(z.string().max(64)).max(8).optional(),
});
