/** The store over any database that Kysely speaks: jobs one after another, each change one transaction, every failure a sentence. */
import type { Kysely, Transaction } from 'kysely';
import { RemudaError } from '../errors.ts';
import type { Host, JournalEntry } from '../host/host.ts';
import type { Limits } from '../limits.ts';
import { ipv4Number } from '../wire/address.ts';
import type { Ipv4 } from '../wire/address.ts';
import type { Lease } from '../wire/words.ts';
import { audit, auditLog, auditOutcome, createToken, revokeToken, tokens } from './access.ts';
import { createHost, forgetHost, saveHost } from './hosts.ts';
import type { Write } from './hosts.ts';
import { newestEntry, observe, pieces, timeline, wholeJournal } from './journal.ts';
import { Queue } from './queue.ts';
import { claimOf, hostOf, leaseOf, leaseRow } from './rows.ts';
import type { Schema } from './schema.ts';
import { settingPlace } from './seal.ts';
import type { Sealer } from './seal.ts';
import type { AuditEntry, AuditRow, ClaimRow, JournalRow, Store, TokenRow } from './store.ts';

export interface Opened {
  /** With today's schema; the store closes it. */
  readonly db: Kysely<Schema>;
  /** Where the database is, for errors. */
  readonly place: string;
  readonly limits: Pick<Limits, 'timelineEntriesPerHost' | 'auditEntries'>;
  readonly sealer: Sealer;
  /** Called while no transaction is open. */
  readonly copyTo: (path: string) => Promise<void>;
  /** What a failure of this database means. */
  readonly explain: (error: unknown) => RemudaError;
  /** The process died (in simulation): what is under way never settles, as after a real death. */
  readonly died: AbortSignal | undefined;
  /** Goes around every change. */
  readonly timed?: <T>(change: Promise<T>) => Promise<T>;
}

/** What a dead process hears: nothing, so that no code can handle its own death. A fresh promise each time, or the handlers would pile up. */
export const dead = (): Promise<never> => new Promise(() => undefined);

const byName = (a: Host, b: Host): number => (a.name < b.name ? -1 : 1);

export class KyselyStore implements Store {
  readonly #opened: Opened;
  readonly #queue = new Queue();
  #closed: Promise<void> | undefined;

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  hosts(): Promise<readonly Host[]> {
    return this.#read(async (db) =>
      (await db.selectFrom('hosts').selectAll().execute()).map((row) => hostOf(row, this.#opened.sealer)).toSorted(byName),
    );
  }
  host(id: string): Promise<Host | undefined> {
    return this.#read(async (db) => {
      const row = await db.selectFrom('hosts').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : hostOf(row, this.#opened.sealer);
    });
  }
  create(host: Host, journal: readonly JournalEntry[]): Promise<Host> {
    return this.#change((open) => createHost(this.#write(open), host, journal));
  }
  save(host: Host, journal: readonly JournalEntry[]): Promise<Host> {
    return this.#change((open) => saveHost(this.#write(open), host, journal));
  }
  forget(id: string, version: number): Promise<void> {
    return this.#change((open) => forgetHost(open, id, version));
  }

  claims(): Promise<readonly ClaimRow[]> {
    return this.#read(async (db) => (await db.selectFrom('claims').selectAll().orderBy('created_at').orderBy('id').execute()).map(claimOf));
  }
  claim(id: string): Promise<ClaimRow | undefined> {
    return this.#read(async (db) => {
      const row = await db.selectFrom('claims').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : claimOf(row);
    });
  }

  observe(entries: readonly JournalEntry[]): Promise<void> {
    return this.#change((open) => observe(open, entries, this.#opened.limits.timelineEntriesPerHost));
  }
  timeline(hostId: string, options: { readonly after?: number; readonly most: number }): Promise<readonly JournalRow[]> {
    return this.#read((db) => timeline(db, hostId, options));
  }

  journal(options: { readonly after: number; readonly most: number }): Promise<readonly JournalRow[]> {
    return this.#read((db) => wholeJournal(db, options));
  }
  newestEntry(): Promise<number> {
    return this.#read(newestEntry);
  }

  tokens(): Promise<readonly TokenRow[]> {
    return this.#read(tokens);
  }
  createToken(token: TokenRow): Promise<void> {
    return this.#change((open) => createToken(open, token));
  }
  revokeToken(id: string, at: number): Promise<TokenRow> {
    return this.#change((open) => revokeToken(open, id, at));
  }
  audit(entry: AuditEntry): Promise<number> {
    return this.#change((open) => audit(open, entry, this.#opened.limits.auditEntries));
  }
  auditOutcome(seq: number, outcome: string): Promise<void> {
    return this.#change((open) => auditOutcome(open, seq, outcome));
  }
  auditLog(options: { readonly before?: number; readonly most: number }): Promise<readonly AuditRow[]> {
    return this.#read((db) => auditLog(db, options));
  }

  leases(): Promise<readonly Lease[]> {
    return this.#read(async (db) =>
      (await db.selectFrom('leases').selectAll().execute()).map(leaseOf).toSorted((a, b) => ipv4Number(a.address) - ipv4Number(b.address)),
    );
  }
  /** An address that is both freed and given is given: the other way round, two clients could come to hold it. */
  saveLeases(leases: readonly Lease[], freed: readonly Ipv4[]): Promise<void> {
    const given = [...new Map(leases.map((lease) => [lease.address, lease])).values()];
    return this.#change(async (open) => {
      for (const piece of pieces(freed)) await open.deleteFrom('leases').where('address', 'in', piece).execute();
      for (const piece of pieces(given))
        await open
          .insertInto('leases')
          .values(piece.map(leaseRow))
          .onConflict((conflict) =>
            conflict.column('address').doUpdateSet((row) => ({
              mac: row.ref('excluded.mac'),
              client_id: row.ref('excluded.client_id'),
              host_name: row.ref('excluded.host_name'),
              starts_at: row.ref('excluded.starts_at'),
              ends_at: row.ref('excluded.ends_at'),
            })),
          )
          .execute();
    });
  }

  setting(name: string, make: () => string): Promise<string> {
    return this.#change(async (open) => {
      const row = await open.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst();
      const { sealer } = this.#opened;
      if (row !== undefined) return sealer.open(row.value, settingPlace(name));
      const value = make();
      await open
        .insertInto('settings')
        .values({ name, value: sealer.seal(value, settingPlace(name)) })
        .execute();
      return value;
    });
  }

  dropSetting(name: string): Promise<void> {
    return this.#change(async (open) => void (await open.deleteFrom('settings').where('name', '=', name).execute()));
  }
  copyTo(path: string): Promise<void> {
    return this.#read(() => this.#opened.copyTo(path));
  }

  /** Ends after what was asked before it; a second call waits for the first. */
  close(): Promise<void> {
    this.#closed ??= this.#settle(this.#queue.run(() => this.#opened.db.destroy()));
    return this.#closed;
  }

  #write(open: Transaction<Schema>): Write {
    return { open, sealer: this.#opened.sealer, most: this.#opened.limits.timelineEntriesPerHost };
  }
  #change<T>(job: (open: Transaction<Schema>) => Promise<T>): Promise<T> {
    const change = this.#read((db) => db.transaction().execute(job));
    return this.#opened.timed?.(change) ?? change;
  }
  #read<T>(job: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined)
      return Promise.reject(new RemudaError('internal', `The database ${this.#opened.place} was closed already: the daemon is ending.`));
    return this.#settle(this.#queue.run(() => job(this.#opened.db)));
  }
  async #settle<T>(result: Promise<T>): Promise<T> {
    try {
      const value = await result;
      if (this.#opened.died?.aborted !== true) return value;
    } catch (error) {
      if (this.#opened.died?.aborted !== true) throw error instanceof RemudaError ? error : this.#opened.explain(error);
    }
    return dead();
  }
}
