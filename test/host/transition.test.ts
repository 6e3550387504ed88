/** The rulebook: the ways a host may take, what is refused, and the law of the disk over random lives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { HostEvent } from '../../src/host/events.ts';
import type { Host } from '../../src/host/host.ts';
import { transition } from '../../src/host/transition.ts';
import {
  after,
  available,
  bmc,
  claimed,
  cleaning,
  disk,
  enrolled,
  everyHost,
  installed,
  intent,
  inventory,
  provisioned,
  refusal,
  released,
  writing,
} from './make.ts';

test('the whole life: enrolled, inspected, claimed, installed, phoned home, released, cleaned, available', () => {
  assert.deepEqual(
    everyHost.map((host) => host.state),
    ['enrolled', 'enrolled', 'available', 'provisioning', 'provisioning', 'provisioning', 'provisioned', 'cleaning', 'cleaning'],
  );
  const clean = after(cleaning, { type: 'cleaned', jobId: '2.1.clean' });
  assert.equal(clean.state, 'available');
  assert.equal(clean.facts.dirty, null);
  assert.deepEqual([clean.facts.installCount, clean.facts.wipeCount], [1, 1]);
});

const refusals: readonly (readonly [name: string, host: Host, event: HostEvent, code: string])[] = [
  ['a second claim', claimed, { type: 'claim', id: 'c2', owner: 'you', intent, rule: { serial: 'd0' }, disk }, 'host-claimed'],
  [
    'a claim before inspection',
    enrolled,
    { type: 'claim', id: 'c2', owner: 'you', intent, rule: { serial: 'd0' }, disk },
    'state-conflict',
  ],
  [
    'a claim while it is cleaned',
    cleaning,
    { type: 'claim', id: 'c2', owner: 'you', intent, rule: { serial: 'd0' }, disk },
    'state-conflict',
  ],
  [
    'a claim of a held host',
    after(available, { type: 'hold', by: 'me', why: 'x' }),
    { type: 'claim', id: 'c2', owner: 'you', intent, rule: { serial: 'd0' }, disk },
    'state-conflict',
  ],
  ['a release by another claim', provisioned, { type: 'release', claimId: 'c9', by: 'you' }, 'claim-not-found'],
  ['a reprovision by another claim', provisioned, { type: 'reprovision', claimId: 'c9', intent }, 'claim-not-found'],
  ['accepting what is accepted', enrolled, { type: 'accept', by: 'me' }, 'state-conflict'],
  [
    'a job for another disk',
    claimed,
    {
      type: 'job-given',
      job: { id: '1.1.install', kind: 'install', boot: 1, claimId: 'c1', generation: 1, disk: { ...disk, serial: 'other' }, givenAt: 0 },
    },
    'job-stale',
  ],
  [
    'a job of an older boot',
    claimed,
    { type: 'job-given', job: { id: '0.1.install', kind: 'install', boot: 0, claimId: 'c1', generation: 1, disk, givenAt: 0 } },
    'job-stale',
  ],
  [
    'writing after a newer generation',
    after(writing, { type: 'reprovision', claimId: 'c1', intent }),
    { type: 'job-started', jobId: '1.1.install' },
    'job-stale',
  ],
  [
    'writing after the release',
    after(writing, { type: 'release', claimId: 'c1', by: 'me' }),
    { type: 'job-started', jobId: '1.1.install' },
    'job-stale',
  ],
  [
    'a report of a job that was never started',
    after(claimed, {
      type: 'job-given',
      job: { id: '1.1.install', kind: 'install', boot: 1, claimId: 'c1', generation: 1, disk, givenAt: 0 },
    }),
    { type: 'installed', jobId: '1.1.install', digest: intent.image },
    'job-stale',
  ],
  ['another digest than the claim asks for', writing, { type: 'installed', jobId: '1.1.install', digest: 'sha256:bb' }, 'bad-request'],
  [
    'a phone-home of an older generation',
    after(provisioned, { type: 'reprovision', claimId: 'c1', intent }),
    { type: 'phoned-home', claimId: 'c1', generation: 1, hostName: 'one' },
    'generation-stale',
  ],
  [
    'a phone-home before the installation',
    claimed,
    { type: 'phoned-home', claimId: 'c1', generation: 1, hostName: 'one' },
    'generation-stale',
  ],
  ['a phone-home after the release', released, { type: 'phoned-home', claimId: 'c1', generation: 1, hostName: 'one' }, 'generation-stale'],
  ['redeeming a closed boot', provisioned, { type: 'redeemed', boot: 1, publicKey: 'key' }, 'ticket-stale'],
  [
    'a claim by its own ID, which the caller compares',
    claimed,
    { type: 'claim', id: 'c1', owner: 'me', intent, rule: { serial: 'd0' }, disk },
    'claim-exists',
  ],
  ['cleaning without a release', provisioned, { type: 'cleaned', jobId: '1.1.clean' }, 'job-stale'],
];
for (const [name, host, event, code] of refusals) test(`${name} is refused: ${code}`, () => assert.equal(refusal(host, event), code));

test('what is told twice changes nothing', () => {
  const twice: readonly (readonly [Host, HostEvent])[] = [
    [writing, { type: 'job-started', jobId: '1.1.install' }],
    [installed, { type: 'installed', jobId: '1.1.install', digest: intent.image }],
    [provisioned, { type: 'phoned-home', claimId: 'c1', generation: 1, hostName: 'one' }],
    [released, { type: 'release', claimId: 'c1', by: 'me' }],
    [available, { type: 'redeemed', boot: 1, publicKey: 'key' }],
  ];
  for (const [host, event] of twice) assert.equal(after(host, event), host, event.type);
});

test('a second key contests the boot: the host is held and its job is gone', () => {
  const contested = after(writing, { type: 'redeemed', boot: 1, publicKey: 'another' });
  assert.equal(contested.held?.by, 'boot');
  assert.equal(contested.job, null);
  assert.equal(refusal(contested, { type: 'job-started', jobId: '1.1.install' }), 'job-stale');
});

test('a second key contests the boot also when the first one is through with it', () => {
  const contested = after(provisioned, { type: 'redeemed', boot: 1, publicKey: 'another' });
  assert.equal(contested.held?.by, 'boot');
  assert.equal(contested.state, 'provisioned');
});

test('with the power goes the agent: its boot is closed, unless it was in the middle of a job, which the plan counts', () => {
  const off = { type: 'power-seen', power: 'off' } as const;
  assert.ok(after(available, off).boot?.closedAt !== undefined);
  assert.equal(after(writing, off).boot?.closedAt, undefined);
});

test('a failed clean stays in cleaning and is never available', () => {
  const failed = after(cleaning, {
    type: 'job-failed',
    jobId: '2.1.clean',
    code: 'disk-mismatch',
    reason: 'gone',
    final: true,
    triesMax: 3,
  });
  assert.equal(failed.state, 'cleaning');
  assert.equal(failed.failed?.reason, 'gone');
});

test('a claim that never wrote is released without a clean', () => {
  const free = after(claimed, { type: 'release', claimId: 'c1', by: 'me' });
  assert.equal(free.state, 'available');
  assert.equal(free.release, null);
});

test('an image that cannot phone home is provisioned by its read-back alone, and the timeline says so', () => {
  const silent = after(
    available,
    { type: 'claim', id: 'c1', owner: 'me', intent: { ...intent, phoneHome: 'none' }, rule: { serial: 'd0' }, disk },
    { type: 'job-given', job: { id: '1.1.install', kind: 'install', boot: 1, claimId: 'c1', generation: 1, disk, givenAt: 0 } },
    { type: 'job-started', jobId: '1.1.install' },
  );
  const verdict = transition(silent, { type: 'installed', jobId: '1.1.install', digest: intent.image }, 0);
  assert.ok('host' in verdict);
  assert.equal(verdict.host.state, 'provisioned');
  assert.match(verdict.entries[0]?.text ?? '', /nobody saw it run/);
});

const oneOf = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const anyEvent = fc
  .record({
    boot: oneOf(0, 1, 2, 3),
    generation: oneOf(1, 2, 3),
    claim: oneOf('c1', 'c2'),
    key: oneOf('key', 'other'),
    serial: oneOf('d0', 'd1'),
    digest: oneOf('sha256:aa', 'sha256:bb'),
    kind: oneOf('install' as const, 'clean' as const),
  })
  .chain(({ boot, generation, claim, key, serial, digest, kind }) => {
    const jobId = `${boot}.${generation}.${kind}`;
    return oneOf<HostEvent>(
      { type: 'accept', by: 'x', bmc },
      { type: 'hold', by: 'x', why: 'y' },
      { type: 'unhold', by: 'x' },
      { type: 'retry', by: 'x' },
      { type: 'claim', id: claim, owner: 'x', intent: { ...intent, image: digest }, rule: { serial }, disk: { ...disk, serial } },
      { type: 'reprovision', claimId: claim, intent: { ...intent, image: digest } },
      { type: 'release', claimId: claim, by: 'x' },
      { type: 'identified', macs: [] },
      { type: 'power-seen', power: 'off' },
      { type: 'boot-opened' },
      { type: 'boot-armed', note: '' },
      { type: 'boot-powered' },
      { type: 'boot-failed', code: 'internal', reason: 'r', triesMax: 3 },
      { type: 'step-missed', step: 's', code: 'internal', reason: 'r', notBefore: 5 },
      { type: 'step-done', step: 's' },
      { type: 'step-failed', step: 's', code: 'internal', reason: 'r' },
      { type: 'redeemed', boot, publicKey: key },
      { type: 'inventory', boot, inventory },
      { type: 'job-given', job: { id: jobId, kind, boot, claimId: claim, generation, disk: { ...disk, serial }, givenAt: 0 } },
      { type: 'job-started', jobId },
      { type: 'job-failed', jobId, code: 'c', reason: 'r', final: false, triesMax: 3 },
      { type: 'installed', jobId, digest },
      { type: 'cleaned', jobId },
      { type: 'phoned-home', claimId: claim, generation, hostName: 'n' },
    );
  });

test('random lives: never a throw, and the law of the disk holds in every state that is reached', () => {
  fc.assert(
    fc.property(fc.constantFrom(...everyHost), fc.array(anyEvent, { maxLength: 40 }), (first, events) => {
      let host = first;
      for (const event of events) {
        const verdict = transition(host, event, 1000);
        if ('refused' in verdict) {
          assert.ok(verdict.reason.length > 0);
          continue;
        }
        const before = host;
        host = verdict.host;
        if (event.type === 'job-started') {
          const job = host.job;
          assert.ok(job !== null);
          if (job.kind === 'install')
            assert.ok(
              host.state === 'provisioning' &&
                host.claim?.id === job.claimId &&
                host.claim.generation === job.generation &&
                host.claim.disk.serial === job.disk.serial,
            );
          else
            assert.ok(host.state === 'cleaning' && host.release?.claimId === job.claimId && host.release.disk.serial === job.disk.serial);
          assert.equal(host.facts.dirty?.serial, job.disk.serial);
        }
        // Nobody becomes available with a disk that we wrote and did not clean.
        if (host.state === 'available') assert.equal(host.facts.dirty, null);
        if (host.claim !== null && before.claim !== null) assert.ok(host.claim.generation >= before.claim.generation);
        if (host.claim !== null) assert.ok(host.state === 'provisioning' || host.state === 'provisioned');
        if (host.state === 'provisioned') assert.equal(host.facts.installed?.generation, host.claim?.generation);
        if (host.boot?.contestedAt !== undefined && before.boot?.contestedAt === undefined)
          assert.ok(host.held !== null && host.job === null);
      }
    }),
    { numRuns: 3000 },
  );
});
