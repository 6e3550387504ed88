/** The network that an OS is told: what agrees with itself is accepted, every fault names its place, and cloud-init's text says the same. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { hostNetworkSchema, networkConfigYaml } from '../../src/host/network.ts';

const rack = {
  ethernets: [
    { name: 'port0', mac: '52-54-00-AA-00-01' },
    { name: 'port1', mac: '52:54:00:aa:00:02' },
    { name: 'enp9s0', dhcp4: true, mtu: 1500 },
  ],
  bonds: [{ name: 'bond0', members: ['port0', 'port1'], mode: '802.3ad', mtu: 9000 }],
  vlans: [
    {
      name: 'bond0.20',
      id: 20,
      link: 'bond0',
      addresses: ['10.20.0.5/24', '2001:db8:20::5/64'],
      gateway4: '10.20.0.1',
      nameservers: ['10.20.0.2', '2001:db8::53'],
      search: ['rack.example'],
    },
  ],
};

test('a bond of two ports with a VLAN on it, letter by letter', () => {
  assert.equal(
    networkConfigYaml(hostNetworkSchema.parse(rack)),
    `version: 2
ethernets:
  port0:
    match:
      macaddress: 52:54:00:aa:00:01
    set-name: port0
    dhcp4: false
  port1:
    match:
      macaddress: 52:54:00:aa:00:02
    set-name: port1
    dhcp4: false
  enp9s0:
    dhcp4: true
    mtu: 1500
bonds:
  bond0:
    interfaces:
      - port0
      - port1
    parameters:
      mode: 802.3ad
      mii-monitor-interval: 100
    dhcp4: false
    mtu: 9000
vlans:
  bond0.20:
    id: 20
    link: bond0
    dhcp4: false
    addresses:
      - 10.20.0.5/24
      - 2001:db8:20::5/64
    routes:
      - to: 0.0.0.0/0
        via: 10.20.0.1
    nameservers:
      addresses:
        - 10.20.0.2
        - 2001:db8::53
      search:
        - rack.example
`,
  );
});

const one = (more: object) => ({ ethernets: [{ name: 'a', addresses: ['10.0.0.5/24'], ...more }] });
const carried = (more: object) => ({ ethernets: [{ name: 'a' }, { name: 'b' }, { name: 'c', dhcp4: true }], ...more });
const bond = (more: object = {}) => ({ name: 'bond0', members: ['a'], mode: 'active-backup', ...more });
const refused: readonly { readonly name: string; readonly network: object; readonly at: string; readonly says: RegExp }[] = [
  { name: 'no ethernet', network: { ethernets: [] }, at: 'ethernets', says: /./ },
  { name: 'a word we do not know', network: one({ gateway: '10.0.0.1' }), at: 'ethernets.0', says: /gateway/ },
  { name: 'no address anywhere', network: { ethernets: [{ name: 'a' }] }, at: '', says: /no interface has an address/ },
  { name: 'a long interface name', network: one({ name: 'a234567890123456' }), at: 'ethernets.0.name', says: /15/ },
  { name: 'an interface name that is a path', network: one({ name: 'a/b' }), at: 'ethernets.0.name', says: /interface name/ },
  { name: 'an address without a prefix', network: one({ addresses: ['10.0.0.5'] }), at: 'ethernets.0.addresses.0', says: /prefix/ },
  { name: 'the address of a network', network: one({ addresses: ['10.0.0.0/24'] }), at: 'ethernets.0.addresses.0', says: /host/ },
  { name: 'a broadcast address', network: one({ addresses: ['10.0.0.255/24'] }), at: 'ethernets.0.addresses.0', says: /host/ },
  { name: 'prefix 33', network: one({ addresses: ['10.0.0.5/33'] }), at: 'ethernets.0.addresses.0', says: /prefix/ },
  { name: 'prefix 0', network: one({ addresses: ['10.0.0.5/0'] }), at: 'ethernets.0.addresses.0', says: /prefix/ },
  { name: 'a broken IPv6 address', network: one({ addresses: ['2001:db8::g/64'] }), at: 'ethernets.0.addresses.0', says: /prefix/ },
  { name: 'a gateway elsewhere', network: one({ gateway4: '10.0.1.1' }), at: 'ethernets.0.gateway4', says: /in none of the subnets/ },
  { name: 'itself as gateway', network: one({ gateway4: '10.0.0.5' }), at: 'ethernets.0.gateway4', says: /its own address/ },
  { name: 'a gateway of IPv6', network: one({ gateway4: 'fe80::1' }), at: 'ethernets.0.gateway4', says: /IPv4/ },
  {
    name: 'a gateway without an address',
    network: { ethernets: [{ name: 'a', dhcp4: true, gateway4: '10.0.0.1' }] },
    at: 'ethernets.0.gateway4',
    says: /none/,
  },
  { name: 'a name as name server', network: one({ nameservers: ['dns.example'] }), at: 'ethernets.0.nameservers.0', says: /IP address/ },
  { name: 'a search domain with a blank', network: one({ search: ['a b'] }), at: 'ethernets.0.search.0', says: /domain/ },
  { name: 'an MTU too small', network: one({ mtu: 68 }), at: 'ethernets.0.mtu', says: /576/ },
  { name: 'a broken MAC', network: one({ mac: '52:54:00' }), at: 'ethernets.0.mac', says: /MAC/ },
  { name: 'a name twice', network: carried({ bonds: [bond({ name: 'b' })] }), at: 'bonds.0.name', says: /two interfaces are named b/ },
  {
    name: 'a MAC twice',
    network: {
      ethernets: [
        { name: 'a', mac: '52:54:00:00:00:01', dhcp4: true },
        { name: 'b', mac: '52-54-00-00-00-01' },
      ],
    },
    at: 'ethernets.1.mac',
    says: /two ethernets have the MAC address 52:54:00:00:00:01/,
  },
  {
    name: 'an address twice',
    network: {
      ethernets: [
        { name: 'a', addresses: ['10.0.0.5/24'] },
        { name: 'b', addresses: ['10.0.0.5/16'] },
      ],
    },
    at: 'ethernets.1.addresses.0',
    says: /given twice/,
  },
  {
    name: 'two gateways',
    network: {
      ethernets: [
        { name: 'a', addresses: ['10.0.0.5/24'], gateway4: '10.0.0.1' },
        { name: 'b', addresses: ['10.1.0.5/24'], gateway4: '10.1.0.1' },
      ],
    },
    at: 'ethernets.1.gateway4',
    says: /a and b each have a gateway/,
  },
  {
    name: 'a member that is not there',
    network: carried({ bonds: [bond({ members: ['x'] })] }),
    at: 'bonds.0.members.0',
    says: /bond0 wants x/,
  },
  {
    name: 'a bond of a bond',
    network: carried({ bonds: [bond(), bond({ name: 'bond1', members: ['bond0'] })] }),
    at: 'bonds.1.members.0',
    says: /no ethernet/,
  },
  {
    name: 'a member of two bonds',
    network: carried({ bonds: [bond(), bond({ name: 'bond1', members: ['b', 'a'] })] }),
    at: 'bonds.1.members.1',
    says: /a is a member of a bond already/,
  },
  {
    name: 'a member with addresses',
    network: carried({ bonds: [bond({ members: ['c'] })] }),
    at: 'bonds.0.members.0',
    says: /give them to bond0/,
  },
  { name: 'a mode we do not know', network: carried({ bonds: [bond({ mode: 'lacp' })] }), at: 'bonds.0.mode', says: /802\.3ad/ },
  { name: 'a VLAN on nothing', network: carried({ vlans: [{ name: 'v', id: 5, link: 'x' }] }), at: 'vlans.0.link', says: /v stands on x/ },
  {
    name: 'a VLAN on a member',
    network: carried({ bonds: [bond()], vlans: [{ name: 'v', id: 5, link: 'a' }] }),
    at: 'vlans.0.link',
    says: /put v on the bond/,
  },
  {
    name: 'a VLAN on a VLAN',
    network: carried({
      vlans: [
        { name: 'v', id: 5, link: 'a' },
        { name: 'w', id: 6, link: 'v' },
      ],
    }),
    at: 'vlans.1.link',
    says: /no ethernet or bond/,
  },
  {
    name: 'a VLAN twice',
    network: carried({
      vlans: [
        { name: 'v', id: 5, link: 'a' },
        { name: 'w', id: 5, link: 'a' },
      ],
    }),
    at: 'vlans.1.id',
    says: /VLAN 5 stands on a already/,
  },
  { name: 'VLAN 4095', network: carried({ vlans: [{ name: 'v', id: 4095, link: 'a' }] }), at: 'vlans.0.id', says: /4094/ },
];
describe('refused', () => {
  for (const { name, network, at, says } of refused)
    test(name, () => {
      const issues = hostNetworkSchema.safeParse(network).error?.issues ?? [];
      const issue = issues.find(({ path }) => path.join('.') === at);
      assert.ok(issue, JSON.stringify(issues));
      assert.match(issue.message, says);
    });
});

test('point-to-point subnets have no network and broadcast addresses (RFC 3021)', () => {
  for (const addresses of [['10.0.0.0/31'], ['10.0.0.1/31'], ['10.0.0.7/32']])
    assert.equal(hostNetworkSchema.safeParse(one({ addresses })).success, true, String(addresses));
  assert.equal(hostNetworkSchema.safeParse(one({ addresses: ['10.0.0.0/31'], gateway4: '10.0.0.1' })).success, true);
});

test('a text that YAML 1.1 would read as something else stays a text', () => {
  const tricky = fc.constantFrom('yes', 'on', 'null', '1e3', '0x10', '017', '1.5', '10', 'true', 'n', 'y');
  const macs = fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(tricky, macs, (name, digits) => {
      const mac = digits.map((digit) => String(digit).padStart(2, '0')).join(':');
      const text = networkConfigYaml(
        hostNetworkSchema.parse({ ethernets: [{ name, mac, dhcp4: true, search: [name.replaceAll('.', '')] }] }),
      );
      assert.deepEqual(parse(text, { version: '1.1' }), {
        version: 2,
        ethernets: {
          [name]: { match: { macaddress: mac }, 'set-name': name, dhcp4: true, nameservers: { search: [name.replaceAll('.', '')] } },
        },
      });
    }),
  );
});
