/** DHCP options that people set: what is taken as it is, and which options stay ours. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { dhcpExtrasSchema, whyNotRaw } from '../../src/wire/dhcp-extras.ts';

test('everything there is, as it was written', () => {
  const extras = {
    router: '10.77.0.254',
    dns: ['10.77.0.2'],
    domain: 'rack.example',
    ntp: ['10.77.0.3'],
    mtu: 9000,
    raw: { '150': '0A4d0001', '252': '61' },
  };
  assert.deepEqual(dhcpExtrasSchema.parse(extras), extras);
  assert.deepEqual(dhcpExtrasSchema.parse({}), {});
});

describe('options that stay ours', () => {
  for (const code of [1, 3, 6, 12, 43, 50, 51, 53, 54, 55, 57, 60, 61, 66, 67, 77, 82, 93, 97, 175])
    test(String(code), () => {
      assert.match(whyNotRaw(String(code)) ?? '', new RegExp(`^option ${code} cannot be set by number: it is `));
      assert.equal(dhcpExtrasSchema.safeParse({ raw: { [code]: '00' } }).success, false);
    });
  test('any other number from 1 to 254 is free', () => {
    for (const code of [2, 4, 40, 100, 119, 121, 150, 224, 252, 254]) assert.equal(whyNotRaw(String(code)), undefined);
    for (const code of ['0', '255', '256', '-1', '1.5', '01', '1e2', '', ' 4', '__proto__', 'option4'])
      assert.match(whyNotRaw(code) ?? '', /1 to 254/);
  });
});

test('bytes are pairs of hex digits, and all together leave room for the boot', () => {
  const hex = fc.uint8Array({ minLength: 1, maxLength: 253 }).map((bytes) => Buffer.from(bytes).toString('hex'));
  fc.assert(fc.property(hex, (bytes) => dhcpExtrasSchema.safeParse({ raw: { '150': bytes } }).success));
  for (const bytes of ['', '0', '0g', '00 00', '0x00', '00'.repeat(254), 12])
    assert.equal(dhcpExtrasSchema.safeParse({ raw: { '150': bytes } }).success, false);
  const half = '00'.repeat(126);
  assert.equal(dhcpExtrasSchema.safeParse({ raw: { '150': half } }).success, true);
  assert.match(dhcpExtrasSchema.safeParse({ raw: { '150': half, '151': half } }).error?.message ?? '', /room for 255/);
});

test('words that are none of ours are refused', () => {
  for (const extras of [{ router: 'gw' }, { dns: '10.0.0.1' }, { dns: ['::1'] }, { domain: 'a b' }, { mtu: 100 }, { leaseSeconds: 60 }])
    assert.equal(dhcpExtrasSchema.safeParse(extras).success, false, JSON.stringify(extras));
});
