/** One thing that the doctor found: what it is, why it matters, what to do about it. */

export interface Finding {
  /** `note`: nothing is wrong; a choice that is worth knowing. */
  readonly level: 'ok' | 'note' | 'warn' | 'bad';
  readonly what: string;
  /** What comes of it; absent where it is said already. */
  readonly why?: string;
  /** What to do about it. */
  readonly next?: string;
}

export const ok = (what: string): Finding => ({ level: 'ok', what });
const trouble =
  (level: 'warn' | 'bad') =>
  (what: string, why: string | undefined, next: string): Finding => ({ level, what, ...(why === undefined ? {} : { why }), next });
export const warn = trouble('warn');
export const bad = trouble('bad');
