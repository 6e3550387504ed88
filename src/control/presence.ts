/** What is known of a host at this moment and not worth keeping: when its agent last spoke, the last packet, how far the work is. Gone with the process. */
import type { Clock } from '../world/world.ts';

export interface Progress {
  readonly job: string;
  readonly step: string;
  readonly done: number;
  readonly total: number;
}
export interface Presence {
  readonly agentAt: number;
  readonly packet?: { readonly at: number; readonly text: string };
  readonly progress?: Progress;
  /** What the last plan said, and of which version of the host. */
  readonly doing?: { readonly version: number; readonly text: string };
}

/**
 * Everything is as of the start of this process until it is heard of again: a daemon that was just restarted gives every agent its full time to speak.
 */
export class PresenceBook {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #book = new Map<string, Presence>();
  /** Each with the only host that it waits for. */
  readonly #waiters = new Map<() => void, string | undefined>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }
  of(hostId: string): Presence {
    return this.#book.get(hostId) ?? { agentAt: this.#startedAt };
  }
  note(hostId: string, part: Partial<Presence>): void {
    this.#book.set(hostId, { ...this.of(hostId), ...part });
  }
  /** The agent spoke. */
  heard(hostId: string): void {
    this.note(hostId, { agentAt: this.#clock.now() });
  }
  /** The work is over; its progress is no more. */
  forgetProgress(hostId: string): void {
    const { progress: _gone, ...rest } = this.of(hostId);
    this.#book.set(hostId, rest);
  }
  forget(hostId: string): void {
    this.#book.delete(hostId);
  }
  /** Wakes whoever waits for a change of this host, or of any. */
  signalChange(hostId: string): void {
    for (const [wake, wanted] of this.#waiters) if (wanted === undefined || wanted === hostId) wake();
  }
  /** Resolves at the next change (of this host alone, where one is named), after `ms`, or when `signal` ends; never rejects. */
  changed(ms: number, signal: AbortSignal, hostId?: string): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#waiters.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#clock.after(ms, done);
      this.#waiters.set(done, hostId);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
