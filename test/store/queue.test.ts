/** One job at a time, in order, whatever the jobs do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Queue } from '../../src/store/queue.ts';

test('jobs never overlap, keep their order, and a failed one stops no other', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ steps: fc.nat(8), fails: fc.boolean() }), { maxLength: 20 }), async (jobs) => {
      const queue = new Queue();
      const started: number[] = [];
      let running = 0;
      const outcomes = await Promise.allSettled(
        jobs.map(({ steps, fails }, index) =>
          queue.run(async () => {
            assert.equal((running += 1), 1);
            started.push(index);
            for (let step = 0; step < steps; step += 1) await Promise.resolve();
            running -= 1;
            if (fails) throw new Error(`job ${index}`);
            return index;
          }),
        ),
      );
      assert.deepEqual(started, [...jobs.keys()]);
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason))),
        jobs.map(({ fails }, index) => (fails ? `Error: job ${index}` : index)),
      );
    }),
  );
});
