/** The scheduler: one queue of events in virtual time. Between two events all promise work settles, so the order is the queue's alone. */
import { createHash } from 'node:crypto';

interface Event {
  readonly at: number;
  readonly order: number;
  /** undefined once it was cancelled: then it costs no turn. */
  run: (() => void) | undefined;
}
const settle = setImmediate;

export class Scheduler {
  /** Wall time in ms; begins at a date so that nothing confuses it with a duration. */
  now = Date.UTC(2026, 0, 1);
  readonly #events: Event[] = [];
  #order = 0;
  count = 0;
  readonly #trace = createHash('sha256');
  readonly #lines: string[] = [];
  readonly #always: (() => void)[] = [];
  readonly seen = new Map<string, number>();
  readonly #tell: ((line: string) => void) | undefined;

  constructor(tell?: (line: string) => void) {
    this.#tell = tell;
  }
  log(line: string): void {
    const text = `${this.now - Date.UTC(2026, 0, 1)} ${line}`;
    this.#trace.update(`${text}\n`);
    this.#lines.push(text);
    if (this.#lines.length > 4000) this.#lines.shift();
    this.#tell?.(text);
  }
  get fingerprint(): string {
    return this.#trace.copy().digest('hex');
  }
  tail(count: number): string {
    return this.#lines.slice(-count).join('\n');
  }
  /** Checked after every event. */
  always(check: () => void): void {
    this.#always.push(check);
  }
  /** A place that the seeds together must reach, or they prove nothing. */
  sometimes(place: string): void {
    this.seen.set(place, (this.seen.get(place) ?? 0) + 1);
  }
  /** Runs `run` in so many ms; the returned function cancels it. */
  at(delayMs: number, run: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, delayMs), order: this.#order++, run };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.at ?? 0) <= event.at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
    return () => {
      event.run = undefined;
    };
  }
  sleep(ms: number): Promise<void> {
    return new Promise((wake) => void this.at(ms, wake));
  }
  /** Runs the next event if its time comes by `until`; the promise work that follows from it is the caller's to wait for. */
  turn(until: number): boolean {
    while (this.#events.length > 0 && this.#events[0]?.run === undefined) this.#events.shift();
    const event = this.#events[0];
    if (event === undefined || event.at > until) return false;
    this.#events.shift();
    this.now = Math.max(this.now, event.at);
    this.count++;
    event.run?.();
    return true;
  }
  /** Runs events until `done`, or until the queue or the time is over. True when done. */
  async run(options: { readonly untilMs: number; readonly done?: () => boolean; readonly eventsMax?: number }): Promise<boolean> {
    const { done = () => false, eventsMax = 200_000 } = options;
    const until = this.now + options.untilMs;
    const first = this.count;
    for (;;) {
      // SQLite answers synchronously and the other doors are simulated, so promise chains are all there is to wait for.
      await new Promise((resolve) => settle(resolve));
      if (strays.length > 0) throw new Error(strays.splice(0).join('\n'));
      for (const check of this.#always) check();
      if (done()) return true;
      while (this.#events.length > 0 && this.#events[0]?.run === undefined) this.#events.shift();
      const event = this.#events[0];
      if (event === undefined || event.at > until || this.count - first > eventsMax) return false;
      this.#events.shift();
      this.now = event.at;
      this.count++;
      event.run?.();
    }
  }
}

/** Calls from src/ to what is not in the world: the next event of any scheduler fails with them, also where src/ has caught the error. */
const strays: string[] = [];
const guard = <F extends (...args: never[]) => unknown>(name: string, real: F): F =>
  ((...args: never[]) => {
    const caller = (new Error('where').stack ?? '').split('\n')[2] ?? '';
    if (/\/src\/(?!world\/)/.test(caller)) {
      strays.push(`${name} is not in the world:${caller}`);
      throw new Error(strays.at(-1));
    }
    return real(...args);
  }) as F;
/** `new Date()` and `Date()` read the clock; a date of a given moment does not. */
const guardDate = (real: DateConstructor): DateConstructor => {
  const read = guard('new Date()', () => new real());
  return new Proxy(real, {
    construct: (target, args: unknown[]) => (args.length === 0 ? read() : new target(...(args as [number]))),
  });
};

/** Real time and chance are poison for calls from src/: whoever touches them is told at once. Libraries have timers of their own. */
export const poison = (): void => {
  for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'fetch'] as const)
    Object.assign(globalThis, { [name]: guard(name, globalThis[name] as never) });
  Math.random = guard('Math.random', Math.random);
  crypto.randomUUID = guard('crypto.randomUUID', crypto.randomUUID.bind(crypto));
  crypto.getRandomValues = guard('crypto.getRandomValues', crypto.getRandomValues.bind(crypto) as never);
  performance.now = guard('performance.now', performance.now.bind(performance));
  Date.now = guard('Date.now', Date.now);
  globalThis.Date = guardDate(Date);
};
