/** Random days in bad weather: 300 seeds, each twice with equal traces; together they must have seen every kind of weather. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimRack } from './rack.ts';
import { day } from './scenarios.ts';
import { poison } from './scheduler.ts';

poison();
const seeds = Number(process.env['SIM_SEEDS'] ?? 300);
const only = process.env['SIM_SEED'];

const run = async (seed: number): Promise<SimRack> => {
  const rack = await SimRack.make({ seed });
  try {
    await day(rack);
  } catch (error) {
    throw new Error(`seed ${seed} (npm run sim -- --seed ${seed}): ${String(error)}`, { cause: error });
  } finally {
    rack.dispose();
  }
  return rack;
};

test(`${only === undefined ? seeds : 1} random days, each twice: the same trace, every invariant, everything at rest at the end`, async () => {
  const seen = new Map<string, number>();
  const first = only === undefined ? 1 : Number(only);
  const last = only === undefined ? seeds : Number(only);
  for (let seed = first; seed <= last; seed++) {
    const once = await run(seed);
    const twice = await run(seed);
    assert.equal(once.scheduler.fingerprint, twice.scheduler.fingerprint, `seed ${seed} is not deterministic`);
    for (const [place, count] of once.scheduler.seen) seen.set(place, (seen.get(place) ?? 0) + count);
  }
  console.log(Object.fromEntries(seen));
  if (last - first < 50) return;
  for (const place of [
    'a datagram is lost',
    'a call is lost',
    'an answer is lost',
    'the daemon crashes',
    'a BMC is silent',
    'an agent dies half-way',
    'somebody presses the power button',
    'a provisioned host is changed',
    'a host is changed while it is provisioned',
    'a day ends provisioned',
  ])
    assert.ok(seen.has(place), `never reached: ${place}`);
});
