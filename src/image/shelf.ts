/** The shelf: where chunks, manifests and names lie on disk. Each is written whole or not at all; what names another thing is written after it. */
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { FileBody, World } from '../world/world.ts';
import { decodeChunk, encodeChunk } from './chunk.ts';
import { hexOf, isDigest, isSha256 } from './digest.ts';
import { encodeManifest, parseManifest } from './manifest.ts';
import type { Chunk, DataChunk, Manifest } from './manifest.ts';

export type ShelfWorld = Pick<World, 'files' | 'log' | 'clock'>;
/** A manifest of 65 536 chunks is 12 MB long. */
const manifestBytesMax = 64 * 1024 * 1024;

/** A name that is a file name anywhere, and that cannot be taken for the start of a digest. */
export const isImageName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name) && !/^[0-9a-f]{12,64}$/.test(name);

export class Shelf {
  readonly world: ShelfWorld;
  readonly #folder: string;

  constructor(world: ShelfWorld, folder: string) {
    this.world = world;
    this.#folder = folder;
  }

  /** Lets timers and sockets have their turn between two chunks. */
  breathe(): Promise<void> {
    return new Promise((resolve) => {
      this.world.clock.soon(resolve);
    });
  }

  // Chunks: chunks/ab/ab…

  #chunkPath(sha256: string): string {
    return `${this.#folder}/chunks/${sha256.slice(0, 2)}/${sha256}`;
  }

  /** undefined for what is no hash and for what is not stored. */
  async chunkFile(sha256: string): Promise<FileBody | undefined> {
    if (!isSha256(sha256)) return undefined;
    const file = this.#chunkPath(sha256);
    const stat = await this.world.files.stat(file);
    return stat?.kind === 'file' ? { file, offset: 0, length: stat.sizeBytes } : undefined;
  }

  /** Throws `image-invalid` where the chunk is missing, damaged or of another length than its manifest says. */
  async readChunk(chunk: DataChunk): Promise<Uint8Array> {
    const body = await this.chunkFile(chunk.sha256);
    if (body === undefined) throw new RemudaError('image-invalid', `chunk ${chunk.sha256} is missing`);
    if (body.length !== chunk.storedBytes)
      throw new RemudaError(
        'image-invalid',
        `chunk ${chunk.sha256} is damaged: its file has ${body.length} bytes instead of ${chunk.storedBytes}`,
      );
    return decodeChunk(chunk, await this.world.files.read(body.file, { offset: 0, length: body.length }));
  }

  /** Stores the bytes unless they are here already; `fresh` says whether a file was added. A damaged chunk is replaced. */
  async putChunk(bytes: Uint8Array): Promise<{ readonly chunk: Chunk; readonly fresh: boolean }> {
    const { chunk, stored } = encodeChunk(bytes);
    if (stored === undefined) return { chunk, fresh: false };
    const path = this.#chunkPath(chunk.sha256);
    const present = await this.world.files.stat(path);
    if (present !== undefined && (await this.#holds(path, present.sizeBytes, stored))) return { chunk, fresh: false };
    await this.world.files.makeFolder(`${this.#folder}/chunks/${chunk.sha256.slice(0, 2)}`);
    await this.world.files.write(path, stored);
    return { chunk, fresh: present === undefined };
  }

  async #holds(path: string, sizeBytes: number, stored: Uint8Array): Promise<boolean> {
    if (sizeBytes !== stored.length) return false;
    return Buffer.from(stored.buffer, stored.byteOffset, stored.length).equals(
      await this.world.files.read(path, { offset: 0, length: sizeBytes }),
    );
  }

  removeChunk(sha256: string): Promise<void> {
    return this.world.files.remove(this.#chunkPath(sha256));
  }

  /** Removes every chunk that is not among `kept`, and what a killed write left behind; returns how many files went. */
  async sweepChunks(kept: ReadonlySet<string>): Promise<number> {
    const { files } = this.world;
    let count = 0;
    for (const shard of await files.list(`${this.#folder}/chunks`)) {
      for (const name of await files.list(`${this.#folder}/chunks/${shard}`)) {
        if (kept.has(name)) continue;
        await files.remove(`${this.#folder}/chunks/${shard}/${name}`);
        count++;
      }
    }
    return count;
  }

  // Manifests: manifests/<hex>.json

  #manifestPath(digest: string): string {
    return `${this.#folder}/manifests/${hexOf(digest)}.json`;
  }

  /** The digests of all manifests, sorted. */
  async digests(): Promise<readonly string[]> {
    const names = await this.world.files.list(`${this.#folder}/manifests`);
    return names.filter((name) => /^[0-9a-f]{64}\.json$/.test(name)).map((name) => `sha256:${name.slice(0, 64)}`);
  }

  /** Throws `image-not-found`, and `image-invalid` where the file is damaged. */
  async manifest(digest: string): Promise<Manifest> {
    const stat = isDigest(digest) ? await this.world.files.stat(this.#manifestPath(digest)) : undefined;
    if (stat === undefined) throw new RemudaError('image-not-found', `there is no image ${digest}`, { values: { digest } });
    try {
      if (stat.sizeBytes > manifestBytesMax) throw new RemudaError('image-invalid', `the manifest has ${stat.sizeBytes} bytes`);
      const bytes = await this.world.files.read(this.#manifestPath(digest), { offset: 0, length: stat.sizeBytes });
      const manifest = parseManifest(new TextDecoder().decode(bytes));
      if (manifest.digest !== digest) throw new RemudaError('image-invalid', `the manifest is that of ${manifest.digest}`);
      return manifest;
    } catch (cause) {
      if (codeOf(cause) !== 'image-invalid') throw cause;
      throw new RemudaError('image-invalid', `image ${digest} cannot be used: ${reasonOf(cause)}. Import it again`, {
        cause,
        values: { digest },
      });
    }
  }

  /** ms since 1970 of the manifest's last write; 0 where there is none. */
  async manifestWrittenAt(digest: string): Promise<number> {
    return Math.round((await this.world.files.stat(this.#manifestPath(digest)))?.modifiedMs ?? 0);
  }

  async putManifest(manifest: Manifest): Promise<void> {
    await this.world.files.makeFolder(`${this.#folder}/manifests`);
    await this.world.files.write(this.#manifestPath(manifest.digest), encodeManifest(manifest));
  }

  removeManifest(digest: string): Promise<void> {
    return this.world.files.remove(this.#manifestPath(digest));
  }

  // Names: names/<name>, a pointer to a digest

  /** Name → where it points and since when, sorted by name. What is no pointer is left out. */
  async names(): Promise<ReadonlyMap<string, { readonly digest: string; readonly since: number }>> {
    const found = new Map<string, { digest: string; since: number }>();
    for (const name of await this.world.files.list(`${this.#folder}/names`)) {
      if (!isImageName(name)) continue;
      const path = `${this.#folder}/names/${name}`;
      const stat = await this.world.files.stat(path);
      if (stat === undefined) continue;
      const digest = new TextDecoder().decode(await this.world.files.read(path, { offset: 0, length: 128 })).trim();
      if (isDigest(digest)) found.set(name, { digest, since: Math.round(stat.modifiedMs) });
      else this.world.log.warn('an image name points nowhere; import the image again under this name', { name });
    }
    return found;
  }

  async putName(name: string, digest: string): Promise<void> {
    await this.world.files.makeFolder(`${this.#folder}/names`);
    await this.world.files.write(`${this.#folder}/names/${name}`, `${digest}\n`);
  }

  removeName(name: string): Promise<void> {
    return this.world.files.remove(`${this.#folder}/names/${name}`);
  }
}
