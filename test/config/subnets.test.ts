/** The subnets of the configuration: what they become, and every fault at its line. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../../src/config/config.ts';
import { doorsOf } from '../../src/host-ports.ts';
import { RemudaError } from '../../src/errors.ts';

const head = 'boot: { agent: /agent, firmware: /firmware }\nsubnets:\n';
const local = `  - interface: rack0
    cidr: 10.77.0.0/24
    serverAddress: 10.77.0.1
    pool: { from: 10.77.0.50, to: 10.77.0.99 }
`;
const relayed = `  - relay: { via: rack0 }
    cidr: 10.88.0.0/24
    pool: { from: 10.88.0.50, to: 10.88.0.99 }
`;
const faultOf = (subnets: string): string => {
  try {
    parseConfig(head + subnets, 'remuda.yaml');
  } catch (error) {
    assert.ok(error instanceof RemudaError && error.code === 'bad-config');
    return error.message;
  }
  return 'accepted';
};

test('a subnet of ours, and one behind a relay that reaches us at the same address', () => {
  const { subnets } = parseConfig(head + local + relayed, 'remuda.yaml');
  assert.deepEqual(subnets, [
    {
      interface: 'rack0',
      cidr: '10.77.0.0/24',
      serverAddress: '10.77.0.1',
      pool: { from: '10.77.0.50', to: '10.77.0.99' },
      dns: [],
      leaseSeconds: 3600,
      reservations: [],
    },
    {
      interface: 'rack0',
      relay: { addresses: [] },
      cidr: '10.88.0.0/24',
      serverAddress: '10.77.0.1',
      pool: { from: '10.88.0.50', to: '10.88.0.99' },
      dns: [],
      leaseSeconds: 3600,
      reservations: [],
    },
  ]);
});

test('subnets that come in at one address of ours have one door, others their own', () => {
  const more = relayed.replaceAll('10.88', '10.89') + local.replaceAll('10.77', '10.78').replace('rack0', 'rack1');
  assert.deepEqual(doorsOf(parseConfig(head + local + relayed + more, 'remuda.yaml')), [
    { interface: 'rack0', serverAddress: '10.77.0.1' },
    { interface: 'rack1', serverAddress: '10.78.0.1' },
  ]);
});

test('options of a subnet and of a reservation', () => {
  const { subnets } = parseConfig(
    `${head}${local}    ntp: [10.77.0.2]
    mtu: 9000
    raw: { 150: 0a4d0001 }
    reservations:
      - { mac: 52-54-00-00-00-01, address: 10.77.0.9, router: 10.77.0.254, raw: { "252": 687474703a2f2f61 } }
`,
    'remuda.yaml',
  );
  assert.partialDeepStrictEqual(subnets[0], {
    ntp: ['10.77.0.2'],
    mtu: 9000,
    raw: { '150': '0a4d0001' },
    reservations: [{ mac: '52:54:00:00:00:01', address: '10.77.0.9', router: '10.77.0.254', raw: { '252': '687474703a2f2f61' } }],
  });
});

const second = (more: string) => local + more;
const refused: readonly { readonly name: string; readonly subnets: string; readonly says: RegExp }[] = [
  { name: 'no subnet', subnets: '  []\n', says: /^remuda\.yaml:3: subnets: / },
  {
    name: 'neither interface nor relay',
    subnets: local.replace('interface: rack0', 'leaseSeconds: 60'),
    says: /^remuda\.yaml:3: .*either `interface`/,
  },
  { name: 'both', subnets: `${local}    relay: { via: rack0 }\n`, says: /^remuda\.yaml:3: .*either `interface`/ },
  {
    name: 'no address of ours',
    subnets: local.replace(/ {4}serverAddress.*\n/, ''),
    says: /^remuda\.yaml:3: subnets\.0: serverAddress is missing: our own address in 10\.77/,
  },
  {
    name: 'our address elsewhere',
    subnets: local.replace('serverAddress: 10.77.0.1', 'serverAddress: 10.78.0.1'),
    says: /^remuda\.yaml:5: subnets\.0\.serverAddress: 10\.78\.0\.1 is not in/,
  },
  { name: 'a pool elsewhere', subnets: local.replace('to: 10.77.0.99', 'to: 10.78.0.99'), says: /^remuda\.yaml:6: subnets\.0\.pool\.to: / },
  {
    name: 'a pool backwards',
    subnets: local.replace('to: 10.77.0.99', 'to: 10.77.0.49'),
    says: /^remuda\.yaml:6: .*ends before it begins/,
  },
  {
    name: 'the same subnet twice',
    subnets: second(local),
    says: /^remuda\.yaml:8: subnets\.1\.cidr: 10\.77\.0\.0\/24 and 10\.77\.0\.0\/24 overlap/,
  },
  {
    name: 'a subnet inside another',
    subnets: second(
      '  - interface: rack1\n    cidr: 10.77.0.128/25\n    serverAddress: 10.77.0.129\n    pool: { from: 10.77.0.130, to: 10.77.0.140 }\n',
    ),
    says: /^remuda\.yaml:8: .*overlap/,
  },
  {
    name: 'our address behind the relay',
    subnets: second(`${relayed}    serverAddress: 10.88.0.1\n`),
    says: /^remuda\.yaml:10: .*the address that we have on rack0/,
  },
  {
    name: 'a relay at an interface without a subnet',
    subnets: relayed,
    says: /^remuda\.yaml:3: .*serverAddress is missing: the address of ours/,
  },
  {
    name: 'a relay of two subnets',
    subnets: `${local}${relayed.replace('via: rack0', 'via: rack0, addresses: [10.1.0.1]')}${relayed.replaceAll('10.88', '10.89').replace('via: rack0', 'via: rack0, addresses: [10.2.0.1, 10.1.0.1]')}`,
    says: /^remuda\.yaml:10: subnets\.2\.relay\.addresses\.1: .*10\.88\.0\.0\/24 already/,
  },
  {
    name: 'a reservation of another subnet',
    subnets: second(`${relayed}    reservations: [{ mac: "52:54:00:00:00:01", address: 10.77.0.9 }]\n`),
    says: /^remuda\.yaml:10: subnets\.1\.reservations\.0\.address: 10\.77\.0\.9 is not in 10\.88/,
  },
  {
    name: 'our address reserved',
    subnets: `${local}    reservations: [{ mac: "52:54:00:00:00:01", address: 10.77.0.1 }]\n`,
    says: /^remuda\.yaml:7: .*our own address/,
  },
  {
    name: 'the broadcast address reserved',
    subnets: `${local}    reservations: [{ mac: "52:54:00:00:00:01", address: 10.77.0.255 }]\n`,
    says: /^remuda\.yaml:7: .*stands for/,
  },
  {
    name: 'two reservations of a MAC',
    subnets: `${local}    reservations:\n      - { mac: "52:54:00:00:00:01", address: 10.77.0.9 }\n      - { mac: 52-54-00-00-00-01, address: 10.77.0.8 }\n`,
    says: /^remuda\.yaml:9: subnets\.0\.reservations\.1\.mac: 52:54:00:00:00:01 is reserved twice/,
  },
  {
    name: 'two reservations of an address',
    subnets: `${local}    reservations:\n      - { mac: "52:54:00:00:00:01", address: 10.77.0.9 }\n      - { mac: "52:54:00:00:00:02", address: 10.77.0.9 }\n`,
    says: /^remuda\.yaml:9: subnets\.0\.reservations\.1\.address: 10\.77\.0\.9 is reserved twice/,
  },
  {
    name: 'an option that is ours',
    subnets: `${local}    raw:\n      150: 0a4d0001\n      67: "61"\n`,
    says: /^remuda\.yaml:9: subnets\.0\.raw\.67: option 67 cannot be set by number/,
  },
  { name: 'an option with a name', subnets: `${local}    raw: { 6: 0a4d0001 }\n`, says: /use `dns`/ },
  { name: 'no option', subnets: `${local}    raw: { 255: "00" }\n`, says: /1 to 254/ },
  {
    name: 'half a byte',
    subnets: `${local}    raw: { 150: "0a4", 151: 1234 }\n`,
    says: /raw\.150: .*two digits each[^]*raw\.151: .*in quotes/,
  },
  {
    name: 'more options than fit',
    subnets: `${local}    raw: { 150: "${'00'.repeat(200)}", 151: "${'00'.repeat(80)}" }\n`,
    says: /room for 255/,
  },
  { name: 'an MTU that boots nothing', subnets: `${local}    mtu: 68\n`, says: /^remuda\.yaml:7: subnets\.0\.mtu/ },
];
describe('refused, with its line', () => {
  for (const { name, subnets, says } of refused) test(name, () => assert.match(faultOf(subnets), says));
});
