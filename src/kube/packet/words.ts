/** What a PacketMachine asks for, in the words of a BareMetalMachine: plan, metro and reservation become labels of hosts. Pure. */
import { faultsOf } from '../machine/adapter.ts';
import type { Asked } from '../machine/adapter.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';
import { packetMachineSpec } from '../schema/packet.ts';
import type { PacketMachineSpec } from '../schema/packet.ts';

/** Labels of hosts, named like the fields that ask for them. */
export const hostLabels = { plan: 'plan', metro: 'metro', facility: 'facility', reservation: 'reservation' } as const;
/** Where a host is to stand. */
export interface Place {
  readonly metro?: string | undefined;
  readonly facility?: string | undefined;
}
type Selector = NonNullable<MachineSpec['hostSelector']>;
type Expression = NonNullable<Selector['matchExpressions']>[number];

const reservationsMost = 16;
const labelValue = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const isSaid = (text: string | undefined): text is string => text !== undefined && text !== '';

/** As the old provider did it: a machine that says metro or facility says all of it. */
export const placeOf = (machine: Place, cluster: Place | undefined): Readonly<Record<string, string>> => {
  const { metro, facility } = isSaid(machine.metro) || isSaid(machine.facility) ? machine : (cluster ?? {});
  return { ...(isSaid(metro) ? { [hostLabels.metro]: metro } : {}), ...(isSaid(facility) ? { [hostLabels.facility]: facility } : {}) };
};
/** The user's own selector with these labels and expressions; of a label that the user names the user's word counts alone. */
const narrowed = (own: Selector | undefined, labels: Readonly<Record<string, string>>, expression?: Expression): Selector => {
  const { matchLabels = {}, matchExpressions = [] } = own ?? {};
  const named = new Set([...Object.keys(matchLabels), ...matchExpressions.map(({ key }) => key)]);
  const added = Object.entries(labels).filter(([key]) => !named.has(key));
  const isAdded = expression !== undefined && !named.has(expression.key);
  return {
    ...own,
    matchLabels: { ...Object.fromEntries(added), ...matchLabels },
    matchExpressions: [...matchExpressions, ...(isAdded ? [expression] : [])],
  };
};
/** A public key as `ssh-keygen` writes it, perhaps with options before it; empty ones of old manifests are none. */
export const publicKeysOf = ({ sshKeys = [] }: Pick<PacketMachineSpec, 'sshKeys'>): readonly string[] =>
  sshKeys.map((key) => key.trim()).filter((key) => key !== '');
const publicKey = /^(\P{Cc}* )?(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]{16,}={0,3}( \P{Cc}*)?$/u;

/** What cannot be had here, whatever the rack has. */
const refusalOf = (spec: PacketMachineSpec): string | undefined => {
  const fromElsewhere = 'hosts run images of the rack, not scripts from elsewhere';
  if (isSaid(spec.ipxeURL)) return `spec.ipxeURL: ${fromElsewhere}; take it out, and name an image`;
  if (spec.os === 'custom_ipxe' && spec.image === undefined) return `spec.os custom_ipxe: ${fromElsewhere}; name one in spec.image`;
  const at = publicKeysOf(spec).findIndex((key) => !publicKey.test(key));
  if (at >= 0) return `spec.sshKeys: the ${at + 1}. that is not empty is no public key as ssh-keygen writes it (one line, type and base64)`;
  if (isSaid(spec.hardwareReservationID) && spec.host !== undefined) return 'spec.host and spec.hardwareReservationID both name a host';
  return undefined;
};
/** All that is not about which host. */
const baseOf = (spec: PacketMachineSpec): MachineSpec => {
  const { image, claimID, hostName, disk, placement, nodeReuse, provisionTimeoutSeconds, addressesFromPools, whenNotInPlace } = spec;
  const same = { claimID, hostName, disk, placement, nodeReuse, provisionTimeoutSeconds, addressesFromPools, whenNotInPlace };
  return { image: image ?? spec.os, ...Object.fromEntries(Object.entries(same).filter(([, value]) => value !== undefined)) };
};
/** By one reservation: the host of this name or ID, else one that carries the reservation as a label. */
const byReservation = (base: MachineSpec, own: Selector | undefined, id: string): readonly MachineSpec[] => [
  ...(id.length <= 64 ? [{ ...base, host: id, ...(own === undefined ? {} : { hostSelector: own }) }] : []),
  ...(labelValue.test(id) ? [{ ...base, hostSelector: narrowed(own, { [hostLabels.reservation]: id }) }] : []),
];
const wishesOf = (spec: PacketMachineSpec, cluster: Place | undefined): readonly MachineSpec[] | string => {
  const base = baseOf(spec);
  const own = spec.hostSelector;
  if (spec.host !== undefined) return [{ ...base, host: spec.host }];
  const labels = { [hostLabels.plan]: spec.machineType, ...placeOf(spec, cluster) };
  const reserved = (operator: 'Exists' | 'DoesNotExist'): MachineSpec => ({
    ...base,
    hostSelector: narrowed(own, labels, { key: hostLabels.reservation, operator }),
  });
  const ids = [...new Set((spec.hardwareReservationID ?? '').split(',').map((id) => id.trim()))].filter(isSaid);
  // As it was there: what is reserved is given to nobody who does not say so.
  if (ids.length === 0) return [reserved('DoesNotExist')];
  if (ids.length > reservationsMost) return `spec.hardwareReservationID: at most ${reservationsMost} hosts can be named`;
  return ids.flatMap((id) => (id === 'next-available' ? [reserved('Exists')] : byReservation(base, own, id)));
};
/** `cluster`: where the PacketCluster says that its machines stand. */
export const askedBy = (said: unknown, cluster: Place | undefined): Asked => {
  const parsed = packetMachineSpec.safeParse(said ?? {});
  if (!parsed.success) return { wrong: faultsOf(parsed.error) };
  const wrong = refusalOf(parsed.data);
  if (wrong !== undefined) return { wrong };
  const wishes = wishesOf(parsed.data, cluster);
  if (typeof wishes === 'string') return { wrong: wishes };
  const [spec, ...otherwise] = wishes;
  if (spec === undefined) return { wrong: 'spec.hardwareReservationID names no host, and nothing that the label of a host could say' };
  return { spec, ...(otherwise.length === 0 ? {} : { otherwise }) };
};
