/** A controller that is killed between any two writes: the next one, with an empty cache, ends what it began, and nothing is done twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tools } from '../../../src/kube/controller.ts';
import type { Key } from '../../../src/kube/objects.ts';
import { writerOf } from '../../../src/kube/runtime/writer.ts';
import { writing } from '../fake-api.ts';
import type { FakeApi, Fault } from '../fake-api.ts';
import { benchOf, toy, toyObject } from './bench.ts';

const finalizer = 'toy.test.io/hold';
/** As a machine is: hold it, name the claim, make the thing, show it; and all of that back. `things` is the outside. */
const maker =
  (things: Map<string, string>) =>
  async (tools: Tools, key: Key): Promise<object> => {
    const object = tools.cache.get(toy, key);
    if (object === undefined) return {};
    const writer = writerOf(tools);
    const { uid = '', finalizers = [], deletionTimestamp } = object.metadata;
    const { claim } = (object.spec ?? {}) as { readonly claim?: string };
    if (deletionTimestamp !== undefined) {
      if (claim !== undefined) things.delete(claim);
      await writer.removeFinalizer(toy, object, finalizer);
      return {};
    }
    if (!finalizers.includes(finalizer)) return (void (await writer.addFinalizer(toy, object, finalizer)), { requeueAfterMs: 10 });
    if (claim === undefined) return (void (await writer.merge(toy, object, { spec: { claim: `claim-${uid}` } })), { requeueAfterMs: 10 });
    if (!things.has(claim)) things.set(claim, key);
    await writer.setStatus(toy, object, { ready: true });
    return {};
  };

/** Fails everything from the `count`-th write on, that one included: after it was done, or before. */
const killAt = (api: FakeApi, count: number, how: 'before' | 'after'): (() => boolean) => {
  let writes = 0;
  let isDead = false;
  const error = new Error('the process was killed');
  api.fault = ({ verb }): Fault | undefined => {
    // The toy deletes nothing: that is the user.
    if (verb === 'delete') return undefined;
    if (isDead) return { fail: error };
    if (!writing.includes(verb) || ++writes < count) return undefined;
    isDead = true;
    return how === 'before' ? { fail: error } : { failAfter: error };
  };
  return () => isDead;
};

for (const how of ['before', 'after'] as const)
  test(`killed ${how} any of its writes, it is the same in the end`, async () => {
    let died = 0;
    for (let count = 1; count <= 6; count++) {
      const things = new Map<string, string>();
      const bench = benchOf(maker(things));
      const { uid = '' } = bench.api.seed(toy, toyObject('a')).metadata;
      const life = async (then: () => Promise<void>): Promise<void> => {
        const isDead = killAt(bench.api, count, how);
        const first = bench.start();
        await then();
        await bench.world.advance(3_000);
        await first.stop();
        if (isDead()) died++;
        bench.api.fault = () => undefined;
        const second = bench.start();
        await bench.world.advance(5_000);
        await second.stop();
      };
      await life(() => Promise.resolve());
      assert.deepEqual([...things], [[`claim-${uid}`, 'ns/a']], `killed at write ${count}`);
      assert.deepEqual(bench.api.peek(toy, 'ns/a')?.status, { ready: true });
      await life(() => bench.api.delete(toy, 'ns/a'));
      assert.deepEqual([things.size, bench.api.peek(toy, 'ns/a')], [0, undefined], `deleted, and killed at write ${count}`);
    }
    assert.ok(died >= 4, `it was killed ${died} times`);
  });

test('a life undisturbed costs the writes that it needs, and none more', async () => {
  const bench = benchOf(maker(new Map()));
  bench.api.seed(toy, toyObject('a'));
  const started = bench.start();
  await bench.world.advance(30 * 60_000);
  assert.equal(bench.api.writes, 3);
  await bench.api.delete(toy, 'ns/a');
  await bench.world.advance(30 * 60_000);
  assert.equal(bench.api.writes, 5);
  assert.equal(bench.api.peek(toy, 'ns/a'), undefined);
  await started.stop();
});

test('the writer: what is there is not written; a status of another version is refused; apply takes back', async () => {
  const bench = benchOf();
  const { api } = bench;
  const noted: string[] = [];
  const cache = {
    get: () => undefined,
    list: () => [],
    by: () => [],
    note: (_kind: unknown, object: { readonly metadata: { readonly name: string } }) => void noted.push(object.metadata.name),
  };
  const writer = writerOf({ api, cache });
  const object = api.seed(toy, { ...toyObject('a', { x: 1 }, { finalizers: [finalizer] }), status: { ready: true, old: 1 } });
  assert.equal(await writer.addFinalizer(toy, object, finalizer), object);
  assert.equal(await writer.removeFinalizer(toy, object, 'other/one'), object);
  assert.equal(await writer.setStatus(toy, object, { ready: true, old: 1 }), object);
  assert.equal(await writer.merge(toy, object, { spec: { x: 1 } }), object);
  assert.deepEqual([api.writes, noted], [0, []]);
  const shown = await writer.setStatus(toy, object, { ready: false });
  assert.deepEqual([shown.status, noted], [{ ready: false }, ['a']]);
  const condition = { type: 'Ready', status: 'True', reason: 'X', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
  await assert.rejects(writer.setStatus(toy, object, { conditions: [condition] }), /modified/);
  await assert.rejects(writer.removeFinalizer(toy, object, finalizer), /modified/);
  await writer.apply(toy, toyObject('b', { x: 1, y: 2 }));
  assert.deepEqual((await writer.apply(toy, toyObject('b', { x: 1 }))).spec, { x: 1 });
});

test('the writer: a finalizer of an object that is gone is no more to be dropped', async () => {
  const bench = benchOf();
  const { api } = bench;
  const writer = writerOf({ api, cache: { get: () => undefined, list: () => [], by: () => [], note: () => {} } });
  const object = api.seed(toy, toyObject('a', {}, { finalizers: [finalizer, 'other/one'] }));
  api.purge(toy, 'ns/a');
  assert.deepEqual((await writer.removeFinalizer(toy, object, finalizer)).metadata.finalizers, ['other/one']);
  assert.equal(api.peek(toy, 'ns/a'), undefined);
  await assert.rejects(writer.merge(toy, object, { spec: { x: 2 } }), { code: 'not-found' });
});
