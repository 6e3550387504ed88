/** What fails again and again, for the log: told when it begins, when its reason changes, and else once a minute. */

/** Two of the same reason in less than this are one line. */
const quietMs = 60_000;

export class Telling {
  #reason: string | undefined;
  #at = 0;

  /** Shall it be told? `now` is ms since 1970. */
  isDue(reason: string, now: number): boolean {
    // A clock that was set back must not silence it.
    const isRepeated = reason === this.#reason && now >= this.#at && now - this.#at < quietMs;
    if (isRepeated) return false;
    this.#reason = reason;
    this.#at = now;
    return true;
  }
  /** It is over; true where it was told that it began. */
  end(): boolean {
    const wasTold = this.#reason !== undefined;
    this.#reason = undefined;
    return wasTold;
  }
}
