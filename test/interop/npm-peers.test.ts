/**
 * The npm packages for our protocols, used for what they are good for: `tftp` fetches from our server, `dhcp` reads our OFFER, and the
 * packets that kill servers made of `tftp2` and `dhcp` change nothing in ours.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { answer } from '../../src/dhcp/answer.ts';
import { identify } from '../../src/dhcp/identify.ts';
import { decodeDhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import type { SubnetConfig } from '../../src/dhcp/subnet.ts';
import { limits } from '../../src/limits.ts';
import type { Cidr4 } from '../../src/wire/address.ts';
import { bytes, killersOfNpmDhcp, vectors } from '../vectors/dhcp/packets.ts';
import { killersOfNpmTftp2 } from '../vectors/tftp/packets.ts';
import { ip } from '../world/fake.ts';
import { Cable } from './dhcp-tftp-cable.ts';

const timeout = 60_000;
const require = createRequire(import.meta.url);
/** `dhcp@0.2.20`: its parser, without its server. */
const npmDhcp = require('dhcp/lib/protocol.js') as { parse(wire: Buffer): Readonly<Record<string, unknown>> };

test('dhcp@0.2.20 reads our OFFER', () => {
  const message = decodeDhcp4(bytes(vectors.find(({ name }) => name === 'discover from UEFI x64 firmware')?.wire ?? ''));
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
  const lease = { address: ip('10.77.0.50'), mac: message.clientMac, startsAt: 0, endsAt: 1 };
  const context = {
    subnet,
    client: identify(message),
    boot: { kind: 'chainload', file: 'snponly.efi' },
    packetBytesMax: limits.dhcpPacketBytes,
  } as const;
  const read = npmDhcp.parse(Buffer.from(encodeDhcp4(answer('offer', message, lease, context))));
  const { op, xid, yiaddr, siaddr, chaddr, file, magicCookie, options } = read as typeof read & {
    readonly options: Readonly<Record<number, unknown>>;
  };
  assert.deepEqual(
    { op, xid, yiaddr, siaddr, chaddr, file, magicCookie },
    {
      op: 2,
      xid: 0x3903f326,
      yiaddr: '10.77.0.50',
      siaddr: '10.77.0.1',
      chaddr: '52-54-00-12-34-56',
      file: 'snponly.efi',
      magicCookie: 0x63825363,
    },
  );
  const told = [53, 54, 51, 1, 3, 6, 15, 58, 60, 67].map((code) => options[code]);
  assert.deepEqual(told, [
    2,
    '10.77.0.1',
    3600,
    '255.255.255.0',
    ['10.77.0.254'],
    ['10.77.0.1', '10.77.0.2'],
    'rack.example',
    1800,
    'PXEClient',
    'snponly.efi',
  ]);
});

test('tftp@0.1.2 fetches from us, with and without windows', { timeout }, async () => {
  await using cable = new Cable('npmtftp');
  const folder = join(cable.folder, 'files');
  mkdirSync(folder);
  const file = randomBytes(3_000_003);
  writeFileSync(join(folder, 'snponly.efi'), file);
  cable.giveClientAddress('10.77.0.50');
  await cable.serve({ leaseSeconds: 60, folder });
  for (const windowSize of [1, 4, 16]) {
    const got = join(cable.folder, `got-${windowSize}`);
    const options = JSON.stringify({ host: '10.77.0.1', port: 69, blockSize: 1468, windowSize, timeout: 2000 });
    const program = `require('tftp').createClient(${options}).get('snponly.efi', '${got}', {}, (error) => { if (error) throw error; });`;
    // oxlint-disable-next-line no-await-in-loop -- one client after the other
    await cable.run(process.execPath, '-e', program);
    assert.ok(readFileSync(got).equals(file), `window ${windowSize}`);
  }
  const { tftp } = await cable.counters();
  assert.deepEqual({ done: tftp['done'], failed: tftp['failed'], timeout: tftp['timeout'] }, { done: 3, failed: 0, timeout: 0 });
});

/** Whether a process that serves with `tftp2` as its README says is still there half a second after this datagram. */
const survivesInTftp2 = async (wire: string): Promise<boolean> => {
  const program = `
    const server = require('tftp2').createServer();
    server.on('get', async (request, send) => send(require('node:fs').readFileSync('/nonexistent/' + request.filename)));
    server.bind(0, '127.0.0.1', () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ['-e', program], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 20_000,
  });
  const exit = once(child, 'exit');
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  const socket = createSocket('udp4');
  socket.send(Buffer.from(wire, 'hex'), Number(port.toString()), '127.0.0.1');
  const timer = setTimeout(() => child.kill('SIGTERM'), 1500);
  const [code] = (await exit) as [number | null];
  clearTimeout(timer);
  socket.close();
  return code === null;
};

describe('the recorded packets do what they are recorded for', () => {
  for (const { name, wire } of killersOfNpmTftp2)
    test(`tftp2: ${name}`, { timeout }, async () => assert.equal(await survivesInTftp2(wire), false));
  test('tftp2 as started here does live without them', { timeout }, async () => assert.equal(await survivesInTftp2('00040000'), true));
  for (const { name, wire } of killersOfNpmDhcp) {
    test(`dhcp: ${name}`, () => {
      let type: unknown;
      try {
        ({
          options: { 53: type },
        } = npmDhcp.parse(Buffer.from(wire, 'hex')) as { options: { 53?: unknown } });
      } catch {
        return;
      }
      // Where it does not throw it reads what is not there: a wrong type, or a packet that is no DHCP at all.
      assert.ok(type !== 1 || wire.includes('00000000350101ff'), `reads ${String(type)}`);
    });
  }
});

test('our server: those packets and two thousand of noise to both ports, and it serves on', { timeout }, async () => {
  await using cable = new Cable('noise');
  const folder = join(cable.folder, 'files');
  mkdirSync(folder);
  writeFileSync(join(folder, 'snponly.efi'), randomBytes(10_000));
  cable.giveClientAddress('10.77.0.50');
  await cable.serve({ leaseSeconds: 60, folder });
  const killers = JSON.stringify([...killersOfNpmDhcp, ...killersOfNpmTftp2].map(({ wire }) => wire));
  const program = `
    const socket = require('node:dgram').createSocket('udp4');
    const { randomBytes, randomInt } = require('node:crypto');
    const wires = ${killers}.map((wire) => Buffer.from(wire, 'hex'));
    for (let count = 0; count < 2000; count++) wires.push(randomBytes(randomInt(0, 600)));
    let at = 0;
    const next = () => {
      if (at === wires.length) return socket.close();
      for (const port of [67, 69]) socket.send(wires[at], port, '10.77.0.1');
      at++;
      // Slowly enough that the kernel's buffer on the other side does not swallow most of it.
      if (at % 20 === 0) setTimeout(next, 5);
      else setImmediate(next);
    };
    next();`;
  await cable.run(process.execPath, '-e', program);
  const got = join(cable.folder, 'got');
  await cable.run('curl', '--silent', '--show-error', '--output', got, 'tftp://10.77.0.1/snponly.efi');
  assert.ok(readFileSync(got).equals(readFileSync(join(folder, 'snponly.efi'))));
  const { dhcp, tftp, leases } = await cable.counters();
  assert.ok((dhcp['malformed'] ?? 0) > 1000 && (tftp['malformed'] ?? 0) > 1000, JSON.stringify({ dhcp, tftp }));
  assert.deepEqual(
    { dhcp: dhcp['failed'], tftp: tftp['failed'], acks: dhcp['ack'], leases, done: tftp['done'] },
    { dhcp: 0, tftp: 0, acks: 0, leases: 0, done: 1 },
  );
  assert.deepEqual(cable.all('saved'), []);
});
