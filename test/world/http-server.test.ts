/** The HTTP server: what it answers, what it refuses, and what it bears from clients that are slow, rude or gone. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { RemudaError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { selfSigned } from '../../src/world/certificate.ts';
import { httpCall } from '../../src/world/http-client.ts';
import { httpListen } from '../../src/world/http-server.ts';
import type { HttpServerOptions } from '../../src/world/http-server.ts';
import { realLog } from '../../src/world/log.ts';
import type { HttpCall, HttpRequest, Route } from '../../src/world/world.ts';

const loopback = parseIpv4('127.0.0.1') as Ipv4;
const folder = mkdtempSync(join(tmpdir(), 'remuda-http-'));
const world = new AbortController();
after(() => {
  world.abort();
  rmSync(folder, { recursive: true });
});

const logged: string[] = [];
const listen = (routes: readonly Route[], options: Partial<HttpServerOptions> = {}) =>
  httpListen({
    at: { address: loopback, port: 0 },
    routes,
    signal: world.signal,
    log: realLog({ level: 'debug' }, { write: (line) => logged.push(line) }),
    ...options,
  });
const route = (method: Route['method'], path: string, handle: Route['handle'], more: Partial<Route> = {}): Route => ({
  method,
  path,
  handle,
  ...more,
});
const call = async (port: number | undefined, path: string, more: Partial<HttpCall> = {}) => {
  const url = `http${more.fingerprint === undefined ? '' : 's'}://127.0.0.1:${port ?? 0}${path}`;
  return await httpCall({ method: 'GET', url, timeoutMs: 10_000, replyBytesMax: 64 * 1024 * 1024, ...more }, world.signal);
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const json = (bytes: Uint8Array): unknown => JSON.parse(text(bytes));
/** A plain connection that sends these bytes; everything that came back, once the server has closed. */
const raw = (port: number | undefined, bytes: string, onData: (socket: Socket, soFar: string) => void = () => {}) =>
  new Promise<string>((resolve) => {
    const socket = connect(port ?? 0, loopback);
    let soFar = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      soFar += chunk.toString('latin1');
      onData(socket, soFar);
    });
    socket.once('close', () => resolve(soFar));
    if (bytes !== '') socket.write(bytes);
  });
/** A file of 24 MiB whose every part is different. */
const bigFile = join(folder, 'image');
const big = Buffer.concat(
  Array.from({ length: 24 }, (_, at) => Buffer.alloc(1024 * 1024, createHash('sha512').update(String(at)).digest())),
);
writeFileSync(bigFile, big);
const openDescriptors = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === bigFile;
    } catch {
      return false;
    }
  }).length;
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('a handler sees the request as it came', async () => {
  const seen: HttpRequest[] = [];
  const listener = await listen([
    route('POST', '/v1/hosts/:id/claim', async (request) => {
      seen.push(request);
      return { status: 201, headers: { location: '/v1/claims/c1', 'content-type': 'application/json' }, body: '{"id":"c1"}' };
    }),
  ]);
  const body = Buffer.from([0, 255, 1]);
  const long = 'x'.repeat(300);
  const answer = await call(listener.port, `/v1/hosts/${long}%2Fa/claim?x=1&x=2&y=a%20b`, {
    method: 'POST',
    body,
    headers: { 'Content-Type': 'application/octet-stream', 'X-Odd': 'yes' },
  });
  assert.deepEqual([answer.status, answer.headers['location'], json(answer.body)], [201, '/v1/claims/c1', { id: 'c1' }]);
  const [request] = seen;
  assert.ok(request);
  assert.deepEqual(request.params, { id: `${long}/a` });
  assert.deepEqual(request.query.getAll('x'), ['1', '2']);
  assert.equal(request.query.get('y'), 'a b');
  assert.equal(request.headers['x-odd'], 'yes');
  assert.equal(request.peer, loopback);
  assert.deepEqual(Buffer.from(request.body), body);
  await listener.close();
});

test('every content type is taken raw, also none and nonsense', async () => {
  const listener = await listen([route('PUT', '/echo', async (request) => ({ status: 200, body: request.body }))]);
  for (const type of ['application/json', 'text/plain', 'application/cloud-init+yaml; charset=utf-8', 'multipart/form-data', undefined]) {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    const answer = await call(listener.port, '/echo', { method: 'PUT', body: '{not json', headers });
    assert.deepEqual([answer.status, text(answer.body)], [200, '{not json'], type ?? 'none');
  }
  assert.equal((await call(listener.port, '/echo', { method: 'PUT' })).body.length, 0);
  await listener.close();
});

test('refusals are problem+json with a stable code', async () => {
  const listener = await listen(
    [
      route('GET', '/v1/hosts/:id', async ({ params }) => {
        throw new RemudaError('host-not-found', `there is no host ${params['id']}`);
      }),
      route('DELETE', '/v1/hosts/:id', async () => {
        throw new Error('password=s3cret in /var/lib');
      }),
      route('POST', '/v1/small', async () => ({ status: 204 }), { bodyBytesMax: 10 }),
    ],
    { limits: { ...limits, httpBodyBytes: 100 } },
  );
  const ids = new Set<string>();
  const problem = async (path: string, more: Partial<HttpCall> = {}) => {
    const answer = await call(listener.port, path, more);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    const { instance, ...said } = json(answer.body) as { readonly instance: string };
    const id = answer.headers['x-request-id'] ?? '';
    assert.match(id, /^[\w-]{12}$/);
    assert.equal(instance, `urn:remuda:request:${id}`);
    assert.ok(!ids.has(id), 'each has its own');
    ids.add(id);
    return { ...said, allow: answer.headers['allow'], sent: answer.status };
  };
  const expected = (code: string, title: string, { status, detail, allow }: { status: number; detail: string; allow?: string }) => ({
    type: `urn:remuda:problem:${code}`,
    title,
    status,
    code,
    detail,
    allow,
    sent: status,
  });
  assert.deepEqual(await problem('/v1/hosts/r1'), expected('host-not-found', 'Not Found', { status: 404, detail: 'there is no host r1' }));
  assert.deepEqual(
    await problem('/nothing?x=1'),
    expected('not-found', 'Not Found', { status: 404, detail: 'there is nothing at /nothing' }),
  );
  assert.deepEqual(
    await problem('/v1/hosts/r1', { method: 'PUT' }),
    expected('bad-request', 'Method Not Allowed', { status: 405, detail: 'PUT is not possible here', allow: 'DELETE, GET, HEAD' }),
  );
  assert.deepEqual(
    await problem('/v1/hosts/r1', { method: 'DELETE' }),
    expected('internal', 'Internal Server Error', { status: 500, detail: 'an error inside the daemon; its log says more' }),
  );
  assert.ok(logged.some((line) => line.includes('a request failed') && line.includes('/v1/hosts/:id')));
  const large = expected('too-large', 'Payload Too Large', { status: 413, detail: 'the body is larger than this request may carry' });
  assert.deepEqual(await problem('/v1/small', { method: 'POST', body: 'x'.repeat(11) }), large);
  assert.equal((await call(listener.port, '/v1/small', { method: 'POST', body: 'x'.repeat(10) })).status, 204);
  assert.equal((await problem('/v1/hosts/%ff')).sent, 400);
  await listener.close();
});

test('who is not let in, and a body that is too large, are refused before the body is there', async () => {
  const heads: HttpRequest[] = [];
  const wholes: HttpRequest[] = [];
  const enter: Route['enter'] = async (head) => {
    heads.push(head);
    if (head.headers['authorization'] === undefined) return { status: 401, body: 'who are you?' };
    return async (whole) => {
      wholes.push(whole);
      return { status: 200, body: whole.body };
    };
  };
  const never: Route['handle'] = async () => {
    throw new RemudaError('internal', 'entered without being asked');
  };
  const listener = await listen([route('POST', '/in', never, { enter, bodyBytesMax: 1000 * 1000 })]);
  const head = (more: string): string => `POST /in HTTP/1.1\r\nhost: x\r\n${more}\r\n`;
  const bare = await raw(listener.port, head('content-length: 1000000\r\n'));
  assert.match(bare, /^HTTP\/1\.1 401 [^]*connection: close[^]*who are you\?$/);
  assert.match(await raw(listener.port, head('transfer-encoding: chunked\r\n')), /^HTTP\/1\.1 401 [^]*connection: close/);
  const large = await raw(listener.port, head('authorization: me\r\ncontent-length: 1000001\r\n'));
  assert.match(large, /^HTTP\/1\.1 413 [^]*connection: close[^]*"code":"too-large"/);
  // A small body is not worth a connection.
  const twice = await raw(listener.port, `${head('content-length: 4\r\n')}body${head('connection: close\r\ncontent-length: 4\r\n')}body`);
  assert.equal(twice.match(/HTTP\/1\.1 401/g)?.length, 2);
  assert.deepEqual(
    heads.map(({ body }) => body.length),
    [0, 0, 0, 0, 0],
  );
  assert.equal(wholes.length, 0);
  const answer = await call(listener.port, '/in', { method: 'POST', body: 'hello', headers: { authorization: 'me' } });
  assert.deepEqual([answer.status, text(answer.body), wholes[0]?.id], [200, 'hello', heads.at(-1)?.id]);
  await listener.close();
});

test('bytes that are no HTTP are answered once and cut; a body longer than said does not become a request', async () => {
  const listener = await listen([route('POST', '/', async () => ({ status: 204 }))]);
  const garbage = await raw(listener.port, '\x16\x03\x01 what is this\r\n\r\n');
  assert.match(garbage, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(garbage, /application\/problem\+json[^]*"code":"bad-request"/);
  assert.match(await raw(listener.port, `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(
    await raw(listener.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
    /^HTTP\/1\.1 400 /,
  );
  await listener.close();
});

test('HEAD answers as GET does, without the body', async () => {
  const listener = await listen([
    route('GET', '/text', async () => ({ status: 200, headers: { etag: '"1"' }, body: 'twelve bytes' })),
    route('GET', '/file', async () => ({ status: 200, body: { file: bigFile, offset: 5, length: 1000 } })),
    route('GET', '/own', async () => ({ status: 200, body: 'get' })),
    route('HEAD', '/own', async () => ({ status: 204 })),
  ]);
  for (const [path, length] of [
    ['/text', '12'],
    ['/file', '1000'],
  ] as const) {
    const answer = await call(listener.port, path, { method: 'HEAD' });
    assert.deepEqual([answer.status, answer.headers['content-length'], answer.body.length], [200, length, 0]);
  }
  assert.equal((await call(listener.port, '/own', { method: 'HEAD' })).status, 204);
  await listener.close();
});

for (const secure of [false, true])
  test(`files over ${secure ? 'TLS' : 'plain TCP'}: the exact bytes of any range, and many at once`, async () => {
    const identity = secure ? { identity: await selfSigned('127.0.0.1', Date.now()) } : {};
    const listener = await listen(
      [
        route('GET', '/file/:offset/:length', async ({ params }) => ({
          status: 206,
          headers: { 'content-type': 'application/octet-stream' },
          body: { file: bigFile, offset: Number(params['offset']), length: Number(params['length']) },
        })),
      ],
      identity,
    );
    const trust = identity.identity === undefined ? {} : { fingerprint: identity.identity.fingerprint };
    const ranges = [
      [0, big.length],
      [1, 1],
      [0, 0],
      [4095, 4098],
      [123_457, 9_000_001],
      [big.length - 1, 1],
    ] as const;
    await Promise.all(
      ranges.map(async ([offset, length]) => {
        const answer = await call(listener.port, `/file/${offset}/${length}`, trust);
        assert.equal(answer.headers['content-length'], String(length));
        assert.ok(Buffer.from(answer.body).equals(big.subarray(offset, offset + length)), `${offset}+${length}`);
      }),
    );
    const beyond = await call(listener.port, `/file/1/${big.length}`, trust);
    assert.deepEqual([beyond.status, (json(beyond.body) as { code: string }).code], [500, 'internal']);
    assert.equal(openDescriptors(), 0);
    await listener.close();
  });

test('pipelined requests get their files in order, whole', async () => {
  const listener = await listen([
    route('GET', '/:at', async ({ params }) => ({
      status: 200,
      body: { file: bigFile, offset: Number(params['at']) * 1024 * 1024, length: 1024 * 1024 },
    })),
  ]);
  const asked = [3, 0, 7, 1];
  const all = await raw(
    listener.port,
    asked.map((at, index) => `GET /${at} HTTP/1.1\r\nhost: x\r\n${index === 3 ? 'connection: close\r\n' : ''}\r\n`).join(''),
  );
  const bodies = all.split(/HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\n/).slice(1);
  const part = (at: number) => big.subarray(at * 1024 * 1024, (at + 1) * 1024 * 1024);
  assert.deepEqual(
    bodies.map((body, index) => Buffer.from(body, 'latin1').equals(part(asked[index] ?? -1))),
    [true, true, true, true],
  );
  await listener.close();
});

test('a client that leaves in the middle of a file costs nothing: no descriptor stays open, others are served', async () => {
  const signals: AbortSignal[] = [];
  const listener = await listen([
    route('GET', '/file', async ({ signal }) => {
      signals.push(signal);
      return { status: 200, body: { file: bigFile, offset: 0, length: big.length } };
    }),
  ]);
  await Promise.all(
    Array.from({ length: 8 }, () =>
      raw(listener.port, 'GET /file HTTP/1.1\r\nhost: x\r\n\r\n', (socket, soFar) => {
        if (soFar.length > 100_000) socket.resetAndDestroy();
      }),
    ),
  );
  const answer = await call(listener.port, '/file');
  assert.ok(Buffer.from(answer.body).equals(big));
  await until(() => openDescriptors() === 0);
  await until(() => signals.slice(0, 8).every((signal) => signal.aborted));
  assert.ok(!signals.at(-1)?.aborted, 'a finished request is not one whose client left');
  await listener.close();
});

test('a stream goes out as it comes, and ends when its client leaves', async () => {
  let ended = 0;
  const listener = await listen([
    route('GET', '/events', async ({ signal }) => ({
      status: 200,
      headers: { 'content-type': 'text/event-stream' },
      body: (async function* () {
        try {
          for (let count = 1; count <= 2; count++) yield Buffer.from(`data: ${count}\n\n`);
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        } finally {
          ended++;
        }
      })(),
    })),
    route('GET', '/broken', async () => ({
      status: 200,
      body: (async function* () {
        yield Buffer.from('first');
        throw new Error('the disk went away');
      })(),
    })),
  ]);
  await raw(listener.port, 'GET /events HTTP/1.1\r\nhost: x\r\n\r\n', (socket, soFar) => {
    if (soFar.includes('data: 2')) socket.destroy();
  });
  await until(() => ended === 1);
  await assert.rejects(call(listener.port, '/broken'), { code: 'bmc-unreachable' }, 'a broken stream must not look like a whole one');
  assert.ok(logged.some((line) => line.includes('an answer was cut short') && line.includes('the disk went away')));
  await listener.close();
});

test('a request that trickles in (slow loris) is cut, headers and body', async () => {
  const small = { ...limits, httpHeaderTimeoutMs: 200, httpRequestTimeoutMs: 300 };
  const listener = await listen([route('POST', '/', async () => ({ status: 204 }))], { limits: small });
  const trickle = (head: string) => raw(listener.port, head, () => {}).then((answer) => answer.split('\r\n')[0]);
  assert.equal(await trickle('POST / HTTP/1.1\r\nhost: x\r\nx-slow:'), 'HTTP/1.1 408 Request Timeout');
  assert.equal(await trickle('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc'), 'HTTP/1.1 408 Request Timeout');
  await trickle('');
  await listener.close();
});

test('more connections than the limit are turned away, and there is room again afterwards', async () => {
  const listener = await listen([route('GET', '/', async () => ({ status: 204 }))], { limits: { ...limits, httpConnectionsMax: 2 } });
  const idle = [connect(listener.port ?? 0, loopback), connect(listener.port ?? 0, loopback)];
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  await assert.rejects(call(listener.port, '/'), { code: 'bmc-unreachable' });
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())));
  let answered = false;
  while (!answered)
    answered = await call(listener.port, '/').then(
      (answer) => answer.status === 204,
      () => false,
    );
  await listener.close();
});

test('TLS 1.3 or nothing', async () => {
  const identity = await selfSigned('127.0.0.1', Date.now());
  const listener = await listen([route('GET', '/', async () => ({ status: 204 }))], { identity });
  const handshake = (maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
    new Promise<string>((resolve) => {
      const socket = connectTls({ port: listener.port ?? 0, host: loopback, ca: identity.certificate, maxVersion });
      socket.once('secureConnect', () => resolve(socket.getProtocol() ?? ''));
      socket.once('error', () => resolve('refused'));
      socket.once('secureConnect', () => socket.destroy());
    });
  assert.deepEqual([await handshake('TLSv1.2'), await handshake('TLSv1.3')], ['refused', 'TLSv1.3']);
  await listener.close();
});

test('a Unix socket: for owner and group only, no peer; a stale one is replaced, a live one and a plain file are not', async () => {
  const socket = join(folder, 'remuda.sock');
  const routes = [route('GET', '/', async ({ peer }) => ({ status: 200, body: String(peer) }))];
  const listener = await listen(routes, { at: { socket } });
  assert.equal(statSync(socket).mode & 0o777, 0o660);
  assert.equal(listener.port, undefined);
  assert.equal(text((await call(0, '/', { socket })).body), 'undefined');
  await assert.rejects(listen(routes, { at: { socket } }), { code: 'conflict', message: /another daemon/ });
  assert.equal((await call(0, '/', { socket })).status, 200, 'the refused one did not take the socket away');
  await listener.close();
  await assert.rejects(call(0, '/', { socket }), { code: 'bmc-unreachable' });

  const stale = join(folder, 'stale.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  assert.ok(statSync(stale).isSocket());
  await (await listen(routes, { at: { socket: stale } })).close();

  await assert.rejects(listen(routes, { at: { socket: bigFile } }), { code: 'conflict', message: /it is a file/ });
  assert.equal(statSync(bigFile).size, big.length);
});

test('a taken port is refused in words; tied to an interface it listens there', async () => {
  const listener = await listen([route('GET', '/', async () => ({ status: 204 }))], {
    at: { address: loopback, port: 0, interface: 'lo' },
  });
  assert.equal((await call(listener.port, '/')).status, 204);
  await assert.rejects(listen([], { at: { address: loopback, port: listener.port ?? 0 } }), {
    code: 'bad-config',
    message: /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
  });
  await listener.close();
});

test('close: nobody new at once, those at work may finish, those that never end are cut; so too when the world ends', async () => {
  const stop = new AbortController();
  let finish = (): void => {};
  const working = new Promise<void>((resolve) => (finish = resolve));
  let arrived = 0;
  const routes = [
    route('GET', '/slow', async () => {
      arrived++;
      await working;
      return { status: 200, body: 'done' };
    }),
    route('GET', '/endless', async () => ({
      status: 200,
      body: (async function* () {
        arrived++;
        yield Buffer.from('x');
        await new Promise(() => {});
      })(),
    })),
  ];
  const listener = await listen(routes, { signal: stop.signal });
  const slow = call(listener.port, '/slow');
  const endless = raw(listener.port, 'GET /endless HTTP/1.1\r\nhost: x\r\n\r\n');
  const idle = raw(listener.port, '');
  await until(() => arrived === 2);
  stop.abort();
  const closed = listener.close();
  await assert.rejects(call(listener.port, '/slow'), { code: 'bmc-unreachable' });
  finish();
  assert.equal(text((await slow).body), 'done');
  await Promise.all([closed, endless, idle]);
  const again = createServer();
  await new Promise<void>((resolve) => again.listen(listener.port, loopback, resolve));
  await new Promise((resolve) => again.close(resolve));
});
