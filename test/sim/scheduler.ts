/** The scheduler: one queue of events in virtual time. Between two events all promise work settles, so the order is the queue's alone. */
import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
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

  log(line: string): void {
    const text = `${this.now - Date.UTC(2026, 0, 1)} ${line}`;
    this.#trace.update(`${text}\n`);
    this.#lines.push(text);
    if (this.#lines.length > 4000) this.#lines.shift();
    if (process.env['SIM_TRACE'] !== undefined) appendFileSync(process.env['SIM_TRACE'], `${text}\n`);
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
  at(delayMs: number, run: () => void): void {
    const event = { at: this.now + Math.max(0, delayMs), order: this.#order++, run };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.at ?? 0) <= event.at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }
  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.at(ms, wake));
  }
  /** Runs events until `done`, or until the queue or the time is over. True when done. */
  async run(options: { readonly untilMs: number; readonly done?: () => boolean; readonly eventsMax?: number }): Promise<boolean> {
    const { done = () => false, eventsMax = 200_000 } = options;
    const until = this.now + options.untilMs;
    const first = this.count;
    for (;;) {
      // SQLite answers synchronously and the other doors are simulated, so promise chains are all there is to wait for.
      await new Promise((resolve) => settle(resolve));
      for (const check of this.#always) check();
      if (done()) return true;
      const event = this.#events[0];
      if (event === undefined || event.at > until || this.count - first > eventsMax) return false;
      this.#events.shift();
      this.now = event.at;
      this.count++;
      event.run();
    }
  }
}

/** Real time and chance are poison for calls from src/: whoever touches them is told at once. Returns the antidote. */
export const poison = (): (() => void) => {
  const kept = {
    setTimeout: globalThis.setTimeout,
    setInterval: globalThis.setInterval,
    setImmediate: globalThis.setImmediate,
    fetch: globalThis.fetch,
  };
  const keptNow = Date.now;
  const keptRandom = Math.random;
  const guard = <F extends (...args: never[]) => unknown>(name: string, real: F): F =>
    ((...args: never[]) => {
      const caller = (new Error('where').stack ?? '').split('\n')[2] ?? '';
      if (/\/src\/(?!world\/)/.test(caller)) throw new Error(`${name} is not in the world:${caller}`);
      return real(...args);
    }) as F;
  for (const [name, real] of Object.entries(kept)) Object.assign(globalThis, { [name]: guard(name, real as never) });
  Date.now = guard('Date.now', keptNow);
  Math.random = guard('Math.random', keptRandom);
  return () => {
    Object.assign(globalThis, kept);
    Date.now = keptNow;
    Math.random = keptRandom;
  };
};
