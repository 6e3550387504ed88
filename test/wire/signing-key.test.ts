/** Signing keys: read back as they were written, and read by OpenSSL's own hands (node:crypto). */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { keyPairPem, parsePrivateKey, parsePublicKey, verifyingKey } from '../../src/wire/signing-key.ts';

// RFC 8032 §7.1, TEST 1.
const secret = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
const open = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
const signature =
  'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b';

test('a known secret gives its known public key and signature', () => {
  const { privatePem, publicPem } = keyPairPem(secret);
  const pair = parsePrivateKey(privatePem);
  const key = parsePublicKey(publicPem);
  assert.ok(pair !== undefined && key !== undefined);
  assert.equal(Buffer.from(key.bytes).toString('hex'), open);
  assert.deepEqual(pair.publicKey, key);
  assert.match(key.keyId, /^[0-9a-f]{64}$/);
  assert.equal(sign(null, new Uint8Array(), pair.key).toString('hex'), signature);
  assert.ok(verify(null, new Uint8Array(), verifyingKey(key), Buffer.from(signature, 'hex')));
  assert.equal(createPublicKey(publicPem).asymmetricKeyType, 'ed25519');
  assert.deepEqual(parsePublicKey(publicPem.split('\n')[1] ?? ''), key);
  assert.throws(() => keyPairPem(secret.subarray(1)), RangeError);
});

test('only the public half of an Ed25519 key is a public key', () => {
  const { privatePem, publicPem } = keyPairPem(secret);
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const x25519 = generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' });
  const line = publicPem.split('\n')[1] ?? '';
  for (const text of [
    '',
    'key',
    privatePem,
    p256.publicKey.export({ type: 'spki', format: 'pem' }),
    x25519,
    line.slice(1),
    `${line}AAAA`,
    `${publicPem}${publicPem}`,
    line.replace('=', ''),
  ])
    assert.equal(parsePublicKey(text), undefined, text);
  for (const text of ['', publicPem, p256.privateKey.export({ type: 'pkcs8', format: 'pem' })])
    assert.equal(parsePrivateKey(text), undefined, text);
  fc.assert(fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => assert.equal(parsePublicKey(text), undefined)));
});
