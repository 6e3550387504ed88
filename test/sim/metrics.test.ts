/** A day of a rack with one fault in it: everything that the daemon below the API can count has been counted, and reads as Prometheus wants it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prometheusMeter } from '../../src/world/meter.ts';
import { counters, durations } from '../../src/world/metrics.ts';
import { readExposition } from '../world/exposition.ts';
import { SimRack } from './rack.ts';
import { available, claim, failed, hostOf, provisioned, reach, state } from './stage.ts';
import { poison } from './scheduler.ts';

poison();
const meter = prometheusMeter();
test('claimed, failed, healed, provisioned, released: no counter below the API is still absent', async () => {
  const rack = await SimRack.make({ seed: 1, calm: true });
  try {
    rack.meter = meter;
    rack.start();
    await reach(rack, 'served', () => rack.daemon !== undefined);
    await available(rack);
    rack.metal('h1').faults.corruptChunks = true;
    await claim(rack);
    await reach(rack, 'failed', failed(rack));
    rack.metal('h1').faults.corruptChunks = false;
    rack.retry('h1');
    await provisioned(rack);
    rack.release('c1');
    await reach(rack, 'available', state(rack, 'h1', 'available'));

    const families = readExposition(await meter.text([]));
    const samples = (name: string) => families.get(`remuda_${name}`)?.samples ?? [];
    // The simulated rack is asked without the API, and knows no Kubernetes.
    const isElsewhere = (name: string): boolean => name.startsWith('api_') || name.startsWith('kube_');
    const absent = [
      ...Object.keys(counters).filter((name) => !samples(`${name}_total`).some(({ value }) => value > 0)),
      ...Object.keys(durations).filter((name) => !samples(name).some(({ name: part, value }) => part.endsWith('_count') && value > 0)),
    ];
    assert.deepEqual(
      absent.filter((name) => !isElsewhere(name)),
      [],
    );
    const total = (name: string, labels: Readonly<Record<string, string>>): number =>
      samples(name)
        .filter((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value))
        .reduce((sum, { value }) => sum + value, 0);
    const { boot, facts } = hostOf(rack);
    assert.equal(
      total('boots_total', {}) + (boot?.closedAt === undefined ? 1 : 0),
      facts.bootCount,
      'each boot is counted once, when it ends',
    );
    assert.ok(total('boots_total', { outcome: 'served' }) >= 1);
    assert.equal(total('host_failures_total', { code: 'chunk-corrupt' }), 1);
    assert.equal(total('host_transitions_total', { to: 'provisioned' }), 1);
    assert.equal(samples('provision_seconds').find(({ name }) => name.endsWith('_count'))?.value, 1);
    assert.ok(total('image_bytes_total', {}) > 0);
  } finally {
    rack.dispose();
  }
});
