/** Both ends of two-hosts.sh: a server tied to one interface, and a client whose address nobody can look up. */
import assert from 'node:assert/strict';
import { parseIpv4, parseMac } from '../../src/wire/address.ts';
import { realLog } from '../../src/world/log.ts';
import { realNet } from '../../src/world/udp.ts';
import type { Datagram } from '../../src/world/world.ts';

const everywhere = parseIpv4('0.0.0.0');
const everyone = parseIpv4('255.255.255.255');
const loopback = parseIpv4('127.0.0.1');
const clientAddress = parseIpv4('10.77.0.50');
const ours = parseIpv4('10.77.0.1');
const clientMac = parseMac('52:54:00:00:00:01');
assert.ok(everywhere && everyone && loopback && clientAddress && ours && clientMac);

const log: string[] = [];
const net = realNet(new AbortController().signal, realLog({ level: 'debug' }, { write: (line) => log.push(line) }));
const text = (datagram: Datagram): string => Buffer.from(datagram.bytes).toString();
const say = (who: string, got: unknown): void => console.log(JSON.stringify({ who, got }));

const server = async (): Promise<void> => {
  const tied = await net.udp({ address: everywhere, port: 6767, interface: 'cable0', broadcast: true });
  const home = await net.udp({ address: everywhere, port: 6767, interface: 'lo', broadcast: true });
  const onLoopback: string[] = [];
  const onInterface: string[] = [];
  home.receive((datagram) => onLoopback.push(`${datagram.address} ${text(datagram)}`));
  home.send(Buffer.from('hello to myself'), { address: loopback, port: 6767 });
  const heard = new Promise<void>((resolve) => {
    tied.receive((datagram) => {
      onInterface.push(`${datagram.address} ${text(datagram)}`);
      resolve();
    });
  });
  await heard;
  const to = { mac: clientMac, address: clientAddress, port: 6868 };
  const untied = await net.udp({ address: ours, port: 6969, broadcast: true });
  untied.sendToHardware(Buffer.from('to everyone, for want of an interface'), to);
  untied.close();
  // Without ARP this one finds nobody; the next one must.
  tied.send(Buffer.from('by address'), to);
  tied.sendToHardware(Buffer.from('by hardware address'), to);
  tied.send(Buffer.from('to everyone'), { address: everyone, port: 6868 });
  tied.send(Buffer.alloc(2500), { address: everyone, port: 6868, segmentBytes: 1000 });
  // More than the cable's 1500 bytes: the kernel refuses to cut so, and they must arrive one by one.
  tied.send(Buffer.alloc(4100), { address: everyone, port: 6868, segmentBytes: 2000 });
  await new Promise((resolve) => setImmediate(resolve));
  say('server', {
    onInterface,
    onLoopback,
    noFallback: !log.some((line) => line.includes('udp":"0.0.0.0:6767') && line.includes('sendToHardware')),
  });
  tied.close();
  home.close();
};

const client = async (): Promise<void> => {
  const socket = await net.udp({ address: everywhere, port: 6868, interface: 'cable1', broadcast: true });
  const texts: string[] = [];
  const segments: number[] = [];
  const knock = setInterval(() => socket.send(Buffer.from('hello from the client'), { address: everyone, port: 6767 }), 50);
  await new Promise<void>((resolve) => {
    socket.receive((datagram) => {
      clearInterval(knock);
      if (datagram.bytes.some((byte) => byte !== 0)) texts.push(`${datagram.address}:${datagram.port} ${text(datagram)}`);
      else segments.push(datagram.bytes.length);
      if (segments.at(-1) === 100) resolve();
    });
  });
  say('client', { texts, segments });
  socket.close();
};

await (process.argv[2] === 'server' ? server() : client());
