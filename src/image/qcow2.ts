/**
 * QCOW2 images, versions 2 and 3, read without QEMU: the active state of one file that stands alone. What points to another file, is
 * encrypted, or needs a feature that is not known here is refused. (QEMU, docs/interop/qcow2.txt; numbers are big-endian.)
 */
import { RemudaError } from '../errors.ts';
import { pieceBytes } from './bytes.ts';
import type { ByteSource } from './bytes.ts';
import { unpackCluster } from './qcow2-cluster.ts';
import type { ClusterPacking } from './qcow2-cluster.ts';

export const qcow2Magic = '514649fb';
const headerBytes = { 2: 72, 3: 104 } as const;
/** Offset of each header field that decides something, "Header". */
const field = {
  version: 4,
  backing: 8,
  clusterBits: 20,
  size: 24,
  crypt: 32,
  l1Entries: 36,
  l1: 40,
  features: 72,
  length: 100,
  packing: 104,
} as const;
/** "incompatible_features": what a reader must understand or refuse. */
const feature = { dirty: 1n, corrupt: 2n, dataFile: 4n, packing: 8n, extendedL2: 16n } as const;
const known = Object.values(feature).reduce((sum, bit) => sum | bit, 0n);

/** Bits 9–55 of an entry of either table: where in the file a table or a cluster begins. */
const offsetMask = 0x00ff_ffff_ffff_fe00n;
const packedBit = 1n << 62n;
const copiedBit = 1n << 63n;
/** Bit 0 of an L2 entry, version 3: reads as zeros, allocated or not. */
const zeroBit = 1n;
const entryBytes = 8;

interface Header {
  readonly version: 2 | 3;
  readonly clusterBytes: number;
  readonly clusterBits: number;
  readonly sizeBytes: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly packing: ClusterPacking;
}
/** Where the bytes of one guest cluster are. */
type Place = 'zero' | { readonly at: number } | { readonly packedAt: number; readonly packedBytes: number };

/** Throws `image-invalid`: what is wrong with the file, and what the operator can do. */
const refuse = (source: ByteSource, what: string, remedy = 'make a plain one by: qemu-img convert -O qcow2 FILE NEW'): RemudaError =>
  new RemudaError('image-invalid', `the QCOW2 image ${source.name} ${what}; ${remedy}`);
const damaged = (source: ByteSource, what: string): RemudaError =>
  refuse(source, `is damaged: ${what}`, 'see what is left of it by: qemu-img check FILE');

/** An offset that a table of the file gave. Below 2^56, which a number holds only to 2^53: no file is that long. */
const offsetOf = (entry: bigint): number => Number(entry & offsetMask);

const refuseFeatures = (source: ByteSource, features: bigint): void => {
  if ((features & feature.dataFile) !== 0n) throw refuse(source, 'keeps its data in another file (external data file)');
  if ((features & feature.corrupt) !== 0n) throw damaged(source, 'it is marked as corrupt');
  if ((features & feature.dirty) !== 0n)
    throw refuse(source, 'was not closed in good order (it is marked as dirty)', 'repair it by: qemu-img check -r all FILE');
  if ((features & feature.extendedL2) !== 0n)
    throw refuse(source, 'has subclusters (extended L2 entries)', 'convert it by: qemu-img convert -O qcow2 -o extended_l2=off FILE NEW');
  if ((features & ~known) !== 0n) throw refuse(source, `needs features that are not known here (0x${(features & ~known).toString(16)})`);
};

const packingOf = (source: ByteSource, header: Buffer, features: bigint): ClusterPacking => {
  const type = header.length > field.packing ? header.readUInt8(field.packing) : 0;
  if (((features & feature.packing) !== 0n) !== (type !== 0)) throw damaged(source, 'its compression type contradicts its features');
  if (type > 1) throw refuse(source, `is compressed in a way that is not known here (type ${type})`);
  return type === 1 ? 'zstd' : 'deflate';
};

const readHeader = async (source: ByteSource): Promise<Header> => {
  if (source.sizeBytes < headerBytes[2]) throw damaged(source, 'it ends in its header');
  const raw = Buffer.from(await source.read(0, Math.min(source.sizeBytes, 112)));
  const version = raw.readUInt32BE(field.version);
  if (version !== 2 && version !== 3) throw refuse(source, `is of version ${version}; versions 2 and 3 are read`);
  if (raw.length < headerBytes[version]) throw damaged(source, 'it ends in its header');
  const length = version === 2 ? headerBytes[2] : raw.readUInt32BE(field.length);
  if (length < headerBytes[version] || length % 8 !== 0) throw damaged(source, `its header says that it is ${length} bytes long`);
  const features = version === 2 ? 0n : raw.readBigUInt64BE(field.features);
  refuseFeatures(source, features);
  if (raw.readBigUInt64BE(field.backing) !== 0n)
    throw refuse(
      source,
      'is only the changes to another image (backing file)',
      'make one image of both by: qemu-img convert -O qcow2 FILE NEW',
    );
  if (raw.readUInt32BE(field.crypt) !== 0) throw refuse(source, 'is encrypted');
  const clusterBits = raw.readUInt32BE(field.clusterBits);
  // QEMU reads and writes 512 bytes to 2 MiB.
  if (clusterBits < 9 || clusterBits > 21) throw damaged(source, `its clusters are 2^${clusterBits} bytes long`);
  return {
    version,
    clusterBits,
    clusterBytes: 2 ** clusterBits,
    sizeBytes: Number(raw.readBigUInt64BE(field.size)),
    l1Offset: Number(raw.readBigUInt64BE(field.l1)),
    l1Entries: raw.readUInt32BE(field.l1Entries),
    packing: packingOf(source, raw.subarray(0, length), features),
  };
};

/** A table of `entries` 64-bit numbers at a place that the file itself named. */
const readTable = async (source: ByteSource, { clusterBytes }: Header, at: number, entries: number): Promise<BigUint64Array> => {
  if (at === 0 || at % clusterBytes !== 0) throw damaged(source, `a table lies at byte ${at}, which is no beginning of a cluster`);
  if (at + entries * entryBytes > source.sizeBytes) throw damaged(source, 'a table lies behind its end; it may have been cut off');
  const raw = Buffer.from(await source.read(at, entries * entryBytes));
  return BigUint64Array.from({ length: entries }, (_, index) => raw.readBigUInt64BE(index * entryBytes));
};

/** What an L2 entry says, "L2 table entry"; `clusterBytes` of guest data, or fewer where the image ends. */
const placeOf = (source: ByteSource, header: Header, entry: bigint, guestBytes: number): Place => {
  const { clusterBits, clusterBytes, version } = header;
  if ((entry & packedBit) !== 0n) {
    // "Compressed Clusters Descriptor": x = 62 - (cluster_bits - 8) bits of offset, then the number of further 512-byte sectors.
    const offsetBits = BigInt(62 - (clusterBits - 8));
    const packedAt = Number(entry & ((1n << offsetBits) - 1n));
    const sectors = Number((entry & (packedBit - 1n)) >> offsetBits) + 1;
    const packedBytes = Math.min(sectors * 512 - (packedAt % 512), source.sizeBytes - packedAt);
    if (packedBytes <= 0) throw damaged(source, `a compressed cluster lies at byte ${packedAt}, behind its end; it may have been cut off`);
    return { packedAt, packedBytes };
  }
  const isZero = version === 3 && (entry & zeroBit) !== 0n;
  if ((entry & ~(offsetMask | copiedBit | (version === 3 ? zeroBit : 0n))) !== 0n)
    throw damaged(source, 'an L2 entry has bits set that mean nothing');
  const at = offsetOf(entry);
  if (isZero || at === 0) return 'zero';
  if (at % clusterBytes !== 0) throw damaged(source, `a cluster lies at byte ${at}, which is no beginning of a cluster`);
  // QEMU writes the last cluster only as far as the guest has bytes.
  if (at + guestBytes > source.sizeBytes) throw damaged(source, `a cluster lies at byte ${at}, behind its end; it may have been cut off`);
  return { at };
};

const zeros = new Uint8Array(pieceBytes);
async function* zeroPieces(bytes: number): AsyncGenerator<Uint8Array> {
  for (let left = bytes; left > 0; left -= pieceBytes) yield zeros.subarray(0, Math.min(left, pieceBytes));
}

/** The guest's bytes under one L2 table; clusters that follow each other in the file are read together. */
async function* readUnder(source: ByteSource, header: Header, l2: BigUint64Array, guestBytes: number): AsyncGenerator<Uint8Array> {
  const { clusterBytes } = header;
  let run: { at: number; bytes: number } | undefined;
  const flush = async function* (): AsyncGenerator<Uint8Array> {
    if (run !== undefined) yield await source.read(run.at, run.bytes);
    run = undefined;
  };
  for (let index = 0, left = guestBytes; left > 0; index++, left -= clusterBytes) {
    const bytes = Math.min(clusterBytes, left);
    const place = placeOf(source, header, l2[index] ?? 0n, bytes);
    if (typeof place === 'object' && 'at' in place) {
      if (run !== undefined && run.at + run.bytes === place.at && run.bytes + bytes <= pieceBytes) run.bytes += bytes;
      else {
        yield* flush();
        run = { at: place.at, bytes };
      }
      continue;
    }
    yield* flush();
    if (place === 'zero') yield* zeroPieces(bytes);
    else yield unpackCluster(await source.read(place.packedAt, place.packedBytes), header, source.name).subarray(0, bytes);
  }
  yield* flush();
}

async function* readAll(source: ByteSource, header: Header, l1: BigUint64Array): AsyncGenerator<Uint8Array> {
  const perTable = header.clusterBytes / entryBytes;
  const bytesPerTable = perTable * header.clusterBytes;
  for (const [index, entry] of l1.entries()) {
    const guestBytes = Math.min(bytesPerTable, header.sizeBytes - index * bytesPerTable);
    if ((entry & ~(offsetMask | copiedBit)) !== 0n) throw damaged(source, 'an L1 entry has bits set that mean nothing');
    const at = offsetOf(entry);
    if (at === 0) yield* zeroPieces(guestBytes);
    else
      yield* readUnder(
        source,
        header,
        await readTable(source, header, at, Math.min(perTable, Math.ceil(guestBytes / header.clusterBytes))),
        guestBytes,
      );
  }
}

export interface OpenQcow2 {
  /** Of the disk that the guest sees. */
  readonly sizeBytes: number;
  /** The guest's disk from its start, each time it is called. One L2 table and 1 MiB (or one cluster) are held at a time. */
  pieces(): AsyncIterable<Uint8Array>;
}
/** Throws `image-invalid` for what is damaged or not read here, `too-large` for a disk of more than `bytesMax`. */
export const openQcow2 = async (source: ByteSource, bytesMax: number): Promise<OpenQcow2> => {
  const header = await readHeader(source);
  if (header.sizeBytes > bytesMax)
    throw new RemudaError(
      'too-large',
      `the QCOW2 image ${source.name} holds a disk of ${header.sizeBytes} bytes; at most ${bytesMax} are accepted; if that is right, raise limits.imageBytesMax`,
    );
  const needed = Math.ceil(header.sizeBytes / (header.clusterBytes * (header.clusterBytes / entryBytes)));
  if (header.l1Entries < needed) throw damaged(source, `its L1 table has ${header.l1Entries} entries instead of ${needed}`);
  const l1 = needed === 0 ? new BigUint64Array() : await readTable(source, header, header.l1Offset, needed);
  return { sizeBytes: header.sizeBytes, pieces: () => readAll(source, header, l1) };
};
