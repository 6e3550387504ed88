/** The keeper over a real store: writers that meet, refusals with their reason, and a copy in memory that never goes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Keeper } from '../../src/control/keeper.ts';
import { PresenceBook } from '../../src/control/presence.ts';
import type { RemudaError } from '../../src/errors.ts';
import { newHost } from '../../src/host/host.ts';
import { limits } from '../../src/limits.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { parseMac } from '../../src/wire/address.ts';
import type { Clock, Log } from '../../src/world/world.ts';
import { testSealer } from '../store/sealer.ts';

const mac = parseMac('52:54:00:00:00:01');
const otherMac = parseMac('52:54:00:00:00:02');
assert.ok(mac !== undefined && otherMac !== undefined);
const clock: Clock = { now: () => 1000, sleep: () => Promise.resolve(), after: () => () => undefined, soon: () => undefined };
const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, with: () => quiet };
const keeperOf = (store: Store): Keeper => new Keeper({ store, clock, log: quiet, presence: new PresenceBook(clock) });
const spec = { id: 'h1', name: 'one', state: 'enrolled' as const, macs: [mac] };
const opened = async (): Promise<{ store: Store; keeper: Keeper }> => {
  const store = await openSqliteStore(':memory:', limits, { sealer: testSealer });
  const keeper = keeperOf(store);
  await keeper.create(newHost(spec, 0), 'enrolled by a test');
  return { store, keeper };
};
const hasCode = (code: string, words: RegExp) => (error: RemudaError) => error.code === code && words.test(error.message);

test('writers that meet: each event is applied to what the one before left, and each has its line', async () => {
  const { store, keeper } = await opened();
  const woken: string[] = [];
  keeper.onChange(
    (id) => woken.push(id),
    () => undefined,
  );
  const reasons = ['a', 'b', 'c', 'd', 'e'];
  await Promise.all(reasons.map((why) => keeper.apply('h1', { type: 'hold', by: 'test', why })));
  const rows = await store.timeline('h1', { most: 100 });
  assert.deepEqual(
    rows
      .slice(1)
      .map(({ text }) => text)
      .toSorted(),
    reasons.map((why) => `held by test: ${why}`),
  );
  assert.equal(keeper.get('h1')?.version, 1 + reasons.length);
  assert.deepEqual(await store.host('h1'), keeper.get('h1'));
  assert.equal(woken.length, reasons.length);
});
test('what the rulebook refuses is thrown with its code and reason, and changes nothing', async () => {
  const { keeper } = await opened();
  const ends = await Promise.allSettled([keeper.apply('h1', { type: 'accept', by: 'a' }), keeper.apply('h1', { type: 'unhold', by: 'b' })]);
  for (const end of ends) {
    assert.ok(end.status === 'rejected');
    assert.ok(hasCode('state-conflict', /host one/)(end.reason as RemudaError));
  }
  assert.equal(keeper.get('h1')?.version, 1, 'what is refused changes nothing');
});
test('who asks for one version gets that one or is told both', async () => {
  const { keeper } = await opened();
  const both = await Promise.allSettled([
    keeper.apply('h1', { type: 'hold', by: 'a', why: 'first' }, 1),
    keeper.apply('h1', { type: 'hold', by: 'b', why: 'second' }, 1),
  ]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  assert.equal(keeper.get('h1')?.held?.why, 'first');
  const twoVersions = hasCode('precondition-failed', /version 2.*version 1/);
  await assert.rejects(keeper.apply('h1', { type: 'unhold', by: 'b' }, 1), twoVersions);
  await assert.rejects(keeper.look('one', 1), twoVersions);
  await assert.rejects(keeper.forget(keeper.find('one'), 1), twoVersions);
  await keeper.apply('h1', { type: 'unhold', by: 'b' }, 2);
  assert.equal((await keeper.look('one', 3)).held, null);
});
test('an event that changes nothing writes nothing', async () => {
  const { store, keeper } = await opened();
  await keeper.apply('h1', { type: 'power-seen', power: 'on' });
  const { version } = await keeper.apply('h1', { type: 'power-seen', power: 'on' });
  assert.equal(version, 2);
  assert.equal((await store.timeline('h1', { most: 100 })).length, 2);
});
test('another start knows what this one saved, by ID, name and MAC', async () => {
  const { store, keeper } = await opened();
  await keeper.apply('h1', { type: 'hold', by: 'test', why: 'looking' });
  const next = keeperOf(store);
  assert.equal(next.byMac(mac), undefined);
  await next.load();
  assert.deepEqual(next.all(), keeper.all());
  assert.deepEqual(next.find('one'), keeper.find('h1'));
  assert.equal(next.byMac(mac)?.id, 'h1');
});
test('a forgotten host is found no more, and an event for it is refused', async () => {
  const { keeper } = await opened();
  await keeper.forget(keeper.find('one'));
  assert.equal(keeper.byMac(mac), undefined);
  assert.throws(() => keeper.find('one'), hasCode('host-not-found', /no host one/));
  await assert.rejects(keeper.apply('h1', { type: 'hold', by: 'test', why: 'late' }), hasCode('host-not-found', /h1 was forgotten/));
});
test('a name and a MAC belong to one host', async () => {
  const { keeper } = await opened();
  await assert.rejects(keeper.create(newHost({ ...spec, id: 'h2', macs: [otherMac] }, 0), ''), hasCode('host-exists', /one/));
  await assert.rejects(keeper.create(newHost({ ...spec, id: 'h2', name: 'two' }, 0), ''), hasCode('host-exists', /52:54:00:00:00:01/));
  assert.equal(keeper.all().length, 1);
});
