/** A reader of FAT12/FAT16 root directories, written from the specification and from nothing in src: the second opinion on what we write. */
import assert from 'node:assert/strict';

export interface FatContent {
  readonly label: string;
  readonly bits: 12 | 16;
  readonly files: ReadonlyMap<string, Buffer>;
  /** Long name → 8.3 name. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** Reads everything and asserts what must be so: both FATs equal, chains that end, no cluster in two files. */
export const readFat = (bytes: Uint8Array): FatContent => {
  const image = Buffer.from(bytes);
  const u8 = (at: number): number => image.readUInt8(at);
  const u16 = (at: number): number => image.readUInt16LE(at);
  assert.equal(u16(510), 0xaa55);
  const sector = u16(11);
  const cluster = u8(13) * sector;
  const total = (u16(19) || image.readUInt32LE(32)) * sector;
  assert.equal(total, image.length, 'the file system fills its partition');
  const fatAt = u16(14) * sector;
  const fatLength = u16(22) * sector;
  const rootAt = fatAt + u8(16) * fatLength;
  const dataAt = rootAt + u16(17) * 32;
  const clusters = Math.floor((total - dataAt) / cluster);
  // §3.5: the count of clusters decides.
  const bits = clusters < 4085 ? 12 : 16;
  assert.ok(clusters < 65_525);
  assert.equal(image.toString('latin1', 54, 62).trim(), `FAT${bits}`);
  assert.ok(((clusters + 2) * bits) / 8 <= fatLength, 'the FAT describes every cluster');
  assert.deepEqual(image.subarray(fatAt, fatAt + fatLength), image.subarray(fatAt + fatLength, rootAt), 'both FATs are equal');
  const next = (number: number): number => {
    if (bits === 16) return u16(fatAt + number * 2);
    const pair = u16(fatAt + Math.floor(number * 1.5));
    return number % 2 === 0 ? pair % 4096 : pair >> 4;
  };
  const used = new Set<number>();
  const chain = (first: number, size: number): Buffer => {
    const parts: Buffer[] = [];
    for (let at = first; at !== 0 && at < (bits === 12 ? 0xff8 : 0xfff8); at = next(at)) {
      assert.ok(at >= 2 && at < clusters + 2 && !used.has(at), `cluster ${at} is free to be used`);
      used.add(at);
      parts.push(image.subarray(dataAt + (at - 2) * cluster, dataAt + (at - 1) * cluster));
    }
    const whole = Buffer.concat(parts);
    assert.equal(whole.length, Math.ceil(size / cluster) * cluster, 'the chain is as long as the file');
    assert.ok(whole.subarray(size).every((byte) => byte === 0));
    return whole.subarray(0, size);
  };

  const files = new Map<string, Buffer>();
  const aliases = new Map<string, string>();
  let label = '';
  let long: { text: string; sum: number; left: number } | undefined;
  for (let at = rootAt; at < dataAt && u8(at) !== 0; at += 32) {
    if (u8(at + 11) === 0x0f) {
      const order = u8(at);
      if ((order & 0x40) !== 0) long = { text: '', sum: u8(at + 13), left: order & 0x3f };
      assert.ok(long !== undefined && (order & 0x3f) === long.left-- && u8(at + 13) === long.sum, 'long-name entries count down');
      const units = [...Array.from({ length: 5 }, (_, i) => 1 + 2 * i), ...Array.from({ length: 6 }, (_, i) => 14 + 2 * i), 28, 30].map(
        (column) => u16(at + column),
      );
      const end = units.indexOf(0);
      assert.ok(end < 0 || units.slice(end + 1).every((unit) => unit === 0xffff));
      long.text = String.fromCharCode(...(end < 0 ? units : units.slice(0, end))) + long.text;
      continue;
    }
    const short = image.toString('latin1', at, at + 11);
    if ((u8(at + 11) & 0x08) !== 0) {
      label = short.trim();
      continue;
    }
    let sum = 0;
    for (const byte of image.subarray(at, at + 11)) sum = (((sum >> 1) | ((sum & 1) << 7)) + byte) % 256;
    assert.ok(long !== undefined && long.left === 0 && long.sum === sum, `a long name belongs to ${short}`);
    files.set(long.text, chain(u16(at + 26), image.readUInt32LE(at + 28)));
    assert.ok(![...aliases.values()].includes(short), 'short names differ');
    aliases.set(long.text, short);
    long = undefined;
  }
  for (let number = 2; number < clusters + 2; number++) if (!used.has(number)) assert.equal(next(number), 0, `cluster ${number} is free`);
  assert.equal(image.toString('latin1', 43, 54).trim(), label);
  return { label, bits, files, aliases };
};
