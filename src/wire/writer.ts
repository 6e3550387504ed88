/** Writing packets: a growing buffer that belongs to one packet. Values that do not fit are our own mistake: RangeError. */
import type { UintBytes } from './reader.ts';

/** Larger than any DHCP reply, so that growing is rare. */
const firstBytes = 640;

export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(bytes = firstBytes) {
    this.#bytes = new Uint8Array(bytes);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  put(bytes: Uint8Array): void {
    this.#need(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** An unsigned big-endian integer. Throws RangeError where it does not fit. */
  uint(size: UintBytes, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) throw new RangeError(`${value} does not fit in ${size} bytes`);
    this.#need(size);
    for (let shift = 8 * (size - 1); shift >= 0; shift -= 8) this.#bytes[this.#length++] = (value >>> shift) & 0xff;
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #need(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
