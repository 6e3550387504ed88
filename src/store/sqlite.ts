/** The store in one SQLite file: durable at every commit, readable by its owner alone, open in one daemon at a time. */
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, SqliteDialect, SqliteDriver } from 'kysely';
import type { DatabaseConnection, Driver } from 'kysely';
import { RemudaError, reasonOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { KyselyStore, dead } from './kysely-store.ts';
import type { Opened } from './kysely-store.ts';
import { migrate, reseal } from './schema.ts';
import type { Schema, Spelling } from './schema.ts';
import type { Sealer } from './seal.ts';
import type { Store } from './store.ts';

export type SqliteLimits = Pick<Limits, 'timelineEntriesPerHost' | 'auditEntries' | 'storeBusyMs' | 'storeBytesMax'>;

/** AUTOINCREMENT: a sequence number is not given again after its row went (sqlite.org/autoinc.html). */
const spelling: Spelling = { growing: { type: 'integer', define: (column) => column.primaryKey().autoIncrement() } };

/** SQLite ends the transaction itself on a full disk (sqlite.org/lang_transaction.html §3); a second rollback would fail and hide the cause. */
class Connection extends SqliteDriver {
  readonly #database: Database.Database;
  constructor(database: Database.Database) {
    super({ database: remembering(database) });
    this.#database = database;
  }
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.inTransaction) await super.rollbackTransaction(connection);
  }
}
/** Statements are few and come again and again: preparing them anew was a sixth of the store's work. The oldest goes when there are too many. */
const statementsMax = 256;
const remembering = (database: Database.Database): { close(): void; prepare(sql: string): Database.Statement } => {
  const statements = new Map<string, Database.Statement>();
  return {
    close: () => void database.close(),
    prepare: (sql) => {
      const known = statements.get(sql) ?? database.prepare(sql);
      statements.set(sql, known);
      const [oldest] = statements.keys();
      if (statements.size > statementsMax && oldest !== undefined) statements.delete(oldest);
      return known;
    },
  };
};
class Dialect extends SqliteDialect {
  readonly #database: Database.Database;
  constructor(database: Database.Database) {
    super({ database });
    this.#database = database;
  }
  override createDriver(): Driver {
    return new Connection(this.#database);
  }
}

/** The driver looks for the folder before SQLite does, and throws no SqliteError. */
const isFolderMissing = (error: unknown): boolean => error instanceof TypeError && error.message.includes('directory does not exist');

const explain = (path: string, error: unknown): RemudaError => {
  const options = { cause: error, values: { path } };
  const code = error instanceof Database.SqliteError ? error.code : '';
  if (code === 'SQLITE_FULL')
    return new RemudaError(
      'disk-full',
      `The database ${path} cannot grow: its disk is full, or it reached its limit. Nothing of the change was kept; make room and try again.`,
      options,
    );
  if (code.startsWith('SQLITE_BUSY'))
    return new RemudaError(
      'conflict',
      `The database ${path} is open in another process: one daemon serves one database. Stop the other daemon first.`,
      options,
    );
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT'))
    return new RemudaError(
      'bad-config',
      `The file ${path} is not a sound SQLite database. Restore it from a backup, or name another file.`,
      { ...options, next: 'bring a backup back: remuda restore FILE --replace (the broken folder is kept beside it)' },
    );
  if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_PERM') || isFolderMissing(error))
    return new RemudaError(
      'bad-config',
      `The database ${path} cannot be opened for writing: ${reasonOf(error)}. Look at its folder and at who owns the file.`,
      { ...options, next: `the folder must be there, and the daemon\u2019s user must own it: ls -la ${dirname(path)}` },
    );
  return new RemudaError('internal', `The database ${path} failed: ${reasonOf(error)}.`, options);
};

/** A new file is born with mode 0600, and its WAL inherits that: the records hold the passwords of BMCs. */
const openPrivately = (path: string, busyMs: number): Database.Database => {
  const before = process.umask(0o177);
  try {
    return new Database(path, { timeout: busyMs });
  } finally {
    process.umask(before);
  }
};

/** Pages at a time, so that sockets and timers have their turn (sqlite.org/backup.html). */
const copyPages = 2_000;
const copyDatabase = async (database: Database.Database, path: string): Promise<void> => {
  // Born private; the copy is written into the empty file.
  openPrivately(path, 0).close();
  await database.backup(path, { progress: () => copyPages });
};

/**
 * EXCLUSIVE before WAL is touched: the lock is taken with the first access and kept, so a second daemon finds the file busy, and the WAL
 * index lives in memory instead of a shared file (sqlite.org/wal.html §8). The kernel drops the lock with the process, however it ends.
 */
const prepare = (database: Database.Database, bytesMax: number): void => {
  database.pragma('locking_mode = EXCLUSIVE');
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('foreign_keys = ON');
  database.pragma('secure_delete = ON');
  const pageBytes = Number(database.pragma('page_size', { simple: true }));
  database.pragma(`max_page_count = ${Math.floor(bytesMax / pageBytes)}`);
};

export interface SqliteOptions {
  readonly sealer: Sealer;
  /** The death of the process, for simulations that go on in the same one. */
  readonly died?: AbortSignal | undefined;
  /** Goes around every change, to see how long it takes. */
  readonly timed?: NonNullable<Opened['timed']>;
}
/**
 * Opens, or makes, the database at `path` (`:memory:` for one that nobody keeps) and brings its schema up to date.
 * When `died` ends, the handle is closed at once in the middle of whatever it does, and no promise of the store settles any more.
 * Throws `conflict` where another daemon has it open, `bad-config` where it is newer, broken, out of reach or sealed under another key, `disk-full`.
 */
export const openSqliteStore = async (path: string, limits: SqliteLimits, { sealer, died, timed }: SqliteOptions): Promise<Store> => {
  let database: Database.Database | undefined;
  try {
    died?.throwIfAborted();
    database = openPrivately(path, limits.storeBusyMs);
    prepare(database, limits.storeBytesMax);
    const handle = database;
    died?.addEventListener('abort', () => handle.close(), { once: true });
    const db = new Kysely<Schema>({ dialect: new Dialect(handle) });
    await migrate(db, spelling, path);
    // What was in clear leaves the files too: pages moved by earlier writes may still hold it, so all are written anew, and the WAL is emptied.
    // The mark is set last, so that a death on the way is made good at the next start.
    await reseal(db, sealer);
    if (handle.pragma('user_version', { simple: true }) === 0) {
      handle.exec('VACUUM');
      handle.pragma('user_version = 1');
      handle.pragma('wal_checkpoint(TRUNCATE)');
    }
    return new KyselyStore({
      db,
      place: path,
      limits,
      sealer,
      copyTo: (to) => copyDatabase(handle, to),
      explain: (error) => explain(path, error),
      died,
      ...(timed === undefined ? {} : { timed }),
    });
  } catch (error) {
    database?.close();
    if (died?.aborted === true) return dead();
    throw error instanceof RemudaError ? error : explain(path, error);
  }
};
