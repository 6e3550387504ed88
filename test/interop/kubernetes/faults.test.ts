/**
 * Machines over a bad line: provisioned, replaced by another image and deleted while the line between our controller and the real API server
 * cuts, refuses, delays, brings what is old and falls silent, and while the controller is killed at its writes and at its calls to the metal.
 * Everything converges; no host is lost or doubled, and no machine is let go while its host runs.
 *
 * Cluster API's core is real; the bootstrap data are the test's own and no kubelet stands behind a host, so each Machine ends as Provisioned.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Kubeconfig } from '../../../src/lab/plane/kubeconfig.ts';
import { livingRack } from '../../kube/living-rack.ts';
import type { LivingRack } from '../../kube/living-rack.ts';
import { chanceOf } from '../../sim/chance.ts';
import { FaultyDoor, writes } from './faulty-door.ts';
import type { DoorWish, Rule, Verb } from './faulty-door.ts';
import { allReady, comes, herd, images, machinesOf, paths, readyOf, rollOut, startLife, watched } from './herd.ts';
import type { HerdWish } from './herd.ts';
import { Judge } from './judge.ts';
import { providerObjects } from './provider.ts';
import { ground, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const workers = 2;
/** Weathers, on one rack that has for each the hosts that it holds and those that it has just given back. */
const atOnce = 3;
const seed = 20_261_121;
const reads: readonly Verb[] = ['get', 'list'];
const watch: readonly Verb[] = ['watch'];
const ours = /\/baremetal|\/machines|\/clusters/;

interface Weather {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** What must have come to pass; else the test has tested nothing. */
  readonly must: readonly string[];
}
const cuts: readonly Rule[] = [
  { verbs: writes, chance: 0.3, most: 8, fault: { is: 'cut', when: 'after' } },
  { verbs: writes, chance: 0.3, most: 8, fault: { is: 'cut', when: 'before' } },
  { verbs: reads, chance: 0.1, most: 8, fault: { is: 'cut', when: 'before' } },
];
const refusals: readonly Rule[] = [
  { verbs: writes, chance: 0.25, most: 6, fault: { is: 'refuse', status: 409 } },
  { verbs: writes, chance: 0.25, most: 6, fault: { is: 'refuse', status: 500 } },
  { verbs: writes, chance: 0.3, most: 4, fault: { is: 'refuse', status: 429, retryAfterSeconds: 1 } },
  { verbs: reads, chance: 0.1, most: 4, fault: { is: 'refuse', status: 503 } },
  { verbs: [...watch, 'list'], chance: 0.3, most: 4, fault: { is: 'refuse', status: 410 } },
];
const stale: readonly Rule[] = [{ verbs: reads, path: ours, chance: 0.4, most: 30, fault: { is: 'stale' } }];
const delays: readonly Rule[] = [{ verbs: [...writes, ...reads], chance: 0.3, most: 30, fault: { is: 'delay', ms: 700 } }];
const silence: readonly Rule[] = [
  { verbs: watch, chance: 0.7, most: 6, fault: { is: 'silent', afterEvents: 0 } },
  { verbs: watch, chance: 0.7, most: 6, fault: { is: 'silent', afterEvents: 3 } },
];
const tears: readonly Rule[] = [
  { verbs: watch, chance: 0.7, most: 8, fault: { is: 'torn', afterEvents: 1 } },
  { verbs: watch, chance: 0.7, most: 8, fault: { is: 'forgotten', afterEvents: 1 } },
  { verbs: watch, chance: 0.9, most: 4, fault: { is: 'forgotten', afterEvents: 0 } },
];
const weathers: readonly Weather[] = [
  { name: 'connections are cut before and after the server has done it', rules: cuts, must: ['cut before', 'cut after'] },
  { name: '409, 410, 429, 500, 503', rules: refusals, must: ['409', '410', '429', '500', '503'] },
  { name: 'answers are late', rules: delays, must: ['delay'] },
  { name: 'reads bring what was', rules: stale, must: ['stale'] },
  { name: 'watches fall silent', rules: silence, must: ['silent'] },
  { name: 'watches are torn within a line, and their versions forgotten', rules: tears, must: ['torn', 'forgotten'] },
  {
    name: 'all of it together',
    rules: [...cuts, ...refusals, ...stale, ...delays, ...silence, ...tears],
    must: ['cut after', '409', 'stale', 'delay', 'silent'],
  },
];
/** By turns before and after the act, at one of the first acts of each life. */
const deaths = 14;

void describe('machines over a bad line', { ...ground, concurrency: false, timeout: 1_400_000 }, () => {
  let here: TestPlane;
  let rack: LivingRack;
  let account: Kubeconfig;
  before(async () => {
    if (ground.skip !== false) return;
    here = plane();
    await here.apply(...providerObjects());
    account = { ...here.access, token: await here.door.tokenFor('remuda-system', 'remuda-controller') };
    rack = await livingRack({ hosts: atOnce * 2 * workers, speed: 40, images });
    await rack.allAvailable(240_000);
  });
  after(async () => {
    await rack?.stop();
  });

  const settle = async (t: TestContext): Promise<{ readonly wish: HerdWish; readonly judge: Judge }> => {
    const namespace = await here.newNamespace(t);
    const judge = new Judge(here, rack, namespace);
    t.after(() => judge.stop());
    return { wish: { namespace, name: 'c1', workers }, judge };
  };
  /** Deleted while its hosts cannot be switched off: no machine goes before they are off at last. */
  const goes = async ({ namespace, name }: HerdWish): Promise<void> => {
    const held = rack.daemon.hosts().filter(({ claim }) => claim?.owner.startsWith(`${namespace}/`));
    assert.equal(held.length, workers);
    for (const host of held) rack.keepOn(host.name);
    assert.equal((await here.door.call('DELETE', `${paths(namespace).clusters}/${name}`)).status, 200);
    await comes(here, namespace, 'all machines wait for their hosts to be off', async () => {
      const all = await machinesOf(here, namespace);
      return all.length < workers || all.every((one) => readyOf(one).word === 'False Deleting');
    });
    assert.equal((await machinesOf(here, namespace)).length, workers, 'a machine went while its host ran');
    for (const { name: host } of held) rack.keepOn(host, false);
    await comes(here, namespace, 'the Cluster is gone', async () => {
      // A BMC that is given up, now or a little later: somebody says that it may be tried again.
      for (const { name: host } of held) if (rack.host(host).failed !== null) await rack.metal.retry(host);
      return (await here.door.get(`${paths(namespace).clusters}/${name}`)) === undefined;
    });
  };
  /** Provisioned, replaced, deleted; nothing may be left behind. */
  const live = async (t: TestContext, wish: HerdWish, judge: Judge): Promise<void> => {
    const { namespace } = wish;
    const times: string[] = [];
    let last = Date.now();
    const lap = (what: string): void => {
      times.push(`${what} ${((Date.now() - last) / 1000).toFixed(0)} s`);
      last = Date.now();
    };
    await here.apply(...herd(wish));
    await comes(here, namespace, 'all machines Ready', () => allReady(here, namespace, workers, images[0]));
    lap('up');
    await rollOut(here, wish);
    await comes(here, namespace, 'all machines Ready with the other image', () => allReady(here, namespace, workers, images[1]));
    lap('replaced');
    assert.deepEqual(judge.broken, []);
    await goes(wish);
    lap('gone');
    assert.deepEqual(judge.broken, []);
    const claims = new Set(judge.calls.filter(({ verb }) => verb === 'claim').map(({ claimId }) => claimId));
    assert.equal(claims.size, 2 * workers);
    for (const claimId of claims)
      await comes(here, namespace, `${claimId} is over`, async () => (await rack.metal.standing(claimId)).is === 'over');
    assert.ok(judge.letGo >= 2 * workers, `${judge.letGo} machines were seen to be let go`);
    assert.equal(rack.daemon.hosts().filter(({ claim }) => claim?.owner.startsWith(`${namespace}/`)).length, 0);
    lap('clean');
    t.diagnostic(`${times.join(', ')}; ${judge.calls.length} calls touched metal`);
  };
  const doorTo = async (t: TestContext, wish: Omit<DoorWish, 'to' | 'seed'>): Promise<FaultyDoor> => {
    const door = await FaultyDoor.open({ to: account, seed, ...wish });
    t.after(() => door.close());
    return door;
  };

  void describe('in their own namespaces, some at once', { concurrency: atOnce }, () => {
    for (const { name, rules, must } of weathers)
      void test(name, async (t) => {
        const { wish, judge } = await settle(t);
        const door = await doorTo(t, { rules });
        await startLife(t, { to: door.kubeconfig, metal: watched(rack.metal, judge), namespace: wish.namespace });
        await live(t, wish, judge);
        t.diagnostic(`${door.requests.length} requests; ${JSON.stringify(Object.fromEntries(door.faults))}`);
        for (const fault of must)
          assert.ok((door.faults.get(fault) ?? 0) > 0, `no ${fault} came to pass: ${JSON.stringify([...door.faults])}`);
      });

    /** Lives until it dies, `deaths` times; then one that may live. Tells how often it died so far. */
    const generations = (t: TestContext, begin: (number: number, dies: () => void) => Promise<{ readonly stop: () => Promise<void> }>) => {
      const over = new AbortController();
      let dead = 0;
      const run = async (): Promise<void> => {
        while (dead < deaths) {
          const died = Promise.withResolvers<void>();
          const life = await begin(dead, died.resolve);
          over.signal.addEventListener('abort', () => died.resolve(), { once: true });
          if (!over.signal.aborted) await died.promise;
          await life.stop();
          if (over.signal.aborted) return;
          dead++;
        }
        await begin(Infinity, () => undefined);
      };
      const running = run();
      t.after(async () => {
        over.abort();
        await running;
      });
      return () => dead;
    };
    const draw = (purpose: string, number: number): number => chanceOf(seed, `${purpose} ${number}`).between(1, 4);

    void test('the controller is killed at its writes', async (t) => {
      const { wish, judge } = await settle(t);
      const dead = generations(t, async (number, told) => {
        const when = number % 2 === 0 ? 'after' : 'before';
        const dies = number === Infinity ? {} : { dies: { atWrite: draw('write', number), when, told } as const };
        const door = await doorTo(t, dies);
        const metal = watched(rack.metal, { before: judge.before, after: judge.after, isDead: () => door.isDead });
        return await startLife(t, { to: door.kubeconfig, metal, namespace: wish.namespace });
      });
      await live(t, wish, judge);
      assert.ok(dead() >= 8, `it died only ${dead()} times`);
      t.diagnostic(`it died ${dead()} times`);
    });

    void test('the controller is killed at its calls to the metal', async (t) => {
      const { wish, judge } = await settle(t);
      const dead = generations(t, async (number, told) => {
        const door = await doorTo(t, {});
        const end = (): void => {
          door.die();
          told();
        };
        const [isBefore, at] = [number % 2 === 1, number === Infinity ? Infinity : 1 + (number % 3 === 2 ? 1 : 0)];
        let calls = 0;
        const metal = watched(rack.metal, {
          before: async (verb, claimId) => {
            calls++;
            if (isBefore && calls === at) return end();
            await judge.before(verb, claimId);
          },
          after: (verb, claimId) => {
            judge.after(verb, claimId);
            if (!isBefore && calls >= at) end();
          },
          isDead: () => door.isDead,
        });
        return await startLife(t, { to: door.kubeconfig, metal, namespace: wish.namespace });
      });
      await live(t, wish, judge);
      assert.ok(dead() >= 4, `it died only ${dead()} times`);
      t.diagnostic(`it died ${dead()} times`);
    });
  });

  void test('at the end every host is free and clean', async () => {
    await rack.allAvailable(240_000);
    for (const { disk } of rack.hosts) assert.ok(disk.isZero());
  });
});
