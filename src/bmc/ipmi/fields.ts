/** What IPMI's tables need beside the codec kit: little-endian numbers, bits of a byte, bytes that say their own length. */
import { fixed, map, u16, u32 } from '../../wire/codec.ts';
import type { Codec } from '../../wire/codec.ts';

const swapped16 = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
const swapped32 = (value: number): number => (swapped16(value & 0xffff) * 0x1_0000 + swapped16(value >>> 16)) >>> 0;
/** All numbers inside IPMI are little-endian (IPMI 2.0 §1.6.1), those of RMCP and ASF are not. */
export const le16: Codec<number> = map(u16, swapped16, swapped16);
export const le32: Codec<number> = map(u32, swapped32, swapped32);
/** A manufacturer's number (IANA) in three bytes. */
export const le24: Codec<number> = map(
  fixed(3),
  ([low = 0, middle = 0, high = 0]) => low | (middle << 8) | (high << 16),
  (value) => Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, value >>> 16),
);

/** One bit by its number, or several as the lowest bit and how many. */
type BitTable = Readonly<Record<string, number | readonly [low: number, width: number]>>;
export type Bits<T extends BitTable> = { readonly [K in keyof T]: T[K] extends number ? boolean : number };

/** The named bits of one byte. Those without a name are reserved: written as zero, ignored when read (IPMI 2.0 §1.6.2). */
export const bits = <const T extends BitTable>(table: T): Codec<Bits<T>> => {
  const entries = Object.entries(table);
  return {
    read: (r) => {
      const byte = r.uint(1);
      return Object.fromEntries(
        entries.map(([name, at]) => [name, typeof at === 'number' ? ((byte >>> at) & 1) === 1 : (byte >>> at[0]) & ((1 << at[1]) - 1)]),
      ) as Bits<T>;
    },
    write: (w, value) => {
      const all = value as Readonly<Record<string, boolean | number>>;
      w.uint(
        1,
        entries.reduce((byte, [name, at]) => byte | (Number(all[name] ?? 0) << (typeof at === 'number' ? at : at[0])), 0),
      );
    },
  };
};

/** Bytes behind a number that counts them. */
export const counted = (length: Codec<number>): Codec<Uint8Array> => ({
  read: (r) => r.take(length.read(r)).slice(),
  write: (w, value) => {
    length.write(w, value.length);
    w.put(value);
  },
});

/** A value that may be missing at the end: BMCs of older versions leave it out. */
export const optional = <T>(inner: Codec<T>): Codec<T | undefined> => ({
  read: (r) => (r.left === 0 ? undefined : inner.read(r)),
  write: (w, value) => {
    if (value !== undefined) inner.write(w, value);
  },
});

/** Nothing at all. */
export const nothing: Codec<object> = { read: () => ({}), write: () => {} };
