/** The shelf: where chunks, manifests and names lie on disk. Each is written whole or not at all; what names another thing is written after it. */
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { FileBody, World } from '../world/world.ts';
import { decodeChunk, encodeChunk } from './chunk.ts';
import { hexOf, isDigest, isSha256 } from './digest.ts';
import { encodeManifest, parseManifest } from './manifest.ts';
import type { Chunk, DataChunk, Manifest } from './manifest.ts';
import { encodeSignatureFile, parseSignatureFile, signatureFileBytesMax } from './signature.ts';
import type { Signature } from './signature.ts';

export type ShelfWorld = Pick<World, 'files' | 'log' | 'clock'>;
/** A manifest of 65 536 chunks is 12 MB long. */
const manifestBytesMax = 64 * 1024 * 1024;

/** A name that is a file name anywhere, and that cannot be taken for the start of a digest. */
export const isImageName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name) && !/^[0-9a-f]{12,64}$/.test(name);

/** What a sweep took away, or would take. */
export interface Swept {
  readonly files: number;
  readonly bytes: number;
}

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

  /** Removes every chunk that is not among `kept`, what a killed write or download left behind, and signatures of images that are gone. */
  async sweep(kept: ReadonlySet<string>, dryRun: boolean): Promise<Swept> {
    const swept = { files: 0, bytes: 0 };
    for (const path of await this.#rubbish(kept)) {
      const stat = await this.world.files.stat(path);
      if (stat?.kind === 'file') {
        swept.files++;
        swept.bytes += stat.sizeBytes;
      }
      if (!dryRun) await this.world.files.remove(path);
    }
    return swept;
  }

  async #rubbish(kept: ReadonlySet<string>): Promise<string[]> {
    const { files } = this.world;
    const found: string[] = [];
    for (const shard of await files.list(`${this.#folder}/chunks`))
      for (const name of await files.list(`${this.#folder}/chunks/${shard}`))
        if (!kept.has(name)) found.push(`${this.#folder}/chunks/${shard}/${name}`);
    const manifests = new Set(await this.digests());
    for (const name of await files.list(`${this.#folder}/manifests`)) {
      const isLeft = name.startsWith('.') || (name.endsWith('.sig') && !manifests.has(`sha256:${name.slice(0, 64)}`));
      if (isLeft) found.push(`${this.#folder}/manifests/${name}`);
    }
    for (const name of await files.list(`${this.#folder}/names`)) if (name.startsWith('.')) found.push(`${this.#folder}/names/${name}`);
    for (const spool of await this.spools()) {
      if (this.#openSpools.has(spool)) continue;
      for (const name of await files.list(spool)) found.push(`${spool}/${name}`);
      found.push(spool);
    }
    return found;
  }

  // Downloads: .incoming/<id>/…, in pieces, each written whole; a backup passes by what begins with a dot

  readonly #openSpools = new Set<string>();
  #spoolNumber = 0;

  /** All folders of downloads, also those that a killed process left. */
  async spools(): Promise<readonly string[]> {
    const names = await this.world.files.list(`${this.#folder}/.incoming`);
    return names.map((name) => `${this.#folder}/.incoming/${name}`);
  }

  /** A folder of its own for one download; `close` takes it away with all that is in it. */
  async openSpool(): Promise<{ readonly folder: string; close(): Promise<void> }> {
    const { files } = this.world;
    let folder: string;
    do folder = `${this.#folder}/.incoming/${++this.#spoolNumber}`;
    while ((await files.stat(folder)) !== undefined || this.#openSpools.has(folder));
    this.#openSpools.add(folder);
    await files.makeFolder(folder, 0o700);
    return {
      folder,
      close: async () => {
        for (const name of await files.list(folder)) await files.remove(`${folder}/${name}`);
        await files.remove(folder);
        this.#openSpools.delete(folder);
      },
    };
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

  // Signatures: manifests/<hex>.sig

  #signaturePath(digest: string): string {
    return `${this.#folder}/manifests/${hexOf(digest)}.sig`;
  }

  /** None where there are none; damaged ones are logged and count for nothing. */
  async signatures(digest: string): Promise<readonly Signature[]> {
    const path = this.#signaturePath(digest);
    if (!isDigest(digest) || (await this.world.files.stat(path)) === undefined) return [];
    const bytes = await this.world.files.read(path, { offset: 0, length: signatureFileBytesMax });
    try {
      return parseSignatureFile(new TextDecoder().decode(bytes)).signatures;
    } catch (error) {
      if (codeOf(error) !== 'signature-invalid') throw error;
      this.world.log.warn('the signatures of an image cannot be read; import it again with its signature', {
        digest,
        reason: reasonOf(error),
      });
      return [];
    }
  }

  async putSignatures({ digest, chunkBytes }: Manifest, signatures: readonly Signature[]): Promise<void> {
    await this.world.files.makeFolder(`${this.#folder}/manifests`);
    await this.world.files.write(
      this.#signaturePath(digest),
      encodeSignatureFile({ format: 1, digest, chunkBytes, signatures: [...signatures] }),
    );
  }

  removeSignatures(digest: string): Promise<void> {
    return this.world.files.remove(this.#signaturePath(digest));
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
