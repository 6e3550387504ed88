/** What the image tests stand on: a world with a disk in memory, and disk images with a partition table made here. */
import { crc32 } from 'node:zlib';
import { MemoryFiles } from '../world/memory-files.ts';
import type { MemoryFilesOptions } from '../world/memory-files.ts';
import type { StoreWorld } from '../../src/image/store.ts';
import type { Log } from '../../src/world/world.ts';

export const limits = {
  chunkBytes: 4096,
  imageBytesMax: 1024 * 1024,
  imageRatioMax: 10_000,
  seedBytesMax: 64 * 1024,
  imageSilenceMs: 1_000,
  imageTries: 3,
  imageRedirects: 3,
};

export interface TestWorld extends StoreWorld {
  readonly files: MemoryFiles;
  readonly warnings: string[];
}
export const imageWorld = (options: MemoryFilesOptions = {}): TestWorld => {
  const warnings: string[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (message) => {
      warnings.push(message);
    },
    error: (message) => {
      warnings.push(message);
    },
    with: () => log,
  };
  const clock = {
    now: () => 1_000,
    sleep: () => Promise.reject(new Error('nothing sleeps here')),
    after: () => () => {},
    soon: (run: () => void) => {
      setImmediate(run);
    },
  };
  const http = { get: () => Promise.reject(new Error('nothing is fetched here')) };
  return { files: new MemoryFiles({ now: () => 1_000, ...options }), log, clock, http, warnings };
};

/** Puts a file where an import can find it. */
export const place = async (world: TestWorld, file: string, bytes: Uint8Array): Promise<{ file: string }> => {
  await world.files.makeFolder(file.slice(0, file.lastIndexOf('/')) || '/');
  await world.files.write(file, bytes);
  return { file };
};

export const types = {
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  biosBoot: '21686148-6449-6E6F-744E-656564454649',
  linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
} as const;
export interface TestPartition {
  readonly name: string;
  readonly type: string;
  readonly first: number;
  readonly last: number;
}

/** A raw disk image with a protective MBR and a primary GPT; `fill` is laid over everything behind sector 34. */
export const diskImage = (sizeBytes: number, partitions: readonly TestPartition[], fill: Uint8Array = new Uint8Array()): Uint8Array => {
  const image = Buffer.alloc(sizeBytes);
  image.set(fill.subarray(0, Math.max(0, sizeBytes - 34 * 512)), 34 * 512);
  image[450] = 0xee;
  image.writeUInt16LE(0xaa55, 510);
  for (const [index, partition] of partitions.entries()) {
    const at = 1024 + 128 * index;
    writeGuid(image, partition.type, at);
    writeGuid(image, '52ab0000-0000-4000-8000-0000000000ff', at + 16);
    image.writeBigUInt64LE(BigInt(partition.first), at + 32);
    image.writeBigUInt64LE(BigInt(partition.last), at + 40);
    image.write(partition.name, at + 56, 72, 'utf16le');
  }
  image.write('EFI PART', 512, 'latin1');
  image.writeUInt32LE(0x00010000, 520);
  image.writeUInt32LE(92, 524);
  image.writeBigUInt64LE(1n, 536);
  image.writeBigUInt64LE(2n, 584);
  image.writeUInt32LE(128, 592);
  image.writeUInt32LE(128, 596);
  sealGpt(image);
  return image;
};
/** Both checksums anew, after a test has changed something. */
export const sealGpt = (image: Buffer): void => {
  const bytes = image.readUInt32LE(592) * image.readUInt32LE(596);
  const at = Number(image.readBigUInt64LE(584)) * 512;
  if (at + bytes <= image.length) image.writeUInt32LE(crc32(image.subarray(at, at + bytes)), 600);
  image.writeUInt32LE(0, 528);
  image.writeUInt32LE(crc32(image.subarray(512, 604)), 528);
};
const writeGuid = (image: Buffer, text: string, at: number): void => {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  image.set(bytes, at);
};
/** 64 KiB with an ESP and a seed; what lies in them does not matter to the store. */
export const seededImage = (fill?: Uint8Array): Uint8Array =>
  diskImage(
    64 * 1024,
    [
      { name: 'ESP', type: types.esp, first: 40, last: 59 },
      { name: 'cidata', type: types.linux, first: 64, last: 95 },
    ],
    fill,
  );
