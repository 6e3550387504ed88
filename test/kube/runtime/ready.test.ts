/** What the runtime says of itself: it works, it waits behind another whom it names, or it does not hear the API server and says why. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { apiVersionOf, kinds } from '../../../src/kube/objects.ts';
import { limits } from '../../../src/limits.ts';
import { cutConnection, serverError } from '../fake-api.ts';
import { benchOf } from './bench.ts';
import type { Bench } from './bench.ts';

const identity = { namespace: 'ns', holder: 'second' };
const heldBy = (bench: Bench, holder: string): void => {
  bench.api.seed(kinds.lease, {
    apiVersion: apiVersionOf(kinds.lease),
    kind: 'Lease',
    metadata: { name: 'remuda', namespace: 'ns' },
    spec: { holderIdentity: holder, leaseDurationSeconds: 3_600 },
  });
};
const told = ({ world }: Bench, message: RegExp): number => world.logged.filter((line) => message.test(line.message)).length;

describe('with a lease', () => {
  test('an API server that is not reached is told, and is no other controller', async () => {
    const bench = benchOf();
    bench.api.fault = () => ({ fail: cutConnection() });
    const started = bench.start({ identity });
    const first = started.ready();
    assert.ok(!first.ready && first.isInLine === undefined);
    assert.match(first.why, /ns\/remuda was asked for/);
    await bench.world.advance(10_000);
    const then = started.ready();
    assert.ok(!then.ready && then.isInLine === undefined);
    assert.match(then.why, /^the lease ns\/remuda could not be read or taken: .+/);
    assert.doesNotMatch(then.why, /another/);
    bench.api.fault = () => undefined;
    await bench.world.advance(10_000);
    assert.deepEqual(started.ready(), { ready: true });
    await started.stop();
  });

  test('who waits behind another names it; one lost call changes nothing, a server that stays away does', async () => {
    const bench = benchOf();
    heldBy(bench, 'first');
    const started = bench.start({ identity });
    await bench.world.advance(5_000);
    const inLine = {
      ready: false,
      isInLine: true,
      why: 'another controller, first, holds the lease ns/remuda; this one waits in line',
    };
    assert.deepEqual(started.ready(), inLine);
    bench.api.fault = () => ({ fail: serverError() });
    await bench.world.advance(limits.kubeLeaseRenewMs * 1.3);
    assert.deepEqual(started.ready(), inLine);
    await bench.world.advance(limits.kubeLeaseMs);
    const away = started.ready();
    assert.ok(!away.ready && away.isInLine === undefined);
    bench.api.fault = () => undefined;
    await bench.world.advance(limits.kubeLeaseRenewMs * 1.3);
    assert.deepEqual(started.ready(), inLine);
    assert.equal(told(bench, /another controller holds the lease/), 1);
    await started.stop();
  });

  test('the log hears of a server that stays away once a minute, and at once of another reason', async () => {
    const bench = benchOf();
    bench.api.fault = () => ({ fail: cutConnection() });
    const started = bench.start({ identity });
    const failures = (): number => told(bench, /could not be renewed or taken/);
    await bench.world.advance(50_000);
    assert.equal(failures(), 1);
    await bench.world.advance(20_000);
    assert.equal(failures(), 2);
    bench.api.fault = () => ({ fail: serverError() });
    await bench.world.advance(limits.kubeLeaseRenewMs * 1.3);
    assert.equal(failures(), 3);
    await started.stop();
  });
});

describe('without a lease', () => {
  test('the first list that does not come says why', async () => {
    const bench = benchOf();
    bench.api.fault = () => ({ fail: serverError() });
    const started = bench.start();
    await bench.world.advance(1_000);
    const silent = started.ready();
    assert.match(silent.ready ? '' : silent.why, /^the API server was not heard yet on baremetalmachines\.[^:]+: .+/);
    await started.stop();
  });

  test('a server that goes away is told after half a minute, not at one cut, and is forgotten when it comes back', async () => {
    const bench = benchOf();
    const started = bench.start();
    await bench.world.advance(1_000);
    assert.equal(told(bench, /reconcilers are at work/), 1);
    bench.api.cutWatches(cutConnection());
    await bench.world.advance(5_000);
    assert.deepEqual(started.ready(), { ready: true });
    await bench.world.advance(120_000);
    bench.api.fault = () => ({ fail: cutConnection() });
    bench.api.cutWatches(cutConnection());
    await bench.world.advance(20_000);
    assert.deepEqual(started.ready(), { ready: true });
    await bench.world.advance(20_000);
    const away = started.ready();
    assert.match(away.ready ? '' : away.why, /^the API server is not heard any more: .+/);
    bench.api.fault = () => undefined;
    await bench.world.advance(limits.kubeBackoffMostMs + 20_000);
    assert.deepEqual(started.ready(), { ready: true });
    await started.stop();
  });
});
