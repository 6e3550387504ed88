/** What must survive a crash. One interface, one schema; SQLite embedded, PostgreSQL when outgrown; test/compliance/store.ts judges both. */
import type { Host, JournalEntry } from '../host/host.ts';
import type { Lease } from '../wire/words.ts';
import type { Ipv4 } from '../wire/address.ts';

export interface JournalRow extends JournalEntry {
  /** Grows by one a row over all hosts; the cursor of a reader that follows. */
  readonly seq: number;
}
/** A claim's row outlives the claim: a released ID is never given again and tells what became of it. */
export interface ClaimRow {
  readonly id: string;
  readonly hostId: string;
  readonly owner: string;
  readonly createdAt: number;
  readonly releasedAt: number | null;
}

/** A token of the API; the token itself is known to its holder alone. */
export interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  /** Hex SHA-256 of the whole token. */
  readonly hash: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}
/** What somebody asked of the API, and what became of it. */
export interface AuditEntry {
  readonly at: number;
  readonly actor: string;
  /** Name of the route: `holdHost`. */
  readonly action: string;
  readonly subject: string;
  /** `begun` until it is over, then `ok` or the code of the refusal. A row that stays `begun` was cut off by the end of the daemon. */
  readonly outcome: string;
  /** Without secrets. */
  readonly detail?: Readonly<Record<string, unknown>>;
}
export interface AuditRow extends AuditEntry {
  readonly seq: number;
}

export interface Store {
  /** All hosts, by name. */
  hosts(): Promise<readonly Host[]>;
  host(id: string): Promise<Host | undefined>;
  /**
   * A new host with its first journal entries, in one transaction; the stored version is 1.
   * `host-exists` where the name, or one of the MACs, belongs to another host.
   */
  create(host: Host, journal: readonly JournalEntry[]): Promise<Host>;
  /**
   * State, claim and journal in one transaction. `host.version` is the version that the writer saw: `version-conflict` when it is no longer
   * the stored one (`host-not-found` when the host is gone). Returns the host with its new version. Claims: a host whose `claim` is new inserts the claim's row:
   * `claim-exists` when that ID was ever used for another host or was released; a host whose claim went away marks the row released.
   */
  save(host: Host, journal: readonly JournalEntry[]): Promise<Host>;
  /** Forgets a host that no claim holds (`host-claimed` otherwise), with its journal. */
  forget(id: string, version: number): Promise<void>;
  claims(): Promise<readonly ClaimRow[]>;
  claim(id: string): Promise<ClaimRow | undefined>;
  /** Packet observations: no version, bounded per host by limits.timelineEntriesPerHost (oldest packets go first, state entries last). */
  observe(entries: readonly JournalEntry[]): Promise<void>;
  /** Entries of one host with seq > after, oldest first; the newest `most` when `after` is undefined. */
  timeline(hostId: string, options: { readonly after?: number; readonly most: number }): Promise<readonly JournalRow[]>;
  /** Entries of all hosts with seq > after, oldest first. */
  journal(options: { readonly after: number; readonly most: number }): Promise<readonly JournalRow[]>;
  /** The seq of the newest entry of all hosts; 0 where there is none. */
  newestEntry(): Promise<number>;
  leases(): Promise<readonly Lease[]>;
  /** Upserts by address, deletes the freed, in one transaction: durable when it returns. */
  saveLeases(leases: readonly Lease[], freed: readonly Ipv4[]): Promise<void>;
  /** Small values by name (the daemon's secret and certificate); `make` runs once, and the first writer's value is what all get. */
  setting(name: string, make: () => string): Promise<string>;
  /** All tokens ever made, oldest first, the revoked and expired among them. */
  tokens(): Promise<readonly TokenRow[]>;
  /** `conflict` where a token of this name is not revoked. */
  createToken(token: TokenRow): Promise<void>;
  /** Revoked from now on; a second time keeps the first moment. `not-found`. */
  revokeToken(id: string, at: number): Promise<TokenRow>;
  /** Appends to the audit log and returns the row's seq: durable when it returns. Bounded by limits.auditEntries, the oldest go first. */
  audit(entry: AuditEntry): Promise<number>;
  /** What became of what was begun. */
  auditOutcome(seq: number, outcome: string): Promise<void>;
  /** Newest first, with seq < before. */
  auditLog(options: { readonly before?: number; readonly most: number }): Promise<readonly AuditRow[]>;
  /** The next `setting` of this name makes it anew. */
  dropSetting(name: string): Promise<void>;
  /** A consistent copy of the whole database at `path` (a file that is not there yet), while the store goes on; `disk-full`. */
  copyTo(path: string): Promise<void>;
  close(): Promise<void>;
}
