/** What an image comes as: raw, packed by zstd, gzip or xz, or QCOW2. Told by its first bytes, never by its name. */
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { piecesOf } from './bytes.ts';
import type { ByteSource } from './bytes.ts';
import { openQcow2, qcow2Magic } from './qcow2.ts';
import { unpack, unpackedBytes } from './unpack.ts';
import type { Packing } from './unpack.ts';

/** A file of this machine, by its absolute path. */
export interface FileSource {
  readonly file: string;
}
export interface OpenSource {
  readonly name: string;
  readonly kind: 'raw' | 'qcow2' | Packing;
  /** Of the raw image; undefined where only reading it all will tell. */
  readonly totalBytes: number | undefined;
  /** The raw image from its start, each time it is called. */
  pieces(): AsyncIterable<Uint8Array>;
}
export type SourceLimits = Pick<Limits, 'imageBytesMax' | 'imageRatioMax'>;

/** RFC 8878 §3.1.1: a zstd frame, and §3.1.2: a skippable one, with which some compressors (pzstd) begin; RFC 1952 §2.3.1; .xz §2.1.1.1. */
const packedMagic: readonly (readonly [magic: RegExp, packing: Packing])[] = [
  [/^(28b52ffd|5.2a4d18)/, 'zstd'],
  [/^1f8b/, 'gzip'],
  [/^fd377a585a00/, 'xz'],
];
/** First bytes of what else people have at hand, and what to do about it. */
const foreign: readonly (readonly [magic: RegExp, what: string, remedy: string])[] = [
  [/^4b444d56/, 'a VMDK image', 'convert it by: qemu-img convert -O qcow2 FILE NEW'],
  [/^7668647866696c65/, 'a VHDX image', 'convert it by: qemu-img convert -O qcow2 FILE NEW'],
  [/^425a68/, 'compressed by bzip2', 'unpack it by: bunzip2'],
  [/^04224d18/, 'compressed by lz4', 'unpack it by: unlz4'],
  [/^504b0304/, 'a ZIP archive', 'unpack it first'],
  [/^377abcaf271c/, 'a 7z archive', 'unpack it first'],
];
const inside: typeof foreign = [
  ...foreign,
  [/^514649fb/, 'a QCOW2 image', 'unpack it first: inside of a stream it cannot be read'],
  ...packedMagic.map(([magic, packing]) => [magic, `compressed by ${packing} once more`, 'unpack it first'] as const),
];

/**
 * Looks at the first bytes. Throws `too-large`, `image-invalid`. Output above `imageBytesMax`, and above `imageRatioMax` times what was
 * packed, is refused as it comes.
 */
export const openSource = async (source: ByteSource, limits: SourceLimits): Promise<OpenSource> => {
  const { name, sizeBytes } = source;
  if (sizeBytes === 0) throw new RemudaError('image-invalid', `${name} is empty`);
  const magic = Buffer.from(await source.read(0, Math.min(8, sizeBytes))).toString('hex');
  const other = foreign.find(([begins]) => begins.test(magic));
  if (other !== undefined) throw new RemudaError('image-invalid', `${name} is ${other[1]}, not a raw or QCOW2 image; ${other[2]}`);
  if (magic.startsWith(qcow2Magic)) {
    const disk = await openQcow2(source, limits.imageBytesMax);
    return { name, kind: 'qcow2', totalBytes: disk.sizeBytes, pieces: () => notTooDense(source, disk.pieces(), limits) };
  }
  const packing = packedMagic.find(([begins]) => begins.test(magic))?.[1];
  const totalBytes = packing === undefined ? sizeBytes : await unpackedBytes(source, packing);
  if (totalBytes !== undefined && totalBytes > limits.imageBytesMax)
    throw new RemudaError(
      'too-large',
      `the image in ${name} has ${totalBytes} bytes; at most ${limits.imageBytesMax} are accepted; if that is right, raise limits.imageBytesMax`,
    );
  if (packing === undefined) return { name, kind: 'raw', totalBytes, pieces: () => piecesOf(source) };
  return { name, kind: packing, totalBytes, pieces: () => notTooDense(source, unpack(source, packing), limits) };
};

/** Below this no ratio is a danger, and small images of many zeros are welcome. */
const harmlessBytes = 256 * 1024 * 1024;
/** A bomb of a few kilobytes would keep a processor busy for minutes before it reached the size limit. */
async function* notTooDense(source: ByteSource, pieces: AsyncIterable<Uint8Array>, limits: SourceLimits): AsyncGenerator<Uint8Array> {
  const most = Math.max(harmlessBytes, source.sizeBytes * limits.imageRatioMax);
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > most)
      throw new RemudaError(
        'too-large',
        `${source.name} has ${source.sizeBytes} bytes and unpacks to more than ${most}, which no honest image does; if it is one, import it unpacked or raise limits.imageRatioMax`,
        { values: { ratioMax: limits.imageRatioMax } },
      );
    yield piece;
  }
}

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

/** What was unpacked may still be no raw image: a QCOW2 one, an archive, packed twice. Throws `image-invalid`. */
export const refuseForeignInside = ({ name, kind }: OpenSource, head: Uint8Array): void => {
  if (kind === 'raw') return;
  const bytes = Buffer.from(head.subarray(0, 512));
  // POSIX.1 "ustar Interchange Format": the magic of a tar header.
  const isTar = bytes.toString('latin1', 257, 262) === 'ustar';
  const other = inside.find(([begins]) => begins.test(bytes.toString('hex', 0, 8)));
  const what = isTar ? 'a tar archive' : other?.[1];
  if (what !== undefined)
    throw new RemudaError(
      'image-invalid',
      `what ${name} holds is ${what}, not a raw image; ${isTar ? 'unpack it by: tar -xf' : (other?.[2] ?? '')}`,
    );
};
