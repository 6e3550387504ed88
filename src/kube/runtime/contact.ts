/** Whether the rack is heard: it is asked now and then, leading or not, and what is missing is told in the log and to whoever asks. */
import { RemudaError, reasonOf } from '../../errors.ts';
import type { Log, World } from '../../world/world.ts';
import { Telling } from './telling.ts';

/** From one answer to the next question. */
const everyMs = 15_000;
/** An answer is believed for so long: one call that is lost, at its longest, and the next that comes. */
const heardMs = 75_000;

export interface ContactOptions {
  readonly world: Pick<World, 'clock'>;
  readonly log: Log;
  /** Throws what is missing, with what to do in its `next`. Asked once at a time; `signal` ends the question. */
  readonly ask: (signal: AbortSignal) => Promise<void>;
}
/** What is wrong and what to do, in one line. */
const sentenceOf = (error: unknown): string =>
  error instanceof RemudaError && error.next !== undefined ? `${error.message}; ${error.next}` : reasonOf(error);

export class Contact {
  readonly #options: ContactOptions;
  readonly #failures = new Telling();
  #heardAt: number | undefined;
  #failure: string | undefined;

  constructor(options: ContactOptions) {
    this.#options = options;
  }
  /** Why the rack cannot be worked with now; undefined where it can. */
  problem(): string | undefined {
    const age = this.#heardAt === undefined ? Infinity : this.#options.world.clock.now() - this.#heardAt;
    if (age <= heardMs) return undefined;
    if (this.#failure !== undefined) return this.#failure;
    return this.#heardAt === undefined
      ? 'the daemon was asked, and no answer came yet'
      : `the daemon has not answered for ${Math.round(age / 1000)} s`;
  }
  /** Asks until `signal` ends; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { world } = this.#options;
    while (!signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one question at a time
      await this.#once(signal);
      // oxlint-disable-next-line no-await-in-loop -- the pause between two of them; the signal ends it
      await world.clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }
  async #once(signal: AbortSignal): Promise<void> {
    const { world, log, ask } = this.#options;
    try {
      await ask(signal);
      const wasAway = this.#failures.end();
      if (this.#heardAt === undefined || wasAway) log.info('the daemon answers');
      this.#heardAt = world.clock.now();
      this.#failure = undefined;
    } catch (error) {
      if (signal.aborted) return;
      this.#failure = sentenceOf(error);
      if (this.#failures.isDue(this.#failure, world.clock.now()))
        log.warn('the rack cannot be worked with; it is asked again', { reason: this.#failure });
    }
  }
}
