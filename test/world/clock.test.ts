/** Waiting ends when its owner or the world ends, and says why. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realClock } from '../../src/world/clock.ts';

const dayMs = 24 * 3600_000;

test('a sleep ends by its own signal, with the reason given', async () => {
  const own = new AbortController();
  const asleep = realClock(new AbortController().signal).sleep(dayMs, own.signal);
  const reason = new Error('the lease was released');
  own.abort(reason);
  await assert.rejects(asleep, (error) => error === reason);
});

test('a sleep ends with the world, also one longer than a timer of Node can be', async () => {
  const world = new AbortController();
  const clock = realClock(world.signal);
  const asleep = [clock.sleep(dayMs), clock.sleep(100 * dayMs, new AbortController().signal)];
  const reason = new Error('SIGTERM');
  world.abort(reason);
  for (const sleep of asleep) await assert.rejects(sleep, (error) => error === reason);
  await assert.rejects(clock.sleep(1), (error) => error === reason);
});

test('after: runs once, not at all when cancelled or when the world has ended; not early when far away', async () => {
  const world = new AbortController();
  const clock = realClock(world.signal);
  const ran: string[] = [];
  clock.after(1, () => ran.push('due'));
  clock.after(1, () => ran.push('cancelled'))();
  const cancelFar = clock.after(2 ** 31 + 5, () => ran.push('far'));
  await clock.sleep(20);
  cancelFar();
  clock.after(1, () => ran.push('world ended'));
  world.abort();
  clock.after(1, () => ran.push('after the end'));
  await realClock(new AbortController().signal).sleep(20);
  assert.deepEqual(ran, ['due']);
});

test('soon: after what is already due, in order', async () => {
  const clock = realClock(new AbortController().signal);
  const order: number[] = [];
  await new Promise<void>((resolve) => {
    clock.soon(() => order.push(2));
    clock.soon(() => {
      order.push(3);
      resolve();
    });
    queueMicrotask(() => order.push(1));
  });
  assert.deepEqual(order, [1, 2, 3]);
});
