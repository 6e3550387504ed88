/** Reconcilers at work: every watch once, changes become keys, keys are looked at in turn. One turn of leading, from the first list to the end. */
import { codeOf, reasonOf } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { Meter, World } from '../../world/world.ts';
import type { KubeApi } from '../api.ts';
import type { Cache, ControllerSettings, Reconciler, Tools, Watch } from '../controller.ts';
import type { Metal } from '../metal.ts';
import { capi } from '../names.ts';
import type { Key, Kind, KubeObject } from '../objects.ts';
import { backoffMs } from './backoff.ts';
import { cacheOf, resourceOf, Shelf } from './cache.ts';
import type { Change } from './cache.ts';
import { Events } from './events.ts';
import { ListWatch } from './list-watch.ts';
import { Queue } from './queue.ts';
import type { Item } from './queue.ts';

/** What runs beside the reconcilers for as long as we lead, such as listening to the rack. What it throws begins it anew, with back-off. */
export interface Loop {
  readonly name: string;
  readonly run: (tools: Tools, signal: AbortSignal) => Promise<void>;
}
export interface ControllersOptions {
  readonly world: World;
  readonly meter: Meter;
  readonly limits: Limits;
  readonly api: KubeApi;
  readonly metal: Metal;
  readonly settings: ControllerSettings;
  readonly reconcilers: (tools: Tools) => readonly Reconciler[];
  readonly watches: readonly Watch[];
  readonly loops?: readonly Loop[];
  /** Which of many controllers it is, for events. */
  readonly instance: string;
}
interface Lane {
  readonly name: string;
  readonly reconciler: Reconciler;
}

export class Controllers {
  readonly #options: ControllersOptions;
  readonly #shelves = new Map<string, Shelf>();
  readonly #listWatches: readonly ListWatch[];
  readonly #cache: Cache;
  readonly #queue: Queue;
  readonly #events: Events;
  readonly #tools: Tools;
  readonly #lanes: readonly Lane[];
  readonly #ending = new AbortController();
  #isReady = false;

  constructor(options: ControllersOptions) {
    this.#options = options;
    const { world, limits, api, metal, settings, instance } = options;
    const log = world.log.with({ room: 'kube' });
    this.#listWatches = options.watches.map((watch) => this.#listWatch(watch));
    this.#cache = cacheOf(this.#shelves);
    this.#events = new Events({ world, log, limits, api, instance });
    this.#queue = new Queue({
      world,
      limits,
      run: (item, signal) => this.#run(item, signal),
      ended: (item, end) => this.#ended(item, end),
    });
    const wake = (kind: Kind, key: Key): void => this.#wake(kind, key);
    this.#tools = { world, log, api, cache: this.#cache, metal, events: this.#events, settings, wake };
    const names = new Map<string, number>();
    this.#lanes = options.reconcilers(this.#tools).map((reconciler) => {
      const kind = resourceOf(reconciler.kind);
      const count = (names.get(kind) ?? 0) + 1;
      names.set(kind, count);
      return { name: count === 1 ? kind : `${kind}#${count}`, reconciler };
    });
  }

  /** Until `signal` ends, or `stop`. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const ends = AbortSignal.any([signal, this.#ending.signal]);
    const watching = this.#listWatches.map((one) => one.run(ends));
    const ended = new Promise<void>((resolve) => {
      if (ends.aborted) resolve();
      ends.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([Promise.all(this.#listWatches.map((one) => one.synced)), ended]);
    const loops: Promise<void>[] = [];
    if (!ends.aborted) {
      this.#isReady = true;
      this.#tools.log.info('the API server is heard; reconcilers are at work', { server: this.#options.api.server });
      this.#queue.start();
      loops.push(this.#resync(ends), ...(this.#options.loops ?? []).map((loop) => this.#loop(loop, ends)));
    }
    await ended;
    this.#isReady = false;
    // In good order each worker ends its step; a lost lease ends it at once.
    await this.#queue.stop(this.#ending.signal.aborted && !signal.aborted ? 'drain' : 'now');
    await Promise.all([...watching, ...loops, this.#events.stop()]);
  }
  /** In good order: `run` resolves when every worker has ended its step. */
  stop(): void {
    this.#ending.abort(new DOMException('the controllers end', 'AbortError'));
  }
  get isReady(): boolean {
    return this.#isReady;
  }
  /** Watches whose first list has not come. */
  get waitingFor(): readonly string[] {
    return this.#listWatches.filter(({ isSynced }) => !isSynced).map(({ name }) => name);
  }
  /** Why one of them does not get its first list; or, once all have it, why one has not been heard for a while. */
  get failure(): string | undefined {
    return this.#listWatches.map((one) => (this.#isReady ? one.unheard : one.failure)).find((why) => why !== undefined);
  }
  get watched(): readonly string[] {
    return this.#listWatches.map(({ name }) => name);
  }
  /** Waiting for a worker, by kind; and how many workers are busy. */
  get load(): { readonly queued: ReadonlyMap<string, number>; readonly running: number } {
    return { queued: new Map(this.#lanes.map(({ name }) => [name, this.#queue.depth(name)])), running: this.#queue.running };
  }

  #listWatch(watch: Watch): ListWatch {
    const { world, meter, limits, api, settings } = this.#options;
    const shelf = new Shelf(watch);
    this.#shelves.set(resourceOf(watch.kind), shelf);
    const changed = (change: Change): void => this.#changed(watch.kind, change);
    const log = world.log.with({ room: 'kube' });
    const { namespace } = settings;
    return new ListWatch({ world, meter, log, limits, api, watch, shelf, changed, ...(namespace === undefined ? {} : { namespace }) });
  }
  #changed(kind: Kind, { now, before }: Change): void {
    const resource = resourceOf(kind);
    const objects = [now, before].filter((object) => object !== undefined);
    for (const lane of this.#lanes) {
      const keys = objects.flatMap((object) => this.#keysFor(lane, resource, object));
      for (const key of new Set(keys)) this.#add(lane, key);
    }
  }
  /** Which keys of this lane one object of that resource concerns. */
  #keysFor({ reconciler }: Lane, resource: string, object: KubeObject): readonly Key[] {
    const { name, namespace = '' } = object.metadata;
    const own: readonly Key[] = resourceOf(reconciler.kind) === resource ? [`${namespace}/${name}`] : [];
    const also = (reconciler.also ?? []).filter(({ kind }) => resourceOf(kind) === resource);
    return [...own, ...also.flatMap(({ keys }) => this.#safely(reconciler.kind, () => keys(object, this.#cache)))];
  }
  /** An object that nobody expected must not end the watch for all others. */
  #safely(kind: Kind, keys: () => readonly Key[]): readonly Key[] {
    try {
      return keys();
    } catch (error) {
      this.#tools.log.error('which objects a change concerns could not be told', { kind: kind.kind, reason: reasonOf(error) });
      this.#options.meter.count('kube_reconcile_errors', { kind: kind.kind, code: codeOf(error) });
      return [];
    }
  }
  #wake(kind: Kind, key: Key): void {
    for (const lane of this.#lanes) if (resourceOf(lane.reconciler.kind) === resourceOf(kind)) this.#add(lane, key);
  }
  #add(lane: Lane, key: Key): void {
    if (this.#isOurs(lane.reconciler.kind, key)) this.#queue.add({ lane: lane.name, key });
  }
  /** Of this namespace and with this label, where the settings say so. What has no namespace is everybody's. */
  #isOurs(kind: Kind, key: Key): boolean {
    const { namespace, watchFilter } = this.#options.settings;
    if (!kind.namespaced) return true;
    if (namespace !== undefined && !key.startsWith(`${namespace}/`)) return false;
    const object = watchFilter === undefined ? undefined : this.#cache.get(kind, key);
    return object === undefined || object.metadata.labels?.[capi.watchFilter] === watchFilter;
  }
  async #run({ lane, key }: Item, signal: AbortSignal): Promise<{ readonly requeueAfterMs?: number }> {
    const found = this.#lanes.find(({ name }) => name === lane);
    // The label may have gone since the key was queued.
    if (found === undefined || !this.#isOurs(found.reconciler.kind, key as Key)) return {};
    return await found.reconciler.reconcile(key as Key, signal);
  }
  #ended({ lane, key }: Item, { ms, error, againMs }: { readonly ms: number; readonly error?: unknown; readonly againMs?: number }): void {
    const kind = this.#lanes.find(({ name }) => name === lane)?.reconciler.kind.kind ?? lane;
    this.#options.meter.took('kube_reconcile_seconds', ms / 1000, { kind });
    if (error === undefined || this.#ending.signal.aborted) return;
    const code = codeOf(error);
    this.#options.meter.count('kube_reconcile_errors', { kind, code });
    const fields = { kind, key, code, reason: reasonOf(error), ...(againMs === undefined ? {} : { inMs: againMs }) };
    // Somebody else wrote meanwhile: that is how it is meant to be.
    if (code === 'version-conflict') this.#tools.log.debug('a reconciliation begins anew', fields);
    else if (code === 'internal')
      this.#tools.log.error('a reconciliation failed', { ...fields, stack: error instanceof Error ? error.stack : '' });
    else this.#tools.log.warn('a reconciliation failed', fields);
  }
  /** Now and then everything is looked at, whatever was heard. */
  async #resync(signal: AbortSignal): Promise<void> {
    const { world, limits } = this.#options;
    while (await slept(world, limits.kubeResyncMs * (0.9 + 0.2 * world.random.next()), signal))
      for (const lane of this.#lanes)
        for (const { metadata } of this.#cache.list(lane.reconciler.kind)) this.#add(lane, `${metadata.namespace ?? ''}/${metadata.name}`);
  }
  async #loop({ name, run }: Loop, signal: AbortSignal): Promise<void> {
    const { world, limits } = this.#options;
    let failures = 0;
    do {
      const from = world.clock.now();
      try {
        // oxlint-disable-next-line no-await-in-loop -- it is begun anew only when it has ended
        await run(this.#tools, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#tools.log.warn('a loop of the controller is begun anew', { loop: name, reason: reasonOf(error) });
      }
      failures = world.clock.now() - from > limits.kubeBackoffMostMs ? 1 : failures + 1;
      // oxlint-disable-next-line no-await-in-loop -- the pause between two tries
    } while (await slept(world, backoffMs(failures, world.random, limits), signal));
  }
}
/** False where the signal ended the sleep. */
const slept = async (world: Pick<World, 'clock'>, ms: number, signal: AbortSignal): Promise<boolean> => {
  try {
    await world.clock.sleep(ms, signal);
  } catch {
    // The signal's own reason: whoever calls ends.
  }
  return !signal.aborted;
};
