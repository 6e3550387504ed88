/** Where a BMC can be, in every way in which an address can be written. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isOwnPlace, noBmcAt, refusesBmc } from '../../src/wire/bmc-place.ts';

describe('a place', () => {
  for (const host of [
    '10.0.0.5',
    '192.168.1.7',
    '172.16.0.1',
    '100.64.0.9',
    '203.0.113.7',
    'fd12::5',
    '[2001:db8::5]',
    'bmc.example',
    'bmc.example.',
  ])
    test(`${host} may have a BMC`, () => {
      assert.deepEqual([noBmcAt(host), isOwnPlace(host)], [undefined, false]);
    });
  const never = [
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '[fe80::1]',
    'fe80::1%eth0',
    '224.0.0.1',
    '255.255.255.255',
    '240.0.0.1',
    '[ff02::1]',
  ];
  for (const host of [
    ...never,
    '168.63.129.16',
    '100.100.100.200',
    '[fd00:ec2::254]',
    '[::ffff:169.254.169.254]',
    '[64:ff9b::a9fe:a9fe]',
    '2002:a9fe:a9fe::1',
    '::',
  ])
    test(`${host} has none`, () => {
      assert.match(noBmcAt(host) ?? '', / is .*: no BMC is asked there$/);
    });
  for (const host of ['127.0.0.1', '127.9.9.9', '[::1]', '[::ffff:127.0.0.1]', 'localhost', 'LOCALHOST.', 'a.localhost'])
    test(`${host} is this machine`, () => {
      assert.deepEqual([isOwnPlace(host), noBmcAt(host)], [true, undefined]);
    });
});
test('a name that turns out to be this machine, or a metadata service, is not asked', () => {
  assert.match(refusesBmc('bmc.example', '127.0.0.1') ?? '', /bmc\.example is 127\.0\.0\.1, this machine itself/);
  assert.match(refusesBmc('bmc.example', '::1') ?? '', /this machine itself/);
  assert.match(refusesBmc('bmc.example', '169.254.169.254') ?? '', /link-local/);
  assert.equal(refusesBmc('bmc.example', '10.0.0.5'), undefined);
  assert.equal(refusesBmc('localhost', '127.0.0.1'), undefined, 'who says localhost means it');
  assert.equal(refusesBmc('127.0.0.1', '127.0.0.1'), undefined);
});
