/** Which hosts a claim may take: every test of the selector, which host comes first, and what is said where none fits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Host } from '../../src/host/host.ts';
import { profileOf } from '../../src/host/profile.ts';
import { aroundOf, byPreference, countMisfits, misfit as misfitAmong, selectorSchema, tellMisfits } from '../../src/host/select.ts';
import type { Misfit, Selector, Wish } from '../../src/host/select.ts';
import { available, claimed, cleaning, enrolled, inventory } from './make.ts';

const gib = 1024 ** 3;
/** Alone in the rack. */
const misfit = (host: Host, asked: Wish): Misfit | undefined => misfitAmong(host, asked, aroundOf([host], asked, 0));
const base: Host = {
  ...available,
  firmware: 'uefi',
  profile: profileOf({ labels: { tier: 'web', 'example.org/disk': 'nvme' }, failureDomain: 'b' }),
  identified: { vendor: 'Dell Inc.', model: 'R650', at: 0 },
  inventory: {
    ...inventory,
    vendor: 'Dell Inc.',
    cpu: { model: 'x', cores: 16, threads: 32 },
    memoryBytes: 64 * gib,
    disks: [
      { path: '/dev/sda', name: 'sda', sizeBytes: 100 * gib, serial: 'a', rotational: false, removable: false, readOnly: false },
      { path: '/dev/sdb', name: 'sdb', sizeBytes: 900 * gib, serial: 'b', rotational: false, removable: true, readOnly: false },
    ],
    nics: [
      { name: 'eth0', mac: '52:54:00:00:00:01', linkUp: true },
      { name: 'eth1', mac: '52:54:00:00:00:02', linkUp: false },
    ],
    gpus: [{ address: '0000:3b:00.0', vendor: '10de', device: '2330' }],
  },
};
const wish = (selector: unknown, part: Partial<Wish> = {}): Wish => ({
  selector: selectorSchema.parse(selector),
  rule: { only: true },
  imageBytes: gib,
  isNamed: false,
  ...part,
});

const facts: readonly { readonly selector: Selector; readonly misses?: Misfit['class'] }[] = [
  { selector: {} },
  { selector: { pool: 'default' } },
  { selector: { pool: 'gpu' }, misses: 'pool' },
  { selector: { pools: ['gpu', 'default'] } },
  { selector: { pools: ['gpu', 'fast'] }, misses: 'pool' },
  { selector: { pool: 'default', pools: ['gpu'] }, misses: 'pool' },
  { selector: { labels: { tier: 'web' } } },
  { selector: { labels: { tier: 'db' } }, misses: 'labels' },
  { selector: { labels: { tier: { in: ['db', 'web'] } } } },
  { selector: { labels: { tier: { in: ['db'] } } }, misses: 'labels' },
  { selector: { labels: { tier: { notIn: ['db'] } } } },
  { selector: { labels: { tier: { notIn: ['web'] } } }, misses: 'labels' },
  { selector: { labels: { absent: { notIn: ['x'] } } } },
  { selector: { labels: { absent: { exists: false } } } },
  { selector: { labels: { absent: { exists: true } } }, misses: 'labels' },
  { selector: { labels: { 'example.org/disk': { exists: true }, tier: 'web' } } },
  { selector: { failureDomain: 'b' } },
  { selector: { failureDomain: 'a' }, misses: 'failure-domain' },
  { selector: { cores: 16, memoryBytes: 64 * gib, nics: 2, diskBytes: 100 * gib } },
  { selector: { cores: 17 }, misses: 'cores' },
  { selector: { memoryBytes: 64 * gib + 1 }, misses: 'memory' },
  { selector: { nics: 3 }, misses: 'nics' },
  // Of the two, one is removable.
  { selector: { disks: 1, gpus: 1 } },
  { selector: { disks: 2 }, misses: 'disks' },
  { selector: { gpus: 2 }, misses: 'gpus' },
  // The larger one is removable.
  { selector: { diskBytes: 101 * gib }, misses: 'disk-size' },
  { selector: { arch: 'x86_64', firmware: 'uefi', vendor: 'dell inc.', model: 'r650' } },
  { selector: { arch: 'aarch64' }, misses: 'arch' },
  { selector: { firmware: 'bios' }, misses: 'firmware' },
  { selector: { vendor: 'HPE' }, misses: 'vendor' },
  { selector: { model: 'R750' }, misses: 'model' },
];
for (const { selector, misses } of facts)
  test(`${JSON.stringify(selector)}: ${misses ?? 'fits'}`, () => {
    assert.equal(misfit(base, wish(selector))?.class, misses);
  });

const states: readonly { readonly name: string; readonly host: Host; readonly misses: Misfit['class'] }[] = [
  { name: 'never inspected', host: { ...enrolled, profile: base.profile }, misses: 'uninspected' },
  { name: 'discovered', host: { ...enrolled, state: 'discovered' }, misses: 'discovered' },
  { name: 'held', host: { ...base, held: { by: 'eve', why: 'cable', at: 0 } }, misses: 'held' },
  { name: 'failed', host: { ...base, failed: { step: 'boot', code: 'internal', reason: 'x', at: 0, tries: 1 } }, misses: 'failed' },
  { name: 'claimed', host: { ...base, state: 'provisioning', claim: claimed.claim }, misses: 'claimed' },
  { name: 'cleaning', host: { ...base, state: 'cleaning', release: cleaning.release }, misses: 'cleaning' },
  { name: 'inspecting again', host: { ...base, state: 'inspecting' }, misses: 'busy' },
];
for (const { name, host, misses } of states) test(`${name}: ${misses}`, () => assert.equal(misfit(host, wish({}))?.class, misses));
test('an inventory of an earlier agent has no GPU', () => {
  const { gpus: _none, ...old } = base.inventory ?? inventory;
  assert.deepEqual(misfit({ ...base, inventory: old }, wish({ gpus: 1 }))?.reason, 'has 0, wanted 1');
});
test('a label that is missed is told in words', () => {
  for (const [labels, says] of [
    [{ tier: 'db' }, 'label tier is "web", wanted "db"'],
    [{ absent: { in: ['a', 'b'] } }, 'it has no label absent, wanted one of a, b'],
    [{ tier: { notIn: ['web', 'x'] } }, 'label tier is "web", wanted none of web, x'],
    [{ absent: { exists: true } }, 'it has no label absent, wanted any'],
    [{ tier: { exists: false } }, 'label tier is "web", wanted none'],
  ] as const)
    assert.equal(misfit(base, wish({ labels }))?.reason, says);
});
test('what stays so is said before what passes: waiting would not help', () => {
  const host: Host = { ...base, state: 'provisioning', claim: claimed.claim };
  assert.equal(misfit(host, wish({ memoryBytes: 128 * gib }))?.class, 'memory');
});
test('a host that is named may be in any pool; a pool that is said holds for it as well', () => {
  const host: Host = { ...base, profile: profileOf({ pool: 'gpu' }) };
  assert.equal(misfit(host, wish({}))?.class, 'pool');
  assert.equal(misfit(host, wish({}, { isNamed: true })), undefined);
  assert.equal(misfit(host, wish({ pool: 'fast' }, { isNamed: true }))?.class, 'pool');
});
test('the disk rule and the size of the image are part of it', () => {
  assert.equal(misfit(base, wish({}, { rule: { serial: 'z' } }))?.class, 'disk-rule');
  assert.equal(misfit(base, wish({}, { imageBytes: 101 * gib }))?.class, 'image-size');
});
test('a selector without sense is refused', () => {
  for (const bad of [
    { cores: 0 },
    { cores: -1 },
    { labels: { a: { in: [] } } },
    { labels: { a: { in: ['b'], exists: true } } },
    { gpu: 1 },
  ])
    assert.ok(!selectorSchema.safeParse(bad).success, JSON.stringify(bad));
});

const sized = (name: string, memory: number, cores: number, since: number): Host => ({
  ...base,
  name,
  inventory: { ...inventory, memoryBytes: memory, cpu: { model: '', cores, threads: cores } },
  facts: { ...base.facts, availableSince: since },
});
test('the smallest comes first, then the longest available, then by name', () => {
  const hosts = [sized('f', 2, 1, 1), sized('e', 1, 2, 1), sized('d', 1, 1, 9), sized('c', 1, 1, 5), sized('b', 1, 1, 9)];
  assert.deepEqual(
    hosts.toSorted(byPreference).map(({ name }) => name),
    ['c', 'b', 'd', 'e', 'f'],
  );
});
test('the choice does not depend on the order in which hosts are listed', () => {
  const host = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)).map(([memory, cores, since]) => ({ memory, cores, since }));
  fc.assert(
    fc.property(fc.array(host, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.nat()), (rows, order) => {
      const hosts = rows.map(({ memory, cores, since }, index) => sized(`h${index}`, memory, cores, since));
      const shuffled = hosts.map((one) => ({ one, at: order.next().value })).toSorted((a, b) => a.at - b.at);
      assert.equal(shuffled.map(({ one }) => one).toSorted(byPreference)[0], hosts.toSorted(byPreference)[0]);
    }),
  );
});

test('where none fits: how many were looked at, and why each class does not fit', () => {
  const small = Array.from({ length: 6 }, (_, index): Host => ({ ...sized(`s${index}`, (index + 10) * gib, 1, 0), profile: base.profile }));
  const hosts = [...small, ...states.map(({ host }) => host)];
  const asked = wish({ memoryBytes: 16 * gib });
  const misfits = hosts.map((host) => misfit(host, asked)).filter((one) => one !== undefined);
  const counts = countMisfits(misfits, asked);
  assert.deepEqual(counts[0], {
    class: 'memory',
    count: 6,
    hosts: ['s0', 's1', 's2', 's3', 's4'],
    detail: 'with too little memory (largest 15 GiB, wanted 16 GiB)',
  });
  assert.equal(
    tellMisfits(counts, hosts.length),
    '13 hosts looked at, none fits: 6 with too little memory (largest 15 GiB, wanted 16 GiB); 1 discovered and not accepted; ' +
      '1 never inspected; 1 held: held by eve: cable; 1 failed: failed at boot: x; 1 held by other claims: claimed by me (c1); ' +
      '1 being cleaned; 1 not ready yet: it is inspecting',
  );
  assert.equal(
    counts.reduce((sum, { count }) => sum + count, 0),
    hosts.length,
    'every host is in one class',
  );
  assert.match(tellMisfits([], 0), /there is no host in this rack: enrol one/);
});
