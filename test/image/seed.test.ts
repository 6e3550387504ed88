/** The seed: texts that cloud-init and a shell script read the same way, in a file system that holds them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { RemudaError } from '../../src/errors.ts';
import { isHostName, seedFiles, seedImage } from '../../src/image/seed.ts';
import { readFat } from './fat-reader.ts';

const host = { instanceId: 'claim-1-g2', hostName: 'node-77' };

test('the three files, letter by letter', () => {
  assert.deepEqual(seedFiles({ ...host, phoneHomeUrl: 'http://10.77.0.1:8080/v1/home/abc_DEF-1' }), {
    'meta-data': 'instance-id: claim-1-g2\nlocal-hostname: node-77\nremuda-phone-home: http://10.77.0.1:8080/v1/home/abc_DEF-1\n',
    'user-data': '#cloud-config\nhostname: node-77\n',
    'vendor-data':
      '#cloud-config\nphone_home:\n  url: http://10.77.0.1:8080/v1/home/abc_DEF-1\n  post:\n    - hostname\n    - instance_id\n  tries: 30\n',
  });
  assert.deepEqual(seedFiles(host), {
    'meta-data': 'instance-id: claim-1-g2\nlocal-hostname: node-77\n',
    'user-data': '#cloud-config\nhostname: node-77\n',
    'vendor-data': '',
  });
});

test('what the operator gives is passed on byte for byte', () => {
  const userData = '#!/bin/sh\necho "\u{1f40e}: $HOME" \t\r\n\n';
  const given = seedFiles({ ...host, userData, vendorData: '#cloud-config\n{}\n', networkConfig: 'version: 2\n' });
  assert.equal(given['user-data'], userData);
  assert.equal(given['vendor-data'], '#cloud-config\n{}\n');
  assert.equal(given['network-config'], 'version: 2\n');
  assert.equal(seedFiles({ ...host, userData: '' })['user-data'], '');
});

test('vendor data of both sides become one archive', () => {
  const vendorData = '#!/bin/sh\n# "quotes": and\n#  - dashes\n';
  const text = seedFiles({ ...host, vendorData, phoneHomeUrl: 'https://remuda.example/h' })['vendor-data'];
  assert.match(text, /^#cloud-config-archive\n/);
  const [theirs, ours] = parse(text) as { content: string }[];
  assert.equal(theirs?.content, vendorData);
  assert.match(ours?.content ?? '', /^#cloud-config\n/);
  assert.deepEqual(parse(ours?.content ?? ''), {
    phone_home: { url: 'https://remuda.example/h', post: ['hostname', 'instance_id'], tries: 30 },
  });
});

test('any instance id that is accepted is read back as the same text, on one line', () => {
  const tricky = fc.oneof(
    fc.constantFrom(
      '123',
      '0x10',
      'true',
      'null',
      '~',
      '- a',
      "'",
      '"',
      '#',
      '*a',
      '&a',
      '!x',
      '%',
      '@',
      '`',
      '{}',
      '[',
      ':',
      'a:',
      '1e3',
      '2026-01-01',
    ),
    fc.string({ minLength: 1, maxLength: 255, unit: 'binary-ascii' }),
  );
  fc.assert(
    fc.property(tricky, (instanceId) => {
      let text: string;
      try {
        text = seedFiles({ ...host, instanceId })['meta-data'];
      } catch (error) {
        assert.ok(error instanceof RemudaError && error.code === 'bad-request');
        assert.match(instanceId, /[^\x21-\x7e]/);
        return;
      }
      assert.deepEqual(parse(text), { 'instance-id': instanceId, 'local-hostname': 'node-77' });
      assert.equal(text.trimEnd().split('\n').length, 2);
    }),
    { numRuns: 500 },
  );
});

test('host names by RFC 1123', () => {
  for (const good of ['a', 'node-77', '3com', 'n1.rack-2.example', 'a'.repeat(63), 'X9']) assert.equal(isHostName(good), true, good);
  const bad = [
    '',
    '-a',
    'a-',
    'a.',
    '.a',
    'a..b',
    'a_b',
    'a b',
    'a\n',
    'ä',
    'a'.repeat(64),
    '10.77.0.50',
    'a.'.repeat(127),
    'a: b',
    '"',
    '$(reboot)',
  ];
  for (const hostName of bad) {
    assert.equal(isHostName(hostName), false, hostName);
    assert.throws(
      () => seedFiles({ ...host, hostName }),
      (error) => error instanceof RemudaError && error.code === 'bad-request',
    );
  }
});

test('phone-home URLs that could mean something else are refused', () => {
  for (const phoneHomeUrl of [
    '',
    'ftp://a/b',
    'http://',
    '//a/b',
    'http://a/b c',
    'http://a/\nuser: x',
    'http://a/$INSTANCE_ID',
    'http://[::1/',
    'file:///etc/passwd',
  ])
    assert.throws(
      () => seedFiles({ ...host, phoneHomeUrl }),
      (error) => error instanceof RemudaError && error.code === 'bad-request',
      phoneHomeUrl,
    );
});

test('a long URL stays on its line', () => {
  const phoneHomeUrl = `http://10.77.0.1/${'a-b/'.repeat(60)}`;
  const metaData = seedFiles({ ...host, phoneHomeUrl })['meta-data'];
  assert.ok(metaData.split('\n').includes(`remuda-phone-home: ${phoneHomeUrl}`));
});

test('the image holds the texts, is labelled CIDATA and is refused where it is too small', () => {
  const files = seedFiles({ ...host, userData: `#cloud-config\n# ${'\u{1f40e}'.repeat(100_000)}\n`, networkConfig: 'version: 2\n' });
  const image = seedImage(files, 2 * 1024 * 1024);
  assert.equal(image.length, 2 * 1024 * 1024);
  const { label, files: back } = readFat(image);
  assert.equal(label, 'CIDATA');
  assert.deepEqual(new Map([...back].map(([name, bytes]) => [name, bytes.toString()])), new Map(Object.entries(files)));
  assert.deepEqual(seedImage(files, 2 * 1024 * 1024), image);
  assert.throws(
    () => seedImage(files, 256 * 1024),
    (error) => error instanceof RemudaError && error.code === 'too-large',
  );
});

test('the claim and its provider ID stand in meta-data under names that templates can say, and where a failure is reported', () => {
  const url = 'http://10.77.0.1/phone-home/abc';
  const files = seedFiles({ instanceId: 'c1.2', hostName: 'n1', claimId: 'c1', phoneHomeUrl: url, reportFailureUrl: `${url}/failed` });
  assert.deepEqual(files['meta-data'].split('\n'), [
    'instance-id: c1.2',
    'local-hostname: n1',
    'claim_id: c1',
    'provider_id: remuda://c1',
    `remuda-phone-home: ${url}`,
    `remuda-report-failure: ${url}/failed`,
    '',
  ]);
  assert.throws(() => seedFiles({ instanceId: 'c1.2', hostName: 'n1', reportFailureUrl: 'ftp://x' }), /no http or https URL/);
});

test('what an owner has told in meta-data stands there, and in the place of our instance id and provider ID', () => {
  const metaData = {
    'instance-id': 'u1',
    provider_id: 'equinixmetal://u1',
    'public-keys': ['ssh-ed25519 AAAA me: # x'],
    tags: [],
    note: ' "a": b',
  };
  const text = seedFiles({ instanceId: 'c1.2', hostName: 'n1', claimId: 'c1', metaData })['meta-data'];
  assert.deepEqual(parse(text), { ...metaData, 'local-hostname': 'n1', claim_id: 'c1' });
  // What reads it in a small image is a shell script, so each of our own values is a line that begins with its key.
  assert.deepEqual(
    text.split('\n').filter((line) => /^(instance-id|provider_id|local-hostname):/.test(line)),
    ['instance-id: u1', 'local-hostname: n1', 'provider_id: equinixmetal://u1'],
  );
  for (const id of ['with blank', '', ['u1']])
    assert.throws(() => seedFiles({ ...host, metaData: { 'instance-id': id } }), /no instance id/);
});
