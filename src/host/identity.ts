/** Which host a machine is: by UUID, then serial number, then MAC addresses; where they disagree it is said, never guessed. */
import { parseMac, parseUuid } from '../wire/address.ts';
import type { Mac, Uuid } from '../wire/address.ts';
import type { Host } from './host.ts';
import type { Inventory } from './inventory.ts';

/** The first three fields the other way round: SMBIOS before 2.6 did not say which order, and firmware still shows both (SMBIOS 3.7 §7.2.1). */
export const turned = (uuid: Uuid): Uuid => {
  const [a = '', b = '', c = '', ...rest] = uuid.split('-');
  return [bytesTurned(a), bytesTurned(b), bytesTurned(c), ...rest].join('-') as Uuid;
};
const bytesTurned = (hex: string): string => (hex.match(/../g) ?? []).toReversed().join('');
export const sameUuid = (a: Uuid, b: Uuid): boolean => a === b || turned(a) === b;

/** UUIDs that board makers ship by the thousand: they name nobody. */
const sharedUuids: ReadonlySet<string> = new Set([
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '03000200-0400-0500-0006-000700080009',
  '00020003-0004-0005-0006-000700080009',
  '12345678-1234-5678-90ab-cddeefaabbcc',
  '11111111-2222-3333-4444-555555555555',
  'fefefefe-fefe-fefe-fefe-fefefefefefe',
  '01234567-89ab-cdef-0123-456789abcdef',
]);
const sharedSerials =
  /^(|0+|x+|\.+|-+|none|n\/?a|unknown|empty|default( string)?|to be filled by o\.?e\.?m\.?|not (specified|applicable|available)|(system|chassis) serial number|serial number|0?123456789(0|abcdef)?|oem)$/i;

/** The UUID, where it can tell one machine from another. */
export const tellingUuid = (text: string | null | undefined): Uuid | undefined => {
  const uuid = parseUuid(text ?? '');
  return uuid === undefined || sharedUuids.has(uuid) || sharedUuids.has(turned(uuid)) ? undefined : uuid;
};
/** The serial number, trimmed, where it can tell one machine from another. */
export const tellingSerial = (text: string | null | undefined): string | undefined => {
  const serial = (text ?? '').trim();
  return sharedSerials.test(serial) ? undefined : serial;
};
/** The MAC, where one machine can have it: unicast and not all zeros. */
export const tellingMac = (text: string): Mac | undefined => {
  const mac = parseMac(text);
  return mac === undefined || mac === '00:00:00:00:00:00' || (parseInt(mac.slice(0, 2), 16) & 1) === 1 ? undefined : mac;
};

/** The network that a BMC shows its host over USB: some makers give the same MAC to each of them. */
const managementDrivers: ReadonlySet<string> = new Set(['cdc_ether', 'cdc_ncm', 'cdc_eem', 'cdc_subset', 'rndis_host', 'usbnet']);
/** The MACs by which a machine with this hardware can be known. */
export const macsOf = (inventory: Inventory | null): readonly Mac[] => [
  ...new Set(
    (inventory?.nics ?? [])
      .filter(({ driver }) => driver === undefined || !managementDrivers.has(driver))
      .map(({ mac }) => tellingMac(mac))
      .filter((mac) => mac !== undefined),
  ),
];

/** What is known of a machine; whatever is not telling is not looked at. */
export interface Evidence {
  readonly uuid?: string | undefined;
  readonly serial?: string | undefined;
  readonly macs: readonly Mac[];
}
export type Means = 'uuid' | 'serial' | 'mac';
export type Found =
  | { readonly host: Host; readonly by: Means }
  | { readonly conflict: readonly Host[]; readonly reason: string }
  | 'unknown';

/** By which a host can be known, lower case, UUIDs in one of their two orders: `uuid 4c4c…`, `mac 52:54:…`. */
export type IdentityMark = `${Means} ${string}`;
const uuidMark = (uuid: Uuid): IdentityMark => `uuid ${uuid < turned(uuid) ? uuid : turned(uuid)}`;
const marks = (
  uuids: readonly (string | null | undefined)[],
  serials: readonly (string | null | undefined)[],
  macs: readonly Mac[],
): ReadonlySet<IdentityMark> =>
  new Set<IdentityMark>([
    ...uuids
      .map(tellingUuid)
      .filter((uuid) => uuid !== undefined)
      .map(uuidMark),
    ...serials
      .map(tellingSerial)
      .filter((serial) => serial !== undefined)
      .map((serial): IdentityMark => `serial ${serial.toLowerCase()}`),
    ...macs.map((mac): IdentityMark => `mac ${mac}`),
  ]);
/** Of each record of a host once: a look at one host is a look at all of them, and most have not changed since the last. */
const known = new WeakMap<Host, ReadonlySet<IdentityMark>>();
const marksOf = (host: Host): ReadonlySet<IdentityMark> => {
  const before = known.get(host);
  if (before !== undefined) return before;
  const found = marksSaidOf(host);
  known.set(host, found);
  return found;
};
/** Everything that anybody says this host has: people, its BMC, its agent. */
const marksSaidOf = ({ uuid, serial, macs, identified, inventory, identity }: Host): ReadonlySet<IdentityMark> => {
  const gone = new Set([...(identity?.retired ?? []).map((one) => one.mac), ...(identity?.refused ?? [])]);
  const seen = [...(identified?.macs ?? []), ...macsOf(inventory)].filter((mac) => !gone.has(mac));
  return marks([uuid, identified?.uuid, inventory?.uuid], [serial, identified?.serial, inventory?.serial], [...macs, ...seen]);
};

/** Who has which mark. Made once for a look at many hosts. */
export type IdentityIndex = ReadonlyMap<IdentityMark, readonly Host[]>;
export const addToIndex = (index: Map<IdentityMark, Host[]>, host: Host): void => {
  for (const mark of marksOf(host)) {
    const others = index.get(mark);
    if (others === undefined) index.set(mark, [host]);
    else others.push(host);
  }
};
export const identityIndex = (hosts: readonly Host[]): IdentityIndex => {
  const index = new Map<IdentityMark, Host[]>();
  for (const host of hosts) addToIndex(index, host);
  return index;
};

/** Two hosts of which one and the same mark is said. */
export interface IdentityConflict {
  readonly what: Means;
  readonly value: string;
  readonly host: Host;
}
const conflictsAmong = (own: ReadonlySet<IdentityMark>, self: string | undefined, index: IdentityIndex): readonly IdentityConflict[] =>
  [...own].flatMap((mark) => {
    const space = mark.indexOf(' ');
    const [what, value] = [mark.slice(0, space) as Means, mark.slice(space + 1)];
    return (index.get(mark) ?? []).filter((other) => other.id !== self).map((host) => ({ what, value, host }));
  });
/** Other hosts that are said to have this host's UUID, serial number or one of its MACs. */
export const conflictsOf = (host: Host, index: IdentityIndex): readonly IdentityConflict[] => conflictsAmong(marksOf(host), host.id, index);
/** The same for what was just heard of a host (`self`) and is not recorded yet. */
export const conflictsIn = (evidence: Evidence, self: string | undefined, index: IdentityIndex): readonly IdentityConflict[] =>
  conflictsAmong(marks([evidence.uuid], [evidence.serial], evidence.macs), self, index);
export const conflictsWith = (evidence: Evidence, self: string | undefined, hosts: readonly Host[]): readonly IdentityConflict[] =>
  conflictsIn(evidence, self, identityIndex(hosts));

/**
 * The host that has this evidence. Where UUID, serial and MACs each leave some hosts, the one that all of them leave; none or several is a conflict.
 * A UUID that several hosts share decides nothing by itself.
 */
export const identify = (evidence: Evidence, hosts: readonly Host[]): Found => {
  const all = conflictsWith(evidence, undefined, hosts);
  const left = (['uuid', 'serial', 'mac'] as const)
    .map((what) => ({ what, hosts: [...new Set(all.filter((one) => one.what === what).map(({ host }) => host))] }))
    .filter((one) => one.hosts.length > 0);
  const [first, ...others] = left;
  if (first === undefined) return 'unknown';
  const common = first.hosts.filter((host) => others.every((one) => one.hosts.includes(host)));
  const only = common.length === 1 ? common[0] : undefined;
  if (only !== undefined) return { host: only, by: (left.find((one) => one.hosts.length === 1) ?? first).what };
  const said = left.map(
    (one) =>
      `its ${one.what === 'mac' ? 'MAC' : one.what === 'uuid' ? 'UUID' : 'serial number'} is that of ${one.hosts.map(({ name }) => name).join(' and ')}`,
  );
  return { conflict: [...new Set(left.flatMap((one) => one.hosts))], reason: said.join(', ') };
};
