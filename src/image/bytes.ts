/** Bytes that lie somewhere and are read in any order: a file, or what was downloaded. */
import { RemudaError } from '../errors.ts';
import type { Files } from '../world/world.ts';

export interface ByteSource {
  /** For messages: a path or a URL. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Exactly `length` bytes. Throws `image-invalid` where the source has become shorter. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export const pieceBytes = 1024 * 1024;

/** From start to end in pieces of at most 1 MiB. */
export async function* piecesOf(source: ByteSource): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < source.sizeBytes; offset += pieceBytes)
    yield await source.read(offset, Math.min(pieceBytes, source.sizeBytes - offset));
}

/** A plain file. Throws `not-found`, `bad-request` (no plain file). */
export const openFile = async (files: Pick<Files, 'stat' | 'read'>, file: string): Promise<ByteSource> => {
  const stat = await files.stat(file);
  if (stat === undefined)
    throw new RemudaError('not-found', `there is no file ${file} to import`, {
      next: 'check the path: it is read by the daemon, on its own machine, as its own user',
    });
  if (stat.kind !== 'file') throw new RemudaError('bad-request', `${file} is no plain file; an image is imported from a file`);
  return {
    name: file,
    sizeBytes: stat.sizeBytes,
    read: async (offset, length) => {
      const bytes = await files.read(file, { offset, length });
      if (bytes.length !== length) throw new RemudaError('image-invalid', `${file} became shorter while it was read`);
      return bytes;
    },
  };
};
