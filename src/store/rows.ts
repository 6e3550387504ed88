/** Rows and what they mean: host records, claims, journal entries and leases, with a light look at what was read. */
import type { Insertable, Selectable } from 'kysely';
import { RemudaError } from '../errors.ts';
import { hostStates } from '../host/host.ts';
import type { Host, JournalEntry } from '../host/host.ts';
import { parseMac } from '../wire/address.ts';
import type { Lease } from '../wire/words.ts';
import type { Schema } from './schema.ts';
import { changeSecrets } from './seal.ts';
import type { Sealer } from './seal.ts';
import type { ClaimRow, JournalRow } from './store.ts';

type HostRow = Pick<Selectable<Schema['hosts']>, 'id' | 'name' | 'state' | 'version' | 'record'>;
type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isAbsentOr = (value: unknown, test: (fields: Fields) => boolean): boolean => value === null || (isFields(value) && test(value));

/** What every reader of a host relies on without looking; the rest of the record is the rulebook's own writing. */
const checks: readonly { readonly field: string; readonly holds: (record: Fields, row: HostRow) => boolean }[] = [
  { field: 'id', holds: (record, row) => record['id'] === row.id },
  { field: 'name', holds: (record, row) => record['name'] === row.name },
  { field: 'state', holds: (record, row) => record['state'] === row.state && hostStates.some((state) => state === row.state) },
  {
    field: 'macs',
    holds: ({ macs }) => Array.isArray(macs) && macs.every((mac) => typeof mac === 'string' && parseMac(mac) === mac),
  },
  { field: 'profile', holds: ({ profile }) => isFields(profile) && isFields(profile['labels']) && typeof profile['pool'] === 'string' },
  { field: 'bmc', holds: ({ bmc }) => isAbsentOr(bmc, ({ url }) => typeof url === 'string') },
  {
    field: 'claim',
    holds: ({ claim }) =>
      isAbsentOr(claim, ({ id, generation, disk }) => typeof id === 'string' && Number.isInteger(generation) && isFields(disk)),
  },
  { field: 'release', holds: ({ release }) => isAbsentOr(release, ({ claimId, disk }) => typeof claimId === 'string' && isFields(disk)) },
  { field: 'boot', holds: ({ boot }) => isAbsentOr(boot, ({ number }) => Number.isInteger(number)) },
  { field: 'job', holds: ({ job }) => isAbsentOr(job, ({ id, disk }) => typeof id === 'string' && isFields(disk)) },
  { field: 'facts', holds: ({ facts }) => isFields(facts) },
];

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** The first field that does not hold; undefined for a sound record. */
const brokenField = (record: unknown, row: HostRow): string | undefined =>
  isFields(record) ? checks.find(({ holds }) => !holds(record, row))?.field : 'JSON';
const isHost = (record: unknown, row: HostRow): record is Host => brokenField(record, row) === undefined;

/** The host as it was saved. A broken record throws `internal` and names the host: guessing at it could cost a disk. */
export const hostOf = (row: HostRow, sealer: Sealer): Host => {
  const stored = parse(row.record);
  const record = isFields(stored) ? changeSecrets(stored, (word, place) => sealer.open(word, place)) : stored;
  if (isHost(record, row)) return { ...record, version: row.version };
  const field = brokenField(record, row);
  throw new RemudaError(
    'internal',
    `The stored record of host ${row.name} (${row.id}) is broken at "${field}". Restore the database from a backup.`,
    {
      values: { host: row.name, hostId: row.id, field },
    },
  );
};
/** As it is stored: its secrets sealed. */
export const hostRow = (host: Host, sealer: Sealer): HostRow => ({
  id: host.id,
  name: host.name,
  state: host.state,
  version: host.version,
  record: JSON.stringify(changeSecrets({ ...host }, (word, place) => sealer.seal(word, place))),
});
/** The row's record with every secret sealed under today's key; undefined where it is so already. */
export const resealed = (row: Pick<HostRow, 'record'>, sealer: Sealer): string | undefined => {
  const stored = parse(row.record);
  if (!isFields(stored)) return undefined;
  let changed = false;
  const record = changeSecrets(stored, (word, place) => {
    if (sealer.isCurrent(word)) return word;
    changed = true;
    return sealer.seal(sealer.open(word, place), place);
  });
  return changed ? JSON.stringify(record) : undefined;
};

export const claimOf = (row: Selectable<Schema['claims']>): ClaimRow => ({
  id: row.id,
  hostId: row.host_id,
  owner: row.owner,
  createdAt: row.created_at,
  releasedAt: row.released_at,
});

/** A line of the timeline is for people: data that cannot be read is left out rather than hiding the line. */
export const journalOf = (row: Selectable<Schema['journal']>): JournalRow => {
  const data = row.data === null ? undefined : parse(row.data);
  return {
    seq: row.seq,
    hostId: row.host_id,
    at: row.at,
    kind: row.kind === 'state' ? 'state' : 'packet',
    boot: row.boot,
    text: row.text,
    ...(isFields(data) ? { data } : {}),
  };
};
export const journalRow = (entry: JournalEntry): Insertable<Schema['journal']> => ({
  host_id: entry.hostId,
  at: entry.at,
  kind: entry.kind,
  boot: entry.boot,
  text: entry.text,
  data: entry.data === undefined ? null : JSON.stringify(entry.data),
});

export const leaseOf = (row: Selectable<Schema['leases']>): Lease => ({
  address: row.address,
  mac: row.mac,
  ...(row.client_id === null ? {} : { clientId: row.client_id }),
  ...(row.host_name === null ? {} : { hostName: row.host_name }),
  startsAt: row.starts_at,
  endsAt: row.ends_at,
});
export const leaseRow = (lease: Lease): Insertable<Schema['leases']> => ({
  address: lease.address,
  mac: lease.mac,
  client_id: lease.clientId ?? null,
  host_name: lease.hostName ?? null,
  starts_at: lease.startsAt,
  ends_at: lease.endsAt,
});
