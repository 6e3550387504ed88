/** Lines over a Unix socket, and TCP in front of one. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseIpv4 } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { realStreams } from '../../src/world/streams.ts';

const loopback = parseIpv4('127.0.0.1') as Ipv4;
const folder = mkdtempSync(join(tmpdir(), 'remuda-streams-'));
const path = join(folder, 'qmp.sock');
const clients = new Set<Socket>();
/** Greets, then answers each chunk in capitals; ends where the client does. */
const server = createServer((socket) => {
  clients.add(socket);
  socket.on('error', () => {});
  socket.once('close', () => clients.delete(socket));
  socket.write('{"QMP": {}}\r\n');
  socket.on('data', (chunk) => socket.write(chunk.toString().toUpperCase()));
});
before(() => new Promise<void>((resolve) => server.listen(path, resolve)));
after(async () => {
  for (const client of clients) client.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

test('connectLines: the greeting is not lost, lines come whole, the end is told', async () => {
  const streams = realStreams(new AbortController().signal);
  const stream = await streams.connectLines(path);
  const lines: string[] = [];
  const three = new Promise<void>((resolve) => stream.lines((line) => lines.push(line) === 3 && resolve()));
  stream.send('one');
  stream.send('zwölf');
  await three;
  assert.deepEqual(lines, ['{"QMP": {}}', 'ONE', 'ZWÖLF']);
  stream.close();
  await stream.closed;
  stream.send('nobody');
});

test('connectLines: nobody there; the other side ends; the world ends', async () => {
  const world = new AbortController();
  const streams = realStreams(world.signal);
  await assert.rejects(streams.connectLines(join(folder, 'none')), { code: 'bmc-unreachable' });
  const cut = await streams.connectLines(path);
  await new Promise<void>((resolve) => cut.lines(() => resolve()));
  for (const client of clients) client.destroy();
  await cut.closed;
  const ended = await streams.connectLines(path);
  world.abort();
  await ended.closed;
});

test('forward: bytes both ways, close cuts what is open', async () => {
  const streams = realStreams(new AbortController().signal);
  const listener = await streams.forward({ address: loopback, port: 0, socket: path });
  const client = connect(listener.port ?? 0, loopback);
  let text = '';
  await new Promise<void>((resolve) => {
    client.on('data', (chunk) => {
      text += chunk.toString();
      if (text.includes('HELLO')) resolve();
    });
    client.write('hello');
  });
  assert.equal(text, '{"QMP": {}}\r\nHELLO');
  const closed = new Promise((resolve) => client.once('close', resolve));
  await listener.close();
  await closed;
});

test('forward: where nobody answers behind it, the client is cut', async () => {
  const stop = new AbortController();
  const listener = await realStreams(stop.signal).forward({ address: loopback, port: 0, socket: join(folder, 'none') });
  const client = connect(listener.port ?? 0, loopback);
  client.on('error', () => {});
  await new Promise((resolve) => client.once('close', resolve));
  await assert.rejects(realStreams(stop.signal).forward({ address: loopback, port: listener.port ?? 0, socket: path }), {
    code: 'bad-config',
  });
  stop.abort();
  await listener.close();
});
