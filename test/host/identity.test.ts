/** How a machine is known again: what tells, what does not, and that a contradiction is never guessed at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newHost } from '../../src/host/host.ts';
import type { Host } from '../../src/host/host.ts';
import {
  conflictsOf,
  conflictsWith,
  identify,
  identityIndex,
  macsOf,
  sameUuid,
  tellingMac,
  tellingSerial,
  tellingUuid,
  turned,
} from '../../src/host/identity.ts';
import { limits } from '../../src/limits.ts';
import { plan } from '../../src/host/plan.ts';
import { parseMac, parseUuid } from '../../src/wire/address.ts';
import type { Mac, Uuid } from '../../src/wire/address.ts';
import { after, available, bmc, enrolled, inventory, provisioned, refusal } from './make.ts';

const mac = (last: number): Mac => {
  const parsed = parseMac(`52:54:00:00:00:${last.toString(16).padStart(2, '0')}`);
  assert.ok(parsed !== undefined);
  return parsed;
};
const uuid = (text: string): Uuid => {
  const parsed = parseUuid(text);
  assert.ok(parsed !== undefined);
  return parsed;
};
const u1 = uuid('4c4c4544-0042-3510-8052-b4c04f564a32');
const u2 = uuid('4c4c4544-0042-3510-8052-b4c04f564a33');

test('UUIDs that a thousand boards share, and serial numbers that nobody filled in, tell nothing', () => {
  for (const shared of [
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '03000200-0400-0500-0006-000700080009',
    '00020003-0004-0005-0006-000700080009',
    'no uuid',
  ])
    assert.equal(tellingUuid(shared), undefined, shared);
  assert.equal(tellingUuid(u1.toUpperCase()), u1);
  for (const filler of [
    '',
    ' ',
    'To Be Filled By O.E.M.',
    'Default string',
    'System Serial Number',
    'None',
    '0123456789',
    'Not Specified',
    '0',
  ])
    assert.equal(tellingSerial(filler), undefined, filler);
  assert.equal(tellingSerial(' 5B10J32 '), '5B10J32');
  for (const nobody of ['00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', 'x'])
    assert.equal(tellingMac(nobody), undefined, nobody);
});
test('firmware that turns the first three fields round means the same machine', () => {
  assert.equal(turned(u1), '44454c4c-4200-1035-8052-b4c04f564a32');
  assert.equal(turned(turned(u1)), u1);
  assert.ok(sameUuid(u1, turned(u1)) && sameUuid(u1, u1) && !sameUuid(u1, u2));
});
test('the network of a BMC over USB is no NIC of the machine', () => {
  const nic = (last: number, driver: string) => ({ name: 'x', mac: mac(last), linkUp: true, driver });
  assert.deepEqual(macsOf({ ...inventory, nics: [nic(1, 'ixgbe'), nic(2, 'cdc_ether'), nic(3, 'rndis_host')] }), [mac(1)]);
});

const host = (name: string, part: Partial<Host> = {}): Host => ({
  ...newHost({ id: name, name, state: 'enrolled', macs: [], bmc }, 0),
  ...part,
});
const one = host('one', { uuid: u1, serial: 'S1', macs: [mac(1)] });
const two = host('two', { uuid: u2, serial: 'S2', macs: [mac(2)] });
const lot = [host('three', { uuid: u1, macs: [mac(3)] }), host('four', { uuid: u1, macs: [mac(4)] })];
type Case = {
  readonly name: string;
  readonly evidence: Parameters<typeof identify>[0];
  readonly hosts: readonly Host[];
  readonly is: string;
};
const cases: readonly Case[] = [
  { name: 'by UUID, with a NIC that nobody knows', evidence: { uuid: u1, macs: [mac(9)] }, hosts: [one, two], is: 'one by uuid' },
  { name: 'by the UUID turned round', evidence: { uuid: turned(u1), macs: [] }, hosts: [one, two], is: 'one by uuid' },
  { name: 'by serial, in any case of letters', evidence: { serial: 's2', macs: [mac(9)] }, hosts: [one, two], is: 'two by serial' },
  { name: 'by MAC', evidence: { macs: [mac(9), mac(2)] }, hosts: [one, two], is: 'two by mac' },
  {
    name: 'by what its BMC said',
    evidence: { macs: [mac(7)] },
    hosts: [host('x', { identified: { macs: [mac(7)], at: 0 } })],
    is: 'x by mac',
  },
  {
    name: 'by nothing',
    evidence: { uuid: uuid('4c4c4544-0042-3510-8052-b4c04f564a34'), macs: [mac(9)] },
    hosts: [one, two],
    is: 'unknown',
  },
  { name: 'a UUID that tells nothing', evidence: { uuid: '00000000-0000-0000-0000-000000000000', macs: [] }, hosts: [one], is: 'unknown' },
  { name: 'UUID of one, MAC of the other', evidence: { uuid: u1, macs: [mac(2)] }, hosts: [one, two], is: 'conflict one,two' },
  { name: 'UUID of one, serial of the other', evidence: { uuid: u1, serial: 'S2', macs: [] }, hosts: [one, two], is: 'conflict one,two' },
  { name: 'MACs of both', evidence: { macs: [mac(1), mac(2)] }, hosts: [one, two], is: 'conflict one,two' },
  { name: 'a UUID of a whole lot decides nothing', evidence: { uuid: u1, macs: [mac(9)] }, hosts: lot, is: 'conflict four,three' },
  { name: 'a UUID of a whole lot, and a MAC that tells', evidence: { uuid: u1, macs: [mac(4)] }, hosts: lot, is: 'four by mac' },
  {
    name: 'a retired MAC tells nothing',
    evidence: { macs: [mac(5)] },
    hosts: [
      host('x', {
        inventory: { ...inventory, nics: [{ name: 'e', mac: mac(5), linkUp: true }] },
        identity: { proposals: [], refused: [], retired: [{ mac: mac(5), at: 0, why: '' }] },
      }),
    ],
    is: 'unknown',
  },
];
for (const { name, evidence, hosts, is } of cases)
  test(`${name}: ${is}`, () => {
    const found = identify(evidence, hosts);
    const said =
      found === 'unknown'
        ? found
        : 'host' in found
          ? `${found.host.name} by ${found.by}`
          : `conflict ${found.conflict
              .map((of) => of.name)
              .toSorted()
              .join(',')}`;
    assert.equal(said, is);
    if (found !== 'unknown' && 'reason' in found) assert.match(found.reason, /is that of/);
  });
test('conflicts are seen from both sides, and what tells nothing is none', () => {
  const twin = host('twin', { serial: 's1', uuid: uuid('00000000-0000-0000-0000-000000000000') });
  const hosts = [one, two, twin, host('blank', { uuid: uuid('00000000-0000-0000-0000-000000000000') })];
  const index = identityIndex(hosts);
  assert.deepEqual(
    hosts.map((of) => conflictsOf(of, index).map(({ what, value, host: other }) => `${what} ${value} ${other.name}`)),
    [['serial s1 twin'], [], ['serial s1 one'], []],
  );
  assert.deepEqual(
    conflictsWith({ macs: [mac(1)] }, 'two', hosts).map(({ host: other }) => other.name),
    ['one'],
  );
});

// The rules

const withNic = (last: number) => ({ ...inventory, uuid: u1, nics: [{ name: 'eth0', mac: mac(last), linkUp: true }] });
test('the BMC: a new MAC is adopted; one that it listed before is retired when another comes for it', () => {
  const first = after(enrolled, { type: 'identified', uuid: u1, serial: 'S1', macs: [mac(1), mac(2)] });
  assert.deepEqual([first.macs, first.uuid, first.serial], [[mac(1), mac(2)], u1, 'S1']);
  const next = after(first, { type: 'identified', uuid: u1, macs: [mac(1), mac(3)] });
  assert.deepEqual(next.macs, [mac(1), mac(3)]);
  assert.deepEqual(
    next.identity?.retired.map((gone) => gone.mac),
    [mac(2)],
  );
  assert.deepEqual(after(next, { type: 'identified', macs: [mac(1)] }).macs, next.macs, 'less alone retires nothing');
  assert.deepEqual(after(next, { type: 'identified', macs: [] }).macs, next.macs);
});
test('a MAC of an operator stays, whatever the BMC lists', () => {
  const host1 = after(enrolled, { type: 'identified', macs: [mac(8)] });
  assert.deepEqual(host1.macs, [mac(1), mac(8)]);
  assert.deepEqual(after(host1, { type: 'identified', macs: [mac(9)] }).macs, [mac(1), mac(9)]);
});
test('what another host has is not taken, and is told', () => {
  const taken = [
    { what: 'mac' as const, value: mac(5), host: 'other' },
    { what: 'uuid' as const, value: u1, host: 'other' },
  ];
  const next = after(enrolled, { type: 'identified', uuid: u1, macs: [mac(5), mac(6)], taken });
  assert.deepEqual([next.macs, next.uuid], [[mac(1), mac(6)], null]);
});
test('the agent: the same by its inventory, and its UUID where none is known', () => {
  const boot = { number: 1, generation: 0, openedAt: 0, redeemed: { publicKey: 'k', at: 0 } };
  const open: Host = { ...available, boot };
  const first = after(open, { type: 'inventory', boot: 1, inventory: withNic(1) });
  assert.deepEqual([first.macs, first.uuid], [[mac(1)], u1]);
  const next = after(first, { type: 'inventory', boot: 1, inventory: withNic(4) });
  assert.deepEqual([next.macs, next.identity?.retired[0]?.mac], [[mac(4)], mac(1)]);
  const taken = [{ what: 'mac' as const, value: mac(4), host: 'other' }];
  assert.deepEqual(after(first, { type: 'inventory', boot: 1, inventory: withNic(4), taken }).macs, [mac(1)]);
});
test('a proposal waits for the BMC: named it is adopted, unnamed it is counted', () => {
  const proposed = after(provisioned, { type: 'mac-proposed', mac: mac(7), uuid: u1 });
  assert.deepEqual(proposed.macs, provisioned.macs);
  assert.equal(after(proposed, { type: 'mac-proposed', mac: mac(7), uuid: u1 }), proposed, 'once');
  const named = after(proposed, { type: 'identified', macs: [mac(7)] });
  assert.deepEqual([named.macs, named.identity?.proposals], [[mac(1), mac(7)], []]);
  const unnamed = after(proposed, { type: 'identified', macs: [mac(1)] });
  assert.deepEqual([unnamed.macs, unnamed.identity?.proposals[0]?.asked], [[mac(1)], 1]);
  const silent = after(proposed, { type: 'mac-asked', code: 'bmc-unreachable', reason: 'no answer' });
  assert.deepEqual([silent.identity?.proposals[0]?.missed, silent.failed], [1, null]);
});
test('strangers do not keep the true card out: whom the BMC denied thrice makes room', () => {
  let full = provisioned;
  for (let last = 10; last < 10 + limits.macProposalsMax; last++) full = after(full, { type: 'mac-proposed', mac: mac(last), uuid: u1 });
  assert.equal(refusal(full, { type: 'mac-proposed', mac: mac(7), uuid: u1 }), 'rate-limited');
  const denied = after(full, ...Array.from({ length: limits.stepTries }, () => ({ type: 'identified' as const, macs: [] })));
  assert.ok(after(denied, { type: 'mac-proposed', mac: mac(7), uuid: u1 }).identity?.proposals.some((waiting) => waiting.mac === mac(7)));
});
test('the plan asks the BMC about a proposal in every state but held, at once, then with pauses, then no more', () => {
  const seen = { power: 'on' as const, agentAt: 0 };
  const asks = (of: Host, now: number): boolean => plan(of, seen, now, limits).do === 'confirm';
  const proposed = after(provisioned, { type: 'mac-proposed', mac: mac(7), uuid: u1 });
  assert.ok(asks(proposed, 1000));
  assert.ok(!asks({ ...proposed, held: { by: 'eve', why: 'x', at: 0 } }, 1000));
  assert.ok(!asks({ ...proposed, bmc: null }, 1000));
  const once = after(proposed, { type: 'identified', macs: [] });
  assert.ok(!asks(once, 1000 + limits.resyncMs - 1) && asks(once, 1000 + limits.resyncMs));
  const silent = after(proposed, { type: 'mac-asked', code: 'bmc-unreachable', reason: '' });
  assert.ok(!asks(silent, 1000 + 2 * limits.resyncMs - 1) && asks(silent, 1000 + 2 * limits.resyncMs));
  const thrice = after(once, { type: 'identified', macs: [] }, { type: 'identified', macs: [] });
  assert.ok(!asks(thrice, 1e12));
});
test('an operator adopts, removes and refuses; a host keeps something to be known by', () => {
  const by = 'eve';
  const adopted = after(provisioned, { type: 'mac-proposed', mac: mac(7), uuid: u1 }, { type: 'mac-adopted', by, mac: mac(7) });
  assert.deepEqual([adopted.macs, adopted.identity?.proposals], [[mac(1), mac(7)], []]);
  const removed = after(adopted, { type: 'mac-removed', by, mac: mac(1) });
  assert.deepEqual([removed.macs, removed.identity?.retired[0]?.mac], [[mac(7)], mac(1)]);
  assert.equal(refusal(removed, { type: 'mac-removed', by, mac: mac(1) }), 'not-found');
  assert.equal(refusal({ ...removed, bmc: null }, { type: 'mac-removed', by, mac: mac(7) }), 'state-conflict');
  const refused = after(removed, { type: 'mac-refused', by, mac: mac(8) });
  assert.equal(after(refused, { type: 'mac-proposed', mac: mac(8), uuid: u1 }), refused);
  assert.deepEqual(after(refused, { type: 'identified', macs: [mac(8)] }).macs, [mac(7)], 'nor by the BMC');
  assert.deepEqual(after(refused, { type: 'mac-adopted', by, mac: mac(8) }).macs, [mac(7), mac(8)], 'but by himself');
  assert.deepEqual([provisioned.claim, provisioned.state], [refused.claim, refused.state]);
});
test('another BMC is asked who it is before anything else; the same with a new password is not', () => {
  const next = after(provisioned, { type: 'bmc-set', by: 'eve', bmc: { ...bmc, password: 'other' } });
  assert.deepEqual([next.identified, next.bmc?.password], [provisioned.identified, 'other']);
  assert.equal(after(next, { type: 'bmc-set', by: 'eve', bmc: { ...bmc, password: 'other' } }), next);
  const moved = after(next, { type: 'bmc-set', by: 'eve', bmc: { ...bmc, url: 'https://elsewhere' } });
  assert.deepEqual([moved.identified, moved.facts.power], [null, 'unknown']);
});
