/** The image store: immutable images by digest, names that point to them, and their chunks by hash. */
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { FileBody } from '../world/world.ts';
import { openFile } from './bytes.ts';
import type { ByteSource } from './bytes.ts';
import { hexOf } from './digest.ts';
import { download } from './download.ts';
import type { DownloadLimits, DownloadWorld, UrlSource } from './download.ts';
import { checkOptions, checkSourceHash, importImage } from './import.ts';
import type { ImportOptions } from './import.ts';
import { isZeroChunk, storedBytesOf } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import type { ImageLimits, Progress } from './read.ts';
import { Shelf } from './shelf.ts';
import type { ShelfWorld, Swept } from './shelf.ts';
import { judgeSignatures, parseSignatureFile, signatureFileBytesMax, trustAll } from './signature.ts';
import type { Signature, SignatureFile, Trust, Verdict } from './signature.ts';
import type { FileSource } from './source.ts';
import { closedSources } from './source-policy.ts';
import type { SourcePolicy } from './source-policy.ts';
import { verifyImage } from './verify.ts';
import type { VerifyReport } from './verify.ts';

export interface ImageEntry extends Pick<Manifest, 'digest' | 'sizeBytes' | 'seed' | 'firmware' | 'phoneHome'> {
  /** Where no name points to the image: the first 12 hex digits of its digest, which `find` and `remove` take as well. */
  readonly name: string;
  /** What its chunks occupy; images share equal chunks, so the sum over images may be more than the disk holds. */
  readonly storedBytes: number;
  /** ms since 1970 */
  readonly importedAt: number;
  /** The operator's names of the trusted keys that have signed it. */
  readonly signedBy: readonly string[];
  /** Why no host may be given it; absent where one may. */
  readonly refused?: { readonly code: 'image-unsigned' | 'signature-invalid'; readonly reason: string };
}
/** A file of the daemon's machine, or what it fetches, with the SHA-256 of the file as it lies there. */
export type ImageSource = (FileSource & { readonly sha256?: string }) | UrlSource;

/** Whose images are run, and from where they may be fetched. */
export interface ImagePolicy {
  readonly trust: Trust;
  readonly sources: SourcePolicy;
}
/** Where nobody has said anything: all images are run, and public servers are asked for files with a known hash. */
export const openPolicy: ImagePolicy = { trust: trustAll, sources: closedSources };

/** What a host's agent judges for itself. */
export interface Proof {
  readonly signatures: readonly Signature[];
  readonly trust: Trust;
  readonly verdict: Verdict;
}

export interface CollectOptions {
  /**
   * With it, images without a name go as well unless they are among these digests, which the claims want. It is asked when all imports
   * have ended.
   */
  readonly wanted?: () => Promise<ReadonlySet<string>>;
  /** Says what would go, and takes nothing away. */
  readonly dryRun?: boolean;
}
export interface CollectReport extends Swept {
  /** Without a name, and wanted by no claim. */
  readonly images: readonly { readonly digest: string; readonly sizeBytes: number }[];
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
  /** Its signatures and how they are judged here. Throws `image-not-found`, `image-invalid`. */
  proof(digest: string): Promise<Proof>;
  /** Downloads run side by side, imports and removals one after another. Throws what `importImage` and `download` say, and `not-found`, `bad-request`. */
  import(source: ImageSource, options: ImportOptions): Promise<ImageEntry>;
  /** Reads every chunk back. */
  verify(digest: string, onProgress?: (progress: Progress) => void): Promise<VerifyReport>;
  /** Takes the name away, and the image with it when it was its last one. An image without a name is removed by its digest. Throws `image-not-found`, `conflict`. */
  remove(nameOrDigest: string): Promise<void>;
  /** Takes away what nothing needs: chunks that no manifest names, and what killed imports left. Waits for the import that runs. */
  collect(options?: CollectOptions): Promise<CollectReport>;
}

export type StoreLimits = ImageLimits & DownloadLimits;
export type StoreWorld = ShelfWorld & DownloadWorld;
/** The store in this folder, which is made when the first image comes. One process at a time may write to it. The policy is asked anew each time. */
export const openImageStore = (
  world: StoreWorld,
  folder: string,
  limits: StoreLimits,
  policy: () => ImagePolicy = () => openPolicy,
): ImageStore => new FolderStore(world, folder, limits, policy);

/** As long as an abbreviated digest must be. */
const prefixDigits = 12;
/** A claim that has looked an image up may take this long to be recorded; until then the image is not collected. */
const usedMs = 60_000;

class FolderStore implements ImageStore {
  readonly #world: StoreWorld;
  readonly #shelf: Shelf;
  readonly #limits: StoreLimits;
  readonly #policy: () => ImagePolicy;
  /** When an image was last looked up, by digest. */
  readonly #used = new Map<string, number>();
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(world: StoreWorld, folder: string, limits: StoreLimits, policy: () => ImagePolicy) {
    this.#world = world;
    this.#shelf = new Shelf(world, folder);
    this.#limits = limits;
    this.#policy = policy;
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
        this.#world.log.warn('an image cannot be used', { name, digest, reason: reasonOf(error) });
      }
    }
    return entries;
  }

  async find(nameOrDigest: string): Promise<ImageEntry> {
    const { name, digest, since } = await this.#resolve(nameOrDigest);
    this.#used.set(digest, this.#world.clock.now());
    return this.#entry(digest, name, since);
  }

  async proof(digest: string): Promise<Proof> {
    const { trust } = this.#policy();
    const signatures = await this.#shelf.signatures(digest);
    return { signatures, trust, verdict: judgeSignatures(await this.#shelf.manifest(digest), signatures, trust) };
  }

  manifest(digest: string): Promise<Manifest> {
    return this.#shelf.manifest(digest);
  }

  chunkFile(sha256: string): Promise<FileBody | undefined> {
    return this.#shelf.chunkFile(sha256);
  }

  async import(source: ImageSource, options: ImportOptions): Promise<ImageEntry> {
    checkOptions(options, source.sha256);
    if ('url' in source) return this.#fetch(source, options);
    return this.#inTurn(async () => {
      const bytes = await openFile(this.#world.files, source.file);
      if (source.sha256 !== undefined) await checkSourceHash(bytes, source.sha256, options.signal);
      const signature = options.signature ?? (await this.#signatureBeside(source));
      return this.#take(bytes, signature === undefined ? options : { ...options, signature });
    });
  }

  /** The download waits for nobody, and nobody waits for it. */
  async #fetch(source: UrlSource, options: ImportOptions): Promise<ImageEntry> {
    const { signal, onProgress, expectDigest, signature } = options;
    const pinned = expectDigest !== undefined || source.sha256 !== undefined;
    const spool = await this.#shelf.openSpool();
    try {
      const { sources, trust } = this.#policy();
      const signed = trust.required || (signature !== undefined && trust.keys.length > 0);
      const job = { source, folder: spool.folder, policy: sources, limits: this.#limits, pinned, signed, signal, onProgress };
      const bytes = await download(this.#world, job);
      return await this.#inTurn(() => this.#take(bytes, options));
    } finally {
      await spool.close();
    }
  }

  async #take(bytes: ByteSource, options: ImportOptions): Promise<ImageEntry> {
    const rules = { limits: this.#limits, trust: this.#policy().trust };
    const { digest, sizeBytes } = await importImage(this.#shelf, bytes, options, rules);
    this.#world.log.info('imported an image', { name: options.name, from: bytes.name, digest, sizeBytes });
    return this.find(options.name);
  }

  /** `FILE.sig`, where it lies beside the file. */
  async #signatureBeside({ file }: FileSource): Promise<SignatureFile | undefined> {
    const beside = `${file}.sig`;
    if ((await this.#world.files.stat(beside))?.kind !== 'file') return undefined;
    const bytes = await this.#world.files.read(beside, { offset: 0, length: signatureFileBytesMax });
    try {
      return parseSignatureFile(new TextDecoder().decode(bytes));
    } catch (cause) {
      throw new RemudaError('signature-invalid', `${beside}: ${reasonOf(cause)}`, { cause });
    }
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
      await this.#forget(digest);
      this.#world.log.info('removed an image', { name, digest });
      await this.#sweep([], false);
    });
  }

  collect({ wanted, dryRun = false }: CollectOptions = {}): Promise<CollectReport> {
    return this.#inTurn(async () => {
      const images = wanted === undefined ? [] : await this.#unwanted(await wanted());
      if (!dryRun) for (const { digest } of images) await this.#forget(digest);
      const swept = await this.#sweep(
        images.map(({ digest }) => digest),
        dryRun,
      );
      if (!dryRun && (images.length > 0 || swept.files > 0)) this.#world.log.info('collected what no image needs', { images, ...swept });
      return { images, ...swept };
    });
  }

  /** The manifest goes first: signatures of no image are harmless, and swept. */
  async #forget(digest: string): Promise<void> {
    await this.#shelf.removeManifest(digest);
    await this.#shelf.removeSignatures(digest);
    this.#used.delete(digest);
  }

  async #unwanted(wanted: ReadonlySet<string>): Promise<{ digest: string; sizeBytes: number }[]> {
    const named = new Set([...(await this.#shelf.names()).values()].map(({ digest }) => digest));
    const since = this.#world.clock.now() - usedMs;
    const unwanted: { digest: string; sizeBytes: number }[] = [];
    for (const digest of await this.#shelf.digests()) {
      if (named.has(digest) || wanted.has(digest) || (this.#used.get(digest) ?? -Infinity) > since) continue;
      try {
        unwanted.push({ digest, sizeBytes: (await this.#shelf.manifest(digest)).sizeBytes });
      } catch (error) {
        // A damaged one may be mended by importing the image again: an operator decides.
        if (codeOf(error) !== 'image-invalid') throw error;
      }
    }
    return unwanted;
  }

  /** A manifest that cannot be read may name any chunk: then nothing is swept. */
  async #sweep(gone: readonly string[], dryRun: boolean): Promise<Swept> {
    const kept = new Set<string>();
    try {
      for (const digest of await this.#shelf.digests()) {
        if (gone.includes(digest)) continue;
        for (const chunk of (await this.#shelf.manifest(digest)).chunks) if (!isZeroChunk(chunk)) kept.add(chunk.sha256);
      }
    } catch (error) {
      if (codeOf(error) !== 'image-invalid') throw error;
      this.#world.log.warn('chunks are kept because an image cannot be read', { reason: reasonOf(error) });
      return { files: 0, bytes: 0 };
    }
    return this.#shelf.sweep(kept, dryRun);
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
    const { signedBy, ...verdict } = judgeSignatures(manifest, await this.#shelf.signatures(digest), this.#policy().trust);
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
      signedBy,
      ...(verdict.refused === undefined ? {} : { refused: { code: verdict.refused, reason: verdict.reason } }),
    };
  }

  /** A sweep must not meet the chunks of an import that has no manifest yet. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work, work);
    this.#lastTurn = turn;
    return turn;
  }
}
