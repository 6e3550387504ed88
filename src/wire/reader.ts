/** Reading hostile bytes: every refusal is a DecodeError that says where. */

/** Why bytes were refused: the field by its path in the table, and the byte offset in the packet. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly path: string;
  readonly offset: number;
  constructor(path: string, offset: number, what: string) {
    super(`${path === '' ? 'packet' : path} at byte ${offset}: ${what}`);
    this.path = path;
    this.offset = offset;
  }
}

/** Width of an unsigned big-endian integer in bytes. */
export type UintBytes = 1 | 2 | 4;

/** A cursor over received bytes. It never reads past its end and never allocates by a number it has read. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Field names from the packet down to here; shared with the readers inside this one. */
  readonly #path: string[];
  /** Where this reader's first byte lies in the packet. */
  readonly #base: number;
  #at = 0;

  constructor(bytes: Uint8Array, path: string[] = [], base = 0) {
    // A Buffer's `slice` would be a view of the socket's memory; that of a plain array is a copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#path = path;
    this.#base = base;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** Offset in the packet of the next byte. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** The error to throw when what stands here, or at an offset read before, cannot be. */
  fail(what: string, offset = this.offset): DecodeError {
    return new DecodeError(this.#path.join('.'), offset, what);
  }

  /** Reads under a field name, so that a refusal can name it. */
  within<T>(name: string, read: () => T): T {
    this.#path.push(name);
    try {
      return read();
    } finally {
      this.#path.pop();
    }
  }

  /** A reader over bytes that were taken from this one, whose first byte lay at `offset` in the packet. */
  inside(bytes: Uint8Array, offset: number): Reader {
    return new Reader(bytes, this.#path, offset);
  }

  /** The next bytes, as a view of the packet. Throws DecodeError where fewer are left. */
  take(count: number): Uint8Array {
    if (count > this.left) throw this.fail(`needs ${count} bytes, ${this.left} left`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** The bytes up to the next NUL, which is read too. Throws DecodeError where there is none. */
  takeUntilNul(): Uint8Array {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end === -1) throw this.fail(`needs a NUL, ${this.left} bytes left`);
    const bytes = this.take(end - this.#at);
    this.take(1);
    return bytes;
  }

  uint(size: UintBytes): number {
    if (size > this.left) throw this.fail(`needs ${size} bytes, ${this.left} left`);
    const at = this.#at;
    this.#at += size;
    if (size === 1) return this.#view.getUint8(at);
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  /** Throws DecodeError where bytes are left over. */
  end(): void {
    if (this.left > 0) throw this.fail(`${this.left} bytes too many`);
  }
}
