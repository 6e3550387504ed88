/** What an owner has the OS told in its `meta-data`, beside what the daemon says there: an instance id, public keys, tags, a provider ID. */
import { z } from 'zod';
import { limits } from '../limits.ts';

/** What only the daemon says: who the host is for it, and where it tells that it is up. */
const reserved: ReadonlySet<string> = new Set(['local-hostname', 'claim_id', 'remuda-phone-home', 'remuda-report-failure']);
const name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'a name: lower-case letters, digits, hyphens and underscores, at most 63')
  .refine((text) => !reserved.has(text), 'another name: this one the daemon says itself');
/** What reads it in a small image is a shell script, so a value is one line. */
const line = z
  .string()
  .max(16 * 1024)
  .regex(/^\P{Cc}*$/u, 'one line without control characters');
/** Of cloud-init's own `instance-id`, `public-keys`; of ours `provider_id`; anything else under a name of one's own. */
export const metaDataSchema = z
  .record(name, z.union([line, z.array(line).max(512)]))
  .refine((fields) => Buffer.byteLength(JSON.stringify(fields)) <= limits.metaDataBytes, `at most ${limits.metaDataBytes} bytes`);
export type MetaData = Readonly<Record<string, string | readonly string[]>>;
