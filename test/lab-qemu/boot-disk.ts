/** The smallest systems there are: disks that say one line on the serial port and halt, for a BIOS and for UEFI. */

export const firstWords = 'REMUDA DISK BOOTED';
/** COM1, where `out dx, al` makes a character. */
const sayAt = 0x20;

/** A master boot record: at 0000:7C00 the BIOS jumps to it, when its last bytes are 55 AA. */
export const biosDisk = (): Uint8Array => {
  const sector = Buffer.alloc(512);
  // xor ax,ax; mov ds,ax; mov si,7C20; again: lodsb; test al,al; jz end; mov dx,3F8; out dx,al; jmp again; end: hlt; jmp end
  sector.write('31c08ed8be207cac84c07406baf803eeebf5f4ebfd', 'hex');
  sector.write(`\r\n${firstWords}\r\n`, sayAt, 'latin1');
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
};

/** A PE32+ program of one section for x86-64, subsystem 10, EFI application (Microsoft PE format; UEFI 2.10 §2.1.1). */
const efiProgram = (): Uint8Array => {
  const file = Buffer.alloc(1024);
  file.write('MZ', 0, 'latin1');
  file.writeUInt32LE(0x40, 0x3c);
  file.write('PE\0\0', 0x40, 'latin1');
  const [coff, optional] = [0x44, 0x58];
  for (const [at, value] of [[0, 0x8664], [2, 1], [16, 0xf0], [18, 0x22]] as const) file.writeUInt16LE(value, coff + at); // prettier-ignore
  file.writeUInt16LE(0x20b, optional);
  // size of code, entry point, base of code, alignments in memory and file, size of image, of headers, number of directories
  for (const [at, value] of [[4, 512], [16, 0x1000], [20, 0x1000], [32, 0x1000], [36, 512], [56, 0x2000], [60, 512], [108, 16]] as const) file.writeUInt32LE(value, optional + at); // prettier-ignore
  file.writeUInt16LE(10, optional + 68);
  const section = optional + 0xf0;
  file.write('.text', section, 'latin1');
  for (const [at, value] of [[8, 512], [12, 0x1000], [16, 512], [20, 512], [36, 0x60000020]] as const) file.writeUInt32LE(value, section + at); // prettier-ignore
  // lea rsi,[rip+19h]; again: lodsb; test al,al; jz end; mov dx,3F8; out dx,al; jmp again; end: hlt; jmp end
  file.write('488d3519000000ac84c0740766baf803eeebf4f4ebfd', 512, 'hex');
  file.write(`\r\n${firstWords}\r\n`, 512 + sayAt, 'latin1');
  return file;
};

const sector = 512;
/** A FAT directory entry with an 8.3 name (Microsoft FAT Specification §6). */
const entry = (name: string, cluster: number, sizeBytes?: number): Uint8Array => {
  const bytes = Buffer.alloc(32);
  bytes.write(name.padEnd(11), 0, 'latin1');
  bytes[11] = sizeBytes === undefined ? 0x10 : 0x20;
  bytes.writeUInt16LE(cluster, 26);
  bytes.writeUInt32LE(sizeBytes ?? 0, 28);
  return bytes;
};

/** An unpartitioned disk of 1 MiB: a FAT12 file system with nothing but EFI/BOOT/BOOTX64.EFI (UEFI 2.10 §3.5.1.1). */
export const uefiDisk = (): Uint8Array => {
  const image = Buffer.alloc(2048 * sector);
  const [fatSectors, rootEntries] = [8, 16];
  image.write('eb3c90', 'hex');
  image.write('REMUDA  ', 3, 'latin1');
  // bytes per sector, reserved sectors, root entries, sectors, sectors per FAT; one sector per cluster, one FAT
  for (const [at, value] of [[11, sector], [14, 1], [17, rootEntries], [19, 2048], [22, fatSectors]] as const) image.writeUInt16LE(value, at); // prettier-ignore
  for (const [at, value] of [[13, 1], [16, 1], [21, 0xf8], [510, 0x55], [511, 0xaa]] as const) image[at] = value; // prettier-ignore
  const dataAt = (1 + fatSectors + (rootEntries * 32) / sector) * sector;
  const clusterAt = (cluster: number): number => dataAt + (cluster - 2) * sector;
  const program = efiProgram();
  // Clusters 2 and 3 are the folders, 4 → 5 the file; twelve bits each, FFF is the end.
  image.write('f8ffffffffff05f0ff', sector, 'hex');
  image.set(entry('EFI', 2), (1 + fatSectors) * sector);
  image.set(entry('.', 2), clusterAt(2));
  image.set(entry('..', 0), clusterAt(2) + 32);
  image.set(entry('BOOT', 3), clusterAt(2) + 64);
  image.set(entry('.', 3), clusterAt(3));
  image.set(entry('..', 2), clusterAt(3) + 32);
  image.set(entry('BOOTX64 EFI', 4, program.length), clusterAt(3) + 64);
  image.set(program, clusterAt(4));
  return image;
};
