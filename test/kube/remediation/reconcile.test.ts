/** Remediation: reboot, new image, then the owner; each try recorded before it is made, and none while others are at the machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutConnection } from '../fake-api.ts';
import type { Tools } from '../../../src/kube/controller.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { Key, KubeObject } from '../../../src/kube/objects.ts';
import { nextTry } from '../../../src/kube/remediation/next-try.ts';
import type { TryView } from '../../../src/kube/remediation/next-try.ts';
import { remediationReconcilers } from '../../../src/kube/remediation/reconcile.ts';
import { conditionOf } from '../../../src/kube/runtime/conditions.ts';
import { remediationSpec } from '../../../src/kube/schema/bare-metal.ts';
import type { RemediationStatus } from '../../../src/kube/schema/bare-metal.ts';
import type { Reconciler } from '../../../src/kube/controller.ts';
import { nodeView } from '../../../src/kube/workload/node.ts';
import { limits } from '../../../src/limits.ts';
import { aLab, digests, machineKey } from '../update/lab.ts';
import type { Lab, LabOptions } from '../update/lab.ts';

const key: Key = 'ns/w1';
interface Ward extends Lab {
  readonly look: () => Promise<number | undefined>;
  readonly request: () => KubeObject | undefined;
  readonly status: () => RemediationStatus;
  readonly said: () => string;
  readonly escalated: () => string | undefined;
}
const aWard = (spec: object = {}, options: LabOptions = {}): Ward => {
  const lab = aLab({ image: 'kubernetes-v1.34.4', version: 'v1.34.4', isUpdating: false, ...options });
  const machine = lab.api.peek(kinds.machine, machineKey);
  lab.api.seed(kinds.bareMetalRemediation, {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2',
    kind: 'BareMetalRemediation',
    metadata: {
      name: 'w1',
      namespace: 'ns',
      ownerReferences: [{ apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'Machine', name: 'w1', uid: machine?.metadata.uid ?? '' }],
    },
    spec: { strategy: 'RebootThenReimage', reboots: 1, reimages: 1, timeoutSeconds: 600, ...spec },
  });
  const tools = {
    ...lab.parts,
    cache: { note: () => {}, list: () => [], get: () => undefined, by: () => [] },
    events: { record: () => {} },
  } as unknown as Tools;
  const [reconciler] = remediationReconcilers(tools, { workload: lab.parts.workload }) as readonly [Reconciler];
  const request = () => lab.api.peek(kinds.bareMetalRemediation, key);
  return {
    ...lab,
    look: async () => (await reconciler.reconcile(key, new AbortController().signal)).requeueAfterMs,
    request,
    status: () => request()?.status ?? {},
    said: () => conditionOf(request(), 'Ready')?.reason ?? '',
    escalated: () => {
      const condition = conditionOf(lab.api.peek(kinds.machine, machineKey), 'OwnerRemediated');
      return condition === undefined ? undefined : `${condition.status} ${condition.reason}`;
    },
  };
};
const looks = async (ward: Ward, count: number): Promise<void> => {
  // oxlint-disable-next-line no-await-in-loop -- one look after the other
  for (let done = 0; done < count; done++) await ward.look();
};

test('reboot, its time, new image with a fresh token, its time, then the owner', async () => {
  const ward = aWard();
  assert.equal(await ward.look(), 600_000);
  assert.deepEqual(ward.metal.cycles, ['h-1']);
  assert.equal(ward.status().phase, 'Waiting');
  ward.clock.pass(599_000);
  await looks(ward, 3);
  assert.equal(ward.metal.cycles.length + ward.metal.told.length, 1);
  ward.clock.pass(1_000);
  await looks(ward, 2);
  assert.equal(ward.status().phase, 'Reimaging');
  assert.deepEqual(
    ward.metal.told.map(({ image }) => image),
    [digests['kubernetes-v1.34.4']],
  );
  assert.doesNotMatch(ward.metal.told[0]?.userData ?? '', /oldold/);
  ward.install();
  await ward.look();
  assert.equal(ward.node(), undefined);
  await ward.join('v1.34.4');
  await ward.look();
  assert.equal(ward.status().phase, 'Waiting');
  assert.equal(ward.escalated(), undefined);
  assert.deepEqual(ward.workloadApi.all(kinds.secret), []);
  ward.clock.pass(600_000);
  await looks(ward, 3);
  assert.equal(ward.status().phase, 'GivenUp');
  assert.equal(ward.escalated(), 'False WaitingForRemediation');
  assert.equal(ward.metal.cycles.length, 1);
  assert.equal(ward.metal.told.length, 1);
});
test('healthy again: what a try left is taken away with the finalizer', async () => {
  const ward = aWard({ strategy: 'Reimage' });
  await looks(ward, 2);
  assert.equal(ward.workloadApi.all(kinds.secret).length, 1);
  assert.equal(nodeView(ward.node() ?? assert.fail()).unschedulable, true);
  await ward.api.delete(kinds.bareMetalRemediation, key);
  assert.ok(ward.request());
  await ward.look();
  assert.equal(nodeView(ward.node() ?? assert.fail()).unschedulable, false, 'its Node takes pods again');
  assert.equal(ward.request(), undefined);
  assert.deepEqual(ward.workloadApi.all(kinds.secret), []);
  const annotations = ward.api.peek(kinds.bareMetalMachine, machineKey)?.metadata.annotations ?? {};
  assert.deepEqual(Object.keys(annotations), []);
});
test('what a try left is tried to be taken away for a while, and holds nothing up for ever', async () => {
  const ward = aWard({ strategy: 'Reimage' });
  await looks(ward, 2);
  await ward.api.delete(kinds.bareMetalRemediation, key);
  ward.workloadApi.fault = () => ({ fail: cutConnection() });
  await assert.rejects(ward.look(), /was cut/);
  assert.ok(ward.request());
  ward.clock.pass(limits.kubeTidyMs);
  await ward.look();
  assert.equal(ward.request(), undefined);
});
test('a control plane is rebooted, never written', async () => {
  const ward = aWard({}, { labels: { 'cluster.x-k8s.io/control-plane': '' } });
  await ward.look();
  ward.clock.pass(600_000);
  await looks(ward, 3);
  assert.equal(ward.metal.cycles.length, 1);
  assert.equal(ward.metal.told.length, 0);
  assert.equal(ward.escalated(), 'False WaitingForRemediation');
});
test('nothing is done while paused, deleted, moved, held or updated in place', async () => {
  const annotated = (ward: Ward, kind: 'cluster' | 'machine' | 'bareMetalMachine' | 'bareMetalRemediation', name: string): void => {
    const known = ward.api.peek(kinds[kind], kind === 'cluster' ? 'ns/c1' : key);
    if (known !== undefined) ward.api.seed(kinds[kind], { ...known, metadata: { ...known.metadata, annotations: { [name]: '' } } });
  };
  const paused = 'cluster.x-k8s.io/paused';
  const cases: readonly [string, string, (ward: Ward) => void][] = [
    ['cluster paused', 'Paused', (ward) => annotated(ward, 'cluster', paused)],
    ['machine paused', 'Paused', (ward) => annotated(ward, 'machine', paused)],
    ['BareMetalMachine paused', 'Paused', (ward) => annotated(ward, 'bareMetalMachine', paused)],
    ['itself paused', 'Paused', (ward) => annotated(ward, 'bareMetalRemediation', paused)],
    ['moved', '', (ward) => annotated(ward, 'bareMetalRemediation', 'clusterctl.cluster.x-k8s.io/delete-for-move')],
    [
      'updated in place',
      'InPlaceUpdate',
      (ward) => annotated(ward, 'machine', 'in-place-updates.internal.cluster.x-k8s.io/update-in-progress'),
    ],
    ['host held', 'HostHeld', (ward) => ward.metal.change({ held: { by: 'eve', why: 'cables', at: 0 } })],
  ];
  for (const [name, reason, change] of cases) {
    const ward = aWard();
    change(ward);
    // oxlint-disable-next-line no-await-in-loop -- one case after the other
    await looks(ward, 3);
    ward.clock.pass(3_600_000);
    // oxlint-disable-next-line no-await-in-loop -- one case after the other
    await looks(ward, 3);
    assert.equal(ward.metal.cycles.length + ward.metal.told.length, 0, name);
    assert.equal(ward.escalated(), undefined, name);
    assert.equal(ward.said(), reason, name);
  }
});
test('a power command that fails is repeated within its time and counts once', async () => {
  const ward = aWard();
  ward.metal.powerFails = true;
  await looks(ward, 3);
  assert.equal(ward.said(), 'RebootFailed');
  assert.equal(ward.status().reboots, 1);
  ward.metal.powerFails = false;
  await looks(ward, 2);
  assert.deepEqual(ward.metal.cycles, ['h-1']);
  assert.equal(ward.status().phase, 'Waiting');
  assert.equal(ward.status().reboots, 1);
});
test('a host that died and is off is switched on: there is nothing to cycle', async () => {
  const ward = aWard();
  ward.metal.change({ facts: { ...ward.metal.host.facts, power: 'off' } });
  await looks(ward, 2);
  assert.deepEqual(ward.metal.cycles, ['h-1']);
  assert.equal(ward.said(), 'WaitingForHealth');
});
test('a new image that cannot work is not waited for', async () => {
  const ward = aWard({ strategy: 'Reimage' });
  await looks(ward, 2);
  ward.metal.change({ failed: { step: 'install', code: 'disk-missing', reason: 'the disk is gone', at: 0, tries: 3 } });
  await looks(ward, 2);
  assert.equal(ward.status().phase, 'GivenUp');
  assert.equal(ward.escalated(), 'False WaitingForRemediation');
});
test('a machine without a host of ours goes to its owner at once', async () => {
  const ward = aWard();
  ward.metal.word = { is: 'unknown' };
  await ward.look();
  assert.equal(ward.escalated(), 'False WaitingForRemediation');
});

const view = (more: Partial<TryView>): TryView => ({
  spec: remediationSpec.parse({}),
  status: {},
  canReboot: true,
  canReimage: true,
  rebootFailed: false,
  isLost: false,
  nowMs: Date.UTC(2026, 0, 1, 1),
  ...more,
});
const triedAt = '2026-01-01T00:59:00Z';
test('which try is next', () => {
  const next = (more: Partial<TryView>) => nextTry(view(more)).do;
  assert.equal(next({}), 'reboot');
  assert.equal(next({ spec: remediationSpec.parse({ strategy: 'Reimage' }) }), 'reimage');
  assert.equal(next({ spec: remediationSpec.parse({ reboots: 0 }) }), 'reimage');
  assert.equal(next({ canReboot: false }), 'reimage');
  assert.equal(next({ canReboot: false, canReimage: false }), 'give-up');
  assert.equal(next({ spec: remediationSpec.parse({ strategy: 'Reboot' }), status: { reboots: 1 } }), 'give-up');
  assert.equal(next({ status: { phase: 'Rebooting', reboots: 1, lastTryAt: triedAt } }), 'wait');
  assert.equal(next({ status: { phase: 'Rebooting', reboots: 1, lastTryAt: triedAt }, rebootFailed: true }), 'reboot-again');
  assert.equal(next({ status: { phase: 'Reimaging', reimages: 1, lastTryAt: triedAt } }), 'reimage-on');
  assert.equal(next({ status: { phase: 'Reimaging', reboots: 1, reimages: 1, lastTryAt: triedAt }, isLost: true }), 'give-up');
  assert.equal(next({ status: { phase: 'GivenUp' } }), 'give-up');
});
test('crashed anywhere: never more tries than allowed, and it always ends with the owner', async () => {
  const faults = fc.array(fc.tuple(fc.integer({ min: 0, max: 120 }), fc.constantFrom('fail', 'failAfter')), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(faults, async (said) => {
      const ward = aWard({ timeoutSeconds: 60 });
      const plan = new Map(said);
      let count = 0;
      const fault = () => {
        const how = plan.get(count++);
        const crash = new Error('crashed');
        return how === 'fail' ? { fail: crash } : how === 'failAfter' ? { failAfter: crash } : undefined;
      };
      ward.api.fault = fault;
      ward.workloadApi.fault = fault;
      for (let turn = 0; turn < 80; turn++) {
        // oxlint-disable-next-line no-await-in-loop -- one look after the other
        await ward.look().catch((error: unknown) => assert.ok(error instanceof Error));
        ward.clock.pass(15_000);
      }
      assert.ok(ward.metal.cycles.length <= 1, 'reboots');
      assert.ok(ward.metal.told.length <= 1, 'images');
      assert.equal(ward.escalated(), 'False WaitingForRemediation');
    }),
    { numRuns: 150 },
  );
});
