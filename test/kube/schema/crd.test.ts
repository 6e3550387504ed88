/** Our CRDs: structural, bounded, named as Cluster API computes the names, and with rules that name real fields. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { crdOf } from '../../../src/kube/schema/crd.ts';
import { definitions } from '../../../src/kube/schema/definitions.ts';
import { structural } from '../../../src/kube/schema/structural.ts';
import type { Structural } from '../../../src/kube/schema/structural.ts';

const crds = definitions.map(crdOf);
const schemaOf = (crd: (typeof crds)[number]): Structural => crd.spec.versions[0].schema.openAPIV3Schema;
interface Place {
  readonly path: string;
  readonly node: Structural;
}
const walk = (node: Structural, path: string): readonly Place[] => [
  { path, node },
  ...Object.entries(node.properties ?? {}).flatMap(([name, inner]) => walk(inner, `${path}.${name}`)),
  ...(node.items === undefined ? [] : walk(node.items, `${path}[]`)),
  ...(node.additionalProperties === undefined ? [] : walk(node.additionalProperties, `${path}{}`)),
];
const all = crds.flatMap((crd) => walk(schemaOf(crd), crd.spec.names['kind'] as string));
const places = all.filter(({ path }) => !path.endsWith('.metadata'));

void test('every node has a type, and every field of ours says what it is', () => {
  assert.ok(places.length > 300, `${places.length} places were looked at`);
  assert.deepEqual(
    places.filter(({ node }) => node.type === undefined).map(({ path }) => path),
    [],
  );
  const described = places.filter(({ path }) => !/(\[\]|\{\}|\.template|\.template\.spec)$/.test(path));
  assert.deepEqual(
    described.filter(({ node }) => (node.description ?? '') === '').map(({ path }) => path),
    [],
  );
});

void test('strings, lists and maps have an upper bound, without which CEL has no cost', () => {
  const unbounded = places.filter(({ path, node }) => {
    if (/^\w+\.(apiVersion|kind)$/.test(path)) return false;
    if (node.type === 'string') return node.maxLength === undefined && node.enum === undefined && node.format === undefined;
    if (node.type === 'array') return node.maxItems === undefined;
    return node.additionalProperties !== undefined && node.maxProperties === undefined;
  });
  assert.deepEqual(
    unbounded.map(({ path }) => path),
    [],
  );
});

void test('integers have a format, and nothing of JavaScript\u2019s own limits is left', () => {
  const integers = places.filter(({ node }) => node.type === 'integer');
  assert.ok(integers.length > 30);
  for (const { path, node } of integers) {
    assert.ok(node.format === 'int32' || node.format === 'int64', path);
    assert.ok(Math.abs(node.maximum ?? 0) <= 2_147_483_647 && (node.minimum ?? 0) > -2_147_483_648, path);
  }
});

void test('names are what Cluster API computes from the kind', () => {
  for (const { metadata, spec } of crds) {
    const kind = spec.names['kind'] as string;
    // flect.Pluralize adds an s to all of these.
    assert.equal(metadata.name, `${kind.toLowerCase()}s.infrastructure.cluster.x-k8s.io`);
    assert.equal(spec.names['plural'], `${kind.toLowerCase()}s`);
    assert.equal(spec.names['listKind'], `${kind}List`);
  }
});

void test('each kind says which contract its version fulfils', () => {
  const labels = Object.fromEntries(crds.map(({ metadata, spec }) => [spec.names['kind'], metadata.labels]));
  assert.deepEqual(labels['BareMetalMachine'], {
    'cluster.x-k8s.io/provider': 'infrastructure-remuda',
    'clusterctl.cluster.x-k8s.io': '',
    'cluster.x-k8s.io/v1beta2': 'v1beta2',
  });
  assert.deepEqual(labels['PacketMachine'], {
    'cluster.x-k8s.io/provider': 'infrastructure-remuda',
    'clusterctl.cluster.x-k8s.io': '',
    'cluster.x-k8s.io/v1beta1': 'v1beta1',
    'cluster.x-k8s.io/v1beta2': 'v1beta1',
  });
  for (const { metadata, spec } of crds) {
    const contracts = Object.keys(metadata.labels).filter((label) => /\/v\d/.test(label));
    const isSkipped = metadata.annotations?.['clusterctl.cluster.x-k8s.io/skip-crd-name-preflight-check'] !== undefined;
    assert.equal(isSkipped, contracts.length === 0, metadata.name);
    for (const contract of contracts) assert.equal(metadata.labels[contract], spec.versions[0].name);
  }
});

void test('what Cluster API refers to has a namespace; hosts of the rack have none', () => {
  assert.deepEqual(
    crds.filter(({ spec }) => spec.scope === 'Cluster').map(({ spec }) => spec.names['kind']),
    ['RackHost'],
  );
});

void test('short names are ours alone', () => {
  const names = crds.flatMap(({ spec }) => spec.names['shortNames'] as readonly string[]);
  assert.equal(new Set(names).size, names.length);
  // Of Cluster API, Metal3, and other providers of bare metal that may stand in the same cluster.
  const taken = ['cl', 'ma', 'ms', 'md', 'mhc', 'mp', 'cc', 'kcp', 'bmh', 'bmhost', 'm3m', 'm3c', 'm3mt', 'hfs', 'bmc', 'bms', 'hw', 'wf'];
  assert.deepEqual(
    names.filter((name) => taken.includes(name)),
    [],
  );
});

void test('every column reads a field that the schema has', () => {
  for (const crd of crds) {
    const paths = new Set(walk(schemaOf(crd), '').map(({ path }) => path));
    const columns = crd.spec.versions[0].additionalPrinterColumns as readonly { readonly jsonPath: string }[];
    assert.ok(columns.length > 0, crd.metadata.name);
    for (const { jsonPath } of columns.filter(({ jsonPath: path }) => !path.startsWith('.metadata.'))) {
      const place = jsonPath.replace(/\[\?\(@\.type=="Ready"\)\]/, '[]');
      const isInMap = paths.has(`${place.slice(0, place.lastIndexOf('.'))}{}`);
      assert.ok(paths.has(place) || isInMap, `${crd.metadata.name}: ${jsonPath}`);
    }
  }
});

void test('every rule speaks of fields that stand beside it', () => {
  const ruled = all.filter(({ node }) => node['x-kubernetes-validations'] !== undefined);
  assert.ok(ruled.length >= 16, `${ruled.length} places have rules`);
  for (const { path, node } of ruled)
    for (const { rule, message } of node['x-kubernetes-validations'] as readonly { readonly rule: string; readonly message: string }[]) {
      assert.ok(message.length > 20 && !message.includes('\n'), path);
      for (const [, field = ''] of rule.matchAll(/\b(?:self|oldSelf)\.(\w+)/g))
        assert.ok(node.properties?.[field] !== undefined, `${path}: ${field}`);
    }
});

void test('what must be said makes the spec itself required; elsewhere its defaults come by themselves', () => {
  const required = Object.fromEntries(crds.map((crd) => [crd.spec.names['kind'], schemaOf(crd).required]));
  assert.deepEqual(required['BareMetalMachine'], ['spec']);
  assert.equal(required['BareMetalCluster'], undefined);
  for (const crd of crds) {
    const { required: must, properties } = schemaOf(crd);
    if (properties?.['spec'] !== undefined && must === undefined) assert.deepEqual(properties['spec'].default, {});
  }
});

const refused: readonly { readonly name: string; readonly schema: z.ZodType; readonly because: RegExp }[] = [
  { name: 'a union', schema: z.object({ a: z.union([z.string(), z.int32()]) }), because: /K\.a: "anyOf"/ },
  { name: 'anything', schema: z.object({ a: z.unknown() }), because: /K\.a: it has no type/ },
  { name: 'a strict object', schema: z.strictObject({ a: z.boolean() }), because: /K\{\}: no schema stands here/ },
  { name: 'a list without an end', schema: z.object({ a: z.array(z.boolean()) }), because: /K\.a: a list needs maxItems/ },
  { name: 'a map without an end', schema: z.object({ a: z.record(z.string(), z.boolean()) }), because: /K\.a: a map needs maxProperties/ },
  {
    name: 'a key of a list-map that may be absent',
    schema: z
      .array(z.object({ a: z.string().optional() }))
      .max(1)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['a'] }),
    because: /each of the list-map keys a must be required/,
  },
];
for (const { name, schema, because } of refused)
  void test(`refused before an API server does: ${name}`, () => {
    assert.throws(() => structural(schema, 'K'), because);
  });
