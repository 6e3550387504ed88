/** The health checks of the cluster templates, counted as Cluster API counts them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { files, withDefaults } from './with-defaults.ts';

/** Cluster API 1.12 (`getMaxUnhealthy`, `isAllowedRemediation` of its MachineHealthCheck): a share is rounded down. */
const isHelped = (most: number | string, { ill, workers }: { readonly ill: number; readonly workers: number }): boolean =>
  ill <= (typeof most === 'number' ? most : Math.floor((Number.parseInt(most, 10) * workers) / 100));
/** What each health check of a file says, in the place where its kind has it. */
const limitsOf = (name: string): readonly (number | string)[] =>
  [...JSON.stringify(withDefaults(name)).matchAll(/"triggerIf":(\{[^}]*\})/g)].map(([, text = '']) => {
    const { unhealthyLessThanOrEqualTo } = JSON.parse(text) as { readonly unhealthyLessThanOrEqualTo: number | string };
    return unhealthyLessThanOrEqualTo;
  });
const checked = [...files.keys()].filter((name) => (files.get(name) ?? '').includes('triggerIf:'));

void test('every flavour that repairs has its health check here', () => {
  assert.deepEqual(checked.toSorted(), [
    'cluster-template-kube-vip.yaml',
    'cluster-template-workers-in-place.yaml',
    'cluster-template.yaml',
    'clusterclass-remuda.yaml',
  ]);
});

for (const name of checked)
  void test(`${name}: one ill worker is helped, of one, of two, of many; most of many are not`, () => {
    const [most, ...more] = limitsOf(name);
    assert.ok(most !== undefined && more.length === 0);
    for (const workers of [1, 2, 3, 10, 50]) assert.ok(isHelped(most, { ill: 1, workers }), `1 of ${workers}`);
    for (const { ill, workers } of [
      { ill: 2, workers: 3 },
      { ill: 6, workers: 10 },
      { ill: 30, workers: 50 },
    ])
      assert.ok(!isHelped(most, { ill, workers }), `${ill} of ${workers}`);
  });

void test('two fifths of two are none: why the templates say a number', () => {
  assert.equal(isHelped('40%', { ill: 1, workers: 2 }), false);
  assert.equal(isHelped('40%', { ill: 1, workers: 3 }), true);
});
