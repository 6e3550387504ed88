/** The subnets of the configuration: what each may say, and that they agree with each other. */
import { z } from 'zod';
import { limits } from '../limits.ts';
import { broadcastOf, inCidr, ipv4Number, parseCidr4, parseMac } from '../wire/address.ts';
import type { Cidr4, Ipv4 } from '../wire/address.ts';
import { dhcpExtrasShape } from '../wire/dhcp-extras.ts';
import { ipv4, parsed } from './parsed.ts';

const interfaceName = z.string().min(1).max(15);

const reservation = z.strictObject({
  mac: parsed(parseMac, 'a MAC address'),
  address: ipv4,
  hostName: z.string().max(63).exactOptional(),
  ...dhcpExtrasShape,
});
const shape = z.strictObject({
  /** Ours, in the subnet itself. */
  interface: interfaceName.exactOptional(),
  /** Instead of `interface`: the subnet lies behind DHCP relays (RFC 2131 §4.1). */
  relay: z
    .strictObject({
      /** The interface of ours at which the relay's packets arrive. */
      via: interfaceName,
      /** Relays that may ask for it, by `giaddr`; without it any whose `giaddr` lies in the subnet. */
      addresses: z.array(ipv4).min(1).max(16).exactOptional(),
    })
    .exactOptional(),
  cidr: parsed(parseCidr4, 'a subnet like 10.77.0.0/24 (host bits zero)'),
  /** Ours, as hosts of this subnet reach us. Behind a relay it may be left out where `via` has one subnet of its own. */
  serverAddress: ipv4.exactOptional(),
  pool: z.strictObject({ from: ipv4, to: ipv4 }),
  leaseSeconds: z.number().int().min(60).max(31_536_000).default(limits.dhcpLeaseSeconds),
  reservations: z.array(reservation).max(4096).default([]),
  ...dhcpExtrasShape,
  dns: dhcpExtrasShape.dns.unwrap().default([]),
});
type Written = z.output<typeof shape>;
type Path = readonly (string | number)[];
interface Fault {
  readonly path: Path;
  readonly message: string;
}

const networkAddressOf = (cidr: Cidr4): string => cidr.split('/')[0] ?? '';
/** What one subnet says of itself. */
const faultsWithin = (subnet: Written): readonly Fault[] => {
  const { cidr, relay, serverAddress, pool, reservations } = subnet;
  const outside = (address: Ipv4 | undefined, path: Path): readonly Fault[] =>
    address === undefined || inCidr(cidr, address) ? [] : [{ path, message: `${address} is not in ${cidr}` }];
  const ends = new Set<string>([networkAddressOf(cidr), broadcastOf(cidr)]);
  return [
    ...ownFaults(subnet),
    ...(relay === undefined ? outside(serverAddress, ['serverAddress']) : []),
    ...outside(pool.from, ['pool', 'from']),
    ...outside(pool.to, ['pool', 'to']),
    ...(ipv4Number(pool.from) > ipv4Number(pool.to) ? [{ path: ['pool'], message: 'the pool ends before it begins' }] : []),
    ...reservations.flatMap(({ address }, index): readonly Fault[] => {
      const path = ['reservations', index, 'address'];
      if (address === serverAddress) return [{ path, message: `${address} is our own address` }];
      if (ends.has(address)) return [{ path, message: `${address} is no host's address: it stands for ${cidr} itself` }];
      return outside(address, path);
    }),
    ...repeated(reservations.map(({ mac }, index) => ({ value: mac, path: ['reservations', index, 'mac'] }))),
    ...repeated(reservations.map(({ address }, index) => ({ value: address, path: ['reservations', index, 'address'] }))),
  ];
};
const ownFaults = ({ interface: name, relay, cidr, serverAddress }: Written): readonly Fault[] => {
  if ((name === undefined) === (relay === undefined))
    return [{ path: [], message: 'a subnet has either `interface` (one of ours in it) or `relay` (it lies behind relays)' }];
  if (name !== undefined && serverAddress === undefined)
    return [{ path: [], message: `serverAddress is missing: our own address in ${cidr}` }];
  if (relay !== undefined && serverAddress !== undefined && inCidr(cidr, serverAddress))
    return [
      { path: ['serverAddress'], message: `${serverAddress} is in ${cidr} behind the relay: say the address that we have on ${relay.via}` },
    ];
  return [];
};
const repeated = (values: readonly { readonly value: string; readonly path: Path }[]): readonly Fault[] => {
  const seen = new Set<string>();
  return values.flatMap(({ value, path }) => {
    if (seen.has(value)) return [{ path, message: `${value} is reserved twice` }];
    seen.add(value);
    return [];
  });
};

const isIn = (one: Cidr4, other: Cidr4): boolean => inCidr(other, networkAddressOf(one) as Ipv4) && prefixOf(one) >= prefixOf(other);
const prefixOf = (cidr: Cidr4): number => Number(cidr.split('/')[1]);
const overlap = (one: Cidr4, other: Cidr4): boolean => isIn(one, other) || isIn(other, one);

/** What subnets say that cannot be true of both; pools and reservations lie inside subnets, so theirs cannot meet either. */
const faultsBetween = (subnets: readonly Written[]): readonly Fault[] =>
  subnets.flatMap((subnet, index) =>
    subnets.slice(0, index).flatMap((earlier): readonly Fault[] => {
      const sharedRelay = subnet.relay?.addresses?.findIndex((address) => earlier.relay?.addresses?.includes(address) === true) ?? -1;
      return [
        ...(overlap(subnet.cidr, earlier.cidr) ? [{ path: [index, 'cidr'], message: `${subnet.cidr} and ${earlier.cidr} overlap` }] : []),
        ...(sharedRelay >= 0 && subnet.relay?.via === earlier.relay?.via
          ? [{ path: [index, 'relay', 'addresses', sharedRelay], message: `this relay is named for ${earlier.cidr} already` }]
          : []),
      ];
    }),
  );

/** A subnet as the daemon serves it: `interface` is where its packets arrive, behind a relay or not. */
const resolved = (subnet: Written, all: readonly Written[]) => {
  const { relay, interface: name, serverAddress, ...rest } = subnet;
  const via = name ?? relay?.via ?? '';
  const local = all.filter((other) => other.interface === via);
  const address = serverAddress ?? (local.length === 1 ? local[0]?.serverAddress : undefined);
  if (address === undefined) return undefined;
  return {
    ...rest,
    interface: via,
    serverAddress: address,
    ...(relay === undefined ? {} : { relay: { addresses: relay.addresses ?? [] } }),
  };
};

/** `subnets` of the configuration. */
export const subnetsSchema = z
  .array(shape)
  .min(1, 'at least one network that hosts boot from must stand here')
  .max(64)
  .transform((subnets, context) => {
    const faults = [
      ...subnets.flatMap((subnet, index) => faultsWithin(subnet).map(({ path, message }) => ({ path: [index, ...path], message }))),
      ...faultsBetween(subnets),
    ];
    const served = subnets.map((subnet) => resolved(subnet, subnets));
    for (const [index, one] of served.entries())
      if (one === undefined && faults.length === 0)
        faults.push({ path: [index], message: `serverAddress is missing: the address of ours that hosts behind this relay reach us by` });
    for (const { path, message } of faults) context.addIssue({ code: 'custom', path: [...path], message });
    return faults.length > 0 ? z.NEVER : served.filter((one) => one !== undefined);
  });
