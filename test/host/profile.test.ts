/** What people say of a host: what may be said, what a change leaves, how it is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainProfile } from '../../src/host/host.ts';
import { changesBetween, labelKeySchema, labelValueSchema, patched, profileOf, profilePatchSchema } from '../../src/host/profile.ts';
import { after, enrolled, refusal } from './make.ts';

const keys: readonly { readonly key: string; readonly good: boolean }[] = [
  { key: 'tier', good: true },
  { key: 'Tier_1.x-y', good: true },
  { key: 'example.org/tier', good: true },
  { key: 'a'.repeat(63), good: true },
  { key: 'a'.repeat(64), good: false },
  { key: '', good: false },
  { key: '-tier', good: false },
  { key: 'tier-', good: false },
  { key: 'Example.org/tier', good: false },
  { key: 'a/b/c', good: false },
  { key: '/tier', good: false },
  { key: 'example.org/', good: false },
  { key: 'ti er', good: false },
];
for (const { key, good } of keys)
  test(`label key ${JSON.stringify(key.slice(0, 20))}: ${good ? 'good' : 'refused'}`, () => {
    assert.equal(labelKeySchema.safeParse(key).success, good);
  });
test('label values: empty, or as a name', () => {
  for (const good of ['', 'web', 'A.b_c-1', 'x'.repeat(63)]) assert.ok(labelValueSchema.safeParse(good).success, good);
  for (const bad of ['-', 'web ', 'x'.repeat(64), 'a/b']) assert.ok(!labelValueSchema.safeParse(bad).success, bad);
});

test('a patch: absent stays, null clears, labels change one by one', () => {
  const before = profileOf({ labels: { a: '1', b: '2' }, pool: 'gpu', rack: 'r1', unit: 7, note: 'loud' });
  const patch = profilePatchSchema.parse({ labels: { a: null, c: '3' }, pool: null, note: null, failureDomain: 'z' });
  assert.deepEqual(patched(before, patch), {
    ...plainProfile,
    labels: { b: '2', c: '3' },
    rack: 'r1',
    unit: 7,
    failureDomain: 'z',
  });
});
test('what differs is told, one phrase each', () => {
  const before = profileOf({ labels: { a: '1' } });
  const next = profileOf({ labels: { a: '2', b: '3' }, pool: 'gpu', unit: 4 });
  assert.deepEqual(changesBetween(before, next), ['pool: default → gpu', 'unit: none → 4', 'label a: 1 → 2', 'label b: none → 3']);
  assert.deepEqual(changesBetween(before, before), []);
});
test('nonsense is refused: a unit of nothing, an option that is none', () => {
  for (const bad of [
    { unit: 0 },
    { unit: 1.5 },
    { pool: '' },
    { colour: 'red' },
    { dhcp: { raw: { 0: 'aa' } } },
    { dhcp: { raw: { 43: 'a' } } },
  ])
    assert.ok(!profilePatchSchema.safeParse(bad).success, JSON.stringify(bad));
});

test('described: one event with what changed; the same again is no change', () => {
  const event = { type: 'described', by: 'eve', patch: { pool: 'gpu' }, serial: 'S1' } as const;
  const host = after(enrolled, event);
  assert.deepEqual([host.profile.pool, host.serial, host.state], ['gpu', 'S1', enrolled.state]);
  assert.equal(after(host, event), host);
  assert.equal(refusal(host, event), undefined);
});
