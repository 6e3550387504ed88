/** The DHCP server in a fake world: nothing is promised before it is durable, nothing from the wire brings it down. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { decodeDhcp4, type Dhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import { type DhcpLimits, type DhcpPorts, startDhcp } from '../../src/dhcp/server.ts';
import type { SubnetConfig } from '../../src/dhcp/subnet.ts';
import { limits } from '../../src/limits.ts';
import type { Cidr4, Ipv4, Mac } from '../../src/wire/address.ts';
import type { Lease, Observation } from '../../src/wire/words.ts';
import { bytes, killersOfNpmDhcp, vectors } from '../vectors/dhcp/packets.ts';
import { fakeWorld, ip, type Sent } from '../world/fake.ts';

const mac = (n: number): Mac => `52:54:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac;
const subnet: SubnetConfig = {
  interface: 'rack0',
  cidr: '10.77.0.0/24' as Cidr4,
  serverAddress: ip('10.77.0.1'),
  pool: { from: ip('10.77.0.50'), to: ip('10.77.0.99') },
  dns: [],
  leaseSeconds: 3600,
  reservations: [{ mac: mac(9), address: ip('10.77.0.9'), hostName: 'nine' }],
};
const relayed: SubnetConfig = {
  ...subnet,
  cidr: '10.88.0.0/24' as Cidr4,
  serverAddress: ip('10.77.0.1'),
  pool: { from: ip('10.88.0.50'), to: ip('10.88.0.99') },
  relay: { addresses: [] },
  reservations: [],
};

interface Options {
  readonly stored?: readonly Lease[];
  readonly save?: (leases: readonly Lease[], freed: readonly Ipv4[]) => Promise<void>;
  readonly bootFor?: DhcpPorts['bootFor'];
  readonly less?: Partial<DhcpLimits>;
}
const start = async ({ stored = [], save = async () => {}, bootFor = () => ({ kind: 'local-disk' }), less = {} }: Options = {}) => {
  const world = fakeWorld();
  const saves: { readonly leases: readonly Lease[]; readonly freed: readonly Ipv4[] }[] = [];
  const observed: Observation[] = [];
  const ports: DhcpPorts = {
    known: (who) => (who === mac(1) ? { hostName: 'one' } : undefined),
    bootFor,
    observe: (one) => observed.push(one),
    loadLeases: async () => stored,
    saveLeases: async (leases, freed) => {
      saves.push({ leases, freed });
      await save(leases, freed);
    },
  };
  const server = await startDhcp(world, [subnet, relayed], ports, { ...limits, dhcpProbeMs: 0, ...less });
  const client = await world.net.udp({ address: ip('0.0.0.0'), port: 68, interface: 'rack0', broadcast: true });
  const say = (wire: Uint8Array): void => client.send(wire, { address: ip('255.255.255.255'), port: 67 });
  const replies = (): readonly (Sent & { readonly packet: Dhcp4 })[] =>
    world.sent.filter(({ from }) => from.port === 67).map((sent) => ({ ...sent, packet: decodeDhcp4(sent.bytes) }));
  return { world, server, saves, observed, say, replies };
};
const blank = decodeDhcp4(bytes(vectors.find(({ name }) => name === 'inform')?.wire ?? ''));
const message = (n: number, options: Dhcp4['options'], header: Partial<Dhcp4> = {}): Uint8Array =>
  encodeDhcp4({ ...blank, clientAddress: ip('0.0.0.0'), clientMac: mac(n), ...header, options });
const discover = (n: number, header: Partial<Dhcp4> = {}) => message(n, { messageType: 1 }, header);
const request = (n: number, address: string, header: Partial<Dhcp4> = {}) =>
  message(n, { messageType: 3, requestedAddress: ip(address), serverId: ip('10.77.0.1') }, header);

test('DISCOVER, OFFER, REQUEST, saved, ACK', async () => {
  const { world, server, saves, observed, say, replies } = await start();
  say(discover(1));
  await world.settle();
  assert.deepEqual(saves, []);
  say(request(1, '10.77.0.50'));
  await world.settle();
  assert.deepEqual(
    replies().map(({ address, port, mac: to, packet }) => [packet.options.messageType, packet.yourAddress, address, port, to]),
    [
      [2, '10.77.0.50', '10.77.0.50', 68, mac(1)],
      [5, '10.77.0.50', '10.77.0.50', 68, mac(1)],
    ],
  );
  const now = world.clock.now();
  const lease = { address: '10.77.0.50', mac: mac(1), hostName: 'one', startsAt: now, endsAt: now + 3_600_000 };
  assert.deepEqual(saves, [{ leases: [lease], freed: [] }]);
  assert.partialDeepStrictEqual(server.leases(), [lease]);
  assert.equal(server.leaseAt(ip('10.77.0.50'))?.mac, mac(1));
  assert.equal(server.leaseAt(ip('10.77.0.51')), undefined);
  assert.equal(replies()[1]?.packet.options.hostName, 'one');
  assert.deepEqual(
    observed.map(({ text }) => text),
    ['DISCOVER from an operating system, offered 10.77.0.50', 'REQUEST from an operating system, given 10.77.0.50'],
  );
});

test('the timeline reads like a story', async () => {
  const { world, observed, say } = await start({ bootFor: () => ({ kind: 'chainload', file: 'snponly.efi' }) });
  say(bytes(vectors[0]?.wire ?? ''));
  say(message(2, { messageType: 4, requestedAddress: ip('10.77.0.50') }));
  await world.settle();
  assert.deepEqual(
    observed.map(({ text }) => text),
    [
      'DISCOVER from UEFI x64 firmware, offered 10.77.0.50, boot file snponly.efi',
      'DECLINE from an operating system, not answered: DECLINE of an address it does not have',
    ],
  );
});

describe('durable before promised', () => {
  test('many ACKs in one save; those that come meanwhile in the next', async () => {
    const waiting: (() => void)[] = [];
    const { world, saves, say, replies } = await start({ save: () => new Promise((resolve) => waiting.push(resolve)) });
    for (const n of [2, 3, 4]) say(request(n, `10.77.0.5${n}`));
    await world.settle();
    say(request(5, '10.77.0.55'));
    await world.settle();
    assert.deepEqual([saves.length, saves[0]?.leases.length, replies().length], [1, 3, 0]);
    waiting.shift()?.();
    await world.settle();
    assert.deepEqual([saves.length, saves[1]?.leases.length, replies().length], [2, 1, 3]);
    waiting.shift()?.();
    await world.settle();
    assert.equal(replies().length, 4);
  });
  test('a save that fails: no ACK, told in the log, and the client gets the address when it asks again', async () => {
    let full = true;
    const { world, server, say, replies } = await start({
      save: async () => {
        if (full) throw new RangeError('disk full');
      },
    });
    say(request(2, '10.77.0.50'));
    await world.settle();
    assert.deepEqual([replies().length, server.counters.saveFailed, server.counters.ack], [0, 1, 0]);
    assert.deepEqual(
      world.logged.map(({ level }) => level),
      ['error'],
    );
    full = false;
    say(request(2, '10.77.0.50'));
    await world.settle();
    assert.deepEqual([replies().length, server.counters.ack], [1, 1]);
  });
  test('a bounded number may wait', async () => {
    const { world, server, saves, say } = await start({ less: { dhcpPendingMax: 2 }, save: () => new Promise(() => {}) });
    for (const n of [2, 3, 4, 5]) say(request(n, `10.77.0.5${n}`));
    await world.settle();
    assert.deepEqual([saves[0]?.leases.length, server.counters.busy, server.leases().length], [2, 2, 2]);
  });
  test('what moved is freed in the same save', async () => {
    const { world, saves, say } = await start();
    say(request(2, '10.77.0.50'));
    await world.settle();
    say(request(2, '10.77.0.51'));
    await world.settle();
    assert.deepEqual([saves[1]?.leases.map(({ address }) => address), saves[1]?.freed], [['10.77.0.51'], ['10.77.0.50']]);
  });
});

test('after a restart every living lease is still its client’s', async () => {
  const { world } = await start();
  const endsAt = world.clock.now() + 60_000;
  const stored = [2, 3].map((n) => ({ address: ip(`10.77.0.5${n}`), mac: mac(n), clientId: `0${n}`, startsAt: 0, endsAt }));
  const outside = { address: ip('10.77.0.200'), mac: mac(4), startsAt: 0, endsAt };
  const again = await start({ stored: [...stored, outside] });
  assert.deepEqual(
    again.server.leases().map(({ address }) => address),
    ['10.77.0.52', '10.77.0.53'],
  );
  again.say(message(5, { messageType: 1, requestedAddress: ip('10.77.0.52') }));
  again.say(message(2, { messageType: 3, clientId: bytes('02') }, { clientAddress: ip('10.77.0.52') }));
  await again.world.settle();
  assert.deepEqual(
    again.replies().map(({ packet }) => packet.yourAddress),
    ['10.77.0.50', '10.77.0.52'],
  );
});

describe('subnets', () => {
  test('a relay’s clients get addresses of its subnet, through it', async () => {
    const { world, say, replies } = await start();
    say(discover(2, { relayAddress: ip('10.88.0.2') }));
    await world.settle();
    const [reply] = replies();
    assert.deepEqual([reply?.packet.yourAddress, reply?.address, reply?.port], ['10.88.0.50', '10.88.0.2', 67]);
  });
  test('a relay of no subnet of ours is ignored and counted', async () => {
    const { world, server, say, replies } = await start();
    say(discover(2, { relayAddress: ip('10.99.0.2') }));
    await world.settle();
    assert.deepEqual([replies().length, server.counters.unknownSubnet], [0, 1]);
  });
  test('two subnets on one interface share one socket', async () => assert.equal((await start()).world.openSockets, 2));
});

test('a socket that cannot be opened: the error, and nothing left open', async () => {
  const world = fakeWorld();
  world.beforeUdp = (options) => {
    if (options.interface === 'rack1') throw new RangeError('no such interface');
  };
  const ports: DhcpPorts = {
    known: () => undefined,
    bootFor: () => ({ kind: 'local-disk' }),
    observe: () => {},
    loadLeases: async () => [],
    saveLeases: async () => {},
  };
  await assert.rejects(startDhcp(world, [subnet, { ...relayed, interface: 'rack1' }], ports, limits), /no such interface/);
  assert.equal(world.openSockets, 0);
});

test('each interface is served until the server is closed, or the interface goes', async () => {
  const { world, server } = await start();
  assert.deepEqual([server.isOpen('rack0'), server.isOpen('rack9')], [true, false]);
  world.standing = () => false;
  assert.equal(server.isOpen('rack0'), false);
  world.standing = () => true;
  server.close();
  assert.equal(server.isOpen('rack0'), false);
});

describe('what it does not understand', () => {
  test('is counted, told once per sender, and dropped', async () => {
    const { world, server, say, replies } = await start();
    for (const { wire } of killersOfNpmDhcp) say(bytes(wire));
    say(new Uint8Array(limits.dhcpPacketBytes + 1));
    await world.settle();
    const { received, malformed, foreign } = server.counters;
    // The pad before the option is none of our business: that DISCOVER is answered.
    assert.deepEqual({ received, malformed, foreign, replies: replies().length }, { received: 7, malformed: 5, foreign: 1, replies: 1 });
    assert.equal(world.logged.length, 1);
  });
  test('replies of other servers, BOOTP, and more than Ethernet are foreign', async () => {
    const { world, server, say } = await start();
    say(discover(2, { op: 2 }));
    say(message(2, {}));
    say(message(2, { messageType: 77 }));
    say(discover(2, { hardwareType: 32 }));
    await world.settle();
    assert.equal(server.counters.foreign, 4);
  });
  test('a fault above is ours: told, counted, and the next client is served', async () => {
    let broken = true;
    const { world, server, say, replies } = await start({
      bootFor: () => {
        if (broken) throw new TypeError('no boot today');
        return { kind: 'local-disk' };
      },
    });
    say(discover(2));
    await world.settle();
    broken = false;
    say(discover(3));
    await world.settle();
    assert.deepEqual([server.counters.failed, replies().length, world.logged[0]?.level], [1, 1, 'error']);
    assert.equal(replies()[0]?.packet.yourAddress, '10.77.0.50', 'the failed offer holds nothing back');
  });
  test('more clients than addresses: the rest is silence', async () => {
    const { world, server, say, replies } = await start();
    for (let n = 16; n < 16 + 60; n++) say(discover(n));
    await world.settle();
    assert.deepEqual([replies().length, server.counters.silent], [50, 10]);
    assert.equal(new Set(replies().map(({ packet }) => packet.yourAddress)).size, 50);
  });
  test('bytes from nowhere change nothing but the counters', async () => {
    const { world, server, saves, say, replies } = await start();
    const all = fc.sample(fc.uint8Array({ maxLength: 600, size: 'max' }), 1000);
    for (const wire of all) say(wire);
    await world.settle();
    assert.deepEqual([server.counters.received, server.counters.malformed, replies().length, saves.length], [1000, 1000, 0, 0]);
    assert.deepEqual(server.leases(), []);
  });
});

test('closed: no socket, no answer, not even one that was being saved', async () => {
  let saved = (): void => {};
  const { world, server, say, replies } = await start({ save: () => new Promise((resolve) => (saved = resolve)) });
  say(request(2, '10.77.0.50'));
  await world.settle();
  server.close();
  saved();
  say(discover(3));
  await world.settle();
  assert.deepEqual([replies().length, world.openSockets], [0, 1]);
});

test('reconfigured: living leases stay where they may, and come back while their clients still use them', async () => {
  const lease = (n: number, address: string): Lease => ({ address: ip(address), mac: mac(n), startsAt: 0, endsAt: 10 ** 15 });
  const { server } = await start({ stored: [lease(2, '10.77.0.50'), lease(3, '10.77.0.99'), lease(4, '10.88.0.60')] });
  assert.deepEqual(
    server
      .leases()
      .map(({ address }) => address)
      .toSorted(),
    ['10.77.0.50', '10.77.0.99', '10.88.0.60'],
  );
  server.reconfigure([{ ...subnet, pool: { from: ip('10.77.0.50'), to: ip('10.77.0.60') } }]);
  assert.deepEqual(
    server.leases().map(({ address }) => address),
    ['10.77.0.50'],
  );
  assert.equal(server.leaseAt(ip('10.77.0.50'))?.mac, mac(2));
  assert.equal(server.leaseAt(ip('10.88.0.60')), undefined);
  server.reconfigure([subnet, relayed]);
  assert.deepEqual(
    server
      .leases()
      .map(({ address }) => address)
      .toSorted(),
    ['10.77.0.50', '10.77.0.99', '10.88.0.60'],
  );
});
test('reconfigured: an address that its client has given up for another one does not come back', async () => {
  const { world, server, say, replies } = await start({
    stored: [{ address: ip('10.77.0.99'), mac: mac(3), startsAt: 0, endsAt: 10 ** 15 }],
  });
  server.reconfigure([{ ...subnet, pool: { from: ip('10.77.0.50'), to: ip('10.77.0.60') } }]);
  say(discover(3));
  await world.settle();
  const offered = replies().at(-1)?.packet.yourAddress;
  assert.ok(offered !== undefined && offered !== ip('10.77.0.99'));
  say(request(3, offered));
  await world.settle();
  server.reconfigure([subnet]);
  assert.deepEqual(
    server.leases().map(({ address }) => address),
    [offered],
  );
});
