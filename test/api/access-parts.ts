/** What the door of the API needs, in memory: tokens, audit log, journal, a clock that stands still unless a test moves it. */
import { AuditTrail } from '../../src/api/audit.ts';
import { Door } from '../../src/api/door.ts';
import { TokenBook } from '../../src/api/tokens.ts';
import { RemudaError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import type { Limits } from '../../src/limits.ts';
import type { AuditEntry, AuditRow, JournalRow, Store, TokenRow } from '../../src/store/store.ts';
import { fakeWorld } from '../world/fake.ts';
import type { Labels } from '../../src/world/metrics.ts';
import type { Meter } from '../../src/world/world.ts';

export class MemoryRecords implements Pick<
  Store,
  'tokens' | 'createToken' | 'revokeToken' | 'audit' | 'auditOutcome' | 'auditLog' | 'journal' | 'newestEntry'
> {
  readonly tokenRows: TokenRow[] = [];
  readonly auditRows: AuditRow[] = [];
  /** The rows of the timeline, as the rack keeps them. */
  entries: () => readonly JournalRow[] = () => [];
  /** What the next record fails with. */
  fails: RemudaError | undefined;

  async tokens(): Promise<readonly TokenRow[]> {
    return this.tokenRows;
  }
  async createToken(token: TokenRow): Promise<void> {
    if (this.tokenRows.some(({ name, revokedAt }) => name === token.name && revokedAt === null))
      throw new RemudaError('conflict', `there is a token ${token.name}`);
    this.tokenRows.push(token);
  }
  async revokeToken(id: string, at: number): Promise<TokenRow> {
    const index = this.tokenRows.findIndex((row) => row.id === id);
    const row = this.tokenRows[index];
    if (row === undefined) throw new RemudaError('not-found', `there is no token ${id}`);
    const revoked = { ...row, revokedAt: row.revokedAt ?? at };
    this.tokenRows[index] = revoked;
    return revoked;
  }
  async audit(entry: AuditEntry): Promise<number> {
    if (this.fails !== undefined) throw this.fails;
    const seq = this.auditRows.length + 1;
    this.auditRows.push({ ...entry, seq });
    return seq;
  }
  async auditOutcome(seq: number, outcome: string): Promise<void> {
    const row = this.auditRows[seq - 1];
    if (row !== undefined) this.auditRows[seq - 1] = { ...row, outcome };
  }
  async auditLog({ before = Infinity, most }: { readonly before?: number; readonly most: number }): Promise<readonly AuditRow[]> {
    return this.auditRows
      .filter(({ seq }) => seq < before)
      .toReversed()
      .slice(0, most);
  }
  async journal({ after, most }: { readonly after: number; readonly most: number }): Promise<readonly JournalRow[]> {
    return this.entries()
      .filter(({ seq }) => seq > after)
      .slice(0, most);
  }
  async newestEntry(): Promise<number> {
    return this.entries().at(-1)?.seq ?? 0;
  }
}

export class CountingMeter implements Meter {
  readonly counted = new Map<string, number>();
  count(name: string, labels: Labels = {}, by = 1): void {
    const key = [name, ...Object.values(labels)].join(' ');
    this.counted.set(key, (this.counted.get(key) ?? 0) + by);
  }
  took(): void {}
}

/** The parts, and what tests read of them. */
export const fakeAccess = (more: Partial<Limits> = {}) => {
  const world = fakeWorld();
  const records = new MemoryRecords();
  const meter = new CountingMeter();
  const ending = new AbortController();
  const ourLimits = { ...limits, ...more };
  const parts = { store: records, clock: world.clock, random: world.random, limits: ourLimits };
  const tokens = new TokenBook(parts, []);
  const audit = new AuditTrail(parts);
  const door = new Door({ ...parts, tokens, audit, log: world.log, meter, names: ['rack.example.com'] });
  const reasons: string[] = [];
  const reloaded = { applied: ['log'], restart: ['data'] };
  const deps = {
    tokens,
    audit,
    door,
    clock: world.clock,
    journal: records,
    limits: ourLimits,
    until: ending.signal,
    unready: async () => reasons,
    reload: async () => reloaded,
    metrics: { contentType: 'text/plain; version=0.0.4; charset=utf-8', isPublic: false, text: async () => 'remuda_hosts 1\n' },
    version: '0.1.0',
  };
  return { deps, world, records, meter, ending, reasons, reloaded };
};
