/** The control loop in virtual time: one activation at a time for each host, woken at once, never forgotten, never ended by an error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Activation } from '../../src/control/loop.ts';
import { ControlLoop } from '../../src/control/loop.ts';
import { limits } from '../../src/limits.ts';
import type { World } from '../../src/world/world.ts';
import { noAddress } from '../../src/wire/address.ts';
import { chanceOf } from '../sim/chance.ts';
import { Network, heal, swarm } from '../sim/network.ts';
import { worldOf } from '../sim/party-world.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { MemoryFiles } from '../world/memory-files.ts';

interface Stage {
  readonly scheduler: Scheduler;
  readonly world: World;
  readonly death: AbortController;
}
const stage = (): Stage => {
  const scheduler = new Scheduler();
  const death = new AbortController();
  const chance = chanceOf(1, 'loop');
  const faults = swarm(chance);
  heal(faults);
  const network = new Network(scheduler, chance, faults);
  const party = { name: 'daemon', address: noAddress, signal: death.signal };
  return { scheduler, death, world: worldOf({ scheduler, network, party, chance, files: new MemoryFiles() }) };
};
const waitFor = (until: number): Activation => ({ result: 'wait', until, why: 'nothing to do' });
const never = Number.MAX_SAFE_INTEGER;

test('woken once, it runs once, then again with every resync', async () => {
  const { scheduler, world } = stage();
  let runs = 0;
  const loop = new ControlLoop(world, limits, () => {
    runs++;
    return Promise.resolve(waitFor(never));
  });
  loop.wake('h1');
  await scheduler.run({ untilMs: limits.resyncMs - 1 });
  assert.equal(runs, 1);
  await scheduler.run({ untilMs: 3 * limits.resyncMs });
  assert.equal(runs, 4);
});
test('what is done is looked at again at once; what waits, at its time', async () => {
  const { scheduler, world } = stage();
  const times: number[] = [];
  const begin = scheduler.now;
  const answers: Activation[] = [
    { result: 'done', step: 'identify' },
    waitFor(begin + 500),
    { result: 'retryAt', at: begin + 2500, why: 'silent' },
    { result: 'failed', reason: 'gone' },
  ];
  const loop = new ControlLoop(world, limits, () => {
    times.push(scheduler.now - begin);
    return Promise.resolve(answers.shift() ?? waitFor(never));
  });
  loop.wake('h1');
  await scheduler.run({ untilMs: 2500 + limits.resyncMs });
  assert.deepEqual(times, [0, 0, 500, 2500, 2500 + limits.resyncMs]);
});
test('woken while it runs, it runs once more afterwards, and never twice at a time', async () => {
  const { scheduler, world } = stage();
  let running = 0;
  let runs = 0;
  const loop = new ControlLoop(world, limits, async () => {
    assert.equal(++running, 1);
    runs++;
    await world.clock.sleep(100);
    running--;
    return waitFor(never);
  });
  loop.wake('h1');
  await scheduler.run({ untilMs: 50 });
  for (let again = 0; again < 5; again++) loop.wake('h1');
  await scheduler.run({ untilMs: 1000 });
  assert.equal(runs, 2);
});
test('one host that takes its time keeps no other waiting', async () => {
  const { scheduler, world } = stage();
  const ends: string[] = [];
  const loop = new ControlLoop(world, limits, async (key) => {
    await world.clock.sleep(key === 'slow' ? 10_000 : 10);
    ends.push(key);
    return waitFor(never);
  });
  loop.wake('slow');
  loop.wake('quick');
  await scheduler.run({ untilMs: 11_000 });
  assert.deepEqual(ends, ['quick', 'slow']);
});
test('an error that nobody expected is logged and tried again', async () => {
  const { scheduler, world } = stage();
  let runs = 0;
  const loop = new ControlLoop(world, limits, () => (runs++ === 0 ? Promise.reject(new Error('a bug')) : Promise.resolve(waitFor(never))));
  loop.wake('h1');
  await scheduler.run({ untilMs: limits.retryFirstMs });
  assert.equal(runs, 2);
  assert.match(scheduler.tail(1), /error: activation failed .*"key":"h1".*a bug/);
});
test('a dead process runs nothing more; a forgotten host is not looked at again', async () => {
  const { scheduler, world, death } = stage();
  const runs: string[] = [];
  const loop = new ControlLoop(world, limits, (key) => {
    runs.push(key);
    return Promise.resolve(waitFor(scheduler.now + 100));
  });
  loop.wake('h1');
  loop.wake('h2');
  await scheduler.run({ untilMs: 50 });
  loop.forget('h1');
  await scheduler.run({ untilMs: 100 });
  assert.deepEqual(runs, ['h1', 'h2', 'h2']);
  death.abort();
  loop.wake('h2');
  await scheduler.run({ untilMs: 10 * limits.resyncMs });
  assert.deepEqual(runs, ['h1', 'h2', 'h2']);
});
