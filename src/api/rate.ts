/** How often somebody may: buckets that fill with time, one for each name, and a bound on how many names are remembered. */

export interface Rate {
  /** How fast a bucket fills. */
  readonly perSecond: number;
  /** What a full bucket holds. */
  readonly burst: number;
  /** Names remembered; the one that was longest silent is forgotten first, and comes back with a full bucket. */
  readonly namesMax: number;
}
interface Bucket {
  readonly level: number;
  readonly at: number;
}

export class Buckets {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }
  /** Takes one; 0 where there was one, else ms until there will be one. */
  take(name: string, now: number): number {
    const { perSecond, burst, namesMax } = this.#rate;
    const { level, at } = this.#buckets.get(name) ?? { level: burst, at: now };
    // A clock that was set back gives nothing and takes nothing.
    const filled = Math.min(burst, level + (Math.max(0, now - at) / 1000) * perSecond);
    this.#buckets.delete(name);
    this.#buckets.set(name, { level: filled >= 1 ? filled - 1 : filled, at: now });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > namesMax && oldest !== undefined) this.#buckets.delete(oldest);
    return filled >= 1 ? 0 : Math.ceil(((1 - filled) / perSecond) * 1000);
  }
}

/** Seats for requests that stay: some for all together, some for each name. */
export class Seats {
  readonly #most: number;
  readonly #mostEach: number;
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor(most: number, mostEach: number) {
    this.#most = most;
    this.#mostEach = mostEach;
  }
  /** A seat, given back by the returned function (more than once does no harm); undefined where none is free. */
  take(name: string): (() => void) | undefined {
    const mine = this.#taken.get(name) ?? 0;
    if (this.#all >= this.#most || mine >= this.#mostEach) return undefined;
    this.#all += 1;
    this.#taken.set(name, mine + 1);
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      this.#all -= 1;
      const left = (this.#taken.get(name) ?? 1) - 1;
      if (left === 0) this.#taken.delete(name);
      else this.#taken.set(name, left);
    };
  }
}
