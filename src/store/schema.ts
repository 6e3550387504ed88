/** The tables of the store, and how an older database becomes one of today. */
import { sql } from 'kysely';
import type { ColumnDefinitionBuilder, Generated, Kysely } from 'kysely';
import { RemudaError } from '../errors.ts';
import type { Ipv4, Mac } from '../wire/address.ts';
import { resealed } from './rows.ts';
import { settingPlace } from './seal.ts';
import type { Sealer } from './seal.ts';

/** Times are ms since 1970; `record` and `data` are JSON as text; `journal_rows` counts the host's rows in `journal`. */
export interface Schema {
  hosts: { id: string; name: string; state: string; version: number; journal_rows: number; record: string };
  host_macs: { mac: string; host_id: string };
  claims: { id: string; host_id: string; owner: string; created_at: number; released_at: number | null };
  journal: { seq: Generated<number>; host_id: string; at: number; kind: string; boot: number; text: string; data: string | null };
  leases: { address: Ipv4; mac: Mac; client_id: string | null; host_name: string | null; starts_at: number; ends_at: number };
  settings: { name: string; value: string };
  /** `hash`: hex SHA-256 of the token. */
  tokens: {
    id: string;
    name: string;
    role: string;
    hash: string;
    created_at: number;
    expires_at: number | null;
    revoked_at: number | null;
  };
  /** Who changed what over the API. `detail` is JSON without secrets. */
  audit: {
    seq: Generated<number>;
    at: number;
    actor: string;
    action: string;
    subject: string;
    outcome: string;
    detail: string | null;
  };
  schema_migrations: { version: number; name: string };
}

/** What the databases spell differently. */
export interface Spelling {
  /** A primary key that the database counts up and never gives twice. */
  readonly growing: {
    readonly type: 'integer' | 'bigserial';
    readonly define: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;
  };
}

interface Migration {
  readonly name: string;
  readonly up: (db: Kysely<Schema>, spelling: Spelling) => Promise<void>;
}

const createHosts = async (db: Kysely<Schema>): Promise<void> => {
  await db.schema
    .createTable('hosts')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .addColumn('journal_rows', 'bigint', (column) => column.notNull())
    .addColumn('record', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('host_macs')
    .addColumn('mac', 'text', (column) => column.primaryKey().notNull())
    .addColumn('host_id', 'text', (column) => column.notNull().references('hosts.id').onDelete('cascade'))
    .execute();
  await db.schema.createIndex('host_macs_by_host').on('host_macs').column('host_id').execute();
};

/** No reference to `hosts`: a claim's row outlives its host, so that its ID is never given again. */
const createClaims = async (db: Kysely<Schema>): Promise<void> => {
  await db.schema
    .createTable('claims')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('host_id', 'text', (column) => column.notNull())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('released_at', 'bigint')
    .execute();
  await db.schema
    .createIndex('claims_one_unreleased')
    .on('claims')
    .column('host_id')
    .unique()
    .where(sql.ref('released_at'), 'is', null)
    .execute();
};

const createJournal = async (db: Kysely<Schema>, { growing }: Spelling): Promise<void> => {
  await db.schema
    .createTable('journal')
    .addColumn('seq', growing.type, growing.define)
    .addColumn('host_id', 'text', (column) => column.notNull().references('hosts.id').onDelete('cascade'))
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('boot', 'bigint', (column) => column.notNull())
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('data', 'text')
    .execute();
  await db.schema.createIndex('journal_by_host').on('journal').columns(['host_id', 'seq']).execute();
  await db.schema.createIndex('journal_by_kind').on('journal').columns(['host_id', 'kind', 'seq']).execute();
};

const createLeasesAndSettings = async (db: Kysely<Schema>): Promise<void> => {
  await db.schema
    .createTable('leases')
    .addColumn('address', 'text', (column) => column.primaryKey().notNull())
    .addColumn('mac', 'text', (column) => column.notNull())
    .addColumn('client_id', 'text')
    .addColumn('host_name', 'text')
    .addColumn('starts_at', 'bigint', (column) => column.notNull())
    .addColumn('ends_at', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('settings')
    .addColumn('name', 'text', (column) => column.primaryKey().notNull())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute();
};

/** Hosts got a serial number and a profile. The record's text is changed, not its version: nothing happened to the host. */
const addProfiles = async (db: Kysely<Schema>): Promise<void> => {
  for (const { id, record } of await db.selectFrom('hosts').select(['id', 'record']).execute()) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own row
    const host = JSON.parse(record) as Record<string, unknown>;
    const profile = { labels: {}, pool: 'default', rack: null, unit: null, failureDomain: null, note: null, network: null, dhcp: null };
    await db
      .updateTable('hosts')
      .set({ record: JSON.stringify({ serial: null, profile, ...host }) })
      .where('id', '=', id)
      .execute();
  }
};

const createTokensAndAudit = async (db: Kysely<Schema>, { growing }: Spelling): Promise<void> => {
  await db.schema
    .createTable('tokens')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull().unique())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .execute();
  await db.schema
    .createTable('audit')
    .addColumn('seq', growing.type, growing.define)
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('detail', 'text')
    .execute();
};

/** Row n leads from version n to n + 1. A row that was ever released is never changed; a change of the schema is a new row. */
const migrations: readonly Migration[] = [
  {
    name: 'hosts, claims, journal, leases, settings',
    up: async (db, spelling) => {
      await createHosts(db);
      await createClaims(db);
      await createJournal(db, spelling);
      await createLeasesAndSettings(db);
    },
  },
  { name: 'serial numbers and profiles', up: addProfiles },
  { name: 'tokens, audit log', up: createTokensAndAudit },
];

/** Rewrites what is not sealed under today's key: the secrets of an older database, or those under a key that was changed. Returns how many rows. */
export const reseal = (db: Kysely<Schema>, sealer: Sealer): Promise<number> =>
  db.transaction().execute(async (open) => {
    let changed = 0;
    for (const row of await open.selectFrom('hosts').select(['id', 'record']).execute()) {
      const record = resealed(row, sealer);
      if (record === undefined) continue;
      await open.updateTable('hosts').set({ record }).where('id', '=', row.id).execute();
      changed += 1;
    }
    for (const { name, value } of await open.selectFrom('settings').selectAll().execute()) {
      if (sealer.isCurrent(value)) continue;
      const place = settingPlace(name);
      await open
        .updateTable('settings')
        .set({ value: sealer.seal(sealer.open(value, place), place) })
        .where('name', '=', name)
        .execute();
      changed += 1;
    }
    return changed;
  });

/** The version of the schema that this program writes. */
export const schemaVersion = migrations.length;

/**
 * Brings a database to `schemaVersion`: each step in one transaction together with its record, so that a crash between two steps is harmless.
 * `bad-config` where a newer program wrote the database: its rows may mean what this one cannot know.
 */
export const migrate = async (db: Kysely<Schema>, spelling: Spelling, place: string): Promise<void> => {
  await db.schema
    .createTable('schema_migrations')
    .ifNotExists()
    .addColumn('version', 'integer', (column) => column.primaryKey().notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .execute();
  const newest = await db.selectFrom('schema_migrations').select('version').orderBy('version', 'desc').limit(1).executeTakeFirst();
  const found = newest?.version ?? 0;
  if (found > schemaVersion)
    throw new RemudaError(
      'bad-config',
      `The database ${place} was written by a newer Remuda (schema version ${found}; this one knows ${schemaVersion}). Start the newer Remuda, or restore a backup made before it.`,
      { values: { place, found, known: schemaVersion }, next: 'start the Remuda that wrote it; an older one never reads a newer database' },
    );
  for (const [index, migration] of migrations.entries()) {
    if (index < found) continue;
    await db.transaction().execute(async (transaction) => {
      await migration.up(transaction, spelling);
      await transaction
        .insertInto('schema_migrations')
        .values({ version: index + 1, name: migration.name })
        .execute();
    });
  }
};
