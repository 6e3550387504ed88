/** BareMetalClusters: the order of the contract, where the endpoint comes from, failure domains of the rack, and the finalizer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decideCluster } from '../../../src/kube/cluster/decide.ts';
import type { ClusterStep, ClusterView } from '../../../src/kube/cluster/decide.ts';
import { capi, finalizers } from '../../../src/kube/names.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { Kind } from '../../../src/kube/objects.ts';
import { limits } from '../../../src/limits.ts';
import { Bench, objectOf } from '../machine/bench.ts';

const endpoint = { host: '10.0.0.9', port: 6443 };
const whole: ClusterView = {
  isManagedElsewhere: false,
  hasCluster: true,
  paused: undefined,
  hasFinalizer: true,
  deletion: undefined,
  endpoint,
  clusterEndpoint: undefined,
  pool: undefined,
};
const none = { ...whole, endpoint: undefined };
const table: readonly { readonly name: string; readonly view: ClusterView; readonly step: ClusterStep['do']; readonly reason?: string }[] =
  [
    { name: 'managed elsewhere, even paused', view: { ...whole, isManagedElsewhere: true, paused: 'x' }, step: 'nothing' },
    { name: 'moved', view: { ...whole, deletion: { isForMove: true, machinesLeft: 0 } }, step: 'nothing' },
    { name: 'no Cluster', view: { ...whole, hasCluster: false }, step: 'nothing' },
    { name: 'paused', view: { ...whole, paused: 'x' }, step: 'show' },
    { name: 'paused and deleted', view: { ...whole, paused: 'x', deletion: { isForMove: false, machinesLeft: 0 } }, step: 'show' },
    { name: 'no finalizer', view: { ...none, hasFinalizer: false }, step: 'add-finalizer' },
    {
      name: 'deleted, machines left',
      view: { ...whole, deletion: { isForMove: false, machinesLeft: 2 } },
      step: 'show',
      reason: 'Deleting',
    },
    { name: 'deleted, none left', view: { ...whole, deletion: { isForMove: false, machinesLeft: 0 } }, step: 'drop-finalizer' },
    {
      name: 'deleted, not ours',
      view: { ...whole, hasFinalizer: false, deletion: { isForMove: false, machinesLeft: 0 } },
      step: 'nothing',
    },
    { name: 'no endpoint', view: none, step: 'show', reason: 'WaitingForControlPlaneEndpoint' },
    { name: 'endpoint of the Cluster', view: { ...none, clusterEndpoint: endpoint }, step: 'show', reason: 'Ready' },
    { name: 'a pool, not asked', view: { ...none, pool: { is: 'unasked' } }, step: 'ask-address' },
    { name: 'a pool, waiting', view: { ...none, pool: { is: 'waiting', message: '' } }, step: 'show', reason: 'WaitingForIPAddress' },
    { name: 'a pool that cannot be', view: { ...none, pool: { is: 'refused', message: '' } }, step: 'show', reason: 'InvalidSpec' },
    { name: 'a pool, granted', view: { ...none, pool: { is: 'granted', endpoint } }, step: 'write-endpoint' },
    { name: 'its control plane is not there', view: { ...whole, awaited: 'x' }, step: 'show', reason: 'WaitingForControlPlane' },
    { name: 'whole', view: whole, step: 'show', reason: 'Ready' },
  ];
describe('the next step of a cluster', () => {
  for (const { name, view, step, reason } of table)
    test(name, () => {
      const decided = decideCluster(view);
      assert.equal(decided.do, step);
      if (decided.do !== 'show') return;
      assert.equal(decided.conditions.find(({ type }) => type === 'Ready')?.reason, reason);
      assert.equal(decided.isProvisioned === true, reason === 'Ready');
    });
});

const kind = kinds.bareMetalCluster;
const key = 'ns/c1';
describe('a cluster', () => {
  test('is provisioned with the failure domains that its namespace may use, and they follow the rack', async () => {
    const bench = new Bench();
    bench.metal.add('h1', {}, { failureDomain: 'b' });
    bench.metal.add('h2', {}, { failureDomain: 'a' });
    bench.metal.add('h3', {}, { failureDomain: 'c', pool: 'others' });
    bench.cluster();
    const started = bench.start();
    await bench.world.advance(2_000);
    const said = (): unknown => {
      const { conditions: _conditions, observedGeneration: _generation, ...rest } = bench.look(key, kind).status as Record<string, unknown>;
      return rest;
    };
    const domain = (name: string) => ({ name, controlPlane: true });
    assert.deepEqual(said(), { initialization: { provisioned: true }, failureDomains: [domain('a'), domain('b')] });
    assert.equal(bench.word(key, 'Ready', kind), 'True Ready');
    bench.metal.add('h4', {}, { failureDomain: 'd' });
    await bench.world.advance(5_000);
    assert.deepEqual(said(), { initialization: { provisioned: true }, failureDomains: [domain('a'), domain('b'), domain('d')] });
    const writes = bench.writesTo(kind, key).length;
    await bench.world.advance(limits.kubeResyncMs * 3);
    assert.equal(bench.writesTo(kind, key).length, writes, 'nothing new, nothing written');
    await started.stop();
  });
  test('offers a control plane only the failure domains where one could stand', async () => {
    const bench = new Bench({ pools: { '*': ['control', 'default'] } });
    bench.metal.add('h1', {}, { failureDomain: 'a', pool: 'control' });
    bench.metal.add('h2', {}, { failureDomain: 'b' });
    const refTo = ({ group, kind: word }: Kind, name: string) => ({ apiGroup: group, kind: word, name });
    const { kubeadmControlPlane, bareMetalMachineTemplate } = kinds;
    bench.cluster('c1', {
      spec: { controlPlaneRef: refTo(kubeadmControlPlane, 'cp') },
      infra: { controlPlaneEndpoint: endpoint, failureDomainBy: 'failureDomain' },
    });
    const started = bench.start();
    await bench.world.advance(2_000);
    const domains = (): unknown => (bench.look(key, kind).status as Record<string, unknown>)['failureDomains'];
    assert.deepEqual([bench.word(key, 'Ready', kind), domains()], ['False WaitingForControlPlane', undefined]);
    const machineTemplate = { spec: { infrastructureRef: refTo(bareMetalMachineTemplate, 'cp') } };
    bench.api.seed(kubeadmControlPlane, objectOf(kubeadmControlPlane, 'cp', { spec: { machineTemplate } }));
    await bench.world.advance(2_000);
    assert.match(bench.said(key, 'Ready', kind).message, /^BareMetalMachineTemplate cp of KubeadmControlPlane cp is not there/);
    const spec = { template: { spec: { image: 'alpha', hostSelector: { pools: ['control'] } } } };
    bench.api.seed(bareMetalMachineTemplate, objectOf(bareMetalMachineTemplate, 'cp', { spec }));
    await bench.world.advance(2_000);
    const told = [
      { name: 'a', controlPlane: true },
      { name: 'b', controlPlane: false },
    ];
    assert.deepEqual([bench.word(key, 'Ready', kind), domains()], ['True Ready', told]);
    await bench.api.delete(kubeadmControlPlane, 'ns/cp');
    bench.metal.add('h3', {}, { failureDomain: 'c', pool: 'control' });
    await bench.world.advance(limits.kubeResyncMs);
    assert.deepEqual([bench.word(key, 'Ready', kind), domains()], ['True Ready', told], 'nothing is taken back while it is gone');
    bench.api.seed(kubeadmControlPlane, objectOf(kubeadmControlPlane, 'cp', { spec: { machineTemplate } }));
    await bench.world.advance(limits.kubeResyncMs);
    assert.deepEqual(domains(), [...told, { name: 'c', controlPlane: true }]);
    await started.stop();
  });
  test('takes its endpoint from a pool, and goes only after its machines', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    const pool = { apiGroup: 'ipam.cluster.x-k8s.io', kind: 'InClusterIPPool', name: 'vips' };
    bench.cluster('c1', { infra: { endpointFromPool: { pool, port: 6444 } } });
    const machine = bench.machine('m1');
    const started = bench.start();
    await bench.world.advance(3_000);
    assert.equal(bench.word(key, 'Ready', kind), 'False WaitingForIPAddress');
    bench.api.seed(kinds.ipAddress, objectOf(kinds.ipAddress, 'vip', { spec: { address: '10.0.0.77', prefix: 24 } }));
    await bench.api.patch(
      kinds.ipAddressClaim,
      'ns/c1-endpoint',
      { status: { addressRef: { name: 'vip' } } },
      { fieldManager: 'ipam', subresource: 'status' },
    );
    await bench.world.advance(limits.kubeLookAgainMs + 2_000);
    assert.deepEqual((bench.look(key, kind).spec as Record<string, unknown>)['controlPlaneEndpoint'], { host: '10.0.0.77', port: 6444 });
    assert.equal(bench.word(key, 'Ready', kind), 'True Ready');
    await bench.api.delete(kind, key);
    await bench.world.advance(5_000);
    assert.match(bench.said(key, 'Ready', kind).message, /1 machine of the cluster/);
    await bench.api.delete(kinds.bareMetalMachine, machine);
    await bench.world.advance(2_000);
    bench.metal.off('h1');
    await bench.world.advance(limits.kubeLookAgainMs + 2_000);
    assert.equal(bench.api.peek(kind, key), undefined);
    await started.stop();
  });
  test('that is managed elsewhere is never written, not even paused', async () => {
    const bench = new Bench();
    bench.cluster('c1', { spec: { paused: true } });
    await bench.change(kind, key, { metadata: { annotations: { [capi.managedBy]: 'somebody' } } });
    const before = bench.look(key, kind);
    const started = bench.start();
    await bench.world.advance(5_000);
    assert.deepEqual(bench.look(key, kind), before);
    assert.ok(!JSON.stringify(before).includes(finalizers.cluster));
    await started.stop();
  });
});
