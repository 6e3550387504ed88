/** Who of many hosts has which name, BMC, place and identity: made once, asked for each host that is to be added or changed. */
import { addToIndex, conflictsIn, tellingMac } from '../host/identity.ts';
import type { IdentityConflict, IdentityMark } from '../host/identity.ts';
import type { Host, HostBmc, Profile } from '../host/host.ts';

export interface Roster {
  readonly names: Map<string, Host>;
  readonly bmcs: Map<string, Host>;
  readonly places: Map<string, Host>;
  readonly marks: Map<IdentityMark, Host[]>;
}

/** Two hosts with one of these are one machine: both would switch it. */
const bmcKey = ({ protocol, url, system }: HostBmc): string => {
  const { hostname, port } = new URL(url);
  return `${protocol} ${hostname.toLowerCase()}:${port} ${system ?? ''}`;
};
const placeKey = ({ rack, unit }: Pick<Profile, 'rack' | 'unit'>): string | undefined =>
  rack === null || unit === null ? undefined : `${unit} ${rack}`;

/** Machines that were only seen have a name and nothing else that would stand in anybody's way. */
export const addTo = (roster: Roster, host: Host): void => {
  roster.names.set(host.name, host);
  if (host.state === 'discovered') return;
  if (host.bmc !== null) roster.bmcs.set(bmcKey(host.bmc), host);
  const place = placeKey(host.profile);
  if (place !== undefined) roster.places.set(place, host);
  addToIndex(roster.marks, host);
};
export const rosterOf = (hosts: readonly Host[]): Roster => {
  const roster: Roster = { names: new Map(), bmcs: new Map(), places: new Map(), marks: new Map() };
  for (const host of hosts) addTo(roster, host);
  return roster;
};

const inWords = ({ what, value, host }: IdentityConflict): string =>
  `${what === 'mac' ? 'MAC' : what === 'uuid' ? 'UUID' : 'serial number'} ${value} is that of host ${host.name}`;

/** Who of the others stands where this BMC is. */
export const bmcClash = (bmc: HostBmc | null, { bmcs }: Roster): readonly string[] => {
  const twin = bmc === null ? undefined : bmcs.get(bmcKey(bmc));
  return twin === undefined ? [] : [`its BMC ${bmc?.url ?? ''} is that of host ${twin.name}`];
};
/** Who but `self` fills this place of the rack. */
export const placeClash = (profile: Pick<Profile, 'rack' | 'unit'>, { places }: Roster, self?: Host): readonly string[] => {
  const neighbour = places.get(placeKey(profile) ?? '');
  return neighbour === undefined || neighbour.id === self?.id
    ? []
    : [`unit ${profile.unit} of rack ${profile.rack} is that of host ${neighbour.name}`];
};
/** Who of the others has this UUID, serial number or one of these MACs. */
export const identityClash = (host: Pick<Host, 'uuid' | 'serial' | 'macs'>, { marks }: Roster): readonly string[] =>
  conflictsIn({ uuid: host.uuid ?? undefined, serial: host.serial ?? undefined, macs: host.macs }, undefined, marks).map(inWords);

/** Everything of a new host that is another's already, one sentence each. */
export const clashes = (host: Host, roster: Roster): readonly string[] => [
  ...(roster.names.has(host.name) ? [`there is a host ${host.name} already`] : []),
  ...identityClash(host, roster),
  ...bmcClash(host.bmc, roster),
  ...placeClash(host.profile, roster),
];
/** What is wrong with a new host whoever else there is. */
export const faults = ({ macs, bmc }: Host): readonly string[] => [
  ...(macs.length === 0 && bmc === null ? ['name a MAC address or a BMC; without either nobody can recognise the server'] : []),
  ...macs.filter((mac) => tellingMac(mac) === undefined).map((mac) => `${mac} is no address that one machine can have`),
];
