/** Conditions: the transition time moves with the status alone, the list is sorted, what others wrote stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  conditionOf,
  isFalse,
  isTrue,
  kubeMicroTime,
  kubeTime,
  mergeConditions,
  setCondition,
  withoutConditions,
} from '../../../src/kube/runtime/conditions.ts';

const t0 = Date.UTC(2026, 0, 1);
const ready = { type: 'Ready', status: 'True', reason: 'Ready' } as const;

test('times are written as Kubernetes writes them', () => {
  assert.equal(kubeTime(t0 + 1_999), '2026-01-01T00:00:01Z');
  assert.equal(kubeMicroTime(t0 + 1_999), '2026-01-01T00:00:01.999000Z');
});
test('a new condition begins now; the same status keeps its beginning; another one begins anew', () => {
  const first = setCondition(undefined, ready, t0);
  assert.deepEqual(first, [{ ...ready, message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }]);
  const same = setCondition(first, { ...ready, reason: 'StillReady', message: 'yes', observedGeneration: 2 }, t0 + 5_000);
  assert.deepEqual(same, [
    { ...ready, reason: 'StillReady', message: 'yes', lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: 2 },
  ]);
  const other = setCondition(same, { ...ready, status: 'False', reason: 'Broken' }, t0 + 9_000);
  assert.equal(other[0]?.lastTransitionTime, '2026-01-01T00:00:09Z');
  assert.equal(other.length, 1);
});
test('sorted by type; types that are not named stay', () => {
  const all = mergeConditions(
    [{ type: 'Zebra', status: 'True', reason: 'X', message: '', lastTransitionTime: kubeTime(t0) }],
    [ready, { type: 'Alpha', status: 'Unknown', reason: 'Y' }],
    t0,
  );
  assert.deepEqual(
    all.map(({ type }) => type),
    ['Alpha', 'Ready', 'Zebra'],
  );
  assert.deepEqual(
    withoutConditions(all, ['Ready']).map(({ type }) => type),
    ['Alpha', 'Zebra'],
  );
});
test('readers: absent is neither true nor false', () => {
  const object = { apiVersion: 'v1', kind: 'X', metadata: { name: 'x' }, status: { conditions: setCondition([], ready, t0) } };
  assert.equal(isTrue(object, 'Ready'), true);
  assert.equal(isFalse(object, 'Ready'), false);
  assert.equal(isTrue(object, 'Paused'), false);
  assert.equal(isFalse(object, 'Paused'), false);
  assert.equal(conditionOf(undefined, 'Ready'), undefined);
  assert.equal(isTrue({ ...object, status: { conditions: 'nonsense' } }, 'Ready'), false);
});
