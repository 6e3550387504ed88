/** Sequence numbers of a session: each is taken once, and packets that overtake one another are not lost (IPMI 2.0 §6.12.11, §13.28.4). */

/** Further back than this a packet is old; further ahead it is not of this session (§6.12.11: 15 back, 16 ahead). */
const back = 15;
const ahead = 16;

/** The window of one direction. A shared network port skips numbers (FreeIPMI), so that "the next one" would be too strict. */
export class SequenceWindow {
  /** 0 is outside of any session: the first is 1. */
  #highest = 0;
  /** Bit n: `highest - n` was seen. */
  #seen = 1;

  /** Whether the number is new; from then on it is not. */
  accept(sequence: number): boolean {
    const step = sequence - this.#highest;
    if (step > ahead || step < -back || sequence <= 0) return false;
    if (step > 0) {
      this.#seen = ((this.#seen << step) | 1) & 0xffff;
      this.#highest = sequence;
      return true;
    }
    const bit = 1 << -step;
    if ((this.#seen & bit) !== 0) return false;
    this.#seen |= bit;
    return true;
  }
}
