/** Replies: what each stage and architecture is told, in which order, how long, and where it is sent. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answer, type AnswerContext, answerInform, answerNak, destinationOf, extrasOver } from '../../src/dhcp/answer.ts';
import { identify } from '../../src/dhcp/identify.ts';
import { decodeDhcp4, type Dhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import type { SubnetConfig } from '../../src/dhcp/subnet.ts';
import { limits } from '../../src/limits.ts';
import type { Cidr4, Mac } from '../../src/wire/address.ts';
import type { BootAnswer, Lease } from '../../src/wire/words.ts';
import { bytes, vectors } from '../vectors/dhcp/packets.ts';
import { ip } from '../world/fake.ts';

const subnet: SubnetConfig = {
  interface: 'rack0',
  cidr: '10.77.0.0/24' as Cidr4,
  serverAddress: ip('10.77.0.1'),
  pool: { from: ip('10.77.0.50'), to: ip('10.77.0.99') },
  router: ip('10.77.0.254'),
  dns: [ip('10.77.0.1'), ip('10.77.0.2')],
  domain: 'rack.example',
  leaseSeconds: 3600,
  reservations: [],
};
const lease: Lease = { address: ip('10.77.0.50'), mac: '52:54:00:12:34:56' as Mac, startsAt: 0, endsAt: 3_600_000 };
const packet = (name: string): Dhcp4 => {
  const vector = vectors.find((one) => one.name === name);
  assert.ok(vector, name);
  return decodeDhcp4(bytes(vector.wire));
};
const contextOf = (message: Dhcp4, boot: BootAnswer, more: Partial<AnswerContext> = {}): AnswerContext => ({
  subnet,
  client: identify(message),
  boot,
  packetBytesMax: limits.dhcpPacketBytes,
  ...more,
});
/** As the client reads it: through the wire. */
const offer = (message: Dhcp4, boot: BootAnswer, more: Partial<AnswerContext> = {}): Dhcp4 =>
  decodeDhcp4(encodeDhcp4(answer('offer', message, lease, contextOf(message, boot, more))));

const chainload: BootAnswer = { kind: 'chainload', file: 'snponly.efi' };
const script: BootAnswer = { kind: 'script', url: 'http://10.77.0.1:8080/boot/0123456789abcdef0123456789abcdef' };
const localDisk: BootAnswer = { kind: 'local-disk' };
const uuid = bytes('0000112233445566778899aabbccddeeff');

/** Only what is about booting. */
const bootOf = ({ nextServer, bootFileName, serverName, options }: Dhcp4) => {
  const { vendorClass, vendorOptions, clientUuid, bootFile, ipxe } = options;
  return { nextServer, bootFileName, serverName, vendorClass, vendorOptions, clientUuid, bootFile, ipxe };
};
const nothing = {
  nextServer: '0.0.0.0',
  bootFileName: '',
  serverName: '',
  vendorClass: undefined,
  vendorOptions: undefined,
  clientUuid: undefined,
  bootFile: undefined,
  ipxe: undefined,
};
const pxe = {
  ...nothing,
  nextServer: '10.77.0.1',
  bootFileName: 'snponly.efi',
  bootFile: 'snponly.efi',
  vendorClass: 'PXEClient',
  vendorOptions: bytes('060108ff'),
  clientUuid: uuid,
};
const noProxy = { ipxe: { noProxyDhcp: 1 } };
const byUrl = { nextServer: '10.77.0.1', bootFileName: script.url, bootFile: script.url };

const rules: readonly (readonly [string, string, BootAnswer, ReturnType<typeof bootOf> | object])[] = [
  ['UEFI firmware, chainload: class, 43.6=8, its UUID, the name twice', 'discover from UEFI x64 firmware', chainload, pxe],
  ['BIOS firmware, chainload: the same', 'discover from BIOS firmware', chainload, pxe],
  ['UEFI firmware, local disk: no file and no class', 'discover from UEFI x64 firmware', localDisk, nothing],
  ['firmware cannot fetch a URL', 'discover from UEFI x64 firmware', script, nothing],
  ['iPXE, script: the URL twice, and no waiting for a proxy', 'discover from iPXE', script, { ...nothing, ...byUrl, ...noProxy }],
  ['iPXE, local disk: no file, and no waiting either', 'discover from iPXE', localDisk, { ...nothing, ...noProxy }],
  [
    'UEFI HTTP Boot, URL: its class first of all',
    'discover from UEFI HTTP Boot',
    script,
    { ...nothing, ...byUrl, vendorClass: 'HTTPClient', clientUuid: uuid },
  ],
  ['UEFI HTTP Boot, a file is no URI', 'discover from UEFI HTTP Boot', chainload, nothing],
  ['an operating system is told nothing of booting', 'request from an operating system, selecting', chainload, nothing],
];
describe('boot, by stage', () => {
  for (const [name, from, boot, told] of rules) test(name, () => assert.deepEqual(bootOf(offer(packet(from), boot)), told));
  test('firmware without option 97 is served without it', () => {
    const message = packet('discover from BIOS firmware');
    const { clientUuid: _, ...options } = message.options;
    assert.deepEqual(bootOf(offer({ ...message, options }, chainload)), { ...pxe, clientUuid: undefined });
  });
  test('a URL too long for `file` stands in 67 alone', () => {
    const url = `http://10.77.0.1/${'x'.repeat(111)}`;
    const reply = offer(packet('discover from iPXE'), { kind: 'script', url });
    assert.deepEqual([url.length, reply.bootFileName, reply.options.bootFile], [128, '', url]);
    const shorter = url.slice(0, 127);
    assert.equal(offer(packet('discover from iPXE'), { kind: 'script', url: shorter }).bootFileName, shorter);
  });
});

describe('the boot file is the last option: EDK2 writes a NUL behind it', () => {
  const message = packet('discover from UEFI x64 firmware');
  const relayed = { ...message, options: { ...message.options, relayAgent: bytes('010400000001') } };
  const wire = (of: Dhcp4): Buffer => Buffer.from(encodeDhcp4(answer('ack', of, lease, contextOf(of, chainload))));
  test('so that the program it loads still finds netmask and router', () => {
    const reply = wire(message);
    reply[reply.lastIndexOf('snponly.efi') + 'snponly.efi'.length] = 0;
    const { subnetMask, routers, leaseSeconds, bootFile } = decodeDhcp4(reply).options;
    assert.deepEqual([subnetMask, routers, leaseSeconds, bootFile], ['255.255.255.0', ['10.77.0.254'], 3600, 'snponly.efi']);
  });
  test('but for what a relay takes away again', () =>
    assert.deepEqual(Object.keys(decodeDhcp4(wire(relayed)).options).slice(-2), ['bootFile', 'relayAgent']));
});

describe('every OFFER', () => {
  const reply = offer(packet('discover from UEFI x64 firmware'), chainload, { hostName: 'node-77' });
  test('has the header of RFC 2131 table 3', () => {
    const { op, hops, seconds, transactionId, flags, clientAddress, yourAddress, relayAddress, clientMac } = reply;
    assert.deepEqual(
      { op, hops, seconds, transactionId, flags, clientAddress, yourAddress, relayAddress, clientMac },
      {
        op: 2,
        hops: 0,
        seconds: 0,
        transactionId: 0x3903f326,
        flags: 0x8000,
        clientAddress: '0.0.0.0',
        yourAddress: '10.77.0.50',
        relayAddress: '0.0.0.0',
        clientMac: '52:54:00:12:34:56',
      },
    );
  });
  test('begins with message type, server, lease time', () =>
    assert.deepEqual(Object.keys(reply.options).slice(0, 3), ['messageType', 'serverId', 'leaseSeconds']));
  test('says the network', () =>
    assert.partialDeepStrictEqual(reply.options, {
      messageType: 2,
      serverId: '10.77.0.1',
      leaseSeconds: 3600,
      renewalSeconds: 1800,
      rebindingSeconds: 3150,
      subnetMask: '255.255.255.0',
      routers: ['10.77.0.254'],
      dnsServers: ['10.77.0.1', '10.77.0.2'],
      hostName: 'node-77',
      domainName: 'rack.example',
      broadcastAddress: '10.77.0.255',
    }));
  test('never overloads', () => assert.equal(reply.options.overload, undefined));
  for (const { name } of vectors.filter(({ name: one }) => one.startsWith('discover')))
    test(`has 300 bytes and fits 576: ${name}`, () => {
      const { length } = encodeDhcp4(answer('offer', packet(name), lease, contextOf(packet(name), script)));
      assert.ok(length >= 300 && length <= 548, String(length));
    });
});

test('a short packet for who asks for one: what it can do without is left out, never the boot file', () => {
  const message = packet('discover from iPXE');
  const long = { kind: 'script', url: `http://10.77.0.1/${'x'.repeat(180)}` } as const;
  const small = { ...message, options: { ...message.options, maxMessageBytes: 300, relayAgent: bytes('01'.repeat(60)) } };
  const wire = encodeDhcp4(answer('ack', small, lease, contextOf(small, long, { hostName: 'n'.repeat(60) })));
  assert.ok(wire.length <= 548, String(wire.length));
  const { options } = decodeDhcp4(wire);
  assert.deepEqual(
    [options.bootFile, options.hostName, options.renewalSeconds, options.subnetMask],
    [long.url, undefined, undefined, '255.255.255.0'],
  );
  const roomy = { ...small, options: { ...small.options, maxMessageBytes: 1472 } };
  assert.equal(answer('ack', roomy, lease, contextOf(roomy, long, { hostName: 'n'.repeat(60) })).options.hostName, 'n'.repeat(60));
});

test('client identifier (RFC 6842) and relay information (RFC 3046) come back, the relay’s last', () => {
  const message = packet('discover through a relay, with option 82');
  const reply = offer({ ...message, options: { ...message.options, clientId: bytes('01525400123456') } }, localDisk);
  assert.deepEqual(reply.options.clientId, bytes('01525400123456'));
  assert.deepEqual(reply.options.relayAgent, message.options.relayAgent);
  assert.equal(Object.keys(reply.options).at(-1), 'relayAgent');
  assert.equal(reply.relayAddress, '10.77.0.2');
});

test('an ACK repeats ciaddr; a NAK has no address at all', () => {
  const message = packet('renewal');
  assert.equal(answer('ack', message, lease, contextOf(message, localDisk)).clientAddress, '10.77.0.50');
  const nak = answerNak(message, 'address of another subnet', subnet);
  assert.deepEqual(
    [nak.clientAddress, nak.yourAddress, nak.options.message, nak.options.leaseSeconds],
    ['0.0.0.0', '0.0.0.0', 'address of another subnet', undefined],
  );
  assert.equal(encodeDhcp4(nak).length, 300);
});
test('the answer to INFORM has settings and no lease', () => {
  const message = packet('inform');
  const { yourAddress, options } = answerInform(message, contextOf(message, localDisk));
  assert.deepEqual(
    [yourAddress, options.messageType, options.leaseSeconds, options.subnetMask],
    ['0.0.0.0', 5, undefined, '255.255.255.0'],
  );
});

describe('where it goes (RFC 2131 §4.1)', () => {
  const ack = (name: string, more: Partial<Dhcp4> = {}) => {
    const message = { ...packet(name), ...more };
    return destinationOf(answer('ack', message, lease, contextOf(message, localDisk)));
  };
  const cases: readonly (readonly [string, ReturnType<typeof destinationOf>, object])[] = [
    ['through a relay', ack('discover through a relay, with option 82'), { kind: 'datagram', address: '10.77.0.2', port: 67 }],
    ['a renewal', ack('renewal'), { kind: 'datagram', address: '10.77.0.50', port: 68 }],
    ['one that wants broadcast', ack('discover from UEFI x64 firmware'), { kind: 'datagram', address: '255.255.255.255', port: 68 }],
    ['one that does not', ack('discover from iPXE'), { kind: 'hardware', address: '10.77.0.50', port: 68 }],
    ['a NAK', destinationOf(answerNak(packet('renewal'), '', subnet)), { kind: 'datagram', address: '255.255.255.255', port: 68 }],
    [
      'INFORM',
      destinationOf(answerInform(packet('inform'), contextOf(packet('inform'), localDisk))),
      { kind: 'datagram', address: '10.77.0.50', port: 68 },
    ],
  ];
  for (const [name, got, wanted] of cases) test(name, () => assert.deepEqual(got, wanted));
  test('a NAK through a relay asks it to broadcast', () =>
    assert.equal(answerNak(packet('discover through a relay, with option 82'), '', subnet).flags, 0x8000));
});

describe('options that people set', () => {
  const message = packet('discover from UEFI x64 firmware');
  const rich: SubnetConfig = { ...subnet, ntp: [ip('10.77.0.3')], mtu: 1500, raw: { '150': '0a4d0001', '252': '61' } };
  test('of the subnet', () => {
    const { options } = offer(message, localDisk, { subnet: rich });
    const { routers, dnsServers, ntpServers, interfaceMtu, option150, option252 } = options;
    assert.deepEqual(
      { routers, dnsServers, ntpServers, interfaceMtu, option150, option252 },
      {
        routers: ['10.77.0.254'],
        dnsServers: ['10.77.0.1', '10.77.0.2'],
        ntpServers: ['10.77.0.3'],
        interfaceMtu: 1500,
        option150: bytes('0a4d0001'),
        option252: bytes('61'),
      },
    );
  });
  test('of the host, over those of the subnet, one by one', () => {
    const extras = extrasOver({ mtu: 9000, domain: 'reservation.example' }, { domain: 'host.example', dns: [], raw: { '252': '62' } });
    const { options } = offer(message, localDisk, { subnet: rich, extras });
    const { routers, dnsServers, domainName, interfaceMtu, option150, option252 } = options;
    assert.deepEqual(
      { routers, dnsServers, domainName, interfaceMtu, option150, option252 },
      {
        routers: ['10.77.0.254'],
        dnsServers: undefined,
        domainName: 'host.example',
        interfaceMtu: 9000,
        option150: bytes('0a4d0001'),
        option252: bytes('62'),
      },
    );
  });
  test('never one of ours, whatever way it came', () => {
    const raw = { '53': '06', '54': '0a000001', '67': '61', '82': '00', '255': '00', x: '00' };
    const plainOffer = offer(message, chainload);
    assert.deepEqual(offer(message, chainload, { extras: { raw } }), plainOffer);
  });
  test('what does not fit a small client is left out, the boot file never', () => {
    const small = { ...message, options: { ...message.options, maxMessageBytes: 576 } };
    const reply = answer('offer', small, lease, contextOf(small, chainload, { extras: { raw: { '150': 'ff'.repeat(250) }, mtu: 1500 } }));
    assert.ok(encodeDhcp4(reply).length <= 548);
    const { option150, bootFile, dnsServers, interfaceMtu } = reply.options;
    assert.deepEqual([option150, bootFile, dnsServers?.length, interfaceMtu], [undefined, 'snponly.efi', 2, 1500]);
  });
});
