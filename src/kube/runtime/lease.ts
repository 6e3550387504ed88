/** Leader election by a Lease (coordination.k8s.io/v1): of many controllers one works, and it stops before another may begin. */
import { reasonOf } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { Log, World } from '../../world/world.ts';
import { isConflict } from '../api.ts';
import type { KubeApi } from '../api.ts';
import { fieldManager } from '../names.ts';
import { apiVersionOf, kinds } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';
import { kubeMicroTime } from './conditions.ts';
import { LeaseNews } from './lease-news.ts';
import type { LeaseStanding } from './lease-news.ts';

/** Who we are among those that want the lease. */
export interface Identity {
  /** Where the lease stands. */
  readonly namespace: string;
  /** Default `remuda`. */
  readonly lease?: string;
  /** Unique to this process. */
  readonly holder: string;
}
interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}
export interface LeaseOptions {
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly log: Log;
  readonly limits: Limits;
  readonly api: KubeApi;
  readonly identity: Identity;
}

/**
 * The lease from our side, as client-go keeps it: whoever holds it renews it every `kubeLeaseRenewMs`; who could not renew it for
 * `kubeLeaseLostMs` has lost it; who saw it unchanged for `kubeLeaseMs` may take it. No clock of another machine is believed: the time
 * runs from when we saw a change. And our own runs from before the request that renews, since the others may see it from then on.
 */
export class Lease {
  readonly #options: LeaseOptions;
  /** `namespace/name`, for messages. */
  readonly key: Key;
  /** The version that we saw last, and whether it stood unchanged for its whole duration since. */
  #seen = '';
  #isStale = false;
  #forget: () => void = () => {};
  #heldUntil = 0;
  #expire: () => void = () => {};
  #lost = new AbortController();
  readonly #news: LeaseNews;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.key = `${options.identity.namespace}/${options.identity.lease ?? 'remuda'}`;
    this.#news = new LeaseNews({ ...options, lease: this.key });
  }
  /** Ours, at this moment? By the clock too: a process that was stopped for a while wakes before its timers do. */
  get isHeld(): boolean {
    return !this.#lost.signal.aborted && this.#options.world.clock.now() < this.#heldUntil;
  }
  get standing(): LeaseStanding {
    return this.isHeld ? { is: 'ours' } : this.#news.standing;
  }
  /** Waits until it is ours; the signal ends when it is lost. Throws the reason of `signal` when that ends first. */
  async acquire(signal: AbortSignal): Promise<AbortSignal> {
    this.#lost = new AbortController();
    const { world, limits, log, identity } = this.#options;
    log.info('waiting for the lease', { lease: this.key, holder: identity.holder });
    for (;;) {
      signal.throwIfAborted();
      // oxlint-disable-next-line no-await-in-loop -- one try at a time
      if (await this.#try()) break;
      // Jittered, so that those who wait do not all ask at once.
      // oxlint-disable-next-line no-await-in-loop -- the pause between two tries
      await world.clock.sleep(limits.kubeLeaseRenewMs * (1 + 0.2 * world.random.next()), signal);
    }
    log.info('the lease is ours', { lease: this.key, holder: identity.holder });
    return this.#lost.signal;
  }
  /** Renews it until it is lost or `signal` ends; never throws. */
  async keep(signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([signal, this.#lost.signal]);
    while (!both.aborted) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- the pause between two renewals
        await this.#options.world.clock.sleep(this.#options.limits.kubeLeaseRenewMs, both);
      } catch {
        // The signal ended the sleep: it is looked at below.
      }
      // oxlint-disable-next-line no-await-in-loop -- one renewal at a time
      if (!both.aborted) await this.#try();
    }
  }
  /** Gives it back, so that the next one need not wait; only after everything under it has ended. */
  async release(): Promise<void> {
    this.#forget();
    if (!this.isHeld) return this.#lose('released');
    this.#lose('released');
    try {
      const lease = await this.#options.api.get(kinds.lease, this.key);
      if (lease === undefined || specOf(lease).holderIdentity !== this.#options.identity.holder) return;
      await this.#write(lease, { ...specOf(lease), holderIdentity: '', leaseDurationSeconds: 1 });
    } catch (error) {
      this.#options.log.warn('the lease could not be given back; it ends by itself', { lease: this.key, reason: reasonOf(error) });
    }
  }

  #lose(why: string): void {
    this.#expire();
    this.#heldUntil = 0;
    this.#lost.abort(new DOMException(`the lease ${this.key} is no longer ours: ${why}`, 'AbortError'));
  }
  /** Takes or renews it; true when it is ours now. */
  async #try(): Promise<boolean> {
    const { world, api } = this.#options;
    const from = world.clock.now();
    // The others count from when they see it; we count from before we ask, by timers that no step of the wall clock moves.
    const asked = this.#timer();
    try {
      const lease = await api.get(kinds.lease, this.key);
      const isOurs = await this.#take(lease);
      this.#news.heard(isOurs || lease === undefined ? undefined : (specOf(lease).holderIdentity ?? ''));
      if (isOurs && !this.#lost.signal.aborted) {
        this.#hold(from, asked);
        return true;
      }
      asked.cancel();
      if (!isOurs && this.#heldUntil > 0) this.#lose('another holds it');
    } catch (error) {
      asked.cancel();
      if (!isConflict(error)) this.#news.failed(reasonOf(error));
    }
    return false;
  }
  /** Runs from now; what happens at its end is said later. */
  #timer(): { readonly cancel: () => void; over: boolean; end: () => void } {
    const timer = { over: false, end: (): void => {}, cancel: (): void => {} };
    timer.cancel = this.#options.world.clock.after(this.#options.limits.kubeLeaseLostMs, () => {
      timer.over = true;
      timer.end();
    });
    return timer;
  }
  #hold(from: number, timer: { readonly cancel: () => void; readonly over: boolean; end: () => void }): void {
    this.#expire();
    this.#heldUntil = from + this.#options.limits.kubeLeaseLostMs;
    this.#expire = timer.cancel;
    const end = (): void => this.#lose('it could not be renewed in time');
    timer.end = end;
    if (timer.over) end();
  }
  async #take(lease: KubeObject | undefined): Promise<boolean> {
    const { world, identity, limits } = this.#options;
    const time = kubeMicroTime(world.clock.now());
    const leaseDurationSeconds = Math.ceil(limits.kubeLeaseMs / 1000);
    const mine = { holderIdentity: identity.holder, leaseDurationSeconds, renewTime: time };
    if (lease === undefined) {
      await this.#write(undefined, { ...mine, acquireTime: time, leaseTransitions: 0 });
      return true;
    }
    this.#look(lease);
    const spec = specOf(lease);
    const holder = spec.holderIdentity ?? '';
    if (holder !== identity.holder && holder !== '' && !this.#isStale) return false;
    const isNew = holder !== identity.holder;
    const transitions = (spec.leaseTransitions ?? 0) + Number(isNew);
    await this.#write(lease, { ...mine, acquireTime: isNew ? time : (spec.acquireTime ?? time), leaseTransitions: transitions });
    return true;
  }
  /** A lease that changed lives for its duration from now. */
  #look(lease: KubeObject): void {
    const version = lease.metadata.resourceVersion ?? '';
    if (version === this.#seen) return;
    this.#seen = version;
    this.#isStale = false;
    this.#forget();
    const ms = Math.max(this.#options.limits.kubeLeaseMs, (specOf(lease).leaseDurationSeconds ?? 0) * 1000);
    this.#forget = this.#options.world.clock.after(ms, () => {
      this.#isStale = true;
    });
  }
  async #write(before: KubeObject | undefined, spec: LeaseSpec): Promise<void> {
    const { api, identity } = this.#options;
    const what = { apiVersion: apiVersionOf(kinds.lease), kind: kinds.lease.kind };
    const metadata = before?.metadata ?? { namespace: identity.namespace, name: identity.lease ?? 'remuda' };
    // With the version that was read: of two who take it at once, one is refused.
    const lease: KubeObject = { ...before, ...what, metadata, spec };
    await (before === undefined ? api.create(kinds.lease, lease, fieldManager) : api.replace(kinds.lease, lease, fieldManager));
  }
}
const specOf = (lease: KubeObject): LeaseSpec => lease.spec ?? {};
