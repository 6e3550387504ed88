/** The queue: each key once, one worker at a key, nothing lost, lanes take turns, and what fails waits longer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KubeError } from '../../../src/kube/api.ts';
import { backoffMs } from '../../../src/kube/runtime/backoff.ts';
import { Queue } from '../../../src/kube/runtime/queue.ts';
import type { Item } from '../../../src/kube/runtime/queue.ts';
import { limits } from '../../../src/limits.ts';
import { fakeWorld } from '../../world/fake.ts';

const item = (key: string, lane = 'l'): Item => ({ lane, key });

describe('the queue', () => {
  test('a key that is added often is looked at once; while it is looked at, once more', async () => {
    const world = fakeWorld();
    let runs = 0;
    const queue = new Queue({ world, limits, run: async () => (runs++, await world.clock.sleep(1_000), {}) });
    for (let times = 0; times < 5; times++) queue.add(item('a'));
    queue.start();
    await world.advance(500);
    for (let times = 0; times < 5; times++) queue.add(item('a'));
    await world.advance(10_000);
    assert.equal(runs, 2);
    assert.equal(queue.size, 0, 'what is done is forgotten');
  });
  test('requeueAfter comes in its time, and an earlier look makes it needless', async () => {
    const world = fakeWorld();
    const at: number[] = [];
    const from = world.clock.now();
    const queue = new Queue({ world, limits, run: async () => (at.push(world.clock.now() - from), { requeueAfterMs: 10_000 }) });
    queue.start();
    queue.add(item('a'));
    await world.advance(4_000);
    queue.add(item('a'));
    await world.advance(16_000);
    assert.deepEqual(at, [0, 4_000, 14_000]);
    await queue.stop('drain');
    await world.advance(60_000);
    assert.equal(at.length, 3);
  });
  test('of two times the earlier counts', async () => {
    const world = fakeWorld();
    const at: number[] = [];
    const from = world.clock.now();
    const queue = new Queue({ world, limits, run: async () => (at.push(world.clock.now() - from), {}) });
    queue.start();
    for (const ms of [5_000, 2_000, 9_000]) queue.addAfter(item('a'), ms);
    await world.advance(20_000);
    assert.deepEqual(at, [2_000]);
  });
  test('back-off grows to its bound, each key for itself, and a success ends it; Retry-After is kept', async () => {
    const world = fakeWorld();
    const at: number[] = [];
    let left = 12;
    const queue = new Queue({
      world,
      limits,
      run: async ({ key }) => {
        if (key === 'asked' && left === 0) return {};
        if (key === 'a') at.push(world.clock.now());
        if (key === 'a' && left-- > 0) throw new Error('no');
        return {};
      },
    });
    queue.start();
    queue.add(item('a'));
    await world.advance(20 * limits.kubeBackoffMostMs);
    const pauses = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    assert.equal(pauses.length, 12);
    for (const [index, pause] of pauses.entries()) {
      const whole = Math.min(limits.kubeBackoffMostMs, limits.kubeBackoffFirstMs * 2 ** index);
      assert.ok(pause >= whole / 2 && pause <= whole, `${index}: ${pause} of ${whole}`);
    }
    assert.equal(queue.size, 0);
    const asked = new KubeError('slow', { status: 429, retryAfterMs: 9_000 });
    const later: number[] = [];
    const patient = new Queue({
      world,
      limits,
      run: async () => (later.push(world.clock.now()), later.length === 1 ? Promise.reject(asked) : {}),
    });
    patient.start();
    patient.add(item('b'));
    await world.advance(60_000);
    assert.equal((later[1] ?? 0) - (later[0] ?? 0), 9_000);
  });
  test('lanes take turns: one that is full does not keep another waiting', async () => {
    const world = fakeWorld();
    const order: string[] = [];
    const queue = new Queue({ world, limits: { ...limits, kubeWorkers: 1 }, run: async ({ lane, key }) => (order.push(lane + key), {}) });
    for (let number = 0; number < 50; number++) queue.add(item(String(number), 'big'));
    queue.add(item('0', 'small'));
    queue.add(item('1', 'small'));
    assert.deepEqual([queue.depth('big'), queue.depth('small')], [50, 2]);
    queue.start();
    await world.settle();
    assert.ok(order.indexOf('small1') < 5, order.join());
    assert.equal(order.length, 52);
  });
  test('stopped, it waits for those that work and begins nothing new; now: it tells them', async () => {
    for (const how of ['drain', 'now'] as const) {
      const world = fakeWorld();
      const ended: string[] = [];
      const queue = new Queue({
        world,
        limits: { ...limits, kubeWorkers: 1 },
        run: async ({ key }, signal) => {
          await world.clock.sleep(1_000, signal).catch(() => ended.push('told'));
          ended.push(key);
          return { requeueAfterMs: 1 };
        },
      });
      queue.start();
      queue.add(item('a'));
      queue.add(item('b'));
      await world.settle();
      let isOver = false;
      const stopping = queue.stop(how).then(() => void (isOver = true));
      await world.settle();
      assert.equal(isOver, how === 'now');
      await world.advance(60_000);
      await stopping;
      assert.deepEqual(ended, how === 'now' ? ['told', 'a'] : ['a']);
    }
  });
});

test('back-off is never more than its bound, nor less than a half', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.double({ min: 0, max: 0.999_999, noNaN: true }), (failures, chance) => {
      const ms = backoffMs(failures, { next: () => chance }, limits);
      return ms >= limits.kubeBackoffFirstMs / 2 && ms <= limits.kubeBackoffMostMs;
    }),
  );
});

/** What the outside does to a queue, and how long each look takes and how it ends. */
const act = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd'),
  lane: fc.constantFrom('l', 'm'),
  pauseMs: fc.integer({ min: 0, max: 300 }),
  later: fc.option(fc.integer({ min: 0, max: 2_000 })),
});
const look = fc.record({ ms: fc.integer({ min: 0, max: 400 }), ends: fc.constantFrom('well', 'well', 'fails', 'again') });
test('property: never two workers at a key, never more workers than there are, and after the last word each key is looked at once more', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { minLength: 1, maxLength: 40 }),
      fc.array(look, { minLength: 1 }),
      fc.integer({ min: 1, max: 4 }),
      async (acts, looks, kubeWorkers) => {
        const world = fakeWorld();
        const busy = new Set<string>();
        const broken: string[] = [];
        const begun = new Map<string, number>();
        const said = new Map<string, number>();
        let count = 0;
        const queue = new Queue({
          world,
          limits: { ...limits, kubeWorkers },
          run: async ({ lane, key }) => {
            const id = `${lane}${key}`;
            // An assertion in here would only be a failure that is tried again.
            if (busy.has(id)) broken.push(`two workers at ${id}`);
            busy.add(id);
            if (busy.size > kubeWorkers) broken.push(`${busy.size} workers`);
            begun.set(id, world.clock.now());
            const { ms, ends } = looks[count++ % looks.length] ?? assert.fail();
            await world.clock.sleep(ms);
            busy.delete(id);
            // Nobody fails for ever; forty pauses of the longest kind are less than the hour that is waited.
            if (ends === 'fails' && count < 40) throw new Error('no');
            return ends === 'again' && count < 200 ? { requeueAfterMs: 50 } : {};
          },
        });
        queue.start();
        for (const { key, lane, pauseMs, later } of acts) {
          if (later === null) {
            said.set(lane + key, world.clock.now());
            queue.add(item(key, lane));
          } else queue.addAfter(item(key, lane), later);
          await world.advance(pauseMs);
        }
        await world.advance(60 * 60_000);
        for (const [id, at] of said)
          assert.ok((begun.get(id) ?? -1) >= at, `${id} was said at ${at} and last looked at at ${begun.get(id)}`);
        assert.deepEqual([queue.size, queue.running, broken], [0, 0, []]);
      },
    ),
    { numRuns: 60 },
  );
});
