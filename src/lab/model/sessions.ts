/** The sessions of a virtual BMC (DSP0266 §13.3.4): few slots, an id that may be shown, a token that may not. */
import type { Clock, Random } from '../../world/world.ts';

export interface Session {
  readonly id: string;
  readonly username: string;
  /** ms since 1970 */
  readonly openedAt: number;
}
interface Slot extends Session {
  readonly token: string;
  usedAt: number;
}

/** As on iDRAC. */
const slots = 8;
export const sessionTimeoutSeconds = 1800;

export class Sessions {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #open = new Map<string, Slot>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** undefined where all slots are taken. */
  open(username: string): { readonly session: Session; readonly token: string } | undefined {
    this.#expire();
    if (this.#open.size >= slots) return undefined;
    const now = this.#clock.now();
    const slot = { id: this.#word(4), token: this.#word(16), username, openedAt: now, usedAt: now };
    this.#open.set(slot.id, slot);
    return { session: slot, token: slot.token };
  }

  /** The session of a token, whose idle time starts again; undefined where there is none. */
  use(token: string): Session | undefined {
    this.#expire();
    const slot = [...this.#open.values()].find((one) => one.token === token);
    if (slot !== undefined) slot.usedAt = this.#clock.now();
    return slot;
  }

  get(id: string): Session | undefined {
    this.#expire();
    return this.#open.get(id);
  }

  list(): readonly Session[] {
    this.#expire();
    return [...this.#open.values()];
  }

  /** False where there is no such session. */
  close(id: string): boolean {
    return this.#open.delete(id);
  }

  #expire(): void {
    const before = this.#clock.now() - sessionTimeoutSeconds * 1000;
    for (const slot of this.#open.values()) if (slot.usedAt < before) this.#open.delete(slot.id);
  }

  #word(bytes: number): string {
    return Buffer.from(this.#random.bytes(bytes)).toString('hex');
  }
}
