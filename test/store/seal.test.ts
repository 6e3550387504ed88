/** The seal on secrets: what it opens, what it refuses, and that it tells nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RemudaError } from '../../src/errors.ts';
import { changeSecrets, parseSealKey } from '../../src/store/seal.ts';
import { sealerOf, testSealer } from './sealer.ts';

test('any text comes back, and no two seals of it are alike', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string(), (text, place) => {
      const [one, two] = [testSealer.seal(text, place), testSealer.seal(text, place)];
      assert.notEqual(one, two);
      // A lone surrogate has no UTF-8: it is replaced, as everywhere JSON is written.
      assert.equal(testSealer.open(one, place), Buffer.from(text).toString());
      assert.ok(text.length < 8 || !one.includes(text));
    }),
  );
});
test('a seal opens only where it was made', () => {
  const word = testSealer.seal('secret', 'host h1 bmc.password');
  assert.throws(() => testSealer.open(word, 'host h2 bmc.password'), /does not open/);
});
test('one changed bit is enough', () => {
  const word = testSealer.seal('a secret', 'here');
  const head = word.lastIndexOf(':') + 1;
  const bytes = Buffer.from(word.slice(head), 'base64');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const bad = Buffer.from(bytes);
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => testSealer.open(word.slice(0, head) + bad.toString('base64'), 'here'), /does not open/);
  }
  for (let length = 0; length < bytes.length; length += 1)
    assert.throws(() => testSealer.open(word.slice(0, head) + bytes.subarray(0, length).toString('base64'), 'here'), /does not open/);
});
test('without its key it says which key is wanted', () => {
  const word = testSealer.seal('secret', 'here');
  assert.throws(
    () => sealerOf('2').open(word, 'here'),
    (error: RemudaError) => error.code === 'bad-config' && error.message.includes(testSealer.keyId) && !error.message.includes('secret '),
  );
  assert.equal(sealerOf('2', '1').open(word, 'here'), 'secret');
});
test('a key is 32 bytes, in hex or base64, and nothing else', () => {
  const hex = 'ab'.repeat(32);
  assert.equal(parseSealKey(`${hex}\n`, 'k').id, parseSealKey(Buffer.from(hex, 'hex').toString('base64'), 'k').id);
  for (const bad of ['', 'ab', hex.slice(1), `${hex}0`, 'g'.repeat(64)]) assert.throws(() => parseSealKey(bad, '/k'), /\/k holds no key/);
});
test('the secrets of a record are the ones that are changed', () => {
  const record = { id: 'h1', bmc: { url: 'u', password: 'p' }, claim: { id: 'c', intent: { userData: 'd', hostName: 'n' } } };
  assert.deepEqual(
    changeSecrets(record, (word, place) => `${word}@${place}`),
    {
      id: 'h1',
      bmc: { url: 'u', password: 'p@host h1 bmc.password' },
      claim: { id: 'c', intent: { userData: 'd@host h1 claim.intent.userData', hostName: 'n' } },
    },
  );
  assert.deepEqual(
    changeSecrets({ id: 'h', bmc: null, claim: null }, () => 'x'),
    { id: 'h', bmc: null, claim: null },
  );
});
