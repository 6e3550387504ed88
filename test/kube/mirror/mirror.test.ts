/** The rack in kubectl: one object a host, written when something changed and not too often, changed back, and gone with its host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHostJson } from '../../../src/api/admin-json.ts';
import type { HostJson } from '../../../src/api/types.ts';
import { changesBetween } from '../../../src/kube/mirror/follow.ts';
import { objectNames, rackHostStatusOf } from '../../../src/kube/mirror/rack-host.ts';
import { apiVersionOf, kinds } from '../../../src/kube/objects.ts';
import { rackHostStatus } from '../../../src/kube/schema/bare-metal.ts';
import { capacityOf } from '../../../src/kube/machine/template.ts';
import { limits } from '../../../src/limits.ts';
import { everyHost, provisioned } from '../../host/make.ts';
import { Bench } from '../machine/bench.ts';

const kind = kinds.rackHost;
const shown = (host: (typeof everyHost)[number], more: Partial<HostJson> = {}): HostJson => ({
  ...toHostJson({ host, doing: 'x' }),
  ...more,
});

test('every state of a host is a status that the schema takes, without a secret', () => {
  for (const host of everyHost) {
    const status = rackHostStatusOf(shown(host));
    assert.deepEqual(rackHostStatus.parse(status), status);
    assert.ok(!JSON.stringify(status).includes('secret'));
  }
  assert.equal(rackHostStatusOf(shown(provisioned)).claim?.image, 'alpha');
});
test('names: what Kubernetes takes, never the same twice, and the oldest keeps its own', () => {
  const host = (id: string, name: string, createdAt: number): HostJson => shown(provisioned, { id, name, createdAt });
  const names = objectNames([host('2', 'R1.u_7', 2), host('1', 'r1.u-7', 1), host('3', '---', 3), host('4', 'a'.repeat(300), 4)]);
  assert.deepEqual(
    [...names].map(([name, { id }]) => [name, id]),
    [
      ['r1.u-7', '1'],
      ['r1.u-7-2', '2'],
      ['host-3', '3'],
      ['a'.repeat(63), '4'],
    ],
  );
});
test('what a change of the rack concerns', () => {
  const [a, b] = [shown(provisioned, { id: 'a', name: 'a' }), shown(everyHost[2] ?? provisioned, { id: 'b', name: 'b' })];
  assert.deepEqual(changesBetween([a, b], [a, b]), { claims: [], hasRoom: false, isOther: false, hosts: [] });
  assert.deepEqual(changesBetween([a], [{ ...a, progress: { step: 'install', done: 1, total: 9 } }]).hosts, []);
  assert.deepEqual(changesBetween([a], [{ ...a, doing: 'y' }]), { claims: ['c1'], hasRoom: false, isOther: false, hosts: ['a'] });
  assert.deepEqual(changesBetween([a], [a, b]), { claims: [], hasRoom: true, isOther: true, hosts: ['b'] });
  assert.deepEqual(changesBetween([a, b], [b]), { claims: ['c1'], hasRoom: false, isOther: true, hosts: ['a'] });
});

test('the mirror follows the rack, is changed back, and forgets what was forgotten', async () => {
  const bench = new Bench();
  bench.metal.add('h1');
  bench.metal.add('h2');
  bench.api.seed(kind, { apiVersion: apiVersionOf(kind), kind: 'RackHost', metadata: { name: 'old' } });
  const started = bench.start();
  await bench.world.advance(3_000);
  assert.deepEqual(
    bench.api
      .all(kind)
      .map(({ metadata }) => metadata.name)
      .toSorted(),
    ['h1', 'h2'],
  );
  const before = bench.look('/h1', kind).status;
  await bench.api.patch(kind, '/h1', { status: { state: 'nonsense', labels: { x: 'y' } } }, { fieldManager: 'eve', subresource: 'status' });
  await bench.world.advance(limits.kubeMirrorMs + 2_000);
  assert.deepEqual(bench.look('/h1', kind).status, before);
  const { length } = bench.writesTo(kind, '/h2');
  for (let tick = 0; tick < 120; tick++) {
    bench.metal.apply('h2', { type: 'power-seen', power: tick % 2 === 0 ? 'on' : 'off' });
    await bench.world.advance(500);
  }
  const written = bench.writesTo(kind, '/h2').length - length;
  assert.ok(written > 0 && written <= 60_000 / limits.kubeMirrorMs + 1, `${written} writes in a minute`);
  bench.metal.forget('h2');
  await bench.world.advance(3_000);
  assert.equal(bench.api.peek(kind, '/h2'), undefined);
  bench.metal.isAway = true;
  await bench.world.advance(limits.kubeResyncMs * 2);
  assert.ok(bench.api.peek(kind, '/h1') !== undefined, 'a rack that is away has forgotten nobody');
  await started.stop();
});

test('a template tells what the smallest host that fits has', async () => {
  const bench = new Bench();
  const gib = 1024 ** 3;
  bench.metal.add('big', { memoryBytes: 64 * gib, cpu: { model: 'x', cores: 16, threads: 32 } });
  const gpus = [{ address: '0000:3b:00.0', vendor: '10de', device: '2330' }];
  bench.metal.add('small', { memoryBytes: 8 * gib, cpu: { model: 'x', cores: 4, threads: 8 }, gpus });
  bench.metal.add('tiny', { memoryBytes: gib });
  const template = kinds.bareMetalMachineTemplate;
  bench.api.seed(template, {
    apiVersion: apiVersionOf(template),
    kind: template.kind,
    metadata: { name: 't', namespace: 'ns' },
    spec: { template: { spec: { image: 'alpha', hostSelector: { memory: '4Gi' } } } },
  });
  const started = bench.start();
  await bench.world.advance(2_000);
  assert.deepEqual(bench.look('ns/t', template).status, {
    capacity: { cpu: '8', memory: '8Gi', 'ephemeral-storage': '1Ki', 'nvidia.com/gpu': '1' },
    nodeInfo: { operatingSystem: 'linux', architecture: 'amd64' },
  });
  await bench.world.advance(limits.kubeResyncMs * 3);
  assert.equal(bench.writesTo(template, 'ns/t').length, 1);
  assert.equal(capacityOf({ image: 'alpha', hostSelector: { memory: '1Ti' } }, ['default'], await bench.metal.hosts()), undefined);
  await started.stop();
});
