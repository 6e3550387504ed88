/** What is counted of hosts, drivers and writes, and that counting changes nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BmcDriver } from '../src/bmc/driver.ts';
import { RemudaError } from '../src/errors.ts';
import type { Host } from '../src/host/host.ts';
import { HostMeter, WriteWatch, meteredActivation, meteredDriver, meteredRoutes } from '../src/metering.ts';
import { prometheusMeter } from '../src/world/meter.ts';
import type { Labels } from '../src/world/metrics.ts';
import type { HttpRequest, Meter } from '../src/world/world.ts';
import { bareHost, claimOn, readyHost } from './api/admin-rack.ts';
import { fakeWorld } from './world/fake.ts';

class Book implements Meter {
  readonly lines: string[] = [];
  count(name: string, labels: Labels = {}, by = 1): void {
    this.lines.push([name, ...Object.values(labels), by].join(' '));
  }
  took(name: string, seconds: number, labels: Labels = {}): void {
    this.lines.push([name, ...Object.values(labels), `${seconds}s`].join(' '));
  }
}

describe('hosts', () => {
  test('a claim that becomes an installed host is timed from the claim, each state by its own time', async () => {
    const [book, world] = [new Book(), fakeWorld()];
    const hosts = new HostMeter(world.clock, book);
    const claimed = claimOn(readyHost('h1'), { createdAt: world.clock.now() + 5_000 });
    hosts.note(readyHost('h1'));
    await world.advance(5_000);
    hosts.note(claimed);
    await world.advance(60_000);
    hosts.note({ ...claimed, state: 'provisioned' });
    hosts.note({ ...claimed, state: 'provisioned' });
    assert.deepEqual(book.lines, [
      'host_transitions available provisioning 1',
      'state_seconds available 5s',
      'host_transitions provisioning provisioned 1',
      'state_seconds provisioning 60s',
      'provision_seconds 60s',
    ]);
  });
  test('a failure is counted once, and what was there at the start is no news', () => {
    const [book, world] = [new Book(), fakeWorld()];
    const hosts = new HostMeter(world.clock, book);
    const failed = { ...bareHost('h1'), failed: { step: 'boot', code: 'timed-out', reason: 'r', at: 7, tries: 3 } };
    hosts.note(failed);
    hosts.note(failed);
    hosts.note({ ...failed, failed: null });
    hosts.note({ ...failed, failed: { ...failed.failed, at: 8 } });
    assert.deepEqual(book.lines, ['host_failures timed-out 1']);
  });
});

describe('boots are counted when they end', () => {
  const at = 1000;
  const open: Host = { ...readyHost('h1'), boot: { number: 3, generation: 1, openedAt: at } };
  const boot = { number: 3, generation: 1, openedAt: at };
  const redeemed = { publicKey: 'k', at };
  const failed = { step: 'boot', code: 'timed-out', reason: 'r', at, tries: 3 };
  const ends: readonly (readonly [string, Partial<Host>, string | undefined])[] = [
    ['not over', { boot: { ...boot, redeemed } }, undefined],
    ['the agent came and went', { boot: { ...boot, redeemed, closedAt: at } }, 'served'],
    ['nobody needed it any more', { boot: { ...boot, closedAt: at } }, 'given_up'],
    ['it came to nothing', { boot: { ...boot, closedAt: at }, bootTries: 1 }, 'failed'],
    ['the owner waited no longer', { boot: { ...boot, redeemed, closedAt: at }, failed }, 'failed'],
    ['two machines came', { boot: { ...boot, redeemed, contestedAt: at, closedAt: at } }, 'contested'],
    ['the next one took its place', { boot: { ...boot, number: 4 } }, 'given_up'],
  ];
  for (const [name, part, outcome] of ends)
    test(name, () => {
      const [book, world] = [new Book(), fakeWorld()];
      const hosts = new HostMeter(world.clock, book);
      hosts.note(open);
      hosts.note({ ...open, ...part });
      hosts.note({ ...open, ...part });
      const counted = book.lines.filter((line) => line.startsWith('boots '));
      assert.deepEqual(counted, outcome === undefined ? [] : [`boots ${outcome} 1`]);
    });
});

test('the next change after a full disk tells whether there is room again; a refusal says nothing about the disk', async () => {
  const watch = new WriteWatch(fakeWorld().clock, new Book());
  assert.equal(await watch.around(Promise.resolve(7)), 7);
  await assert.rejects(watch.around(Promise.reject(new RemudaError('version-conflict', 'changed'))));
  assert.equal(watch.failure, undefined);
  await assert.rejects(watch.around(Promise.reject(new RemudaError('disk-full', 'no room'))));
  assert.equal(watch.failure, 'no room');
  await watch.around(Promise.resolve());
  assert.equal(watch.failure, undefined);
});

test('commands to a BMC are counted by what became of them', async () => {
  const book = new Book();
  const answers = [true, false];
  const driver = {
    setPower: async (asked) => ({ asked, observed: 'on', settled: answers.shift() ?? true }),
    bootOnceFromNetwork: async () => {
      throw new RemudaError('bmc-refused', 'no');
    },
  } satisfies Partial<BmcDriver> as unknown as BmcDriver;
  const metered = meteredDriver(driver, book);
  await metered.setPower('on');
  await metered.setPower('on');
  await assert.rejects(metered.bootOnceFromNetwork('uefi'), { code: 'bmc-refused' });
  assert.deepEqual(book.lines, ['power_commands on settled 1', 'power_commands on unsettled 1', 'power_commands boot-once bmc-refused 1']);
});

test('an activation is timed by the step that it took', async () => {
  const [book, world] = [new Book(), fakeWorld()];
  await meteredActivation(world.clock, book, async () => ({ result: 'done', step: 'power-on' }));
  await meteredActivation(world.clock, book, async () => ({ result: 'wait', until: 0, why: 'nothing to do' }));
  assert.deepEqual(book.lines, [
    'control_runs done 1',
    'control_step_seconds power-on 0s',
    'control_runs wait 1',
    'control_step_seconds wait 0s',
  ]);
});

test('boot routes are counted by their pattern, never by the ticket that was in the path', async () => {
  const book = new Book();
  const request: HttpRequest = {
    method: 'GET',
    path: '/boot/secret-ticket',
    params: { ticket: 'secret-ticket' },
    query: new URLSearchParams(),
    headers: {},
    body: new Uint8Array(),
    peer: undefined,
    signal: new AbortController().signal,
  };
  const [boot, chunk] = meteredRoutes(
    [
      {
        method: 'GET',
        path: '/boot/:ticket',
        handle: async () => {
          throw new RemudaError('ticket-expired', 'too late');
        },
      },
      { method: 'GET', path: '/chunks/:sha256', handle: async () => ({ status: 200, body: { file: '/c', offset: 0, length: 4096 } }) },
    ],
    book,
  );
  await assert.rejects(async () => boot?.handle(request), { code: 'ticket-expired' });
  await chunk?.handle(request);
  assert.deepEqual(book.lines, [
    'boot_requests /boot/:ticket ticket-expired 1',
    'boot_tickets ticket-expired 1',
    'boot_requests /chunks/:sha256 200 1',
    'image_bytes 4096',
  ]);
});

test('Prometheus reads counters, histograms, the gauges of this moment and the process itself', async () => {
  const meter = prometheusMeter();
  meter.count('image_bytes', {}, 10);
  meter.count('image_bytes', {}, 5);
  meter.took('provision_seconds', 42);
  await meter.text([{ name: 'hosts', labels: { state: 'available' }, value: 3 }]);
  const text = await meter.text([{ name: 'hosts', labels: { state: 'cleaning' }, value: 1 }]);
  assert.match(text, /^remuda_image_bytes_total 15$/m);
  assert.match(text, /^remuda_provision_seconds_bucket\{le="60"\} 1$/m);
  assert.match(text, /^remuda_hosts\{state="cleaning"\} 1$/m);
  assert.doesNotMatch(text, /state="available"/, 'what is no more is not shown');
  assert.match(text, /^process_cpu_seconds_total \d/m);
});
