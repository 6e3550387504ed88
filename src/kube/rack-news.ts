/** Whether something of a rack elsewhere changed: one stream of events for all who wait, begun again wherever it breaks. */
import { eventsOf } from '../wire/event-stream.ts';
import { pauseOf } from './daemon-calls.ts';
import type { DaemonCalls, DaemonParts } from './daemon-calls.ts';

/** The daemon sends a comment every 15 s; a stream that is silent for longer is dead. */
const silenceMs = 60_000;

/** Begins with the first that waits, and ends with `until`. */
export class RackNews {
  readonly #parts: DaemonParts;
  readonly #calls: DaemonCalls;
  readonly #waiters = new Set<() => void>();
  #isFollowing = false;
  /** Something came while nobody waited: whoever waits next hears of it at once. */
  #isUnheard = false;

  constructor(parts: DaemonParts, calls: DaemonCalls) {
    this.#parts = parts;
    this.#calls = calls;
  }
  /** Resolves at the next news, after `ms`, or when `signal` or `until` ends; never rejects. It may resolve once too often, never too seldom. */
  changed(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, until } = this.#parts;
    if (signal.aborted || until.aborted) return Promise.resolve();
    if (!this.#isFollowing) {
      this.#isFollowing = true;
      // It never rejects, and `until` ends it.
      void this.#follow();
    }
    if (this.#isUnheard) {
      this.#isUnheard = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const ended = AbortSignal.any([signal, until]);
      const done = (): void => {
        cancel();
        this.#waiters.delete(done);
        ended.removeEventListener('abort', done);
        resolve();
      };
      const cancel = clock.after(ms, done);
      this.#waiters.add(done);
      ended.addEventListener('abort', done, { once: true });
    });
  }

  #wake(): void {
    this.#isUnheard = this.#waiters.size === 0;
    for (const done of this.#waiters) done();
  }
  async #follow(): Promise<void> {
    const { clock, until } = this.#parts;
    for (let tries = 0; !until.aborted; tries++) {
      try {
        const begun = (): void => {
          tries = 0;
          // What happened while there was no stream was told to nobody.
          this.#wake();
        };
        for await (const { event } of eventsOf(withFirst(this.#calls.events(silenceMs), begun))) if (event !== 'closed') this.#wake();
      } catch {
        // Whoever waits asks the rack next, and is told there what is wrong with it.
        this.#wake();
      }
      await clock.sleep(pauseOf(this.#parts, tries), until).catch(() => undefined);
    }
  }
}
async function* withFirst(chunks: AsyncIterable<Uint8Array>, first: () => void): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of chunks) {
    if (isFirst) first();
    isFirst = false;
    yield chunk;
  }
}
