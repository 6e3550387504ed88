/** A MachineHealthCheck and our remediation, with the real controllers: reboot, then a new image, then the owner's turn; and never while paused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { capi } from '../../../src/kube/names.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { field } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import type { LivingCluster } from './living-cluster.ts';
import { another, withCluster } from './living-start.ts';
import type { ClusterWish } from './living-start.ts';
import { told } from './seen-machine.ts';
import type { SeenMachine } from './seen-machine.ts';
import { ground } from './with-plane.ts';

/** A new image takes some 45 s: each of its steps is looked at every 15 s. */
const tryS = 75;
const shortS = 30;
const checks = {
  nodeStartupTimeoutSeconds: 7200,
  unhealthyNodeConditions: ['False', 'Unknown'].map((status) => ({ type: 'Ready', status, timeoutSeconds: 1 })),
};
const specOf = (object: PlaneObject): object => object['spec'] as object;
const impatient = (object: PlaneObject): PlaneObject => {
  if (object.kind === 'MachineHealthCheck') return { ...object, spec: { ...specOf(object), checks } };
  if (object.kind === 'BareMetalRemediationTemplate') {
    const timeoutSeconds = object.metadata.name.endsWith('-md-1') ? shortS : tryS;
    return { ...object, spec: { template: { spec: { strategy: 'RebootThenReimage', reboots: 1, reimages: 1, timeoutSeconds } } } };
  }
  return object;
};
const wish: ClusterWish = {
  template: 'cluster-template.yaml',
  pools: { control: 1, workers: 4 },
  controlPlanes: 1,
  workers: 3,
  // A Node is not ready so long after its last heartbeat, and it beats every 10 s.
  nodeGraceSeconds: 20,
  // All of one MachineDeployment fall ill here.
  variables: { REMUDA_UNHEALTHY_MAX: '3' },
  changed: impatient,
};
interface Remediation {
  readonly phase?: string;
  readonly reboots?: number;
  readonly reimages?: number;
}
const requestOf = async (cluster: LivingCluster, { name }: SeenMachine): Promise<unknown> =>
  await cluster.get(kinds.bareMetalRemediation, name);
const statusOf = async (cluster: LivingCluster, machine: SeenMachine): Promise<Remediation> =>
  field(await requestOf(cluster, machine), 'status') ?? {};

/** How often the BMC of a host switched it off and on. */
class PowerBook {
  readonly offs = new Map<string, number>();
  readonly ons = new Map<string, number>();
  constructor({ rack }: LivingCluster) {
    for (const { name, metal } of rack.hosts) {
      const [off, on] = [metal.turnOff.bind(metal), metal.turnOn.bind(metal)];
      metal.turnOff = () => {
        if (metal.power() === 'on') this.offs.set(name, this.of(name).offs + 1);
        return off();
      };
      metal.turnOn = (from) => {
        if (metal.power() === 'off') this.ons.set(name, this.of(name).ons + 1);
        return on(from);
      };
    }
  }
  of(name: string): { readonly offs: number; readonly ons: number } {
    return { offs: this.offs.get(name) ?? 0, ons: this.ons.get(name) ?? 0 };
  }
}
const seenOf = async (cluster: LivingCluster, name: string): Promise<SeenMachine> =>
  (await cluster.machines()).find((one) => one.name === name) ?? assert.fail(`no Machine ${name}`);
const same = ({ uid, host, node, providerId, image }: SeenMachine): object => ({ uid, host, node, providerId, image });
/** Healthy again, and the request is gone. */
const healed = async (cluster: LivingCluster, before: SeenMachine): Promise<SeenMachine> => {
  await cluster.reach(`${before.name} is healthy`, async () => {
    const machine = await seenOf(cluster, before.name);
    const isHealthy = machine.conditions.some(({ type, status }) => type === 'NodeHealthy' && status === 'True');
    return isHealthy && (await requestOf(cluster, before)) === undefined;
  });
  const after = await seenOf(cluster, before.name);
  assert.deepEqual(same(after), same(before));
  const node = await cluster.workload.door.get(`/api/v1/nodes/${after.node}`);
  assert.equal(field(node, 'spec', 'unschedulable'), undefined, 'pods may come again');
  return after;
};

const rebooted = async (cluster: LivingCluster, before: SeenMachine, book: PowerBook): Promise<void> => {
  await cluster.reach('help is asked for', async () => (await requestOf(cluster, before)) !== undefined);
  const after = await healed(cluster, before);
  assert.equal(after.generation, 1);
  assert.deepEqual(book.of(before.host), { offs: 1, ons: 1 });
};
const reimaged = async (cluster: LivingCluster, before: SeenMachine): Promise<void> => {
  await cluster.reach('it was rebooted first', async () => (await statusOf(cluster, before)).reboots === 1);
  await cluster.reach('then gets a new image', async () => (await statusOf(cluster, before)).reimages === 1);
  const after = await healed(cluster, before);
  assert.equal(after.generation, 2);
  assert.equal(cluster.rack.whatRuns(before.host)?.generation, 2);
};
/** Paused after its first try; the next one would be due long before it goes on. */
const held = async (cluster: LivingCluster, before: SeenMachine, book: PowerBook, until: Promise<unknown>): Promise<void> => {
  const annotate = (value: string | null): Promise<void> =>
    cluster.patch(kinds.bareMetalRemediation, before.name, { metadata: { annotations: { [capi.paused]: value } } });
  await cluster.reach('it was rebooted', async () => (await statusOf(cluster, before)).phase === 'Waiting');
  await annotate('');
  const powers = book.of(before.host);
  const dueAt = Date.now() + (tryS + 20) * 1000;
  await until;
  await cluster.reach('the next try would be due', async () => Date.now() > dueAt);
  assert.match(told(await requestOf(cluster, before), 'Ready'), /^False Paused/);
  assert.equal((await statusOf(cluster, before)).reimages, undefined);
  assert.deepEqual(book.of(before.host), powers);
  assert.equal((await seenOf(cluster, before.name)).generation, 1);
  await annotate(null);
  const after = await healed(cluster, before);
  assert.equal(after.generation, 2);
};
const replaced = async (cluster: LivingCluster, before: SeenMachine): Promise<void> => {
  const given = await cluster.reach('nothing helps', async () => {
    const status = await statusOf(cluster, before);
    return status.phase === 'GivenUp' && status;
  });
  assert.deepEqual([given.reboots, given.reimages], [1, 1]);
  const machine = (await cluster.machines()).find(({ name }) => name === before.name);
  const remediated = machine?.conditions.find(({ type }) => type === 'OwnerRemediated');
  assert.equal(remediated?.status, 'False');
  const [after] = await cluster.running(
    () => cluster.workers('c1-md-1'),
    1,
    ({ uid }) => uid !== before.uid,
  );
  assert.equal(after?.generation, 1);
  assert.equal(after?.host, before.host, 'the host that was kept for it');
};

void describe('remediation', ground, () => {
  void test('four workers whose kubelets fall silent at once', { concurrency: true }, async (t) => {
    await withCluster(wish, async (cluster) => {
      // The one host for control planes stands in a, workers in all three.
      const domains = field(await cluster.get(kinds.cluster, cluster.name), 'status', 'failureDomains');
      assert.deepEqual(
        domains,
        ['a', 'b', 'c'].map((name) => ({ name, controlPlane: name === 'a' })),
      );
      await cluster.on.apply(...another(cluster, 'c1-md-1', { replicas: 1 }).map(impatient));
      const [lost = assert.fail()] = await cluster.running(() => cluster.workers('c1-md-1'), 1);
      const [plain = assert.fail(), stubborn = assert.fail(), paused = assert.fail()] = await cluster.workers();
      const book = new PowerBook(cluster);
      // After its crash a kubelet joins from this generation on.
      const joinsFrom = new Map([
        [plain.node, 1],
        [stubborn.node, 2],
        [paused.node, 2],
        [lost.node, 9],
      ]);
      cluster.kubelets.joins = (_host, { hostName, generation }) => generation >= (joinsFrom.get(hostName) ?? 1);
      for (const { host } of [plain, stubborn, paused, lost]) cluster.rack.crash(host);
      const escalated = Promise.withResolvers<void>();
      const done = await Promise.allSettled([
        t.test('a reboot helps', () => rebooted(cluster, plain, book)),
        t.test('a reboot does not help, a new image does', () => reimaged(cluster, stubborn)),
        t.test('neither helps: the owner replaces the machine', () => replaced(cluster, lost).finally(() => escalated.resolve())),
        t.test('nothing is done while it is paused', () => held(cluster, paused, book, escalated.promise)),
      ]);
      for (const one of done) if (one.status === 'rejected') throw one.reason;
    });
  });
});
