/** The cache: found by key and by index, slim, and never older than it was. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { keyOf } from '../../../src/kube/objects.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { isOlder, Shelf } from '../../../src/kube/runtime/cache.ts';
import { toy, toyObject } from './bench.ts';

const at = (name: string, resourceVersion: string, more: object = {}): KubeObject => toyObject(name, more, { resourceVersion });
const shelf = (): Shelf =>
  new Shelf({
    kind: toy,
    index: ({ spec }) => ({ cluster: (spec as { readonly clusters?: readonly string[] }).clusters ?? [] }),
    trim: (object) => ({ ...object, spec: { ...(object.spec as object), big: undefined } }),
  });
const clusters = (...names: readonly string[]) => ({ clusters: names });

test('versions: numbers are compared as numbers, of any length; what is none is never older', () => {
  const facts: readonly (readonly [string | undefined, string | undefined, boolean])[] = [
    ['9', '10', true],
    ['10', '9', false],
    ['10', '10', false],
    ['9007199254740993', '9007199254740994', true],
    ['abc', '10', false],
    ['10', 'abc', false],
    [undefined, '10', false],
    ['', '10', false],
  ];
  for (const [one, than, expected] of facts) assert.equal(isOlder(one, than), expected, `${one} ${than}`);
});
describe('a shelf', () => {
  test('finds by index, and forgets where an object was', () => {
    const kept = shelf();
    kept.put(at('a', '1', clusters('x', 'y')));
    kept.put(at('b', '2', clusters('x')));
    const names = (value: string): readonly string[] => kept.by('cluster', value).map(({ metadata }) => metadata.name);
    assert.deepEqual([names('x'), names('y'), names('z')], [['a', 'b'], ['a'], []]);
    kept.put(at('a', '3', clusters('z')));
    assert.deepEqual([names('x'), names('y'), names('z')], [['b'], [], ['a']]);
    kept.remove(at('a', '4'));
    assert.deepEqual(names('z'), []);
  });
  test('trims, and drops who wrote what', () => {
    const kept = shelf();
    const object = at('a', '1', { big: 'data', small: 1 });
    kept.put({ ...object, metadata: { ...object.metadata, managedFields: [{}] } as KubeObject['metadata'] });
    const found = kept.get('ns/a');
    assert.deepEqual(
      [found?.spec, Object.keys(found?.metadata ?? {})],
      [{ big: undefined, small: 1 }, ['name', 'namespace', 'resourceVersion']],
    );
  });
  test('our own write is known at once, and the watch that lags does not undo it', () => {
    const kept = shelf();
    kept.put(at('a', '5', { x: 1 }));
    kept.note(at('a', '9', { x: 2 }));
    assert.equal(kept.put(at('a', '7', { x: 1 })), undefined);
    assert.deepEqual(kept.get('ns/a')?.spec, { x: 2, big: undefined });
    assert.equal(kept.put(at('a', '9', { x: 2 })), undefined, 'what is known wakes nobody');
    assert.equal(kept.remove(at('a', '8')), undefined, 'an older end is not the end');
    assert.ok(kept.remove(at('a', '10')) !== undefined);
  });
  test('the answer to a write that comes after the end of the object brings nothing back', () => {
    const kept = shelf();
    kept.put(at('a', '5'));
    kept.remove(at('a', '9'));
    kept.note(at('a', '8'));
    assert.equal(kept.get('ns/a'), undefined);
    kept.note(at('new', '12'));
    assert.ok(kept.get('ns/new') !== undefined);
  });
  test('a list replaces all but what we wrote after it', () => {
    const kept = shelf();
    for (const name of ['gone', 'stays', 'changed']) kept.put(at(name, '3'));
    kept.note(at('written', '12'));
    const changes = kept.replace([at('stays', '3'), at('changed', '8'), at('new', '9')], '10');
    const told = changes.map(({ now, before }) => `${before?.metadata.name ?? '-'}>${now?.metadata.name ?? '-'}`).toSorted();
    assert.deepEqual(told, ['->new', 'changed>changed', 'gone>-']);
    assert.deepEqual(kept.list().map(keyOf).toSorted(), ['ns/changed', 'ns/new', 'ns/stays', 'ns/written']);
    assert.deepEqual(kept.list('other'), []);
  });
});

/** What happened at the server, version by version; notes come at any time later, the watch in order. */
const story = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c'), isEnd: fc.boolean(), isOurs: fc.boolean(), late: fc.nat(4) }), {
  maxLength: 30,
});
test('property: however late our own writes are noted, when the watch has told all the shelf is as the server', () => {
  fc.assert(
    fc.property(story, (events) => {
      const kept = shelf();
      const truth = new Map<string, string>();
      const notes: { readonly due: number; readonly object: KubeObject }[] = [];
      for (const [index, { name, isEnd, isOurs, late }] of events.entries()) {
        const object = at(name, String(index + 1));
        if (isEnd) truth.delete(name);
        else truth.set(name, String(index + 1));
        if (isOurs && !isEnd) {
          // Known before the watch tells it, or after.
          if (late === 0) kept.note(object);
          else notes.push({ due: index + late, object });
        }
        const before = kept.get(keyOf(object))?.metadata.resourceVersion;
        if (isEnd) kept.remove(object);
        else kept.put(object);
        const after = kept.get(keyOf(object))?.metadata.resourceVersion;
        assert.ok(after === undefined || !isOlder(after, before));
        for (const note of notes) if (note.due === index) kept.note(note.object);
      }
      for (const note of notes) kept.note(note.object);
      assert.deepEqual(new Map(kept.list().map(({ metadata }) => [metadata.name, metadata.resourceVersion])), truth);
    }),
  );
});
