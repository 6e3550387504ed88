/** Random days in bad weather: 300 seeds, the first of them twice with equal traces; together they must have seen every kind of weather. */
import { test } from 'node:test';
import { runSim } from './run-sim.ts';

const seeds = process.env['SIM_SEEDS'] ?? '300';
test(`${seeds} random days: every invariant, everything at rest at the end`, async () => {
  await runSim('--seeds', seeds, '--runs', '1');
});
test('60 random days, each twice: the same trace', async () => {
  await runSim('--seeds', '60', '--runs', '2');
});
