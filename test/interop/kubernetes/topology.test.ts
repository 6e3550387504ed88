/**
 * A cluster by our ClusterClass, with the real controllers: made from one object, and upgraded by one field of it. The steps of the upgrade
 * are asked of our extension; the control plane is replaced, the workers get their image in place.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { capi } from '../../../src/kube/names.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import type { LivingCluster } from './living-cluster.ts';
import { clusterObjects, livingCluster, newImage, oldImage } from './living-start.ts';
import type { ClusterWish } from './living-start.ts';
import { told } from './seen-machine.ts';
import type { SeenMachine } from './seen-machine.ts';
import { ground } from './with-plane.ts';

const base = { pools: { control: 2, workers: 2 }, controlPlanes: 1, workers: 2, updatesInPlace: true } as const;
/** As an operator says it who lets our catalogue decide which versions there are. */
const upgrade = { external: { generateUpgradePlanExtension: 'remuda-upgrade-plan.remuda' } };
const theClass: ClusterWish = {
  ...base,
  template: 'clusterclass-remuda.yaml',
  changed: (object) => (object.kind === 'ClusterClass' ? { ...object, spec: { ...(object['spec'] as object), upgrade } } : object),
};
const theCluster: ClusterWish = {
  ...base,
  template: 'cluster-template-topology.yaml',
  variables: { REMUDA_OS_IMAGE: 'kubernetes-VERSION' },
};
const className = { group: 'cluster.x-k8s.io', version: 'v1beta2', kind: 'ClusterClass', plural: 'clusterclasses', namespaced: true };

const workers = async (cluster: LivingCluster): Promise<readonly SeenMachine[]> =>
  (await cluster.machines()).filter(({ isControlPlane }) => !isControlPlane);
const sameness = ({ name, uid, host, node, providerId }: SeenMachine): object => ({ name, uid, host, node, providerId });
const isDone = (machine: SeenMachine): boolean =>
  machine.image === newImage && machine.version === 'v1.34.5' && machine.annotations[capi.updateInProgress] === undefined;

const made = async (cluster: LivingCluster): Promise<void> => {
  await cluster.on.apply(...clusterObjects(cluster, theClass));
  await cluster.reach('the class is reconciled', async () =>
    told(await cluster.get(className, 'remuda'), 'VariablesReady').startsWith('True'),
  );
  const objects: readonly PlaneObject[] = clusterObjects(cluster, theCluster);
  await cluster.on.apply(...objects);
  const all = await cluster.running(
    () => cluster.machines(),
    3,
    ({ image }) => image === oldImage,
  );
  assert.equal(all.filter(({ isControlPlane }) => isControlPlane).length, 1);
};
const upgraded = async (cluster: LivingCluster): Promise<void> => {
  const [before] = await cluster.controlPlanes();
  const old = await workers(cluster);
  await cluster.patch(kinds.cluster, cluster.name, { spec: { topology: { version: 'v1.34.5' } } });
  const [after] = await cluster.running(() => cluster.controlPlanes(), 1, isDone);
  assert.notEqual(after?.uid, before?.uid);
  const since = await cluster.running(
    () => workers(cluster),
    2,
    (one) => isDone(one) && one.generation === 2,
  );
  assert.deepEqual(since.map(sameness), old.map(sameness));
};
const refused = async (cluster: LivingCluster): Promise<void> => {
  await cluster.patch(kinds.cluster, cluster.name, { spec: { topology: { version: 'v1.36.0' } } });
  const note = await cluster.reach('people are told why', () => cluster.eventOf(cluster.name, 'NoUpgradePlan'));
  assert.match(note, /^the way from v1\.34\.5 to v1\.36\.0 needs an image of Kubernetes v1\.35; import one as kubernetes-v1\.35\.<patch>$/);
  assert.ok((await cluster.machines()).every(isDone));
  // Cluster API writes it a moment after it was answered.
  const isTold = async (): Promise<boolean> =>
    /^False ReconcileFailed: .*remuda-upgrade-plan\.remuda.*failure/.test(
      told(await cluster.get(kinds.cluster, cluster.name), 'TopologyReconciled'),
    );
  await cluster.reach('the Cluster says that it failed', isTold);
};

void describe('a cluster by class', ground, () => {
  void test('made, and upgraded by one field', async (t) => {
    const cluster = await livingCluster(theCluster);
    try {
      await t.test('one object becomes machines', () => made(cluster));
      await t.test('another version: images by the version, steps by our catalogue', () => upgraded(cluster));
      await t.test('a version that no image has is refused before anything is touched', () => refused(cluster));
      await cluster.end();
    } finally {
      await cluster.stop();
    }
  });
});
