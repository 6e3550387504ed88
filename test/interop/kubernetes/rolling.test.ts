/** Reprovisioning by replacement, with the real controllers: each machine is followed by another on the same host, one at a time, none beside. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { kinds } from '../../../src/kube/objects.ts';
import type { LivingCluster } from './living-cluster.ts';
import { another, newImage, withCluster } from './living-start.ts';
import type { ClusterWish } from './living-start.ts';
import { told } from './seen-machine.ts';
import type { SeenMachine } from './seen-machine.ts';
import { ground } from './with-plane.ts';

const hostsOf = (machines: readonly SeenMachine[]): readonly string[] => machines.map(({ host }) => host).toSorted();
const uids = (machines: readonly SeenMachine[]): ReadonlySet<string> => new Set(machines.map(({ uid }) => uid));

/** Looks often and keeps what `look` gives, until `stop`: what must hold all the time, not only at the end. */
const meanwhile = (look: () => void): { stop(): Promise<void> } => {
  const ending = new AbortController();
  const run = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      look();
      await pause(5);
    }
  };
  const running = run();
  return {
    stop: async () => {
      ending.abort(new DOMException('looked long enough', 'AbortError'));
      await running;
    },
  };
};
/** What the hosts of one pool went through while somebody rolled them. */
const watched = (cluster: LivingCluster, pool: string) => {
  const states = new Map<string, string[]>();
  let mostAway = 0;
  const look = meanwhile(() => {
    const hosts = cluster.rack.daemon.hosts().filter(({ profile }) => profile.pool === pool);
    for (const { name, state } of hosts) {
      const seen = states.get(name) ?? [];
      if (seen.at(-1) !== state) states.set(name, [...seen, state]);
    }
    mostAway = Math.max(mostAway, hosts.filter(({ state }) => state !== 'provisioned').length);
  });
  return { states, mostAway: () => mostAway, stop: () => look.stop() };
};

const rolled = async (cluster: LivingCluster, pool: string, which: () => Promise<readonly SeenMachine[]>, roll: () => Promise<void>) => {
  const before = await which();
  const eye = watched(cluster, pool);
  await roll();
  const after = await cluster.running(which, before.length, ({ uid, image }) => !uids(before).has(uid) && image === newImage);
  await eye.stop();
  // Exactly these hosts are in the pool: a second one would have had to be another's.
  assert.deepEqual(hostsOf(after), hostsOf(before));
  assert.equal(eye.mostAway(), 1, 'one at a time');
  for (const [host, states] of eye.states)
    assert.deepEqual(states, ['provisioned', 'cleaning', 'available', 'provisioning', 'provisioned'], host);
  for (const { host, version } of after) {
    const { image } = cluster.rack.whatRuns(host) ?? assert.fail(`nothing runs on ${host}`);
    const digests = new Map((await cluster.rack.metal.images()).map(({ name, digest }) => [name, digest]));
    assert.deepEqual([image, version], [digests.get(newImage), 'v1.34.5']);
  }
};

const scaled = async (cluster: LivingCluster, deployment: string, replicas: number): Promise<void> =>
  await cluster.patch(kinds.machineDeployment, deployment, { spec: { replicas } });
const domainsOf = ({ rack }: LivingCluster, machines: readonly SeenMachine[]): readonly string[] =>
  machines.map(({ host }) => rack.host(host).profile.failureDomain ?? '').toSorted();
/** Four hosts in three failure domains, and machines that may not share one. */
const spread = async (cluster: LivingCluster): Promise<void> => {
  const deployment = 'c1-apart';
  const machine = { hostSelector: { pools: ['spread'] }, placement: { by: 'failureDomain', mode: 'RequireSpread' } };
  await cluster.on.apply(...another(cluster, deployment, { replicas: 3, machine }));
  const three = await cluster.running(() => cluster.workers(deployment), 3);
  assert.deepEqual(domainsOf(cluster, three), ['a', 'b', 'c']);
  await scaled(cluster, deployment, 4);
  const why = await cluster.reach('the fourth is told why it gets no host', async () =>
    (await cluster.workers(deployment)).map(({ infra }) => told(infra, 'HostClaimed')).find((text) => text.includes('NoHostFits')),
  );
  const group = `${cluster.namespace}/MachineDeployment/${deployment}`;
  assert.equal(
    why,
    'False NoHostFits: 11 hosts looked at, none fits: 7 in another pool; 3 held by other claims; ' +
      `1 where the group must not stand: group ${group} has 1 in its failureDomain a already`,
  );
  await scaled(cluster, deployment, 3);
  const left = await cluster.running(() => cluster.workers(deployment), 3);
  assert.deepEqual(
    left.map(({ uid }) => uid),
    three.map(({ uid }) => uid),
    'the one without a host goes',
  );
};
const foreign = async (cluster: LivingCluster): Promise<void> => {
  await cluster.on.apply(...another(cluster, 'c1-secret', { replicas: 1, machine: { hostSelector: { pools: ['secret'] } } }));
  const why = await cluster.reach('it is told what its namespace may not have', async () =>
    (await cluster.workers('c1-secret')).map(({ infra }) => told(infra, 'HostClaimed')).find((text) => text.includes('PoolNotAllowed')),
  );
  assert.match(why, /namespace \S+ may claim hosts of control, workers, spread, not of secret/);
  const [host] = cluster.rack.daemon.hosts().filter(({ profile }) => profile.pool === 'secret');
  assert.deepEqual([host?.state, host?.claim], ['available', null]);
};

const wish: ClusterWish = {
  template: 'cluster-template.yaml',
  pools: { control: 3, workers: 3, spread: 4, secret: 1 },
  allowed: ['control', 'workers', 'spread'],
  controlPlanes: 3,
  workers: 3,
  variables: { CONTROL_PLANE_MAX_SURGE: '0' },
};

void describe('replacement on the same metal', ground, () => {
  void test('three control planes and three workers, no spare host, another image', async (t) => {
    await withCluster(wish, async (cluster) => {
      await t.test('a KubeadmControlPlane without surge', () =>
        rolled(
          cluster,
          'control',
          () => cluster.controlPlanes(),
          async () => {
            await cluster.newTemplate('c1-control-plane', 'c1-control-plane-2', { image: newImage });
            await cluster.rollControlPlane('c1-control-plane-2', 'v1.34.5');
          },
        ),
      );
      await t.test('a MachineDeployment without surge', () =>
        rolled(
          cluster,
          'workers',
          () => cluster.workers(),
          async () => {
            await cluster.newTemplate('c1-md-0', 'c1-md-0-2', { image: newImage });
            await cluster.rollWorkers('c1-md-0-2', 'v1.34.5');
          },
        ),
      );
      await t.test('machines that may not share a failure domain, and one for which none is left', () => spread(cluster));
      await t.test('a pool of another namespace', () => foreign(cluster));
    });
  });
});
