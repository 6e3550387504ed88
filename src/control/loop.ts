/** The control loop: woken by signal and by clock, one activation at a time per host, never a private loop over retries. */
import type { Limits } from '../limits.ts';
import { reasonOf } from '../errors.ts';
import type { World } from '../world/world.ts';

/** What an activation came to; the reason is what the operator reads. */
export type Activation =
  | { readonly result: 'wait'; readonly until: number; readonly why: string }
  | { readonly result: 'done'; readonly step: string }
  | { readonly result: 'retryAt'; readonly at: number; readonly why: string }
  | { readonly result: 'failed'; readonly reason: string };

interface Slot {
  running: boolean;
  again: boolean;
  cancel: () => void;
}

/** Runs `activate` for a key whenever it is woken, when its time has come, and every `resyncMs`. Ends with the world's signal. */
export class ControlLoop {
  readonly #world: World;
  readonly #limits: Limits;
  readonly #activate: (key: string) => Promise<Activation>;
  readonly #slots = new Map<string, Slot>();
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(world: World, limits: Limits, activate: (key: string) => Promise<Activation>) {
    this.#world = world;
    this.#limits = limits;
    this.#activate = activate;
  }
  /** How many activations run now, and how many hosts were woken meanwhile and come again at once. */
  get load(): { readonly running: number; readonly queued: number } {
    return { running: this.#running.size, queued: Array.from(this.#slots.values()).filter(({ again }) => again).length };
  }
  wake(key: string): void {
    const slot = this.#slot(key);
    if (slot.running) slot.again = true;
    else this.#start(key, slot);
  }
  /** No activation begins any more; resolves when those that run have recorded what came of them. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const slot of this.#slots.values()) slot.cancel();
    await Promise.all(this.#running);
  }
  forget(key: string): void {
    this.#slots.get(key)?.cancel();
    this.#slots.delete(key);
  }
  #slot(key: string): Slot {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slot: Slot = { running: false, again: false, cancel: () => undefined };
    this.#slots.set(key, slot);
    return slot;
  }
  #start(key: string, slot: Slot): void {
    if (this.#stopped || this.#world.signal.aborted) return;
    const run = this.#run(key, slot).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }
  async #run(key: string, slot: Slot): Promise<void> {
    slot.running = true;
    slot.again = false;
    slot.cancel();
    const next = await this.#once(key);
    slot.running = false;
    if (this.#stopped || this.#world.signal.aborted || this.#slots.get(key) !== slot) return;
    const inMs = slot.again ? 0 : Math.min(Math.max(next - this.#world.clock.now(), 0), this.#limits.resyncMs);
    slot.cancel = this.#world.clock.after(inMs, () => this.#start(key, slot));
  }
  /** When to come again. An unexpected error is logged and tried again later: it must not end the loop of a host. */
  async #once(key: string): Promise<number> {
    const now = this.#world.clock.now();
    try {
      const activation = await this.#activate(key);
      if (activation.result === 'wait') return activation.until;
      if (activation.result === 'retryAt') return activation.at;
      return activation.result === 'done' ? now : now + this.#limits.resyncMs;
    } catch (error) {
      this.#world.log.error('activation failed', { key, reason: reasonOf(error), error });
      return now + this.#limits.retryFirstMs;
    }
  }
}
