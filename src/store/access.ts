/** Tokens and the audit log as rows: who may ask, and what was asked. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import { RemudaError } from '../errors.ts';
import type { Schema } from './schema.ts';
import type { AuditEntry, AuditRow, TokenRow } from './store.ts';

type Open = Transaction<Schema>;

const tokenOf = (row: Selectable<Schema['tokens']>): TokenRow => ({
  id: row.id,
  name: row.name,
  role: row.role,
  hash: row.hash,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  revokedAt: row.revoked_at,
});
const noToken = (id: string): RemudaError =>
  new RemudaError('not-found', `There is no token ${id}; \`remuda token list\` shows all.`, { values: { tokenId: id } });

/** See Store.tokens. */
export const tokens = async (db: Kysely<Schema>): Promise<readonly TokenRow[]> =>
  (await db.selectFrom('tokens').selectAll().orderBy('created_at').orderBy('id').execute()).map(tokenOf);

/** See Store.createToken. */
export const createToken = async (open: Open, token: TokenRow): Promise<void> => {
  const same = await open
    .selectFrom('tokens')
    .select('id')
    .where('name', '=', token.name)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (same !== undefined)
    throw new RemudaError(
      'conflict',
      `There is a token named ${token.name} already (${same.id}). Choose another name, so that the audit log says who it was, or revoke that one first.`,
      { values: { name: token.name, id: same.id } },
    );
  await open
    .insertInto('tokens')
    .values({
      id: token.id,
      name: token.name,
      role: token.role,
      hash: token.hash,
      created_at: token.createdAt,
      expires_at: token.expiresAt,
      revoked_at: token.revokedAt,
    })
    .execute();
};

/** See Store.revokeToken. */
export const revokeToken = async (open: Open, id: string, at: number): Promise<TokenRow> => {
  const row = await open.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw noToken(id);
  if (row.revoked_at !== null) return tokenOf(row);
  await open.updateTable('tokens').set({ revoked_at: at }).where('id', '=', id).execute();
  return tokenOf({ ...row, revoked_at: at });
};

const fieldsOf = (text: string | null): { readonly detail?: Readonly<Record<string, unknown>> } => {
  // Our own writing; an object always.
  if (text === null) return {};
  return { detail: JSON.parse(text) as Readonly<Record<string, unknown>> };
};
const auditOf = (row: Selectable<Schema['audit']>): AuditRow => ({
  seq: row.seq,
  at: row.at,
  actor: row.actor,
  action: row.action,
  subject: row.subject,
  outcome: row.outcome,
  ...fieldsOf(row.detail),
});

/** See Store.audit. `most` bounds the log: the oldest rows go. */
export const audit = async (open: Open, entry: AuditEntry, most: number): Promise<number> => {
  const { seq } = await open
    .insertInto('audit')
    .values({
      at: entry.at,
      actor: entry.actor,
      action: entry.action,
      subject: entry.subject,
      outcome: entry.outcome,
      detail: entry.detail === undefined ? null : JSON.stringify(entry.detail),
    })
    .returning('seq')
    .executeTakeFirstOrThrow();
  await open
    .deleteFrom('audit')
    .where('seq', '<=', seq - most)
    .execute();
  return seq;
};

/** See Store.auditOutcome. */
export const auditOutcome = async (open: Open, seq: number, outcome: string): Promise<void> => {
  await open.updateTable('audit').set({ outcome }).where('seq', '=', seq).execute();
};

/** See Store.auditLog. */
export const auditLog = async (
  db: Kysely<Schema>,
  { before, most }: { readonly before?: number; readonly most: number },
): Promise<readonly AuditRow[]> => {
  const rows = db.selectFrom('audit').selectAll().orderBy('seq', 'desc').limit(most);
  return (await (before === undefined ? rows : rows.where('seq', '<', before)).execute()).map(auditOf);
};
