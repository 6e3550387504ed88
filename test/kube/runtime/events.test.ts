/** Events: the first is written, the same again is counted, an object that flaps is bounded, and whatever fails concerns nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from '../../../src/kube/objects.ts';
import { Events } from '../../../src/kube/runtime/events.ts';
import { limits } from '../../../src/limits.ts';
import { fakeWorld } from '../../world/fake.ts';
import { FakeApi, serverError } from '../fake-api.ts';
import { toy, toyObject } from './bench.ts';

const ground = () => {
  const world = fakeWorld();
  const api = new FakeApi(world);
  const events = new Events({ world, log: world.log, limits, api, instance: 'pod-1' });
  return { world, api, events, object: api.seed(toy, toyObject('a')) };
};
const said = { type: 'Normal', reason: 'Claimed', action: 'Claim', note: 'host h1' } as const;

test('an event says what it regards, as events.k8s.io/v1 wants it', async () => {
  const { world, api, events, object } = ground();
  events.record(object, { ...said, note: 'x'.repeat(5_000) });
  await world.settle();
  const [event] = api.all(kinds.event) as unknown as readonly Record<string, unknown>[];
  const { metadata, note, regarding, ...rest } = event ?? {};
  assert.match((metadata as { readonly name: string }).name, /^a\.[0-9a-f]{16}$/);
  assert.equal((note as string).length, 1024);
  assert.deepEqual(
    [(regarding as { readonly kind: string }).kind, (regarding as { readonly uid: string }).uid],
    ['BareMetalMachine', object.metadata.uid],
  );
  assert.deepEqual(rest, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'remuda',
    reportingInstance: 'pod-1',
    action: 'Claim',
    reason: 'Claimed',
    type: 'Normal',
  });
});
test('the same one again is counted, and the count is written now and then', async () => {
  const { world, api, events, object } = ground();
  for (let minutes = 0; minutes < 13; minutes++) {
    events.record(object, said);
    await world.advance(60_000);
  }
  assert.equal(api.all(kinds.event).length, 1);
  assert.deepEqual([api.count('create'), api.count('patch')], [1, 2]);
  const [event] = api.all(kinds.event) as unknown as readonly { readonly series?: { readonly count: number } }[];
  assert.equal(event?.series?.count, 13);
  await world.advance(10 * 60_000);
  events.record(object, said);
  await world.settle();
  assert.equal(api.all(kinds.event).length, 2, 'after a while it is news again');
});
test('an object that flaps is bounded, others are not', async () => {
  const { world, api, events, object } = ground();
  for (let count = 0; count < 200; count++) events.record(object, { ...said, note: `host h${count}` });
  events.record(api.seed(toy, toyObject('b')), said);
  await world.settle();
  assert.equal(api.all(kinds.event).length, 26);
});
test('what fails is dropped, waits for nobody, and stops in good order', async () => {
  const { world, api, events, object } = ground();
  api.fault = () => ({ fail: serverError() });
  events.record(object, said);
  await world.settle();
  assert.equal(api.all(kinds.event).length, 0);
  api.fault = () => ({ delayMs: 5_000 });
  events.record(object, { ...said, note: 'other' });
  let isOver = false;
  const stopping = events.stop().then(() => void (isOver = true));
  await world.advance(1_000);
  assert.equal(isOver, false);
  await world.advance(5_000);
  await stopping;
  events.record(object, { ...said, note: 'late' });
  await world.settle();
  assert.equal(api.all(kinds.event).length, 1);
});
test('of a host, which has no namespace, events stand in default', async () => {
  const { world, api, events } = ground();
  const host = { apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2', kind: 'RackHost', metadata: { name: 'h1' } };
  events.record(api.seed(kinds.rackHost, host), said);
  await world.settle();
  assert.equal(api.all(kinds.event)[0]?.metadata.namespace, 'default');
});
