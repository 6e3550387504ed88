/** The lease: of many controllers one works, whatever the API server does to them; nobody writes under a lease that is not its own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { apiVersionOf, kinds } from '../../../src/kube/objects.ts';
import { Lease } from '../../../src/kube/runtime/lease.ts';
import { limits } from '../../../src/limits.ts';
import { fakeWorld } from '../../world/fake.ts';
import { cutConnection, FakeApi, serverError } from '../fake-api.ts';
import type { Fault, Request } from '../fake-api.ts';
import { benchOf, toy, toyObject } from './bench.ts';

const key = 'ns/remuda';
interface Spec {
  readonly holderIdentity?: string;
  readonly leaseTransitions?: number;
}
const specOf = (api: FakeApi): Spec => api.peek(kinds.lease, key)?.spec ?? {};

/** One that wants the lease, as a process has it; `api` is its own way to the server. */
class Candidate {
  readonly lease: Lease;
  readonly stopping = new AbortController();
  isLeading = false;
  readonly life: Promise<void>;
  constructor(world: ReturnType<typeof fakeWorld>, api: FakeApi, holder: string) {
    this.lease = new Lease({ world, log: world.log, limits, api, identity: { namespace: 'ns', holder } });
    this.life = this.#run().catch((error: unknown) => {
      if (!this.stopping.signal.aborted) throw error;
    });
  }
  async #run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const lost = await this.lease.acquire(this.stopping.signal);
      this.isLeading = true;
      lost.addEventListener('abort', () => {
        this.isLeading = false;
      });
      await this.lease.keep(this.stopping.signal);
      this.isLeading = false;
      await this.lease.release();
    }
  }
}
/** The same server, reached by a way of one's own, with faults of its own. */
const wayTo = (api: FakeApi, fault: () => Fault | undefined, world: ReturnType<typeof fakeWorld>): FakeApi => {
  const asked = (request: Partial<Request>): Promise<void> => {
    const found = fault();
    if (found !== undefined && 'delayMs' in found) return world.clock.sleep(found.delayMs);
    return found !== undefined && 'fail' in found ? Promise.reject(found.fail) : Promise.resolve(void request);
  };
  const way = Object.create(api) as FakeApi;
  way.get = async (...args) => {
    await asked({ verb: 'get' });
    return await api.get(...args);
  };
  way.create = async (...args) => {
    await asked({ verb: 'create' });
    const answer = await api.create(...args);
    await asked({});
    return answer;
  };
  way.replace = async (...args) => {
    await asked({ verb: 'replace' });
    const answer = await api.replace(...args);
    await asked({});
    return answer;
  };
  return way;
};

describe('the lease', () => {
  test('one takes it, keeps it, and gives it back; the other takes it at once then', async () => {
    const world = fakeWorld();
    const api = new FakeApi(world);
    const first = new Candidate(world, api, 'first');
    await world.advance(1_000);
    assert.equal(first.isLeading, true);
    assert.deepEqual([specOf(api).holderIdentity, specOf(api).leaseTransitions], ['first', 0]);
    const second = new Candidate(world, api, 'second');
    await world.advance(10 * limits.kubeLeaseMs);
    assert.deepEqual([first.isLeading, second.isLeading], [true, false]);
    first.stopping.abort(new Error('stop'));
    await world.advance(1.3 * limits.kubeLeaseRenewMs);
    assert.deepEqual([first.isLeading, second.isLeading], [false, true]);
    assert.deepEqual([specOf(api).holderIdentity, specOf(api).leaseTransitions], ['second', 1]);
    second.stopping.abort(new Error('stop'));
    await world.settle();
    assert.equal(specOf(api).holderIdentity, '');
  });
  test('who dies without a word is followed after the duration, not before', async () => {
    const world = fakeWorld();
    const api = new FakeApi(world);
    const dead = { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '2099-01-01T00:00:00.000000Z', leaseTransitions: 3 };
    api.seed(kinds.lease, {
      apiVersion: apiVersionOf(kinds.lease),
      kind: 'Lease',
      metadata: { name: 'remuda', namespace: 'ns' },
      spec: dead,
    });
    const heir = new Candidate(world, api, 'heir');
    await world.advance(limits.kubeLeaseMs - 1);
    assert.equal(heir.isLeading, false);
    await world.advance(1.3 * limits.kubeLeaseRenewMs);
    assert.equal(heir.isLeading, true, 'whatever the clock of the dead one said');
    assert.equal(specOf(api).leaseTransitions, 4);
    heir.stopping.abort(new Error('stop'));
    await world.settle();
  });
  test('who cannot renew it has lost it before another may take it', async () => {
    const world = fakeWorld();
    const api = new FakeApi(world);
    let isCut = false;
    const first = new Candidate(
      world,
      wayTo(api, () => (isCut ? { fail: cutConnection() } : undefined), world),
      'first',
    );
    await world.advance(1_000);
    const second = new Candidate(world, api, 'second');
    await world.advance(60_000);
    isCut = true;
    const from = world.clock.now();
    let lostAt = 0;
    let takenAt = 0;
    while (takenAt === 0) {
      await world.advance(100);
      if (!first.isLeading && lostAt === 0) lostAt = world.clock.now() - from;
      if (second.isLeading) takenAt = world.clock.now() - from;
      assert.ok(!(first.lease.isHeld && second.lease.isHeld));
    }
    assert.ok(lostAt <= limits.kubeLeaseLostMs + 100, String(lostAt));
    assert.ok(takenAt >= lostAt + 2_000 && takenAt < 25_000, `${lostAt} ${takenAt}`);
    first.stopping.abort(new Error('stop'));
    second.stopping.abort(new Error('stop'));
    await world.settle();
  });
});

const weather = fc.array(
  fc.record({
    forMs: fc.integer({ min: 100, max: 20_000 }),
    faults: fc.array(
      fc.constantFrom<Fault | undefined>(undefined, undefined, { fail: serverError() }, { delayMs: 4_000 }, { delayMs: 14_000 }),
      { minLength: 3, maxLength: 3 },
    ),
    stops: fc.option(fc.integer({ min: 0, max: 2 }), { freq: 5 }),
  }),
  { minLength: 1, maxLength: 12 },
);
test('property: never two at once, whatever way to the server each of three has; and in the end one leads', async () => {
  await fc.assert(
    fc.asyncProperty(weather, fc.integer({ min: 1, max: 1_000 }), async (spells, seed) => {
      const world = fakeWorld({ seed });
      const api = new FakeApi(world);
      let faults: readonly (Fault | undefined)[] = [];
      const born = (place: number): Candidate =>
        new Candidate(
          world,
          wayTo(api, () => faults[place], world),
          `c${place}-${world.clock.now()}`,
        );
      const alive = [0, 1, 2].map(born);
      const old: Candidate[] = [];
      const step = async (ms: number): Promise<void> => {
        for (let left = ms; left > 0; left -= 250) {
          await world.advance(Math.min(250, left));
          const leading = [...alive, ...old].filter(({ lease }) => lease.isHeld).length;
          assert.ok(leading <= 1, `${leading} at once`);
        }
      };
      for (const spell of spells) {
        faults = spell.faults;
        await step(spell.forMs);
        const stopped = spell.stops === null ? undefined : alive[spell.stops];
        if (spell.stops === null || stopped === undefined) continue;
        stopped.stopping.abort(new Error('stop'));
        old.push(stopped);
        alive[spell.stops] = born(spell.stops);
      }
      faults = [];
      await step(60_000);
      assert.equal(alive.filter(({ isLeading }) => isLeading).length, 1);
      for (const { stopping } of alive) stopping.abort(new Error('over'));
      await world.advance(60_000);
    }),
    { numRuns: 40 },
  );
});

test('controllers with a lease: the lost one is ended at once, its writes are refused, and it stands in line again', async () => {
  const wrote: string[] = [];
  const refused: string[] = [];
  const bench = benchOf(async ({ api, world, cache }, name, signal) => {
    const object = cache.get(toy, name);
    if (object === undefined) return {};
    // Long work that does not hear its signal, as a call to metal may be.
    await world.clock.sleep(30_000);
    try {
      await api.patch(toy, name, { status: { by: 'first' } }, { fieldManager: 'x', subresource: 'status' });
      wrote.push(String(signal.aborted));
    } catch (error) {
      refused.push(String(error));
    }
    return {};
  });
  bench.api.seed(toy, toyObject('a'));
  const started = bench.start({ identity: { namespace: 'ns', holder: 'first' } });
  await bench.world.advance(5_000);
  assert.deepEqual(started.ready(), { ready: true });
  assert.deepEqual(
    started.reading().map(({ name, value }) => `${name} ${value}`),
    ['kube_leading 1', 'kube_reconciling 1', 'kube_queued 0', 'kube_synced 1'],
  );
  bench.api.fault = ({ kind, verb }) => (kind.plural === 'leases' && verb === 'replace' ? { fail: serverError() } : undefined);
  await bench.world.advance(limits.kubeLeaseLostMs + 1_000);
  assert.equal(started.ready().ready, false);
  await bench.world.advance(30_000);
  assert.equal(wrote.length, 0);
  assert.match(refused[0] ?? '', /the lease of this controller is lost/);
  assert.equal(bench.api.peek(toy, 'ns/a')?.status, undefined);
  bench.api.fault = () => undefined;
  await bench.world.advance(60_000);
  assert.deepEqual(started.ready(), { ready: true });
  assert.ok(wrote.length > 0);
  const stopping = started.stop();
  await bench.world.advance(60_000);
  await stopping;
  assert.equal(specOf(bench.api).holderIdentity, '');
});
