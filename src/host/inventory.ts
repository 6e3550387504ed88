/** What a physical server is made of, as the agent in its ramdisk reported it. */
import { z } from 'zod';

const bytes = z.number().int().nonnegative();
const short = z.string().max(256);

export const diskSchema = z.object({
  path: short,
  name: short,
  sizeBytes: bytes,
  model: short.optional(),
  serial: short.optional(),
  wwn: short.optional(),
  rotational: z.boolean().default(false),
  removable: z.boolean().default(false),
  readOnly: z.boolean().default(false),
  bus: short.optional(),
});
export const inventorySchema = z.object({
  uuid: short.optional(),
  serial: short.optional(),
  vendor: short.optional(),
  product: short.optional(),
  firmware: z.enum(['bios', 'uefi']),
  arch: short,
  cpu: z.object({ model: short, cores: z.number().int(), threads: z.number().int() }),
  memoryBytes: bytes,
  disks: z.array(diskSchema).max(256),
  nics: z
    .array(z.object({ name: short, mac: short, driver: short.optional(), speedMbps: z.number().optional(), linkUp: z.boolean() }))
    .max(128),
  /** PCI display controllers that compute: those by which BMCs and hypervisors show a console are left out. Agents of earlier releases tell none. */
  gpus: z
    .array(
      z.object({
        /** `0000:3b:00.0` */
        address: short,
        /** PCI IDs, four hex digits each: `10de`, `2330`. */
        vendor: short,
        device: short,
      }),
    )
    .max(128)
    .optional(),
});
export type Inventory = z.infer<typeof inventorySchema>;
export type Disk = z.infer<typeof diskSchema>;
