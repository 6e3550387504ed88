/** The HTTP client against servers that are honest, false, slow, large and cut short. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createRaw } from 'node:net';
import { after, test } from 'node:test';
import { createServer as createTls } from 'node:tls';
import { RemudaError } from '../../src/errors.ts';
import { selfSigned } from '../../src/world/certificate.ts';
import { httpCall, httpStream } from '../../src/world/http-client.ts';
import type { HttpCall } from '../../src/world/world.ts';

const world = new AbortController();
const open = new Set<Socket>();
const servers: Server[] = [];
const listening = async (server: Server): Promise<number> => {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};
after(() => {
  for (const socket of open) socket.destroy();
  for (const server of servers) server.close();
});
const plain = (handler: RequestListener) => listening(createServer(handler));
const bmc = await selfSigned('127.0.0.1', Date.now());
const stranger = await selfSigned('127.0.0.1', Date.now());
/** A TLS server that keeps every byte it is sent after the handshake. */
const keeper = async () => {
  const received: Uint8Array[] = [];
  const port = await listening(
    createTls({ key: bmc.key, cert: bmc.certificate }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk: Uint8Array) => {
        received.push(chunk);
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      });
    }),
  );
  return { port, received: () => Buffer.concat(received).toString() };
};
const call = (url: string, more: Partial<HttpCall> = {}) =>
  httpCall({ method: 'GET', url, timeoutMs: 10_000, replyBytesMax: 1000, ...more }, world.signal);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test('a certificate other than the pinned one: refused before one byte of the request was sent', async () => {
  const { port, received } = await keeper();
  const headers = { authorization: 'Basic s3cret' };
  await assert.rejects(call(`https://127.0.0.1:${port}/`, { headers, fingerprint: stranger.fingerprint }), {
    code: 'bmc-untrusted',
    message: /another certificate than the pinned one; nothing was sent/,
  });
  await assert.rejects(call(`https://127.0.0.1:${port}/`, { headers, fingerprint: '' }), { code: 'bmc-untrusted' });
  await assert.rejects(call(`https://127.0.0.1:${port}/`, { headers }), { code: 'bmc-untrusted', message: /SELF_SIGNED/ });
  assert.equal(received(), '');
});

test('the pinned certificate is accepted, also written with colons; insecure accepts any; the pin wins over insecure', async () => {
  for (const fingerprint of [bmc.fingerprint, bmc.fingerprint.toUpperCase().replaceAll(/(..)(?!$)/g, '$1:')]) {
    const { port, received } = await keeper();
    assert.equal(text((await call(`https://127.0.0.1:${port}/redfish/v1`, { fingerprint })).body), 'ok');
    assert.match(received(), /^GET \/redfish\/v1 HTTP\/1\.1\r\n/);
  }
  const { port } = await keeper();
  assert.equal((await call(`https://127.0.0.1:${port}/`, { insecure: true })).status, 200);
  await assert.rejects(call(`https://127.0.0.1:${port}/`, { insecure: true, fingerprint: stranger.fingerprint }), {
    code: 'bmc-untrusted',
  });
});

test('what is sent: the body with its length, our headers, no wish for compression; redirects and errors are answers', async () => {
  const requests: unknown[] = [];
  const port = await plain((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    request.once('end', () => {
      requests.push([request.method, request.url, request.headers, Buffer.concat(chunks).toString()]);
      response.writeHead(302, { location: '/elsewhere', 'set-cookie': ['a=1', 'b=2'] }).end('moved');
    });
  });
  const answer = await call(`http://127.0.0.1:${port}/a?b=c`, { method: 'PATCH', body: 'grüß', headers: { 'if-match': '"1"' } });
  assert.deepEqual(
    [answer.status, answer.headers['location'], answer.headers['set-cookie'], text(answer.body)],
    [302, '/elsewhere', 'a=1, b=2', 'moved'],
  );
  await call(`http://127.0.0.1:${port}/x`, { method: 'DELETE' });
  assert.deepEqual(requests, [
    ['PATCH', '/a?b=c', { 'if-match': '"1"', 'content-length': '6', host: `127.0.0.1:${port}`, connection: 'close' }, 'grüß'],
    ['DELETE', '/x', { host: `127.0.0.1:${port}`, connection: 'close' }, ''],
  ]);
});

const failures: readonly { name: string; reply: (socket: Socket) => void; code: string; message: RegExp; more?: Partial<HttpCall> }[] = [
  { name: 'cut before an answer', reply: (socket) => socket.destroy(), code: 'bmc-unreachable', message: /hang up|cut/ },
  {
    name: 'cut in the middle of the body',
    reply: (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'),
    code: 'bmc-unreachable',
    message: /GET http/,
  },
  { name: 'no HTTP', reply: (socket) => void socket.end('220 ftp ready\r\n\r\n'), code: 'bmc-unreachable', message: /GET http/ },
  {
    name: 'larger than asked for, with a length',
    reply: (socket) => void socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n${'x'.repeat(1001)}`),
    code: 'bmc-refused',
    message: /more than 1000 bytes/,
  },
  {
    name: 'without end',
    reply: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const more = (): boolean => socket.destroyed || socket.write('x'.repeat(500), more);
      more();
    },
    code: 'bmc-refused',
    message: /more than 1000 bytes/,
  },
  { name: 'silent', reply: () => {}, code: 'bmc-unreachable', message: /no answer within 100 ms/, more: { timeoutMs: 100 } },
  {
    name: 'trickling: the limit is for the whole call',
    reply: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const timer = setInterval(() => socket.write('x'), 20);
      socket.once('close', () => clearInterval(timer));
    },
    code: 'bmc-unreachable',
    message: /no answer within 200 ms/,
    more: { timeoutMs: 200 },
  },
];
for (const { name, reply, code, message, more } of failures)
  test(`an answer that is ${name}`, async () => {
    const port = await listening(createRaw((socket) => socket.once('data', () => reply(socket))));
    await assert.rejects(call(`http://127.0.0.1:${port}/`, more), (error) => {
      assert.ok(error instanceof RemudaError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
    for (const socket of open) if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  });

test('nobody there, no such socket, a scheme that is not spoken, a handshake with no TLS', async () => {
  const server = createRaw();
  const port = await listening(server);
  server.close();
  await assert.rejects(call(`http://127.0.0.1:${port}/`), { code: 'bmc-unreachable', message: /connection refused/ });
  await assert.rejects(call('http://remuda/', { socket: '/no/such/socket' }), { code: 'bmc-unreachable', message: /no such socket/ });
  await assert.rejects(call('ftp://127.0.0.1/'), { code: 'bad-request' });
  const notTls = await listening(createRaw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
  await assert.rejects(call(`https://127.0.0.1:${notTls}/`, { insecure: true }), { code: 'bmc-untrusted' });
});

test('the caller ends a call with a reason of its own, before and while it runs; so does the world', async () => {
  const port = await plain(() => {});
  const reason = new Error('the host was forgotten');
  const stop = new AbortController();
  const running = call(`http://127.0.0.1:${port}/`, { signal: stop.signal });
  setImmediate(() => stop.abort(reason));
  await assert.rejects(running, (error) => error === reason);
  await assert.rejects(call(`http://127.0.0.1:${port}/`, { signal: stop.signal }), (error) => error === reason);
  const ending = new AbortController();
  const last = httpCall({ method: 'GET', url: `http://127.0.0.1:${port}/`, timeoutMs: 10_000, replyBytesMax: 1 }, ending.signal);
  ending.abort(reason);
  await assert.rejects(last, (error) => error === reason);
});

const stream = (port: number, more: Partial<HttpCall> = {}) =>
  httpStream({ method: 'GET', url: `http://127.0.0.1:${port}/`, timeoutMs: 300, replyBytesMax: Infinity, ...more }, world.signal);

test('stream: chunks as they come, for longer than the limit as long as none is silent for so long', async () => {
  let left: Promise<unknown> = Promise.resolve();
  const port = await plain((request, response) => {
    let count = 0;
    const timer = setInterval(() => response.write(`data: ${++count}\n\n`), 60);
    left = once(request.socket, 'close').then(() => clearInterval(timer));
  });
  const seen: string[] = [];
  for await (const chunk of stream(port)) if (seen.push(text(chunk)) === 8) break;
  assert.equal(seen.join(''), Array.from({ length: 8 }, (_, at) => `data: ${at + 1}\n\n`).join(''));
  await left;
});

test('stream: silence, a status that is not 2xx, too many bytes', async () => {
  const silent = await plain((_request, response) => void response.write('one'));
  await assert.rejects(Array.fromAsync(stream(silent)), { code: 'bmc-unreachable', message: /no answer within 300 ms/ });
  const refusing = await plain((_request, response) => void response.writeHead(403).end('{"code":"ticket-invalid"}'));
  await assert.rejects(Array.fromAsync(stream(refusing)), (error) => {
    assert.ok(error instanceof RemudaError);
    assert.equal(error.code, 'bmc-refused');
    assert.equal(error.values['status'], 403);
    assert.equal(error.values['answer'], '{"code":"ticket-invalid"}');
    return true;
  });
  const large = await plain((_request, response) => void response.end('x'.repeat(11)));
  await assert.rejects(Array.fromAsync(stream(large, { replyBytesMax: 10 })), { code: 'bmc-refused' });
});

test('an address that is refused is not connected to, written as a number or found behind a name', async () => {
  let asked = 0;
  const port = await plain((_request, response) => {
    asked += 1;
    response.end('in');
  });
  const seen: (readonly [host: string, address: string])[] = [];
  const refuses = (host: string, address: string): string | undefined => {
    seen.push([host, address]);
    return address === '127.0.0.1' ? `${address} is out of bounds` : undefined;
  };
  const refused = { code: 'bad-request', message: /127\.0\.0\.1 is out of bounds$/ };
  await assert.rejects(call(`http://127.0.0.1:${port}/`, { refuses }), refused);
  assert.deepEqual(seen, [['127.0.0.1', '127.0.0.1']]);
  const named = await call(`http://localhost:${port}/`, { refuses }).then(
    () => 'connected',
    (error: unknown) => String(error),
  );
  assert.match(named, /127\.0\.0\.1 is out of bounds$|connection refused/, 'where the name has another address, nobody listens there');
  assert.ok(seen.some(([host, address]) => host === 'localhost' && address === '127.0.0.1'));
  assert.equal(asked, 0);
  assert.equal(text((await call(`http://localhost:${port}/`, { refuses: () => undefined })).body), 'in');
});
