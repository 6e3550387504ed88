/** What every KubeApi owes the controllers, whoever answers: one suite, run by the fake, by the client over HTTP, and against the real server. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { isConflict, isGone, KubeError } from '../../src/kube/api.ts';
import type { KubeApi, WatchEvent } from '../../src/kube/api.ts';
import { apiVersionOf, keyOf, kinds } from '../../src/kube/objects.ts';
import type { Key, Kind, KubeObject } from '../../src/kube/objects.ts';

export interface KubeApiUnderTest {
  readonly api: KubeApi;
  /** A namespace of this test's own. */
  readonly namespace: string;
}
type Make = (t: TestContext) => Promise<KubeApiUnderTest>;

/** A kind with a status, conditions by type, and a schema that keeps what it does not know in `spec`. */
export const widget: Kind = { group: 'test.cluster.x-k8s.io', version: 'v1', kind: 'Widget', plural: 'widgets', namespaced: true };
const preserved = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } as const;
const condition = {
  type: 'object',
  required: ['type', 'status'],
  properties: Object.fromEntries(['type', 'status', 'reason', 'message'].map((name) => [name, { type: 'string' }])),
};
/** Installed on a real server before the suite. */
export const widgetCrd: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${widget.plural}.${widget.group}` },
  spec: {
    group: widget.group,
    names: { kind: widget.kind, plural: widget.plural, singular: 'widget', listKind: 'WidgetList' },
    scope: 'Namespaced',
    versions: [
      {
        name: widget.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { size: { type: 'integer' }, color: { type: 'string' }, more: preserved } },
              status: {
                type: 'object',
                properties: {
                  phase: { type: 'string' },
                  conditions: { type: 'array', items: condition, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
                },
              },
            },
          },
        },
      },
    ],
  },
};
const manager = 'suite';
const widgetOf = (namespace: string, name: string, spec: object = {}, more: object = {}): KubeObject => ({
  apiVersion: apiVersionOf(widget),
  kind: widget.kind,
  metadata: { name, namespace, ...more },
  spec,
});
const configMap = (namespace: string, name: string, data: Readonly<Record<string, string>>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});
const fails = async (promise: Promise<unknown>, status: number, reason: string, words: RegExp): Promise<void> => {
  const error = await promise.then(
    (value) => assert.fail(`expected ${status} ${reason}, got ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof KubeError, String(error));
  assert.deepEqual([error.httpStatus, error.reason], [status, reason], error.message);
  assert.match(error.message, words);
};
/** The events from `version` on, until `enough` of them came. */
const watched = async (api: KubeApi, kind: Kind, options: Parameters<KubeApi['watch']>[1], enough: number): Promise<readonly string[]> => {
  const ending = new AbortController();
  const events: string[] = [];
  for await (const event of api.watch(kind, options, ending.signal)) {
    if (event.type === 'BOOKMARK') continue;
    events.push(`${event.type} ${event.object.metadata.name}`);
    if (events.length >= enough) break;
  }
  ending.abort();
  return events;
};

export const kubeApiCompliance = (name: string, make: Make, options: { readonly skip?: string | false } = {}): void => {
  describe(`${name}: what a KubeApi owes`, { skip: options.skip ?? false }, () => {
    verbs(make);
    status(make);
    ownership(make);
    ending(make);
    watching(make);
  });
};

const verbs = (make: Make): void => {
  test('create gives uid and version; again is AlreadyExists; get finds it, and says undefined of none', async (t) => {
    const { api, namespace } = await make(t);
    const created = await api.create(widget, widgetOf(namespace, 'a', { size: 1 }), manager);
    assert.match(created.metadata.uid ?? '', /^[-0-9a-f]{36}$/);
    assert.match(created.metadata.resourceVersion ?? '', /^\d+$/);
    assert.equal(created.metadata.generation, 1);
    assert.match(created.metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    await fails(api.create(widget, widgetOf(namespace, 'a'), manager), 409, 'AlreadyExists', /Widget/);
    assert.deepEqual((await api.get(widget, keyOf(created)))?.spec, { size: 1 });
    assert.equal(await api.get(widget, `${namespace}/none`), undefined);
  });
  test('generateName makes a name', async (t) => {
    const { api, namespace } = await make(t);
    const object = { ...configMap(namespace, '', {}), metadata: { name: '', generateName: 'made-', namespace } };
    const made = await api.create(kinds.configMap, object, manager);
    assert.match(made.metadata.name, /^made-[a-z0-9]{5}$/);
  });
  test('a name that is none is Invalid', async (t) => {
    const { api, namespace } = await make(t);
    await fails(api.create(kinds.configMap, configMap(namespace, 'No Name', {}), manager), 422, 'Invalid', /No Name/);
  });
  test('merge patch: null deletes, lists are taken whole, the generation counts changes of the spec alone', async (t) => {
    const { api, namespace } = await make(t);
    const key: Key = `${namespace}/a`;
    await api.create(widget, widgetOf(namespace, 'a', { size: 1, color: 'red', more: { list: [1, 2], deep: { x: 1, y: 2 } } }), manager);
    const patched = await api.patch(widget, key, { spec: { color: null, more: { list: [3], deep: { y: 5 } } } }, { fieldManager: manager });
    assert.deepEqual(patched.spec, { size: 1, more: { list: [3], deep: { x: 1, y: 5 } } });
    assert.equal(patched.metadata.generation, 2);
    const labelled = await api.patch(widget, key, { metadata: { labels: { a: 'b' } } }, { fieldManager: manager });
    assert.equal(labelled.metadata.generation, 2);
    assert.deepEqual(labelled.metadata.labels, { a: 'b' });
  });
  test('a write that changes nothing is none: the version stays', async (t) => {
    const { api, namespace } = await make(t);
    const created = await api.create(widget, widgetOf(namespace, 'a', { size: 1 }), manager);
    const patched = await api.patch(widget, keyOf(created), { spec: { size: 1 } }, { fieldManager: manager });
    assert.equal(patched.metadata.resourceVersion, created.metadata.resourceVersion);
  });
  test('a patch or replacement of another version, or of another object of that name, is a Conflict', async (t) => {
    const { api, namespace } = await make(t);
    const first = await api.create(widget, widgetOf(namespace, 'a', { size: 1 }), manager);
    const key = keyOf(first);
    const { resourceVersion = '', uid = '' } = first.metadata;
    const second = await api.patch(widget, key, { spec: { size: 2 } }, { fieldManager: manager, resourceVersion, uid });
    await fails(api.patch(widget, key, { spec: { size: 3 } }, { fieldManager: manager, resourceVersion }), 409, 'Conflict', /Widget/);
    await fails(api.replace(widget, { ...first, spec: { size: 3 } }, manager), 409, 'Conflict', /Widget/);
    const other = '00000000-0000-4000-8000-999999999999';
    await fails(api.patch(widget, key, { spec: { size: 3 } }, { fieldManager: manager, uid: other }), 409, 'Conflict', /Widget/);
    const third = await api.replace(widget, { ...second, spec: { size: 4 } }, manager);
    assert.deepEqual(third.spec, { size: 4 });
    await fails(api.patch(widget, `${namespace}/none`, {}, { fieldManager: manager }), 404, 'NotFound', /Widget/);
  });
  test('lists: by namespace, by label, by field; every item says what it is', async (t) => {
    const { api, namespace } = await make(t);
    await api.create(
      kinds.configMap,
      { ...configMap(namespace, 'a', { x: '1' }), metadata: { name: 'a', namespace, labels: { l: 'a' } } },
      manager,
    );
    await api.create(
      kinds.configMap,
      { ...configMap(namespace, 'b', { x: '2' }), metadata: { name: 'b', namespace, labels: { l: 'b' } } },
      manager,
    );
    const names = async (more: object): Promise<readonly string[]> => {
      const { items } = await api.list(kinds.configMap, { namespace, ...more });
      for (const item of items) assert.deepEqual([item.apiVersion, item.kind], ['v1', 'ConfigMap']);
      return items.map(({ metadata }) => metadata.name).filter((one) => one !== 'kube-root-ca.crt');
    };
    assert.deepEqual(await names({}), ['a', 'b']);
    assert.deepEqual(await names({ labelSelector: 'l=b' }), ['b']);
    assert.deepEqual(await names({ labelSelector: 'l in (a, c)' }), ['a']);
    assert.deepEqual(await names({ labelSelector: 'l!=a,l' }), ['b']);
    assert.deepEqual(await names({ fieldSelector: 'metadata.name=a' }), ['a']);
    const { items, resourceVersion } = await api.list(kinds.configMap);
    assert.match(resourceVersion, /^\d+$/);
    assert.ok(items.length >= 2);
  });
};

const status = (make: Make): void => {
  test('status is written by itself: neither write touches the part of the other, and the generation stays', async (t) => {
    const { api, namespace } = await make(t);
    const key: Key = `${namespace}/a`;
    const created = await api.create(widget, { ...widgetOf(namespace, 'a', { size: 1 }), status: { phase: 'smuggled' } }, manager);
    assert.equal(created.status, undefined);
    const both = { spec: { size: 2 }, status: { phase: 'on' } };
    const shown = await api.patch(widget, key, both, { fieldManager: manager, subresource: 'status' });
    assert.deepEqual([shown.spec, shown.status, shown.metadata.generation], [{ size: 1 }, { phase: 'on' }, 1]);
    const changed = await api.patch(widget, key, { spec: { size: 2 }, status: { phase: 'off' } }, { fieldManager: manager });
    assert.deepEqual([changed.spec, changed.status, changed.metadata.generation], [{ size: 2 }, { phase: 'on' }, 2]);
    const replaced = await api.replace(widget, { ...changed, status: { phase: 'off' } }, manager);
    assert.deepEqual(replaced.status, { phase: 'on' });
  });
};

const ownership = (make: Make): void => {
  const conditions = (object: KubeObject): readonly string[] =>
    ((object.status as { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }).conditions ?? []).map(
      ({ type, status: is }) => `${type}=${is}`,
    );
  test('apply creates, and takes back what it no longer says; what others own stays', async (t) => {
    const { api, namespace } = await make(t);
    const applied = (spec: object, fieldManager = 'one') => api.apply(widget, widgetOf(namespace, 'a', spec), { fieldManager });
    assert.deepEqual((await applied({ size: 1, color: 'red' })).spec, { size: 1, color: 'red' });
    assert.deepEqual((await applied({ more: { x: 1 } }, 'two')).spec, { size: 1, color: 'red', more: { x: 1 } });
    assert.deepEqual((await applied({ size: 2 })).spec, { size: 2, more: { x: 1 } });
  });
  test('a field of another is a Conflict that names it; force takes it', async (t) => {
    const { api, namespace } = await make(t);
    await api.apply(widget, widgetOf(namespace, 'a', { size: 1 }), { fieldManager: 'one' });
    await fails(
      api.apply(widget, widgetOf(namespace, 'a', { size: 2 }), { fieldManager: 'two' }),
      409,
      'Conflict',
      /one[^]*spec\.size|spec\.size[^]*one/,
    );
    const shared = await api.apply(widget, widgetOf(namespace, 'a', { size: 1 }), { fieldManager: 'two' });
    assert.deepEqual(shared.spec, { size: 1 });
    const taken = await api.apply(widget, widgetOf(namespace, 'a', { size: 2 }), { fieldManager: 'two', force: true });
    assert.deepEqual(taken.spec, { size: 2 });
    const left = await api.apply(widget, widgetOf(namespace, 'a', {}), { fieldManager: 'one' });
    assert.deepEqual(left.spec, { size: 2 }, 'what was taken is not ours to drop');
  });
  test('conditions are owned each by itself', async (t) => {
    const { api, namespace } = await make(t);
    const created = await api.create(widget, widgetOf(namespace, 'a', { size: 1 }), manager);
    const say = (fieldManager: string, ...types: readonly string[]) =>
      api.apply(
        widget,
        {
          ...created,
          metadata: { name: 'a', namespace },
          spec: undefined,
          status: { conditions: types.map((type) => ({ type, status: 'True' })) },
        },
        { fieldManager, subresource: 'status' },
      );
    await say('one', 'Ready', 'Old');
    assert.deepEqual(conditions(await say('two', 'Other')).toSorted(), ['Old=True', 'Other=True', 'Ready=True']);
    assert.deepEqual(conditions(await say('one', 'Ready')).toSorted(), ['Other=True', 'Ready=True']);
  });
  test('a dry run shows what would be, and does nothing', async (t) => {
    const { api, namespace } = await make(t);
    const shown = await api.apply(widget, widgetOf(namespace, 'a', { size: 1 }), { fieldManager: 'one', dryRun: true });
    assert.deepEqual(shown.spec, { size: 1 });
    assert.equal(await api.get(widget, `${namespace}/a`), undefined);
  });
  test('an apply that means an object that is gone creates none', async (t) => {
    const { api, namespace } = await make(t);
    const object = widgetOf(namespace, 'a', { size: 1 }, { uid: '00000000-0000-4000-8000-999999999999' });
    await assert.rejects(api.apply(widget, object, { fieldManager: 'one' }), isConflict);
    assert.equal(await api.get(widget, `${namespace}/a`), undefined);
  });
};

const ending = (make: Make): void => {
  test('an object with finalizers stays until the last one is gone; new ones are refused meanwhile', async (t) => {
    const { api, namespace } = await make(t);
    const key: Key = `${namespace}/a`;
    await api.create(widget, widgetOf(namespace, 'a', { size: 1 }, { finalizers: ['test.io/one', 'test.io/two'] }), manager);
    await api.delete(widget, key);
    const dying = await api.get(widget, key);
    assert.ok(dying?.metadata.deletionTimestamp !== undefined);
    await api.delete(widget, key);
    const more = { metadata: { finalizers: ['test.io/one', 'test.io/three'] } };
    await fails(api.patch(widget, key, more, { fieldManager: manager }), 422, 'Invalid', /finalizer/);
    await api.patch(widget, key, { metadata: { finalizers: ['test.io/two'] } }, { fieldManager: manager });
    assert.deepEqual((await api.get(widget, key))?.metadata.finalizers, ['test.io/two']);
    await api.patch(widget, key, { metadata: { finalizers: null } }, { fieldManager: manager });
    assert.equal(await api.get(widget, key), undefined);
  });
  test('delete is exact where it is told to be, and of none no error', async (t) => {
    const { api, namespace } = await make(t);
    const created = await api.create(widget, widgetOf(namespace, 'a'), manager);
    const key = keyOf(created);
    await assert.rejects(api.delete(widget, key, { uid: '00000000-0000-4000-8000-999999999999' }), isConflict);
    await api.patch(widget, key, { spec: { size: 2 } }, { fieldManager: manager });
    await assert.rejects(api.delete(widget, key, { resourceVersion: created.metadata.resourceVersion ?? '' }), isConflict);
    await api.delete(widget, key, { uid: created.metadata.uid ?? '' });
    assert.equal(await api.get(widget, key), undefined);
    await api.delete(widget, key);
  });
};

const watching = (make: Make): void => {
  test('a watch goes on from the version of a list, and misses nothing', async (t) => {
    const { api, namespace } = await make(t);
    await api.create(widget, widgetOf(namespace, 'before'), manager);
    const { resourceVersion } = await api.list(widget, { namespace });
    const key: Key = `${namespace}/a`;
    await api.create(widget, widgetOf(namespace, 'a', { size: 1 }), manager);
    await api.patch(widget, key, { spec: { size: 2 } }, { fieldManager: manager });
    const events = watched(api, widget, { namespace, resourceVersion }, 3);
    await api.delete(widget, key);
    assert.deepEqual(await events, ['ADDED a', 'MODIFIED a', 'DELETED a']);
  });
  test('what no longer has the label is deleted for the watch, and what has it now is added', async (t) => {
    const { api, namespace } = await make(t);
    const { resourceVersion } = await api.list(widget, { namespace });
    const key: Key = `${namespace}/a`;
    const label = (value: string) => api.patch(widget, key, { metadata: { labels: { on: value } } }, { fieldManager: manager });
    await api.create(widget, widgetOf(namespace, 'a'), manager);
    await label('yes');
    await label('no');
    await label('yes');
    const events = await watched(api, widget, { namespace, labelSelector: 'on=yes', resourceVersion }, 3);
    assert.deepEqual(events, ['ADDED a', 'DELETED a', 'ADDED a']);
  });
  test('a deleted object comes with the version of its deletion', async (t) => {
    const { api, namespace } = await make(t);
    const { resourceVersion } = await api.list(widget, { namespace });
    const created = await api.create(widget, widgetOf(namespace, 'a'), manager);
    await api.delete(widget, keyOf(created));
    const seen: WatchEvent[] = [];
    for await (const event of api.watch(widget, { namespace, resourceVersion }, AbortSignal.any([]))) {
      seen.push(event);
      if (event.type === 'DELETED') break;
    }
    const last = seen.at(-1);
    assert.ok(last?.type === 'DELETED');
    assert.ok(Number(last.object.metadata.resourceVersion) > Number(created.metadata.resourceVersion));
  });
  test('a watch ends with its signal', async (t) => {
    const { api, namespace } = await make(t);
    const { resourceVersion } = await api.list(widget, { namespace });
    const stopping = new AbortController();
    const reason = new Error('enough');
    const seen: string[] = [];
    const watch = (async (): Promise<void> => {
      for await (const event of api.watch(widget, { namespace, resourceVersion }, stopping.signal)) {
        seen.push(event.type);
        stopping.abort(reason);
      }
    })();
    const ended = watch.catch((error: unknown) => assert.equal(error, reason));
    await api.create(widget, widgetOf(namespace, 'a'), manager);
    await ended;
    assert.deepEqual(seen, ['ADDED']);
  });
  test('a version that never was, or is forgotten, is told at once', async (t) => {
    const { api, namespace } = await make(t);
    const told = watched(api, widget, { namespace, resourceVersion: '1' }, 1).then(
      // A server that never compacted may still know it.
      (events) => assert.equal(events.length, 1),
      (error: unknown) => assert.ok(isGone(error), String(error)),
    );
    await api.create(widget, widgetOf(namespace, 'a'), manager);
    await told;
  });
};
