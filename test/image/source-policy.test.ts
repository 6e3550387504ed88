/** From where an image may be fetched: addresses in all their clothes, and URLs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkUrl, closedSources, shown, sourcePolicy } from '../../src/image/source-policy.ts';

const open = sourcePolicy({
  allowPrivate: ['10.0.0.0/8', 'fd00:1::/32', '0.0.0.0/0', '::/0', 'Images.Rack.Example'],
  allowUnpinned: false,
});
const cases: readonly { readonly says: RegExp; readonly addresses: readonly string[] }[] = [
  {
    says: /this machine itself/,
    addresses: [
      '127.0.0.1',
      '127.255.0.9',
      '0.0.0.0',
      '::1',
      '::',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '64:ff9b::127.0.0.1',
      '2002:7f00:1::1',
    ],
  },
  {
    says: /link-local/,
    addresses: [
      '169.254.169.254',
      '169.254.0.1',
      'fe80::1',
      'fe80::1%eth0',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '64:ff9b::a9fe:a9fe',
      '2002:a9fe:a9fe::',
      '::169.254.169.254',
    ],
  },
  { says: /metadata service/, addresses: ['192.0.0.192', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254', 'fd20:ce::254'] },
  { says: /multicast/, addresses: ['224.0.0.1', '239.1.2.3', 'ff02::1'] },
  {
    says: /no address of a host/,
    addresses: ['255.255.255.255', '240.0.0.1', '192.0.2.1', '198.51.100.7', '203.0.113.7', '2001:db8::1', '100::1'],
  },
  { says: /hides an IPv4 address/, addresses: ['64:ff9b:1::1'] },
  { says: /is no address/, addresses: ['', 'localhost', '1.2.3'] },
];
for (const { says, addresses } of cases)
  test(`refused whatever the configuration allows: ${says.source}`, () => {
    for (const address of addresses)
      for (const policy of [closedSources, open]) assert.match(policy.refuses('images.rack.example', address) ?? 'allowed', says, address);
  });

const inside = [
  '10.1.2.3',
  '172.16.0.1',
  '192.168.0.1',
  '100.64.0.1',
  '198.18.0.1',
  'fd00:1::1',
  'fec0::1',
  '::ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
];
test('private addresses: refused by default, with the setting that opens them', () => {
  for (const address of inside)
    assert.match(
      closedSources.refuses('mirror', address) ?? 'allowed',
      /is a private address.*mirror to images\.sources\.allowPrivate/,
      address,
    );
});
test('private addresses: by network, by host', () => {
  const policy = sourcePolicy({ allowPrivate: ['10.0.0.0/8', 'fd00:1::/32', 'Images.Rack.Example'], allowUnpinned: false });
  const allowed = (host: string): string[] => inside.filter((address) => policy.refuses(host, address) === undefined);
  assert.deepEqual(allowed('mirror'), ['10.1.2.3', 'fd00:1::1', '::ffff:10.0.0.1', '64:ff9b::10.0.0.1']);
  assert.deepEqual(allowed('images.rack.EXAMPLE'), inside);
  assert.deepEqual(allowed('images.rack.example.evil'), allowed('mirror'));
});
test('public addresses are allowed', () => {
  for (const address of ['1.1.1.1', '8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:1.1.1.1', '2002:101:101::1', '100.128.0.1'])
    assert.equal(closedSources.refuses('a', address), undefined, address);
});

test('URLs: two schemes, no passwords; odd spellings of addresses are seen through', () => {
  for (const url of [
    'file:///etc/passwd',
    'ftp://a/b',
    'gopher://a',
    'data:,x',
    'javascript:1',
    'not a url',
    'http://user@a/',
    'https://u:p@a/',
    '//a/b',
    '/a',
  ])
    assert.throws(() => checkUrl(url), { code: 'source-refused' }, url);
  for (const url of ['http://0x7f.1/', 'http://2130706433/', 'http://127.1/', 'http://0177.0.0.1/', 'http://[::ffff:127.0.0.1]/'])
    assert.match(closedSources.refuses('', checkUrl(url).hostname.replaceAll(/[[\]]/g, '')) ?? 'allowed', /this machine itself/, url);
  assert.equal(shown(checkUrl('https://a.example:8443/x.raw?token=secret#f')), 'https://a.example:8443/x.raw');
});
