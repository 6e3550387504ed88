/** Machines in any weather: stale caches, crashes, lost answers, pauses, moves, deletions; the promises to the metal hold at every moment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KubeError } from '../../../src/kube/api.ts';
import type { Cache, Reconciler, Tools } from '../../../src/kube/controller.ts';
import { bareMetal } from '../../../src/kube/machine/adapter.ts';
import { machineReconciler } from '../../../src/kube/machine/reconcile.ts';
import type { Metal } from '../../../src/kube/metal.ts';
import { capi } from '../../../src/kube/names.ts';
import { keyOf, kinds } from '../../../src/kube/objects.ts';
import type { Key, Kind, KubeObject } from '../../../src/kube/objects.ts';
import { isTrue } from '../../../src/kube/runtime/conditions.ts';
import { RemudaError } from '../../../src/errors.ts';
import { cutConnection } from '../fake-api.ts';
import { Bench } from './bench.ts';

const kind = kinds.bareMetalMachine;
const key: Key = 'ns/m1';
/** A cache that is as old as the test wants. */
class OldCache implements Cache {
  readonly #objects = new Map<string, KubeObject>();
  refresh(bench: Bench): void {
    this.#objects.clear();
    for (const one of [kind, kinds.machine, kinds.cluster, kinds.bareMetalCluster])
      for (const object of bench.api.all(one)) this.#objects.set(`${one.plural} ${keyOf(object)}`, object);
  }
  get(of: Kind, at: Key): KubeObject | undefined {
    return this.#objects.get(`${of.plural} ${at}`);
  }
  list(): readonly KubeObject[] {
    return [];
  }
  by(): readonly KubeObject[] {
    return [];
  }
  note(of: Kind, object: KubeObject): void {
    this.#objects.set(`${of.plural} ${keyOf(object)}`, object);
  }
}
const words = [
  'look',
  'stale',
  'crash',
  'boot',
  'off',
  'clean',
  'pause',
  'unpause',
  'away',
  'back',
  'delete',
  'move',
  'restore',
  'cut',
  'lose',
  'orphan',
] as const;
type Word = (typeof words)[number];

class Weather {
  readonly bench = new Bench();
  readonly cache = new OldCache();
  reconciler: Reconciler;
  isMoved = false;
  isDeleted = false;
  isOrphan = false;
  changes = 0;
  readonly lost = new Set<string>();
  #loses = false;
  #broken: unknown;
  #movedAt: string | undefined;
  constructor() {
    const { bench } = this;
    bench.metal.add('h1');
    bench.metal.add('h2');
    bench.cluster();
    bench.machine('m1');
    bench.metal.before = (call) => {
      try {
        this.#lawful(call);
      } catch (error) {
        // Thrown here it would become a condition.
        this.#broken ??= error;
      }
    };
    this.reconciler = this.#reconciler();
    this.cache.refresh(bench);
  }
  #reconciler(): Reconciler {
    const { bench, cache } = this;
    const { metal } = bench;
    const lossy = async <T>(verb: string, done: Promise<T>): Promise<T> => {
      const answer = await done;
      if (!this.#loses) return answer;
      this.#loses = false;
      this.lost.add(`${verb} lost`);
      throw new RemudaError('timed-out', 'the answer was lost');
    };
    const through: Metal = new Proxy<Metal>(metal, {
      get: (target, name) => {
        if (name === 'claim') return (request: Parameters<Metal['claim']>[0]) => lossy('claim', target.claim(request));
        if (name === 'release') return (id: string, wish: Parameters<Metal['release']>[1]) => lossy('release', target.release(id, wish));
        const found: unknown = Reflect.get(target, name);
        return typeof found === 'function' ? (found.bind(target) as unknown) : found;
      },
    });
    const { world, api, settings } = bench;
    const tools: Tools = {
      world,
      log: world.log,
      api,
      cache,
      metal: through,
      settings,
      events: { record: () => undefined },
      wake: () => undefined,
    };
    return machineReconciler(tools, bareMetal);
  }
  /** Looked at in the moment in which metal is touched, in the API server's own store. */
  #lawful({ verb, claimId }: { readonly verb: string; readonly claimId: string }): void {
    const object = this.bench.api.peek(kind, key);
    const cluster = this.bench.api.peek(kinds.cluster, 'ns/c1');
    assert.ok(object !== undefined && cluster !== undefined, `${verb} for nobody`);
    const { annotations = {}, deletionTimestamp } = object.metadata;
    assert.notEqual((cluster.spec as { readonly paused?: boolean }).paused, true, `${verb} while paused`);
    assert.equal(annotations[capi.deleteForMove], undefined, `${verb} of what was moved`);
    if (verb === 'release') return assert.ok(deletionTimestamp !== undefined, 'released alive');
    assert.equal((object.spec as { readonly claimID?: string }).claimID, claimId, 'claimed before its ID was written');
    assert.ok(annotations[capi.blockMove] !== undefined && deletionTimestamp === undefined, 'claimed, and a move may begin');
  }
  async look(): Promise<void> {
    try {
      await this.reconciler.reconcile(key, new AbortController().signal);
    } catch (error) {
      // The runtime would try again.
      if (!(error instanceof KubeError)) throw error;
    }
  }
  get holder() {
    return this.bench.metal.all.find(({ claim, release }) => claim !== null || release !== null);
  }
  async blow(word: Word): Promise<void> {
    const { bench } = this;
    const { metal, api } = bench;
    const { holder } = this;
    if (word !== 'look' && word !== 'stale') this.changes++;
    const acts: Readonly<Record<Word, () => void | Promise<void>>> = {
      look: () => {
        this.cache.refresh(bench);
        return this.look();
      },
      stale: () => this.look(),
      crash: () => {
        this.reconciler = this.#reconciler();
        this.cache.refresh(bench);
      },
      boot: () => (holder?.state === 'provisioning' ? metal.boot(holder.name) : undefined),
      off: () => (holder?.release !== undefined && holder.release !== null ? metal.off(holder.name) : undefined),
      clean: () => (holder?.release?.offAt === undefined ? undefined : metal.clean(holder.name)),
      pause: () => (this.isOrphan ? undefined : bench.change(kinds.cluster, 'ns/c1', { spec: { paused: true } })),
      unpause: () => (this.isOrphan ? undefined : bench.change(kinds.cluster, 'ns/c1', { spec: { paused: false } })),
      away: () => void (metal.isAway = true),
      back: () => void (metal.isAway = false),
      delete: () => {
        if (this.isMoved || api.peek(kind, key) === undefined) return undefined;
        this.isDeleted = true;
        return api.delete(kind, key);
      },
      move: () => this.#move(),
      restore: () => this.#restore(),
      cut: () => {
        let left = 1;
        api.fault = ({ verb, fieldManager }) =>
          verb === 'patch' && fieldManager === 'remuda' && left-- > 0 ? { failAfter: cutConnection() } : undefined;
      },
      lose: () => void (this.#loses = true),
      orphan: () => {
        if (this.isMoved) return;
        this.isOrphan = true;
        api.purge(kinds.cluster, 'ns/c1');
      },
    };
    await acts[word]();
    bench.world.advance(0).catch(() => undefined);
    this.check();
  }
  async #move(): Promise<void> {
    const { api } = this.bench;
    const object = api.peek(kind, key);
    const isBlocked = object?.metadata.annotations?.[capi.blockMove] !== undefined;
    if (object === undefined || isBlocked || this.isDeleted || this.isMoved || this.isOrphan) return;
    this.isMoved = true;
    api.seed(kind, { ...object, metadata: { ...object.metadata, annotations: { [capi.deleteForMove]: '' } } });
    await api.delete(kind, key);
    this.#movedAt = api.peek(kind, key)?.metadata.resourceVersion;
  }
  /** On the target there is no status, and the uid is another. */
  #restore(): void {
    if (!this.isMoved) return;
    const { api } = this.bench;
    const object = api.peek(kind, key);
    api.purge(kind, key);
    const machine = api.peek(kinds.machine, key);
    assert.ok(machine !== undefined);
    const { claimID, providerID } = (object?.spec ?? { claimID: this.claimMade }) as {
      readonly claimID?: string;
      readonly providerID?: string;
    };
    const ids = { ...(claimID === undefined ? {} : { claimID }), ...(providerID === undefined ? {} : { providerID }) };
    api.seed(kind, {
      apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2',
      kind: kind.kind,
      metadata: {
        name: 'm1',
        namespace: 'ns',
        labels: machine.metadata.labels ?? {},
        ownerReferences: [this.bench.ownedBy(machine)],
        // clusterctl brings them along.
        finalizers: object?.metadata.finalizers ?? [],
      },
      spec: { image: 'alpha', ...ids },
    });
    this.isMoved = false;
  }
  get claimMade(): string | undefined {
    return this.bench.metal.calls.find(({ verb, outcome }) => verb === 'claim' && outcome === 'done')?.claimId;
  }
  get #writes(): number {
    return this.bench.writesTo(kind, key).filter(({ fieldManager }) => fieldManager === 'remuda').length;
  }
  check(): void {
    if (this.#broken !== undefined) throw this.#broken;
    const { metal, api } = this.bench;
    if (this.isMoved) assert.equal(api.peek(kind, key)?.metadata.resourceVersion, this.#movedAt, 'a moved object was written');
    const made = metal.calls.filter(({ verb, outcome }) => verb === 'claim' && outcome === 'done').map(({ claimId }) => claimId);
    assert.ok(new Set(made).size <= 1, 'two claims for one machine');
    assert.ok(metal.all.filter(({ claim }) => claim !== null).length <= 1, 'two hosts for one machine');
    if (api.peek(kind, key) === undefined && !this.isMoved) {
      const holder = metal.all.find(({ claim }) => claim !== null);
      assert.equal(holder, undefined, 'the object is gone and the host may still run');
      assert.ok(
        metal.all.every(({ release }) => release === null || release.offAt !== undefined),
        'the object is gone before the host was off',
      );
    }
    assert.ok(this.#writes <= 14 + 4 * this.changes, `${this.#writes} writes for ${this.changes} changes`);
  }
  /** All is well again: what was wished becomes true. */
  async heal(): Promise<void> {
    await this.blow('back');
    this.bench.api.fault = () => undefined;
    if (this.isOrphan || this.isMoved) return;
    await this.blow('unpause');
    for (let round = 0; round < 8; round++)
      for (const word of ['look', 'look', 'boot', 'off'] as const) {
        await this.bench.world.advance(10_000);
        await this.blow(word);
      }
    const object = this.bench.api.peek(kind, key);
    if (this.isDeleted) assert.equal(object, undefined, `still there: ${JSON.stringify(object?.status)}`);
    else assert.ok(isTrue(object, 'Ready'), JSON.stringify(object?.status));
  }
}
/** A day begins somewhere in a life. */
const life: readonly Word[] = ['look', 'look', 'look', 'look', 'boot', 'look', 'look', 'look'];
test('no weather takes a second host, releases a moved or paused one, or lets go of one that may run; and all becomes well', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof({ arbitrary: fc.constantFrom<Word>('look', 'stale'), weight: 3 }, { arbitrary: fc.constantFrom(...words), weight: 2 }),
        {
          minLength: 5,
          maxLength: 50,
        },
      ),
      fc.nat(life.length),
      async (blows, begun) => {
        const weather = new Weather();
        for (const word of [...life.slice(0, begun), ...blows]) await weather.blow(word);
        await weather.heal();
        for (const one of weather.lost) seen.add(one);
        for (const { verb, outcome } of weather.bench.metal.calls) seen.add(`${verb} ${outcome}`);
      },
    ),
    { numRuns: 200 },
  );
  // A weather in which nothing happens proves nothing.
  for (const one of ['claim done', 'release done', 'claim lost', 'release lost'])
    assert.ok(seen.has(one), `no day had ${one}: ${[...seen].join()}`);
});
