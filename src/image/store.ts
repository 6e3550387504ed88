/** The image store: immutable images by digest, names that point to them, and their chunks by hash. */
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { FileBody } from '../world/world.ts';
import { hexOf } from './digest.ts';
import { importImage } from './import.ts';
import type { ImageLimits, ImportOptions, Progress } from './import.ts';
import { isZeroChunk, storedBytesOf } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import { Shelf } from './shelf.ts';
import type { ShelfWorld } from './shelf.ts';
import type { ImageSource } from './source.ts';
import { verifyImage } from './verify.ts';
import type { VerifyReport } from './verify.ts';

export interface ImageEntry extends Pick<Manifest, 'digest' | 'sizeBytes' | 'seed' | 'firmware' | 'phoneHome'> {
  /** Where no name points to the image: the first 12 hex digits of its digest, which `find` and `remove` take as well. */
  readonly name: string;
  /** What its chunks occupy; images share equal chunks, so the sum over images may be more than the disk holds. */
  readonly storedBytes: number;
  /** ms since 1970 */
  readonly importedAt: number;
}

export interface ImageStore {
  /** By name, then those without a name. A damaged manifest is logged and left out. */
  list(): Promise<readonly ImageEntry[]>;
  /** By name, by digest, or by at least its first 12 hex digits, with or without `sha256:`. Throws `image-not-found`, `bad-request` (ambiguous), `image-invalid`. */
  find(nameOrDigest: string): Promise<ImageEntry>;
  /** By full digest. Throws `image-not-found`, `image-invalid`. */
  manifest(digest: string): Promise<Manifest>;
  /** The chunk's file, encoded as the manifest says; undefined where there is none. */
  chunkFile(sha256: string): Promise<FileBody | undefined>;
  /** Imports and removals run one after another. Throws what `importImage` says. */
  import(source: ImageSource, options: ImportOptions): Promise<ImageEntry>;
  /** Reads every chunk back. */
  verify(digest: string, onProgress?: (progress: Progress) => void): Promise<VerifyReport>;
  /** Takes the name away, and the image with it when it was its last one. An image without a name is removed by its digest. Throws `image-not-found`, `conflict`. */
  remove(nameOrDigest: string): Promise<void>;
  /** Removes the chunks that no manifest names (left by imports that were killed) and returns how many files went. */
  collect(): Promise<number>;
}

/** The store in this folder, which is made when the first image comes. One process at a time may write to it. */
export const openImageStore = (world: ShelfWorld, folder: string, limits: ImageLimits): ImageStore =>
  new FolderStore(world, folder, limits);

/** As long as an abbreviated digest must be. */
const prefixDigits = 12;

class FolderStore implements ImageStore {
  readonly #shelf: Shelf;
  readonly #limits: ImageLimits;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(world: ShelfWorld, folder: string, limits: ImageLimits) {
    this.#shelf = new Shelf(world, folder);
    this.#limits = limits;
  }

  async list(): Promise<readonly ImageEntry[]> {
    const names = await this.#shelf.names();
    const named = new Set([...names.values()].map(({ digest }) => digest));
    const wanted = [
      ...[...names].map(([name, { digest, since }]) => ({ name, digest, since })),
      ...(await this.#shelf.digests())
        .filter((digest) => !named.has(digest))
        .map((digest) => ({ name: undefined, digest, since: undefined })),
    ];
    const entries: ImageEntry[] = [];
    for (const { name, digest, since } of wanted) {
      try {
        entries.push(await this.#entry(digest, name, since));
      } catch (error) {
        if (codeOf(error) !== 'image-invalid' && codeOf(error) !== 'image-not-found') throw error;
        this.#shelf.world.log.warn('an image cannot be used', { name, digest, reason: reasonOf(error) });
      }
    }
    return entries;
  }

  async find(nameOrDigest: string): Promise<ImageEntry> {
    const { name, digest, since } = await this.#resolve(nameOrDigest);
    return this.#entry(digest, name, since);
  }

  manifest(digest: string): Promise<Manifest> {
    return this.#shelf.manifest(digest);
  }

  chunkFile(sha256: string): Promise<FileBody | undefined> {
    return this.#shelf.chunkFile(sha256);
  }

  import(source: ImageSource, options: ImportOptions): Promise<ImageEntry> {
    return this.#inTurn(async () => {
      const { digest, sizeBytes } = await importImage(this.#shelf, source, options, this.#limits);
      this.#shelf.world.log.info('imported an image', { name: options.name, digest, sizeBytes });
      return this.find(options.name);
    });
  }

  async verify(digest: string, onProgress?: (progress: Progress) => void): Promise<VerifyReport> {
    return verifyImage(this.#shelf, await this.#shelf.manifest(digest), onProgress);
  }

  remove(nameOrDigest: string): Promise<void> {
    return this.#inTurn(async () => {
      const { name, digest } = await this.#resolve(nameOrDigest);
      const names = [...(await this.#shelf.names())].filter(([, pointer]) => pointer.digest === digest).map(([other]) => other);
      if (name === undefined && names.length > 0)
        throw new RemudaError('conflict', `image ${digest} is still named ${names.join(', ')}; remove the names`, { values: { names } });
      if (name !== undefined) await this.#shelf.removeName(name);
      if (names.some((other) => other !== name)) return;
      await this.#shelf.removeManifest(digest);
      this.#shelf.world.log.info('removed an image', { name, digest });
      await this.#sweep();
    });
  }

  collect(): Promise<number> {
    return this.#inTurn(() => this.#sweep());
  }

  /** A manifest that cannot be read may name any chunk: then nothing is swept. */
  async #sweep(): Promise<number> {
    const kept = new Set<string>();
    try {
      for (const digest of await this.#shelf.digests())
        for (const chunk of (await this.#shelf.manifest(digest)).chunks) if (!isZeroChunk(chunk)) kept.add(chunk.sha256);
    } catch (error) {
      if (codeOf(error) !== 'image-invalid') throw error;
      this.#shelf.world.log.warn('chunks are kept because an image cannot be read', { reason: reasonOf(error) });
      return 0;
    }
    return this.#shelf.sweepChunks(kept);
  }

  async #resolve(wanted: string): Promise<{ name: string | undefined; digest: string; since: number | undefined }> {
    const names = await this.#shelf.names();
    const pointer = names.get(wanted);
    if (pointer !== undefined) return { name: wanted, ...pointer };
    const hex = hexOf(wanted);
    const digests = await this.#shelf.digests();
    const matches = new RegExp(`^[0-9a-f]{${prefixDigits},64}$`).test(hex) ? digests.filter((digest) => hexOf(digest).startsWith(hex)) : [];
    const [digest] = matches;
    if (matches.length > 1)
      throw new RemudaError('bad-request', `${wanted} is the start of ${matches.length} digests; give more digits`, {
        values: { matches },
      });
    if (digest !== undefined) return { name: undefined, digest, since: undefined };
    const known = names.size === 0 ? 'there are no images' : `there are: ${[...names.keys()].slice(0, 20).join(', ')}`;
    throw new RemudaError('image-not-found', `there is no image ${JSON.stringify(wanted)}; ${known}`, { values: { image: wanted } });
  }

  async #entry(digest: string, name: string | undefined, since: number | undefined): Promise<ImageEntry> {
    const manifest = await this.#shelf.manifest(digest);
    const { sizeBytes, seed, firmware, phoneHome } = manifest;
    return {
      name: name ?? hexOf(digest).slice(0, prefixDigits),
      digest,
      sizeBytes,
      storedBytes: storedBytesOf(manifest),
      importedAt: since ?? (await this.#shelf.manifestWrittenAt(digest)),
      seed,
      firmware,
      phoneHome,
    };
  }

  /** A sweep must not meet the chunks of an import that has no manifest yet. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work, work);
    this.#lastTurn = turn;
    return turn;
  }
}
