/** UDP on loopback, and between two hosts made of namespaces: one interface, broadcast, segments, hardware addresses. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { ipv4From, parseIpv4 } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { realLog } from '../../src/world/log.ts';
import { internetChecksum, udpPacket } from '../../src/world/udp-packet.ts';
import { realNet } from '../../src/world/udp.ts';
import type { Datagram, UdpSocket } from '../../src/world/world.ts';
import { isolated } from './isolated.ts';

const loopback = parseIpv4('127.0.0.1') as Ipv4;
const netWithLog = () => {
  const lines: string[] = [];
  const stop = new AbortController();
  return { lines, stop, net: realNet(stop.signal, realLog({ level: 'debug' }, { write: (line) => lines.push(line) })) };
};
/** The next datagrams of a socket, once there are so many. */
const datagrams = (socket: UdpSocket, count: number) =>
  new Promise<readonly Datagram[]>((resolve) => {
    const all: Datagram[] = [];
    socket.receive((datagram) => all.push(datagram) === count && resolve(all));
  });

test('a datagram and its sender', async () => {
  const { net, stop } = netWithLog();
  const [one, two] = [await net.udp({ address: loopback, port: 0 }), await net.udp({ address: loopback, port: 0 })];
  const arrived = datagrams(two, 1);
  one.send(Buffer.from('DISCOVER'), two.local);
  const [datagram] = await arrived;
  assert.equal(Buffer.from(datagram?.bytes ?? []).toString(), 'DISCOVER');
  assert.deepEqual([datagram?.address, datagram?.port], [one.local.address, one.local.port]);
  stop.abort();
});

test('segments: cut by size in order, the last one shorter; sizes may change and stop', async () => {
  const { net, stop } = netWithLog();
  const [one, two] = [await net.udp({ address: loopback, port: 0 }), await net.udp({ address: loopback, port: 0 })];
  const bytes = Buffer.from(Array.from({ length: 100_100 }, (_, at) => at % 251));
  const arrived = datagrams(two, 26 + 2 + 1 + 1);
  one.send(bytes.subarray(0, 52_000 - 1), { ...two.local, segmentBytes: 2000 });
  one.send(bytes.subarray(0, 1000), { ...two.local, segmentBytes: 500 });
  one.send(bytes.subarray(0, 3000), two.local);
  one.send(bytes.subarray(0, 10), { ...two.local, segmentBytes: 500 });
  const all = await arrived;
  assert.deepEqual(
    all.map((datagram) => datagram.bytes.length),
    [...Array.from({ length: 25 }, () => 2000), 1999, 500, 500, 3000, 10],
  );
  assert.deepEqual(Buffer.concat(all.slice(0, 26).map((datagram) => datagram.bytes)), bytes.subarray(0, 51_999));
  stop.abort();
});

test('more than one kernel call may carry (64 segments, 65507 bytes) is still cut right', async () => {
  const { net, stop } = netWithLog();
  const [one, two] = [await net.udp({ address: loopback, port: 0 }), await net.udp({ address: loopback, port: 0 })];
  const arrived = datagrams(two, 100);
  one.send(Buffer.alloc(100 * 16, 7), { ...two.local, segmentBytes: 16 });
  assert.ok((await arrived).every((datagram) => datagram.bytes.length === 16));
  stop.abort();
});

test('a send that fails throws nothing, is told once and counted', async () => {
  const { net, stop, lines } = netWithLog();
  const socket = await net.udp({ address: loopback, port: 0 });
  for (let count = 0; count < 5; count++) socket.send(Buffer.alloc(70_000), socket.local);
  const echo = datagrams(socket, 1);
  socket.send(Buffer.from('x'), socket.local);
  await echo;
  await new Promise((resolve) => setImmediate(resolve));
  socket.close();
  socket.close();
  socket.send(Buffer.from('after close'), socket.local);
  socket.sendToHardware(Buffer.from('after close'), { mac: '52:54:00:00:00:01' as never, ...socket.local });
  assert.equal(lines.filter((line) => line.includes('"what":"send"')).length, 1);
  assert.match(lines.at(-1) ?? '', /"send: EMSGSIZE":5/);
  stop.abort();
});

test('an address that is taken or not ours, and an interface that is not there, are refused in words', async () => {
  const { net, stop } = netWithLog();
  const socket = await net.udp({ address: loopback, port: 0 });
  await assert.rejects(net.udp(socket.local), { code: 'bad-config', message: /cannot open UDP 127\.0\.0\.1:\d+: .*EADDRINUSE/ });
  await assert.rejects(net.udp({ address: '203.0.113.1' as Ipv4, port: 0 }), { code: 'bad-config', message: /EADDRNOTAVAIL/ });
  await assert.rejects(net.udp({ address: loopback, port: 0, interface: 'nosuch0' }), {
    code: 'bad-config',
    message: /on nosuch0: .*ENODEV/,
  });
  stop.abort();
  await assert.rejects(net.udp({ address: loopback, port: 0 }));
  const again = await netWithLog().net.udp(socket.local);
  again.close();
});

test('localAddresses: loopback is there, with its prefix', () => {
  assert.deepEqual(
    netWithLog()
      .net.localAddresses()
      .find((entry) => entry.address === loopback),
    { interface: 'lo', address: loopback, prefix: 8 },
  );
});

test('a packet for a hardware address: lengths and both checksums hold for every payload', () => {
  const endpoint = fc.record({
    address: fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(ipv4From),
    port: fc.integer({ min: 0, max: 65_535 }),
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1472 }), endpoint, endpoint, (payload, from, to) => {
      const packet = Buffer.from(udpPacket(payload, from, to));
      assert.equal(packet.readUInt16BE(2), packet.length);
      assert.equal(packet.readUInt16BE(24), packet.length - 20);
      assert.equal(internetChecksum(packet.subarray(0, 20)), 0);
      const pseudo = Buffer.concat([packet.subarray(12, 20), Buffer.from([0, 17]), packet.subarray(24, 26)]);
      assert.equal(internetChecksum(pseudo, packet.subarray(20)), 0);
      assert.notEqual(packet.readUInt16BE(26), 0);
      assert.deepEqual(packet.subarray(28), Buffer.from(payload));
    }),
  );
});

test('between two hosts: interface, broadcast, hardware address, segments the path cannot carry', () => {
  const [command, ...args] = isolated('net', ['sh', '-eu', new URL('two-hosts.sh', import.meta.url).pathname, process.execPath]);
  const output = execFileSync(command, args, { encoding: 'utf8', timeout: 60_000 });
  const seen = Object.fromEntries(
    output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { who: string; got: unknown })
      .map(({ who, got }) => [who, got]),
  );
  assert.deepEqual(seen['server'], {
    onInterface: ['10.77.0.50 hello from the client'],
    onLoopback: ['127.0.0.1 hello to myself'],
    noFallback: true,
  });
  assert.deepEqual(seen['client'], {
    texts: ['10.77.0.1:6969 to everyone, for want of an interface', '10.77.0.1:6767 by hardware address', '10.77.0.1:6767 to everyone'],
    segments: [1000, 1000, 500, 2000, 2000, 100],
  });
});
