/** The table of a machine's life: every rule decides at least once, in its place, and nothing dangerous is decided where it must not be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toHostJson } from '../../../src/api/admin-json.ts';
import type { HostJson } from '../../../src/api/types.ts';
import { decideBy, decideMachine, machineRules } from '../../../src/kube/machine/lifecycle.ts';
import type { MachineView, Step } from '../../../src/kube/machine/view.ts';
import { limits } from '../../../src/limits.ts';
import { claimed, cleaning, provisioned, released } from '../../host/make.ts';

const now = 10_000;
const hostOf = (host: typeof claimed, more: Partial<HostJson> = {}): HostJson => ({
  ...toHostJson({ host, doing: 'waiting for the first packet' }),
  ...more,
});
const held = (more: Partial<HostJson> = {}): MachineView['rack'] => ({ is: 'held', host: hostOf(claimed, more) });
const runs: MachineView['rack'] = { is: 'held', host: hostOf(provisioned) };
const leaving = (offAt: number | null, more: Partial<HostJson> = {}): MachineView['rack'] => ({
  is: 'leaving',
  host: hostOf(released, more),
  offAt,
});
const unreachable: MachineView['rack'] = { is: 'unreachable', message: 'the rack is away' };
const unknown: MachineView['rack'] = { is: 'unknown' };
const request = { id: 'c1', owner: 'me', image: 'alpha', disk: { only: true as const }, waitSeconds: 0, dryRun: false };
const fresh: MachineView = {
  owner: 'me',
  claimId: 'c1',
  isClaimIdWritten: false,
  providerId: undefined,
  providerIdWanted: 'remuda://c1',
  hasFinalizer: true,
  isMoveBlocked: false,
  wasProvisioned: false,
  deletion: undefined,
  hasMachine: true,
  cluster: { isReady: true },
  paused: undefined,
  isUpdating: false,
  rack: unknown,
  plan: { is: 'ready', request },
};
const claiming: MachineView = { ...fresh, isClaimIdWritten: true, isMoveBlocked: true };
const whole: MachineView = { ...claiming, isMoveBlocked: false, providerId: 'remuda://c1', wasProvisioned: true, rack: runs };
const gone: MachineView = { ...whole, deletion: { isForMove: false, abandons: undefined } };
const moved = { isForMove: true, abandons: undefined };
const reasonIn = (step: Step, type = 'Ready'): string =>
  step.do === 'show' ? (step.report.conditions.find((one) => one.type === type)?.reason ?? '') : '';

const table: readonly { readonly when: string; readonly view: MachineView; readonly step: Step['do']; readonly reason?: string }[] = [
  { when: 'no Machine', view: { ...fresh, hasMachine: false }, step: 'nothing' },
  { when: 'no Cluster', view: { ...fresh, cluster: undefined }, step: 'nothing' },
  { when: 'paused', view: { ...fresh, paused: 'the Cluster is paused' }, step: 'show' },
  { when: 'no finalizer', view: { ...fresh, hasFinalizer: false }, step: 'add-finalizer' },
  { when: 'rack away', view: { ...fresh, rack: unreachable }, step: 'show', reason: 'RackUnreachable' },
  { when: 'rack away', view: { ...whole, rack: unreachable }, step: 'nothing' },
  { when: 'its claim is not ours', view: { ...whole, owner: 'another' }, step: 'show', reason: 'InvalidSpec' },
  { when: 'its claim is over', view: { ...whole, rack: { is: 'over' } }, step: 'show', reason: 'HostGone' },
  { when: 'its claim is over', view: { ...whole, rack: leaving(5) }, step: 'show', reason: 'HostGone' },
  { when: 'its claim is over', view: { ...claiming, rack: { is: 'over' } }, step: 'show', reason: 'HostGone' },
  {
    when: "its server was another provider's",
    view: { ...fresh, providerId: 'remuda://c1', past: { is: 'elsewhere', message: 'it was in a cloud' } },
    step: 'show',
    reason: 'HostGone',
  },
  { when: 'host held', view: { ...whole, past: { is: 'elsewhere', message: 'not any more' } }, step: 'show', reason: 'Ready' },
  { when: 'claim ID not written', view: { ...fresh, providerId: 'remuda://c1', past: { is: 'adopting' } }, step: 'write-claim-id' },
  { when: 'may be claimed', view: { ...claiming, providerId: 'remuda://c1', past: { is: 'adopting' } }, step: 'claim' },
  { when: 'its claim is lost', view: { ...whole, rack: unknown }, step: 'show', reason: 'HostGone' },
  { when: 'its claim is lost', view: { ...claiming, wasProvisioned: true }, step: 'show', reason: 'HostGone' },
  { when: 'host held, claim ID not written', view: { ...fresh, rack: held() }, step: 'write-claim-id' },
  { when: 'another provider ID', view: { ...whole, providerId: 'other://x' }, step: 'show', reason: 'InvalidSpec' },
  { when: 'host runs, not told', view: { ...claiming, rack: runs }, step: 'write-provider-id' },
  { when: 'host runs, not told', view: { ...whole, isMoveBlocked: true }, step: 'write-provider-id' },
  { when: 'host held', view: { ...claiming, rack: held() }, step: 'show', reason: 'Provisioning' },
  { when: 'host held', view: whole, step: 'show', reason: 'Ready' },
  { when: 'host held', view: { ...whole, isUpdating: true }, step: 'show', reason: 'InPlaceUpdate' },
  { when: 'host held', view: { ...claiming, rack: held({ held: { by: 'eve', why: 'fan', at: 1 } }) }, step: 'show', reason: 'HostHeld' },
  {
    when: 'host held',
    view: { ...claiming, rack: held({ failed: { step: 'boot', code: 'bmc-unreachable', reason: 'no answer', at: 1, tries: 3 } }) },
    step: 'show',
    reason: 'HostFailed',
  },
  {
    when: 'host held',
    view: { ...claiming, rack: held({ failed: { step: 'install', code: 'timed-out', reason: 'too long', at: 1, tries: 1 } }) },
    step: 'show',
    reason: 'ProvisioningTimedOut',
  },
  {
    when: 'host held',
    view: { ...claiming, rack: held({ failed: { step: 'bootstrap', code: 'internal', reason: 'kubeadm join failed', at: 1, tries: 1 } }) },
    step: 'show',
    reason: 'BootstrapFailed',
  },
  {
    when: 'infrastructure of the cluster not ready',
    view: { ...fresh, cluster: { isReady: false } },
    step: 'show',
    reason: 'WaitingForClusterInfrastructure',
  },
  {
    when: 'cannot be claimed yet',
    view: { ...fresh, plan: { is: 'waiting', reason: 'WaitingForBootstrapData', message: 'no Secret' } },
    step: 'show',
    reason: 'WaitingForBootstrapData',
  },
  {
    when: 'can never be claimed',
    view: { ...fresh, plan: { is: 'refused', reason: 'PoolNotAllowed', message: 'not this pool' } },
    step: 'show',
    reason: 'PoolNotAllowed',
  },
  { when: 'claim ID not written', view: fresh, step: 'write-claim-id' },
  { when: 'claim ID not written', view: { ...claiming, isMoveBlocked: false }, step: 'write-claim-id' },
  { when: 'addresses not asked for', view: { ...claiming, plan: { is: 'addresses-unasked' } }, step: 'ask-addresses' },
  { when: 'may be claimed', view: claiming, step: 'claim' },
  { when: 'deleted because it was moved', view: { ...gone, deletion: moved }, step: 'nothing' },
  { when: 'no Cluster', view: { ...gone, cluster: undefined }, step: 'nothing' },
  { when: 'paused', view: { ...gone, paused: 'annotation' }, step: 'show' },
  { when: 'deleted, not held by us', view: { ...gone, hasFinalizer: false }, step: 'nothing' },
  { when: 'deleted, its claim is not ours', view: { ...gone, owner: 'another' }, step: 'drop-finalizer' },
  { when: 'deleted, host held', view: gone, step: 'release' },
  { when: 'deleted, host held', view: { ...gone, deletion: { isForMove: false, abandons: 'c1' } }, step: 'release' },
  { when: 'deleted, no host', view: { ...gone, rack: unknown }, step: 'drop-finalizer' },
  { when: 'deleted, no host', view: { ...gone, rack: { is: 'over' } }, step: 'drop-finalizer' },
  { when: 'deleted, host seen off', view: { ...gone, rack: leaving(5) }, step: 'drop-finalizer' },
  {
    when: 'deleted, abandoned by hand',
    view: { ...gone, rack: leaving(null), deletion: { isForMove: false, abandons: 'c1' } },
    step: 'drop-finalizer',
  },
  { when: 'deleted, rack away', view: { ...gone, rack: unreachable }, step: 'show', reason: 'Deleting' },
  { when: 'deleted, host not off yet', view: { ...gone, rack: leaving(null) }, step: 'show', reason: 'Deleting' },
  {
    when: 'deleted, host not off yet',
    view: { ...gone, rack: leaving(null), deletion: { isForMove: false, abandons: 'another' } },
    step: 'show',
    reason: 'Deleting',
  },
];
describe('the next step', () => {
  for (const [at, { when, view, step, reason }] of table.entries())
    test(`${at + 1}: ${when}: ${step}${reason === undefined ? '' : ` ${reason}`}`, () => {
      const decided = decideBy(view, now);
      assert.equal(decided.when, when);
      assert.equal(decided.step.do, step);
      if (reason !== undefined) assert.equal(reasonIn(decided.step), reason);
    });
  test('the table knows every rule', () => {
    const known = new Set(table.map(({ when }) => when));
    const all = new Set([...machineRules.living, ...machineRules.deleted].map(({ when }) => when));
    assert.deepEqual(
      [...all].filter((when) => !known.has(when)),
      [],
    );
  });
});

test('a released host: powering off, then not verified, and what to do stands there', () => {
  const released5 = (at: number): HostJson => ({
    ...hostOf(cleaning),
    release: { claimId: 'c1', generation: 1, disk: { path: '/dev/vda', sizeBytes: 1 }, at, offAt: null },
  });
  const step = (at: number, more: Partial<HostJson> = {}): Step =>
    decideMachine({ ...gone, rack: { is: 'leaving', host: { ...released5(at), ...more }, offAt: null } }, at + limits.kubeOffVerifiedMs);
  const early = decideMachine({ ...gone, rack: { is: 'leaving', host: released5(now), offAt: null } }, now + 1_000);
  assert.equal(reasonIn(early, 'HostReleased'), 'PoweringOff');
  assert.equal(reasonIn(step(now), 'HostReleased'), 'OffNotVerified');
  const failed = decideMachine(
    {
      ...gone,
      rack: {
        is: 'leaving',
        host: { ...released5(now), failed: { step: 'off', code: 'bmc-unreachable', reason: 'its BMC is silent', at: 1, tries: 3 } },
        offAt: null,
      },
    },
    now,
  );
  assert.equal(reasonIn(failed, 'HostReleased'), 'OffNotVerified');
  const message = failed.do === 'show' ? (failed.report.conditions.find(({ type }) => type === 'HostReleased')?.message ?? '') : '';
  assert.match(message, /its BMC is silent.*abandon=c1/);
});

const anyRack = fc.constantFrom(unknown, held(), runs, leaving(null), leaving(7), { is: 'over' } as const, unreachable);
const anyPlan = fc.constantFrom<MachineView['plan']>(
  { is: 'ready', request },
  { is: 'waiting', reason: 'WaitingForIPAddress', message: '' },
  { is: 'refused', reason: 'InvalidSpec', message: '' },
  { is: 'addresses-unasked' },
);
const anyView: fc.Arbitrary<MachineView> = fc.record({
  owner: fc.constantFrom('me', 'another'),
  claimId: fc.constant('c1'),
  isClaimIdWritten: fc.boolean(),
  providerId: fc.constantFrom(undefined, 'remuda://c1', 'other://x'),
  providerIdWanted: fc.constant('remuda://c1'),
  hasFinalizer: fc.boolean(),
  isMoveBlocked: fc.boolean(),
  wasProvisioned: fc.boolean(),
  deletion: fc.option(fc.record({ isForMove: fc.boolean(), abandons: fc.constantFrom(undefined, 'c1', 'c2') }), { nil: undefined }),
  hasMachine: fc.boolean(),
  cluster: fc.option(fc.record({ isReady: fc.boolean() }), { nil: undefined }),
  paused: fc.constantFrom(undefined, 'the Cluster is paused'),
  isUpdating: fc.boolean(),
  rack: anyRack,
  plan: anyPlan,
});
test('whatever stands where: the laws of the lifecycle hold', () => {
  fc.assert(
    fc.property(anyView, (view) => {
      const step = decideMachine(view, now);
      const grave = ['claim', 'release', 'drop-finalizer'].includes(step.do);
      const isTouched = step.do !== 'nothing' && step.do !== 'show';
      if (view.paused !== undefined || !view.hasMachine || view.cluster === undefined || view.deletion?.isForMove === true)
        assert.ok(!isTouched, `touched: ${step.do}`);
      if (step.do === 'claim') {
        assert.equal(view.rack.is, 'unknown');
        assert.ok(view.isClaimIdWritten && view.isMoveBlocked && view.hasFinalizer && view.deletion === undefined);
        assert.ok(view.providerId === undefined && !view.wasProvisioned, 'a machine that had a host claims no other');
      }
      if (step.do === 'release') assert.ok(view.deletion !== undefined && view.rack.is === 'held' && view.owner === 'me');
      if (step.do === 'drop-finalizer') {
        const isOff = view.rack.is === 'unknown' || view.rack.is === 'over' || (view.rack.is === 'leaving' && view.rack.offAt !== null);
        const isForeign = view.rack.is === 'held' && view.owner !== 'me';
        assert.ok(isOff || isForeign || view.deletion?.abandons === 'c1');
      }
      if (view.deletion === undefined) assert.ok(!grave || step.do === 'claim');
      if (step.do === 'show' && step.report.isProvisioned === true)
        assert.ok(view.rack.is === 'held' && view.rack.host.state === 'provisioned' && view.providerId === 'remuda://c1');
    }),
    { numRuns: 5_000 },
  );
});
