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
  leases(): Promise<readonly Lease[]>;
  /** Upserts by address, deletes the freed, in one transaction: durable when it returns. */
  saveLeases(leases: readonly Lease[], freed: readonly Ipv4[]): Promise<void>;
  /** Small values by name (the daemon's secret and certificate); `make` runs once, and the first writer's value is what all get. */
  setting(name: string, make: () => string): Promise<string>;
  close(): Promise<void>;
}
