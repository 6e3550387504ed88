/** The codec kit: what goes out comes back, what cannot be is refused with its place, and hostile bytes do no more than that. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type Ipv4, ipv4From, type Mac, parseMac } from '../../src/wire/address.ts';
import * as codec from '../../src/wire/codec.ts';
import { encapsulated, type Options, terminated } from '../../src/wire/options.ts';
import { DecodeError } from '../../src/wire/reader.ts';

const { decode, encode } = codec;
const refused = (path: string, offset: number) => (error: unknown) =>
  error instanceof DecodeError && error.path === path && error.offset === offset;
const bytes = (most = 64) => fc.uint8Array({ maxLength: most, size: 'max' });
const latin1 = bytes(20).map((array) => Buffer.from(array).toString('latin1'));
const address = fc.nat(0xffffffff).map(ipv4From);
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((array) => parseMac(Buffer.from(array).toString('hex').replace(/..\B/g, '$&:')) as Mac);

describe('every codec gives back what was put in', () => {
  const laws: readonly (readonly [string, codec.Codec<unknown>, fc.Arbitrary<unknown>])[] = [
    ['u8', codec.u8, fc.nat(0xff)],
    ['u16', codec.u16, fc.nat(0xffff)],
    ['u32', codec.u32, fc.nat(0xffffffff)],
    ['rest', codec.rest, bytes()],
    ['fixed', codec.fixed(3), fc.uint8Array({ minLength: 3, maxLength: 3 })],
    ['text', codec.text, latin1],
    ['nulText', codec.nulText, latin1.map((text) => text.replaceAll('\0', ''))],
    ['paddedText', codec.paddedText(20), latin1.map((text) => text.replace(/\0+$/, ''))],
    ['ipv4', codec.ipv4, address],
    ['mac', codec.mac, mac],
    ['list', codec.list(codec.u16), fc.array(fc.nat(0xffff))],
  ];
  for (const [name, one, value] of laws)
    test(name, () => fc.assert(fc.property(value, (it) => assert.deepEqual(decode(one, encode(one, it)), it))));
});

test('numbers are big-endian', () => assert.deepEqual(encode(codec.u32, 0x01020304), Uint8Array.of(1, 2, 3, 4)));

const packet = codec.struct({ kind: codec.u8, address: codec.ipv4, name: codec.nulText, tail: codec.rest });
test('a struct is read in the order of its table, and a refusal names the field and the byte', () => {
  const wire = Uint8Array.of(7, 10, 77, 0, 1, 97, 0, 1, 2);
  assert.deepEqual(decode(packet, wire), { kind: 7, address: '10.77.0.1', name: 'a', tail: Uint8Array.of(1, 2) });
  assert.throws(() => decode(packet, wire.subarray(0, 3)), refused('address', 1));
  assert.throws(() => decode(packet, wire.subarray(0, 6)), refused('name', 5));
  assert.throws(() => decode(packet, wire.subarray(0, 3)), { message: 'address at byte 1: needs 4 bytes, 2 left' });
});

test('bytes left over are refused', () => assert.throws(() => decode(codec.u8, Uint8Array.of(1, 2)), refused('', 1)));
test('a constant must be itself', () =>
  assert.throws(() => decode(codec.constant(codec.u16, 0x6382), Uint8Array.of(0x63, 0x83)), refused('', 0)));
test('values that do not fit are our own mistake', () => {
  assert.throws(() => encode(codec.u8, 256), RangeError);
  assert.throws(() => encode(codec.u16, -1), RangeError);
  assert.throws(() => encode(codec.u32, 1.5), RangeError);
  assert.throws(() => encode(codec.fixed(2), Uint8Array.of(1)), RangeError);
  assert.throws(() => encode(codec.text, 'ж'), RangeError);
  assert.throws(() => encode(codec.nulText, 'a\0b'), RangeError);
  assert.throws(() => encode(codec.paddedText(2), 'abc'), RangeError);
});

const pair = codec.tagged(codec.u8, { one: [1, codec.struct({ n: codec.u8 })], two: [2, codec.struct({ s: codec.text })] });
test('a tagged value is told apart by its number', () => {
  assert.deepEqual(decode(pair, Uint8Array.of(2, 97)), { kind: 'two', s: 'a' });
  assert.deepEqual(encode(pair, { kind: 'one', n: 9 }), Uint8Array.of(1, 9));
  assert.throws(() => decode(pair, Uint8Array.of(3)), refused('kind', 0));
  assert.throws(() => decode(pair, Uint8Array.of(1)), refused('one.n', 1));
});

const table = { mask: [1, codec.ipv4], name: [12, codec.text], archs: [93, codec.list(codec.u16)] } as const;
const options = terminated(table);
type Some = Options<typeof table>;
test('options keep their order, known or not', () => {
  const value: Some = { option224: Uint8Array.of(1), name: 'x', option3: Uint8Array.of(), archs: [7] };
  const wire = encode(options, value);
  assert.deepEqual(wire, Uint8Array.of(224, 1, 1, 12, 1, 120, 3, 0, 93, 2, 0, 7, 255));
  assert.deepEqual(Object.keys(decode(options, wire)), ['option224', 'name', 'option3', 'archs']);
  assert.deepEqual(decode(options, wire), value);
});
test('a long option goes in parts (RFC 3396)', () => {
  const value: Some = { name: 'n'.repeat(600) };
  const wire = encode(options, value);
  assert.equal(wire.length, 600 + 3 * 2 + 1);
  assert.deepEqual(decode(options, wire), value);
});
test('no option is its own: 0 and 255 are pad and end', () => {
  for (const name of ['option0', 'option255', 'option256', 'nonsense'] as const)
    assert.throws(() => encode(options, { [name]: Uint8Array.of(1) }), RangeError);
});
test('options inside an option need no end', () => {
  assert.deepEqual(decode(encapsulated(table), Uint8Array.of(12, 1, 97)), { name: 'a' });
  assert.deepEqual(encode(encapsulated(table), { name: 'a' }), Uint8Array.of(12, 1, 97));
});

// @ts-expect-error -- the table is the type: a name is text
const wrong: Some = { name: 7 };
void wrong;
const right: { readonly mask?: Ipv4 } = decode(options, Uint8Array.of(255));
void right;

test('hostile bytes: a value or a DecodeError inside the packet, never anything else', () => {
  const codecs: readonly codec.Codec<unknown>[] = [packet, pair, options, encapsulated(table), codec.list(packet), codec.mac];
  fc.assert(
    fc.property(fc.constantFrom(...codecs), bytes(300), (one, wire) => {
      try {
        decode(one, wire);
      } catch (error) {
        assert.ok(error instanceof DecodeError);
        assert.ok(error.offset >= 0 && error.offset <= wire.length);
      }
    }),
    { numRuns: 3000 },
  );
});
test('64 KiB of empty options cost no more than they weigh', () => {
  const wire = new Uint8Array(65_535).map((_, at) => (at % 2 === 0 ? 12 : 0));
  assert.deepEqual(decode(options, wire.subarray(0, 65_534)), { name: '' });
});
