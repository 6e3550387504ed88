/** Addresses as bytes and networks of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addressBytes, inNetwork, parseNetwork } from '../../src/wire/ip-network.ts';

const hex = (text: string): string | undefined => {
  const bytes = addressBytes(text);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex');
};
const addresses: readonly (readonly [text: string, hex: string | undefined])[] = [
  ['10.77.0.1', '0a4d0001'],
  ['255.255.255.255', 'ffffffff'],
  ['::', '0'.repeat(32)],
  ['::1', `${'0'.repeat(31)}1`],
  ['fe80::1%eth0', `fe80${'0'.repeat(27)}1`],
  ['2001:db8:0:1:2:3:4:5', '20010db8000000010002000300040005'],
  ['2001:DB8::5', `20010db8${'0'.repeat(23)}5`],
  ['::ffff:169.254.169.254', '00000000000000000000ffffa9fea9fe'],
  ['1::', `0001${'0'.repeat(28)}`],
  ...[
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.x',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7::8',
    'localhost',
  ].map((text) => [text, undefined] as const),
];
for (const [text, expected] of addresses)
  test(`${JSON.stringify(text)} is ${expected ?? 'no address'}`, () => assert.equal(hex(text), expected));

const networks: readonly (readonly [network: string, inside: readonly string[], outside: readonly string[]])[] = [
  ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['11.0.0.0', '9.255.255.255', '::ffff:10.0.0.1']],
  ['172.16.0.0/12', ['172.16.0.1', '172.31.255.255'], ['172.32.0.0', '172.15.255.255']],
  ['192.168.7.9', ['192.168.7.9'], ['192.168.7.8']],
  ['0.0.0.0/0', ['1.2.3.4', '255.0.0.0'], ['::']],
  ['fe80::/10', ['fe80::1', 'febf::1'], ['fec0::1', '169.254.0.1']],
  ['fc00::/7', ['fd00::1', 'fc00::1'], ['fe00::1']],
];
for (const [text, inside, outside] of networks)
  test(`who is in ${text}`, () => {
    const network = parseNetwork(text);
    assert.ok(network !== undefined);
    const within = (address: string): boolean => inNetwork(network, addressBytes(address) ?? new Uint8Array());
    assert.deepEqual([...inside, ...outside].filter(within), inside);
  });
test('what is no network', () => {
  for (const text of ['10.0.0.1/8', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', 'fe80::1/10', 'rack.example', '10.0.0.0/'])
    assert.equal(parseNetwork(text), undefined, text);
});
test('any text is an address or not, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.ipV4(), fc.stringMatching(/^[0-9a-f:./]{0,30}$/)), (text) => {
      const bytes = addressBytes(text);
      assert.ok(bytes === undefined || bytes.length === 4 || bytes.length === 16);
      parseNetwork(text);
    }),
  );
  fc.assert(fc.property(fc.oneof(fc.ipV6(), fc.ipV4()), (text) => assert.ok(addressBytes(text) !== undefined)));
});
