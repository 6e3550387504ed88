/** The work queue: each key once, by one worker at a time; what failed waits longer each time; no lane keeps the others waiting. */
import { KubeError } from '../api.ts';
import type { Result } from '../controller.ts';
import type { Limits } from '../../limits.ts';
import type { World } from '../../world/world.ts';
import { backoffMs } from './backoff.ts';

/** What is to be looked at: `lane` is the reconciler's name, and lanes take turns. */
export interface Item {
  readonly lane: string;
  readonly key: string;
}
export interface QueueOptions {
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly limits: Limits;
  /** What it throws is tried again with back-off. */
  readonly run: (item: Item, signal: AbortSignal) => Promise<Result>;
  /** Told of every end: `error` where it failed, and when it comes again. */
  readonly ended?: (item: Item, end: { readonly ms: number; readonly error?: unknown; readonly againMs?: number }) => void;
}
interface Entry {
  readonly item: Item;
  /** Waiting for a worker, for a worker and for time, or with a worker; `dirty`: it changed meanwhile. */
  state: 'idle' | 'ready' | 'running';
  dirty: boolean;
  failures: number;
  /** Ends the wait for time. */
  cancel: (() => void) | undefined;
  dueAt: number;
}

export class Queue {
  readonly #options: QueueOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #lanes = new Map<string, Entry[]>();
  readonly #ending = new AbortController();
  readonly #idle = new Set<() => void>();
  #running = 0;
  #isOpen = false;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** From now on workers take what is there; before, it is only gathered. */
  start(): void {
    this.#isOpen = true;
    this.#next();
  }
  /** Look at it now; once, however often it is said. While a worker is at it: again when that is done. */
  add(item: Item): void {
    if (this.#ending.signal.aborted) return;
    const entry = this.#entry(item);
    if (entry.state === 'running') entry.dirty = true;
    if (entry.state !== 'idle') return;
    this.#unwait(entry);
    this.#ready(entry);
  }
  /** Look at it in so many ms, unless it is looked at before; the earlier of two times counts. */
  addAfter(item: Item, ms: number): void {
    if (this.#ending.signal.aborted) return;
    const entry = this.#entry(item);
    if (entry.state === 'idle') this.#wait(entry, ms);
  }
  /** Waiting for a worker now, by lane. */
  depth(lane: string): number {
    return this.#lanes.get(lane)?.length ?? 0;
  }
  get lanes(): readonly string[] {
    return [...this.#lanes.keys()];
  }
  /** Keys that are known: waiting for a worker, for time, or with a worker. */
  get size(): number {
    return this.#entries.size;
  }
  get running(): number {
    return this.#running;
  }
  /**
   * Nothing new begins, and it resolves when no worker is at anything. `now` ends the signal of those that are (the lease was lost);
   * else they finish their step.
   */
  async stop(how: 'drain' | 'now'): Promise<void> {
    this.#isOpen = false;
    for (const entry of this.#entries.values()) this.#unwait(entry);
    if (how === 'now') this.#ending.abort(new DOMException('the controllers end', 'AbortError'));
    if (this.#running > 0) await new Promise<void>((resolve) => void this.#idle.add(resolve));
    if (how === 'drain') this.#ending.abort(new DOMException('the controllers end', 'AbortError'));
  }

  #entry(item: Item): Entry {
    const id = `${item.lane} ${item.key}`;
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const fresh: Entry = { item, state: 'idle', dirty: false, failures: 0, cancel: undefined, dueAt: 0 };
    this.#entries.set(id, fresh);
    return fresh;
  }
  #ready(entry: Entry): void {
    entry.state = 'ready';
    const lane = this.#lanes.get(entry.item.lane) ?? [];
    this.#lanes.set(entry.item.lane, lane);
    lane.push(entry);
    this.#next();
  }
  #wait(entry: Entry, ms: number): void {
    const dueAt = this.#options.world.clock.now() + ms;
    if (entry.cancel !== undefined && entry.dueAt <= dueAt) return;
    this.#unwait(entry);
    entry.dueAt = dueAt;
    entry.cancel = this.#options.world.clock.after(ms, () => {
      entry.cancel = undefined;
      if (entry.state === 'idle') this.#ready(entry);
    });
  }
  #unwait(entry: Entry): void {
    entry.cancel?.();
    entry.cancel = undefined;
  }
  /** Gives work to free workers, a key of each lane in turn. */
  #next(): void {
    while (this.#isOpen && this.#running < this.#options.limits.kubeWorkers) {
      const found = [...this.#lanes].find(([, lane]) => lane.length > 0);
      const entry = found?.[1].shift();
      if (found === undefined || entry === undefined) return;
      // To the end of the row of lanes.
      this.#lanes.delete(found[0]);
      this.#lanes.set(...found);
      entry.state = 'running';
      entry.dirty = false;
      this.#running++;
      // It never rejects: every end of a run is an end of an entry.
      void this.#work(entry);
    }
  }
  async #work(entry: Entry): Promise<void> {
    const { world, run, ended, limits } = this.#options;
    const from = world.clock.now();
    const late = new AbortController();
    const cancel = world.clock.after(limits.reconcileMs, () =>
      late.abort(new DOMException(`not done in ${limits.reconcileMs} ms`, 'TimeoutError')),
    );
    let result: Result = {};
    let failed: { readonly error: unknown } | undefined;
    try {
      result = await run(entry.item, AbortSignal.any([this.#ending.signal, late.signal]));
    } catch (error) {
      failed = { error };
    }
    cancel();
    const againMs = this.#settle(entry, result, failed);
    ended?.(entry.item, { ms: world.clock.now() - from, ...failed, ...(againMs === undefined ? {} : { againMs }) });
    if (this.#running === 0) for (const resolve of this.#idle) resolve();
    this.#next();
  }
  #settle(entry: Entry, { requeueAfterMs }: Result, failed: { readonly error: unknown } | undefined): number | undefined {
    this.#running--;
    entry.state = 'idle';
    entry.failures = failed === undefined ? 0 : entry.failures + 1;
    if (!this.#isOpen) return undefined;
    const againMs = failed === undefined ? requeueAfterMs : this.#pauseMs(entry, failed.error);
    if (failed === undefined && entry.dirty) this.#ready(entry);
    else if (againMs !== undefined) this.#wait(entry, againMs);
    else this.#entries.delete(`${entry.item.lane} ${entry.item.key}`);
    return againMs;
  }
  #pauseMs(entry: Entry, error: unknown): number {
    const { world, limits } = this.#options;
    // What changed while it failed may be what it needed: it waits no longer than after a first failure.
    const pause = backoffMs(entry.dirty ? 1 : entry.failures, world.random, limits);
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    return Math.min(Math.max(pause, asked), Math.max(limits.kubeBackoffMostMs, pause));
  }
}
