/** A fresh token in real bootstrap data: nothing else changes, and what is no worker's join is refused without quoting a word of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { RemudaError } from '../../../src/errors.ts';
import { withJoinToken } from '../../../src/kube/workload/bootstrap-data.ts';

const vector = (name: string): string =>
  readFileSync(new URL(`../../vectors/runtime-sdk/${name}`, import.meta.url), 'utf8').replace(/^# .*\n/, '');
const fresh = 'freshx.fedcba9876543210';

test('a worker joins with the fresh token; all else stays byte for byte', () => {
  for (const name of ['cabpk-worker-plain.user-data', 'cabpk-worker-full.user-data']) {
    const data = vector(name);
    const now = withJoinToken(data, fresh);
    assert.notEqual(now, data, name);
    assert.equal(now.replaceAll(fresh, 'oldtok.0123456789abcdef'), data, name);
    assert.equal(withJoinToken(now, fresh), now, name);
  }
});
const refusals: readonly [string, RegExp, (data: string) => string][] = [
  ['a control plane that starts', /starts a control plane/, () => vector('cabpk-control-plane-init.user-data')],
  [
    'a control plane that joins',
    /joins a control plane/,
    (data) => data.replace('      kind: JoinConfiguration', '      controlPlane: {}\n      kind: JoinConfiguration'),
  ],
  ['no token', /no discovery\.bootstrapToken/, (data) => data.replace('bootstrapToken:', 'file:')],
  [
    'another file',
    /is it of another bootstrap provider/,
    (data) => data.replaceAll('/run/kubeadm/kubeadm-join-config.yaml', '/run/other.yaml'),
  ],
  ['another kind', /no JoinConfiguration that is understood/, (data) => data.replace('kind: JoinConfiguration', 'kind: Other')],
  ['a token that is none', /what stands there as token is none/, (data) => data.replaceAll('oldtok.0123456789abcdef', 'oldtok')],
  [
    'a token that is written in pieces',
    /written in a way that is not understood/,
    (data) => data.replace('token: oldtok.0123456789abcdef', 'token: "oldtok.\\x30123456789abcdef"'),
  ],
  ['a shell script', /it is no cloud-config|it is not understood/, () => '#!/bin/sh\nexit 0\n'],
  ['broken YAML', /it is not understood/, (data) => `${data}\n  - : {[`],
  ['nothing', /it is no cloud-config/, () => ''],
];
for (const [name, says, change] of refusals)
  test(`refused: ${name}`, () => {
    assert.throws(
      () => withJoinToken(change(vector('cabpk-worker-plain.user-data')), fresh),
      (error: unknown) =>
        error instanceof RemudaError && error.code === 'bad-request' && says.test(error.message) && !error.message.includes('oldtok'),
    );
  });
test('bytes of any kind are refused or rewritten, never anything else', () => {
  const plain = vector('cabpk-worker-plain.user-data');
  const mutated = fc
    .tuple(fc.nat(plain.length), fc.nat(40), fc.string())
    .map(([at, gone, more]) => plain.slice(0, at) + more + plain.slice(at + gone));
  fc.assert(
    fc.property(fc.oneof(fc.string(), mutated), (data) => {
      try {
        assert.ok(withJoinToken(data, fresh).includes(fresh));
      } catch (error) {
        assert.ok(error instanceof RemudaError);
      }
    }),
    { numRuns: 300 },
  );
});
