/** Lives of PacketMachines and PacketClusters as old manifests say them, under the real runtime. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { capi, finalizers, ours } from '../../../src/kube/names.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { Key } from '../../../src/kube/objects.ts';
import { instanceStatusOf } from '../../../src/kube/packet/adapter.ts';
import { limits } from '../../../src/limits.ts';
import { objectOf } from '../machine/bench.ts';
import { oldObjects, oldUserData, PacketBench, templateSpec } from './bench.ts';

const kind = kinds.packetMachine;
const plan = 'm3.small.x86';
const endpoint = { controlPlaneEndpoint: { host: '192.0.2.9', port: 6443 } };
const device = '7c1a9a5e-5d2a-4d8a-9d5b-0d6f5a2c9b11';
interface Spec {
  readonly claimID?: string;
  readonly providerID?: string;
}
const spec = (bench: PacketBench, key: Key): Spec => bench.look(key, kind).spec as Spec;
const status = (bench: PacketBench, key: Key, of = kind) => bench.look(key, of).status as Record<string, unknown>;
const word = (bench: PacketBench, key: Key, type = 'Ready'): string => bench.word(key, type, kind);
const message = (bench: PacketBench, key: Key): string => bench.said(key, 'Ready', kind).message;

describe('a PacketMachine', () => {
  test('lives from an old manifest to a clean host; keys, tags and its device ID arrive', async () => {
    const bench = new PacketBench();
    bench.metal.add('other', {}, { labels: { plan: 'c3.small.x86', metro: 'da' } });
    bench.metal.add('far', {}, { labels: { plan, metro: 'am' } });
    bench.metal.add('kept', {}, { labels: { plan, metro: 'da', reservation: 'r1' } });
    bench.metal.add('h1', {}, { labels: { plan, metro: 'da' } });
    bench.packetCluster(endpoint);
    const key = bench.packetMachine('m1');
    const { uid } = bench.look(key, kind).metadata;
    const started = bench.start();
    await bench.world.advance(2_000);
    assert.equal(spec(bench, key).claimID, uid, 'the claim is the device: its ID is a UUID');
    assert.equal(word(bench, key), 'False Provisioning');
    assert.equal(status(bench, key)['instanceStatus'], 'provisioning');
    const [request] = bench.metal.requests;
    assert.equal(request?.image, 'ubuntu_20_04');
    assert.deepEqual(request?.metaData, {
      'instance-id': uid,
      provider_id: `equinixmetal://${uid}`,
      'public-keys': (templateSpec('c1-worker-a') as { readonly sshKeys: readonly string[] }).sshKeys,
      tags: ['blue'],
    });
    const { claim } = bench.metal.of('h1');
    assert.equal(claim?.id, uid);
    assert.match(claim?.intent.userData ?? '', /# equinixmetal:\/\/\{\{ v1\.instance_id \}\}\n# v1\.34\.4 192\.0\.2\.9 abcdef/);
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    assert.equal(word(bench, key), 'True Ready');
    assert.equal(spec(bench, key).providerID, `equinixmetal://${uid}`);
    const { ready, initialization, instanceStatus, addresses } = status(bench, key);
    assert.deepEqual([ready, initialization, instanceStatus], [true, { provisioned: true }, 'active']);
    assert.deepEqual(addresses, [{ type: 'Hostname', address: 'm1' }, ...(addresses as readonly unknown[]).slice(1)]);
    assert.deepEqual(bench.look(key, kind).metadata.finalizers, [finalizers.packetMachine]);
    await bench.api.delete(kind, key);
    await bench.world.advance(2_000);
    assert.equal(word(bench, key, 'HostReleased'), 'False PoweringOff');
    assert.equal(status(bench, key)['instanceStatus'], 'deprovisioning');
    bench.metal.off('h1');
    await bench.world.advance(2_000);
    assert.equal(bench.api.peek(kind, key), undefined);
    assert.deepEqual(
      bench.metal.calls.map(({ verb }) => verb),
      ['claim', 'release'],
    );
    const told = JSON.stringify([bench.api.requests, bench.world.logged]);
    assert.ok(!told.includes('abcdef.0123456789abcdef'), 'the user data stand in no request and no log');
    await started.stop();
  });

  for (const { name, more, userData, says } of [
    { name: 'a script from elsewhere', more: { os: 'custom_ipxe', ipxeURL: 'http://x/y' }, says: /spec\.ipxeURL/ },
    { name: 'the API key of a project', userData: '#cloud-config\n# {{ .apiKey }}\n', says: /line 2 .*\.apiKey.*no API of Equinix/ },
    { name: 'no public key', more: { sshKeys: ['Your SSH public key'] }, says: /spec\.sshKeys/ },
    { name: 'a metro that no label could say', more: { metro: 'd a' }, says: /selector\.labels\.metro/ },
    { name: 'a tag of two lines', more: { tags: ['a\nb'] }, says: /metaData\.tags.*one line/ },
  ])
    test(`asks for ${name}: InvalidSpec, and nothing is claimed`, async () => {
      const bench = new PacketBench();
      bench.metal.add('h1', {}, { labels: { plan, metro: 'da' } });
      bench.packetCluster(endpoint);
      const key = bench.packetMachine('m1', more, userData === undefined ? {} : { userData });
      const started = bench.start();
      await bench.world.advance(3_000);
      assert.equal(word(bench, key), 'False InvalidSpec');
      assert.match(message(bench, key), says);
      assert.equal(status(bench, key)['instanceStatus'], 'queued');
      assert.equal(bench.metal.calls.length, 0);
      await started.stop();
    });

  test('waits where no host has the labels, and says which were asked for', async () => {
    const bench = new PacketBench();
    bench.metal.add('h1', {}, { labels: { metro: 'da' } });
    bench.packetCluster(endpoint);
    const key = bench.packetMachine('m1');
    const started = bench.start();
    await bench.world.advance(3_000);
    assert.equal(word(bench, key), 'False NoHostFits');
    assert.match(message(bench, key), /1 hosts? looked at.*label/);
    bench.metal.add('h2', {}, { labels: { metro: 'da', plan } });
    await bench.world.advance(3_000);
    assert.equal(word(bench, key), 'False Provisioning');
    await started.stop();
  });

  test('takes its reservations in order, and next-available what is left of them', async () => {
    const bench = new PacketBench();
    const labels = { plan, metro: 'da' };
    bench.metal.add('a-free', {}, { labels });
    bench.metal.add('r1', {}, { labels: { ...labels, reservation: 'first' } });
    bench.metal.add('r2', {}, { labels: { ...labels, reservation: device } });
    bench.metal.add('r3', {}, { labels: { ...labels, reservation: 'third' } });
    bench.packetCluster(endpoint);
    const list = `first,${device}`;
    const keys = ['m1', 'm2', 'm3', 'm4'].map((name, at) =>
      bench.packetMachine(name, { hardwareReservationID: at < 3 ? list : 'next-available' }),
    );
    const started = bench.start();
    await bench.world.advance(10_000);
    const hosts = keys.slice(0, 3).map((key) => (status(bench, key)['host'] as { readonly name: string } | undefined)?.name);
    assert.deepEqual(new Set(hosts), new Set(['r1', 'r2', undefined]), 'each once, and the third machine waits');
    const late = keys[hosts.indexOf(undefined)] ?? 'ns/m3';
    assert.equal(word(bench, late), 'False NoHostFits');
    assert.match(message(bench, late), /none fits.*; .*none fits/, 'it says of every wish why not');
    const [, , , next = 'ns/m4'] = keys;
    assert.equal((status(bench, next)['host'] as { readonly name: string }).name, 'r3');
    assert.equal(bench.metal.of('a-free').claim, null);
    await started.stop();
  });
  test('a rack that does not answer is not asked for the next reservation', async () => {
    const bench = new PacketBench();
    bench.metal.add('r1', {}, { labels: { reservation: 'first' } });
    bench.metal.add('r2', {}, { labels: { reservation: 'second' } });
    bench.packetCluster(endpoint);
    const key = bench.packetMachine('m1', { hardwareReservationID: 'first,second' });
    bench.metal.before = () => {
      bench.metal.isAway = true;
    };
    const started = bench.start();
    await bench.world.advance(4_000);
    assert.deepEqual(bench.metal.calls, [{ verb: 'claim', claimId: spec(bench, key).claimID, outcome: 'timed-out' }]);
    assert.equal(word(bench, key), 'False RackUnreachable');
    bench.metal.before = () => undefined;
    bench.metal.isAway = false;
    await bench.world.advance(limits.kubeBackoffMostMs);
    assert.ok(bench.metal.of('r1').claim !== null && bench.metal.of('r2').claim === null);
    await started.stop();
  });

  const old = {
    metadata: { finalizers: [finalizers.packetMachine] },
    status: { ready: true, instanceStatus: 'active' },
  };
  test('of the old provider is left alone, said plainly, and deleting it touches no server', async () => {
    const bench = new PacketBench();
    bench.metal.add('h1', {}, { labels: { plan, metro: 'da' } });
    bench.packetCluster(endpoint);
    const key = bench.packetMachine('m1', { providerID: `equinixmetal://${device}` }, old);
    const started = bench.start();
    await bench.world.advance(3_000);
    assert.equal(word(bench, key), 'False HostGone');
    assert.match(message(bench, key), /equinixmetal:\/\/7c1a.* was a server at Equinix Metal, and no rack has it.*\/adopt=<host>/);
    assert.equal(spec(bench, key).claimID, undefined);
    await bench.api.delete(kind, key);
    await bench.world.advance(3_000);
    assert.equal(bench.api.peek(kind, key), undefined);
    assert.equal(bench.metal.calls.length, 0);
    await started.stop();
  });
  for (const scheme of ['equinixmetal', 'packet'])
    test(`with a ${scheme}:// ID is taken over by the host that is named, under the same ID, once`, async () => {
      const bench = new PacketBench();
      bench.metal.add('h1', {}, { labels: { plan, metro: 'da' } });
      bench.metal.add('h2');
      bench.packetCluster(endpoint);
      const providerID = `${scheme}://${device}`;
      const metadata = { ...old.metadata, annotations: { [ours.adopt]: 'h2' } };
      const key = bench.packetMachine('m1', { providerID }, { ...old, metadata });
      const started = bench.start();
      await bench.world.advance(3_000);
      assert.equal(bench.metal.of('h2').claim?.id, device);
      assert.equal(bench.metal.requests[0]?.metaData?.['provider_id'], providerID);
      bench.metal.boot('h2');
      await bench.world.advance(3_000);
      assert.equal(word(bench, key), 'True Ready');
      assert.deepEqual(spec(bench, key), { ...spec(bench, key), claimID: device, providerID });
      const { annotations = {} } = bench.look(key, kind).metadata;
      assert.equal(annotations[ours.host], 'h2');
      assert.equal(annotations[capi.blockMove], undefined);
      // A rack that lost its memory is no reason to write the host again.
      bench.metal.forget('h2');
      bench.metal.add('h2');
      await bench.world.advance(limits.kubeResyncMs * 2);
      assert.equal(word(bench, key), 'False HostGone');
      assert.deepEqual(
        bench.metal.calls.map(({ verb }) => verb),
        ['claim'],
      );
      await started.stop();
    });
});

test('states of a device, as the old provider named them', () => {
  const bench = new PacketBench();
  bench.metal.add('h1');
  assert.deepEqual(
    [
      instanceStatusOf('NoHostFits', undefined, undefined),
      instanceStatusOf('HostGone', undefined, 'active'),
      instanceStatusOf('Deleting', undefined, 'active'),
      instanceStatusOf('RackUnreachable', undefined, undefined),
    ],
    ['queued', 'errored', 'active', 'queued'],
  );
});

const clusterKind = kinds.packetCluster;
describe('a PacketCluster', () => {
  for (const { name, spec: said, annotations, wanted, says } of [
    { name: 'with an endpoint', spec: endpoint, wanted: 'True Ready' },
    { name: 'with a host and no port', spec: { controlPlaneEndpoint: { host: '192.0.2.9' } }, wanted: 'True Ready' },
    { name: 'of EMLB with a load balancer of its own', spec: { ...endpoint, vipManager: 'EMLB' }, wanted: 'True Ready' },
    { name: 'without one', spec: {}, wanted: 'False WaitingForControlPlaneEndpoint', says: /CPEM: no Elastic IP.*endpoint-pool=/ },
    { name: 'of EMLB without one', spec: { vipManager: 'EMLB' }, wanted: 'False InvalidSpec', says: /EMLB: the load balancer of Equinix/ },
    { name: 'of KUBE_VIP without one', spec: { vipManager: 'KUBE_VIP' }, wanted: 'False WaitingForControlPlaneEndpoint', says: /KUBE_VIP/ },
    { name: 'with no pool', spec: {}, annotations: { [ours.endpointPool]: 'vips' }, wanted: 'False InvalidSpec', says: /is "vips", not/ },
  ])
    test(`${name}: ${wanted}`, async () => {
      const bench = new PacketBench();
      bench.metal.add('h1', {}, { failureDomain: 'a' });
      const key = bench.packetCluster(said, annotations === undefined ? {} : { annotations });
      const started = bench.start();
      await bench.world.advance(3_000);
      assert.equal(bench.word(key, 'Ready', clusterKind), wanted);
      if (says !== undefined) assert.match(bench.said(key, 'Ready', clusterKind).message, says);
      const { ready, initialization, failureDomains } = status(bench, key, clusterKind);
      const isReady = wanted === 'True Ready';
      assert.deepEqual([ready, initialization], isReady ? [true, { provisioned: true }] : [undefined, undefined]);
      assert.equal(failureDomains, undefined, 'the two contracts want them in two shapes');
      const { controlPlaneEndpoint } = bench.look(key, clusterKind).spec as typeof endpoint;
      if (isReady) assert.deepEqual(controlPlaneEndpoint, endpoint.controlPlaneEndpoint);
      assert.deepEqual(bench.look(key, clusterKind).metadata.finalizers, [finalizers.packetCluster]);
      await started.stop();
    });

  test('takes its endpoint from the pool of its annotation, and goes only after its machines', async () => {
    const bench = new PacketBench();
    bench.metal.add('h1', {}, { labels: { plan, metro: 'da' } });
    const key = bench.packetCluster({}, { annotations: { [ours.endpointPool]: 'ipam.cluster.x-k8s.io/InClusterIPPool/vips' } });
    const machine = bench.packetMachine('m1', {}, { userData: oldUserData.replace('{{ .controlPlaneEndpoint }}', '') });
    const started = bench.start();
    await bench.world.advance(3_000);
    assert.equal(bench.word(key, 'Ready', clusterKind), 'False WaitingForIPAddress');
    const asked = bench.look('ns/c1-endpoint', kinds.ipAddressClaim).spec as { readonly poolRef: unknown };
    assert.deepEqual(asked.poolRef, { apiGroup: 'ipam.cluster.x-k8s.io', kind: 'InClusterIPPool', name: 'vips' });
    bench.api.seed(kinds.ipAddress, objectOf(kinds.ipAddress, 'vip', { spec: { address: '192.0.2.77', prefix: 24 } }));
    const granted = { status: { addressRef: { name: 'vip' } } };
    await bench.api.patch(kinds.ipAddressClaim, 'ns/c1-endpoint', granted, { fieldManager: 'ipam', subresource: 'status' });
    await bench.world.advance(limits.kubeLookAgainMs + 2_000);
    const said = bench.look(key, clusterKind).spec as typeof endpoint;
    assert.deepEqual(said.controlPlaneEndpoint, { host: '192.0.2.77', port: 6443 });
    await bench.api.delete(clusterKind, key);
    await bench.world.advance(5_000);
    assert.match(bench.said(key, 'Ready', clusterKind).message, /1 machine of the cluster/);
    await bench.api.delete(kind, machine);
    await bench.world.advance(2_000);
    bench.metal.off('h1');
    await bench.world.advance(limits.kubeLookAgainMs + 2_000);
    assert.equal(bench.api.peek(clusterKind, key), undefined);
    await started.stop();
  });
});

test('a PacketMachineTemplate tells what the smallest host of its plan has, and follows the rack', async () => {
  const bench = new PacketBench();
  const template = oldObjects.get('PacketMachineTemplate c1-worker-a');
  assert.ok(template !== undefined);
  bench.api.seed(kinds.packetMachineTemplate, template);
  bench.metal.add('other', { memoryBytes: 1024 ** 3 }, { labels: { plan: 'c3.small.x86' } });
  const started = bench.start();
  await bench.world.advance(2_000);
  const key: Key = 'ns/c1-worker-a';
  assert.equal(bench.look(key, kinds.packetMachineTemplate).status, undefined);
  bench.metal.add('h1', { memoryBytes: 64 * 1024 ** 3 }, { labels: { plan } });
  await bench.world.advance(5_000);
  const { capacity, nodeInfo } = status(bench, key, kinds.packetMachineTemplate) as Record<string, Record<string, string>>;
  assert.equal(capacity?.['memory'], '64Gi');
  assert.deepEqual(nodeInfo, { operatingSystem: 'linux', architecture: 'amd64' });
  const { metadata, spec: said } = template;
  const listed = {
    template: { spec: { ...(said as { readonly template: { readonly spec: object } }).template.spec, hardwareReservationID: 'none,h1' } },
  };
  bench.api.seed(kinds.packetMachineTemplate, { ...template, metadata: { ...metadata, name: 'listed' }, spec: listed });
  await bench.world.advance(2_000);
  const second = status(bench, 'ns/listed', kinds.packetMachineTemplate)['capacity'] as Record<string, string>;
  assert.equal(second['memory'], '64Gi', 'a reservation that nobody has does not hide the next one');
  await started.stop();
});
