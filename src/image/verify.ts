/** Verify: every chunk of an image is read back, unpacked and hashed, and so is the whole. */
import { createHash } from 'node:crypto';
import { codeOf, reasonOf } from '../errors.ts';
import type { Progress } from './read.ts';
import { isZeroChunk } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import type { Shelf } from './shelf.ts';

export interface VerifyReport {
  readonly digest: string;
  /** No fault, and the whole has the digest it is named by. */
  readonly ok: boolean;
  readonly chunks: number;
  readonly sizeBytes: number;
  /** In the order of the image; importing the image again mends them. */
  readonly faults: readonly {
    readonly index: number;
    /** Undefined for a fault of the whole. */
    readonly sha256: string | undefined;
    /** In the raw image. */
    readonly offsetBytes: number;
    readonly reason: string;
  }[];
}

/** A fault of a chunk is reported, not thrown; what the disk itself refuses is thrown. */
export const verifyImage = async (shelf: Shelf, manifest: Manifest, onProgress?: (progress: Progress) => void): Promise<VerifyReport> => {
  const whole = createHash('sha256');
  const faults: VerifyReport['faults'][number][] = [];
  let offsetBytes = 0;
  for (const [index, chunk] of manifest.chunks.entries()) {
    try {
      whole.update(isZeroChunk(chunk) ? Buffer.alloc(chunk.sizeBytes) : await shelf.readChunk(chunk));
    } catch (error) {
      if (codeOf(error) !== 'image-invalid' && codeOf(error) !== 'not-found') throw error;
      faults.push({ index, sha256: isZeroChunk(chunk) ? undefined : chunk.sha256, offsetBytes, reason: reasonOf(error) });
    }
    offsetBytes += chunk.sizeBytes;
    onProgress?.({ doneBytes: offsetBytes, totalBytes: manifest.sizeBytes });
    await shelf.breathe();
  }
  // With a chunk missing the digest of the whole says nothing new.
  if (faults.length === 0 && `sha256:${whole.digest('hex')}` !== manifest.digest)
    faults.push({
      index: manifest.chunks.length,
      sha256: undefined,
      offsetBytes,
      reason: 'every chunk is sound, but the whole has another digest: the manifest was changed',
    });
  return { digest: manifest.digest, ok: faults.length === 0, chunks: manifest.chunks.length, sizeBytes: manifest.sizeBytes, faults };
};
