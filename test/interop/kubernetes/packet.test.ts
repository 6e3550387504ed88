/**
 * A cluster of cluster-api-provider-packet on our metal: its own template, in the API versions that it has, is applied to a real API server;
 * Cluster API's controllers and the real kubeadm provider make running Machines of it, through the contract labels of our CRDs.
 *
 * Stand-ins: the servers are simulated (test/kube/living-rack.ts) behind the real daemon; kubelets are played when an OS comes up, with the
 * provider ID that its disk tells; the control plane of the workload runs beside the rack, with an etcd that is not its machines'.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { kubeconfigText } from '../../../src/lab/plane/kubeconfig.ts';
import { field, items, textField } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import { silentMeter } from '../../../src/metering.ts';
import { startProvider } from '../../../src/provider.ts';
import { realWorld } from '../../../src/world/real.ts';
import { livingRack } from '../../kube/living-rack.ts';
import type { LivingRack } from '../../kube/living-rack.ts';
import { objectsOf, providerObjects, version } from './provider.ts';
import { eventually, ground, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const life = new AbortController();
after(() => life.abort(new DOMException('the tests are over', 'AbortError')));
const world = realWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });
const patientMs = 180_000;
const external = { endpoints: ['https://127.0.0.1:2379'], caFile: '/e/ca', certFile: '/e/cert', keyFile: '/e/key' };
const manifests = objectsOf(readFileSync(new URL('../../vectors/packet/quickstart.yaml', import.meta.url), 'utf8'));

/** As the README of the old provider writes a list: one that nobody has, one that a label names, and any. */
const reservation = 'b537c5aa-2ef3-11ed-a261-0242ac120002';
const reservations = `2d1f1a3e-2ef3-11ed-a261-0242ac120002,${reservation},next-available`;
/** As they are, but for what a user must say here (the endpoint), what is played (etcd), and reservations for the workers. */
const cluster = (namespace: string, endpoint: object): readonly PlaneObject[] =>
  manifests.map((one) => {
    const object = structuredClone(one) as PlaneObject & { readonly metadata: object; readonly spec: object };
    Object.assign(object.metadata, { namespace });
    if (object.kind === 'PacketCluster') Object.assign(object.spec, { controlPlaneEndpoint: endpoint });
    if (object.kind === 'PacketMachineTemplate' && textField(object, 'metadata', 'name') === 'c1-worker-a')
      Object.assign(field(object, 'spec', 'template', 'spec') ?? {}, { hardwareReservationID: reservations });
    if (object.kind === 'KubeadmControlPlane')
      Object.assign(field(object, 'spec', 'kubeadmConfigSpec', 'clusterConfiguration') ?? {}, { etcd: { external } });
    return object;
  });
/** Kubelets that join as their disks tell them. */
const playKubelets = (rack: LivingRack, nodes: Awaited<ReturnType<TestPlane['workload']>>['nodes']) => {
  const joining: Promise<unknown>[] = [];
  const names = new Map<string, string>();
  rack.onOs((host, running) => {
    const before = names.get(host);
    if (running === undefined) return before === undefined ? undefined : nodes.silence(before);
    const isControlPlane = running.hostName.startsWith('c1-control-plane');
    const name = isControlPlane ? 'cp-0' : running.hostName;
    names.set(host, name);
    joining.push(nodes.put({ name, providerId: running.providerId, address: running.address, isControlPlane }));
  });
  return { names, joined: () => Promise.all(joining) };
};
/** One for the control plane, two that are reserved, and one that is nobody's reservation. */
const labels: readonly Readonly<Record<string, string>>[] = [
  { plan: 'c3.small.x86', metro: 'da' },
  { reservation },
  { plan: 'm3.small.x86', metro: 'da', reservation: 'another' },
  { plan: 'm3.small.x86', metro: 'da' },
];

test(
  'the template of cluster-api-provider-packet becomes running Machines, and clean servers',
  { ...ground, timeout: 600_000 },
  async (t) => {
    const here = plane();
    const namespace = await here.newNamespace(t);
    await here.apply(...providerObjects());
    const rack = await livingRack({ hosts: 4, images: ['ubuntu_20_04'], profile: (index) => ({ labels: labels[index] ?? {} }) });
    t.after(() => rack.stop());
    const workload = await here.workload(t, { namespace, name: 'c1' });
    await rack.allAvailable();
    const kubelets = playKubelets(rack, workload.nodes);
    const token = await here.door.tokenFor('remuda-system', 'remuda-controller');
    const source = { is: 'text', text: kubeconfigText({ ...here.access, token }, 'plane'), of: 'the plane' } as const;
    const settings = { pools: { '*': ['default'] }, reuseSeconds: 600, namespace };
    const provider = await startProvider({ world, meter: silentMeter, metal: rack.metal, version }, { source, settings });
    t.after(() => provider.stop());

    await here.apply(...cluster(namespace, workload.endpoint));
    const list = async (group: string, apiVersion: string, plural: string): Promise<readonly unknown[]> =>
      items(await here.door.get(`/apis/${group}/${apiVersion}/namespaces/${namespace}/${plural}`));
    const machines = (): Promise<readonly unknown[]> => list('cluster.x-k8s.io', 'v1beta2', 'machines');
    const packets = (): Promise<readonly unknown[]> => list('infrastructure.cluster.x-k8s.io', 'v1beta1', 'packetmachines');
    const comes = <T>(what: string, seen: () => Promise<T | undefined | false>): Promise<T> =>
      eventually(what, seen, patientMs).catch(async (error: unknown) => {
        const all = [
          ...(await list('infrastructure.cluster.x-k8s.io', 'v1beta1', 'packetclusters')),
          ...(await machines()),
          ...(await packets()),
        ];
        const told = all.map((one) =>
          JSON.stringify([field(one, 'kind'), field(one, 'metadata', 'name'), field(one, 'spec'), field(one, 'status')]),
        );
        throw new Error(`${String(error)}\n${told.join('\n')}\n${rack.tail(20)}`, { cause: error });
      });

    await t.test('they run, each on a host of its plan or reservation, under the ID of its device', async () => {
      await comes('three Machines run', async () => {
        const all = await machines();
        return all.length === 3 && all.every((one) => textField(one, 'status', 'phase') === 'Running');
      });
      await kubelets.joined();
      const held = rack.daemon.hosts().filter(({ claim }) => claim !== null);
      assert.equal(held.length, 3);
      const byProviderId = new Map((await machines()).map((one) => [textField(one, 'spec', 'providerID'), one]));
      const byClaim = new Map((await packets()).map((one) => [textField(one, 'spec', 'claimID'), one]));
      for (const { name, claim, profile } of held) {
        const running = rack.whatRuns(name);
        const packet = byClaim.get(claim?.id);
        assert.match(claim?.id ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        assert.equal(running?.providerId, `equinixmetal://${claim?.id}`);
        assert.equal(textField(byProviderId.get(running?.providerId), 'status', 'nodeRef', 'name'), kubelets.names.get(name));
        const isReserved = profile.labels['reservation'] !== undefined;
        assert.equal(textField(packet, 'spec', 'hardwareReservationID'), isReserved ? reservations : undefined);
        if (!isReserved) assert.equal(textField(packet, 'spec', 'machineType'), profile.labels['plan']);
        assert.equal(textField(packet, 'status', 'instanceStatus'), 'active');
        assert.deepEqual([field(packet, 'status', 'ready'), field(packet, 'status', 'initialization')], [true, { provisioned: true }]);
      }
    });

    await t.test('the kubeadm provider passes the old templates on, and the host gets them filled in', () => {
      for (const { name, claim } of rack.daemon.hosts()) {
        if (claim === null) continue;
        const userData = rack.whatRuns(name)?.userData ?? '';
        assert.match(userData, /^## template: jinja\n#cloud-config\n/);
        assert.match(userData, /equinixmetal:\/\/\{\{ v1\.instance_id \}\}/);
        assert.match(userData, /echo v1\.34\.4 \| cut/);
        assert.doesNotMatch(userData, /\{\{ (\.|`)/);
        assert.equal(claim.intent.metaData?.['instance-id'], claim.id);
        if (claim.intent.hostName.startsWith('c1-control-plane'))
          assert.match(userData, new RegExp(`ip addr add ${workload.endpoint.host} dev lo`));
        else assert.deepEqual(claim.intent.metaData?.['tags'], ['blue']);
        assert.match(JSON.stringify(claim.intent.metaData?.['public-keys']), /^\["ssh-ed25519 AAAA/);
      }
    });

    await t.test('kubectl shows them by their old short names', async () => {
      assert.match(await here.kubectl('get', 'pma', '--namespace', namespace), /c1-worker-a-\S+ +c1 .*provisioned +True/);
      assert.match(await here.kubectl('get', 'pcl', '--namespace', namespace), new RegExp(`c1 +c1 +${workload.endpoint.host} +True`));
      const capacity = await here.kubectl(
        'get',
        'pmt',
        'c1-worker-a',
        '--namespace',
        namespace,
        '-o',
        'jsonpath={.status.capacity.memory}',
      );
      assert.match(capacity, /^\d+([KMGT]i)?$/);
    });

    await t.test('deleted, nothing is left, and every server is clean', async () => {
      const path = `/apis/cluster.x-k8s.io/v1beta1/namespaces/${namespace}/clusters/c1`;
      assert.equal((await here.door.call('DELETE', path)).status, 200);
      await comes('the Cluster is gone', async () => (await here.door.get(path)) === undefined);
      assert.deepEqual(await packets(), []);
      await rack.allAvailable();
      for (const { disk, name } of rack.hosts) assert.ok(disk.isZero(), `${name} is not clean`);
    });
  },
);
