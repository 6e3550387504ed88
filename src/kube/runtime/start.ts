/** The door of the controller runtime: with a lease or without, reconcilers work as long as we lead, and it ends in good order. */
import { reasonOf } from '../../errors.ts';
import { limits as usualLimits } from '../../limits.ts';
import type { Limits } from '../../limits.ts';
import type { GaugeName, Labels } from '../../world/metrics.ts';
import { backoffMs } from './backoff.ts';
import { Controllers } from './controllers.ts';
import type { ControllersOptions } from './controllers.ts';
import { Lease } from './lease.ts';
import type { Identity } from './lease.ts';
import { meteredApi } from './metered-api.ts';

export interface StartOptions extends Omit<ControllersOptions, 'limits' | 'instance'> {
  /** Absent: there is no other controller, and no lease is needed. */
  readonly identity?: Identity;
  readonly limits?: Limits;
}
export interface StartedControllers {
  /** In good order: every worker ends its step, then the lease is given back. */
  stop(): Promise<void>;
  /** Resolves when all has ended; never rejects. */
  readonly done: Promise<void>;
  /** Are reconcilers at work? Else why not, for people. */
  ready():
    | { readonly ready: true }
    | {
        readonly ready: false;
        readonly why: string;
        /** Another one works, which `why` names: this is as it should be. */ readonly isInLine?: true;
      };
  /** Gauges of this moment, for the meter. */
  reading(): readonly { readonly name: GaugeName; readonly labels?: Labels; readonly value: number }[];
}

/**
 * Begins at once and returns; `world.signal` ends it as `stop` does. Where the lease is lost, reconcilers are ended and their writes refused
 * at once, and it stands in line again with an empty cache.
 */
export const startControllers = ({ identity, limits = usualLimits, ...options }: StartOptions): StartedControllers => {
  const { world, meter } = options;
  const log = world.log.with({ room: 'kube' });
  const ending = new AbortController();
  const signal = AbortSignal.any([world.signal, ending.signal]);
  const lease =
    identity === undefined ? undefined : new Lease({ world, log, limits, api: meteredApi(options.api, meter, () => true), identity });
  let current: Controllers | undefined;

  /** One turn: ends when the lease is lost, or in good order. */
  const lead = async (lost: AbortSignal): Promise<void> => {
    const api = meteredApi(options.api, meter, () => lease?.isHeld ?? true);
    const controllers = new Controllers({ ...options, api, limits, instance: identity?.holder ?? 'remuda' });
    const end = (): void => controllers.stop();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    current = controllers;
    await controllers.run(lost);
    current = undefined;
    signal.removeEventListener('abort', end);
  };
  const turn = async (held: Lease): Promise<void> => {
    const lost = await held.acquire(signal);
    const kept = new AbortController();
    const keeping = held.keep(kept.signal);
    // The lease is renewed until the last worker has ended, and given back only then.
    await lead(lost);
    kept.abort();
    await keeping;
    if (!signal.aborted)
      log.error('the lease is lost; reconcilers were ended and wait for it again', { lease: held.isHeld ? 'held' : 'lost' });
    await held.release();
  };
  const run = async (): Promise<void> => {
    if (lease === undefined) return await lead(new AbortController().signal);
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one turn at a time
        await turn(lease);
      } catch (error) {
        if (signal.aborted) return;
        log.error('the controller could not lead', { reason: reasonOf(error) });
        // oxlint-disable-next-line no-await-in-loop -- the pause between two tries
        await world.clock.sleep(backoffMs(failures + 1, world.random, limits), signal).catch(() => undefined);
      }
    }
  };
  const done = run().catch((error: unknown) => log.error('the controllers ended by an error of ours', { reason: reasonOf(error) }));
  return {
    done,
    stop: async () => {
      ending.abort(new DOMException('the controllers were stopped', 'AbortError'));
      await done;
    },
    ready: () => {
      if (signal.aborted && current?.isReady !== true) return { ready: false, why: 'the controllers were stopped' };
      return current === undefined ? waiting(lease) : working(current);
    },
    reading: () => readingOf(current, lease?.isHeld ?? true),
  };
};
type Readiness = ReturnType<StartedControllers['ready']>;
const working = ({ isReady, failure, waitingFor }: Controllers): Readiness => {
  if (isReady) return failure === undefined ? { ready: true } : { ready: false, why: `the API server is not heard any more: ${failure}` };
  const [first, ...others] = waitingFor;
  if (first === undefined) return { ready: false, why: 'the lease is lost, and what was under way ends' };
  const why = failure === undefined ? '' : `: ${failure}`;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return { ready: false, why: `the API server was not heard yet on ${first}${more}${why}` };
};
const waiting = (lease: Lease | undefined): Readiness => {
  if (lease === undefined) return { ready: false, why: 'the controllers ended by an error of ours: the log says which' };
  const { key, standing } = lease;
  if (standing.is === 'unheard') return { ready: false, why: `the lease ${key} could not be read or taken: ${standing.why}` };
  if (standing.is === 'other')
    return { ready: false, isInLine: true, why: `another controller, ${standing.holder}, holds the lease ${key}; this one waits in line` };
  const why = standing.is === 'ours' ? 'is ours, and the reconcilers begin' : 'was asked for, and no answer came yet';
  return { ready: false, why: `the lease ${key} ${why}` };
};
const readingOf = (current: Controllers | undefined, isLeading: boolean): ReturnType<StartedControllers['reading']> => [
  { name: 'kube_leading', value: Number(isLeading) },
  { name: 'kube_reconciling', value: current?.load.running ?? 0 },
  ...[...(current?.load.queued ?? [])].map(([kind, value]) => ({ name: 'kube_queued' as const, labels: { kind }, value })),
  ...(current?.watched ?? []).map((kind) => ({
    name: 'kube_synced' as const,
    labels: { kind },
    value: Number(!current?.waitingFor.includes(kind)),
  })),
];
