/** The life of two servers in a calm world, and with a crash of the daemon at every single event of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimRack } from './rack.ts';
import { runSim } from './run-sim.ts';
import { life } from './scenarios.ts';
import { poison } from './scheduler.ts';

poison();
test('enrol, provision, reprovision, release: every step once, the disks clean at the end', async () => {
  const rack = await SimRack.make({ seed: 1, calm: true });
  const first = rack.scheduler.count;
  await life(rack);
  assert.deepEqual(
    rack.metals.map((metal) => metal.booted.length),
    [2, 2],
  );
  assert.deepEqual(
    rack.metals.map((metal) => metal.installsStarted),
    [2, 2],
  );
  assert.ok(rack.scheduler.count - first > 200, 'a life has many events');
  rack.dispose();
});

test('a crash at any event of the life: it converges to the same end', async () => {
  await runSim('--crashes', '--stride', process.env['SIM_STRIDE'] ?? '1');
});
test('SIGTERM in the middle of the life: the daemon ends in time, and the next one goes on', async () => {
  await runSim('--stops', '--stride', String(Number(process.env['SIM_STRIDE'] ?? '1') * 7));
});
