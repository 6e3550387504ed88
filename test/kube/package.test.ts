/** The package for clusterctl: the committed files are what the code writes, every variable is known, and nothing is granted without a reason. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { packageFiles } from '../../src/kube/package/files.ts';
import { clusterRights, ownRights } from '../../src/kube/package/rights.ts';
import { variables, variablesOf } from '../../src/kube/package/variables.ts';
import { definitions } from '../../src/kube/schema/definitions.ts';

const folder = new URL('../../deploy/cluster-api/', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
const files = packageFiles(version);

interface Written {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [more: string]: unknown;
}
const objectsOf = (name: string): readonly Written[] =>
  parseAllDocuments(files.get(name) ?? '').map((document) => (document as { toJS: () => unknown }).toJS() as Written);
const components = objectsOf('infrastructure-components.yaml');
const only = (kind: string): Written => {
  const found = components.filter((object) => object.kind === kind);
  assert.equal(found.length, 1, kind);
  return found[0] as Written;
};

void test('deploy/cluster-api holds what the code writes for this version: remuda capi manifests --out deploy/cluster-api', () => {
  assert.deepEqual(readdirSync(folder).toSorted(), [...files.keys()].toSorted());
  for (const [name, text] of files) assert.equal(readFileSync(new URL(name, folder), 'utf8'), text, name);
});

void test('every variable is in the table, and every one of the table is in a file', () => {
  const found = [...files].map(([name, text]) => ({ name, ...variablesOf(text) }));
  for (const { name, strangers } of found) assert.deepEqual(strangers, [], name);
  assert.deepEqual(
    Object.keys(variables).filter((name) => !found.some(({ known }) => (known as readonly string[]).includes(name))),
    [],
  );
});

void test('variables.md has a row for each variable, and names its files', () => {
  const rows = (files.get('variables.md') ?? '').split('\n').filter((line) => line.startsWith('| `'));
  assert.equal(rows.length, Object.keys(variables).length);
  for (const row of rows) assert.match(row, /^\| `[A-Z0-9_]+` \| .+ \| .{12,} \| [a-z, -]+ \|$/);
});

void test('each file explains each variable that it has', () => {
  for (const [name, text] of files) {
    const comment = text.split('\n').filter((line) => line.startsWith('#'));
    for (const variable of variablesOf(text).known)
      assert.ok(
        comment.some((line) => line.startsWith(`#   ${variable} (`)),
        `${name}: ${variable}`,
      );
  }
});

void test('a dollar sign that is no variable would be eaten by clusterctl', () => {
  for (const [name, text] of files) for (const [line] of text.matchAll(/^.*\$\$.*$/gm)) assert.fail(`${name}: ${line}`);
});

void test('metadata.yaml names this series and its contract', () => {
  assert.deepEqual(parse(files.get('metadata.yaml') ?? ''), {
    apiVersion: 'clusterctl.cluster.x-k8s.io/v1alpha3',
    kind: 'Metadata',
    releaseSeries: [{ major: 0, minor: 2, contract: 'v1beta2' }],
  });
  const later = parse(packageFiles('v0.4.1').get('metadata.yaml') ?? '') as { readonly releaseSeries: readonly { minor: number }[] };
  assert.deepEqual(
    later.releaseSeries.map(({ minor }) => minor),
    [2, 3, 4],
  );
  assert.throws(() => packageFiles('latest'), /"latest" is no version: write it like 0\.2\.0/);
});

void test('all objects carry the provider\u2019s label, and stand in its one namespace', () => {
  assert.equal(only('Namespace').metadata.name, 'remuda-system');
  for (const { kind, metadata } of components) {
    assert.equal(metadata.labels?.['cluster.x-k8s.io/provider'], 'infrastructure-remuda', `${kind} ${metadata.name}`);
    assert.ok(metadata.namespace === undefined || metadata.namespace === 'remuda-system', `${kind} ${metadata.name}`);
  }
  assert.equal(components.filter(({ kind }) => kind === 'CustomResourceDefinition').length, definitions.length);
});

void test('the pod of the controller has no right on its node', () => {
  const spec = only('Deployment')['spec'] as { template: { spec: Readonly<Record<string, unknown>> } };
  const pod = spec.template.spec;
  const [container] = pod['containers'] as readonly Readonly<Record<string, unknown>>[];
  assert.equal(container?.['name'], 'manager');
  for (const shared of ['hostNetwork', 'hostPID', 'hostIPC']) assert.equal(pod[shared], undefined);
  assert.ok((pod['volumes'] as readonly object[]).every((volume) => !('hostPath' in volume)));
  assert.deepEqual((pod['securityContext'] as Record<string, unknown>)['runAsNonRoot'], true);
  assert.partialDeepStrictEqual(container['securityContext'], {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
  });
  // The token is read from a file: arguments and environment are seen by whoever may look at the pod.
  assert.doesNotMatch(JSON.stringify(pod), /REMUDA_TOKEN/);
});

void test('nothing is granted for all verbs or resources, and each line says why', () => {
  for (const { group, resources, verbs, why } of [...clusterRights, ...ownRights]) {
    assert.ok(why.length > 15, resources.join());
    for (const word of [group, ...resources, ...verbs]) assert.doesNotMatch(word, /\*/);
    for (const word of ['escalate', 'bind', 'impersonate', 'deletecollection']) assert.ok(!verbs.includes(word));
  }
  const writable = clusterRights.filter(({ verbs }) => verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)));
  assert.ok(!writable.some(({ resources }) => resources.includes('secrets')), 'secrets are only read');
  const secrets = clusterRights.filter(({ resources }) => resources.includes('secrets'));
  assert.deepEqual(
    secrets.flatMap(({ verbs }) => verbs),
    ['get'],
    'who may list secrets has them all',
  );
  const deletable = clusterRights.filter(({ verbs }) => verbs.includes('delete')).flatMap(({ resources }) => resources);
  assert.deepEqual(deletable, ['rackhosts']);
});

void test('every kind with a status that a controller writes may be written', () => {
  const may = (resource: string): readonly string[] =>
    clusterRights.filter(({ resources }) => resources.includes(resource)).flatMap(({ verbs }) => verbs);
  for (const { kind, status } of definitions.filter(({ status: has }) => has !== undefined)) {
    assert.ok(status !== undefined && may(`${kind.plural}/status`).includes('patch'), kind.plural);
    assert.ok(
      ['get', 'list', 'watch'].every((verb) => may(kind.plural).includes(verb)),
      kind.plural,
    );
  }
});

const flavours = [...files.keys()].filter((name) => name.startsWith('cluster-template'));
const filled = (name: string): string =>
  (files.get(name) ?? '').replaceAll(
    /\$\{([A-Z0-9_]+)(?::=([^}]*))?\}/g,
    (_whole, variable: keyof typeof variables, value?: string) =>
      value ?? (variables[variable].isPlain === true ? '3' : variable === 'CLUSTER_NAME' ? '1' : 'given'),
  );
const filledObjects = (name: string): readonly Written[] =>
  parseAllDocuments(filled(name)).map((document) => (document as { toJS: () => unknown }).toJS() as Written);

for (const name of [...flavours, 'clusterclass-remuda.yaml'])
  void test(`${name}: filled in, our kinds in it fit their schemas, and a cluster may be called 1`, () => {
    const objects = filledObjects(name);
    for (const object of objects) {
      assert.equal(typeof object.metadata.name, 'string');
      definitions.find(({ kind }) => kind.kind === object.kind)?.spec?.parse(object['spec']);
    }
    const text = JSON.stringify(objects);
    if (name !== 'cluster-template-topology.yaml') assert.match(text, /provider-id","value":"\{\{ ds\.meta_data\.provider_id \}\}/);
  });

void test('every flavour replaces workers without a spare host, and the default repairs before it replaces', () => {
  for (const name of flavours.filter((flavour) => !flavour.includes('topology'))) {
    const deployment = filledObjects(name).find(({ kind }) => kind === 'MachineDeployment');
    const spec = deployment?.['spec'] as { readonly rollout: { readonly strategy: { readonly rollingUpdate: unknown } } };
    assert.deepEqual(spec.rollout.strategy.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 }, name);
  }
  assert.ok(filledObjects('cluster-template.yaml').some(({ kind }) => kind === 'BareMetalRemediationTemplate'));
});

void test('no variable has an empty default: clusterctl would ask for it', () => {
  for (const [name, text] of files) assert.doesNotMatch(text, /:=\}/, name);
});
