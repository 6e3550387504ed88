/** Secrets at rest: what must not be read from a stolen database or backup is sealed with AES-256-GCM under a key that is kept elsewhere. */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { RemudaError } from '../errors.ts';
import type { Random } from '../world/world.ts';

/** A key of 32 bytes and its short name, which stands in every word sealed with it. */
export interface SealKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

const nonceBytes = 12;
const tagBytes = 16;
/** What every sealed word begins with. */
export const sealedPrefix = 'sealed:1:';

/** From 64 hex digits or 44 characters of base64, as `openssl rand -hex 32` writes them; `bad-config` names `place`. */
export const parseSealKey = (text: string, place: string): SealKey => {
  const trimmed = text.trim();
  const bytes = /^[0-9a-fA-F]{64}$/.test(trimmed)
    ? Buffer.from(trimmed, 'hex')
    : /^[A-Za-z0-9+/]{43}=$/.test(trimmed)
      ? Buffer.from(trimmed, 'base64')
      : undefined;
  if (bytes === undefined)
    throw new RemudaError('bad-config', `${place} holds no key: 64 hex digits, as \`openssl rand -hex 32\` writes them, on one line`, {
      next: 'put the key there as it was made, or name the file that has it; a new key does not open what another one sealed',
    });
  return { id: createHash('sha256').update('remuda key\n').update(bytes).digest('hex').slice(0, 8), bytes };
};

/** The key that a word was sealed with; undefined for one that is not sealed. */
const keyOf = (word: string): string | undefined =>
  word.startsWith(sealedPrefix) ? word.slice(sealedPrefix.length, sealedPrefix.length + 8) : undefined;

/**
 * Seals under the first key and opens under any of them, so that a key can be changed. `place` says where the word stands: it is
 * authenticated with it, so that a sealed word moved to another host's record does not open there (NIST SP 800-38D: additional data).
 */
export class Sealer {
  readonly #random: Pick<Random, 'bytes'>;
  readonly #keys: ReadonlyMap<string, SealKey>;
  readonly #first: SealKey;
  constructor(keys: readonly [SealKey, ...SealKey[]], random: Pick<Random, 'bytes'>) {
    this.#first = keys[0];
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#random = random;
  }
  get keyId(): string {
    return this.#first.id;
  }
  /** Is it sealed, and under the key that new words are sealed with? */
  isCurrent(word: string): boolean {
    return keyOf(word) === this.#first.id;
  }
  seal(text: string, place: string): string {
    const nonce = this.#random.bytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#first.bytes, nonce).setAAD(Buffer.from(place));
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${sealedPrefix}${this.#first.id}:${sealed.toString('base64')}`;
  }
  /** A word that was never sealed (an older database's) is returned as it is. Throws `bad-config` without its key, `internal` where it was changed. */
  open(word: string, place: string): string {
    const id = keyOf(word);
    if (id === undefined) return word;
    const key = this.#keys.get(id);
    if (key === undefined)
      throw new RemudaError(
        'bad-config',
        `The secrets of the database are sealed with key ${id}, and the daemon was given ${[...this.#keys.keys()].join(', ')}. Give it the key that belongs to this database (keyFile, or --key-file).`,
        {
          values: { sealedWith: id, place },
          next: `find the file with key ${id}: the daemon names it as keyFile in its configuration, a restore by --key-file`,
        },
      );
    const bytes = Buffer.from(word.slice(sealedPrefix.length + id.length + 1), 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
        .setAAD(Buffer.from(place))
        .setAuthTag(bytes.subarray(-tagBytes));
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new RemudaError(
        'internal',
        `The sealed secret at ${place} does not open: it was changed, or belongs elsewhere. Restore a backup.`,
        {
          cause,
          values: { place },
        },
      );
    }
  }
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where the record of a host holds secrets; a new one belongs here and nowhere else. */
const secretPaths: readonly (readonly string[])[] = [
  ['bmc', 'password'],
  ['claim', 'intent', 'userData'],
];
const changeAt = (fields: Fields, [name, ...rest]: readonly string[], change: (text: string) => string): Fields => {
  if (name === undefined) return fields;
  const value = fields[name];
  if (rest.length > 0) return isFields(value) ? { ...fields, [name]: changeAt(value, rest, change) } : fields;
  return typeof value === 'string' ? { ...fields, [name]: change(value) } : fields;
};
/** The record with each of its secrets changed; what is not there stays away. */
export const changeSecrets = (record: Fields, change: (word: string, place: string) => string): Fields =>
  secretPaths.reduce(
    (fields, path) => changeAt(fields, path, (word) => change(word, `host ${String(record['id'])} ${path.join('.')}`)),
    record,
  );
/** Where a setting's value stands, for its seal. */
export const settingPlace = (name: string): string => `setting ${name}`;
