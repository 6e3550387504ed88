/** When a released host counts as seen off: by a reading of its BMC that began since, or by our agent at work; never by what was known before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BmcDriver } from '../../src/bmc/driver.ts';
import { Keeper } from '../../src/control/keeper.ts';
import { PresenceBook } from '../../src/control/presence.ts';
import { reconcile } from '../../src/control/reconcile.ts';
import { RemudaError } from '../../src/errors.ts';
import type { Host, Power } from '../../src/host/host.ts';
import { limits } from '../../src/limits.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { after, disk, provisioned, released, writing } from '../host/make.ts';
import { testSealer } from '../store/sealer.ts';
import { fakeWorld } from '../world/fake.ts';

const release = { type: 'release', claimId: 'c1', by: 'me' } as const;
/** A loop over one host whose BMC shows what the test says; `none`: it does not answer. */
const loopOver = async (host: Host, power: Power | 'none') => {
  const world = fakeWorld();
  const store = await openSqliteStore(':memory:', limits, { sealer: testSealer });
  const presence = new PresenceBook(world.clock);
  const keeper = new Keeper({ store, clock: world.clock, log: world.log, presence });
  await keeper.create({ ...host, version: 0 }, 'made by a test');
  const bmc = { power, asked: [] as string[], onRead: (): Promise<unknown> => Promise.resolve() };
  const read = async (): Promise<Power> => {
    const seen = bmc.power;
    await bmc.onRead();
    if (seen === 'none') throw new RemudaError('bmc-unreachable', 'it does not answer');
    return seen;
  };
  const driver = {
    readPower: read,
    bootOnceFromNetwork: async () => ({ asked: 'network', observed: 'network', settled: true }),
    setPower: async (asked: 'on' | 'off') => {
      bmc.asked.push(asked);
      bmc.power = asked;
      return { asked, observed: asked, settled: true };
    },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the verbs that a release needs until its host is off
  const parts = { world, keeper, presence, limits, driverFor: () => driver as unknown as BmcDriver };
  const step = async (): Promise<Host> => {
    await reconcile(parts, host.id);
    return keeper.get(host.id) ?? assert.fail();
  };
  return { bmc, keeper, step, store };
};

test('a released host that runs is switched off first, and is seen off by that', async () => {
  const { bmc, step } = await loopOver(released, 'on');
  assert.equal(released.release?.offAt, undefined);
  let host = await step();
  for (let steps = 0; host.release?.offAt === undefined && steps < 3; steps++) host = await step();
  assert.deepEqual(bmc.asked, ['off']);
  assert.ok((host.release?.offAt ?? 0) > 0);
});
test('a host that was known to be off before its release is read again', async () => {
  const off = after(after(provisioned, { type: 'power-seen', power: 'off' }), release);
  assert.deepEqual([off.facts.power, off.release?.offAt], ['off', undefined]);
  const { bmc, step, store } = await loopOver(off, 'off');
  const host = await step();
  assert.ok((host.release?.offAt ?? 0) > 0);
  assert.deepEqual(bmc.asked, []);
  await step();
  const lines = await store.timeline(host.id, { most: 100 });
  assert.equal(lines.filter(({ text }) => text.startsWith('seen off after the release')).length, 1);
});
test('a BMC that does not answer has shown nothing', async () => {
  const { step } = await loopOver(released, 'none');
  for (let steps = 0; steps < 3; steps++) assert.equal((await step()).release?.offAt, undefined);
});
test('a reading that began before the release says nothing of it', async () => {
  const { bmc, keeper, step } = await loopOver(after(provisioned, { type: 'power-seen', power: 'on' }), 'off');
  bmc.onRead = () => keeper.apply('h1', release);
  const host = await step();
  assert.deepEqual([host.facts.power, host.state, host.release?.offAt], ['off', 'cleaning', undefined]);
  bmc.onRead = () => Promise.resolve();
  assert.ok(((await step()).release?.offAt ?? 0) > 0);
});
test('a held host is not read, so nobody has seen it off', async () => {
  const { step } = await loopOver(after(released, { type: 'hold', by: 'eve', why: 'x' }), 'off');
  assert.equal((await step()).release?.offAt, undefined);
});
test('released in the middle of an installation: the agent that takes up the cleaning shows that no OS runs', () => {
  const host = after(writing, release);
  const job = { id: '1.1.clean', kind: 'clean', boot: 1, claimId: 'c1', generation: 1, disk, givenAt: 0 } as const;
  assert.equal(host.release?.offAt, undefined);
  assert.equal(after(host, { type: 'job-given', job }).release?.offAt, 1000);
  assert.equal(after({ ...host, bmc: null }, { type: 'job-given', job }).release?.offAt, undefined, 'nobody saw how its boot began');
});
test('in the middle of a reset a host is not off', () => {
  assert.equal(after(released, { type: 'power-seen', power: 'off' }).release?.offAt, undefined);
  assert.equal(after(released, { type: 'power-seen', power: 'off', release: 'c0' }).release?.offAt, undefined);
  assert.equal(after(released, { type: 'power-seen', power: 'off', release: 'c1' }).release?.offAt, 1000);
});
