/** A host's rows change together: record, MACs, claim and journal, in the caller's transaction and only from the version the writer saw. */
import type { Transaction } from 'kysely';
import { RemudaError } from '../errors.ts';
import type { Host, JournalEntry } from '../host/host.ts';
import { boundJournal, insertJournal } from './journal.ts';
import { hostRow } from './rows.ts';
import type { Schema } from './schema.ts';
import type { Sealer } from './seal.ts';

type Open = Transaction<Schema>;
/** A change of one host in the caller's transaction. */
export interface Write {
  readonly open: Open;
  readonly sealer: Sealer;
  /** Bounds the host's journal. */
  readonly most: number;
}

const checkJournal = (host: Host, journal: readonly JournalEntry[]): void => {
  const stray = journal.find(({ hostId }) => hostId !== host.id);
  if (stray !== undefined)
    throw new RemudaError('internal', `A journal entry of host ${stray.hostId} was handed over with host ${host.name} (${host.id}).`, {
      values: { hostId: host.id, strayHostId: stray.hostId, text: stray.text },
    });
};

const refuseTaken = (host: Host, what: string, other: { readonly id: string; readonly name: string }): never => {
  throw new RemudaError('host-exists', `Host ${host.name} cannot be stored: ${what} belongs to host ${other.name} (${other.id}).`, {
    values: { host: host.name, hostId: host.id, otherHost: other.name, otherHostId: other.id },
  });
};
const checkName = async (open: Open, host: Host): Promise<void> => {
  const other = await open
    .selectFrom('hosts')
    .select(['id', 'name'])
    .where('name', '=', host.name)
    .where('id', '!=', host.id)
    .executeTakeFirst();
  if (other !== undefined) refuseTaken(host, `the name ${host.name}`, other);
};

const keepMacs = async (open: Open, host: Host): Promise<void> => {
  const wanted = new Set<string>(host.macs);
  const kept = new Set((await open.selectFrom('host_macs').select('mac').where('host_id', '=', host.id).execute()).map(({ mac }) => mac));
  const gone = [...kept.difference(wanted)];
  const added = [...wanted.difference(kept)];
  if (gone.length > 0) await open.deleteFrom('host_macs').where('mac', 'in', gone).execute();
  if (added.length === 0) return;
  const other = await open
    .selectFrom('host_macs')
    .innerJoin('hosts', 'hosts.id', 'host_macs.host_id')
    .select(['hosts.id', 'hosts.name', 'host_macs.mac'])
    .where('host_macs.mac', 'in', added)
    .executeTakeFirst();
  if (other !== undefined) refuseTaken(host, `the MAC address ${other.mac}`, other);
  await open
    .insertInto('host_macs')
    .values(added.map((mac) => ({ mac, host_id: host.id })))
    .execute();
};

/** The store has no clock: a release is dated by the record, else by the entry that tells of it. */
const releasedAt = (host: Host, journal: readonly JournalEntry[], claim: { readonly id: string; readonly created_at: number }): number =>
  host.release?.claimId === claim.id ? host.release.at : (journal.at(-1)?.at ?? claim.created_at);

const keepClaim = async (open: Open, host: Host, journal: readonly JournalEntry[]): Promise<void> => {
  const current = await open
    .selectFrom('claims')
    .selectAll()
    .where('host_id', '=', host.id)
    .where('released_at', 'is', null)
    .executeTakeFirst();
  if (current?.id === host.claim?.id) return;
  if (current !== undefined)
    await open
      .updateTable('claims')
      .set({ released_at: releasedAt(host, journal, current) })
      .where('id', '=', current.id)
      .execute();
  if (host.claim === null) return;
  const { id, owner, createdAt } = host.claim;
  const used = await open.selectFrom('claims').selectAll().where('id', '=', id).executeTakeFirst();
  if (used !== undefined)
    throw new RemudaError(
      'claim-exists',
      `Claim ${id} cannot be given host ${host.name}: its ID was used before for host ${used.host_id}${used.released_at === null ? '' : ' and released'}. Claim again under a new ID.`,
      { values: { claimId: id, hostId: host.id, usedForHostId: used.host_id, releasedAt: used.released_at } },
    );
  await open.insertInto('claims').values({ id, host_id: host.id, owner, created_at: createdAt, released_at: null }).execute();
};

/** The row that the writer saw, or the reason why it may not write. */
const seen = async (open: Open, id: string, version: number): Promise<{ readonly name: string; readonly journal_rows: number }> => {
  const row = await open.selectFrom('hosts').select(['name', 'version', 'journal_rows']).where('id', '=', id).executeTakeFirst();
  if (row === undefined)
    throw new RemudaError('host-not-found', `There is no host ${id}: it may have been forgotten.`, { values: { hostId: id } });
  if (row.version !== version)
    throw new RemudaError(
      'version-conflict',
      `Host ${row.name} (${id}) was changed by somebody else meanwhile. Read it again and decide anew.`,
      {
        values: { host: row.name, hostId: id, seen: version, stored: row.version },
      },
    );
  return row;
};

/** See Store.create. */
export const createHost = async ({ open, sealer, most }: Write, host: Host, journal: readonly JournalEntry[]): Promise<Host> => {
  checkJournal(host, journal);
  const same = await open.selectFrom('hosts').select(['id', 'name']).where('id', '=', host.id).executeTakeFirst();
  if (same !== undefined) refuseTaken(host, `the ID ${host.id}`, same);
  await checkName(open, host);
  const created = { ...host, version: 1 };
  await open
    .insertInto('hosts')
    .values({ ...hostRow(created, sealer), journal_rows: Math.min(journal.length, most) })
    .execute();
  await keepMacs(open, created);
  await keepClaim(open, created, journal);
  await insertJournal(open, journal);
  await boundJournal(open, host.id, journal.length, most);
  return created;
};

/** See Store.save. */
export const saveHost = async ({ open, sealer, most }: Write, host: Host, journal: readonly JournalEntry[]): Promise<Host> => {
  checkJournal(host, journal);
  const before = await seen(open, host.id, host.version);
  if (before.name !== host.name) await checkName(open, host);
  await keepMacs(open, host);
  await keepClaim(open, host, journal);
  await insertJournal(open, journal);
  const journalRows = await boundJournal(open, host.id, before.journal_rows + journal.length, most);
  const saved = { ...host, version: host.version + 1 };
  await open
    .updateTable('hosts')
    .set({ ...hostRow(saved, sealer), journal_rows: journalRows })
    .where('id', '=', host.id)
    .execute();
  return saved;
};

/** See Store.forget. MACs and journal go with the row; the rows of its claims stay. */
export const forgetHost = async (open: Open, id: string, version: number): Promise<void> => {
  const { name } = await seen(open, id, version);
  const claim = await open
    .selectFrom('claims')
    .select(['id', 'owner'])
    .where('host_id', '=', id)
    .where('released_at', 'is', null)
    .executeTakeFirst();
  if (claim !== undefined)
    throw new RemudaError(
      'host-claimed',
      `Host ${name} (${id}) cannot be forgotten: claim ${claim.id} of ${claim.owner} holds it. Release it first.`,
      {
        values: { host: name, hostId: id, claimId: claim.id },
      },
    );
  await open.deleteFrom('hosts').where('id', '=', id).execute();
};
