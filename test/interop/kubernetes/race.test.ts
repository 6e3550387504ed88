/** Many machines for few hosts, and two controllers that both want to give them: without a lease, which is the worst case, and with one. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { textField } from '../../../src/lab/plane/door.ts';
import type { Kubeconfig } from '../../../src/lab/plane/kubeconfig.ts';
import { livingRack } from '../../kube/living-rack.ts';
import type { LivingRack } from '../../kube/living-rack.ts';
import { FaultyDoor } from './faulty-door.ts';
import type { Rule } from './faulty-door.ts';
import { comes, deleted, herd, images, machinesOf, patched, paths, readyOf, scale, startLife, watched } from './herd.ts';
import type { Eyes } from './herd.ts';
import { Judge } from './judge.ts';
import { providerObjects } from './provider.ts';
import { ground, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const controllerNamespace = 'remuda-system';
/** Each overtakes the other now and then. */
const uneven: readonly Rule[] = [{ verbs: ['get', 'patch'], chance: 0.2, most: 200, fault: { is: 'delay', ms: 60 } }];
const leases = { kubeLeaseMs: 8_000, kubeLeaseRenewMs: 1_000, kubeLeaseLostMs: 6_000 };

void describe('a race for hosts', { ...ground, concurrency: false, timeout: 900_000 }, () => {
  let here: TestPlane;
  let account: Kubeconfig;
  before(async () => {
    if (ground.skip !== false) return;
    here = plane();
    await here.apply(...providerObjects());
    account = { ...here.access, token: await here.door.tokenFor(controllerNamespace, 'remuda-controller') };
  });
  const settle = async (
    t: TestContext,
    hosts: number,
  ): Promise<{ readonly namespace: string; readonly rack: LivingRack; readonly judge: Judge }> => {
    const rack = await livingRack({ hosts, speed: 40, images });
    t.after(() => rack.stop());
    const namespace = await here.newNamespace(t);
    const judge = new Judge(here, rack, namespace);
    t.after(() => judge.stop());
    await rack.allAvailable(240_000);
    return { namespace, rack, judge };
  };
  const doorTo = async (t: TestContext, seed: number, rules: readonly Rule[] = []): Promise<FaultyDoor> => {
    const door = await FaultyDoor.open({ to: account, seed, rules });
    t.after(() => door.close());
    return door;
  };
  const words = async (namespace: string): Promise<ReadonlyMap<string, number>> => {
    const counts = new Map<string, number>();
    for (const one of await machinesOf(here, namespace)) counts.set(readyOf(one).word, (counts.get(readyOf(one).word) ?? 0) + 1);
    return counts;
  };
  const stand = (namespace: string, ready: number, waiting: number): Promise<boolean> =>
    comes(here, namespace, `${ready} Ready and ${waiting} without a host`, async () => {
      const counts = await words(namespace);
      return (
        counts.get('True Ready') === ready && (counts.get('False NoHostFits') ?? 0) === waiting && counts.size === (waiting > 0 ? 2 : 1)
      );
    });
  /** Each machine has a host of its own, by what its status says and by what the rack says. */
  const eachItsOwn = async (namespace: string, rack: LivingRack, count: number): Promise<void> => {
    const holders = (await machinesOf(here, namespace)).filter((one) => readyOf(one).word === 'True Ready');
    const hosts = holders.map((one) => textField(one, 'status', 'host', 'name'));
    assert.equal(new Set(hosts).size, count);
    for (const one of holders) {
      const host = rack.host(textField(one, 'status', 'host', 'name') ?? '');
      assert.equal(host.claim?.id, textField(one, 'spec', 'claimID'));
      assert.equal(rack.whatRuns(host.name)?.providerId, textField(one, 'spec', 'providerID'));
    }
  };

  void test('two controllers without a lease, thirty machines, twenty hosts', async (t) => {
    const { namespace, rack, judge } = await settle(t, 20);
    const wish = { namespace, name: 'c1', workers: 30 };
    const acts = [0, 0];
    const lives: { readonly stop: () => Promise<void> }[] = [];
    for (const at of [0, 1]) {
      const door = await doorTo(t, at, uneven);
      const after: Eyes['after'] = (verb, id) => {
        acts[at] = (acts[at] ?? 0) + 1;
        judge.after(verb, id);
      };
      lives.push(await startLife(t, { to: door.kubeconfig, metal: watched(rack.metal, { before: judge.before, after }), namespace }));
    }
    await here.apply(...herd(wish));
    await stand(namespace, 20, 10);
    await eachItsOwn(namespace, rack, 20);
    // A message alone is written anew at most every half minute.
    await comes(here, namespace, 'who has no host knows of all twenty that others hold them', async () => {
      const late = (await machinesOf(here, namespace)).find((one) => readyOf(one).word === 'False NoHostFits');
      return /20 hosts looked at, none fits: 20 /.test(readyOf(late).message);
    });
    assert.ok(Math.min(...acts) > 0, `both controllers touched metal: ${acts.join(' and ')}`);

    const ready = (await machinesOf(here, namespace)).filter((one) => readyOf(one).word === 'True Ready').slice(0, 5);
    const leaving = ready.map((one) => textField(one, 'metadata', 'name') ?? '');
    for (const name of leaving)
      await patched(here, `${paths(namespace).machines}/${name}`, { metadata: { annotations: { 'cluster.x-k8s.io/delete-machine': '' } } });
    await scale(here, wish, 25);
    await comes(here, namespace, 'five machines have gone', async () => (await machinesOf(here, namespace)).length === 25);
    await stand(namespace, 20, 5);
    await eachItsOwn(namespace, rack, 20);
    const left = (await machinesOf(here, namespace)).map((one) => textField(one, 'metadata', 'name'));
    for (const name of leaving) assert.ok(!left.includes(name), `${name} was to go`);

    // Without a lease one may still ask for a host of a machine that was deleted while it waited for one and that the other has let go just now.
    await lives[1]?.stop();
    await deleted(here, wish);
    assert.deepEqual(judge.broken, []);
    await rack.allAvailable(240_000);
    t.diagnostic(`calls that touched metal: ${acts.join(' and ')}`);
  });

  void test('two controllers and one lease: one works; when it is cut off, the other takes over, and never both', async (t) => {
    const { namespace, rack, judge } = await settle(t, 4);
    const wish = { namespace, name: 'c1', workers: 2 };
    const acts: { readonly by: number; readonly at: number }[] = [];
    const doors = [await doorTo(t, 1), await doorTo(t, 2)];
    for (const [by, door] of doors.entries()) {
      const after: Eyes['after'] = (verb, id) => {
        acts.push({ by, at: Date.now() });
        judge.after(verb, id);
      };
      const metal = watched(rack.metal, { before: judge.before, after });
      await startLife(t, { to: door.kubeconfig, metal, namespace, leaderNamespace: controllerNamespace, limits: leases });
    }
    await here.apply(...herd(wish));
    await stand(namespace, 2, 0);
    const leaders = new Set(acts.map(({ by }) => by));
    assert.equal(leaders.size, 1, `${[...leaders].join(' and ')} touched metal`);
    const [leader = 0] = leaders;
    // The rack it could still reach: only the lease keeps it from touching that.
    doors[leader]?.die();
    const cut = Date.now();
    await scale(here, wish, 4);
    await stand(namespace, 4, 0);
    const later = acts.filter(({ at }) => at >= cut);
    assert.deepEqual([...new Set(later.map(({ by }) => by))], [1 - leader]);
    const first = later[0]?.at ?? Infinity;
    const renewed = doors[leader]?.requests.findLast(({ verb, path }) => verb === 'replace' && path.includes('/leases/'))?.at ?? Infinity;
    // By then the old leader knows that it is none any more, whatever it could still reach.
    assert.ok(first - renewed > leases.kubeLeaseLostMs, `taken over ${first - renewed} ms after it was last renewed`);
    await eachItsOwn(namespace, rack, 4);
    await deleted(here, wish);
    assert.deepEqual(judge.broken, []);
    await rack.allAvailable(240_000);
    t.diagnostic(`the other one first touched metal ${((first - cut) / 1000).toFixed(1)} s after the leader was cut off`);
  });
});
