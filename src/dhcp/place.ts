/** Where a client is: which of the subnets we serve its message comes from, directly or through a relay. Pure. */
import { inCidr, type Ipv4, type Mac, noAddress } from '../wire/address.ts';
import { decode } from '../wire/codec.ts';
import { type Dhcp4, relayOptions } from './packet.ts';
import type { SubnetConfig } from './subnet.ts';
import type { LeaseTable } from './table.ts';

/** What a relay says of the message that it passed on. */
export interface RelayWord {
  /** `giaddr`: where replies go. */
  readonly address: Ipv4;
  /** The link that the client is on, where it is not the one of `address` (RFC 3527 §3). */
  readonly link?: Ipv4;
  /** RFC 5107 §4. */
  readonly overrideId?: Ipv4;
}

/** RFC 1542 §4.1.1: a message that passed so many relays runs in a circle. */
export const hopsMax = 16;

/** undefined where no relay passed the message on; then option 82 is only echoed. Throws DecodeError. */
export const relayOf = ({ relayAddress, options: { relayAgent } }: Dhcp4): RelayWord | undefined => {
  if (relayAddress === noAddress) return undefined;
  const { linkSelection, serverIdOverride } = relayAgent === undefined ? {} : decode(relayOptions, relayAgent);
  return {
    address: relayAddress,
    ...(linkSelection === undefined ? {} : { link: linkSelection }),
    ...(serverIdOverride === undefined ? {} : { overrideId: serverIdOverride }),
  };
};

/** The server identifier that the client is to know us by. */
export const serverIdFor = (message: Dhcp4, { serverAddress }: SubnetConfig): Ipv4 => relayOf(message)?.overrideId ?? serverAddress;

const isBehind = ({ cidr, relay }: SubnetConfig, { address, link }: RelayWord): boolean => {
  const named = relay?.addresses ?? [];
  if (named.length > 0 && !named.includes(address)) return false;
  return inCidr(cidr, link ?? address) || (link === undefined && named.includes(address));
};

/** RFC 2131 §4.3.1: what is reserved for the client, what it asks for, what it had; each only as a wish. */
const wishes = (table: LeaseTable, mac: Mac, requested: Ipv4 | undefined): number =>
  (table.assignable.reservedFor(mac) === undefined ? 0 : 4) +
  (requested !== undefined && inCidr(table.subnet.cidr, requested) ? 2 : 0) +
  (table.bindingOfMac(mac) === undefined ? 0 : 1);

/**
 * The subnets that the client may get an address of, the best first; empty where it is in none of ours. By the relay's word, else by the
 * address that the client has (a lease from behind a relay is renewed without the relay, RFC 2131 §4.3.2), else all of this wire.
 */
export const placesOf = (here: readonly LeaseTable[], message: Dhcp4, relay: RelayWord | undefined): readonly LeaseTable[] => {
  if (relay !== undefined) return here.filter(({ subnet }) => isBehind(subnet, relay));
  const { clientAddress, clientMac, options } = message;
  const own = clientAddress === noAddress ? undefined : here.find(({ subnet }) => inCidr(subnet.cidr, clientAddress));
  if (own !== undefined) return [own];
  const local = here.filter(({ subnet }) => subnet.relay === undefined);
  const weigh = (table: LeaseTable): number => wishes(table, clientMac, options.requestedAddress);
  return local.length < 2 ? local : local.toSorted((one, other) => weigh(other) - weigh(one));
};
