/** The timeline's rows: written with the change they tell of, bounded per host, read by cursor. */
import type { Kysely, Transaction } from 'kysely';
import type { JournalEntry } from '../host/host.ts';
import { journalOf, journalRow } from './rows.ts';
import type { Schema } from './schema.ts';
import type { JournalRow } from './store.ts';

/** Rows in one statement; a database bounds the parameters of a statement (SQLite 32766, PostgreSQL 65535). */
const rowsPerStatement = 500;
/** `list` in pieces that fit a statement. */
export const pieces = <T>(list: readonly T[]): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(list.length / rowsPerStatement) }, (_, piece) =>
    list.slice(piece * rowsPerStatement, (piece + 1) * rowsPerStatement),
  );

/**
 * Writes entries in the given order. The caller's transaction keeps `hosts.journal_rows`, by `boundJournal` for each host concerned:
 * the bound costs one indexed deletion when it is reached and nothing before.
 */
export const insertJournal = async (transaction: Transaction<Schema>, entries: readonly JournalEntry[]): Promise<void> => {
  for (const piece of pieces(entries)) await transaction.insertInto('journal').values(piece.map(journalRow)).execute();
};

/** Cuts a host's journal of `rows` rows down to `most`, and returns how many are left. */
export const boundJournal = async (transaction: Transaction<Schema>, hostId: string, rows: number, most: number): Promise<number> => {
  if (rows <= most) return rows;
  await transaction
    .deleteFrom('journal')
    .where('seq', 'in', (from) =>
      // 'packet' sorts before 'state', and so does what may go first.
      from
        .selectFrom('journal')
        .select('seq')
        .where('host_id', '=', hostId)
        .orderBy('kind')
        .orderBy('seq')
        .limit(rows - most),
    )
    .execute();
  return most;
};

/** Observations of hosts that are still there; what was seen of a forgotten host is dropped. */
export const observe = async (transaction: Transaction<Schema>, entries: readonly JournalEntry[], most: number): Promise<void> => {
  const added = new Map<string, number>();
  for (const { hostId } of entries) added.set(hostId, (added.get(hostId) ?? 0) + 1);
  const known = new Map<string, number>();
  for (const ids of pieces([...added.keys()]))
    for (const row of await transaction.selectFrom('hosts').select(['id', 'journal_rows']).where('id', 'in', ids).execute())
      known.set(row.id, row.journal_rows);
  await insertJournal(
    transaction,
    entries.filter(({ hostId }) => known.has(hostId)),
  );
  for (const [hostId, rows] of known) {
    const left = await boundJournal(transaction, hostId, rows + (added.get(hostId) ?? 0), most);
    await transaction.updateTable('hosts').set({ journal_rows: left }).where('id', '=', hostId).execute();
  }
};

/** See Store.timeline. */
export const timeline = async (
  db: Kysely<Schema>,
  hostId: string,
  { after, most }: { readonly after?: number; readonly most: number },
): Promise<readonly JournalRow[]> => {
  const rows = db.selectFrom('journal').selectAll().where('host_id', '=', hostId).limit(most);
  if (after !== undefined) return (await rows.where('seq', '>', after).orderBy('seq').execute()).map(journalOf);
  return (await rows.orderBy('seq', 'desc').execute()).map(journalOf).toReversed();
};

/** See Store.journal. */
export const wholeJournal = async (
  db: Kysely<Schema>,
  { after, most }: { readonly after: number; readonly most: number },
): Promise<readonly JournalRow[]> =>
  (await db.selectFrom('journal').selectAll().where('seq', '>', after).orderBy('seq').limit(most).execute()).map(journalOf);

/** See Store.newestEntry. */
export const newestEntry = async (db: Kysely<Schema>): Promise<number> =>
  (await db.selectFrom('journal').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst())?.seq ?? 0;
