/** The end of an .xz file, read before the rest: how many bytes it unpacks to, and that it is one whole stream (The .xz File Format 1.2.1). */
import { crc32 } from 'node:zlib';
import { RemudaError } from '../errors.ts';
import type { ByteSource } from './bytes.ts';

/** §2.1.1 and §2.1.2: stream header and stream footer. */
const edgeBytes = 12;
const footerMagic = 0x5a59; // "YZ"
/** An index of so many bytes names more than half a million blocks. */
const indexBytesMax = 4 * 1024 * 1024;

const invalid = (source: ByteSource, what: string): RemudaError =>
  new RemudaError('image-invalid', `the xz stream in ${source.name} ${what}`);

/** §1.2: a number of 7 bits a byte, lowest first, of at most 9 bytes. */
const readNumber = (bytes: Uint8Array, cursor: { at: number }): number | undefined => {
  let value = 0;
  for (let scale = 1, count = 0; count < 9; scale *= 128, count++) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  return undefined;
};

/** §4: the sum of the blocks as they lie and as they unpack; undefined where the index does not hold. */
const sumIndex = (index: Buffer): { readonly packed: number; readonly unpacked: number } | undefined => {
  if (index[0] !== 0 || crc32(index.subarray(0, -4)) !== index.readUInt32LE(index.length - 4)) return undefined;
  const cursor = { at: 1 };
  const blocks = readNumber(index, cursor) ?? Infinity;
  let packed = 0;
  let unpacked = 0;
  for (let block = 0; block < blocks; block++) {
    const unpadded = readNumber(index, cursor);
    const bytes = readNumber(index, cursor);
    // A block that takes no room would let a short index count for ever.
    if (unpadded === undefined || bytes === undefined || cursor.at > index.length - 4) return undefined;
    packed += Math.ceil(unpadded / 4) * 4;
    unpacked += bytes;
  }
  return { packed, unpacked };
};

/** How many bytes the file unpacks to. Throws `image-invalid` where it is cut off, followed by something, or more than one stream. */
export const xzUnpackedBytes = async (source: ByteSource): Promise<number> => {
  if (source.sizeBytes < 2 * edgeBytes + 8 || source.sizeBytes % 4 !== 0) throw invalid(source, 'ends too early; it was cut off');
  const footer = Buffer.from(await source.read(source.sizeBytes - edgeBytes, edgeBytes));
  if (footer.readUInt16LE(10) !== footerMagic || crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0))
    throw invalid(source, 'has no end: it was cut off, or something else follows it');
  const indexBytes = (footer.readUInt32LE(4) + 1) * 4;
  const room = source.sizeBytes - 2 * edgeBytes;
  if (indexBytes > Math.min(indexBytesMax, room)) throw invalid(source, `says that its index has ${indexBytes} bytes`);
  const sums = sumIndex(Buffer.from(await source.read(source.sizeBytes - edgeBytes - indexBytes, indexBytes)));
  if (sums === undefined) throw invalid(source, 'is damaged: its index does not hold');
  if (sums.packed + indexBytes !== room)
    throw invalid(source, 'is not one stream but several, or something lies before it; make it one by: xz -dc FILE | xz > NEW');
  return sums.unpacked;
};
