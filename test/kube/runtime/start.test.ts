/** The controller runtime as a whole, under faults: whatever the API server does, every object is looked at as it stands in the end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Key, KubeObject } from '../../../src/kube/objects.ts';
import { limits } from '../../../src/limits.ts';
import { conflict, cutConnection, serverError, tooMany } from '../fake-api.ts';
import type { Fault, Request } from '../fake-api.ts';
import { benchOf, toy, toyObject } from './bench.ts';
import type { Bench, Reconcile } from './bench.ts';

/** Copies `spec.wanted` to `status.done`: what it wrote last is what it saw. */
const copies: Reconcile = async ({ api, cache }, key) => {
  const object = cache.get(toy, key);
  const { wanted } = (object?.spec ?? {}) as { readonly wanted?: number };
  const { done } = (object?.status ?? {}) as { readonly done?: number };
  if (object === undefined || wanted === done) return {};
  const { uid = '', resourceVersion = '' } = object.metadata;
  const options = { fieldManager: 'toy', subresource: 'status', uid, resourceVersion } as const;
  cache.note(toy, await api.patch(toy, key, { status: { done: wanted } }, options));
  return {};
};
const done = ({ api }: Bench, key: Key): unknown => (api.peek(toy, key)?.status as { readonly done?: unknown } | undefined)?.done;
const want = async ({ api }: Bench, name: string, wanted: number): Promise<KubeObject> =>
  await api.patch(toy, `ns/${name}`, { spec: { wanted } }, { fieldManager: 'user' });
/** As many minutes as nothing but the next resync would save it. */
const soon = limits.kubeResyncMs / 2;

describe('the runtime', () => {
  test('looks at what is there, at what changes, and at what comes; it stops in good order', async () => {
    const bench = benchOf(copies);
    bench.api.seed(toy, toyObject('a', { wanted: 1 }));
    const started = bench.start();
    assert.deepEqual(started.ready(), {
      ready: false,
      why: 'the API server was not heard yet on baremetalmachines.infrastructure.cluster.x-k8s.io',
    });
    await bench.world.advance(1_000);
    assert.deepEqual(started.ready(), { ready: true });
    assert.equal(done(bench, 'ns/a'), 1);
    await want(bench, 'a', 2);
    bench.api.seed(toy, toyObject('b', { wanted: 7 }));
    await bench.world.advance(1_000);
    assert.deepEqual([done(bench, 'ns/a'), done(bench, 'ns/b')], [2, 7]);
    const { length } = bench.runs;
    await bench.world.advance(limits.kubeResyncMs * 1.2);
    assert.ok(bench.runs.length >= length + 2, 'the resync looks at all');
    await started.stop();
    assert.equal(bench.api.watching, 0);
    const requests = bench.api.requests.length;
    await bench.world.advance(limits.kubeResyncMs * 3);
    assert.equal(bench.api.requests.length, requests, 'nothing goes on after the end');
    assert.deepEqual(started.ready(), { ready: false, why: 'the controllers were stopped' });
  });

  test('three writes of one object cost three writes, and nothing without a change', async () => {
    const bench = benchOf(copies);
    bench.api.seed(toy, toyObject('a', { wanted: 1 }));
    const started = bench.start();
    await bench.world.advance(1_000);
    await bench.world.advance(limits.kubeResyncMs * 5);
    assert.equal(bench.api.writes, 1);
    await started.stop();
  });

  const once = (verb: Request['verb'], fault: Fault, times = 1) => {
    let left = times;
    return (request: Request): Fault | undefined => (request.verb === verb && left-- > 0 ? fault : undefined);
  };
  const cases: readonly { readonly name: string; readonly fault: (request: Request) => Fault | undefined }[] = [
    { name: 'the first list fails with 500', fault: once('list', { fail: serverError() }, 3) },
    { name: 'the first list is refused with 429', fault: once('list', { fail: tooMany(5_000) }) },
    { name: 'the connection is refused for a while', fault: once('list', { fail: cutConnection() }, 6) },
    { name: 'the watch cannot begin', fault: once('watch', { fail: serverError() }, 3) },
    { name: 'the watch is cut after no event', fault: once('watch', { cutAfter: 0 }, 4) },
    { name: 'the watch is cut after one event', fault: once('watch', { cutAfter: 1 }, 4) },
    { name: 'the watch goes silent', fault: once('watch', { silent: true }, 2) },
    { name: 'writes meet 409', fault: once('patch', { fail: conflict(toy, 'ns/a') }, 3) },
    { name: 'writes meet 500', fault: once('patch', { fail: serverError() }, 3) },
    { name: 'writes meet 429', fault: once('patch', { fail: tooMany(2_000) }, 2) },
    { name: 'writes are done, but the answer is lost', fault: once('patch', { failAfter: cutConnection() }, 2) },
    { name: 'every answer is late', fault: () => ({ delayMs: 700 }) },
  ];
  for (const { name, fault } of cases)
    test(`converges though ${name}`, async () => {
      const bench = benchOf(copies);
      bench.api.seed(toy, toyObject('a', { wanted: 1 }));
      const started = bench.start();
      let isUser = false;
      bench.api.fault = (request) => (isUser ? undefined : fault(request));
      await bench.world.advance(200);
      for (const wanted of [2, 3, 4]) {
        isUser = true;
        await want(bench, 'a', wanted);
        isUser = false;
        await bench.world.advance(3_000);
      }
      await bench.world.advance(soon);
      assert.equal(done(bench, 'ns/a'), 4);
      assert.deepEqual(started.ready(), { ready: true });
      await started.stop();
      assert.equal(bench.api.watching, 0);
    });

  test('410 in the watch and at its beginning: all is read anew, what was deleted meanwhile is known to be gone', async () => {
    const seen: (KubeObject | undefined)[] = [];
    const bench = benchOf(async ({ cache }, key) => {
      if (key === 'ns/b') seen.push(cache.get(toy, key));
      return {};
    });
    bench.api.seed(toy, toyObject('a'));
    bench.api.seed(toy, toyObject('b'));
    const started = bench.start();
    await bench.world.advance(1_000);
    let isCut = true;
    bench.api.fault = ({ verb }) => (verb === 'watch' && isCut ? { fail: cutConnection() } : undefined);
    bench.api.cutWatches(cutConnection());
    await bench.world.advance(1_000);
    bench.api.purge(toy, 'ns/b');
    bench.api.seed(toy, toyObject('c'));
    bench.api.compact();
    isCut = false;
    await bench.world.advance(soon);
    assert.equal(seen.at(-1), undefined);
    assert.equal(bench.runs.at(-1) === 'ns/c' || bench.runs.includes('ns/c'), true);
    assert.equal(bench.api.count('list'), 2);
    await started.stop();
  });

  test('a stale list does not take us back in time: nothing that was done is done again', async () => {
    const bench = benchOf(copies);
    bench.api.seed(toy, toyObject('a', { wanted: 1 }));
    const before = bench.api.resourceVersion;
    const started = bench.start();
    await bench.world.advance(1_000);
    await want(bench, 'a', 2);
    await bench.world.advance(1_000);
    assert.equal(bench.api.writes, 3, 'the status twice, and the user once');
    let stale = 2;
    bench.api.fault = ({ verb }) => (verb === 'list' && stale-- > 0 ? { staleAt: before } : undefined);
    bench.api.compact();
    bench.api.seed(toy, toyObject('x'));
    bench.api.cutWatches(new Error('cut'));
    bench.api.compact();
    await bench.world.advance(soon);
    assert.equal(done(bench, 'ns/a'), 2);
    assert.equal(bench.api.writes, 3);
    await started.stop();
  });

  test('a server that was set back to an earlier state is believed in the end', async () => {
    const bench = benchOf(copies);
    bench.api.seed(toy, toyObject('a', { wanted: 1 }));
    const before = bench.api.resourceVersion;
    const seen = (): readonly string[] => bench.world.logged.filter(({ level }) => level === 'warn').map(({ message }) => message);
    const started = bench.start();
    await bench.world.advance(1_000);
    bench.api.seed(toy, toyObject('x'));
    bench.api.compact();
    bench.api.fault = ({ verb }) => (verb === 'list' ? { staleAt: before } : undefined);
    bench.api.cutWatches(new Error('cut'));
    await bench.world.advance(soon);
    assert.ok(seen().includes('the API server was set back to an earlier version; all is read anew'), seen().join('\n'));
    await started.stop();
  });

  test('a reconciler that throws is tried again, ever later; one that never ends is told to', async () => {
    const at: number[] = [];
    let late = false;
    const bench = benchOf(async ({ world }, key, signal) => {
      if (key === 'ns/hangs') {
        await world.clock.sleep(10 * limits.reconcileMs, signal).catch(() => {
          late = true;
        });
        return {};
      }
      at.push(world.clock.now());
      throw new Error('no');
    });
    bench.api.seed(toy, toyObject('a'));
    bench.api.seed(toy, toyObject('hangs'));
    const started = bench.start();
    await bench.world.advance(limits.reconcileMs + 1_000);
    const pauses = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    assert.ok(pauses.length >= 4 && pauses.length < 12, String(pauses));
    assert.ok((pauses.at(-1) ?? 0) > 4 * (pauses[0] ?? 0), String(pauses));
    assert.equal(late, true);
    await started.stop();
  });

  test('requeueAfter, wake, and objects of others: the namespace and the watch filter', async () => {
    const bench = benchOf(async (_tools, key) => (key === 'ns/a' ? { requeueAfterMs: 7_000 } : {}));
    const mine = { labels: { 'cluster.x-k8s.io/watch-filter': 'blue' } };
    bench.api.seed(toy, toyObject('a', {}, mine));
    bench.api.seed(toy, toyObject('b', {}, { labels: { 'cluster.x-k8s.io/watch-filter': 'red' } }));
    bench.api.seed(toy, toyObject('c', {}));
    bench.api.seed(toy, toyObject('d', {}, { ...mine, namespace: 'other' }));
    const started = bench.start({ settings: { namespace: 'ns', watchFilter: 'blue', pools: {}, reuseSeconds: 0 } });
    await bench.world.advance(1_000);
    assert.deepEqual(bench.runs, ['ns/a']);
    await bench.world.advance(7_000);
    assert.deepEqual(bench.runs, ['ns/a', 'ns/a']);
    await started.stop();
  });

  test('a loop beside the reconcilers begins anew when it fails, and ends with them', async () => {
    const bench = benchOf();
    let begun = 0;
    let ended = 0;
    const loop = {
      name: 'listener',
      run: async ({ world }: Parameters<Reconcile>[0], signal: AbortSignal) => {
        begun++;
        if (begun < 3) throw new Error('no');
        await world.clock.sleep(1e9, signal).catch(() => undefined);
        ended++;
      },
    };
    const started = bench.start({ loops: [loop] });
    await bench.world.advance(30_000);
    assert.deepEqual([begun, ended], [3, 0]);
    await started.stop();
    assert.equal(ended, 1);
  });
});
