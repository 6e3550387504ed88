/** What the OS of a host is told of its network: checked as a whole, and written as cloud-init's network configuration version 2. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { broadcastOf, inCidr, ipv4From, ipv4Number, parseCidr4, parseIpv4, parseMac } from '../wire/address.ts';
import type { Cidr4, Ipv4, Mac } from '../wire/address.ts';

/** How one interface gets its addresses. Without `addresses` and without `dhcp4` it only carries others (a member of a bond, a trunk). */
export interface Addressing {
  readonly dhcp4?: boolean;
  /** With prefix: `10.77.0.5/24`, `2001:db8::5/64`. */
  readonly addresses?: readonly string[];
  readonly gateway4?: string;
  readonly nameservers?: readonly string[];
  readonly search?: readonly string[];
  readonly mtu?: number;
}
export interface Ethernet extends Addressing {
  readonly name: string;
  /** Matched by it, and named `name`; without it the interface is found by name. */
  readonly mac?: Mac;
}
export const bondModes = ['active-backup', '802.3ad', 'balance-rr', 'balance-xor', 'balance-tlb', 'balance-alb', 'broadcast'] as const;
export interface Bond extends Addressing {
  readonly name: string;
  /** Names of ethernets. */
  readonly members: readonly string[];
  readonly mode: (typeof bondModes)[number];
  /** Default 100: a bond that does not look at its links never leaves a dead one. */
  readonly miiMonitorMs?: number;
}
export interface Vlan extends Addressing {
  readonly name: string;
  /** 1 to 4094 */
  readonly id: number;
  /** Name of the ethernet or bond that carries it. */
  readonly link: string;
}
export interface HostNetwork {
  readonly ethernets: readonly Ethernet[];
  readonly bonds?: readonly Bond[];
  readonly vlans?: readonly Vlan[];
}

const textOf = (test: (text: string) => boolean, what: string) =>
  z.string().superRefine((text, context) => {
    if (!test(text)) context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not ${what}` });
  });
const isIpv6 = (text: string): boolean => z.ipv6().safeParse(text).success;
const isIpv4 = (text: string): boolean => parseIpv4(text) !== undefined;
/** The subnet of `10.77.0.5/24`; undefined where the text is no IPv4 address with a prefix. */
const subnetOf = (text: string): Cidr4 | undefined => {
  const [address = '', prefix = ''] = text.split('/');
  const ip = parseIpv4(address);
  if (ip === undefined || !/^([1-9]|[12]\d|3[0-2])$/.test(prefix)) return undefined;
  const mask = (0xffffffff << (32 - Number(prefix))) >>> 0;
  return parseCidr4(`${ipv4From((ipv4Number(ip) & mask) >>> 0)}/${prefix}`);
};
/** In a subnet of more than two addresses the first is the network's and the last the broadcast address (RFC 919, RFC 3021). */
const isHostAddress = (cidr: Cidr4, address: string): boolean =>
  Number(cidr.split('/')[1]) > 30 || (address !== cidr.split('/')[0] && address !== broadcastOf(cidr));
const isAddressWithPrefix = (text: string): boolean => {
  const subnet = subnetOf(text);
  return subnet === undefined ? z.cidrv6().safeParse(text).success : isHostAddress(subnet, text.split('/')[0] ?? '');
};

// IFNAMSIZ of Linux is 16 with its NUL; a colon would be an alias, a percent sign a pattern.
const name = textOf((text) => /^[A-Za-z0-9][\w.-]{0,14}$/.test(text), 'an interface name: 15 letters, digits and . _ - at most');
const addressing = {
  dhcp4: z.boolean().exactOptional(),
  addresses: z.array(textOf(isAddressWithPrefix, 'the address of a host with its prefix, like 10.77.0.5/24')).max(16).exactOptional(),
  gateway4: textOf(isIpv4, 'an IPv4 address').exactOptional(),
  nameservers: z
    .array(textOf((text) => isIpv4(text) || isIpv6(text), 'an IP address'))
    .max(8)
    .exactOptional(),
  search: z
    .array(textOf((text) => text.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text), 'a domain name'))
    .max(8)
    .exactOptional(),
  mtu: z.number().int().min(576).max(65_535).exactOptional(),
};
const mac = z.string().transform((text, context): Mac => {
  const value = parseMac(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not a MAC address` });
  return z.NEVER;
});
const shape = z.strictObject({
  ethernets: z
    .array(z.strictObject({ name, mac: mac.exactOptional(), ...addressing }))
    .min(1)
    .max(64),
  bonds: z
    .array(
      z.strictObject({
        name,
        members: z.array(name).min(1).max(16),
        mode: z.enum(bondModes),
        miiMonitorMs: z.number().int().min(1).max(10_000).exactOptional(),
        ...addressing,
      }),
    )
    .max(32)
    .exactOptional(),
  vlans: z
    .array(z.strictObject({ name, id: z.number().int().min(1).max(4094), link: name, ...addressing }))
    .max(256)
    .exactOptional(),
});

/** A fault between parts that are each right: where it stands and what it is. */
interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}
interface Placed {
  readonly one: Addressing & { readonly name: string };
  readonly path: readonly (string | number)[];
}
const placed = ({ ethernets, bonds = [], vlans = [] }: HostNetwork): readonly Placed[] =>
  Object.entries({ ethernets, bonds, vlans }).flatMap(([kind, list]) => list.map((one, index) => ({ one, path: [kind, index] })));

/** One fault for each value that was there before. */
const repeated = (values: readonly { readonly value: string | undefined; readonly fault: Fault }[]): readonly Fault[] => {
  const seen = new Set<string>();
  return values.flatMap(({ value, fault }) => {
    if (value === undefined) return [];
    if (seen.has(value)) return [fault];
    seen.add(value);
    return [];
  });
};

const uniqueFaults = (network: HostNetwork): readonly Fault[] => {
  const all = placed(network);
  const { ethernets, bonds = [], vlans = [] } = network;
  return [
    ...repeated(
      all.map(({ one, path }) => ({
        value: one.name,
        fault: { path: [...path, 'name'], message: `two interfaces are named ${one.name}` },
      })),
    ),
    ...repeated(
      ethernets.map((one, index) => ({
        value: one.mac,
        fault: { path: ['ethernets', index, 'mac'], message: `two ethernets have the MAC address ${one.mac ?? ''}` },
      })),
    ),
    ...repeated(
      all.flatMap(({ one, path }) =>
        (one.addresses ?? []).map((address, index) => ({
          value: address.split('/')[0],
          fault: { path: [...path, 'addresses', index], message: `${address} is given twice` },
        })),
      ),
    ),
    ...repeated(
      bonds.flatMap((bond, at) =>
        bond.members.map((member, index) => ({
          value: member,
          fault: { path: ['bonds', at, 'members', index], message: `${member} is a member of a bond already` },
        })),
      ),
    ),
    ...repeated(
      vlans.map((vlan, index) => ({
        value: `${vlan.link} ${vlan.id}`,
        fault: { path: ['vlans', index, 'id'], message: `VLAN ${vlan.id} stands on ${vlan.link} already` },
      })),
    ),
  ];
};

const hasAddressing = ({ dhcp4, addresses = [], gateway4 }: Addressing): boolean =>
  dhcp4 === true || addresses.length > 0 || gateway4 !== undefined;

const memberFaults = ({ ethernets, bonds = [], vlans = [] }: HostNetwork): readonly Fault[] => {
  const byName = new Map(ethernets.map((one) => [one.name, one]));
  const members = new Set(bonds.flatMap((bond) => bond.members));
  const carriers = new Set([...byName.keys(), ...bonds.map((bond) => bond.name)]);
  return [
    ...bonds.flatMap((bond, at) =>
      bond.members.flatMap((member, index): readonly Fault[] => {
        const path = ['bonds', at, 'members', index];
        const ethernet = byName.get(member);
        if (ethernet === undefined) return [{ path, message: `${bond.name} wants ${member}, but no ethernet has that name` }];
        if (!hasAddressing(ethernet)) return [];
        return [{ path, message: `${member} is a member of ${bond.name} and cannot have addresses of its own: give them to ${bond.name}` }];
      }),
    ),
    ...vlans.flatMap((vlan, index): readonly Fault[] => {
      const path = ['vlans', index, 'link'];
      if (!carriers.has(vlan.link))
        return [{ path, message: `${vlan.name} stands on ${vlan.link}, but no ethernet or bond has that name` }];
      return members.has(vlan.link) ? [{ path, message: `${vlan.link} is a member of a bond: put ${vlan.name} on the bond` }] : [];
    }),
  ];
};

const routeFaults = (network: HostNetwork): readonly Fault[] => {
  const all = placed(network);
  const outside = all.flatMap(({ one, path }): readonly Fault[] => {
    const gateway = one.gateway4 === undefined ? undefined : parseIpv4(one.gateway4);
    if (gateway === undefined) return [];
    const subnets = (one.addresses ?? []).map(subnetOf).filter((subnet) => subnet !== undefined);
    if (subnets.some((subnet) => inCidr(subnet, gateway) && isHostAddress(subnet, gateway)) && !isOwn(one, gateway)) return [];
    const message = `the gateway ${gateway} of ${one.name} is ${isOwn(one, gateway) ? 'its own address' : 'in none of the subnets of its addresses'}`;
    return [{ path: [...path, 'gateway4'], message }];
  });
  const gateways = all.filter(({ one }) => one.gateway4 !== undefined);
  const second = gateways[1];
  const names = gateways.map(({ one }) => one.name).join(' and ');
  return [
    ...outside,
    ...(second === undefined
      ? []
      : [{ path: [...second.path, 'gateway4'], message: `${names} each have a gateway: a host has one default route` }]),
    ...(all.some(({ one }) => one.dhcp4 === true || (one.addresses ?? []).length > 0)
      ? []
      : [{ path: [], message: 'no interface has an address: give one addresses, or dhcp4: true' }]),
  ];
};
const isOwn = ({ addresses = [] }: Addressing, gateway: Ipv4): boolean => addresses.some((address) => address.split('/')[0] === gateway);

/** A network that an OS can be given: names, members, links, gateways agree with each other. Faults name their place. */
export const hostNetworkSchema = shape.superRefine((network, context) => {
  for (const fault of [...uniqueFaults(network), ...memberFaults(network), ...routeFaults(network)])
    context.addIssue({ code: 'custom', path: [...fault.path], message: fault.message });
});

/** `routes` instead of `gateway4`, which netplan has given up; `0.0.0.0/0`, because not every renderer of cloud-init knows `default`. */
const addressingConfig = ({ dhcp4, addresses, gateway4, nameservers = [], search = [], mtu }: Addressing) => ({
  dhcp4: dhcp4 ?? false,
  ...(addresses === undefined || addresses.length === 0 ? {} : { addresses }),
  ...(gateway4 === undefined ? {} : { routes: [{ to: '0.0.0.0/0', via: gateway4 }] }),
  ...(nameservers.length + search.length === 0
    ? {}
    : { nameservers: { ...(nameservers.length > 0 && { addresses: nameservers }), ...(search.length > 0 && { search }) } }),
  ...(mtu === undefined ? {} : { mtu }),
});
const miiMonitorMsDefault = 100;

const byName = <T extends { readonly name: string }>(list: readonly T[], config: (one: T) => object) =>
  list.length === 0 ? undefined : Object.fromEntries(list.map((one) => [one.name, config(one)]));

/** The text of cloud-init's `network-config`, version 2. The same network gives the same bytes. */
export const networkConfigYaml = ({ ethernets, bonds = [], vlans = [] }: HostNetwork): string => {
  const config = {
    version: 2,
    ethernets: byName(ethernets, (one) => ({
      ...(one.mac === undefined ? {} : { match: { macaddress: one.mac }, 'set-name': one.name }),
      ...addressingConfig(one),
    })),
    bonds: byName(bonds, (one) => ({
      interfaces: one.members,
      parameters: { mode: one.mode, 'mii-monitor-interval': one.miiMonitorMs ?? miiMonitorMsDefault },
      ...addressingConfig(one),
    })),
    vlans: byName(vlans, (one) => ({ id: one.id, link: one.link, ...addressingConfig(one) })),
  };
  // A MAC address of digits alone would be a number in base 60 to a YAML 1.1 reader such as cloud-init's: texts are quoted for both.
  return stringify(config, { lineWidth: 0, version: '1.1', aliasDuplicateObjects: false });
};
