/**
 * The life of a cluster on servers that live: a Cluster with a control plane and two workers is applied to a real API server; Cluster API's
 * own controllers and our provider, as the account that the package gives it, make three running Machines of it; it is deleted, and every
 * server is clean.
 *
 * Stand-ins: the servers are simulated (test/kube/living-rack.ts) behind the real daemon; kubelets are played when an OS comes up, with the
 * provider ID that its disk tells; the control plane of the workload runs beside the rack.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { kubeconfigText } from '../../../src/lab/plane/kubeconfig.ts';
import { field, items, textField } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import { startProvider } from '../../../src/provider.ts';
import { realWorld } from '../../../src/world/real.ts';
import type { Meter } from '../../../src/world/world.ts';
import { livingRack } from '../../kube/living-rack.ts';
import { providerObjects, version } from './provider.ts';
import { toyCluster } from './toy.ts';
import type { ToyWish } from './toy.ts';
import { eventually, ground, plane } from './with-plane.ts';

const life = new AbortController();
after(() => life.abort(new DOMException('the tests are over', 'AbortError')));
const world = realWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });
const settings = { pools: { '*': ['default'] }, reuseSeconds: 600 };
/** Of one machine, from its first sight to its end. */
const writesMost = 25;

/** The cluster that the plane is tested with, on our metal. */
const cluster = (wish: ToyWish): readonly PlaneObject[] => {
  const text = JSON.stringify(toyCluster(wish))
    .replaceAll('infrastructure.cluster.x-k8s.io/v1alpha1', 'infrastructure.cluster.x-k8s.io/v1beta2')
    .replaceAll('"Toy', '"BareMetal');
  const template = { template: { spec: { image: 'kubernetes-v1.34.4' } } };
  return (JSON.parse(text) as readonly PlaneObject[]).map((object) =>
    object.kind === 'BareMetalMachineTemplate' ? { ...object, spec: template } : object,
  );
};
/** Writes that were asked for, by verb and kind. */
const writeMeter = (): { readonly meter: Meter; readonly writes: Map<string, number> } => {
  const writes = new Map<string, number>();
  const count: Meter['count'] = (name, labels = {}, by = 1) => {
    const { verb = '', kind = '' } = labels;
    if (name !== 'kube_requests' || ['get', 'list', 'watch'].includes(verb) || kind === 'Lease') return;
    writes.set(`${verb} ${kind}`, (writes.get(`${verb} ${kind}`) ?? 0) + by);
  };
  return { meter: { count, took: () => undefined }, writes };
};

test('applied, three Machines run on three servers; deleted, every server is clean', { ...ground, timeout: 600_000 }, async (t) => {
  const here = plane();
  const namespace = await here.newNamespace(t);
  await here.apply(...providerObjects());
  const rack = await livingRack({ hosts: 4 });
  t.after(() => rack.stop());
  const workload = await here.workload(t, { namespace, name: 'c1' });
  await rack.allAvailable();

  const kubelets: Promise<unknown>[] = [];
  const nodes = new Map<string, string>();
  rack.onOs((host, running) => {
    const before = nodes.get(host);
    if (running === undefined) {
      if (before !== undefined) workload.nodes.silence(before);
      return;
    }
    const isControlPlane = running.hostName.startsWith('c1-cp');
    const node = isControlPlane ? 'cp-0' : running.hostName;
    nodes.set(host, node);
    kubelets.push(workload.nodes.put({ name: node, providerId: running.providerId, address: running.address, isControlPlane }));
  });

  const { meter, writes } = writeMeter();
  const token = await here.door.tokenFor('remuda-system', 'remuda-controller');
  const source = { is: 'text', text: kubeconfigText({ ...here.access, token }, 'plane'), of: 'the plane' } as const;
  const provider = await startProvider({ world, meter, metal: rack.metal, version }, { source, settings: { ...settings, namespace } });
  t.after(() => provider.stop());

  await here.apply(...cluster({ namespace, name: 'c1', endpoint: workload.endpoint, workers: 2 }));
  const machinesPath = `/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/machines`;
  const machines = async (): Promise<readonly unknown[]> => items(await here.door.get(machinesPath));
  const story = async (): Promise<string> => {
    const ours = items(await here.door.get(`/apis/infrastructure.cluster.x-k8s.io/v1beta2/namespaces/${namespace}/baremetalmachines`));
    const told = [...(await machines()), ...ours].map((one) =>
      JSON.stringify([field(one, 'metadata', 'name'), field(one, 'spec'), field(one, 'status')]),
    );
    return `${told.join('\n')}\n${rack.tail(20)}`;
  };
  const comes = <T>(what: string, seen: () => Promise<T | undefined | false>): Promise<T> =>
    eventually(what, seen, 180_000).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await story()}`, { cause: error });
    });
  await comes('three Machines run', async () => {
    const all = await machines();
    return all.length === 3 && all.every((one) => textField(one, 'status', 'phase') === 'Running');
  });
  await Promise.all(kubelets);
  const held = rack.daemon.hosts().filter(({ claim }) => claim !== null);
  assert.equal(held.length, 3);
  const byProviderId = new Map((await machines()).map((one) => [textField(one, 'spec', 'providerID'), one]));
  for (const { name, claim } of held) {
    const running = rack.whatRuns(name);
    assert.equal(running?.claim, claim?.id);
    assert.equal(textField(byProviderId.get(running?.providerId), 'status', 'nodeRef', 'name'), nodes.get(name));
    assert.match(running?.userData ?? '', /kubeadm (init|join)/);
  }

  assert.equal((await here.door.call('DELETE', `/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/clusters/c1`)).status, 200);
  const isGone = async (): Promise<boolean> =>
    (await here.door.get(`/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/clusters/c1`)) === undefined;
  await comes('the Cluster is gone', isGone);
  await rack.allAvailable();
  for (const { disk } of rack.hosts) assert.ok(disk.isZero());
  for (const { name } of held) assert.ok(rack.diskOf(name).writes.length > 0);

  const sum = [...writes.values()].reduce((all, one) => all + one, 0);
  t.diagnostic(`${sum} writes for 3 machines: ${JSON.stringify(Object.fromEntries(writes))}`);
  assert.ok(sum / 3 <= writesMost, `${sum} writes for three machines: ${JSON.stringify([...writes])}`);
});
