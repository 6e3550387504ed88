/** Turns: work is served in order, one at a time, whatever became of the work before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turns } from '../../src/bmc/turns.ts';

test('work does not overlap, keeps its order, and outlives failures', async () => {
  const turn = turns();
  const seen: string[] = [];
  const work = (name: string, fails: boolean) => async (): Promise<string> => {
    seen.push(`${name} starts`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    if (fails) throw new Error(name);
    return name;
  };
  const results = await Promise.allSettled([turn(work('a', true)), turn(work('b', false)), turn(work('c', false))]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  );
  assert.deepEqual(seen, ['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
});

test('work whose signal ended while it waited is not started', async () => {
  const turn = turns();
  const aborter = new AbortController();
  const first = turn(async () => aborter.abort(new Error('enough')));
  let started = false;
  const second = turn(async () => {
    started = true;
  }, aborter.signal);
  await first;
  await assert.rejects(second, /enough/);
  assert.equal(started, false);
});
