/** Our client and controller runtime against a real kube-apiserver: the suite of every KubeApi, and controllers that two of would cross. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { KubeClient } from '../../../src/kube/client/kube-client.ts';
import type { Reconciler, Tools } from '../../../src/kube/controller.ts';
import { keyOf, kinds } from '../../../src/kube/objects.ts';
import { startControllers } from '../../../src/kube/runtime/start.ts';
import type { StartedControllers } from '../../../src/kube/runtime/start.ts';
import { silentMeter } from '../../../src/metering.ts';
import { realWorld } from '../../../src/world/real.ts';
import { kubeApiCompliance, widget, widgetCrd } from '../../compliance/kube-api.ts';
import { noMetal } from '../../kube/runtime/bench.ts';
import { eventually, ground, plane } from './with-plane.ts';

const life = new AbortController();
const world = realWorld({ signal: life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
after(() => life.abort(new DOMException('the tests are over', 'AbortError')));
const client = (): KubeClient => new KubeClient({ world, source: { is: 'file', path: plane().kubeconfig }, version: 'test' });

before(async () => {
  if (ground.skip !== false) return;
  const api = client();
  await api.apply(kinds.crd, widgetCrd, { fieldManager: 'suite', force: true });
  await eventually('the kind Widget is served', () =>
    api.list(widget).then(
      () => true,
      () => false,
    ),
  );
});

kubeApiCompliance('the real API server', async (t) => ({ api: client(), namespace: await plane().newNamespace(t) }), ground);

/** Copies `spec.size` to `status.phase`, and counts who wrote how often. */
const sizer =
  (who: string, writes: string[]) =>
  ({ api, cache, events }: Tools): readonly Reconciler[] => [
    {
      kind: widget,
      reconcile: async (key) => {
        const object = cache.get(widget, key);
        const phase = String((object?.spec as { readonly size?: number } | undefined)?.size);
        if (object === undefined || (object.status as { readonly phase?: string } | undefined)?.phase === phase) return {};
        const { uid = '', resourceVersion = '' } = object.metadata;
        const options = { fieldManager: who, subresource: 'status', uid, resourceVersion } as const;
        cache.note(widget, await api.patch(widget, key, { status: { phase } }, options));
        writes.push(`${who} ${key}`);
        events.record(object, { type: 'Normal', reason: 'Sized', action: 'Size', note: `size ${phase}` });
        return {};
      },
    },
  ];
const start = (t: TestContext, namespace: string, who: string, writes: string[]): StartedControllers => {
  const started = startControllers({
    world,
    meter: silentMeter,
    api: client(),
    metal: noMetal,
    settings: { namespace, pools: {}, reuseSeconds: 0 },
    watches: [{ kind: widget }],
    reconcilers: sizer(who, writes),
    identity: { namespace, holder: who },
  });
  t.after(() => started.stop());
  return started;
};
const phases = async (namespace: string): Promise<readonly unknown[]> =>
  (await client().list(widget, { namespace })).items.map(({ status }) => (status as { readonly phase?: string } | undefined)?.phase);
const all = async (namespace: string, count: number, phase: string): Promise<void> =>
  void (await eventually(`${count} widgets of phase ${phase}`, async () => {
    const seen = await phases(namespace);
    return seen.length === count && seen.every((one) => one === phase);
  }));
const make = async (namespace: string, count: number): Promise<void> => {
  const api = client();
  const metadata = (number: number) => ({ name: `w${number}`, namespace });
  for (let number = 0; number < count; number++)
    await api.create(
      widget,
      { apiVersion: 'test.cluster.x-k8s.io/v1', kind: 'Widget', metadata: metadata(number), spec: { size: 1 } },
      'user',
    );
};

test('two controllers: one works, each object is written once for each change, the other goes on when it stops', ground, async (t) => {
  const namespace = await plane().newNamespace(t);
  const writes: string[] = [];
  await make(namespace, 20);
  const first = start(t, namespace, 'first', writes);
  await eventually('the first one leads', async () => first.ready().ready);
  const second = start(t, namespace, 'second', writes);
  await all(namespace, 20, '1');
  assert.equal(second.ready().ready, false);
  assert.deepEqual([writes.length, new Set(writes).size], [20, 20]);
  await first.stop();
  const api = client();
  for (let number = 0; number < 20; number++)
    await api.patch(widget, `${namespace}/w${number}`, { spec: { size: 2 } }, { fieldManager: 'user' });
  await all(namespace, 20, '2');
  assert.deepEqual(
    new Set(writes.slice(20).map((line) => line.split(' ')[0])),
    new Set(['second']),
    'given back, the lease is taken without a wait for its end',
  );
  assert.equal(writes.length, 40);
});

test('events stand where kubectl finds them', ground, async (t) => {
  const { kubectl, newNamespace } = plane();
  const namespace = await newNamespace(t);
  await make(namespace, 1);
  start(t, namespace, 'eventful', []);
  await eventually(
    'an event of w0',
    async () =>
      /Normal\s+Sized\s+size 1/.test(await kubectl('describe', 'widget', 'w0', '-n', namespace)) ||
      /Sized/.test(await kubectl('events', '-n', namespace)),
  );
});

test('an object that is created, changed and deleted while nobody watches is not missed', ground, async (t) => {
  const namespace = await plane().newNamespace(t);
  const api = client();
  await make(namespace, 3);
  const { resourceVersion } = await api.list(widget, { namespace });
  await api.patch(widget, `${namespace}/w1`, { spec: { size: 9 } }, { fieldManager: 'user' });
  await api.delete(widget, `${namespace}/w2`);
  const seen: string[] = [];
  for await (const event of api.watch(widget, { namespace, resourceVersion }, life.signal)) {
    if (event.type !== 'BOOKMARK') seen.push(`${event.type} ${keyOf(event.object)}`);
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen, [`MODIFIED ${namespace}/w1`, `DELETED ${namespace}/w2`]);
});
