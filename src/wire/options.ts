/** Options as code, length, value (RFC 2132 §2): one table of them is the format and the type; what it does not name passes through. */
import type { Codec, ValueOf } from './codec.ts';
import type { Reader } from './reader.ts';
import { Writer } from './writer.ts';

export type OptionTable = Readonly<Record<string, readonly [code: number, codec: Codec<unknown>]>>;
/** The options of the table by name and all others as raw bytes under `option<code>`, in the order of the wire. */
export type Options<T extends OptionTable> = { readonly [K in keyof T]?: ValueOf<T[K][1]> } & {
  readonly [unknown: `option${number}`]: Uint8Array;
};

/** One code–length–value triple as it stood on the wire. */
export interface RawOption {
  readonly code: number;
  readonly bytes: Uint8Array;
  /** Offset of the value in the packet. */
  readonly offset: number;
}

const pad = 0;
const end = 255;
/** The length of an option is one byte. */
const partBytes = 255;
/** Most options are shorter. */
const usualBytes = 32;

/** The triples up to the end option (RFC 2132 §3.2) or the end of the bytes; pads (§3.1) are skipped. Throws DecodeError. */
export const readRawOptions = (r: Reader): RawOption[] => {
  const raw: RawOption[] = [];
  while (r.left > 0) {
    const code = r.uint(1);
    if (code === pad) continue;
    if (code === end) break;
    r.within(`option${code}`, () => {
      const length = r.uint(1);
      raw.push({ code, offset: r.offset, bytes: r.take(length) });
    });
  }
  return raw;
};

/** The parts of each code joined in order (RFC 3396 §7). */
const joined = (raw: readonly RawOption[]): RawOption[] => {
  const byCode = new Map<number, RawOption[]>();
  for (const option of raw) {
    const parts = byCode.get(option.code);
    if (parts === undefined) byCode.set(option.code, [option]);
    else parts.push(option);
  }
  return Array.from(byCode.values(), (parts) => {
    const [first] = parts as [RawOption];
    return parts.length === 1 ? first : { ...first, bytes: new Uint8Array(Buffer.concat(parts.map((part) => part.bytes))) };
  });
};

/** Values from triples. Throws DecodeError with the option's name and the offset of its first part. */
export const readOptions = <T extends OptionTable>(table: T, raw: readonly RawOption[], r: Reader): Options<T> => {
  const names = new Map(Object.entries(table).map(([name, [code]]) => [code, name]));
  const out: Record<string, unknown> = {};
  for (const { code, bytes, offset } of joined(raw)) {
    const name = names.get(code);
    if (name === undefined) {
      out[`option${code}`] = bytes.slice();
      continue;
    }
    out[name] = r.within(name, () => {
      const inside = r.inside(bytes, offset);
      const value = table[name]?.[1].read(inside);
      inside.end();
      return value;
    });
  }
  return out as Options<T>;
};

const writeOption = (w: Writer, code: number, value: Uint8Array): void => {
  for (let at = 0; at === 0 || at < value.length; at += partBytes) {
    const part = value.subarray(at, at + partBytes);
    w.uint(1, code);
    w.uint(1, part.length);
    w.put(part);
  }
};

/** Options in the order in which the value names them, long ones in parts (RFC 3396 §5). Throws RangeError. */
export const writeOptions = <T extends OptionTable>(table: T, w: Writer, value: Options<T>): void => {
  for (const [name, one] of Object.entries(value as Readonly<Record<string, unknown>>)) {
    if (one === undefined) continue;
    const known = table[name];
    const inner = new Writer(usualBytes);
    if (known !== undefined) known[1].write(inner, one);
    else inner.put(one as Uint8Array);
    writeOption(w, known?.[0] ?? unknownCode(name), inner.done());
  }
};

const unknownCode = (name: string): number => {
  const code = Number(/^option(\d{1,3})$/.exec(name)?.[1]);
  if (!(code > pad && code < end)) throw new RangeError(`no such option: ${name}`);
  return code;
};

/** Options to the end of the bytes: those inside another option (RFC 2132 §8.4) need no end option and we write none. */
export const encapsulated = <const T extends OptionTable>(table: T): Codec<Options<T>> => ({
  read: (r) => {
    const value = readOptions(table, readRawOptions(r), r);
    r.take(r.left);
    return value;
  },
  write: (w, value) => writeOptions(table, w, value),
});
/** Options closed by the end option (RFC 2132 §3.2), where more may follow. */
export const terminated = <const T extends OptionTable>(table: T): Codec<Options<T>> => ({
  read: (r) => readOptions(table, readRawOptions(r), r),
  write: (w, value) => {
    writeOptions(table, w, value);
    w.uint(1, end);
  },
});
