/** A codec says how one value lies on the wire; one table of codecs gives encode, decode and the TypeScript type. */
import { type Ipv4, ipv4From, ipv4Number, type Mac } from './address.ts';
import { Reader, type UintBytes } from './reader.ts';
import { Writer } from './writer.ts';

/** `read` throws nothing but DecodeError, whatever the bytes; `write` throws RangeError where a value cannot be said. */
export interface Codec<T> {
  read(r: Reader): T;
  write(w: Writer, value: T): void;
}
export type ValueOf<C> = C extends Codec<infer T> ? T : never;

/** The whole of `bytes` as one value. Throws DecodeError, also where bytes are left over. */
export const decode = <T>(codec: Codec<T>, bytes: Uint8Array): T => {
  const r = new Reader(bytes);
  const value = codec.read(r);
  r.end();
  return value;
};

/** Throws RangeError where the value cannot be said in this format. */
export const encode = <T>(codec: Codec<T>, value: T): Uint8Array => {
  const w = new Writer();
  codec.write(w, value);
  return w.done();
};

const uint = (size: UintBytes): Codec<number> => ({ read: (r) => r.uint(size), write: (w, value) => w.uint(size, value) });
export const u8 = uint(1);
/** Big-endian, as every number in the protocols we speak. */
export const u16 = uint(2);
export const u32 = uint(4);

/** All bytes that are left. */
export const rest: Codec<Uint8Array> = { read: (r) => r.take(r.left).slice(), write: (w, value) => w.put(value) };

/** Exactly `size` bytes. */
export const fixed = (size: number): Codec<Uint8Array> => ({
  read: (r) => r.take(size).slice(),
  write: (w, value) => {
    if (value.length !== size) throw new RangeError(`needs ${size} bytes, got ${value.length}`);
    w.put(value);
  },
});

export const map = <A, B>(inner: Codec<A>, to: (value: A) => B, from: (value: B) => A): Codec<B> => ({
  read: (r) => to(inner.read(r)),
  write: (w, value) => inner.write(w, from(value)),
});

/** Latin-1, one character per byte: names on the wire are ASCII by their RFCs, and this way whatever else a client sends survives. */
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
const bytesOf = (text: string): Uint8Array => {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.toString('latin1') !== text) throw new RangeError(`${JSON.stringify(text)} has characters that are not Latin-1`);
  return bytes;
};

/** All that is left, as text, trailing NULs included. */
export const text: Codec<string> = map(rest, textOf, bytesOf);

/** Text up to a NUL. */
export const nulText: Codec<string> = {
  read: (r) => textOf(r.takeUntilNul()),
  write: (w, value) => {
    if (value.includes('\0')) throw new RangeError('NUL inside a NUL-terminated text');
    w.put(bytesOf(value));
    w.uint(1, 0);
  },
};

/** Text in a field of `size` bytes, filled up with NULs; a NUL amid the text stays in it. */
export const paddedText = (size: number): Codec<string> => ({
  read: (r) => textOf(r.take(size)).replace(/\0+$/, ''),
  write: (w, value) => {
    const bytes = bytesOf(value);
    if (bytes.length > size) throw new RangeError(`${bytes.length} bytes of text do not fit in ${size}`);
    w.put(bytes);
    w.put(new Uint8Array(size - bytes.length));
  },
});

export const ipv4: Codec<Ipv4> = map(u32, ipv4From, ipv4Number);

const macOf = (bytes: Uint8Array): Mac => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
export const mac: Codec<Mac> = map(fixed(6), macOf, (value) => Uint8Array.from(value.split(':'), (byte) => Number.parseInt(byte, 16)));

/** Values one after another to the end. `inner` must read at least one byte, or this would not end. */
export const list = <T>(inner: Codec<T>): Codec<readonly T[]> => ({
  read: (r) => {
    const items: T[] = [];
    while (r.left > 0) {
      const before = r.left;
      items.push(inner.read(r));
      if (r.left === before) throw r.fail('a list of nothing');
    }
    return items;
  },
  write: (w, value) => {
    for (const item of value) inner.write(w, item);
  },
});

/** A number that must be this one: magic cookies. */
export const constant = (inner: Codec<number>, expected: number): Codec<number> => ({
  read: (r) => {
    const { offset } = r;
    if (inner.read(r) !== expected) throw r.fail(`must be 0x${expected.toString(16)}`, offset);
    return expected;
  },
  write: (w) => inner.write(w, expected),
});

type Fields = Readonly<Record<string, Codec<unknown>>>;
export type Struct<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** Named fields in the order of the table. */
export const struct = <const F extends Fields>(fields: F): Codec<Struct<F>> => {
  const entries = Object.entries(fields);
  return {
    read: (r) => Object.fromEntries(entries.map(([name, codec]) => [name, r.within(name, () => codec.read(r))])) as Struct<F>,
    write: (w, value) => {
      for (const [name, codec] of entries) codec.write(w, value[name]);
    },
  };
};

type Variants = Readonly<Record<string, readonly [tag: number, body: Codec<object>]>>;
export type Tagged<V extends Variants> = { [K in keyof V]: { readonly kind: K } & ValueOf<V[K][1]> }[keyof V];

/** One of several bodies, told apart by a number before it. An unknown number is refused: there is no saying what follows it. */
export const tagged = <const V extends Variants>(tag: Codec<number>, variants: V): Codec<Tagged<V>> => {
  const byTag = new Map(Object.entries(variants).map(([kind, [number, body]]) => [number, { kind, body }]));
  return {
    read: (r) => {
      const variant = r.within('kind', () => {
        const { offset } = r;
        const found = byTag.get(tag.read(r));
        if (found === undefined) throw r.fail('is none that we know', offset);
        return found;
      });
      return { kind: variant.kind, ...r.within(variant.kind, () => variant.body.read(r)) } as Tagged<V>;
    },
    write: (w, value) => {
      const variant = variants[value.kind as string];
      if (variant === undefined) throw new RangeError(`no such kind: ${String(value.kind)}`);
      tag.write(w, variant[0]);
      variant[1].write(w, value);
    },
  };
};
