/** Credentials that a BMC refused are not tried again at once: BMCs lock an account after a few attempts, some of them for good. */
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { Clock } from '../world/world.ts';

export type LoginLimits = Pick<Limits, 'bmcLoginPauseMs' | 'bmcLoginPauseMostMs'>;

/** The logins of one driver, that is: of one user with one password at one BMC. Other credentials are another driver, and start afresh. */
export class LoginPause {
  readonly #clock: Clock;
  readonly #limits: LoginLimits;
  /** `https://10.0.0.5 refuses the password of user admin` */
  readonly #what: string;
  #refusals = 0;
  #until = 0;
  /** The BMC's words. */
  #said = '';
  #values: Readonly<Record<string, unknown>> = {};

  constructor(what: { readonly url: string; readonly username: string }, clock: Clock, limits: LoginLimits) {
    this.#what = `${what.url} refuses the user ${JSON.stringify(what.username)} with the password it was given`;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Before a login. Throws `bmc-refused` with `values.retryAfterSeconds` while a refusal is too fresh; nothing is then to be sent. */
  check(): void {
    if (this.#clock.now() < this.#until) throw this.#error(`last time: ${this.#said}; nothing was sent now`);
  }

  /** After a refusal of the credentials: one attempt was made. Returns what to throw; `said` are the BMC's own words, without secrets. */
  refused(said: string, values: Readonly<Record<string, unknown>> = {}): RemudaError {
    const pauseMs = Math.min(this.#limits.bmcLoginPauseMs * 2 ** Math.min(this.#refusals, 20), this.#limits.bmcLoginPauseMostMs);
    this.#refusals += 1;
    this.#until = this.#clock.now() + pauseMs;
    this.#said = said;
    this.#values = values;
    return this.#error(said);
  }

  /** After a login that was let in. */
  accepted(): void {
    this.#refusals = 0;
    this.#until = 0;
  }

  #error(why: string): RemudaError {
    const retryAfterSeconds = Math.ceil((this.#until - this.#clock.now()) / 1000);
    return new RemudaError(
      'bmc-refused',
      `${this.#what} (${why}); check its user and password. They are not tried again for ${retryAfterSeconds} s, lest the BMC lock the account; other ones are tried at once`,
      { values: { ...this.#values, retryAfterSeconds } },
    );
  }
}
