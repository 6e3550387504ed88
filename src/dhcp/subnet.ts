/** One subnet that we serve, and which of its addresses may be given to whom. */
import { broadcastOf, type Cidr4, type Ipv4, ipv4From, ipv4Number, type Mac } from '../wire/address.ts';
import type { DhcpExtras } from '../wire/words.ts';

export interface Reservation extends DhcpExtras {
  readonly mac: Mac;
  readonly address: Ipv4;
  readonly hostName?: string;
}
/** As the operator configured it. */
export interface SubnetConfig extends DhcpExtras {
  /** Ours, where its packets arrive: in the subnet, or where its relays reach us. */
  readonly interface: string;
  /** It lies behind relays: these, or where none is named any whose own address lies in it. */
  readonly relay?: { readonly addresses: readonly Ipv4[] };
  readonly cidr: Cidr4;
  /** Our own address as its clients reach us: server identifier, TFTP and HTTP server. */
  readonly serverAddress: Ipv4;
  /** Both ends belong to it. */
  readonly pool: { readonly from: Ipv4; readonly to: Ipv4 };
  readonly leaseSeconds: number;
  readonly reservations: readonly Reservation[];
}

/** Who may have an address by configuration alone. */
export interface Assignable {
  readonly firstNumber: number;
  readonly lastNumber: number;
  /** What is reserved for this MAC, or for one that its host had before: a host keeps its address when its NIC is replaced. */
  reservationOf(mac: Mac): Reservation | undefined;
  /** Its address. */
  reservedFor(mac: Mac): Ipv4 | undefined;
  /** In the pool and nobody's reservation, or reserved for this MAC. */
  may(mac: Mac, address: Ipv4): boolean;
  /** Reserved for another MAC, or taken by the network itself: nobody who asks for it can be right. */
  isTaken(mac: Mac, address: Ipv4): boolean;
  /** Open to any client. */
  isOpen(address: Ipv4): boolean;
}

/** `formerly`: MACs that the host of a MAC had before, and that nobody has now. */
export const assignableOf = (subnet: SubnetConfig, formerly: (mac: Mac) => readonly Mac[] = () => []): Assignable => {
  const firstNumber = ipv4Number(subnet.pool.from);
  const lastNumber = ipv4Number(subnet.pool.to);
  const byMac = new Map(subnet.reservations.map((reservation) => [reservation.mac, reservation]));
  const reservedAs = (mac: Mac): Mac => (byMac.has(mac) ? mac : (formerly(mac).find((former) => byMac.has(former)) ?? mac));
  const reservedFor = (mac: Mac): Ipv4 | undefined => byMac.get(reservedAs(mac))?.address;
  const byAddress = new Map(subnet.reservations.map(({ mac, address }) => [address, mac]));
  const network = ipv4From(ipv4Number(broadcastOf(subnet.cidr)) - (2 ** (32 - Number(subnet.cidr.split('/')[1])) - 1));
  const never = new Set<Ipv4 | undefined>([
    subnet.serverAddress,
    subnet.router,
    network,
    broadcastOf(subnet.cidr),
    ...(subnet.relay?.addresses ?? []),
  ]);
  const isTaken = (mac: Mac, address: Ipv4): boolean => {
    const owner = byAddress.get(address);
    return never.has(address) || (owner !== undefined && owner !== reservedAs(mac));
  };
  const inPool = (address: Ipv4): boolean => ipv4Number(address) >= firstNumber && ipv4Number(address) <= lastNumber;
  return {
    firstNumber,
    lastNumber,
    reservationOf: (mac) => byMac.get(reservedAs(mac)),
    reservedFor,
    may: (mac, address) => !isTaken(mac, address) && (inPool(address) || reservedFor(mac) === address),
    isTaken,
    isOpen: (address) => inPool(address) && !never.has(address) && !byAddress.has(address),
  };
};
