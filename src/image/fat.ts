/** A small FAT12/FAT16 file system, written whole: a root directory with long names (Microsoft FAT Specification, August 2005). */
import { RemudaError } from '../errors.ts';

const sectorBytes = 512;
/** §3.1: BPB_RootEntCnt; 512 is what the specification asks for on FAT16. */
const rootEntries = 512;
const entryBytes = 32;
const rootSectors = (rootEntries * entryBytes) / sectorBytes;
const reservedSectors = 1;
const fatCopies = 2;
/** §3.1: BPB_Media of a disk that is not removable; the FAT's first entry repeats it. */
const media = 0xf8;
/** §6.3: 1980-01-01, the first day FAT can say. One date for all, so that equal files make equal images. */
const date = (1 << 5) | 1;
const attribute = { volumeId: 0x08, archive: 0x20, longName: 0x0f } as const;

interface Geometry {
  readonly sectors: number;
  readonly clusterSectors: number;
  readonly bits: 12 | 16;
  readonly fatSectors: number;
  readonly clusters: number;
}

/**
 * A file system of exactly `sizeBytes` (a multiple of 512) that holds these files; the same arguments give the same bytes.
 * Names are of lower-case letters, digits and hyphens; the label of up to 11 capital letters.
 * Throws `too-large` where the files do not fit.
 */
export const fatImage = (files: ReadonlyMap<string, Uint8Array>, sizeBytes: number, label: string): Uint8Array => {
  const geometry = geometryOf(sizeBytes);
  const clusterBytes = geometry.clusterSectors * sectorBytes;
  const needed = [...files.values()].reduce((sum, bytes) => sum + Math.ceil(bytes.length / clusterBytes), 0);
  const slots = [...files.keys()].reduce((sum, name) => sum + 1 + Math.ceil(name.length / charsPerEntry), 1);
  if (needed > geometry.clusters || slots > rootEntries)
    throw new RemudaError(
      'too-large',
      `the files need ${needed * clusterBytes} bytes, but a FAT of ${sizeBytes} bytes holds only ${geometry.clusters * clusterBytes}`,
    );

  const image = new Uint8Array(sizeBytes);
  writeBootSector(image, geometry, label);
  const fat = image.subarray(reservedSectors * sectorBytes, (reservedSectors + geometry.fatSectors) * sectorBytes);
  const rootAt = (reservedSectors + fatCopies * geometry.fatSectors) * sectorBytes;
  const root = image.subarray(rootAt, rootAt + rootSectors * sectorBytes);
  const data = image.subarray(rootAt + rootSectors * sectorBytes);
  // §4.2: entry 0 repeats the media byte, entry 1 says "end of chain" and, in its high bits, "cleanly unmounted".
  link(fat, geometry.bits, 0, 0xff00 | media);
  link(fat, geometry.bits, 1, 0xffff);

  root.set(shortEntry(label.padEnd(11), attribute.volumeId, 0, 0));
  let slot = 1;
  let cluster = 2;
  const aliases = new Set<string>();
  for (const [name, bytes] of files) {
    const count = Math.ceil(bytes.length / clusterBytes);
    const alias = aliasOf(name, aliases);
    for (const part of longEntries(name, alias)) root.set(part, entryBytes * slot++);
    root.set(shortEntry(alias, attribute.archive, count === 0 ? 0 : cluster, bytes.length), entryBytes * slot++);
    data.set(bytes, (cluster - 2) * clusterBytes);
    for (let i = 1; i <= count; i++, cluster++) link(fat, geometry.bits, cluster, i === count ? 0xffff : cluster + 1);
  }
  image.set(fat, (reservedSectors + geometry.fatSectors) * sectorBytes);
  return image;
};

/** §3.5: the count of clusters, and nothing else, says how wide a FAT entry is; the specification asks to stay 16 clusters clear of the borders. */
const clustersMost = { 12: 4084 - 16, 16: 65_524 - 16 } as const;
const clustersLeast = { 12: 1, 16: 4085 + 16 } as const;

/** The smallest clusters that work, so that small files waste little. */
const geometryOf = (sizeBytes: number): Geometry => {
  const sectors = sizeBytes / sectorBytes;
  if (!Number.isInteger(sectors) || sectors <= 0)
    throw new RemudaError('bad-request', `a FAT cannot have ${sizeBytes} bytes: it is made of sectors of ${sectorBytes}`);
  for (let clusterSectors = 1; clusterSectors <= 64; clusterSectors *= 2) {
    for (const bits of [12, 16] as const) {
      const fit = fitFat(sectors, clusterSectors, bits);
      if (fit.clusters >= clustersLeast[bits] && fit.clusters <= clustersMost[bits]) return { sectors, clusterSectors, bits, ...fit };
    }
  }
  throw new RemudaError('too-large', `a FAT12 or FAT16 file system cannot have ${sizeBytes} bytes`);
};
/** The more sectors the FAT takes, the fewer clusters it has to describe: grow it until it is long enough. */
const fitFat = (sectors: number, clusterSectors: number, bits: number): { fatSectors: number; clusters: number } => {
  for (let fatSectors = 1; ; fatSectors++) {
    const clusters = Math.floor((sectors - reservedSectors - rootSectors - fatCopies * fatSectors) / clusterSectors);
    if (Math.ceil(((clusters + 2) * bits) / 8) <= fatSectors * sectorBytes) return { fatSectors, clusters };
  }
};

/** §3.1 and §3.2: [offset, bytes, value] of the boot sector's BIOS parameter block; numbers are little-endian. */
const writeBootSector = (image: Uint8Array, { sectors, clusterSectors, bits, fatSectors }: Geometry, label: string): void => {
  const numbers: readonly (readonly [offset: number, bytes: number, value: number])[] = [
    [0, 3, 0x903ceb], // BS_jmpBoot
    [11, 2, sectorBytes], // BPB_BytsPerSec
    [13, 1, clusterSectors], // BPB_SecPerClus
    [14, 2, reservedSectors], // BPB_RsvdSecCnt
    [16, 1, fatCopies], // BPB_NumFATs
    [17, 2, rootEntries], // BPB_RootEntCnt
    [19, 2, sectors < 0x10000 ? sectors : 0], // BPB_TotSec16
    [21, 1, media], // BPB_Media
    [22, 2, fatSectors], // BPB_FATSz16
    [24, 2, sectors % 32 === 0 ? 32 : 1], // BPB_SecPerTrk: mtools refuses a track that does not divide the whole
    [26, 2, 2], // BPB_NumHeads
    [32, 4, sectors < 0x10000 ? 0 : sectors], // BPB_TotSec32
    [36, 1, 0x80], // BS_DrvNum
    [38, 1, 0x29], // BS_BootSig: the next three fields are there
    [39, 4, 0x52656d75], // BS_VolID
    [510, 2, 0xaa55],
  ];
  for (const [offset, bytes, value] of numbers) putNumber(image, offset, bytes, value);
  image.set(ascii('MSWIN4.1'), 3); // BS_OEMName, the value that §3.1 recommends
  image.set(ascii(label.padEnd(11)), 43); // BS_VolLab
  image.set(ascii(`FAT${bits}   `), 54); // BS_FilSysType
};

/** §4.1: a FAT12 entry is 12 bits, two in three bytes; `next` is cut to the entry's width. */
const link = (fat: Uint8Array, bits: 12 | 16, cluster: number, next: number): void => {
  if (bits === 16) return putNumber(fat, cluster * 2, 2, next);
  const at = cluster + (cluster >> 1);
  const pair = (fat[at] ?? 0) | ((fat[at + 1] ?? 0) << 8);
  putNumber(fat, at, 2, cluster % 2 === 0 ? (pair & 0xf000) | (next & 0x0fff) : (pair & 0x000f) | ((next & 0x0fff) << 4));
};

/** §6: a 32-byte directory entry; the name is 8 + 3 characters without a dot. */
const shortEntry = (name: string, attributes: number, firstCluster: number, sizeBytes: number): Uint8Array => {
  const entry = new Uint8Array(entryBytes);
  entry.set(ascii(name));
  putNumber(entry, 11, 1, attributes);
  for (const dateAt of [16, 18, 24]) putNumber(entry, dateAt, 2, date); // created, accessed, written
  putNumber(entry, 26, 2, firstCluster);
  putNumber(entry, 28, 4, sizeBytes);
  return entry;
};

const charsPerEntry = 13;
/** §7: where the 13 characters of a long-name entry lie. */
const charsAt = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] as const;
/** §7: the name in pieces of 13 UTF-16 characters, the last piece first, each with the checksum of the short name that follows. */
const longEntries = (name: string, alias: string): readonly Uint8Array[] => {
  const pieces = Math.ceil(name.length / charsPerEntry);
  const checksum = ascii(alias).reduce((sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff, 0);
  return Array.from({ length: pieces }, (_, i) => {
    const order = pieces - i;
    const entry = new Uint8Array(entryBytes);
    putNumber(entry, 0, 1, order | (i === 0 ? 0x40 : 0));
    putNumber(entry, 11, 1, attribute.longName);
    putNumber(entry, 13, 1, checksum);
    for (const [column, at] of charsAt.entries()) {
      const index = (order - 1) * charsPerEntry + column;
      // After the last character comes one zero, then 0xFFFF to the end.
      putNumber(entry, at, 2, index < name.length ? name.charCodeAt(index) : index === name.length ? 0 : 0xffff);
    }
    return entry;
  });
};

/** §7.4: a short name that no other file has, `META-D~1`. Every name gets one, because short names are capital letters and ours are not. */
const aliasOf = (name: string, taken: Set<string>): string => {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))
    throw new RemudaError('bad-request', `${JSON.stringify(name)} cannot name a file in the seed`);
  for (let number = 1; ; number++) {
    const tail = `~${number}`;
    const alias = `${name.toUpperCase().slice(0, 8 - tail.length)}${tail}`.padEnd(11);
    if (taken.has(alias)) continue;
    taken.add(alias);
    return alias;
  }
};

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const putNumber = (bytes: Uint8Array, at: number, length: number, value: number): void => {
  for (let i = 0; i < length; i++) bytes[at + i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
};
