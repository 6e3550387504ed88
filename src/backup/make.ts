/** A backup of a running daemon: a consistent copy of its database, its images, and their sums, as one archive. The key is not in it. */
import { createHash } from 'node:crypto';
import { RemudaError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { World } from '../world/world.ts';
import { tarOf } from './tar.ts';
import type { TarEntry } from './tar.ts';

export const backupFormat = 1;
/** Name of the last entry: without it a backup is not whole. */
export const sumsName = 'SHA256SUMS';
export const aboutName = 'about.json';
export const databaseName = 'remuda.db';
/** What a backup says of itself, first. */
export interface About {
  readonly format: typeof backupFormat;
  readonly version: string;
  readonly schema: number;
  /** ms since 1970 */
  readonly madeAt: number;
  /** The key that its secrets are sealed with; whoever restores needs it. */
  readonly sealedWith: string;
  readonly images: boolean;
}
export interface BackupParts {
  readonly world: Pick<World, 'files' | 'clock' | 'random'>;
  readonly store: Pick<Store, 'copyTo'>;
  /** The daemon's data folder. */
  readonly data: string;
  readonly about: Omit<About, 'format' | 'madeAt' | 'images'>;
}

const pieceBytes = 1024 * 1024;
type Files = World['files'];

async function* piecesOf(files: Files, path: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; offset += pieceBytes) {
    const bytes = await files.read(path, { offset, length: Math.min(pieceBytes, sizeBytes - offset) });
    yield bytes;
    if (bytes.length === 0) return;
  }
}
const entryOf = async (files: Files, path: string, name: string): Promise<TarEntry> => {
  const stat = await files.stat(path);
  if (stat === undefined) throw new RemudaError('conflict', `${name} went away while the backup was made; make it again`);
  return { name, sizeBytes: stat.sizeBytes, bytes: piecesOf(files, path, stat.sizeBytes) };
};

/** All plain files below, as paths from `folder`. What a killed write left behind (a name with a dot before it) is left out. */
async function* filesBelow(files: Files, folder: string, below = ''): AsyncGenerator<string> {
  for (const name of await files.list(`${folder}${below}`)) {
    if (name.startsWith('.')) continue;
    const path = `${below}/${name}`;
    if ((await files.stat(`${folder}${path}`))?.kind === 'directory') yield* filesBelow(files, folder, path);
    else yield path;
  }
}
const isChunk = (path: string): boolean => path.startsWith('/chunks/');
/** Chunks last: whatever a name or a manifest speaks of was on the shelf before it was written, so it is there when the chunks are read. */
const imageFiles = async (files: Files, folder: string): Promise<readonly string[]> => {
  const found = await Array.fromAsync(filesBelow(files, folder));
  return [...found.filter((path) => !isChunk(path)), ...found.filter(isChunk)];
};

const small = (name: string, text: string): TarEntry => {
  const bytes = new TextEncoder().encode(text);
  return {
    name,
    sizeBytes: bytes.length,
    bytes: (async function* () {
      yield bytes;
    })(),
  };
};

/** Notes the sum of each entry as it passes by, and adds them all at the end, as sha256sum(1) writes them. */
async function* withSums(entries: AsyncIterable<TarEntry>): AsyncGenerator<TarEntry> {
  const lines: string[] = [];
  for await (const entry of entries) {
    const hash = createHash('sha256');
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of entry.bytes) {
        hash.update(piece);
        yield piece;
      }
      lines.push(`${hash.digest('hex')}  ${entry.name}\n`);
    };
    yield { ...entry, bytes: bytes() };
  }
  yield small(sumsName, lines.join(''));
}

/**
 * The archive, piece by piece. The database is copied first, in one consistent state; the daemon goes on serving meanwhile.
 * Throws `disk-full` where the copy has no room, `conflict` where an image was removed meanwhile.
 */
export async function* backupOf(
  { world, store, data, about }: BackupParts,
  { images }: { readonly images: boolean },
): AsyncGenerator<Uint8Array> {
  const { files, clock, random } = world;
  const copy = `${data}/backup-${Buffer.from(random.bytes(6)).toString('hex')}.db`;
  try {
    await store.copyTo(copy);
    const madeAt = clock.now();
    const entries = async function* (): AsyncGenerator<TarEntry> {
      const said: About = { format: backupFormat, ...about, madeAt, images };
      yield small(aboutName, `${JSON.stringify(said)}\n`);
      yield await entryOf(files, copy, databaseName);
      if (!images) return;
      for (const path of await imageFiles(files, `${data}/images`)) yield await entryOf(files, `${data}/images${path}`, `images${path}`);
    };
    yield* tarOf(withSums(entries()), Math.floor(madeAt / 1000));
  } finally {
    await files.remove(copy);
  }
}

/** Removes the copies that backups left behind which were cut off by the end of the process. */
export const clearBackups = async (files: Files, data: string): Promise<void> => {
  for (const name of await files.list(data)) if (/^\.?backup-[0-9a-f]{12}\.db/.test(name)) await files.remove(`${data}/${name}`);
};
