/** Reprovisioning in place, with the real controllers: the same Machines get another image on their hosts, or the rollout stops. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { capi, ours } from '../../../src/kube/names.ts';
import { field, items, textField } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import type { LivingCluster } from './living-cluster.ts';
import { newImage, withCluster } from './living-start.ts';
import type { ClusterWish } from './living-start.ts';
import { told } from './seen-machine.ts';
import type { SeenMachine } from './seen-machine.ts';
import { eventually, ground } from './with-plane.ts';

const wish: ClusterWish = {
  template: 'cluster-template-workers-in-place.yaml',
  pools: { control: 3, workers: 2 },
  controlPlanes: 3,
  workers: 2,
  updatesInPlace: true,
  // With surge a control plane is never asked about: a new one is there first.
  variables: { CONTROL_PLANE_MAX_SURGE: '0' },
  changed: (object) =>
    object.kind === 'MachineDeployment' ? { ...object, spec: { ...(object['spec'] as object), rollout: bothAtOnce } } : object,
};
const bothAtOnce = { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 2 } } };

const pods = '/api/v1/namespaces/default/pods';
const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
const labels = { app: 'guarded' };
const podOn = (node: string): PlaneObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'guarded', namespace: 'default', labels },
  // No kubelet ends it: it ends at once.
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 0,
    automountServiceAccountToken: false,
    containers: [{ name: 'c', image: 'none' }],
  },
});
/** A pod that its budget keeps. */
const guard = async ({ workload: { door } }: LivingCluster, node: string): Promise<void> => {
  await eventually('pods may be made', async () => (await door.get('/api/v1/namespaces/default/serviceaccounts/default')) !== undefined);
  await door.apply([podOn(node)]);
  const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z/, 'Z');
  await door.applyStatus({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'guarded', namespace: 'default' },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }] },
  });
  const spec = { minAvailable: 1, selector: { matchLabels: labels } };
  await door.apply([{ apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'guard', namespace: 'default' }, spec }]);
  await eventually('the budget counts it', async () => field(await door.get(`${budgets}/guard`), 'status', 'currentHealthy') === 1);
};
const nodeOf = async ({ workload }: LivingCluster, name: string): Promise<unknown> => await workload.door.get(`/api/v1/nodes/${name}`);
/** Tokens that were made for machines that join again: whose, by the token's ID. */
const freshTokens = async ({ workload }: LivingCluster): Promise<ReadonlyMap<string, string>> => {
  const secrets = items(await workload.door.get('/api/v1/namespaces/kube-system/secrets'));
  const read = (secret: unknown, name: string): string => Buffer.from(textField(secret, 'data', name) ?? '', 'base64').toString();
  return new Map(
    secrets.flatMap((secret) => {
      const [, machine] = /^made by remuda for Machine (\S+), which joins again$/.exec(read(secret, 'description')) ?? [];
      return machine === undefined ? [] : [[machine, read(secret, 'token-id')] as const];
    }),
  );
};
const tokenOf = (text: string): string => /token: (\w{6})\.\w{16}/.exec(text)?.[1] ?? assert.fail('no token in the user data');
const userDataOf = ({ rack }: LivingCluster, { host }: SeenMachine): string =>
  rack.whatRuns(host)?.userData ?? assert.fail(`nothing runs on ${host}`);
const logOf = ({ on }: LivingCluster, name: string): string =>
  readFileSync(on.members.find((member) => member.name === name)?.log ?? assert.fail(name), 'utf8');
const sameness = ({ name, uid, host, node, providerId }: SeenMachine): object => ({ name, uid, host, node, providerId });
const updated = async (cluster: LivingCluster, generation: number): Promise<readonly SeenMachine[]> =>
  await cluster.running(
    () => cluster.workers(),
    2,
    (one) =>
      one.generation === generation && one.annotations[capi.updateInProgress] === undefined && told(one.infra, 'Ready').startsWith('True'),
  );

const controlPlanes = async (cluster: LivingCluster): Promise<void> => {
  const before = await cluster.controlPlanes();
  await cluster.newTemplate('c1-control-plane', 'c1-control-plane-2', { image: newImage });
  await cluster.rollControlPlane('c1-control-plane-2', 'v1.34.5');
  const after = await cluster.running(
    () => cluster.controlPlanes(),
    3,
    ({ image }) => image === newImage,
  );
  const old = new Set(before.map(({ uid }) => uid));
  assert.ok(after.every(({ uid, generation }) => !old.has(uid) && generation === 1));
  const log = logOf(cluster, 'capi-kubeadm-controlplane');
  // The extension of this namespace is the only one that could have been asked.
  for (const { name } of before) assert.match(log, new RegExp(`Machine ${name} cannot be updated in-place by extensions`));
};

/** Its pod stays by its budget: what is done before a host is told can be seen. */
const drained = async (cluster: LivingCluster, before: SeenMachine): Promise<void> => {
  const message = async (): Promise<SeenMachine | undefined> => {
    const machine = (await cluster.workers()).find(({ name }) => name === before.name);
    const updating = machine?.conditions.find(({ type }) => type === 'Updating')?.message ?? '';
    return /kept by their disruption budgets: default\/guarded/.test(updating) ? machine : undefined;
  };
  const kept = await cluster.reach('the drain waits for a budget, and says so', message);
  assert.equal(kept?.annotations[capi.skipRemediation], 'remuda-in-place-update');
  assert.equal(kept?.generation, 1, 'the host is not told yet');
  assert.match(told(kept?.infra, 'Ready'), /^False InPlaceUpdate/);
  assert.equal(field(await nodeOf(cluster, before.node), 'spec', 'unschedulable'), true);
  const { door } = cluster.workload;
  assert.equal((await door.call('DELETE', `${budgets}/guard`)).status, 200);
  await cluster.reach('the pod is evicted', async () => (await door.get(`${pods}/guarded`)) === undefined);
};
const workers = async (cluster: LivingCluster): Promise<void> => {
  const before = await cluster.workers();
  const [first = assert.fail()] = before;
  const nodes = await Promise.all(before.map(({ node }) => nodeOf(cluster, node)));
  const tokens = before.map((one) => tokenOf(userDataOf(cluster, one)));
  await guard(cluster, first.node);
  // Slow enough that a host is seen between two systems: our extension is asked every 15 s.
  cluster.rack.pace(0.3);
  await cluster.newTemplate('c1-md-0', 'c1-md-0-2', { image: newImage });
  await cluster.rollWorkers('c1-md-0-2', 'v1.34.5');
  await drained(cluster, first);
  const fresh = await cluster.reach('a fresh token', async () => {
    const id = (await freshTokens(cluster)).get(`${cluster.namespace}/${first.name}`);
    return id !== undefined && id;
  });
  const after = await updated(cluster, 2);
  cluster.rack.pace(60);
  assert.deepEqual(after.map(sameness), before.map(sameness));
  const digests = new Map((await cluster.rack.metal.images()).map(({ name, digest }) => [name, digest]));
  for (const [at, machine] of after.entries()) {
    assert.deepEqual([machine.version, machine.image], ['v1.34.5', newImage]);
    assert.equal(cluster.rack.whatRuns(machine.host)?.image, digests.get(newImage));
    assert.notEqual(tokenOf(userDataOf(cluster, machine)), tokens[at]);
    assert.equal(machine.annotations[capi.skipRemediation], undefined);
    assert.equal(field(machine.infra, 'metadata', 'annotations', ours.reimage), undefined);
    const node = await nodeOf(cluster, machine.node);
    assert.equal(field(node, 'spec', 'unschedulable'), undefined);
    assert.equal(field(node, 'spec', 'providerID'), machine.providerId);
    assert.equal(field(node, 'status', 'nodeInfo', 'kubeletVersion'), 'v1.34.5');
    assert.notEqual(field(node, 'metadata', 'uid'), field(nodes[at], 'metadata', 'uid'), 'the Node of the old system went with it');
  }
  assert.equal(tokenOf(userDataOf(cluster, after[0] ?? first)), fresh);
  assert.deepEqual([...(await freshTokens(cluster)).keys()], [], 'tokens go when their machines have joined');
};

const stops = async (cluster: LivingCluster): Promise<void> => {
  const before = await cluster.workers();
  await cluster.newTemplate('c1-md-0-2', 'c1-md-0-3', { disk: { pick: 'Smallest' } });
  await cluster.rollWorkers('c1-md-0-3');
  const why = /in-place update not possible, and the rollout is to stop: a new image of the host does not cover infrastructure disk/;
  await cluster.reach('Cluster API is told why', async () => why.test(logOf(cluster, 'capi-core')));
  const note = await cluster.reach('people are told why', () => cluster.eventOf('c1-md-0', 'RolloutStopped'));
  assert.match(
    note,
    /^in-place update not possible, and the rollout is stopped: a new image of the host does not cover infrastructure disk/,
  );
  await pause(5_000);
  const since = await cluster.workers();
  assert.deepEqual(since.map(sameness), before.map(sameness));
  assert.ok(since.every(({ isLeaving, phase }) => !isLeaving && phase === 'Running'));
  await cluster.rollWorkers('c1-md-0-2');
};
const replaces = async (cluster: LivingCluster): Promise<void> => {
  const before = await cluster.workers();
  // What becomes of later changes is no business of the host: the Machines only learn it.
  await cluster.newTemplate('c1-md-0-2', 'c1-md-0-4', { whenNotInPlace: 'Replace' });
  await cluster.rollWorkers('c1-md-0-4');
  const replaceable = async (): Promise<readonly SeenMachine[]> =>
    (await cluster.workers()).filter(({ infra }) => textField(infra, 'spec', 'whenNotInPlace') === 'Replace');
  await cluster.reach('the Machines learn it', async () => (await replaceable()).length === 2);
  assert.deepEqual((await updated(cluster, 2)).map(sameness), before.map(sameness));
  await cluster.newTemplate('c1-md-0-4', 'c1-md-0-5', { disk: { pick: 'Smallest' } });
  await cluster.rollWorkers('c1-md-0-5');
  const old = new Set(before.map(({ uid }) => uid));
  const after = await cluster.running(
    () => cluster.workers(),
    2,
    ({ uid }) => !old.has(uid),
  );
  assert.deepEqual(after.map(({ host }) => host).toSorted(), before.map(({ host }) => host).toSorted());
};

void describe('updates in place', ground, () => {
  void test('one cluster, four rollouts', async (t) => {
    await withCluster(wish, async (cluster) => {
      await t.test('a control plane is never updated in place: it is replaced', () => controlPlanes(cluster));
      await t.test('workers: the same Machines on the same hosts with another image', () => workers(cluster));
      await t.test('a change that a new image does not cover stops the rollout where the template says so', () => stops(cluster));
      await t.test('and replaces the machines where it does not', () => replaces(cluster));
    });
  });
});
