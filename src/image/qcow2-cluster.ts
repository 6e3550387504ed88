/** One compressed cluster of a QCOW2 image: a raw deflate stream or zstd frames, followed by bytes that belong to the next one. */
import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { RemudaError, reasonOf } from '../errors.ts';

/** "compression_type" of the header. */
export type ClusterPacking = 'deflate' | 'zstd';

/** 8 MiB: QEMU packs each cluster, of at most 2 MiB, by itself. */
const zstdWindowLogMax = 23;

/** Exactly one cluster. Throws `image-invalid`; never unpacks more than a cluster. */
export const unpackCluster = (
  packed: Uint8Array,
  { packing, clusterBytes }: { readonly packing: ClusterPacking; readonly clusterBytes: number },
  name: string,
): Uint8Array => {
  let bytes: Uint8Array;
  try {
    bytes = packing === 'zstd' ? unpackFrames(packed, clusterBytes) : inflateRawSync(packed, { maxOutputLength: clusterBytes });
  } catch (cause) {
    throw new RemudaError('image-invalid', `a compressed cluster of the QCOW2 image ${name} is damaged: ${reasonOf(cause)}`, { cause });
  }
  if (bytes.length === clusterBytes) return bytes;
  throw new RemudaError(
    'image-invalid',
    `a compressed cluster of the QCOW2 image ${name} holds ${bytes.length} bytes instead of ${clusterBytes}`,
  );
};

/** Frame by frame until the cluster is full: what follows may well look like one more frame, that of the next cluster. */
const unpackFrames = (packed: Uint8Array, clusterBytes: number): Uint8Array => {
  const parts: Uint8Array[] = [];
  let filled = 0;
  for (let at = 0; filled < clusterBytes;) {
    const frame = packed.subarray(at, at + zstdFrameBytes(packed.subarray(at)));
    const bytes = zstdDecompressSync(frame, {
      maxOutputLength: clusterBytes - filled,
      params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
    });
    parts.push(bytes);
    filled += bytes.length;
    at += frame.length;
  }
  return parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts);
};

/** RFC 8878 §3.1.1: how long the frame at the start of these bytes is, by its headers alone. */
export const zstdFrameBytes = (bytes: Uint8Array): number => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 6 || view.readUInt32LE(0) !== 0xfd2fb528) throw new RangeError('there is no zstd frame');
  const descriptor = view.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] ?? 0;
  let at = 5 + (singleSegment ? 0 : 1) + dictionaryId + contentSize;
  // §3.1.1.2: each block is at least three bytes long, so this ends.
  for (let last = false; !last;) {
    if (at + 3 > view.length) throw new RangeError('the zstd frame ends too early');
    const header = view.readUIntLE(at, 3);
    last = (header & 1) === 1;
    const isRun = ((header >> 1) & 3) === 1;
    at += 3 + (isRun ? 1 : header >> 3);
  }
  at += (descriptor & 4) === 0 ? 0 : 4;
  if (at > view.length) throw new RangeError('the zstd frame ends too early');
  return at;
};
