/** The JSON of the admin API about the daemon's own door: tokens, the audit log, health. Times are ms since 1970. */
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
  /** `ok`, or the code of the refusal; `begun` where the daemon ended before it was over. */
  outcome: z.string(),
  detail: z.record(z.string(), z.unknown()).optional(),
});
export type AuditRowJson = z.infer<typeof auditRowJson>;

/** Not ready: status 503, and the reasons in plain words. */
export const readyJson = z.object({ ready: z.boolean(), reasons: z.array(z.string()) });
export const healthJson = z.object({ status: z.literal('ok') });
