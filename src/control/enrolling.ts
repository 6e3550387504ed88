/** New hosts, one or many: each is held against the rack before it is written. */
import { RemudaError } from '../errors.ts';
import { newHost } from '../host/host.ts';
import type { Host, HostBmc } from '../host/host.ts';
import { changesBetween, profileOf } from '../host/profile.ts';
import { parseMac, parseUuid } from '../wire/address.ts';
import type { Uuid } from '../wire/address.ts';
import type { RackParts } from './claiming.ts';
import { absorb } from './identifying.ts';
import type { Asker, Describe, Enrol, EnrolmentReport, EnrolmentRow, Enrolments } from './rack.ts';
import { enrolSchema } from './rack.ts';
import { addTo, clashes, faults, placeClash, rosterOf } from './roster.ts';
import type { Roster } from './roster.ts';

/** Without the keys that are absent: optional fields are absent or there, never undefined. */
export const bmcOf = (bmc: { readonly [K in keyof HostBmc]: HostBmc[K] | undefined }): HostBmc => {
  const { protocol = 'redfish', url = '', username = '', password = '', fingerprint, ca, insecure, system, suites } = bmc;
  return {
    protocol,
    url,
    username,
    password,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(ca === undefined ? {} : { ca }),
    ...(insecure === undefined ? {} : { insecure }),
    ...(system === undefined ? {} : { system }),
    ...(suites === undefined ? {} : { suites }),
  };
};
export const uuidOf = (text: string | undefined): Uuid | undefined => (text === undefined ? undefined : parseUuid(text));

const candidate = (spec: Enrol, id: string, now: number): Host => {
  const uuid = uuidOf(spec.uuid);
  const fresh = {
    id,
    name: spec.name,
    state: 'enrolled' as const,
    macs: [...new Set(spec.macs.map((text) => parseMac(text)).filter((mac) => mac !== undefined))],
    profile: profileOf(spec),
    ...(uuid === undefined ? {} : { uuid }),
    ...(spec.serial === undefined ? {} : { serial: spec.serial }),
    ...(spec.firmware === undefined ? {} : { firmware: spec.firmware }),
    ...(spec.bmc === undefined ? {} : { bmc: bmcOf(spec.bmc) }),
  };
  return newHost(fresh, now);
};
const create = async (parts: RackParts, host: Host, by: string): Promise<Host> => {
  await absorb(parts.keeper, undefined, host.macs);
  return parts.keeper.create(host, `enrolled by ${by}`);
};
/** See Rack.enrol. `host-exists` with everything that is another host's already. */
export const enrol = async (parts: RackParts, spec: Enrol, { by }: Asker): Promise<Host> => {
  const host = candidate(spec, parts.newId('h'), parts.world.clock.now());
  const against = [...faults(host), ...clashes(host, rosterOf(parts.keeper.all()))];
  if (against.length > 0) {
    const isBad = host.macs.length === 0 && host.bmc === null;
    throw new RemudaError(isBad ? 'bad-request' : 'host-exists', `${spec.name} cannot be enrolled: ${against.join('; ')}`, {
      values: { host: spec.name, reasons: against },
    });
  }
  return create(parts, host, by);
};

type Checked = EnrolmentRow & { readonly host?: Host; readonly change?: { readonly id: string; readonly patch: Describe } };
const saidName = (row: unknown): string | null => {
  const name = typeof row === 'object' && row !== null && 'name' in row ? row.name : undefined;
  return typeof name === 'string' ? name.slice(0, 253) : null;
};

/** What of the row is not so on the host of that name. The description may be changed by a second run; who and where it is may not. */
const against = (host: Host, wanted: Host): { readonly fixed: readonly string[]; readonly described: readonly string[] } => {
  const sameMacs = wanted.macs.every((mac) => host.macs.includes(mac));
  const bmc = wanted.bmc === null ? undefined : wanted.bmc;
  const fixed = [
    ...(sameMacs ? [] : [`it has the MACs ${host.macs.join(', ') || 'none'}: change them by adopt and remove`]),
    ...(bmc === undefined || JSON.stringify(bmc) === JSON.stringify(host.bmc)
      ? []
      : ['its BMC is another one, or with other credentials: set it by itself']),
    ...(wanted.firmware === null || wanted.firmware === host.firmware ? [] : [`its firmware is ${host.firmware ?? 'not known yet'}`]),
  ];
  const described = [
    ...changesBetween(host.profile, wanted.profile),
    ...(wanted.serial === null || wanted.serial === host.serial ? [] : [`serial: ${host.serial ?? 'none'} → ${wanted.serial}`]),
    ...(wanted.uuid === null || wanted.uuid === host.uuid ? [] : [`uuid: ${host.uuid ?? 'none'} → ${wanted.uuid}`]),
  ];
  return { fixed, described };
};
const patchTo = (before: Host, wanted: Host): Describe => {
  const { labels, ...rest } = wanted.profile;
  const gone = Object.keys(before.profile.labels).filter((key) => !Object.hasOwn(labels, key));
  return {
    ...rest,
    labels: { ...labels, ...Object.fromEntries(gone.map((key) => [key, null])) },
    ...(wanted.serial === null ? {} : { serial: wanted.serial }),
    ...(wanted.uuid === null ? {} : { uuid: wanted.uuid }),
  } as Describe;
};

/** What the rows are held against: the rack, and the rows before. */
interface Batch {
  readonly rack: Roster;
  readonly rows: Roster;
}
const checkRow = (parts: RackParts, batch: Batch, row: number, said: unknown): Checked => {
  const parsed = enrolSchema.safeParse(said);
  const name = saidName(said);
  if (!parsed.success)
    return {
      row,
      name,
      outcome: 'error',
      // Never what was sent: it may be a password in the wrong column.
      reasons: parsed.error.issues.slice(0, 8).map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`)),
    };
  const host = candidate(parsed.data, parts.newId('h'), parts.world.clock.now());
  const wrong = [...faults(host), ...clashes(host, batch.rows).map((clash) => `${clash}, in an earlier row`)];
  addTo(batch.rows, host);
  if (wrong.length > 0) return { row, name, outcome: 'error', reasons: wrong };
  const known = batch.rack.names.get(host.name);
  if (known === undefined || known.state === 'discovered') {
    const reasons = clashes(host, batch.rack);
    return reasons.length > 0 ? { row, name, outcome: 'error', reasons } : { row, name, outcome: 'new', reasons: [], host };
  }
  const { fixed, described } = against(known, host);
  const neighbours = placeClash(host.profile, batch.rack, known);
  if (fixed.length + neighbours.length > 0) return { row, name, outcome: 'error', reasons: [...fixed, ...neighbours] };
  if (described.length === 0) return { row, name, outcome: 'same', reasons: [] };
  return { row, name, outcome: 'changed', reasons: described, change: { id: known.id, patch: patchTo(known, host) } };
};

const writeRow = async (parts: RackParts, { host, change, ...row }: Checked, by: string): Promise<EnrolmentRow> => {
  try {
    if (host !== undefined) await create(parts, host, by);
    if (change !== undefined) {
      const { serial, uuid, ...patch } = change.patch;
      await parts.keeper.apply(change.id, {
        type: 'described',
        by,
        patch,
        ...(serial === undefined ? {} : { serial }),
        ...(uuid === undefined || uuid === null ? {} : { uuid: uuidOf(uuid) ?? null }),
      });
    }
    return row;
  } catch (error) {
    if (!(error instanceof RemudaError)) throw error;
    return { ...row, outcome: 'error', reasons: [error.message] };
  }
};
/** See Rack.enrolMany. A row that fails while it is written (somebody was quicker) is told; the same request again does the rest. */
export const enrolMany = async (parts: RackParts, { hosts, dryRun, partial }: Enrolments, { by }: Asker): Promise<EnrolmentReport> => {
  const batch: Batch = { rack: rosterOf(parts.keeper.all()), rows: rosterOf([]) };
  const checked = hosts.map((said, row) => checkRow(parts, batch, row, said));
  const isGood = partial || checked.every(({ outcome }) => outcome !== 'error');
  const rows: EnrolmentRow[] = [];
  for (const one of checked) {
    const { host: _host, change: _change, ...row } = one;
    rows.push(dryRun || !isGood ? row : await writeRow(parts, one, by));
  }
  return { written: !dryRun && isGood && rows.some(({ outcome }) => outcome === 'new' || outcome === 'changed'), rows };
};
