/** The life of two servers in a calm world, and with a crash of the daemon at every single event of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimRack } from './rack.ts';
import { life } from './scenarios.ts';
import { poison } from './scheduler.ts';

poison();
const seed = 1;

const calm = async (): Promise<{ readonly events: number; readonly first: number }> => {
  const rack = await SimRack.make({ seed, calm: true });
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
  rack.dispose();
  return { events: rack.scheduler.count, first };
};

test('enrol, provision, reprovision, release: every step once, the disks clean at the end', async () => {
  const { events } = await calm();
  assert.ok(events > 200, 'a life has many events');
});

/**
 * Every step of the plan lies between two events, and every call between several: a crash at each event in turn is a crash before, between and
 * after every step. The life must come to the same end each time; an installation that was cut off may begin again, a disk is written by nobody else.
 */
const stride = Number(process.env['SIM_STRIDE'] ?? 1);
test('a crash at any event of the life: it converges to the same end', async () => {
  const { events, first } = await calm();
  let tried = 0;
  for (let at = first + 1; at <= events; at += stride) {
    const rack = await SimRack.make({ seed, calm: true });
    let crashed = false;
    rack.scheduler.always(() => {
      if (crashed || rack.scheduler.count < at) return;
      crashed = true;
      rack.crash();
    });
    await life(rack).catch((error: unknown) => {
      throw new Error(`crash at event ${at}`, { cause: error });
    });
    assert.equal(rack.crashes, 1);
    rack.dispose();
    tried++;
  }
  assert.ok(tried > 100);
});
