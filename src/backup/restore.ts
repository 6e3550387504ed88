/** A backup becomes a data folder again: everything is checked before the folder is there under its name. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { Files } from '../world/world.ts';
import { aboutName, backupFormat, databaseName, sumsName } from './make.ts';
import type { About } from './make.ts';
import { untar } from './tar.ts';
import type { TarEntry } from './tar.ts';

const aboutSchema = z.object({
  format: z.literal(backupFormat, 'another format: restore it with the Remuda that made it'),
  version: z.string(),
  schema: z.number(),
  madeAt: z.number(),
  sealedWith: z.string(),
  images: z.boolean(),
});
const smallMost = 64 * 1024 * 1024;

export interface RestoreParts {
  readonly files: Files;
  /** The archive, piece by piece. */
  readonly archive: AsyncIterable<Uint8Array>;
  /** An empty or missing folder; the archive is unpacked into it. */
  readonly into: string;
  /** The newest schema that this program knows. */
  readonly schemaVersion: number;
  /** Opens the unpacked database and throws where it is not sound, or its secrets do not open. */
  readonly tryDatabase: (path: string, about: About) => Promise<void>;
  readonly onProgress?: (doneBytes: number) => void;
}
export interface Restored {
  readonly about: About;
  readonly files: number;
  readonly bytes: number;
}

const parseAbout = (bytes: Uint8Array, known: number): About => {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new RemudaError('bad-request', 'this is no backup: it says nothing of itself', { cause });
  }
  const about = aboutSchema.safeParse(value);
  if (!about.success)
    throw new RemudaError('bad-request', `this backup cannot be read: ${about.error.issues[0]?.message ?? 'it says nothing of itself'}`);
  if (about.data.schema > known)
    throw new RemudaError(
      'bad-request',
      `this backup was made by a newer Remuda (${about.data.version}, schema ${about.data.schema}; this one knows ${known}): restore it with that one`,
    );
  return about.data;
};

/** Names that we write; nothing leaves the folder. */
const isOurs = (name: string): boolean =>
  name === databaseName || (/^images(\/[A-Za-z0-9][A-Za-z0-9._:-]{0,199})+$/.test(name) && !name.includes('..'));

interface Unpacking {
  readonly parts: RestoreParts;
  readonly sums: Map<string, string>;
  bytes: number;
}
async function* hashed(work: Unpacking, entry: TarEntry): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const bytes of entry.bytes) {
    hash.update(bytes);
    work.bytes += bytes.length;
    work.parts.onProgress?.(work.bytes);
    yield bytes;
  }
  work.sums.set(entry.name, hash.digest('hex'));
}
const readSmall = async (entry: TarEntry, bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  if (entry.sizeBytes > smallMost) throw new RemudaError('bad-request', `${entry.name} of the backup is too large`);
  return Buffer.concat(await Array.fromAsync(bytes));
};
const checkSums = (listed: string, sums: ReadonlyMap<string, string>): void => {
  const wanted = new Map(
    listed
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => [line.slice(66), line.slice(0, 64)]),
  );
  for (const [name, sum] of sums)
    if (wanted.get(name) !== sum) throw new RemudaError('bad-request', `${name} is damaged: its sum is not the one that the backup lists`);
  for (const name of wanted.keys()) if (!sums.has(name)) throw new RemudaError('bad-request', `${name} is missing in the backup`);
};

const unpack = async (work: Unpacking): Promise<About> => {
  const { parts, sums } = work;
  let about: About | undefined;
  for await (const entry of untar(parts.archive)) {
    if (entry.name === sumsName) {
      if (about === undefined || !sums.has(databaseName))
        throw new RemudaError('bad-request', 'this is no backup of Remuda: it holds no database');
      checkSums(new TextDecoder().decode(await readSmall(entry, entry.bytes)), sums);
      return about;
    }
    const bytes = hashed(work, entry);
    if (about === undefined) {
      if (entry.name !== aboutName) throw new RemudaError('bad-request', 'this is no backup of Remuda: it does not begin with about.json');
      about = parseAbout(await readSmall(entry, bytes), parts.schemaVersion);
      continue;
    }
    if (!isOurs(entry.name)) throw new RemudaError('bad-request', `${JSON.stringify(entry.name)} does not belong into a backup`);
    const path = `${parts.into}/${entry.name}`;
    await parts.files.makeFolder(path.slice(0, path.lastIndexOf('/')), entry.name === databaseName ? 0o700 : 0o755);
    await parts.files.write(path, bytes, entry.name === databaseName ? 0o600 : 0o644);
  }
  throw new RemudaError('bad-request', 'this is no whole backup: its list of sums is missing, so it was cut off');
};

/** Removes a folder with all that is below it. */
export const removeTree = async (files: Files, path: string): Promise<void> => {
  for (const name of await files.list(path)) {
    const below = `${path}/${name}`;
    if ((await files.stat(below))?.kind === 'directory') await removeTree(files, below);
    else await files.remove(below);
  }
  await files.remove(path);
};

/**
 * Unpacks a backup and proves it: every sum, the schema, the database itself. Where anything fails, `into` is empty again.
 * Throws `bad-request` for what is not a whole backup of ours, `disk-full`, and what `tryDatabase` throws.
 */
export const restoreBackup = async (parts: RestoreParts): Promise<Restored> => {
  const work: Unpacking = { parts, sums: new Map(), bytes: 0 };
  try {
    const about = await unpack(work);
    await parts.tryDatabase(`${parts.into}/${databaseName}`, about);
    return { about, files: work.sums.size - 1, bytes: work.bytes };
  } catch (error) {
    try {
      await removeTree(parts.files, parts.into);
    } catch (second) {
      throw new RemudaError(
        codeOf(error),
        `${reasonOf(error)}; and what was unpacked could not be removed from ${parts.into}: ${reasonOf(second)}`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
};
