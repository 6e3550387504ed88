/** The JSON of the admin API about the daemon itself: its status, its tokens, the audit log, health. Times are ms since 1970. */
import { z } from 'zod';

const time = z.number();
const roleJson = z.enum(['viewer', 'operator', 'admin']);
export const tokenWishSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, 'a name: letters, digits and . _ @ -, at most 64'),
  /** viewer: reads; operator: changes hosts, claims and images; admin: tokens and the audit log too. */
  role: roleJson,
  /** Without it the token is good until it is revoked. */
  expiresInSeconds: z.number().int().min(1).max(315_360_000).optional(),
});
export type TokenBody = z.input<typeof tokenWishSchema>;
/** Without the token itself: nobody but its holder knows it. */
export const tokenJson = z.object({
  id: z.string(),
  name: z.string(),
  role: roleJson,
  createdAt: time,
  expiresAt: time.nullable(),
  revokedAt: time.nullable(),
  /** Since the daemon started. */
  lastUsedAt: time.nullable(),
});
export type TokenJson = z.infer<typeof tokenJson>;
/** The one answer that has the token in it. */
export const newTokenJson = tokenJson.extend({ token: z.string() });
export type NewTokenJson = z.infer<typeof newTokenJson>;

export const auditRowJson = z.object({
  seq: z.number(),
  at: time,
  /** A token's name, or what the user of the socket says of itself. */
  actor: z.string(),
  /** The operation, as the description of the API names it. */
  action: z.string(),
  subject: z.string(),
  /** `ok`, or the code of the refusal; `dry-run` where it was only asked what would happen; `left` where nobody waited for its end, `begun` where the daemon ended before it was over. */
  outcome: z.string(),
  /** `dryRun` is true where nothing would have been changed, whatever the outcome. */
  detail: z.record(z.string(), z.unknown()).optional(),
});
export type AuditRowJson = z.infer<typeof auditRowJson>;

/** Not ready: status 503, and the reasons in plain words. */
export const readyJson = z.object({ ready: z.boolean(), reasons: z.array(z.string()) });
export const healthJson = z.object({ status: z.literal('ok') });

export const warningCodes = [
  'write-failed',
  'certificate-ends',
  'no-token',
  'provider-not-working',
  'clock-set-back',
  'no-carrier',
  'boot-program-missing',
  'other-dhcp-server',
  'disk-nearly-full',
  'unsigned-images',
  'key-beside-database',
] as const;
export const warningJson = z.object({
  level: z.enum(['warning', 'information']),
  code: z.enum(warningCodes),
  text: z.string(),
});
export type WarningJson = z.infer<typeof warningJson>;

/** What the daemon knows of itself; `doctor` reads it. */
export const statusJson = z.object({
  version: z.string(),
  startedAt: time,
  /** The daemon's clock. */
  now: time,
  /** Every port it should listen on: `dhcp`, `tftp`, `boot`, `agent`, `admin`. */
  listeners: z.array(z.object({ name: z.string(), at: z.string(), bound: z.boolean(), reason: z.string().optional() })),
  networks: z.array(
    z.object({
      interface: z.string(),
      subnet: z.string(),
      /** The daemon's own address there; null where the interface is missing or has none in the subnet. */
      address: z.string().nullable(),
      poolAddresses: z.number(),
      leasedAddresses: z.number(),
      /** It lies behind DHCP relays; `interface` and `address` are where they reach us. */
      relayed: z.boolean().optional(),
      /** DHCP servers heard on this interface lately that are not ours, the latest first. */
      otherServers: z
        .array(
          z.object({
            address: z.string(),
            mac: z.string().optional(),
            how: z.enum(['offered to us', 'answered a client', 'chosen by a client']),
            firstAt: time,
            lastAt: time,
            bootFile: z.string().optional(),
            nextServer: z.string().optional(),
            vendorClass: z.string().optional(),
          }),
        )
        .optional(),
    }),
  ),
  /** What hosts load first (`boot`), and the kernel and ramdisk of the agent (`agent`). */
  files: z.array(
    z.object({
      name: z.string(),
      purpose: z.enum(['boot', 'agent']),
      path: z.string(),
      present: z.boolean(),
      sizeBytes: z.number().optional(),
    }),
  ),
  /** Free space where images and the store live. */
  freeBytes: z.number(),
  /** What the daemon finds of itself, each a plain sentence with what to do: a `warning` is wrong, an `information` is a choice worth knowing. */
  warnings: z.array(warningJson),
});
export type StatusJson = z.infer<typeof statusJson>;

/** POST /v1/reload: settings that changed, by their paths. */
export const reloadJson = z.object({
  /** They hold from now on. */
  applied: z.array(z.string()),
  /** They hold after the next start. */
  restart: z.array(z.string()),
});
export type ReloadJson = z.infer<typeof reloadJson>;
