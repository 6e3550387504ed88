/** Our CRDs and policies on a real API server: established, structural, and refusing with our own words. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { field, textField } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import { clusterRights } from '../../../src/kube/package/rights.ts';
import { definitions } from '../../../src/kube/schema/definitions.ts';
import { oldManifests } from '../../kube/schema/packet-manifests.ts';
import { objectsOf, providerObjects } from './provider.ts';
import { eventually, ground, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const group = '/apis/infrastructure.cluster.x-k8s.io';
const pluralOf = (kind: string): string => definitions.find(({ kind: one }) => one.kind === kind)?.kind.plural ?? kind;
const pathOf = ({ apiVersion, kind, metadata }: PlaneObject, name = ''): string =>
  `/apis/${apiVersion}${metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`}/${pluralOf(kind)}${name}`;
const infra = (kind: string, namespace: string, name: string, spec: object): PlaneObject => ({
  apiVersion: `infrastructure.cluster.x-k8s.io/${kind.startsWith('Packet') ? 'v1beta1' : 'v1beta2'}`,
  kind,
  metadata: { name, namespace },
  spec,
});
const create = (on: TestPlane, object: PlaneObject) => on.door.call('POST', pathOf(object), object);
const merge = (on: TestPlane, object: PlaneObject, patch: object, query = '') =>
  on.door.call('PATCH', `${pathOf(object, `/${object.metadata.name}`)}${query}`, patch, 'application/merge-patch+json');
const refusedWith = (answer: { readonly status: number; readonly body: unknown }, words: RegExp): void => {
  assert.equal(answer.status, 422, JSON.stringify(answer.body));
  assert.match(textField(answer.body, 'message') ?? '', words);
};
const taken = (answer: { readonly status: number; readonly body: unknown }): unknown => {
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body;
};

void describe('the provider\u2019s kinds on a real API server', ground, () => {
  let on: TestPlane;
  before(async () => {
    if (ground.skip !== false) return;
    on = plane();
    await on.apply(...providerObjects());
  });

  void test('all are established, and none is refused as not structural', async () => {
    for (const { kind } of definitions) {
      const crd = await on.door.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${kind.plural}.${kind.group}`);
      const conditions = Object.fromEntries(
        (field(crd, 'status', 'conditions') as readonly { type: string; status: string }[]).map(({ type, status }) => [type, status]),
      );
      assert.equal(conditions['Established'], 'True', kind.plural);
      assert.equal(conditions['NamesAccepted'], 'True', kind.plural);
      assert.notEqual(conditions['NonStructuralSchema'], 'True', kind.plural);
    }
  });

  void test('a machine is taken with its defaults, and unknown fields are dropped', async (t) => {
    const namespace = await on.newNamespace(t);
    const wished = { image: 'debian', placement: {}, hostSelector: { cores: 4, memory: '16Gi' }, nonsense: true };
    const made = taken(await create(on, infra('BareMetalMachine', namespace, 'm', wished)));
    assert.deepEqual(field(made, 'spec'), {
      image: 'debian',
      placement: { by: 'failureDomain', mode: 'Spread' },
      hostSelector: { cores: 4, memory: '16Gi' },
    });
    const bare: PlaneObject = {
      apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2',
      kind: 'BareMetalRemediation',
      metadata: { name: 'r', namespace },
    };
    assert.deepEqual(field(taken(await create(on, bare)), 'spec'), {
      strategy: 'RebootThenReimage',
      reboots: 1,
      reimages: 1,
      timeoutSeconds: 600,
    });
  });

  const refusals: readonly { readonly name: string; readonly kind: string; readonly spec: object; readonly words: RegExp }[] = [
    { name: 'no image', kind: 'BareMetalMachine', spec: {}, words: /spec\.image: Required value/ },
    {
      name: 'host and selector',
      kind: 'BareMetalMachine',
      spec: { image: 'i', host: 'h', hostSelector: { cores: 1 } },
      words: /host and hostSelector exclude each other: name one host, or say what it must be like/,
    },
    {
      name: 'a disk rule that says nothing',
      kind: 'BareMetalMachine',
      spec: { image: 'i', disk: {} },
      words: /name the disk by serial, wwn/,
    },
    {
      name: 'a disk that cannot be',
      kind: 'BareMetalMachine',
      spec: { image: 'i', disk: { minSize: '2Ti', maxSize: '500G' } },
      words: /no disk fits: minSize is more than maxSize/,
    },
    {
      name: 'In without values',
      kind: 'BareMetalMachine',
      spec: { image: 'i', hostSelector: { matchExpressions: [{ key: 'rack', operator: 'In' }] } },
      words: /In and NotIn need values/,
    },
    {
      name: 'Exists with values',
      kind: 'BareMetalMachine',
      spec: { image: 'i', hostSelector: { matchExpressions: [{ key: 'rack', operator: 'Exists', values: ['a'] }] } },
      words: /Exists and DoesNotExist take none/,
    },
    {
      name: 'an amount that is none',
      kind: 'BareMetalMachine',
      spec: { image: 'i', hostSelector: { memory: 'much' } },
      words: /hostSelector\.memory/,
    },
    {
      name: 'a claim ID in a template',
      kind: 'BareMetalMachineTemplate',
      spec: { template: { spec: { image: 'i', claimID: 'c' } } },
      words: /a template names no claimID/,
    },
    {
      name: 'metro and facility',
      kind: 'PacketCluster',
      spec: { projectID: 'p', metro: 'da', facility: 'da11' },
      words: /metro and facility exclude/,
    },
    {
      name: 'a manager of addresses that nobody knows',
      kind: 'PacketCluster',
      spec: { projectID: 'p', vipManager: 'BGP' },
      words: /vipManager/,
    },
    {
      name: 'a Packet machine without a type',
      kind: 'PacketMachine',
      spec: { os: 'ubuntu_20_04' },
      words: /spec\.machineType: Required value/,
    },
  ];
  for (const { name, kind, spec, words } of refusals)
    void test(`refused: ${name}`, async (t) => {
      const namespace = await on.newNamespace(t);
      refusedWith(await create(on, infra(kind, namespace, 'x', spec)), words);
    });

  void test('what stands stays: claim ID, provider ID; and what an update in place changes may change', async (t) => {
    const namespace = await on.newNamespace(t);
    for (const [kind, spec] of [
      ['BareMetalMachine', { image: 'a' }],
      ['PacketMachine', { os: 'a', machineType: 't' }],
    ] as const) {
      const machine = infra(kind, namespace, 'm', spec);
      taken(await create(on, machine));
      taken(await merge(on, machine, { spec: { claimID: 'c1', providerID: 'remuda://c1' } }));
      refusedWith(await merge(on, machine, { spec: { claimID: 'c2' } }), /claimID cannot be changed or taken away/);
      refusedWith(await merge(on, machine, { spec: { claimID: null } }), /claimID cannot be changed or taken away/);
      refusedWith(await merge(on, machine, { spec: { providerID: 'remuda://c2' } }), /providerID cannot be changed or taken away/);
      taken(await merge(on, machine, { spec: { image: 'b', hostName: 'n1', whenNotInPlace: 'Stop' } }));
    }
  });

  void test('the endpoint may be mended until the cluster has it, then it stays', async (t) => {
    const namespace = await on.newNamespace(t);
    for (const [kind, spec] of [
      ['BareMetalCluster', {}],
      ['PacketCluster', { projectID: 'p' }],
    ] as const) {
      const cluster = infra(kind, namespace, 'c', { ...spec, controlPlaneEndpoint: { host: '192.0.2.1', port: 6443 } });
      taken(await create(on, cluster));
      taken(await merge(on, cluster, { spec: { controlPlaneEndpoint: { host: '192.0.2.2' } } }));
      const status = `${pathOf(cluster, '/c')}/status`;
      taken(await on.door.call('PATCH', status, { status: { initialization: { provisioned: true } } }, 'application/merge-patch+json'));
      refusedWith(
        await merge(on, cluster, { spec: { controlPlaneEndpoint: { host: '192.0.2.3' } } }),
        /controlPlaneEndpoint cannot be changed any more/,
      );
      refusedWith(await merge(on, cluster, { spec: { controlPlaneEndpoint: null } }), /controlPlaneEndpoint cannot be changed any more/);
      taken(await merge(on, cluster, { metadata: { labels: { a: 'b' } } }));
    }
    const packet = infra('PacketCluster', namespace, 'c', {});
    refusedWith(await merge(on, packet, { spec: { projectID: 'q' } }), /projectID cannot be changed/);
    refusedWith(await merge(on, packet, { spec: { vipManager: 'KUBE_VIP' } }), /vipManager cannot be changed/);
  });

  void test('the status is written apart from the spec', async (t) => {
    const namespace = await on.newNamespace(t);
    const machine = infra('BareMetalMachine', namespace, 'm', { image: 'a' });
    taken(await create(on, machine));
    const answer = taken(await merge(on, machine, { status: { claimGeneration: 3 } }));
    assert.equal(field(answer, 'status'), undefined);
  });

  for (const { kind, spec } of [
    { kind: 'BareMetalMachineTemplate', spec: { image: 'a' } },
    { kind: 'PacketMachineTemplate', spec: { os: 'a', machineType: 't' } },
    { kind: 'BareMetalClusterTemplate', spec: { failureDomainBy: 'rack' } },
  ])
    void test(`${kind}: cannot be changed, but for the topology controller\u2019s dry runs`, async (t) => {
      const namespace = await on.newNamespace(t);
      const template = infra(kind, namespace, 't', { template: { spec } });
      const dryRun = { 'topology.cluster.x-k8s.io/dry-run': '' };
      taken(await create(on, template));
      const changed = kind === 'BareMetalClusterTemplate' ? { failureDomainBy: 'None' } : { hostName: 'n' };
      const patch = { spec: { template: { spec: changed } } };
      // A policy is in force some moments after it was written.
      await eventually('the policy refuses', async () => (await merge(on, template, patch, '?dryRun=All')).status === 422);
      refusedWith(await merge(on, template, patch), /spec\.template\.spec cannot be changed: machines that stand were made from it/);
      taken(await merge(on, template, { ...patch, metadata: { annotations: dryRun } }, '?dryRun=All'));
      refusedWith(await merge(on, template, { ...patch, metadata: { annotations: dryRun } }), /cannot be changed/);
      taken(await merge(on, template, { metadata: { labels: { a: 'b' } } }));
    });

  for (const { origin, text } of oldManifests)
    void test(`taken unchanged: ${origin}`, async (t) => {
      const namespace = await on.newNamespace(t);
      for (const object of objectsOf(text)) {
        const here = { ...object, metadata: { ...object.metadata, namespace } };
        const made = taken(await create(on, here));
        assert.deepEqual({ ...(field(made, 'spec') as object), vipManager: 0 }, { ...(object['spec'] as object), vipManager: 0 });
        if (object['status'] === undefined) continue;
        const status = `${pathOf(here, `/${here.metadata.name}`)}/status`;
        const shown = taken(await on.door.call('PATCH', status, { status: object['status'] }, 'application/merge-patch+json'));
        assert.deepEqual(field(shown, 'status'), object['status']);
      }
    });

  void test('docs/from-packet.md: its manifest is taken, before and after', async (t) => {
    const namespace = await on.newNamespace(t);
    const [, diff = ''] = /```diff\n([^]*?)```/.exec(readFileSync(new URL('../../../docs/from-packet.md', import.meta.url), 'utf8')) ?? [];
    for (const other of ['+', '-']) {
      const lines = diff.split('\n').filter((line) => !line.startsWith(other));
      const objects = objectsOf(lines.map((line) => line.slice(1)).join('\n'));
      assert.equal(objects.length, 5);
      const file = join(tmpdir(), `${namespace}.yaml`);
      writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
      t.after(() => rmSync(file, { force: true }));
      assert.match(await on.kubectl('apply', '--dry-run=server', '--validate=strict', '-n', namespace, '-f', file), /c1-worker-a created/);
    }
  });

  void test('kubectl get rackhosts shows what an operator looks for at night', async (t) => {
    const name = `r1-u07-${process.pid}`;
    const host = { apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2', kind: 'RackHost', metadata: { name } };
    t.after(() => on.door.call('DELETE', `${group}/v1beta2/rackhosts/${name}`));
    await on.apply(host);
    const claim = { id: 'c1', owner: 'team-a/md-0-x', image: 'debian', generation: 2, hostName: 'n1' };
    const status = {
      id: 'h1',
      state: 'provisioning',
      power: 'on',
      doing: 'writes debian',
      pool: 'default',
      rack: 'r1',
      failureDomain: 'row-3',
      claim,
    };
    await on.door.applyStatus({ ...host, status });
    const [head = '', row = ''] = (await on.kubectl('get', 'rackhosts', name)).trim().split('\n');
    assert.deepEqual(head.split(/ {2,}/), ['NAME', 'STATE', 'POWER', 'POOL', 'RACK', 'DOMAIN', 'CLAIM', 'IMAGE', 'DOING']);
    assert.deepEqual(row.split(/ {2,}/), [
      name,
      'provisioning',
      'on',
      'default',
      'r1',
      'row-3',
      'team-a/md-0-x',
      'debian',
      'writes debian',
    ]);
    assert.match(await on.kubectl('get', 'rh', name), /provisioning/);
  });

  void test('kubectl explain says what a field is for, and get cluster-api lists our machines', async (t) => {
    const namespace = await on.newNamespace(t);
    assert.match(await on.kubectl('explain', 'baremetalmachine.spec.nodeReuse'), /Wait while it is being\s+cleaned/);
    taken(await create(on, infra('BareMetalMachine', namespace, 'listed', { image: 'a' })));
    assert.match(
      await on.kubectl('get', 'cluster-api', '-n', namespace, '-o', 'name'),
      /baremetalmachine\.infrastructure\.cluster\.x-k8s\.io\/listed/,
    );
  });

  void test('the account of the controller may do what the table says, and not more', async () => {
    const may = (attributes: Readonly<Record<string, string>>): Promise<boolean> =>
      on.door.mayAccount('remuda-system', 'remuda-controller', { namespace: 'team-a', ...attributes });
    for (const { group: apiGroup, resources, verbs } of clusterRights)
      for (const resource of resources) {
        const [plural = '', subresource = ''] = resource.split('/');
        for (const verb of verbs) assert.ok(await may({ group: apiGroup, resource: plural, subresource, verb }), `${verb} ${resource}`);
      }
    for (const denied of [
      { group: '', resource: 'secrets', verb: 'list' },
      { group: '', resource: 'secrets', verb: 'create' },
      { group: '', resource: 'secrets', verb: 'delete' },
      { group: '', resource: 'pods', verb: 'list' },
      { group: 'cluster.x-k8s.io', resource: 'machines', verb: 'delete' },
      { group: 'infrastructure.cluster.x-k8s.io', resource: 'baremetalmachines', verb: 'delete' },
      { group: 'coordination.k8s.io', resource: 'leases', verb: 'update' },
      { group: 'rbac.authorization.k8s.io', resource: 'clusterroles', verb: 'get' },
    ])
      assert.equal(await may(denied), false, JSON.stringify(denied));
    assert.ok(await may({ namespace: 'remuda-system', group: 'coordination.k8s.io', resource: 'leases', verb: 'update' }));
  });

  void test('everything of the package is taken as it stands, a second time too', async () => {
    const first = await on.read('crd', 'baremetalmachines.infrastructure.cluster.x-k8s.io');
    await on.apply(...providerObjects());
    const again = await on.read('crd', 'baremetalmachines.infrastructure.cluster.x-k8s.io');
    assert.deepEqual(again?.['spec'], first?.['spec']);
    assert.equal(field(again, 'metadata', 'generation'), field(first, 'metadata', 'generation'));
  });
});
