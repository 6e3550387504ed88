/** What an OS says of its bootstrap, as people may read it: secrets are removed however they are written, the rest stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { logTail } from '../../src/host/log-tail.ts';

const token = 'abcdef.0123456789abcdef';
const hex = '0f'.repeat(32);
const blob = `${'TUlJQ3'.repeat(12)}==`;
const pem = `-----BEGIN RSA PRIVATE KEY-----\n${'A'.repeat(40)}\nsecond/line+of=key\n-----END RSA PRIVATE KEY-----`;

const facts: readonly { readonly name: string; readonly log: string; readonly says: string }[] = [
  { name: 'plain words stay', log: 'error: cannot reach 10.0.0.1:6443\n', says: 'error: cannot reach 10.0.0.1:6443' },
  { name: 'a bootstrap token', log: `joining with ${token} now`, says: 'joining with [removed] now' },
  { name: 'an argument', log: 'kubeadm join --token x.y --node-name n1', says: 'kubeadm join --token [removed] --node-name n1' },
  { name: 'an argument with =', log: "join --token='a b' 10.0.0.1", says: 'join --token=[removed] 10.0.0.1' },
  { name: 'a certificate key', log: `--certificate-key ${hex} --v 5`, says: '--certificate-key [removed] --v 5' },
  { name: 'a bare hex key', log: `key was ${hex}.`, says: 'key was [removed].' },
  { name: 'the hash of a public key stays', log: `ca-cert-hash sha256:${hex}`, says: `ca-cert-hash sha256:${hex}` },
  { name: 'YAML', log: 'token: hunter2\npassword: "very secret"\nname: n1', says: 'token: [removed]\npassword: [removed]\nname: n1' },
  { name: 'JSON', log: '{"bootstrapToken": "hunter2", "name": "n1"}', says: '{"bootstrapToken": [removed], "name": "n1"}' },
  { name: 'an environment', log: 'DB_PASSWORD=hunter2 HOME=/root', says: 'DB_PASSWORD=[removed] HOME=/root' },
  { name: 'a header', log: 'Authorization: Bearer hunter2 more', says: 'Authorization: [removed]' },
  { name: 'a user in a URL', log: 'get https://me:hunter2@example.org/x', says: 'get https://[removed]@example.org/x' },
  { name: 'base64', log: `client-certificate-data ${blob} end`, says: 'client-certificate-data [removed] end' },
  { name: 'a PEM block', log: `before\n${pem}\nafter`, says: 'before\n[removed]\nafter' },
  { name: 'a PEM block that is cut off', log: `before\n${pem.slice(0, 70)}`, says: 'before\n[removed]' },
  { name: 'a PEM block whose beginning is cut off', log: `${pem.slice(40)}\nafter`, says: '[removed]\nafter' },
  { name: 'colours and bells', log: '\u001b[31mfailed\u001b[0m\u0007', says: 'failed' },
  { name: 'nothing', log: '\n \n', says: '' },
];
for (const { name, log, says } of facts) test(name, () => assert.equal(logTail(log), says));

test('the last twenty lines, at most 2,000 characters', () => {
  const many = Array.from({ length: 100 }, (_, index) => `line ${index}`).join('\n');
  assert.deepEqual([logTail(many).split('\n').length, logTail(many).split('\n').at(-1)], [20, 'line 99']);
  assert.equal(logTail('a b '.repeat(5_000)).length, 2_000);
});
test('no token survives, whatever stands around it on its line', () => {
  const around = fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/[a-z0-9.]/g, ' '));
  fc.assert(
    fc.property(around, around, (before, after) => {
      assert.ok(!logTail(`${before} ${token} ${after}`).includes('0123456789abcdef'));
    }),
  );
});
test('hostile text is over soon', () => {
  for (const text of [
    'a'.repeat(16_384),
    '-----BEGIN A-----'.repeat(900),
    'token:'.repeat(2_700),
    '//'.repeat(8_000),
    '\u001b['.repeat(8_000),
  ])
    assert.ok(logTail(text).length <= 2_000);
});
