/** A GET whose addresses are judged: before the connection, once more when it stands, and never by a second look at the name. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { after, test } from 'node:test';
import { selfSigned } from '../../src/world/certificate.ts';
import { httpGet } from '../../src/world/http-get.ts';
import type { HttpGet } from '../../src/world/world.ts';
import { limits } from '../../src/limits.ts';
import { MemoryHttp, ipv4 } from './memory-http.ts';
import { realClock } from '../../src/world/clock.ts';

const world = new AbortController();
const servers: Server[] = [];
after(() => {
  world.abort();
  for (const server of servers) server.close();
});
const listen = async (server: Server): Promise<number> => {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};
const serve = (handle: RequestListener): Promise<number> => listen(createServer({ keepAliveTimeout: 1 }, handle));
const get = (url: string, more: Partial<HttpGet> = {}) =>
  httpGet({ url, silenceMs: 10_000, refuses: () => undefined, ...more }, world.signal);
const textOf = async (chunks: AsyncIterable<Uint8Array>): Promise<string> => Buffer.concat(await Array.fromAsync(chunks)).toString();

test('status, headers and body come as they are; a redirect is an answer like any other', async () => {
  const port = await serve((request, answer) =>
    answer.writeHead(307, { location: '/b', 'x-saw': request.headers['range'] ?? '' }).end('moved'),
  );
  const answer = await get(`http://127.0.0.1:${port}/a`, { headers: { range: 'bytes=3-' } });
  assert.equal(answer.status, 307);
  assert.equal(answer.headers['location'], '/b');
  assert.equal(answer.headers['x-saw'], 'bytes=3-');
  assert.equal(await textOf(answer.chunks), 'moved');
});

test('each address of the name is judged, and one that passes is connected to', async () => {
  const hosts: string[] = [];
  const port = await serve((request, answer) => {
    hosts.push(request.headers.host ?? '');
    answer.end('ok');
  });
  const judged: string[] = [];
  const refuses = (host: string, address: string): string | undefined => {
    judged.push(`${host} ${address}`);
    return address === '127.0.0.1' ? undefined : 'not this one';
  };
  assert.equal(await textOf((await get(`http://localhost:${port}/`, { refuses })).chunks), 'ok');
  assert.deepEqual(hosts, [`localhost:${port}`]);
  assert.equal(judged.at(-1), 'localhost 127.0.0.1', 'the address that it is connected to');
  assert.ok(judged.filter((one) => one === 'localhost 127.0.0.1').length === 2, 'before and after');
});

test('nothing is connected to where no address passes, nor where the connection leads elsewhere', async () => {
  let connections = 0;
  let requests = 0;
  const server = createServer(() => requests++).on('connection', () => connections++);
  const port = await listen(server);
  await assert.rejects(get(`http://127.0.0.1:${port}/a?token=secret`, { refuses: () => 'it is mine' }), {
    code: 'source-refused',
    message: `GET http://127.0.0.1:${port}/a is refused: it is mine`,
  });
  assert.equal(connections, 0);
  let looks = 0;
  await assert.rejects(get(`http://127.0.0.1:${port}/`, { refuses: () => (looks++ === 0 ? undefined : 'it has changed') }), {
    code: 'source-refused',
  });
  assert.equal(requests, 0, 'not one byte of the request was sent');
  await assert.rejects(get('ftp://127.0.0.1/'), { code: 'source-refused' });
});

test('what goes wrong is told in plain words', async () => {
  const port = await serve((request, answer) => {
    if (request.url === '/cut')
      answer.writeHead(200, { 'content-length': '10' }).write('12345', () => setImmediate(() => answer.destroy()));
    else if (request.url === '/half') answer.writeHead(200).write('12345');
  });
  const base = `http://127.0.0.1:${port}`;
  await assert.rejects(async () => textOf((await get(`${base}/cut`)).chunks), { code: 'source-failed' });
  await assert.rejects(async () => textOf((await get(`${base}/half`, { silenceMs: 50 })).chunks), {
    code: 'source-failed',
    message: /silence for 50 ms/,
  });
  await assert.rejects(get(`${base}/never`, { silenceMs: 50 }), { code: 'source-failed', message: /silence for 50 ms/ });
  const ends = AbortSignal.abort(new Error('enough'));
  await assert.rejects(get(base, { signal: ends }), /enough/);
  const closed = await serve(() => {});
  await new Promise((resolve) => servers.at(-1)?.close(resolve));
  await assert.rejects(get(`http://127.0.0.1:${closed}/`), { code: 'source-failed', message: /connection refused/ });
  const { key, certificate } = await selfSigned('127.0.0.1', Date.now());
  const tls = await listen(createTls({ key, cert: certificate }));
  await assert.rejects(get(`https://127.0.0.1:${tls}/`), { code: 'source-failed', message: /certificate or handshake is not acceptable/ });
});

test('leaving the body closes the connection', async () => {
  const closed = Promise.withResolvers<void>();
  const port = await serve((_request, answer) => {
    answer.once('close', () => closed.resolve());
    answer.write('begun');
  });
  for await (const chunk of (await get(`http://127.0.0.1:${port}/`)).chunks) {
    assert.equal(Buffer.from(chunk).toString(), 'begun');
    break;
  }
  await closed.promise;
});

test('the network in memory keeps the same rules', async () => {
  const here = ipv4('10.0.0.1');
  const memory = new MemoryHttp({ clock: realClock(world.signal) });
  await memory.at(ipv4('10.0.0.2')).listen({
    at: { address: ipv4('10.0.0.2'), port: 80 },
    routes: [
      {
        method: 'GET',
        path: '/a',
        handle: async ({ headers }) => ({ status: 200, headers: { etag: '"1"' }, body: headers['range'] ?? 'all' }),
      },
    ],
  });
  const http = memory.at(here);
  const wish: HttpGet = { url: 'http://10.0.0.2/a', silenceMs: limits.imageSilenceMs, refuses: () => undefined };
  const answer = await http.get({ ...wish, headers: { range: 'bytes=1-' } });
  assert.equal(answer.headers['etag'], '"1"');
  assert.equal(await textOf(answer.chunks), 'bytes=1-');
  await assert.rejects(http.get({ ...wish, refuses: (_host, address) => `${address} is mine` }), {
    code: 'source-refused',
    message: /10\.0\.0\.2 is mine/,
  });
  await assert.rejects(http.get({ ...wish, url: 'http://10.0.0.3/a' }), { code: 'source-failed', message: /refused/ });
});
