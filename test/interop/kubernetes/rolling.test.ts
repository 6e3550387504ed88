/** Reprovisioning by replacement, with the real controllers: each machine is followed by another on the same host, one at a time, none beside. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { meanwhile, newImage, withCluster } from './living-cluster.ts';
import type { ClusterWish, LivingCluster, SeenMachine } from './living-cluster.ts';
import { ground } from './with-plane.ts';

const hostsOf = (machines: readonly SeenMachine[]): readonly string[] => machines.map(({ host }) => host).toSorted();
const uids = (machines: readonly SeenMachine[]): ReadonlySet<string> => new Set(machines.map(({ uid }) => uid));

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

const wish: ClusterWish = {
  template: 'cluster-template.yaml',
  pools: { control: 3, workers: 3 },
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
    });
  });
});
