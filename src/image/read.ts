/** Reading an image once through: what it is, its chunks, and its digest. The store and `image sign` read alike, so they see the same image. */
import { createHash } from 'node:crypto';
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { ByteSource } from './bytes.ts';
import { chunksOf } from './chunk.ts';
import { isZero, sha256Of } from './digest.ts';
import { gptHeadBytes, layoutOf, refuseCutOff, sectorBytes } from './gpt.ts';
import type { DiskLayout } from './gpt.ts';
import { headOf, openSource, refuseForeignInside } from './source.ts';
import type { OpenSource } from './source.ts';
import type { Signed } from './signature.ts';

export type ImageLimits = Pick<Limits, 'chunkBytes' | 'imageBytesMax' | 'imageRatioMax' | 'seedBytesMax'>;

export interface Progress {
  /** Of the raw image; of the file as it is downloaded. */
  readonly doneBytes: number;
  /** Unknown while a compressed image is unpacked. */
  readonly totalBytes?: number;
  /** Absent while the image is read. */
  readonly step?: 'download';
}

export interface KnownImage {
  readonly opened: OpenSource;
  readonly layout: DiskLayout;
}
/** Looks at the format and the partition table, so that an image that cannot be used is refused before a chunk of it is written. Throws `image-invalid`, `too-large`. */
export const recognise = async (source: ByteSource, limits: ImageLimits): Promise<KnownImage> => {
  const opened = await openSource(source, limits);
  const head = await headOf(opened, gptHeadBytes);
  refuseForeignInside(opened, head);
  if (opened.totalBytes !== undefined) checkSize(opened, opened.totalBytes);
  return { opened, layout: layoutOf(head, limits.seedBytesMax) };
};

const checkSize = ({ name }: OpenSource, sizeBytes: number): void => {
  if (sizeBytes === 0) throw new RemudaError('image-invalid', `the image in ${name} is empty`);
  if (sizeBytes % sectorBytes !== 0)
    throw new RemudaError(
      'image-invalid',
      `the image in ${name} has ${sizeBytes} bytes, which is no multiple of ${sectorBytes}: it is not the image of a whole disk, or it was cut off`,
    );
};

export interface Reading<C> {
  /** Called with each chunk in order; what it returns stands in the result. */
  readonly take: (bytes: Uint8Array) => Promise<C>;
  /** Awaited between two chunks. */
  readonly breathe: () => Promise<void>;
  readonly limits: ImageLimits;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Stops between two chunks, with its reason. */
  readonly signal?: AbortSignal | undefined;
}
/** Reads the image once through, one chunk in memory at a time. Throws `image-invalid`, `too-large`. */
export const readChunks = async <C>(
  { opened, layout }: KnownImage,
  reading: Reading<C>,
): Promise<{ readonly digest: string; readonly sizeBytes: number; readonly chunks: C[] }> => {
  const { limits, signal, onProgress } = reading;
  const whole = createHash('sha256');
  const chunks: C[] = [];
  let sizeBytes = 0;
  for await (const bytes of chunksOf(opened.pieces(), limits.chunkBytes, limits.imageBytesMax)) {
    signal?.throwIfAborted();
    whole.update(bytes);
    chunks.push(await reading.take(bytes));
    sizeBytes += bytes.length;
    onProgress?.({ doneBytes: sizeBytes, ...(opened.totalBytes === undefined ? {} : { totalBytes: opened.totalBytes }) });
    await reading.breathe();
  }
  checkSize(opened, sizeBytes);
  refuseCutOff(layout.partitions, sizeBytes);
  return { digest: `sha256:${whole.digest('hex')}`, sizeBytes, chunks };
};

/** What is signed of the image in a file: the same as the store's manifest will say when it cuts chunks of the same length. */
export const readSigned = async (source: ByteSource, reading: Omit<Reading<never>, 'take'>): Promise<Signed> => {
  const known = await recognise(source, reading.limits);
  const image = await readChunks(known, {
    ...reading,
    take: (bytes) => Promise.resolve(isZero(bytes) ? ({ zero: true } as const) : { sha256: sha256Of(bytes) }),
  });
  return { ...image, chunkBytes: reading.limits.chunkBytes, seed: known.layout.seed };
};
