/** What was last heard of the lease: whose it is, or why nothing is heard. For people, and for the log, which hears of each thing once a minute. */
import type { Limits } from '../../limits.ts';
import type { Log, World } from '../../world/world.ts';
import { Telling } from './telling.ts';

/** Whose it is, as we heard it last. */
export type LeaseStanding =
  | { readonly is: 'ours' }
  | { readonly is: 'other'; readonly holder: string }
  /** It could not be read or written, and so it is nobody's that we know of. */
  | { readonly is: 'unheard'; readonly why: string }
  /** No answer came yet. */
  | { readonly is: 'asked' };

export interface LeaseNewsOptions {
  readonly world: Pick<World, 'clock'>;
  readonly log: Log;
  readonly limits: Pick<Limits, 'kubeLeaseMs'>;
  /** `namespace/name` */
  readonly lease: string;
}
export class LeaseNews {
  readonly #options: LeaseNewsOptions;
  /** Who else held it when it was last read, and when that was. */
  #other: { readonly holder: string; readonly at: number } | undefined;
  /** Why the last request failed. */
  #failure: string | undefined;
  readonly #failures = new Telling();
  readonly #others = new Telling();

  constructor(options: LeaseNewsOptions) {
    this.#options = options;
  }
  /** The server answered: `holder` has it, or undefined, and it is ours. */
  heard(holder: string | undefined): void {
    const { world, log, lease } = this.#options;
    const at = world.clock.now();
    this.#failure = undefined;
    this.#failures.end();
    this.#other = holder === undefined ? undefined : { holder, at };
    if (holder === undefined) this.#others.end();
    else if (this.#others.isDue(holder, at)) log.info('another controller holds the lease; this one waits in line', { lease, holder });
  }
  failed(reason: string): void {
    const { world, log, lease } = this.#options;
    this.#failure = reason;
    if (this.#failures.isDue(reason, world.clock.now()))
      log.warn('the lease could not be renewed or taken; it is asked for again', { lease, reason });
  }
  /** Where it is not ours. One request that was lost changes nothing of what was heard before it. */
  get standing(): LeaseStanding {
    const { world, limits } = this.#options;
    const isFresh = this.#other !== undefined && world.clock.now() - this.#other.at <= limits.kubeLeaseMs;
    if (this.#failure !== undefined && !isFresh) return { is: 'unheard', why: this.#failure };
    return this.#other === undefined ? { is: 'asked' } : { is: 'other', holder: this.#other.holder };
  }
}
