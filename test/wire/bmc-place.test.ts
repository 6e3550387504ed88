/** Where a BMC can be, in every way in which an address can be written. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isOwnPlace, noBmcAt, readBmcPlace, refusesBmc } from '../../src/wire/bmc-place.ts';

describe('a place as people write it', () => {
  const cases: readonly (readonly [string, ReturnType<typeof readBmcPlace>])[] = [
    ['10.0.0.5', { host: '10.0.0.5' }],
    [' BMC1.example ', { host: 'bmc1.example' }],
    ['bmc1:8443', { host: 'bmc1', port: 8443 }],
    ['https://10.0.0.5', { scheme: 'https', host: '10.0.0.5' }],
    ['HTTPS://10.0.0.5:8443/login#x', { scheme: 'https', host: '10.0.0.5', port: 8443 }],
    ['https://10.0.0.5:443', { scheme: 'https', host: '10.0.0.5', port: 443 }],
    ['http://10.0.0.5', { scheme: 'http', host: '10.0.0.5' }],
    ['ipmi://10.0.0.6:623', { scheme: 'ipmi', host: '10.0.0.6', port: 623 }],
    ['https://[2001:db8::5]:8443', { scheme: 'https', host: '[2001:db8::5]', port: 8443 }],
    ...['', 'https://', ':443', 'a b', 'u@h', 'https://u:p@h', 'h:0', 'h:65536', 'h:', 'ssh://h', '2001:db8::5'].map(
      (text) => [text, undefined] as const,
    ),
  ];
  for (const [text, place] of cases) test(JSON.stringify(text), () => assert.deepEqual(readBmcPlace(text), place));
});

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
