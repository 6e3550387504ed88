/** The API server in memory owes what the real one owes; and its faults are what they say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGone, KubeError } from '../../src/kube/api.ts';
import { kinds } from '../../src/kube/objects.ts';
import { limits } from '../../src/limits.ts';
import { kubeApiCompliance } from '../compliance/kube-api.ts';
import { fakeWorld } from '../world/fake.ts';
import { cutConnection, FakeApi, serverError } from './fake-api.ts';
import { toy, toyObject } from './runtime/bench.ts';

kubeApiCompliance('the API server in memory', () => Promise.resolve({ api: new FakeApi(fakeWorld()), namespace: 'ns' }));

const first = async (api: FakeApi, resourceVersion: string): Promise<unknown> => {
  for await (const event of api.watch(toy, { resourceVersion }, new AbortController().signal)) return event;
  return undefined;
};
test('a version before the compaction is gone; one after it is not', async () => {
  const world = fakeWorld();
  const api = new FakeApi(world);
  api.seed(toy, toyObject('a'));
  const old = api.resourceVersion;
  api.seed(toy, toyObject('b'));
  api.compact();
  await assert.rejects(first(api, old), isGone);
  const now = api.resourceVersion;
  api.seed(toy, toyObject('c'));
  assert.deepEqual(await first(api, now).then((event) => (event as { readonly type: string }).type), 'ADDED');
});
test('an idle watch brings bookmarks; a silent one ends with 504', async () => {
  const world = fakeWorld();
  const api = new FakeApi(world);
  const idle = first(api, api.resourceVersion);
  await world.advance(60_000);
  assert.deepEqual(await idle, { type: 'BOOKMARK', resourceVersion: api.resourceVersion });
  api.fault = () => ({ silent: true });
  const silent = assert.rejects(first(api, api.resourceVersion), (error) => error instanceof KubeError && error.httpStatus === 504);
  await world.advance(1_000);
  api.seed(toy, toyObject('a'));
  await world.advance(limits.kubeWatchSilenceMs);
  await silent;
});
test('a failure before the write leaves nothing, one after it leaves the write', async () => {
  const api = new FakeApi(fakeWorld());
  api.fault = () => ({ fail: serverError() });
  await assert.rejects(api.create(toy, toyObject('a'), 'me'));
  assert.equal(api.peek(toy, 'ns/a'), undefined);
  api.fault = () => ({ failAfter: cutConnection() });
  await assert.rejects(api.create(toy, toyObject('a'), 'me'));
  assert.ok(api.peek(toy, 'ns/a') !== undefined);
  assert.deepEqual([api.count('create'), api.writes], [2, 2]);
});
test('what only a deleted object owned goes with it, where somebody collects', async () => {
  for (const collectGarbage of [true, false]) {
    const api = new FakeApi(fakeWorld(), { collectGarbage });
    const owner = api.seed(toy, toyObject('owner'));
    const ownerReferences = [{ apiVersion: owner.apiVersion, kind: owner.kind, name: 'owner', uid: owner.metadata.uid ?? '' }];
    api.seed(toy, toyObject('owned', {}, { ownerReferences }));
    api.seed(toy, toyObject('kept', {}, { ownerReferences, finalizers: ['a/b'] }));
    await api.delete(toy, 'ns/owner');
    assert.equal(api.peek(toy, 'ns/owned') === undefined, collectGarbage);
    assert.equal(api.peek(toy, 'ns/kept')?.metadata.deletionTimestamp !== undefined, collectGarbage);
  }
});
test('owners are told by field; a schema may refuse', async () => {
  const admit = (): void => {
    throw new KubeError('no', { status: 422, reason: 'Invalid' });
  };
  await assert.rejects(new FakeApi(fakeWorld(), { admit }).create(toy, toyObject('a'), 'me'), /no/);
  const api = new FakeApi(fakeWorld());
  await api.create(toy, toyObject('a', { x: 1, y: 1 }), 'me');
  await api.patch(toy, 'ns/a', { spec: { x: 2 } }, { fieldManager: 'you' });
  assert.deepEqual([api.ownersOf(toy, 'ns/a', ['spec', 'x']), api.ownersOf(toy, 'ns/a', ['spec', 'y'])], [['you'], ['me']]);
  assert.equal(api.count('create', kinds.machine), 0);
});
