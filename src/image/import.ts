/** Import: a raw image becomes chunks, then a manifest, then a name, in this order, so that a crash anywhere leaves a whole store. */
import { createHash } from 'node:crypto';
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { chunksOf } from './chunk.ts';
import { hexOf, isSha256 } from './digest.ts';
import { gptHeadBytes, layoutOf, refuseCutOff, sectorBytes } from './gpt.ts';
import { encodeManifest } from './manifest.ts';
import type { Chunk, Manifest, PhoneHome } from './manifest.ts';
import { isImageName } from './shelf.ts';
import type { Shelf } from './shelf.ts';
import { headOf, openSource } from './source.ts';
import type { ImageSource, OpenSource } from './source.ts';

export type ImageLimits = Pick<Limits, 'chunkBytes' | 'imageBytesMax' | 'seedBytesMax'>;

export interface Progress {
  /** Of the raw image. */
  readonly doneBytes: number;
  /** Unknown while a compressed image is unpacked. */
  readonly totalBytes?: number;
}
export interface ImportOptions {
  /** What people call it; it is moved here from the image it named before. */
  readonly name: string;
  /** Who calls home. Where it is not said: as the same image was imported before, else `cloud-init` with a seed partition, `none` without. It belongs to the image, so all its names share it. */
  readonly phoneHome?: PhoneHome;
  /** Refuse any other image. With or without `sha256:`. */
  readonly expectDigest?: string;
  readonly onProgress?: (progress: Progress) => void;
  /** Stops between two chunks, with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Streams the source into the store, one chunk in memory at a time, and returns the manifest. Doing it again changes nothing and reuses every chunk.
 * What it added is taken away again when it fails, so that a full disk does not stay full.
 * Throws `bad-request`, `not-found`, `image-invalid`, `too-large`, `disk-full`.
 */
export const importImage = async (shelf: Shelf, source: ImageSource, options: ImportOptions, limits: ImageLimits): Promise<Manifest> => {
  checkOptions(options);
  const opened = await openSource(shelf.world.files, source, limits.imageBytesMax);
  // The table comes first, so that an image that cannot be used is refused before a chunk of it is written.
  const layout = layoutOf(await headOf(opened, gptHeadBytes), limits.seedBytesMax);
  if (layout.seed === null) refuseWithoutSeed(source, options.phoneHome);
  if (opened.totalBytes !== undefined) checkSize(source, opened.totalBytes);

  const added: string[] = [];
  try {
    const { digest, sizeBytes, chunks } = await storeChunks(shelf, opened, { ...options, added, limits });
    checkSize(source, sizeBytes);
    refuseCutOff(layout.partitions, sizeBytes);
    if (options.expectDigest !== undefined && hexOf(options.expectDigest) !== hexOf(digest))
      throw new RemudaError(
        'image-invalid',
        `${source.file} holds the image ${digest}, not the expected sha256:${hexOf(options.expectDigest)}`,
      );
    const before = await manifestBefore(shelf, digest);
    const phoneHome = options.phoneHome ?? before?.phoneHome ?? (layout.seed === null ? 'none' : 'cloud-init');
    const { firmware, seed } = layout;
    const manifest: Manifest = {
      format: 1,
      digest,
      sizeBytes,
      chunkBytes: limits.chunkBytes,
      chunks,
      arch: 'x86_64',
      firmware,
      seed,
      phoneHome,
    };
    if (before === undefined || encodeManifest(before) !== encodeManifest(manifest)) await shelf.putManifest(manifest);
    try {
      if ((await shelf.names()).get(options.name)?.digest !== digest) await shelf.putName(options.name, digest);
    } catch (error) {
      // An image that was here before keeps its manifest, and so its chunks stay.
      if (before === undefined) await shelf.removeManifest(digest);
      else added.length = 0;
      throw error;
    }
    return manifest;
  } catch (error) {
    await takeAway(shelf, added);
    throw error;
  }
};

const checkOptions = ({ name, expectDigest }: ImportOptions): void => {
  if (!isImageName(name))
    throw new RemudaError(
      'bad-request',
      `${JSON.stringify(name)} cannot name an image: use up to 128 letters, digits, dots, hyphens and underscores, and nothing that looks like a digest`,
    );
  if (expectDigest !== undefined && !isSha256(hexOf(expectDigest)))
    throw new RemudaError('bad-request', `the expected digest ${JSON.stringify(expectDigest)} is no SHA-256 in lower-case hex`);
};

const checkSize = ({ file }: ImageSource, sizeBytes: number): void => {
  if (sizeBytes === 0) throw new RemudaError('image-invalid', `the image in ${file} is empty`);
  if (sizeBytes % sectorBytes !== 0)
    throw new RemudaError(
      'image-invalid',
      `the image in ${file} has ${sizeBytes} bytes, which is no multiple of ${sectorBytes}: it is not the image of a whole disk, or it was cut off`,
    );
};

const refuseWithoutSeed = ({ file }: ImageSource, phoneHome: PhoneHome | undefined): void => {
  if (phoneHome === undefined || phoneHome === 'none') return;
  throw new RemudaError(
    'bad-request',
    `the image in ${file} has no seed partition, so its system cannot be told where to phone home: add a GPT partition named CIDATA of 2 MiB to the image, or import it with phone home "none"`,
    { values: { phoneHome } },
  );
};

interface ChunkWork extends ImportOptions {
  /** Grows by each chunk whose file was not there before. */
  readonly added: string[];
  readonly limits: ImageLimits;
}
const storeChunks = async (
  shelf: Shelf,
  opened: OpenSource,
  work: ChunkWork,
): Promise<{ digest: string; sizeBytes: number; chunks: Chunk[] }> => {
  const whole = createHash('sha256');
  const chunks: Chunk[] = [];
  let sizeBytes = 0;
  for await (const bytes of chunksOf(opened.pieces(), work.limits.chunkBytes, work.limits.imageBytesMax)) {
    work.signal?.throwIfAborted();
    whole.update(bytes);
    const { chunk, fresh } = await shelf.putChunk(bytes);
    chunks.push(chunk);
    if (fresh && 'sha256' in chunk) work.added.push(chunk.sha256);
    sizeBytes += bytes.length;
    work.onProgress?.({ doneBytes: sizeBytes, ...(opened.totalBytes === undefined ? {} : { totalBytes: opened.totalBytes }) });
    await shelf.breathe();
  }
  return { digest: `sha256:${whole.digest('hex')}`, sizeBytes, chunks };
};

const manifestBefore = async (shelf: Shelf, digest: string): Promise<Manifest | undefined> => {
  try {
    return await shelf.manifest(digest);
  } catch (error) {
    // Not here yet, or damaged: it is about to be written anew.
    if (codeOf(error) === 'image-not-found' || codeOf(error) === 'image-invalid') return undefined;
    throw error;
  }
};

const takeAway = async (shelf: Shelf, added: readonly string[]): Promise<void> => {
  try {
    for (const sha256 of added) await shelf.removeChunk(sha256);
  } catch (error) {
    shelf.world.log.warn('could not take away the chunks of an import that failed; the next removal of an image will', {
      reason: reasonOf(error),
    });
  }
};
