/** Virtual time driven by real time: some milliseconds of it at once, the event loop in between, fast only while something is on its way. */
import { setImmediate as settle, setTimeout as pause } from 'node:timers/promises';
import type { Scheduler } from '../sim/scheduler.ts';

/** One slice takes no longer than this, so that real sockets and timers are served. */
const sliceMs = 12;
const tickMs = 4;
const restTickMs = 20;
/** What a busy machine could not keep up with is forgotten: virtual time is late then. */
const debtMs = 200;

export interface Pumped {
  readonly scheduler: Scheduler;
  /** Virtual ms for each real one, while something is on its way; else 1. */
  readonly speed: number;
  readonly isBusy: () => boolean;
  /** After every event, when all that follows from it at once has happened. */
  readonly check: () => void;
  /** What an event or a check threw: nothing moves after it. */
  readonly failed: (error: unknown) => void;
}

export class Pump {
  readonly #pumped: Pumped;
  readonly #life = new AbortController();
  readonly #run: Promise<void>;
  /** As `Pumped.speed`; may be changed at any time. */
  speed: number;

  constructor(pumped: Pumped) {
    this.#pumped = pumped;
    this.speed = pumped.speed;
    this.#run = this.#turn().catch((error: unknown) => {
      if (!this.#life.signal.aborted) pumped.failed(error);
    });
  }
  async stop(): Promise<void> {
    this.#life.abort();
    await this.#run;
  }
  async #turn(): Promise<void> {
    const { signal } = this.#life;
    const { scheduler, isBusy } = this.#pumped;
    let target = scheduler.now;
    let last = performance.now();
    while (!signal.aborted) {
      const busy = isBusy();
      await pause(busy ? tickMs : restTickMs, undefined, { signal });
      const now = performance.now();
      const speed = busy ? this.speed : 1;
      target = Math.min(target + (now - last) * speed, scheduler.now + debtMs * speed);
      last = now;
      if (await this.#slice(target, now + sliceMs)) scheduler.now = Math.max(scheduler.now, target);
    }
  }
  /** True when all that was to happen by then has happened. */
  async #slice(target: number, until: number): Promise<boolean> {
    const { scheduler, check } = this.#pumped;
    // What real code has asked for since the last slice has settled by now.
    check();
    while (scheduler.turn(target)) {
      await settle();
      check();
      if (this.#life.signal.aborted || performance.now() > until) return false;
    }
    return true;
  }
}
