/** The TFTP server in a fake world: names, errors, limits, and transfers by datagrams that are lost at times. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { limits } from '../../src/limits.ts';
import { decodeTftp, encodeTftp, errorPacket, type Tftp } from '../../src/tftp/packet.ts';
import { startTftp, type TftpLimits, type TftpObservation } from '../../src/tftp/server.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import type { UdpSocket } from '../../src/world/world.ts';
import { killersOfNpmTftp2 } from '../vectors/tftp/packets.ts';
import { type FakeWorld, fakeWorld, ip } from '../world/fake.ts';

const serverAddress = ip('10.77.0.1');
const clientAddress = ip('10.77.0.50');
const file = new Uint8Array(20_000).map((_, at) => at % 253);

interface Options {
  readonly files?: ReadonlyMap<string, Uint8Array>;
  readonly less?: Partial<TftpLimits>;
  readonly open?: (name: string, client: Ipv4) => Uint8Array | undefined;
}
const start = async ({ files = new Map([['snponly.efi', file]]), less = {}, open = (name) => files.get(name) }: Options = {}) => {
  const world = fakeWorld();
  const asked: string[] = [];
  const observed: TftpObservation[] = [];
  const ports = {
    open: (name: string, client: Ipv4) => {
      asked.push(`${client} ${name}`);
      return open(name, client);
    },
    observe: (one: TftpObservation) => observed.push(one),
  };
  const server = await startTftp(world, { address: serverAddress, port: 69, interface: 'rack0' }, ports, { ...limits, ...less });
  return { world, server, asked, observed };
};

/** What a client heard, and a way to speak. */
const clientOf = async (world: FakeWorld, port: number, address = clientAddress) => {
  const socket: UdpSocket = await world.net.udp({ address, port, interface: 'rack0' });
  const heard: { readonly packet: Tftp; readonly port: number }[] = [];
  socket.receive((datagram) => heard.push({ packet: decodeTftp(datagram.bytes), port: datagram.port }));
  const say = (packet: Tftp, to = 69): void => socket.send(encodeTftp(packet), { address: serverAddress, port: to });
  return { socket, heard, say };
};
const read = (name: string, options: Readonly<Record<string, string>> = {}, mode = 'octet'): Tftp => ({
  kind: 'readRequest',
  name,
  mode,
  options: Object.entries(options).map(([key, value]) => ({ name: key, value })),
});

/** Fetches as RFC 7440 says, acknowledging window by window and asking again after a second. */
const fetch = async (world: FakeWorld, port: number, request: Tftp): Promise<Buffer> => {
  const socket = await world.net.udp({ address: clientAddress, port, interface: 'rack0' });
  const parts: Uint8Array[] = [];
  let [blockBytes, windowBlocks, inWindow, server] = [512, 1, 0, 69];
  let isDone = false;
  let last: Tftp = request;
  const say = (packet: Tftp): void => {
    last = packet;
    inWindow = 0;
    socket.send(encodeTftp(packet), { address: serverAddress, port: server });
  };
  const acknowledge = (): void => say({ kind: 'acknowledgement', block: parts.length & 0xffff });
  socket.receive(({ bytes, port: from }) => {
    const packet = decodeTftp(bytes);
    server = from;
    if (packet.kind === 'optionAcknowledgement') {
      for (const { name, value } of packet.options) {
        if (name === 'blksize') blockBytes = Number(value);
        if (name === 'windowsize') windowBlocks = Number(value);
      }
      return acknowledge();
    }
    if (packet.kind !== 'data') throw new TypeError(`heard ${packet.kind}`);
    if (packet.block !== ((parts.length + 1) & 0xffff)) return;
    parts.push(packet.data);
    isDone = packet.data.length < blockBytes;
    inWindow++;
    if (isDone || inWindow === windowBlocks) acknowledge();
  });
  say(request);
  for (let seconds = 0; seconds < 200; seconds++) {
    // oxlint-disable-next-line no-await-in-loop -- time goes on step by step
    await world.advance(1000);
    if (isDone) break;
    say(parts.length > 0 ? { kind: 'acknowledgement', block: parts.length & 0xffff } : last);
  }
  socket.close();
  return Buffer.concat(parts);
};

describe('a file arrives whole', () => {
  const ways: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['plainly', {}],
    ['in larger blocks', { blksize: '1468', tsize: '0' }],
    ['in windows', { blksize: '1024', windowsize: '4' }],
    ['in blocks that IP will fragment', { blksize: '4096', windowsize: '3' }],
  ];
  for (const [name, options] of ways) {
    test(name, async () => {
      const { world, server, observed } = await start();
      assert.ok((await fetch(world, 2000, read('snponly.efi', options))).equals(file));
      await world.settle();
      assert.deepEqual([server.counters.done, server.counters.bytes, world.openSockets], [1, file.length, 1]);
      assert.deepEqual(observed, [{ client: clientAddress, at: observed[0]?.at, text: 'fetched snponly.efi' }]);
    });
    test(`${name}, where every fifth datagram is lost`, async () => {
      const { world } = await start();
      world.deliver = () => world.random.next() >= 0.2;
      assert.ok((await fetch(world, 2000, read('snponly.efi', options))).equals(file));
    });
  }
  test('a window is one send, cut into its packets', async () => {
    const { world } = await start();
    const { say, heard } = await clientOf(world, 2000);
    say(read('snponly.efi', { windowsize: '4' }));
    await world.settle();
    const tid = heard[0]?.port;
    assert.ok(tid !== undefined && tid !== 69, 'a transfer has a port of its own');
    say({ kind: 'acknowledgement', block: 0 }, tid);
    await world.settle();
    assert.deepEqual(
      heard.map(({ packet }) => (packet.kind === 'data' ? packet.block : packet.kind)),
      ['optionAcknowledgement', 1, 2, 3, 4],
    );
  });
});

describe('names', () => {
  const names: readonly (readonly [string, string])[] = [
    ['snponly.efi', 'snponly.efi'],
    ['/snponly.efi', 'snponly.efi'],
    ['//boot//snponly.efi', 'boot/snponly.efi'],
    ['\\EFI\\BOOT\\bootx64.efi', 'EFI/BOOT/bootx64.efi'],
    ['../../etc/passwd', '../../etc/passwd'],
  ];
  for (const [sent, opened] of names) {
    test(`${sent} is looked up as ${opened}`, async () => {
      const { world, asked } = await start();
      (await clientOf(world, 2000)).say(read(sent));
      await world.settle();
      assert.deepEqual(asked, [`10.77.0.50 ${opened}`]);
    });
  }
});

describe('refused', () => {
  const refusals: readonly (readonly [string, Tftp, number])[] = [
    ['a file that is not there', read('nosuch'), 1],
    ['writing', { kind: 'writeRequest', name: 'x', mode: 'octet', options: [] }, 2],
    ['a mode that would change the bytes', read('snponly.efi', {}, 'netascii'), 4],
  ];
  for (const [name, request, code] of refusals) {
    test(name, async () => {
      const { world } = await start();
      const { say, heard } = await clientOf(world, 2000);
      say(request);
      await world.settle();
      assert.deepEqual(
        heard.map(({ packet }) => packet.kind === 'error' && packet.code),
        [code],
      );
      assert.equal(world.openSockets, 2);
    });
  }
  test('octet in other letters is octet', async () => {
    const { world, server } = await start();
    (await clientOf(world, 2000)).say(read('snponly.efi', {}, 'OCTET'));
    await world.settle();
    assert.equal(server.counters.started, 1);
  });
  test('a file too large for TFTP is our fault, told in the log', async () => {
    const { world, server } = await start({ less: { tftpFileBytesMax: 1000 } });
    (await clientOf(world, 2000)).say(read('snponly.efi'));
    await world.settle();
    assert.deepEqual([server.counters.failed, world.logged[0]?.level], [1, 'error']);
  });
});

test('EDK2 asks for the size, ends with ERROR 8, and comes back for the file', async () => {
  const { world, server, observed } = await start();
  const { say, heard } = await clientOf(world, 2000);
  say(read('snponly.efi', { tsize: '0', blksize: '1468' }));
  await world.settle();
  assert.deepEqual(heard[0]?.packet, {
    kind: 'optionAcknowledgement',
    options: [
      { name: 'tsize', value: '20000' },
      { name: 'blksize', value: '1468' },
    ],
  });
  say(errorPacket(8, 'User aborted the transfer'), heard[0]?.port);
  await world.settle();
  assert.deepEqual([server.counters.refused, world.openSockets, world.logged.length], [1, 2, 0]);
  assert.match(observed[0]?.text ?? '', /did not finish snponly\.efi: error 8/);
  assert.ok((await fetch(world, 2001, read('snponly.efi', { blksize: '1468', windowsize: '4' }))).equals(file));
});

test('the same request again is the same transfer; another one from there replaces it', async () => {
  const { world, server } = await start();
  const { say } = await clientOf(world, 2000);
  say(read('snponly.efi'));
  await world.settle();
  say(read('snponly.efi'));
  await world.settle();
  assert.deepEqual([server.counters.started, world.openSockets], [1, 3]);
  say(read('snponly.efi', { blksize: '1024' }));
  await world.settle();
  assert.deepEqual([server.counters.started, server.counters.givenUp, world.openSockets], [2, 1, 3]);
  server.close();
  assert.deepEqual([server.counters.givenUp, server.counters.bytes, server.isOpen()], [1, 0, false]);
});

test('a client that falls silent is given up, and its socket with it', async () => {
  const { world, server, observed } = await start();
  (await clientOf(world, 2000)).say(read('snponly.efi'));
  await world.advance(limits.tftpTimeoutMs * limits.tftpTries - 1);
  assert.deepEqual([server.counters.timeout, world.openSockets], [0, 3]);
  await world.advance(1);
  assert.deepEqual([server.counters.timeout, world.openSockets], [1, 2]);
  assert.equal(observed[0]?.text, 'did not finish snponly.efi: no answer to 6 sends in a row');
});

test('so many transfers per client and in all; one that ends makes room', async () => {
  const { world, server } = await start({ less: { tftpSessionsPerClientMax: 2, tftpSessionsMax: 3 } });
  for (const port of [1, 2, 3]) (await clientOf(world, 2000 + port)).say(read('snponly.efi'));
  await world.settle();
  assert.deepEqual([server.counters.started, server.counters.busy], [2, 1]);
  for (const port of [1, 2]) (await clientOf(world, 2000 + port, ip('10.77.0.51'))).say(read('snponly.efi'));
  await world.settle();
  assert.deepEqual([server.counters.started, server.counters.busy], [3, 2]);
  await world.advance(limits.tftpTimeoutMs * limits.tftpTries);
  (await clientOf(world, 2009)).say(read('snponly.efi'));
  await world.settle();
  assert.equal(server.counters.started, 4);
});

test('a socket that cannot be opened ends the one transfer', async () => {
  const { world, server } = await start();
  world.beforeUdp = ({ port }) => {
    if (port === 0) throw new RangeError('too many open files');
  };
  (await clientOf(world, 2000)).say(read('snponly.efi'));
  await world.settle();
  world.beforeUdp = () => {};
  assert.deepEqual([world.logged[0]?.level, server.counters.givenUp], ['error', 1]);
  assert.ok((await fetch(world, 2001, read('snponly.efi'))).equals(file));
  assert.equal(server.counters.done, 1);
});

test('bytes from nowhere, to the port and to a transfer, change nothing but the counters', async () => {
  const { world, server } = await start();
  const { socket, say, heard } = await clientOf(world, 2000);
  say(read('snponly.efi'));
  await world.settle();
  const tid = heard[0]?.port ?? 0;
  const noise = fc.sample(fc.uint8Array({ maxLength: 300, size: 'max' }), 500);
  for (const wire of noise) {
    socket.send(wire, { address: serverAddress, port: 69 });
    // In the transfer an ERROR would end it, as it should.
    if (wire[0] !== 0) socket.send(wire, { address: serverAddress, port: tid });
  }
  const { socket: other } = await clientOf(world, 2001);
  for (const { wire } of killersOfNpmTftp2) other.send(Buffer.from(wire, 'hex'), { address: serverAddress, port: 69 });
  await world.settle();
  assert.ok(server.counters.malformed >= 490, String(server.counters.malformed));
  assert.equal(world.logged.length, 1, 'told once');
  say({ kind: 'acknowledgement', block: 1 }, tid);
  await world.settle();
  const last = heard.at(-1)?.packet;
  assert.deepEqual(last, { kind: 'data', block: 2, data: file.subarray(512, 1024) });
});

test('closed: no socket is left, and nobody is answered', async () => {
  const { world, server } = await start();
  const { say, heard } = await clientOf(world, 2000);
  say(read('snponly.efi'));
  await world.settle();
  server.close();
  say(read('snponly.efi', { blksize: '1024' }));
  await world.advance(60_000);
  assert.deepEqual([heard.length, world.openSockets], [1, 1]);
});
