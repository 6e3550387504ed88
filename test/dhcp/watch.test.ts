/** Other DHCP servers: found by our own question and by what is heard, named once, and never ourselves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type OtherLimits, OtherServers } from '../../src/dhcp/others.ts';
import { decodeDhcp4, type Dhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import { startDhcp } from '../../src/dhcp/server.ts';
import { neighbourIn } from '../../src/dhcp/watch.ts';
import { limits } from '../../src/limits.ts';
import type { Cidr4, Ipv4, Mac } from '../../src/wire/address.ts';
import type { Observation } from '../../src/wire/words.ts';
import { bytes, vectors } from '../vectors/dhcp/packets.ts';
import { fakeWorld, ip } from '../world/fake.ts';

const host = '52:54:00:00:00:01' as Mac;
const arp = (address: string, mac: string) => `IP address       HW type     Flags       HW address            Mask     Device
${address}        0x1         0x2         ${mac}     *        rack0
`;
const start = async () => {
  const world = fakeWorld();
  const observed: Observation[] = [];
  const server = await startDhcp(
    world,
    [
      {
        interface: 'rack0',
        cidr: '10.77.0.0/24' as Cidr4,
        serverAddress: ip('10.77.0.1'),
        pool: { from: ip('10.77.0.50'), to: ip('10.77.0.99') },
        leaseSeconds: 3600,
        reservations: [],
      },
    ],
    {
      known: () => undefined,
      bootFor: () => ({ kind: 'local-disk' }),
      observe: (one) => observed.push(one),
      loadLeases: async () => [],
      saveLeases: async () => {},
    },
    limits,
  );
  const probes = (): readonly Dhcp4[] =>
    world.sent.filter(({ from, port }) => from.port === 68 && port === 67).map((one) => decodeDhcp4(one.bytes));
  /** The other server, which says this to port 68 of everybody. */
  const other = await world.net.udp({ address: ip('10.77.0.9'), port: 1067, interface: 'rack0', broadcast: true });
  const says = async (packet: Dhcp4): Promise<void> => {
    other.send(encodeDhcp4(packet), { address: ip('255.255.255.255'), port: 68 });
    await world.settle();
  };
  await world.settle();
  return { world, server, observed, probes, says };
};
const blank = decodeDhcp4(bytes(vectors.find(({ name }) => name === 'inform')?.wire ?? ''));
const reply = (to: Dhcp4, options: Dhcp4['options'], more: Partial<Dhcp4> = {}): Dhcp4 => ({
  ...to,
  op: 2,
  yourAddress: ip('10.77.0.120'),
  ...more,
  options,
});
const offered = { messageType: 2, serverId: ip('10.77.0.9') };

describe('our own question', () => {
  test('is a DISCOVER of a made-up client that wants a broadcast; again every few minutes, from the same client', async () => {
    const { world, server, probes } = await start();
    await world.advance(limits.dhcpProbeMs);
    assert.equal(probes().length, 2);
    const [first, second] = probes();
    assert.deepEqual([first?.flags, first?.options.messageType, first?.clientAddress], [0x8000, 1, '0.0.0.0']);
    assert.match(first?.clientMac ?? '', /^0a(:[0-9a-f]{2}){5}$/);
    assert.equal(second?.clientMac, first?.clientMac);
    assert.notEqual(second?.transactionId, first?.transactionId);
    assert.equal(server.counters.offer, 0, 'we do not answer ourselves');
  });
  test('an OFFER names the other server, with its MAC once it answered ARP', async () => {
    const { world, server, probes, says } = await start();
    await world.files.makeFolder('/proc/net');
    await world.files.write('/proc/net/arp', arp('10.77.0.9', '02:00:00:00:00:09'));
    const [probe] = probes();
    assert.ok(probe);
    await says(reply(probe, { ...offered, bootFile: 'pxelinux.0\0', vendorClass: 'PXEClient' }, { nextServer: ip('10.77.0.10') }));
    const seen = { address: '10.77.0.9', interface: 'rack0', how: 'offered to us', bootFile: 'pxelinux.0', nextServer: '10.77.0.10' };
    assert.partialDeepStrictEqual(server.otherServers(), [seen]);
    await world.advance(2_000);
    assert.equal(server.otherServers()[0]?.mac, '02:00:00:00:00:09');
    assert.deepEqual(
      world.logged.map(({ level, fields }) => [level, fields['server'], fields['bootFile']]),
      [['warn', '10.77.0.9', 'pxelinux.0']],
    );
  });
  test('is answered to the question that was asked, or it is no answer', async () => {
    const { server, probes, says } = await start();
    const [probe] = probes();
    assert.ok(probe);
    await says(reply({ ...probe, transactionId: probe.transactionId ^ 1 }, offered));
    await says({ ...reply(probe, offered), op: 1 });
    await says(reply(probe, { ...offered, messageType: 8 }));
    assert.deepEqual(server.otherServers(), []);
  });
  test('without port 68 the server serves all the same', async () => {
    const world = fakeWorld();
    world.beforeUdp = ({ port }) => {
      if (port === 68) throw new RangeError('taken');
    };
    const ports = { known: () => undefined, bootFor: () => ({ kind: 'local-disk' }) as const, observe: () => {} };
    const server = await startDhcp(
      world,
      [
        {
          interface: 'rack0',
          cidr: '10.77.0.0/24' as Cidr4,
          serverAddress: ip('10.77.0.1'),
          pool: { from: ip('10.77.0.50'), to: ip('10.77.0.99') },
          leaseSeconds: 3600,
          reservations: [],
        },
      ],
      { ...ports, loadLeases: async () => [], saveLeases: async () => {} },
      limits,
    );
    assert.deepEqual([world.openSockets, world.logged[0]?.level, world.logged[0]?.fields['reason']], [1, 'warn', 'taken']);
    server.close();
    assert.equal(world.openSockets, 0);
  });
  test('ends with the server', async () => {
    const { world, server, probes } = await start();
    server.close();
    await world.advance(10 * limits.dhcpProbeMs);
    assert.deepEqual([probes().length, world.openSockets], [1, 1]);
  });
});

describe('what is heard', () => {
  test('an answer to one of our hosts stands in its timeline', async () => {
    const { observed, says, server } = await start();
    await says(reply({ ...blank, clientMac: host }, { ...offered, messageType: 5, bootFile: 'pxelinux.0' }));
    assert.deepEqual(
      observed.map(({ mac, text }) => [mac, text]),
      [[host, 'another DHCP server, 10.77.0.9, gave 10.77.0.120, boot file pxelinux.0']],
    );
    assert.equal(server.counters.others, 1);
  });
  test('a host that takes another’s offer tells who that is', async () => {
    const { world, observed, server } = await start();
    const client = await world.net.udp({ address: ip('0.0.0.0'), port: 1068, interface: 'rack0', broadcast: true });
    const options = { messageType: 3, serverId: ip('10.77.0.9'), requestedAddress: ip('10.77.0.120') };
    client.send(encodeDhcp4({ ...blank, clientAddress: ip('0.0.0.0'), clientMac: host, options }), {
      address: ip('255.255.255.255'),
      port: 67,
    });
    await world.settle();
    assert.partialDeepStrictEqual(server.otherServers(), [{ address: '10.77.0.9', how: 'chosen by a client' }]);
    assert.match(observed[0]?.text ?? '', /not answered: took the offer of another DHCP server, 10\.77\.0\.9$/);
  });
  test('our own broadcasts are ours', async () => {
    const { server, observed, says } = await start();
    await says(reply({ ...blank, clientMac: host }, { messageType: 2, serverId: ip('10.77.0.1') }));
    assert.deepEqual([server.otherServers(), observed], [[], []]);
  });
  test('noise is nothing', async () => {
    const { world, server } = await start();
    const noise = await world.net.udp({ address: ip('10.77.0.9'), port: 1067, interface: 'rack0', broadcast: true });
    for (const wire of [new Uint8Array(0), new Uint8Array(300), new Uint8Array(limits.dhcpPacketBytes + 1)])
      noise.send(wire, { address: ip('255.255.255.255'), port: 68 });
    await world.settle();
    assert.deepEqual([server.otherServers(), world.logged], [[], []]);
  });
  test('what a stranger says is printed without its control characters, and not all of it', async () => {
    const { server, says } = await start();
    await says(reply({ ...blank, clientMac: host }, { ...offered, bootFile: `\x1b[2J${'x'.repeat(200)}` }));
    assert.equal(server.otherServers()[0]?.bootFile, `[2J${'x'.repeat(125)}`);
  });
});

describe('the book', () => {
  const bookOf = (less: Partial<OtherLimits> = {}) => {
    let now = 1_000_000_000;
    const warned: unknown[] = [];
    const book = new OtherServers({
      now: () => now,
      limits: { ...limits, ...less },
      isOurs: (address) => address === '10.77.0.1',
      warn: (_, fields) => warned.push(fields['server']),
    });
    const hear = (address: string) => book.hear({ address: ip(address), interface: 'rack0', how: 'answered a client' });
    return { book, warned, hear, wait: (ms: number) => (now += ms) };
  };
  const addresses = (book: OtherServers): readonly Ipv4[] => book.list().map(({ address }) => address);

  test('each is warned of once in a while', () => {
    const { warned, hear, wait } = bookOf();
    hear('10.77.0.9');
    wait(limits.dhcpOtherLogMs - 1);
    hear('10.77.0.9');
    hear('10.77.0.1');
    assert.deepEqual(warned, ['10.77.0.9']);
    wait(1);
    hear('10.77.0.9');
    assert.deepEqual(warned, ['10.77.0.9', '10.77.0.9']);
  });
  test('who falls silent is forgotten, the latest stands first', () => {
    const { book, hear, wait } = bookOf();
    hear('10.77.0.9');
    wait(limits.dhcpOtherMs - 1);
    hear('10.77.0.8');
    assert.deepEqual(addresses(book), ['10.77.0.8', '10.77.0.9']);
    wait(1);
    assert.deepEqual(addresses(book), ['10.77.0.8']);
  });
  test('made-up servers fill neither the book nor the log', () => {
    const { book, warned, hear } = bookOf({ dhcpOthersMax: 4 });
    for (let n = 10; n < 100; n++) hear(`10.77.0.${n}`);
    assert.deepEqual(addresses(book).toSorted(), ['10.77.0.96', '10.77.0.97', '10.77.0.98', '10.77.0.99']);
    assert.equal(warned.length, 4);
  });
});

test('the neighbour table of Linux', () => {
  const table = arp('10.77.0.9', '02:00:00:00:00:09');
  assert.equal(neighbourIn(table, 'rack0', ip('10.77.0.9')), '02:00:00:00:00:09');
  assert.equal(neighbourIn(table, 'rack1', ip('10.77.0.9')), undefined);
  assert.equal(neighbourIn(table, 'rack0', ip('10.77.0.8')), undefined);
  assert.equal(neighbourIn(table.replace('0x2', '0x0'), 'rack0', ip('10.77.0.9')), undefined);
  assert.equal(neighbourIn('', 'rack0', ip('10.77.0.9')), undefined);
});
