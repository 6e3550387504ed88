/** Chunks: an image's bytes cut into pieces of one length, each named by its hash and stored in the smaller of two encodings. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { RemudaError, reasonOf } from '../errors.ts';
import { isZero, sha256Of } from './digest.ts';
import type { Chunk, DataChunk } from './manifest.ts';

/**
 * Cuts a stream of pieces into chunks of exactly `chunkBytes`, the last one maybe shorter. All chunks are the same buffer: one is good until
 * the next is asked for. (A new buffer each time is garbage that is collected late, and counts.)
 * Throws `too-large` as soon as the stream is longer than `bytesMax`.
 */
export async function* chunksOf(pieces: AsyncIterable<Uint8Array>, chunkBytes: number, bytesMax: number): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(chunkBytes);
  let filled = 0;
  let total = 0;
  for await (const piece of pieces) {
    total += piece.length;
    if (total > bytesMax)
      throw new RemudaError(
        'too-large',
        `the image is larger than ${bytesMax} bytes, the most that is accepted; if that is right, raise limits.imageBytesMax`,
        { values: { bytesMax } },
      );
    for (let at = 0; at < piece.length;) {
      const count = Math.min(piece.length - at, chunkBytes - filled);
      chunk.set(piece.subarray(at, at + count), filled);
      at += count;
      filled += count;
      if (filled < chunkBytes) continue;
      yield chunk;
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

/** How a chunk stands in the manifest and the bytes of its file; a chunk of zeros has no file. */
export type EncodedChunk =
  | { readonly chunk: DataChunk; readonly stored: Uint8Array }
  | { readonly chunk: Chunk & { zero: true }; readonly stored: undefined };

/** zstd level 3, or raw where zstd does not make it smaller. One output buffer of the right size: the default collects hundreds of small ones. */
export const encodeChunk = (bytes: Uint8Array): EncodedChunk => {
  if (isZero(bytes)) return { chunk: { zero: true, sizeBytes: bytes.length }, stored: undefined };
  const packed = zstdCompressSync(bytes, {
    chunkSize: bytes.length + 1024,
    params: { [constants.ZSTD_c_compressionLevel]: 3 },
    pledgedSrcSize: bytes.length,
  });
  const stored = packed.length < bytes.length ? packed : bytes;
  return {
    chunk: { sha256: sha256Of(bytes), sizeBytes: bytes.length, storedBytes: stored.length, encoding: stored === packed ? 'zstd' : 'raw' },
    stored,
  };
};

/** The chunk's raw bytes. Throws `image-invalid` where the stored bytes are not that chunk; never unpacks more than the chunk's size. */
export const decodeChunk = ({ sha256, sizeBytes, encoding }: DataChunk, stored: Uint8Array): Uint8Array => {
  let bytes = stored;
  try {
    if (encoding === 'zstd') bytes = zstdDecompressSync(stored, { maxOutputLength: sizeBytes, chunkSize: Math.max(sizeBytes, 64) });
  } catch (cause) {
    throw new RemudaError('image-invalid', `chunk ${sha256} is damaged: ${reasonOf(cause)}`, { cause, values: { sha256 } });
  }
  if (bytes.length !== sizeBytes || sha256Of(bytes) !== sha256)
    throw new RemudaError('image-invalid', `chunk ${sha256} is damaged: its bytes have another hash`, { values: { sha256 } });
  return bytes;
};
