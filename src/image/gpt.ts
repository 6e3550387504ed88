/** The GUID partition table of an image (UEFI 2.10 §5.3), and what follows from it: which firmware boots it and where its seed goes. */
import { crc32 } from 'node:zlib';
import { RemudaError } from '../errors.ts';
import type { Firmware, Manifest } from './manifest.ts';

export const sectorBytes = 512;
/** The table is looked for in the first MiB, where every partitioning program puts it. */
export const gptHeadBytes = 1024 * 1024;

export interface Partition {
  readonly name: string;
  /** Lower case. */
  readonly typeGuid: string;
  readonly firstLba: number;
  /** Inclusive. */
  readonly lastLba: number;
}
export interface DiskLayout {
  readonly partitions: readonly Partition[];
  readonly firmware: Firmware[];
  readonly seed: Manifest['seed'];
}

/** EFI System Partition, UEFI 2.10 §5.3.3 table 5.7. */
const efiSystemPartition = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
/** Where GRUB keeps its core image on a GPT disk; the name "BIOS boot partition" is GRUB's, its GUID spells `Hah!IdontNeedEFI`. */
const biosBootPartition = '21686148-6449-6e6f-744e-656564454649';

/** UEFI 2.10 §5.3.2 table 5.5: offsets in the header, which lies in LBA 1. */
const header = {
  revision: 8,
  headerBytes: 12,
  headerCrc: 16,
  myLba: 24,
  entriesLba: 72,
  entryCount: 80,
  entryBytes: 84,
  entriesCrc: 88,
} as const;
const headerBytesLeast = 92;
/** UEFI 2.10 §5.3.3 table 5.6: offsets in an entry. */
const entry = { typeGuid: 0, firstLba: 32, lastLba: 40, name: 56 } as const;
const nameBytes = 72;
const entryBytesLeast = 128;
const entriesMost = 1024;

const invalid = (where: string, what: string): RemudaError =>
  new RemudaError('image-invalid', `the image's partition table is damaged: ${where}: ${what}`, { values: { where } });

/**
 * The partitions in the order of the table; undefined where the image has no GPT at all.
 * `head` holds the image's first bytes, at most `gptHeadBytes` of them. Throws `image-invalid` with the byte offset of the fault.
 */
export const readGpt = (head: Uint8Array): readonly Partition[] | undefined => {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const at = sectorBytes;
  if (ascii(head, at, 8) !== 'EFI PART') {
    // UEFI 2.10 §5.2.3: a protective MBR announces a GPT. With 4096-byte sectors the table lies elsewhere, and the image does not fit our disks.
    if (hasProtectiveMbr(head))
      throw invalid('byte 512', 'the MBR announces a GPT, but there is none (or it was made for sectors that are not 512 bytes)');
    return undefined;
  }
  if (head.length < at + sectorBytes) throw invalid('byte 512', 'the image ends inside the GPT header');
  const headerBytes = view.getUint32(at + header.headerBytes, true);
  if (headerBytes < headerBytesLeast || headerBytes > sectorBytes)
    throw invalid(`byte ${at + header.headerBytes}`, `a header of ${headerBytes} bytes`);
  const plain = Uint8Array.from(head.subarray(at, at + headerBytes));
  plain.fill(0, header.headerCrc, header.headerCrc + 4);
  if (crc32(plain) !== view.getUint32(at + header.headerCrc, true))
    throw invalid(`byte ${at + header.headerCrc}`, 'the checksum of the header does not match');
  if (view.getBigUint64(at + header.myLba, true) !== 1n) throw invalid(`byte ${at + header.myLba}`, 'the header belongs to another sector');
  return readEntries(head, view);
};

const readEntries = (head: Uint8Array, view: DataView): readonly Partition[] => {
  const count = view.getUint32(sectorBytes + header.entryCount, true);
  const size = view.getUint32(sectorBytes + header.entryBytes, true);
  const lba = view.getBigUint64(sectorBytes + header.entriesLba, true);
  // §5.3.2: 128 × 2ⁿ; a bound on the count, because it comes from the image.
  if (size < entryBytesLeast || size > 4096 || (size & (size - 1)) !== 0)
    throw invalid(`byte ${sectorBytes + header.entryBytes}`, `entries of ${size} bytes`);
  if (count > entriesMost) throw invalid(`byte ${sectorBytes + header.entryCount}`, `${count} entries`);
  if (lba < 2n || lba * BigInt(sectorBytes) + BigInt(count * size) > BigInt(head.length))
    throw invalid(`byte ${sectorBytes + header.entriesLba}`, `the entries lie outside the first ${head.length} bytes of the image`);
  const first = Number(lba) * sectorBytes;
  const table = head.subarray(first, first + count * size);
  if (crc32(table) !== view.getUint32(sectorBytes + header.entriesCrc, true))
    throw invalid(`byte ${first}`, 'the checksum of the entries does not match');
  const partitions: Partition[] = [];
  for (let index = 0; index < count; index++) {
    const partition = readEntry(head, view, first + index * size);
    if (partition !== undefined) partitions.push(partition);
  }
  return partitions;
};

const readEntry = (head: Uint8Array, view: DataView, at: number): Partition | undefined => {
  const typeGuid = guid(head, view, at + entry.typeGuid);
  // §5.3.3: a type of zeros means the entry is not used.
  if (/^[0-]+$/.test(typeGuid)) return undefined;
  const firstLba = view.getBigUint64(at + entry.firstLba, true);
  const lastLba = view.getBigUint64(at + entry.lastLba, true);
  if (firstLba > lastLba || lastLba > BigInt(Number.MAX_SAFE_INTEGER) / BigInt(sectorBytes))
    throw invalid(`byte ${at + entry.firstLba}`, `a partition from sector ${firstLba} to ${lastLba}`);
  return { name: utf16(view, at + entry.name), typeGuid, firstLba: Number(firstLba), lastLba: Number(lastLba) };
};

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
/** Appendix A of UEFI 2.10: the first three fields of a GUID are little-endian, the rest is a string of bytes. */
const guid = (bytes: Uint8Array, view: DataView, at: number): string => {
  const tail = Buffer.from(bytes.subarray(at + 8, at + 16)).toString('hex');
  return `${hex(view.getUint32(at, true), 8)}-${hex(view.getUint16(at + 4, true), 4)}-${hex(view.getUint16(at + 6, true), 4)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
};
const utf16 = (view: DataView, at: number): string => {
  let text = '';
  for (let i = 0; i < nameBytes; i += 2) {
    const unit = view.getUint16(at + i, true);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
};
const ascii = (bytes: Uint8Array, at: number, length: number): string => String.fromCharCode(...bytes.subarray(at, at + length));

/** The boot signature of an MBR, UEFI 2.10 §5.2.1 table 5.1. */
const isMbr = (head: Uint8Array): boolean => head.length >= sectorBytes && head[510] === 0x55 && head[511] === 0xaa;
/** §5.2.3: one of the four records is of type 0xEE. */
const hasProtectiveMbr = (head: Uint8Array): boolean => isMbr(head) && [450, 466, 482, 498].some((at) => head[at] === 0xee);
/** The first 424 bytes of an MBR are code that a BIOS runs and UEFI does not (table 5.1: BootCode). */
const hasBootCode = (head: Uint8Array): boolean => isMbr(head) && head.subarray(0, 424).some((byte) => byte !== 0);

/**
 * What the first bytes of an image say: firmware that can boot it, and its seed partition, named CIDATA.
 * The seed is clipped to `seedBytesMax`, since a file system may be smaller than its partition. Throws `image-invalid`.
 */
export const layoutOf = (head: Uint8Array, seedBytesMax: number): DiskLayout => {
  const partitions = readGpt(head) ?? [];
  const seeds = partitions.filter(({ name }) => name.toUpperCase() === 'CIDATA');
  const [seed] = seeds;
  if (seeds.length > 1) throw new RemudaError('image-invalid', `the image has ${seeds.length} partitions named CIDATA; give it one`);
  const firmware: Firmware[] = [];
  if (hasBootCode(head) || partitions.some(({ typeGuid }) => typeGuid === biosBootPartition)) firmware.push('bios');
  if (partitions.some(({ typeGuid }) => typeGuid === efiSystemPartition)) firmware.push('uefi');
  return {
    partitions,
    firmware,
    seed:
      seed === undefined
        ? null
        : { offsetBytes: seed.firstLba * sectorBytes, sizeBytes: Math.min(seedBytesMax, (seed.lastLba - seed.firstLba + 1) * sectorBytes) },
  };
};

/** Throws `image-invalid` where a partition reaches beyond the image: the usual mark of a download that was cut off. */
export const refuseCutOff = (partitions: readonly Partition[], sizeBytes: number): void => {
  for (const { name, lastLba } of partitions)
    if ((lastLba + 1) * sectorBytes > sizeBytes)
      throw new RemudaError(
        'image-invalid',
        `the image ends at byte ${sizeBytes}, but its partition ${JSON.stringify(name)} reaches to byte ${(lastLba + 1) * sectorBytes}: it was cut off`,
      );
};
