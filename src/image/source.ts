/** Where an image comes from: a file with a raw image or a zstd stream of one, told apart by its first bytes and read piece by piece. */
import { Readable, pipeline } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { RemudaError, reasonOf } from '../errors.ts';
import type { Files } from '../world/world.ts';

export interface ImageSource {
  /** Absolute path. */
  readonly file: string;
}
export interface OpenSource {
  readonly kind: 'raw' | 'zstd';
  /** Of the raw image; undefined where only reading it all will tell. */
  readonly totalBytes: number | undefined;
  /** The raw image from its start, each time it is called. */
  pieces(): AsyncIterable<Uint8Array>;
}

const pieceBytes = 1024 * 1024;

/** First bytes of what people have at hand instead of a raw image, and what to do about it. */
const foreign: readonly (readonly [hex: string, what: string, remedy: string])[] = [
  ['514649fb', 'a QCOW2 image', 'convert it with: qemu-img convert -O raw'],
  ['4b444d56', 'a VMDK image', 'convert it with: qemu-img convert -O raw'],
  ['7668647866696c65', 'a VHDX image', 'convert it with: qemu-img convert -O raw'],
  ['1f8b', 'compressed by gzip', 'unpack it with: gunzip'],
  ['fd377a585a00', 'compressed by xz', 'unpack it with: unxz'],
  ['425a68', 'compressed by bzip2', 'unpack it with: bunzip2'],
  ['504b0304', 'a ZIP archive', 'unpack it first'],
];
/** RFC 8878 §3.1.1: a zstd frame; §3.1.2: a skippable frame, with which some compressors (pzstd) begin. */
const zstdMagic = /^(28b52ffd|5.2a4d18)/;

/** Looks at the file and its first bytes. Throws `not-found`, `bad-request` (no plain file), `too-large`, `image-invalid`. */
export const openSource = async (
  files: Pick<Files, 'stat' | 'read'>,
  { file }: ImageSource,
  imageBytesMax: number,
): Promise<OpenSource> => {
  const stat = await files.stat(file);
  if (stat === undefined) throw new RemudaError('not-found', `there is no file ${file} to import`);
  if (stat.kind !== 'file') throw new RemudaError('bad-request', `${file} is no plain file; an image is imported from a file`);
  const fileBytes = stat.sizeBytes;
  if (fileBytes === 0) throw new RemudaError('image-invalid', `${file} is empty`);
  const magic = Buffer.from(await files.read(file, { offset: 0, length: 8 })).toString('hex');
  const known = foreign.find(([hex]) => magic.startsWith(hex));
  if (known !== undefined) throw new RemudaError('image-invalid', `${file} is ${known[1]}, not a raw image; ${known[2]}`);
  const read = (): AsyncIterable<Uint8Array> => ranges(files, file, fileBytes);
  if (zstdMagic.test(magic)) return { kind: 'zstd', totalBytes: undefined, pieces: () => unpacked(read(), file, fileBytes) };
  if (fileBytes > imageBytesMax)
    throw new RemudaError('too-large', `${file} has ${fileBytes} bytes; at most ${imageBytesMax} are accepted`);
  return { kind: 'raw', totalBytes: fileBytes, pieces: read };
};

/** The first `length` bytes of the raw image, fewer where it is shorter. */
export const headOf = async (source: OpenSource, length: number): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  let have = 0;
  for await (const piece of source.pieces()) {
    parts.push(piece);
    have += piece.length;
    if (have >= length) break;
  }
  return Buffer.concat(parts).subarray(0, length);
};

async function* ranges(files: Pick<Files, 'read'>, file: string, fileBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < fileBytes; offset += pieceBytes) {
    const length = Math.min(pieceBytes, fileBytes - offset);
    const piece = await files.read(file, { offset, length });
    if (piece.length !== length) throw new RemudaError('image-invalid', `${file} became shorter while it was read`);
    yield piece;
  }
}

/** Node has no synchronous streaming zstd, so this one step runs in its thread pool; the order of the bytes does not depend on it. */
async function* unpacked(packed: AsyncIterable<Uint8Array>, file: string, fileBytes: number): AsyncGenerator<Uint8Array> {
  const zstd = createZstdDecompress({ chunkSize: pieceBytes });
  let failure: unknown;
  pipeline(Readable.from(packed, { objectMode: false }), zstd, (error) => (failure ??= error));
  try {
    for await (const piece of zstd as AsyncIterable<Uint8Array>) yield piece;
  } catch (error) {
    if (error instanceof RemudaError) throw error;
    const reason = reasonOf(error);
    const what = /unexpected end/.test(reason) ? 'ends too early; it was cut off' : `is damaged (${reason})`;
    throw new RemudaError('image-invalid', `the zstd stream in ${file} ${what}`, { cause: failure ?? error });
  }
  // What follows the last frame and is no frame itself would be dropped in silence.
  if (zstd.bytesWritten !== fileBytes)
    throw new RemudaError(
      'image-invalid',
      `the zstd stream in ${file} ends at byte ${zstd.bytesWritten}, but the file has ${fileBytes} bytes`,
    );
}
