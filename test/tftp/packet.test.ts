/** TFTP packets: recorded bytes and what they say, refusals, framing of whole windows, and bytes from nowhere. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { decodeTftp, encodeTftp, framedBlocks } from '../../src/tftp/packet.ts';
import { DecodeError } from '../../src/wire/reader.ts';
import { killersOfNpmTftp2, refusals, vectors } from '../vectors/tftp/packets.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

describe('packets say what they should, byte for byte there and back', () => {
  for (const { name, wire, says } of vectors) {
    test(name, () => {
      assert.deepEqual(decodeTftp(bytes(wire)), says);
      assert.equal(Buffer.from(encodeTftp(says)).toString('hex'), wire);
    });
  }
});

describe('refusals say where', () => {
  for (const { name, wire, path, offset } of refusals) {
    test(name, () =>
      assert.throws(
        () => decodeTftp(bytes(wire)),
        (error) => {
          assert.ok(error instanceof DecodeError);
          assert.deepEqual({ path: error.path, offset: error.offset }, { path, offset });
          return true;
        },
      ),
    );
  }
});

test('a window in one piece is its DATA packets one behind the other, numbers wrapping past 65535', () => {
  const file = new Uint8Array(65_540 * 8 + 3).map((_, at) => at % 251);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 65_541 }), fc.integer({ min: 1, max: 64 }), (first, asked) => {
      const count = Math.min(asked, 65_541 - first + 1);
      const packets = Array.from({ length: count }, (_, index) => {
        const start = (first - 1 + index) * 8;
        return encodeTftp({ kind: 'data', block: (first + index) % 65_536, data: file.subarray(start, start + 8) });
      });
      assert.deepEqual(Buffer.from(framedBlocks(file, { first, count, blockBytes: 8 })), Buffer.concat(packets));
    }),
  );
});
test('the last block of a file that ends with a whole one is empty', () =>
  assert.deepEqual(framedBlocks(new Uint8Array(16), { first: 3, count: 1, blockBytes: 8 }), Buffer.of(0, 3, 0, 3)));

test('hostile bytes: a packet or a DecodeError', () => {
  const seeds = [...vectors, ...killersOfNpmTftp2].map(({ wire }) => bytes(wire));
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.uint8Array({ maxLength: 20 }), fc.nat(60))
    .map(([seed, extra, at]) => Buffer.concat([seed.subarray(0, at), extra, seed.subarray(at)]));
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 600, size: 'max' })), (wire) => {
      try {
        const packet = decodeTftp(wire);
        assert.deepEqual(decodeTftp(encodeTftp(packet)), packet);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
    { numRuns: 3000 },
  );
});
