/** New hosts, one or many: each is held against the rack before it is written. */
import { RemudaError } from '../errors.ts';
import { newHost } from '../host/host.ts';
import type { Host, HostBmc } from '../host/host.ts';
import { changesBetween, neighbourAt, profileOf } from '../host/profile.ts';
import { tellingMac } from '../host/identity.ts';
import type { TakenMark } from '../host/events.ts';
import { parseMac, parseUuid } from '../wire/address.ts';
import type { Mac, Uuid } from '../wire/address.ts';
import type { RackParts } from './claiming.ts';
import { absorb, takenBy } from './identifying.ts';
import type { Asker, Describe, Enrol, EnrolmentReport, EnrolmentRow, Enrolments } from './rack.ts';
import { enrolSchema } from './rack.ts';

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
/** Two hosts with one of these are one machine: both would switch it. */
export const bmcKey = ({ protocol, url, system }: Pick<HostBmc, 'protocol' | 'url' | 'system'>): string => {
  const { hostname, port } = new URL(url);
  return `${protocol} ${hostname.toLowerCase()}:${port} ${system ?? ''}`;
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
const inWords = ({ what, value, host }: TakenMark): string =>
  `${what === 'mac' ? 'MAC' : what === 'uuid' ? 'UUID' : 'serial number'} ${value} is that of host ${host}`;

/** Who of `others` stands where this BMC is, or in this place of the rack. */
export const clashes = (host: Pick<Host, 'bmc' | 'profile'>, others: readonly Host[]): readonly string[] => {
  const key = host.bmc === null ? undefined : bmcKey(host.bmc);
  const twin = key === undefined ? undefined : others.find((other) => other.bmc !== null && bmcKey(other.bmc) === key);
  const neighbour = neighbourAt(host.profile, others);
  return [
    ...(twin === undefined ? [] : [`its BMC ${host.bmc?.url ?? ''} is that of host ${twin.name}`]),
    ...(neighbour === undefined ? [] : [`unit ${host.profile.unit} of rack ${host.profile.rack} is that of host ${neighbour.name}`]),
  ];
};
/** Everything that stands against the new host, one sentence each. */
const objections = ({ keeper }: RackParts, host: Host, others: readonly Host[]): readonly string[] => {
  const nobody = host.macs.length === 0 && host.bmc === null;
  const strange = host.macs.filter((mac) => tellingMac(mac) === undefined);
  const namesake = others.some((other) => other.name === host.name);
  const marks = takenBy(keeper, undefined, { uuid: host.uuid ?? undefined, serial: host.serial ?? undefined, macs: host.macs });
  return [
    ...(nobody ? ['name a MAC address or a BMC; without either nobody can recognise the server'] : []),
    ...strange.map((mac) => `${mac} is no address that one machine can have`),
    ...(namesake ? [`there is a host ${host.name} already`] : []),
    ...marks.map(inWords),
    ...clashes(host, others),
  ];
};

const create = async (parts: RackParts, host: Host, by: string): Promise<Host> => {
  await absorb(parts.keeper, undefined, host.macs);
  return parts.keeper.create(host, `enrolled by ${by}`);
};
/** See Rack.enrol. `host-exists` with everything that is another host's already. */
export const enrol = async (parts: RackParts, spec: Enrol, { by }: Asker): Promise<Host> => {
  const host = candidate(spec, parts.newId('h'), parts.world.clock.now());
  const against = objections(parts, host, parts.keeper.all());
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
  const gone = Object.keys(before.profile.labels).filter((key) => !(key in labels));
  return {
    ...rest,
    labels: { ...labels, ...Object.fromEntries(gone.map((key) => [key, null])) },
    ...(wanted.serial === null ? {} : { serial: wanted.serial }),
    ...(wanted.uuid === null ? {} : { uuid: wanted.uuid }),
  } as Describe;
};

/** Rows of one request that stand in each other's way. */
interface Batch {
  readonly earlier: Host[];
}
const marksIn = (one: Host): readonly string[] => [
  `name ${one.name}`,
  ...one.macs.map((mac: Mac) => `MAC ${mac}`),
  ...(one.uuid === null ? [] : [`UUID ${one.uuid}`]),
  ...(one.serial === null ? [] : [`serial number ${one.serial}`]),
];
const duplicates = (host: Host, { earlier }: Batch): readonly string[] => {
  const own = new Set(marksIn(host));
  return [
    ...earlier.flatMap((other) =>
      marksIn(other)
        .filter((mark) => own.has(mark))
        .map((mark) => `${mark} stands in the row of ${other.name} too`),
    ),
    ...clashes(host, earlier).map((said) => `${said}, in an earlier row`),
  ];
};

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
  const twice = duplicates(host, batch);
  batch.earlier.push(host);
  if (twice.length > 0) return { row, name, outcome: 'error', reasons: twice };
  const hosts = parts.keeper.all();
  const known = hosts.find((one) => one.name === host.name && one.state !== 'discovered');
  if (known === undefined) {
    const reasons = objections(parts, host, hosts);
    return reasons.length > 0 ? { row, name, outcome: 'error', reasons } : { row, name, outcome: 'new', reasons: [], host };
  }
  const { fixed, described } = against(known, host);
  const neighbours = clashes(
    { bmc: null, profile: host.profile },
    hosts.filter(({ id }) => id !== known.id),
  );
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
  const batch: Batch = { earlier: [] };
  const checked = hosts.map((said, row) => checkRow(parts, batch, row, said));
  const isGood = partial || checked.every(({ outcome }) => outcome !== 'error');
  const rows: EnrolmentRow[] = [];
  for (const one of checked) {
    const { host: _host, change: _change, ...row } = one;
    rows.push(dryRun || !isGood ? row : await writeRow(parts, one, by));
  }
  return { written: !dryRun && isGood && rows.some(({ outcome }) => outcome === 'new' || outcome === 'changed'), rows };
};
