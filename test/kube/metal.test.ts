/** The rack as the provider sees it, in process and over the API, under one suite; and both at once over one rack. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { misfitsJson } from '../../src/api/types.ts';
import { RemudaError } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import { localMetal } from '../../src/kube/local-metal.ts';
import type { Metal } from '../../src/kube/metal.ts';
import type { Http, HttpAnswer } from '../../src/world/world.ts';
import { leasesOf, metalSuite, refusalOf, wish } from '../compliance/metal.ts';
import type { MetalBench } from '../compliance/metal.ts';
import { benchWith, hostNumber } from '../control/bench.ts';
import { alpha, clockWith, daemonOver } from './daemon-over.ts';
import { MemoryHttp, ipv4 } from '../world/memory-http.ts';

const localOver = ({ rack }: Pick<MetalBench, 'rack'>, hosts: readonly Host[]): Metal =>
  localMetal({ rack, images: async () => [alpha], leases: () => leasesOf(hosts), clock: clockWith([]), by: 'controller' });
const local = async (hosts: readonly Host[]): Promise<MetalBench> => {
  const bench = await benchWith(hosts);
  return { ...bench, metal: localOver(bench, hosts), end: () => {} };
};
/** Its routes at an address in memory. */
const remoteOver = async (
  bench: Omit<MetalBench, 'metal' | 'end'>,
  tune: (http: Http) => Pick<Http, 'call' | 'stream'> = (http) => http,
) => {
  const daemon = await daemonOver(bench);
  const http = new MemoryHttp({ clock: clockWith([]) }).at(ipv4('127.0.0.1'));
  await http.listen({ at: { address: ipv4('127.0.0.1'), port: 7470 }, routes: daemon.routes });
  return daemon.metalAt(tune(http), { url: 'http://127.0.0.1:7470/' });
};
const remote = async (hosts: readonly Host[]): Promise<MetalBench> => {
  const bench = await benchWith(hosts);
  return { ...bench, ...(await remoteOver(bench)) };
};
metalSuite('in process', local);
metalSuite('over the API', remote);

test('a hundred claims of two controllers for sixty hosts: each host once, sixty succeed, the rest are told why', async () => {
  const bench = await benchWith(Array.from({ length: 60 }, (_, index) => hostNumber(index)));
  const far = await remoteOver(bench);
  const metals: readonly Metal[] = [localOver(bench, []), far.metal];
  const queue = Array.from({ length: 100 }, (_, index) => `c${index}`);
  const won = new Map<string, string>();
  const lost: unknown[] = [];
  const worker = async (metal: Metal): Promise<void> => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift())
      try {
        won.set(id, (await metal.claim(wish(id))).host.name);
      } catch (error) {
        lost.push(error);
      }
  };
  await Promise.all(Array.from({ length: 16 }, (_, index) => worker(metals[index % 2] ?? assert.fail())));
  // Both ask for each claim again: nobody gets a second host.
  for (const [id, host] of won) for (const metal of metals) assert.equal((await metal.claim(wish(id))).host.name, host);
  far.end();
  assert.deepEqual([won.size, new Set(won.values()).size, lost.length], [60, 60, 40]);
  for (const error of lost) {
    assert.ok(error instanceof RemudaError && error.code === 'no-host-fits', String(error));
    const { lookedAt, classes } = misfitsJson.parse(error.values);
    assert.deepEqual([lookedAt, classes.map(({ class: name, count }) => [name, count])], [60, [['claimed', 60]]]);
  }
  assert.equal((await bench.store.claims()).filter(({ releasedAt }) => releasedAt === null).length, 60);
});

const answer = (status: number, headers: Readonly<Record<string, string>> = {}): HttpAnswer => ({
  status,
  headers,
  body: new TextEncoder().encode(JSON.stringify({ status, code: status === 429 ? 'rate-limited' : 'internal', detail: 'not now' })),
});
/** The first answers are these (`lost`: it was done, but its answer never came), then the daemon's own. */
const badly = (...first: readonly (HttpAnswer | 'lost')[]) => {
  const left = [...first];
  const calls: string[] = [];
  return {
    calls,
    tune: (http: Http): Pick<Http, 'call' | 'stream'> => ({
      stream: (call) => http.stream(call),
      call: async (call) => {
        calls.push(`${call.method} ${new URL(call.url).pathname}`);
        const next = left.shift();
        if (next === undefined) return http.call(call);
        if (next !== 'lost') return next;
        await http.call(call);
        throw new RemudaError('bmc-unreachable', 'the connection was cut');
      },
    }),
  };
};
test('a claim whose answer got lost is asked for again and holds one host', async () => {
  const bench = await benchWith([hostNumber(0), hostNumber(1)]);
  const weather = badly('lost', answer(503), answer(429, { 'retry-after': '7' }));
  const { metal, slept } = await remoteOver(bench, weather.tune);
  const { host } = await metal.claim(wish('c1'));
  assert.equal(host.claim?.id, 'c1');
  assert.equal((await bench.store.claims()).length, 1);
  assert.deepEqual(slept, [500, 1_000, 7_000]);
});
test('a reprovision whose answer got lost is not asked for again: it would be the next generation', async () => {
  const bench = await benchWith([hostNumber(0)]);
  const weather = badly();
  const { metal } = await remoteOver(bench, weather.tune);
  await metal.claim(wish('c1'));
  const cut = badly('lost');
  const far = await remoteOver(bench, cut.tune);
  assert.match(JSON.stringify(await refusalOf(far.metal.reprovision('c1', { image: 'alpha' }))), /rack-unreachable.*was not reached/);
  assert.equal((await metal.host('h000')).claim?.generation, 2);
  assert.equal(cut.calls.length, 1);
  // What was not done is.
  const busy = badly(answer(429));
  assert.equal((await (await remoteOver(bench, busy.tune)).metal.reprovision('c1', { image: 'alpha' })).claim?.generation, 3);
  const away = badly(answer(503));
  assert.match(
    JSON.stringify(await refusalOf((await remoteOver(bench, away.tune)).metal.reprovision('c1', { image: 'alpha' }))),
    /not now/,
  );
});
test('a daemon that stays away, or is none, is said to be unreachable', async () => {
  const bench = await benchWith([hostNumber(0)]);
  const away = badly('lost', 'lost', 'lost', 'lost');
  const far = await remoteOver(bench, away.tune);
  assert.match(JSON.stringify(await refusalOf(far.metal.hosts())), /rack-unreachable.*127\.0\.0\.1:7470/);
  assert.equal(away.calls.length, 4);
  const strange = badly(
    { status: 200, headers: {}, body: new TextEncoder().encode('<html>') },
    { status: 200, headers: {}, body: new TextEncoder().encode('{"items":[{}]}') },
  );
  const { metal } = await remoteOver(bench, strange.tune);
  assert.match(JSON.stringify(await refusalOf(metal.hosts())), /no JSON/);
  assert.match(JSON.stringify(await refusalOf(metal.hosts())), /items\.0\.id/);
});
test('a stream that breaks is begun again, and whoever waits is woken', async () => {
  const bench = await benchWith([hostNumber(0)]);
  const opened: string[] = [];
  const { metal, slept, end } = await remoteOver(bench, (http) => ({
    call: (call) => http.call(call),
    stream: (call) => {
      opened.push(call.url);
      if (opened.length < 3) throw new RemudaError('bmc-unreachable', 'cut');
      return http.stream(call);
    },
  }));
  const { signal } = new AbortController();
  while (opened.length < 3) await metal.changed(60_000, signal);
  assert.deepEqual(slept.slice(0, 2), [500, 1_000]);
  const changed = metal.changed(60_000, signal);
  await bench.keeper.apply('h000', { type: 'hold', by: 'eve', why: 'x' });
  await changed;
  end();
  await metal.changed(60_000, signal);
});
