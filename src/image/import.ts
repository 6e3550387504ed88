/** Import: a raw image becomes chunks, then its signatures, a manifest and a name, in this order, so that a crash anywhere leaves a whole store. */
import { createHash } from 'node:crypto';
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import { piecesOf } from './bytes.ts';
import type { ByteSource } from './bytes.ts';
import { hexOf, isSha256 } from './digest.ts';
import { encodeManifest } from './manifest.ts';
import type { Manifest, PhoneHome } from './manifest.ts';
import { readChunks, recognise } from './read.ts';
import type { ImageLimits, Progress } from './read.ts';
import { isImageName } from './shelf.ts';
import type { Shelf } from './shelf.ts';
import { judgeSignatures, mergeSignatures, throwUntrusted } from './signature.ts';
import type { Signature, SignatureFile, Trust } from './signature.ts';

export interface ImportOptions {
  /** What people call it; it is moved here from the image it named before. */
  readonly name: string;
  /** Who calls home. Where it is not said: as the same image was imported before, else `cloud-init` with a seed partition, `none` without. It belongs to the image, so all its names share it. */
  readonly phoneHome?: PhoneHome;
  /** Refuse any other image. With or without `sha256:`. */
  readonly expectDigest?: string;
  /** Stored with the image, beside those that it has already. */
  readonly signature?: SignatureFile;
  readonly onProgress?: (progress: Progress) => void;
  /** Stops between two chunks, with its reason. */
  readonly signal?: AbortSignal;
}
export interface ImportRules {
  readonly limits: ImageLimits;
  readonly trust: Trust;
}

/**
 * Streams the source into the store, one chunk in memory at a time, and returns the manifest. Doing it again changes nothing and reuses every chunk.
 * What it added is taken away again when it fails, so that a full disk does not stay full.
 * Throws `bad-request`, `image-invalid`, `image-unsigned`, `signature-invalid`, `too-large`, `disk-full`.
 */
export const importImage = async (shelf: Shelf, source: ByteSource, options: ImportOptions, rules: ImportRules): Promise<Manifest> => {
  checkOptions(options);
  const { limits } = rules;
  const known = await recognise(source, limits);
  if (known.layout.seed === null) refuseWithoutSeed(source, options.phoneHome);

  const added: string[] = [];
  const take = async (bytes: Uint8Array): Promise<Manifest['chunks'][number]> => {
    const { chunk, fresh } = await shelf.putChunk(bytes);
    if (fresh && 'sha256' in chunk) added.push(chunk.sha256);
    return chunk;
  };
  try {
    const { signal, onProgress } = options;
    const image = await readChunks(known, { take, breathe: () => shelf.breathe(), limits, signal, onProgress });
    if (options.expectDigest !== undefined && hexOf(options.expectDigest) !== hexOf(image.digest))
      throw new RemudaError(
        'image-invalid',
        `${source.name} holds the image ${image.digest}, not the expected sha256:${hexOf(options.expectDigest)}`,
      );
    const before = await manifestBefore(shelf, image.digest);
    const { firmware, seed } = known.layout;
    const manifest: Manifest = {
      format: 1,
      digest: image.digest,
      sizeBytes: image.sizeBytes,
      chunkBytes: limits.chunkBytes,
      chunks: image.chunks,
      arch: 'x86_64',
      firmware,
      seed,
      phoneHome: options.phoneHome ?? before?.phoneHome ?? (seed === null ? 'none' : 'cloud-init'),
    };
    const signatures = await trustedSignatures(shelf, manifest, options.signature, rules.trust);
    await record(shelf, { manifest, before, signatures, name: options.name, added });
    return manifest;
  } catch (error) {
    await takeAway(shelf, added);
    throw error;
  }
};

/** The hash of the file as it lies, before a byte of it is understood. Throws `image-invalid`. */
export const checkSourceHash = async (source: ByteSource, sha256: string, signal?: AbortSignal): Promise<void> => {
  const hash = createHash('sha256');
  for await (const piece of piecesOf(source)) {
    signal?.throwIfAborted();
    hash.update(piece);
  }
  refuseOtherHash(source.name, hash.digest('hex'), sha256);
};
export const refuseOtherHash = (name: string, seen: string, expected: string): void => {
  if (seen !== hexOf(expected))
    throw new RemudaError(
      'image-invalid',
      `${name} has the SHA-256 ${seen}, not the expected ${hexOf(expected)}: it is another file, or it was changed`,
      {
        values: { seen, expected: hexOf(expected) },
      },
    );
};

/** Throws `bad-request`. */
export const checkOptions = ({ name, expectDigest }: Pick<ImportOptions, 'name' | 'expectDigest'>, sha256?: string): void => {
  if (!isImageName(name))
    throw new RemudaError(
      'bad-request',
      `${JSON.stringify(name)} cannot name an image: use up to 128 letters, digits, dots, hyphens and underscores, and nothing that looks like a digest`,
    );
  if (expectDigest !== undefined && !isSha256(hexOf(expectDigest)))
    throw new RemudaError('bad-request', `the expected digest ${JSON.stringify(expectDigest)} is no SHA-256 in lower-case hex`);
  if (sha256 !== undefined && !isSha256(hexOf(sha256)))
    throw new RemudaError('bad-request', `the expected hash of the file ${JSON.stringify(sha256)} is no SHA-256 in lower-case hex`);
};

const refuseWithoutSeed = ({ name }: ByteSource, phoneHome: PhoneHome | undefined): void => {
  if (phoneHome === undefined || phoneHome === 'none') return;
  throw new RemudaError(
    'bad-request',
    `the image in ${name} has no seed partition, so its system cannot be told where to phone home: add a GPT partition named CIDATA of 2 MiB to the image, or import it with phone home "none"`,
    { values: { phoneHome } },
  );
};

/** All signatures of the image, judged. Throws `image-unsigned`, `signature-invalid`. */
const trustedSignatures = async (
  shelf: Shelf,
  manifest: Manifest,
  given: SignatureFile | undefined,
  trust: Trust,
): Promise<readonly Signature[]> => {
  if (given !== undefined && given.digest !== manifest.digest)
    throw new RemudaError('signature-invalid', `the signature is that of image ${given.digest}, and this is ${manifest.digest}`);
  if (given !== undefined && given.chunkBytes !== manifest.chunkBytes)
    throw new RemudaError(
      'signature-invalid',
      `the signature was made for chunks of ${given.chunkBytes} bytes, and here they have ${manifest.chunkBytes} (limits.chunkBytes): sign with --chunk-bytes ${manifest.chunkBytes}`,
    );
  const signatures = mergeSignatures(await shelf.signatures(manifest.digest), given?.signatures ?? []);
  throwUntrusted(judgeSignatures(manifest, signatures, trust), manifest);
  return signatures;
};

interface Record {
  readonly manifest: Manifest;
  /** What stood here already. */
  readonly before: Manifest | undefined;
  readonly signatures: readonly Signature[];
  readonly name: string;
  /** The chunks to be taken away when this fails. */
  readonly added: string[];
}
/** What names another thing is written after it. */
const record = async (shelf: Shelf, { manifest, before, signatures, name, added }: Record): Promise<void> => {
  const { digest } = manifest;
  const signedBefore = await shelf.signatures(digest);
  try {
    if (JSON.stringify(signatures) !== JSON.stringify(signedBefore)) await shelf.putSignatures(manifest, signatures);
    if (before === undefined || encodeManifest(before) !== encodeManifest(manifest)) await shelf.putManifest(manifest);
    if ((await shelf.names()).get(name)?.digest !== digest) await shelf.putName(name, digest);
  } catch (error) {
    // An image that was here before keeps its manifest, and so its chunks stay.
    if (before === undefined) {
      await shelf.removeManifest(digest);
      await shelf.removeSignatures(digest);
    } else added.length = 0;
    throw error;
  }
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
