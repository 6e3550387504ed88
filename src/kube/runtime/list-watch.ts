/** One kind, listed once and watched for ever: whatever ends the watch, it is begun anew, and nothing that happened meanwhile is lost. */
import { reasonOf } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { Log, Meter, World } from '../../world/world.ts';
import { isGone, KubeError } from '../api.ts';
import type { KubeApi, WatchEvent } from '../api.ts';
import type { Watch } from '../controller.ts';
import { backoffMs } from './backoff.ts';
import { isOlder, resourceOf } from './cache.ts';
import type { Change, Shelf } from './cache.ts';

export interface ListWatchOptions {
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly meter: Meter;
  readonly log: Log;
  readonly limits: Limits;
  readonly api: KubeApi;
  readonly watch: Watch;
  /** Of kinds that have namespaces. */
  readonly namespace?: string;
  readonly shelf: Shelf;
  readonly changed: (change: Change) => void;
}
/** A list that is older than what we know is asked for again so often; then the server was set back, and is believed. */
const staleTries = 3;
/** Failing for less than this is weather. */
const unheardMs = 30_000;
/** A request that stands for so long was not refused; a connection that nobody takes is given up earlier. */
const standsMs = 15_000;
const whyOf = (error: unknown): string => (error instanceof KubeError ? String(error.httpStatus) : 'failed');

export class ListWatch {
  readonly #options: ListWatchOptions;
  #version: string | undefined;
  #failures = 0;
  #stale = 0;
  #isSynced = false;
  /** Why the last request failed, and since when all have. */
  #failing: { readonly why: string; readonly since: number } | undefined;
  /** When the watch that runs now was asked for. */
  #askedAt: number | undefined;
  readonly #syncing = Promise.withResolvers<void>();

  constructor(options: ListWatchOptions) {
    this.#options = options;
  }
  /** Resolves when the first list is on the shelf. */
  get synced(): Promise<void> {
    return this.#syncing.promise;
  }
  get isSynced(): boolean {
    return this.#isSynced;
  }
  /** What it waits for, for people. */
  get name(): string {
    return resourceOf(this.#options.watch.kind);
  }
  /** Why the last request failed, where nothing was heard since. */
  get failure(): string | undefined {
    return this.#stands() ? undefined : this.#failing?.why;
  }
  /** The same, where it has been so for longer than weather lasts. */
  get unheard(): string | undefined {
    const isLong = this.#options.world.clock.now() - (this.#failing?.since ?? Infinity) >= unheardMs;
    return isLong ? this.failure : undefined;
  }
  #stands(): boolean {
    return this.#askedAt !== undefined && this.#options.world.clock.now() - this.#askedAt >= standsMs;
  }
  /** Until `signal` ends; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one list, one watch at a time
        await this.#once(signal);
      } catch (error) {
        if (signal.aborted) return;
        // oxlint-disable-next-line no-await-in-loop -- the pause between two tries
        await this.#pause(error, signal);
      }
    }
  }
  async #once(signal: AbortSignal): Promise<void> {
    const version = this.#version ?? (await this.#list());
    if (signal.aborted) return;
    const { api, watch, world } = this.#options;
    const from = world.clock.now();
    this.#askedAt = from;
    for await (const event of api.watch(watch.kind, { ...this.#which(), resourceVersion: version }, signal)) {
      if (signal.aborted) return;
      this.#failures = 0;
      this.#failing = undefined;
      this.#take(event);
    }
    // The server ends a watch after minutes, in good order. One that it ends at once would make us ask without end.
    if (world.clock.now() - from < this.#options.limits.kubeBackoffFirstMs) throw new KubeError('the watch ended at once', { status: 0 });
    this.#count('ended');
  }
  #which(): { readonly namespace?: string; readonly labelSelector?: string } {
    const { watch, namespace } = this.#options;
    return {
      ...(namespace === undefined || !watch.kind.namespaced ? {} : { namespace }),
      ...(watch.labelSelector === undefined ? {} : { labelSelector: watch.labelSelector }),
    };
  }
  async #list(): Promise<string> {
    const { api, watch, shelf, changed } = this.#options;
    const { items, resourceVersion } = await api.list(watch.kind, this.#which());
    if (isOlder(resourceVersion, shelf.heard)) this.#doubt(resourceVersion);
    this.#stale = 0;
    this.#failing = undefined;
    for (const change of shelf.replace(items, resourceVersion)) changed(change);
    this.#version = resourceVersion;
    this.#isSynced = true;
    this.#syncing.resolve();
    return resourceVersion;
  }
  /** A list must not take us back in time, or what we wrote would be done a second time. */
  #doubt(version: string): void {
    const { shelf, log } = this.#options;
    if (++this.#stale <= staleTries)
      throw new KubeError(`the list of ${this.name} is of version ${version}, older than ${shelf.heard} that was heard before`, {
        status: 0,
        reason: 'Stale',
      });
    log.warn('the API server was set back to an earlier version; all is read anew', { kind: this.name, version, heard: shelf.heard });
    const { changed } = this.#options;
    const known = shelf.list();
    shelf.forget();
    for (const before of known) changed({ now: undefined, before });
  }
  #take(event: WatchEvent): void {
    const { shelf, changed } = this.#options;
    if (event.type === 'BOOKMARK') {
      shelf.hear(event.resourceVersion);
      this.#version = event.resourceVersion;
      return;
    }
    this.#version = event.object.metadata.resourceVersion ?? this.#version;
    const change = event.type === 'DELETED' ? shelf.remove(event.object) : shelf.put(event.object);
    if (change !== undefined) changed(change);
  }
  async #pause(error: unknown, signal: AbortSignal): Promise<void> {
    const { world, log, limits } = this.#options;
    this.#count(whyOf(error));
    // A silent watch, and one from a version that is forgotten, are begun anew at once the first time.
    const isUsual = isGone(error) || (error instanceof KubeError && error.httpStatus === 504);
    if (isGone(error)) this.#version = undefined;
    this.#failures++;
    const since = this.#stands() ? undefined : this.#failing?.since;
    this.#askedAt = undefined;
    if (isUsual && this.#failures === 1) return;
    this.#failing = { why: reasonOf(error), since: since ?? world.clock.now() };
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const ms = Math.max(asked, backoffMs(this.#failures, world.random, limits));
    log.warn('a watch is begun anew', { kind: this.name, reason: reasonOf(error), inMs: ms, failures: this.#failures });
    try {
      await world.clock.sleep(ms, signal);
    } catch {
      // The signal ended the sleep; whoever calls looks at it.
    }
  }
  #count(why: string): void {
    this.#options.meter.count('kube_watch_restarts', { kind: this.name, why });
  }
}
