/** DHCP packets: recorded bytes and what they say, round trips, refusals, and bytes from nowhere. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { decodeDhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import { DecodeError } from '../../src/wire/reader.ts';
import { bytes, killersOfNpmDhcp, refusals, vectors } from '../vectors/dhcp/packets.ts';

describe('packets say what they should, and survive the way there and back', () => {
  for (const { name, wire, says, canonical } of vectors) {
    test(name, () => {
      const packet = decodeDhcp4(bytes(wire));
      const { options, ...header } = says;
      for (const [field, value] of Object.entries(header)) assert.deepEqual(packet[field as keyof typeof packet], value, field);
      for (const [option, value] of Object.entries(options)) {
        const got: Readonly<Record<string, unknown>> = packet.options;
        // Inside option 175 only what is named is compared.
        if (option === 'ipxe') assert.partialDeepStrictEqual(got[option], value);
        else assert.deepEqual(got[option], value, option);
      }
      const again = encodeDhcp4(packet);
      if (canonical) assert.equal(Buffer.from(again).toString('hex'), wire);
      assert.deepEqual(decodeDhcp4(again), packet);
    });
  }
});

describe('refusals say where', () => {
  for (const { name, wire, path, offset } of refusals) {
    test(name, () =>
      assert.throws(
        () => decodeDhcp4(bytes(wire)),
        (error) => {
          assert.ok(error instanceof DecodeError);
          assert.deepEqual({ path: error.path, offset: error.offset }, { path, offset });
          return true;
        },
      ),
    );
  }
});

const decodes = (wire: Uint8Array): boolean => {
  try {
    const packet = decodeDhcp4(wire);
    assert.deepEqual(decodeDhcp4(encodeDhcp4(packet)), packet);
    return true;
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error));
    return false;
  }
};
test('hostile bytes: a packet that survives, or a DecodeError', () => {
  for (const { wire } of killersOfNpmDhcp) decodes(bytes(wire));
  const seeds = vectors.map(({ wire }) => bytes(wire));
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 12, size: 'max' }), fc.nat(400))
    .map(([seed, changes, length]) => {
      const wire = seed.slice(0, length < 236 ? seed.length : length);
      for (const [at, byte] of changes) if (at < wire.length) wire[at] = byte;
      return wire;
    });
  let good = 0;
  fc.assert(
    fc.property(mutated, (wire) => {
      if (decodes(wire)) good++;
    }),
    { numRuns: 3000 },
  );
  assert.ok(good > 300, 'the mutations leave some packets whole, or nothing was proved');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1500, size: 'max' }), (wire) => {
      decodes(wire);
    }),
    { numRuns: 1000 },
  );
});
