/** The audit log: every change is on record before it is done, with its outcome afterwards; a dry run as what it is; refused attempts too, but never so many that they fill the disk. */
import type { Code } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { AuditEntry, Store } from '../store/store.ts';
import type { Clock } from '../world/world.ts';
import { Buckets } from './rate.ts';

export interface AuditParts {
  readonly store: Pick<Store, 'audit' | 'auditOutcome' | 'auditLog'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly limits: Pick<Limits, 'auditRefusalsPerMinute' | 'auditRefusalsBurst'>;
}
/** Who asked what, for the record. */
export interface Deed {
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly request: string;
  /** `socket`, or the peer's address. */
  readonly peer: string;
  /** It only asks what would happen. */
  readonly isDry?: boolean;
}
const subjectMax = 256;

export class AuditTrail {
  readonly #parts: AuditParts;
  readonly #refusals: Buckets;
  #unrecorded = 0;

  constructor(parts: AuditParts) {
    this.#parts = parts;
    const { auditRefusalsPerMinute, auditRefusalsBurst } = parts.limits;
    this.#refusals = new Buckets({ perSecond: auditRefusalsPerMinute / 60, burst: auditRefusalsBurst, namesMax: 1 });
  }
  /** On record when it returns; the function that it returns records the outcome. */
  async begin(deed: Deed): Promise<(outcome: 'ok' | 'left' | Code) => Promise<void>> {
    const seq = await this.#parts.store.audit(this.#entry(deed, 'begun'));
    // Whoever looks for what was changed looks for `ok`.
    return (outcome) => this.#parts.store.auditOutcome(seq, outcome === 'ok' && deed.isDry === true ? 'dry-run' : outcome);
  }
  /** Somebody was not let in. Above the rate only counted; the next one on record tells how many were not. */
  async refused(deed: Deed, code: Code): Promise<void> {
    if (this.#refusals.take('all', this.#parts.clock.now()) > 0) {
      this.#unrecorded += 1;
      return;
    }
    const more = this.#unrecorded;
    this.#unrecorded = 0;
    await this.#parts.store.audit(this.#entry(deed, code, more === 0 ? {} : { refusedBeforeUnrecorded: more }));
  }
  log(options: { readonly before?: number; readonly most: number }): ReturnType<Store['auditLog']> {
    return this.#parts.store.auditLog(options);
  }
  #entry(
    { actor, action, subject, request, peer, isDry = false }: Deed,
    outcome: string,
    more: Readonly<Record<string, unknown>> = {},
  ): AuditEntry {
    return {
      at: this.#parts.clock.now(),
      actor,
      action,
      subject: subject.slice(0, subjectMax),
      outcome,
      detail: { request, peer, ...(isDry ? { dryRun: true } : {}), ...more },
    };
  }
}
