/** A tar archive as it is written and read piece by piece: plain files in POSIX ustar (IEEE 1003.1, pax §"ustar Interchange Format"), so that tar(1) reads it too. */
import { RemudaError } from '../errors.ts';

const block = 512;
/** Eleven octal digits. */
const sizeMost = 8 ** 11 - 1;
/** ustar's name field; ours are far shorter. */
const nameMost = 100;

export interface TarEntry {
  readonly name: string;
  readonly sizeBytes: number;
  /** Exactly `sizeBytes` of them. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
const sumOf = (header: Uint8Array): number => header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
const headerOf = ({ name, sizeBytes }: TarEntry, seconds: number): Uint8Array => {
  if (sizeBytes > sizeMost || Buffer.byteLength(name) > nameMost)
    throw new RemudaError('too-large', `${name} (${sizeBytes} bytes) does not fit into a backup: 8 GiB a file at most`);
  const header = Buffer.alloc(block);
  header.write(name, 0);
  header.write(octal(0o600, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(sizeBytes, 12), 124);
  header.write(octal(seconds, 12), 136);
  header.write('0', 156);
  header.write('ustar', 257);
  // The version, after the magic's NUL.
  header.write('00', 263);
  header.write(`${octal(sumOf(header), 7)} `, 148);
  return header;
};

/** The archive of the entries, in their order; all carry the time `seconds` (since 1970). Throws what an entry throws, and `internal` where one is not as long as it said. */
export async function* tarOf(entries: AsyncIterable<TarEntry>, seconds: number): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    yield headerOf(entry, seconds);
    let sent = 0;
    for await (const bytes of entry.bytes) {
      sent += bytes.length;
      yield bytes;
    }
    if (sent !== entry.sizeBytes)
      throw new RemudaError('internal', `${entry.name} has ${sent} bytes, not ${entry.sizeBytes}: it changed while it was read`);
    yield Buffer.alloc((block - (sent % block)) % block);
  }
  yield Buffer.alloc(2 * block);
}

const broken = (why: string): RemudaError => new RemudaError('bad-request', `this is no whole backup: ${why}`);

/** Takes exact numbers of bytes from pieces of any size. */
class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();
  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }
  /** At most `most` bytes, at least one. */
  async some(most: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) throw broken('it ends too early');
      this.#rest = next.value;
    }
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }
  async *exactly(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0;) {
      const bytes = await this.some(left);
      left -= bytes.length;
      yield bytes;
    }
  }
  async whole(count: number): Promise<Uint8Array> {
    return Buffer.concat(await Array.fromAsync(this.exactly(count)));
  }
}

const text = (header: Uint8Array, from: number, length: number): string => {
  const field = Buffer.from(header.subarray(from, from + length));
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
};
const number = (header: Uint8Array, from: number, length: number): number => {
  const digits = text(header, from, length).trim();
  if (!/^[0-7]{1,11}$/.test(digits)) throw broken('a header holds no number');
  return Number.parseInt(digits, 8);
};

/**
 * The plain files of an archive, in their order. Each entry's bytes must be read before the next entry is asked for.
 * Throws `bad-request` for anything that is not a whole archive of plain files.
 */
export async function* untar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const pieces = new Pieces(source);
  for (;;) {
    const header = await pieces.whole(block);
    if (header.every((byte) => byte === 0)) return;
    if (text(header, 257, 6) !== 'ustar' || number(header, 148, 8) !== sumOf(header))
      throw broken('it is not a tar archive, or it is damaged');
    const name = text(header, 0, nameMost);
    const kind = text(header, 156, 1);
    if (kind !== '0') throw broken(`${JSON.stringify(name)} is not a plain file`);
    const sizeBytes = number(header, 124, 12);
    let left = sizeBytes;
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces.exactly(sizeBytes)) {
        left -= piece.length;
        yield piece;
      }
    };
    yield { name, sizeBytes, bytes: bytes() };
    if (left > 0) throw new RemudaError('internal', `${name} was not read to its end`);
    await pieces.whole((block - (sizeBytes % block)) % block);
  }
}
