/** Which meta-data an owner may have told to an OS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metaDataSchema } from '../../src/host/meta-data.ts';
import { limits } from '../../src/limits.ts';

for (const { name, value, refused } of [
  { name: 'texts and lists', value: { 'public-keys': ['ssh-ed25519 AAAA me'], tags: [], provider_id: 'x://1', 'instance-id': 'u1' } },
  { name: 'nothing', value: {} },
  { name: 'the name of the host', value: { 'local-hostname': 'n1' }, refused: /the daemon says itself/ },
  { name: 'where the OS tells that it is up', value: { 'remuda-phone-home': 'http://x' }, refused: /the daemon says itself/ },
  { name: 'a key that is two lines', value: { 'a\nb': 'x' }, refused: /a name/ },
  { name: 'a value of two lines', value: { a: 'x\nprovider_id: y' }, refused: /one line/ },
  { name: 'a line end in a list', value: { a: ['x\r'] }, refused: /one line/ },
  { name: 'a number', value: { a: 1 }, refused: /nvalid/ },
  {
    name: 'more than a seed should hold',
    value: { a: Array(10).fill('x'.repeat(limits.metaDataBytes / 10)) },
    refused: /at most \d+ bytes/,
  },
])
  test(name, () => {
    const parsed = metaDataSchema.safeParse(value);
    if (refused === undefined) return assert.deepEqual(parsed.data, value);
    assert.equal(parsed.success, false);
    assert.match(JSON.stringify(parsed.error.issues), refused);
  });
