/** IPMI's tables: what is written is read again, and hostile bytes are refused by DecodeError alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { suitesIn, suiteRecords } from '../../../src/bmc/ipmi/cipher-suites.ts';
import { BootDevice, bootFlags, commands, decodeRequest, decodeResponse } from '../../../src/bmc/ipmi/commands.ts';
import {
  rakp2Code,
  rakp3Code,
  rakp4Code,
  sameCode,
  seal,
  sessionKeys,
  suiteOf,
  suites,
  unseal,
  usualSuites,
} from '../../../src/bmc/ipmi/crypt.ts';
import type { Handshake, SessionKeys } from '../../../src/bmc/ipmi/crypt.ts';
import { decodeFru, encodeFru } from '../../../src/bmc/ipmi/fru.ts';
import { completionText, decodeMessage, encodeMessage, requestMessage, responseMessage, answersTo } from '../../../src/bmc/ipmi/message.ts';
import { decodeOpening, encodeOpening, opening } from '../../../src/bmc/ipmi/opening.ts';
import { decodePacket, encodePacket, presencePing, presencePong, saysIpmi } from '../../../src/bmc/ipmi/packet.ts';
import { SequenceWindow } from '../../../src/bmc/ipmi/window.ts';
import { decode, encode } from '../../../src/wire/codec.ts';
import { DecodeError } from '../../../src/wire/reader.ts';

const bytes = (max = 64): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max }).map((array) => new Uint8Array(array));
const exactly = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => new Uint8Array(array));
/** With the prototype of ordinary objects, as decoding gives them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(model, { noNullPrototype: true });
const byte = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 0xffff });
const long = fc.integer({ min: 0, max: 0xffffffff });
const six = fc.integer({ min: 0, max: 63 });
/** Runs `read` and lets DecodeError through; anything else fails the test. */
const onlyDecodeErrors = (read: () => unknown): void => {
  try {
    read();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
};

describe('packets', () => {
  test('v2.0 packets survive the way there and back', () => {
    const payload = record({ type: six, authenticated: fc.boolean(), encrypted: fc.boolean() });
    fc.assert(
      fc.property(record({ payload, session: long, sequence: long, data: bytes(), trailer: bytes() }), (fields) => {
        const packet = { kind: 'v20' as const, ...fields };
        assert.deepEqual(decodePacket(encodePacket(packet)), packet);
      }),
    );
  });
  test('v1.5 packets survive the way there and back', () => {
    fc.assert(
      fc.property(record({ sequence: long, session: long, message: bytes(), pad: bytes(1) }), (fields) => {
        const packet = { kind: 'v15' as const, ...fields };
        assert.deepEqual(decodePacket(encodePacket(packet)), packet);
      }),
    );
  });
  test('a presence ping and its pong', () => {
    assert.equal(Buffer.from(presencePing(7)).toString('hex'), '0600ff06000011be80070000');
    const pong = decodePacket(presencePong(7));
    assert.ok(pong.kind === 'asf' && pong.tag === 7 && saysIpmi(pong));
    const ping = decodePacket(presencePing(7));
    assert.ok(ping.kind === 'asf' && !saysIpmi(ping));
  });
  test('hostile bytes: DecodeError and nothing else', () => {
    const heads = ['', '0600ff06000011be', '0600ff0700', '0600ff0706', '0600ff0706c0'].map((hex) => Buffer.from(hex, 'hex'));
    fc.assert(
      fc.property(fc.constantFrom(...heads), bytes(100), (head, tail) => onlyDecodeErrors(() => decodePacket(Buffer.concat([head, tail])))),
      { numRuns: 1000 },
    );
  });
});

describe('opening a session', () => {
  const algorithms = record({ authentication: six, integrity: six, confidentiality: six });
  const level = fc.integer({ min: 0, max: 15 }).map((number) => ({ level: number }));
  const tag = byte;
  const arbitraries = {
    openRequest: record({ tag, privilege: level, reserved: word, consoleSession: long, algorithms }),
    openResponse: fc.oneof(
      record({
        tag,
        status: fc.constant(0),
        privilege: level,
        reserved: byte,
        consoleSession: long,
        body: record({ managedSession: long, algorithms }),
      }),
      record({
        tag,
        status: fc.integer({ min: 1, max: 255 }),
        privilege: level,
        reserved: byte,
        consoleSession: long,
        body: fc.constant(undefined),
      }),
    ),
    rakp1: record({
      tag,
      reserved: fc.integer({ min: 0, max: 0xffffff }),
      managedSession: long,
      consoleRandom: exactly(16),
      role: byte,
      reserved2: word,
      username: bytes(16),
    }),
    rakp2: record({
      tag,
      status: fc.constant(0),
      reserved: word,
      consoleSession: long,
      body: record({ managedRandom: exactly(16), guid: exactly(16), code: bytes(32) }),
    }),
    rakp3: record({ tag, status: byte, reserved: word, managedSession: long, code: bytes(32) }),
    rakp4: record({ tag, status: byte, reserved: word, consoleSession: long, code: bytes(16) }),
  } as const;
  for (const kind of Object.keys(opening) as (keyof typeof opening)[]) {
    test(`${kind} survives the way there and back`, () => {
      fc.assert(
        fc.property(arbitraries[kind] as fc.Arbitrary<never>, (value) => {
          assert.deepEqual(decodeOpening(kind, encodeOpening(kind, value)), value);
        }),
      );
    });
    test(`${kind}: hostile bytes`, () => {
      fc.assert(fc.property(bytes(60), (hostile) => onlyDecodeErrors(() => decodeOpening(kind, hostile))));
    });
  }
});

describe('messages', () => {
  const lun = fc.integer({ min: 0, max: 3 });
  const message = record({ to: byte, toLun: lun, netFn: six, from: byte, fromLun: lun, sequence: six, command: byte, data: bytes() });
  test('survive the way there and back, and one flipped bit is seen', () => {
    fc.assert(
      fc.property(message, fc.nat(), (value, flip) => {
        const wire = encodeMessage(value);
        assert.deepEqual(decodeMessage(wire), value);
        const at = flip % (wire.length * 8);
        wire[at >>> 3] = (wire[at >>> 3] ?? 0) ^ (1 << (at & 7));
        assert.throws(() => decodeMessage(wire), DecodeError);
      }),
    );
  });
  test('where checksums are ignored, wrong ones are', () => {
    const wire = encodeMessage(requestMessage({ netFn: 6, command: 1, sequence: 5, data: new Uint8Array() }));
    wire[2] = (wire[2] ?? 0) ^ 0xff;
    assert.equal(decodeMessage(wire, 'ignored').command, 1);
  });
  test('hostile bytes', () => {
    fc.assert(fc.property(bytes(30), (hostile) => onlyDecodeErrors(() => decodeMessage(hostile, 'ignored'))));
  });
  test('a response answers its own request only', () => {
    const request = { netFn: 6, command: 1, sequence: 5, data: new Uint8Array() };
    const response = responseMessage(requestMessage(request), 0xc0);
    assert.ok(answersTo(response, request));
    assert.ok(!answersTo(response, { ...request, sequence: 6 }));
    assert.ok(!answersTo(response, { ...request, command: 2 }));
    assert.match(completionText(0xc0), /node busy.*C0h/i);
  });
});

describe('commands', () => {
  for (const command of Object.values(commands))
    test(`${command.name}: hostile bytes`, () => {
      fc.assert(
        fc.property(bytes(24), (hostile) => {
          onlyDecodeErrors(() => decodeRequest(command as never, hostile));
          onlyDecodeErrors(() => decodeResponse(command as never, hostile));
        }),
      );
    });
  const flagTable: readonly (readonly [
    string,
    number,
    { readonly valid: boolean; readonly persistent: boolean; readonly efi: boolean },
  ])[] = [
    ['a004000000', BootDevice.network, { valid: true, persistent: false, efi: true }],
    ['e004000000', BootDevice.network, { valid: true, persistent: true, efi: true }],
    ['8008000000', BootDevice.disk, { valid: true, persistent: false, efi: false }],
    ['0000000000', BootDevice.none, { valid: false, persistent: false, efi: false }],
  ];
  for (const [hex, selector, how] of flagTable)
    test(`boot flags ${hex}`, () => {
      const flags = decode(bootFlags, Buffer.from(hex, 'hex'));
      assert.deepEqual([flags.device.selector, flags.how], [selector, how]);
      assert.equal(Buffer.from(encode(bootFlags, flags)).toString('hex'), hex);
    });
});

describe('cipher suites', () => {
  test('a list of records is read, those of manufacturers skipped', () => {
    const records = Uint8Array.of(0xc1, 0x80, 0x57, 1, 0, 0x01, 0x41, 0x81, ...suiteRecords([...suites.values()]));
    assert.deepEqual(
      suitesIn(records).map(({ id }) => id),
      [...suites.keys()],
    );
  });
  test('any bytes give a list', () => {
    fc.assert(fc.property(bytes(40), (hostile) => assert.ok(suitesIn(hostile).length <= hostile.length)));
  });
  test('a suite is its three algorithms together', () => {
    assert.equal(suiteOf({ authentication: 3, integrity: 4, confidentiality: 1 })?.id, 17);
    assert.equal(suiteOf({ authentication: 1, integrity: 4, confidentiality: 1 }), undefined);
    assert.equal(suiteOf({ authentication: 0, integrity: 0, confidentiality: 0 }), undefined);
    assert.deepEqual(usualSuites, [17, 3]);
  });
});

const handshakeOf = (id: number): Handshake => {
  const suite = suites.get(id);
  assert.ok(suite !== undefined);
  return {
    suite,
    consoleSession: 0xa4a3a2a0,
    managedSession: 0x02000100,
    consoleRandom: Uint8Array.from({ length: 16 }, (_, at) => at),
    managedRandom: Uint8Array.from({ length: 16 }, (_, at) => 0x80 + at),
    guid: new Uint8Array(16).fill(7),
    role: 0x14,
    username: Buffer.from('admin'),
    password: Buffer.from('correct horse'),
  };
};

describe('sealing', () => {
  const content = record({ session: long, sequence: long, type: six, payload: bytes(200) });
  for (const id of suites.keys()) {
    test(`suite ${id}: what is sealed is unsealed`, () => {
      const keys = sessionKeys(handshakeOf(id));
      fc.assert(
        fc.property(content, exactly(16), (sealed, iv) => {
          const wire = seal(keys, sealed, iv);
          const packet = decodePacket(wire);
          assert.ok(packet.kind === 'v20');
          assert.deepEqual(
            { session: packet.session, sequence: packet.sequence, type: packet.payload.type, payload: unseal(keys, packet, wire) },
            sealed,
          );
        }),
      );
    });
    test(`suite ${id}: hostile packets`, () => {
      const keys = sessionKeys(handshakeOf(id));
      const payload = record({ type: six, authenticated: fc.boolean(), encrypted: fc.boolean() });
      fc.assert(
        fc.property(record({ payload, session: long, sequence: long, data: bytes(), trailer: bytes() }), (fields) => {
          const packet = { kind: 'v20' as const, ...fields };
          onlyDecodeErrors(() => unseal(keys, packet, encodePacket(packet)));
        }),
      );
    });
  }
  test('one flipped bit of a proven packet is seen, wherever', () => {
    const unsealed = (keys: SessionKeys, wire: Uint8Array): Uint8Array => {
      const packet = decodePacket(wire);
      if (packet.kind !== 'v20') throw new DecodeError('kind', 0, 'is another');
      return unseal(keys, packet, wire);
    };
    for (const id of usualSuites) {
      const keys = sessionKeys(handshakeOf(id));
      const wire = seal(keys, { session: 1, sequence: 1, type: 0, payload: Buffer.from('status') }, new Uint8Array(16));
      // RMCP's reserved byte and sequence number are outside of what the code covers.
      for (let bit = 4 * 8; bit < wire.length * 8; bit++) {
        const broken = new Uint8Array(wire);
        broken[bit >>> 3] = (broken[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        assert.throws(() => unsealed(keys, broken), DecodeError, `suite ${id}, bit ${bit}`);
      }
    }
  });
  test('each part of the handshake changes each code', () => {
    const one = handshakeOf(17);
    const others: Handshake[] = [
      { ...one, consoleSession: 1 },
      { ...one, managedSession: 1 },
      { ...one, consoleRandom: new Uint8Array(16) },
      { ...one, managedRandom: new Uint8Array(16) },
      { ...one, role: 4 },
      { ...one, username: Buffer.from('root') },
      { ...one, password: Buffer.from('wrong') },
    ];
    for (const other of others) {
      const differs = [rakp2Code, rakp3Code, rakp4Code].filter((code) => !sameCode(code(one), code(other)));
      assert.ok(differs.length >= 2, JSON.stringify(other));
    }
    assert.ok(!sameCode(rakp4Code(one), rakp4Code({ ...one, bmcKey: Buffer.from('kg') })));
    assert.ok(sameCode(rakp2Code(one), rakp2Code({ ...one, bmcKey: Buffer.from('kg') })));
  });
  test('a password longer than the field is refused, not cut', () => {
    assert.throws(() => rakp2Code({ ...handshakeOf(3), password: Buffer.alloc(21) }), RangeError);
  });
});

describe('sequence numbers', () => {
  test('each is taken once, in any order within the window', () => {
    const window = new SequenceWindow();
    assert.deepEqual(
      [0, 1, 1, 3, 2, 2, 5, 21, 5, 4, 6, 38, 37, 22].map((sequence) => window.accept(sequence)),
      [false, true, false, true, true, false, true, true, false, false, true, false, true, true],
    );
  });
  test('no number twice, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -2, max: 60 }), { maxLength: 80 }), (all) => {
        const window = new SequenceWindow();
        const taken = all.filter((sequence) => window.accept(sequence));
        assert.equal(new Set(taken).size, taken.length);
      }),
    );
  });
});

describe('FRU inventory', () => {
  const text = fc
    .string({ minLength: 2, maxLength: 40, unit: fc.constantFrom(...Array.from('ABCxyz019-./ ')) })
    .map((one) => one.trim().replaceAll(/ +/g, ' '))
    .filter((one) => one.length > 1);
  test('what is written is read again', () => {
    const label = record({ manufacturer: text, product: text, serial: text });
    fc.assert(
      fc.property(record({ chassis: record({ serial: text }), board: label, product: label }), (fru) => {
        assert.deepEqual(decodeFru(encodeFru(fru)), fru);
      }),
    );
  });
  test('hostile bytes', () => {
    fc.assert(fc.property(bytes(80), (hostile) => onlyDecodeErrors(() => decodeFru(Buffer.concat([Uint8Array.of(1), hostile])))));
  });
});
