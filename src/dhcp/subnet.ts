/** One subnet that we serve, and which of its addresses may be given to whom. */
import { broadcastOf, type Cidr4, type Ipv4, ipv4From, ipv4Number, type Mac } from '../wire/address.ts';

/** As the operator configured it. */
export interface SubnetConfig {
  readonly interface: string;
  readonly cidr: Cidr4;
  /** Our own address in this subnet: server identifier, TFTP and HTTP server. */
  readonly serverAddress: Ipv4;
  /** Both ends belong to it. */
  readonly pool: { readonly from: Ipv4; readonly to: Ipv4 };
  readonly router?: Ipv4;
  readonly dns: readonly Ipv4[];
  readonly domain?: string;
  readonly leaseSeconds: number;
  readonly reservations: readonly { readonly mac: Mac; readonly address: Ipv4; readonly hostName?: string }[];
}

/** Who may have an address by configuration alone. */
export interface Assignable {
  readonly firstNumber: number;
  readonly lastNumber: number;
  /** The address reserved for this MAC. */
  reservedFor(mac: Mac): Ipv4 | undefined;
  /** In the pool and nobody's reservation, or reserved for this MAC. */
  may(mac: Mac, address: Ipv4): boolean;
  /** Reserved for another MAC, or taken by the network itself: nobody who asks for it can be right. */
  isTaken(mac: Mac, address: Ipv4): boolean;
  /** Open to any client. */
  isOpen(address: Ipv4): boolean;
}

export const assignableOf = (subnet: SubnetConfig): Assignable => {
  const firstNumber = ipv4Number(subnet.pool.from);
  const lastNumber = ipv4Number(subnet.pool.to);
  const byMac = new Map(subnet.reservations.map(({ mac, address }) => [mac, address]));
  const byAddress = new Map(subnet.reservations.map(({ mac, address }) => [address, mac]));
  const network = ipv4From(ipv4Number(broadcastOf(subnet.cidr)) - (2 ** (32 - Number(subnet.cidr.split('/')[1])) - 1));
  const never = new Set<Ipv4 | undefined>([subnet.serverAddress, subnet.router, network, broadcastOf(subnet.cidr)]);
  const isTaken = (mac: Mac, address: Ipv4): boolean => never.has(address) || (byAddress.get(address) ?? mac) !== mac;
  const inPool = (address: Ipv4): boolean => ipv4Number(address) >= firstNumber && ipv4Number(address) <= lastNumber;
  return {
    firstNumber,
    lastNumber,
    reservedFor: (mac) => byMac.get(mac),
    may: (mac, address) => !isTaken(mac, address) && (inPool(address) || byMac.get(mac) === address),
    isTaken,
    isOpen: (address) => inPool(address) && !never.has(address) && !byAddress.has(address),
  };
};
