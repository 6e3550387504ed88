/** Where a client is: relays, links they choose, several subnets on one wire, leases renewed past the relay. Through the whole server. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeDhcp4, type Dhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import { type DhcpPorts, startDhcp } from '../../src/dhcp/server.ts';
import type { SubnetConfig } from '../../src/dhcp/subnet.ts';
import { limits } from '../../src/limits.ts';
import type { Cidr4, Mac } from '../../src/wire/address.ts';
import { bytes, vectors } from '../vectors/dhcp/packets.ts';
import { fakeWorld, ip } from '../world/fake.ts';

const mac = (n: number): Mac => `52:54:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac;
const subnetOf = (net: string, more: Partial<SubnetConfig> = {}): SubnetConfig => ({
  interface: 'rack0',
  cidr: `${net}.0/24` as Cidr4,
  serverAddress: ip('10.77.0.1'),
  pool: { from: ip(`${net}.50`), to: ip(`${net}.51`) },
  leaseSeconds: 3600,
  reservations: [],
  ...more,
});
const behind = (net: string, ...addresses: readonly string[]) => subnetOf(net, { relay: { addresses: addresses.map(ip) } });

const serve = async (...subnets: readonly SubnetConfig[]) => {
  const world = fakeWorld();
  const ports: DhcpPorts = {
    known: () => undefined,
    bootFor: () => ({ kind: 'local-disk' }),
    observe: () => {},
    loadLeases: async () => [],
    saveLeases: async () => {},
  };
  const server = await startDhcp(world, subnets, ports, { ...limits, dhcpProbeMs: 0 });
  const sockets = new Map<string, Awaited<ReturnType<typeof world.net.udp>>>();
  for (const name of new Set(subnets.map((subnet) => subnet.interface)))
    sockets.set(name, await world.net.udp({ address: ip('0.0.0.0'), port: 1067, interface: name, broadcast: true }));
  /** What is answered to one packet: `offer 10.77.0.50 to 10.77.0.2:67`, or silence. */
  const ask = async (wire: Uint8Array, name = 'rack0'): Promise<Dhcp4 & { readonly said: string }> => {
    world.sent.length = 0;
    sockets.get(name)?.send(wire, { address: ip('255.255.255.255'), port: 67 });
    await world.settle();
    const reply = world.sent.find(({ from }) => from.port === 67);
    if (reply === undefined) return { ...blank, said: 'silence' };
    const packet = decodeDhcp4(reply.bytes);
    const kind = ['', '', 'offer', '', '', 'ack', 'nak'][packet.options.messageType ?? 0] ?? '';
    return { ...packet, said: `${kind} ${packet.yourAddress} to ${reply.address}:${reply.port}` };
  };
  return { world, server, ask };
};
const blank = decodeDhcp4(bytes(vectors.find(({ name }) => name === 'inform')?.wire ?? ''));
const message = (n: number, options: Dhcp4['options'], header: Partial<Dhcp4> = {}): Uint8Array =>
  encodeDhcp4({ ...blank, clientAddress: ip('0.0.0.0'), clientMac: mac(n), ...header, options });
const relayedBy = (address: string, more: Partial<Dhcp4> = {}): Partial<Dhcp4> => ({ relayAddress: ip(address), hops: 1, ...more });
const discover = (n: number, header: Partial<Dhcp4> = {}, options: Dhcp4['options'] = {}) =>
  message(n, { messageType: 1, ...options }, header);
/** Option 82: circuit `eth1`, and what else is said of the link. */
const agent = (more: string): Dhcp4['options'] => ({ relayAgent: bytes(`010465746831${more}`) });
const linkIs = (address: string): string => `0504${Buffer.from(address.split('.').map(Number)).toString('hex')}`;
const overriddenBy = (address: string): string => `0b04${Buffer.from(address.split('.').map(Number)).toString('hex')}`;

describe('through a relay', () => {
  test('the subnet is the one of giaddr, the reply goes there, port 67', async () => {
    const { ask } = await serve(subnetOf('10.77.0'), behind('10.88.0'), behind('10.99.0'));
    assert.equal((await ask(discover(1, relayedBy('10.99.0.1')))).said, 'offer 10.99.0.50 to 10.99.0.1:67');
    assert.equal((await ask(discover(1, relayedBy('10.88.0.1')))).said, 'offer 10.88.0.50 to 10.88.0.1:67');
    assert.equal((await ask(discover(1))).said, 'offer 10.77.0.50 to 10.77.0.50:68');
  });
  test('a relay whose own address lies elsewhere is named in the configuration', async () => {
    const { ask } = await serve(behind('10.88.0', '10.1.0.7'));
    assert.equal((await ask(discover(1, relayedBy('10.1.0.7')))).said, 'offer 10.88.0.50 to 10.1.0.7:67');
  });
  test('where relays are named, no other may ask, not even from within the subnet', async () => {
    const { server, ask } = await serve(behind('10.88.0', '10.88.0.1'));
    assert.equal((await ask(discover(1, relayedBy('10.88.0.2')))).said, 'silence');
    assert.equal((await ask(discover(1, relayedBy('10.88.0.1')))).said, 'offer 10.88.0.50 to 10.88.0.1:67');
    assert.equal(server.counters.unknownSubnet, 1);
  });
  test('an unknown relay is told of once, with what to do', async () => {
    const { world, server, ask } = await serve(behind('10.88.0'));
    for (const n of [1, 2, 3]) assert.equal((await ask(discover(n, relayedBy('10.66.0.1')))).said, 'silence');
    assert.equal(server.counters.unknownSubnet, 3);
    assert.equal(world.logged.length, 1);
    assert.partialDeepStrictEqual(world.logged[0]?.fields, { relay: '10.66.0.1', interface: 'rack0' });
    assert.match(String(world.logged[0]?.fields['next']), /relay: \{ via: rack0 \}/);
  });
  test('option 82 comes back as it was, behind all others', async () => {
    const { ask } = await serve(behind('10.88.0'));
    const reply = await ask(discover(1, relayedBy('10.88.0.1'), agent('')));
    assert.deepEqual(Buffer.from(reply.options.relayAgent ?? []).toString('hex'), '010465746831');
    assert.equal(Object.keys(reply.options).at(-1), 'relayAgent');
  });
  test('link selection goes before giaddr, which is where the reply goes all the same (RFC 3527)', async () => {
    const { ask } = await serve(subnetOf('10.77.0'), behind('10.88.0'));
    const reply = await ask(discover(1, relayedBy('10.77.0.2'), agent(linkIs('10.88.0.0'))));
    assert.equal(reply.said, 'offer 10.88.0.50 to 10.77.0.2:67');
    assert.equal((await ask(discover(1, relayedBy('10.77.0.2'), agent(linkIs('10.66.0.0'))))).said, 'silence');
  });
  test('the relay’s own name for us stands in our answers, and is taken for us (RFC 5107)', async () => {
    const { server, ask } = await serve(behind('10.88.0'));
    const override = agent(overriddenBy('10.88.0.1'));
    const offer = await ask(discover(1, relayedBy('10.88.0.1'), override));
    assert.equal(offer.options.serverId, '10.88.0.1');
    const selecting = { messageType: 3, requestedAddress: ip('10.88.0.50'), serverId: ip('10.88.0.1'), ...override };
    const ack = await ask(message(1, selecting, relayedBy('10.88.0.1')));
    assert.deepEqual([ack.said, ack.options.serverId], ['ack 10.88.0.50 to 10.88.0.1:67', '10.88.0.1']);
    assert.deepEqual(server.otherServers(), []);
  });
  test('a relay’s option 82 that cannot be read is malformed; a client’s own is none of our business', async () => {
    const { server, ask } = await serve(subnetOf('10.77.0'), behind('10.88.0'));
    assert.equal((await ask(discover(1, relayedBy('10.88.0.1'), { relayAgent: bytes('0502') }))).said, 'silence');
    assert.equal(server.counters.malformed, 1);
    assert.equal((await ask(discover(1, {}, agent(linkIs('10.88.0.0'))))).said, 'offer 10.77.0.50 to 10.77.0.50:68');
  });
  test('sixteen relays on the way are many, seventeen are a circle (RFC 1542 §4.1.1)', async () => {
    const { server, ask } = await serve(behind('10.88.0'));
    assert.equal((await ask(discover(1, relayedBy('10.88.0.1', { hops: 17 })))).said, 'silence');
    assert.equal(server.counters.foreign, 1);
    assert.equal((await ask(discover(1, relayedBy('10.88.0.1', { hops: 16 })))).said, 'offer 10.88.0.50 to 10.88.0.1:67');
  });
  test('a relay is only heard at its own interface', async () => {
    const { ask } = await serve(subnetOf('10.77.0'), subnetOf('10.78.0', { interface: 'rack1' }), behind('10.88.0'));
    assert.equal((await ask(discover(1, relayedBy('10.88.0.1')), 'rack1')).said, 'silence');
  });
  test('its clients renew, inform and release past it', async () => {
    const { server, ask } = await serve(subnetOf('10.77.0'), behind('10.88.0'));
    const own = { clientAddress: ip('10.88.0.50') };
    await ask(message(1, { messageType: 3, requestedAddress: ip('10.88.0.50'), serverId: ip('10.77.0.1') }, relayedBy('10.88.0.1')));
    assert.equal((await ask(message(1, { messageType: 3 }, own))).said, 'ack 10.88.0.50 to 10.88.0.50:68');
    assert.equal((await ask(message(1, { messageType: 8 }, own))).said, 'ack 0.0.0.0 to 10.88.0.50:68');
    assert.equal(
      (await ask(message(2, { messageType: 3 }, own))).said,
      'nak 0.0.0.0 to 10.88.0.50:68',
      'a broadcast would stay on our wire',
    );
    await ask(message(1, { messageType: 7, serverId: ip('10.77.0.1') }, own));
    assert.deepEqual([server.counters.released, server.leases()], [1, []]);
  });
  test('without a relay nobody gets an address from behind it', async () => {
    const { server, ask } = await serve(behind('10.88.0'));
    assert.equal((await ask(discover(1))).said, 'silence');
    assert.equal(server.counters.unknownSubnet, 1);
  });
  test('a named relay’s address is never given away', async () => {
    const { ask } = await serve(behind('10.88.0', '10.88.0.50'));
    assert.equal((await ask(discover(1, relayedBy('10.88.0.50')))).said, 'offer 10.88.0.51 to 10.88.0.50:67');
  });
});

describe('several subnets on one wire', () => {
  const wire = () =>
    serve(
      subnetOf('10.77.0', { pool: { from: ip('10.77.0.50'), to: ip('10.77.0.50') } }),
      subnetOf('10.78.0', { serverAddress: ip('10.78.0.1'), reservations: [{ mac: mac(9), address: ip('10.78.0.9') }] }),
    );
  test('the first that has an address; the next when it is full', async () => {
    const { ask } = await wire();
    assert.equal((await ask(discover(1))).said, 'offer 10.77.0.50 to 10.77.0.50:68');
    const second = await ask(discover(2));
    assert.deepEqual([second.said, second.options.serverId], ['offer 10.78.0.50 to 10.78.0.50:68', '10.78.0.1']);
  });
  test('a reservation goes before the order', async () => {
    const { ask } = await wire();
    assert.equal((await ask(discover(9))).said, 'offer 10.78.0.9 to 10.78.0.9:68');
  });
  test('who asks for an address of the second is in the second', async () => {
    const { ask } = await wire();
    const request = (address: string) => message(3, { messageType: 3, requestedAddress: ip(address), serverId: ip('10.78.0.1') });
    assert.equal((await ask(discover(3, {}, { requestedAddress: ip('10.78.0.51') }))).said, 'offer 10.78.0.51 to 10.78.0.51:68');
    assert.equal((await ask(request('10.78.0.51'))).said, 'ack 10.78.0.51 to 10.78.0.51:68');
    assert.equal((await ask(discover(3))).said, 'offer 10.78.0.51 to 10.78.0.51:68', 'and stays there');
  });
  test('an address of neither is refused', async () => {
    const { ask } = await wire();
    assert.equal((await ask(message(1, { messageType: 3, requestedAddress: ip('10.66.0.50') }))).said, 'nak 0.0.0.0 to 255.255.255.255:68');
  });
});

test('two interfaces are two wires', async () => {
  const { ask } = await serve(subnetOf('10.77.0'), subnetOf('10.78.0', { interface: 'rack1', serverAddress: ip('10.78.0.1') }));
  assert.equal((await ask(discover(1), 'rack1')).said, 'offer 10.78.0.50 to 10.78.0.50:68');
  assert.equal((await ask(discover(1), 'rack0')).said, 'offer 10.77.0.50 to 10.77.0.50:68');
});
