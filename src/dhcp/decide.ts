/** What a DHCP message means for the lease table: pure, from the table, the message and the time to one decision (RFC 2131 §4.3). */
import { inCidr, type Ipv4, type Mac, noAddress } from '../wire/address.ts';
import type { Lease } from '../wire/words.ts';
import type { Binding, Change, LeaseTable, Offer } from './table.ts';

/** A message as far as leases go. */
export interface LeaseRequest {
  readonly kind: 'discover' | 'request' | 'decline' | 'release' | 'inform';
  readonly mac: Mac;
  /** Option 61 in hex. */
  readonly clientId?: string;
  readonly hostName?: string;
  /** A host of ours: its MAC is its identity through firmware, iPXE and OS, which all send different client identifiers. */
  readonly known: boolean;
  /** Option 50. */
  readonly requested?: Ipv4;
  /** Option 54. */
  readonly serverId?: Ipv4;
  /** The server identifier that the relay has us use instead of our own (RFC 5107 §4). */
  readonly overrideId?: Ipv4;
  /** `ciaddr`; 0.0.0.0 where the client has none. */
  readonly clientAddress: Ipv4;
}

/** `silent` and `nak` say why, in words for the timeline. The changes are for LeaseTable.apply. */
export type Decision =
  | { readonly outcome: 'offer' | 'ack'; readonly lease: Lease; readonly changes: readonly Change[] }
  | { readonly outcome: 'inform' | 'released' | 'declined'; readonly changes: readonly Change[] }
  | { readonly outcome: 'nak' | 'silent'; readonly reason: string; readonly changes: readonly Change[] };

const silent = (reason: string, changes: readonly Change[] = []): Decision => ({ outcome: 'silent', reason, changes });
const nak = (reason: string): Decision => ({ outcome: 'nak', reason, changes: [] });

const macHolder = (mac: Mac): string => `mac:${mac}`;
export const holderOf = ({ known, clientId, mac }: Pick<LeaseRequest, 'known' | 'clientId' | 'mac'>): string =>
  known || clientId === undefined ? macHolder(mac) : `id:${clientId}`;

/**
 * Whether a living binding or offer is this client's own. The MAC must agree even where the identifier does: cloned disks send one
 * identifier from two machines, and these must not share an address; a replaced NIC gets the old address once its lease is over.
 */
const isMine = (entry: Binding | Offer, request: LeaseRequest): boolean =>
  entry.mac === request.mac && (request.known || entry.holder === holderOf(request) || entry.holder === macHolder(request.mac));

const isLivingOfAnother = (table: LeaseTable, address: Ipv4, request: LeaseRequest, now: number): boolean => {
  const binding = table.bindingAt(address);
  if (binding !== undefined && binding.endsAt > now && !isMine(binding, request)) return true;
  const offer = table.offerAt(address);
  return offer !== undefined && offer.until > now && !isMine(offer, request);
};

/** Unknown clients may fill only so many bindings; then each new one takes the place of an expired one. */
const hasRoom = (table: LeaseTable, address: Ipv4, request: LeaseRequest): boolean =>
  request.known || table.unknownCount < table.limits.dhcpUnknownClientsMax || table.bindingAt(address)?.known === false;

const canHave = (table: LeaseTable, address: Ipv4, request: LeaseRequest, now: number): boolean =>
  table.assignable.may(request.mac, address) &&
  !table.isQuarantined(address, now) &&
  !isLivingOfAnother(table, address, request, now) &&
  hasRoom(table, address, request);

/** What we remember of this client, living or expired. */
const recordOf = (table: LeaseTable, request: LeaseRequest): Binding | undefined =>
  table.bindingOf(holderOf(request)) ?? (request.known ? table.bindingOfMac(request.mac) : table.bindingOf(macHolder(request.mac)));

/** RFC 2131 §4.3.1: the reservation, the client's own address, the one it asks for, one never used, the one unused for longest. */
const choose = (table: LeaseTable, request: LeaseRequest, now: number): Ipv4 | undefined => {
  const wishes = [
    table.assignable.reservedFor(request.mac),
    recordOf(table, request)?.address,
    table.offerTo(request.mac)?.address,
    request.requested,
  ];
  const suits = (address: Ipv4): boolean => canHave(table, address, request, now);
  return (
    wishes.find((address) => address !== undefined && suits(address)) ??
    (hasRoomForNew(table, request) ? table.unused(suits) : undefined) ??
    table.oldestExpired(now, (binding) => suits(binding.address))
  );
};
const hasRoomForNew = (table: LeaseTable, request: LeaseRequest): boolean =>
  request.known || table.unknownCount < table.limits.dhcpUnknownClientsMax;

const leaseOf = (table: LeaseTable, request: LeaseRequest, address: Ipv4, now: number): Binding => {
  const before = table.bindingAt(address);
  const goesOn = before !== undefined && before.endsAt > now && isMine(before, request);
  return {
    address,
    mac: request.mac,
    ...(request.clientId === undefined ? {} : { clientId: request.clientId }),
    ...(request.hostName === undefined ? {} : { hostName: request.hostName }),
    startsAt: goesOn ? before.startsAt : now,
    endsAt: now + table.subnet.leaseSeconds * 1000,
    holder: holderOf(request),
    known: request.known,
  };
};

const decideDiscover = (table: LeaseTable, request: LeaseRequest, now: number): Decision => {
  const holds = table.offerTo(request.mac) !== undefined;
  if (!holds && table.offerCount >= table.limits.dhcpOffersMax) return silent('too many offers are open');
  const address = choose(table, request, now);
  if (address === undefined) return silent('no address is free');
  const offer: Offer = { address, mac: request.mac, holder: holderOf(request), until: now + table.limits.dhcpOfferHoldMs };
  return { outcome: 'offer', lease: leaseOf(table, request, address, now), changes: [{ kind: 'offer', offer }] };
};

const grant = (table: LeaseTable, request: LeaseRequest, address: Ipv4, now: number): Decision => {
  const binding = leaseOf(table, request, address, now);
  const before = recordOf(table, request);
  const movedFrom =
    before !== undefined && before.address !== address && (before.endsAt <= now || isMine(before, request)) ? [before.address] : [];
  const changes: Change[] = [
    ...movedFrom.map((from) => ({ kind: 'free', address: from }) as const),
    { kind: 'drop-offer', mac: request.mac },
    { kind: 'bind', binding },
  ];
  return { outcome: 'ack', lease: binding, changes };
};

/** RFC 2131 §4.3.2 tells the four kinds of REQUEST apart by what they carry. */
const decideRequest = (table: LeaseTable, request: LeaseRequest, now: number): Decision => {
  const { serverId } = request;
  if (serverId !== undefined && serverId !== table.subnet.serverAddress && serverId !== request.overrideId)
    return silent(`took the offer of another DHCP server, ${serverId}`, [{ kind: 'drop-offer', mac: request.mac }]);
  const address = request.clientAddress === noAddress ? request.requested : request.clientAddress;
  if (address === undefined) return silent('REQUEST for no address');
  if (!inCidr(table.subnet.cidr, address)) return nak('address of another subnet');
  if (request.serverId !== undefined) return decideSelecting(table, request, address, now);
  // A renewal of an address that is free is our own lease, lost with a store: RFC 2131 §4.3.2 trusts the client's ciaddr.
  if (canHave(table, address, request, now) && (recordOf(table, request)?.address === address || request.clientAddress !== noAddress))
    return grant(table, request, address, now);
  if (isLivingOfAnother(table, address, request, now) || table.assignable.isTaken(request.mac, address))
    return nak('address of another client');
  return decideUnfounded(table, request, address);
};

/** Asked for by name, so no answer but ours will come: what cannot be granted is refused. */
const decideSelecting = (table: LeaseTable, request: LeaseRequest, address: Ipv4, now: number): Decision =>
  canHave(table, address, request, now) ? grant(table, request, address, now) : nak('the offer is no longer open');

/** What INIT-REBOOT asks for, or a renewal that no record of ours supports: refused where we know better, else another server may know it. */
const decideUnfounded = (table: LeaseTable, request: LeaseRequest, address: Ipv4): Decision => {
  const record = recordOf(table, request);
  return record !== undefined && record.address !== address && isMine(record, request)
    ? nak(`its address is ${record.address}`)
    : silent('no record of this lease');
};

/** RFC 2131 §4.3.3: somebody else answers for this address; it stays out of use for a while. */
const decideDecline = (table: LeaseTable, request: LeaseRequest, now: number): Decision => {
  const address = request.requested;
  const entries = address === undefined ? [] : [table.bindingAt(address), table.offerAt(address)];
  if (address === undefined || !entries.some((entry) => entry !== undefined && isMine(entry, request)))
    return silent('DECLINE of an address it does not have');
  return {
    outcome: 'declined',
    changes: [
      { kind: 'drop-offer', mac: request.mac },
      { kind: 'quarantine', address, until: now + table.limits.dhcpQuarantineMs },
      { kind: 'free', address },
    ],
  };
};

/** RFC 2131 §4.3.4: free for others now, but remembered, so that the client gets it again if it is still there. */
const decideRelease = (table: LeaseTable, request: LeaseRequest, now: number): Decision => {
  const binding = table.bindingAt(request.clientAddress);
  if (binding === undefined || binding.endsAt <= now || !isMine(binding, request)) return silent('RELEASE of an address it does not have');
  return { outcome: 'released', changes: [{ kind: 'bind', binding: { ...binding, endsAt: now } }] };
};

const decideInform = (table: LeaseTable, request: LeaseRequest): Decision =>
  inCidr(table.subnet.cidr, request.clientAddress) ? { outcome: 'inform', changes: [] } : silent('INFORM from another subnet');

const deciders: Readonly<Record<LeaseRequest['kind'], (table: LeaseTable, request: LeaseRequest, now: number) => Decision>> = {
  discover: decideDiscover,
  request: decideRequest,
  decline: decideDecline,
  release: decideRelease,
  inform: decideInform,
};

/** Decides one message; `now` in ms. Nobody gets an address outside pool and reservations, or one that another living client has. */
export const decideLease = (table: LeaseTable, request: LeaseRequest, now: number): Decision => deciders[request.kind](table, request, now);

/** Of the subnets that a client may be in, which are told in the order of choice, the first that can give it an address. */
export const decideAmong = (
  tables: readonly [LeaseTable, ...LeaseTable[]],
  request: LeaseRequest,
  now: number,
): { readonly table: LeaseTable; readonly decision: Decision } => {
  const [first, ...others] = tables;
  const decision = decideLease(first, request, now);
  if (request.kind !== 'discover' || decision.outcome === 'offer') return { table: first, decision };
  for (const table of others) {
    const other = decideLease(table, request, now);
    if (other.outcome === 'offer') return { table, decision: other };
  }
  return { table: first, decision };
};
