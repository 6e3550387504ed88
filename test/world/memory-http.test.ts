/** The HTTP network in memory: it answers like the real server and fails like the real client. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import type { HttpCall, Route } from '../../src/world/world.ts';
import { idleClock } from '../bmc/idle-clock.ts';
import { findRoute, ipv4, MemoryHttp } from './memory-http.ts';
import type { MemoryHttpOptions } from './memory-http.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const call = (url: string, more: Partial<HttpCall> = {}): HttpCall => ({
  method: 'GET',
  url,
  timeoutMs: 1000,
  replyBytesMax: 1000,
  ...more,
});
const fails = (promise: Promise<unknown>, code: Code, message: RegExp): Promise<void> =>
  assert.rejects(promise, (error) => error instanceof RemudaError && error.code === code && message.test(error.message));

async function* ticks(): AsyncGenerator<Uint8Array> {
  for (const word of ['one ', 'two ', 'three']) yield new TextEncoder().encode(word);
}
const routes: readonly Route[] = [
  { method: 'GET', path: '/who', handle: async ({ peer }) => ({ status: 200, body: String(peer) }) },
  { method: 'GET', path: '/hosts/:id', handle: async ({ params }) => ({ status: 200, body: `host ${params['id']}` }) },
  { method: 'GET', path: '/hosts/all', handle: async () => ({ status: 200, body: 'all' }) },
  {
    method: 'POST',
    path: '/echo',
    bodyBytesMax: 8,
    handle: async ({ body, headers }) => ({ status: 201, headers: { 'X-Type': headers['content-type'] ?? '' }, body }),
  },
  { method: 'GET', path: '/ticks', handle: async () => ({ status: 200, body: ticks() }) },
  { method: 'GET', path: '/file', handle: async () => ({ status: 200, body: { file: '/a', offset: 1, length: 2 } }) },
  { method: 'GET', path: '/never', handle: () => new Promise(() => {}) },
  { method: 'GET', path: '/bug', handle: () => Promise.reject(new Error('secret detail')) },
  { method: 'GET', path: '/meant', handle: () => Promise.reject(new RemudaError('host-claimed', 'the host is claimed')) },
];
const rack = async (more: Partial<MemoryHttpOptions> = {}) => {
  const network = new MemoryHttp({ clock: idleClock(), ...more });
  const server = network.at(ipv4('10.0.0.2'));
  const listener = await server.listen({ at: { address: ipv4('0.0.0.0'), port: 80 }, routes });
  return { network, server, listener, client: network.at(ipv4('10.0.0.1')) };
};

describe('answers', () => {
  const table: readonly (readonly [string, Partial<HttpCall>, number, string | RegExp])[] = [
    ['/who', {}, 200, '10.0.0.1'],
    ['/who', { method: 'HEAD' }, 200, ''],
    ['/hosts/a%20b', {}, 200, 'host a b'],
    ['/hosts/all', {}, 200, 'all'],
    ['/echo', { method: 'POST', body: 'hi' }, 201, 'hi'],
    ['/echo', { method: 'POST', body: 'much too long' }, 413, /too-large/],
    ['/ticks', {}, 200, 'one two three'],
    ['/none', {}, 404, /not-found/],
    ['/who', { method: 'DELETE' }, 405, /not possible/],
    ['/bug', {}, 500, /internal/],
    ['/meant', {}, 409, /host-claimed/],
  ];
  for (const [path, more, status, body] of table)
    test(`${more.method ?? 'GET'} ${path} ${more.body === undefined ? '' : String(more.body)}: ${status}`, async () => {
      const { client } = await rack();
      const answer = await client.call(call(`http://10.0.0.2${path}`, more));
      assert.equal(answer.status, status);
      if (typeof body === 'string') assert.equal(text(answer.body), body);
      else assert.match(text(answer.body), body);
      assert.ok(!text(answer.body).includes('secret detail'));
    });
  test('headers have lower-case names both ways', async () => {
    const { client } = await rack();
    const answer = await client.call(call('http://10.0.0.2/echo', { method: 'POST', headers: { 'Content-Type': 'a/b' } }));
    assert.equal(answer.headers['x-type'], 'a/b');
  });
  test('a part of a file', async () => {
    const { client } = await rack({
      files: { read: async (path, range) => new TextEncoder().encode(`${path} ${range?.offset} ${range?.length}`) },
    });
    assert.equal(text((await client.call(call('http://10.0.0.2/file'))).body), '/a 1 2');
  });
  test('a stream, chunk by chunk', async () => {
    const { client } = await rack();
    const chunks = await Array.fromAsync(client.stream(call('http://10.0.0.2/ticks')), text);
    assert.deepEqual(chunks, ['one ', 'two ', 'three']);
    await fails(Array.fromAsync(client.stream(call('http://10.0.0.2/none'))), 'bmc-refused', /404/);
  });
  test('a Unix socket belongs to its host', async () => {
    const { network, server, client } = await rack();
    await server.listen({ at: { socket: '/run/x' }, routes });
    assert.equal(text((await server.call(call('http://localhost/who', { socket: '/run/x' }))).body), 'undefined');
    await fails(client.call(call('http://localhost/who', { socket: '/run/x' })), 'bmc-unreachable', /nothing listens/);
    assert.equal(text((await network.at(ipv4('10.0.0.2')).call(call('http://127.0.0.1/who'))).body), '10.0.0.2');
  });
  test('literal paths win over parameters whatever their order', () => {
    assert.equal(findRoute(routes, { method: 'GET', path: '/hosts/all' })?.route.path, '/hosts/all');
    assert.equal(findRoute(routes, { method: 'GET', path: '/hosts/' }), undefined);
  });
});

describe('failures', () => {
  test('nobody listens, and a port is given once', async () => {
    const { client, server, listener } = await rack();
    await fails(client.call(call('http://10.0.0.3/who')), 'bmc-unreachable', /refused/);
    await fails(server.listen({ at: { address: ipv4('0.0.0.0'), port: 80 }, routes }), 'bad-config', /in use/);
    await listener.close();
    await fails(client.call(call('http://10.0.0.2/who')), 'bmc-unreachable', /refused/);
  });
  test('no answer within the time of the call', async () => {
    const { client } = await rack();
    await fails(client.call(call('http://10.0.0.2/never')), 'bmc-unreachable', /within 1000 ms/);
  });
  test('the caller, the process and the listener end a call', async () => {
    const { network, client, listener } = await rack();
    const aborter = new AbortController();
    const aborted = client.call(call('http://10.0.0.2/never', { signal: aborter.signal }));
    aborter.abort(new Error('enough'));
    await assert.rejects(aborted, /enough/);
    const process = new AbortController();
    const dying = network.at(ipv4('10.0.0.4'), process.signal).call(call('http://10.0.0.2/never'));
    process.abort(new Error('crash'));
    await assert.rejects(dying, /crash/);
    const cut = client.call(call('http://10.0.0.2/never'));
    await listener.close();
    await fails(cut, 'bmc-unreachable', /cut/);
  });
  test('a process that ends takes its listeners along', async () => {
    const { network, client } = await rack();
    const process = new AbortController();
    await network.at(ipv4('10.0.0.4'), process.signal).listen({ at: { address: ipv4('10.0.0.4'), port: 80 }, routes });
    assert.equal((await client.call(call('http://10.0.0.4/who'))).status, 200);
    process.abort();
    await fails(client.call(call('http://10.0.0.4/who')), 'bmc-unreachable', /refused/);
  });
  test('more than the caller takes', async () => {
    const { client } = await rack();
    await fails(client.call(call('http://10.0.0.2/ticks', { replyBytesMax: 9 })), 'bmc-refused', /more than 9 bytes/);
  });
  test('the weather may lose the answer after the deed', async () => {
    const deeds: string[] = [];
    const carry: NonNullable<MemoryHttpOptions['carry']> = async ({ part, to }) => {
      deeds.push(`${part} ${to}`);
      if (part === 'answer') throw new Error('lost');
    };
    const { client } = await rack({ carry });
    await fails(client.call(call('http://10.0.0.2/who')), 'bmc-unreachable', /cut/);
    assert.deepEqual(deeds, ['request 10.0.0.2', 'answer 10.0.0.2']);
  });
});

describe('TLS', () => {
  test('a pinned certificate, any certificate, and none', async () => {
    const { network, client } = await rack();
    const owner = network.at(ipv4('10.0.0.5'));
    const identity = await owner.selfSigned('bmc');
    await owner.listen({ at: { address: ipv4('10.0.0.5'), port: 443 }, routes, identity });
    const url = 'https://10.0.0.5/who';
    assert.equal((await client.call(call(url, { fingerprint: identity.fingerprint.toUpperCase() }))).status, 200);
    assert.equal((await client.call(call(url, { insecure: true }))).status, 200);
    await fails(client.call(call(url)), 'bmc-untrusted', /SELF_SIGNED/);
    await fails(client.call(call(url, { fingerprint: 'ab' })), 'bmc-untrusted', /another certificate/);
    await fails(client.call(call('http://10.0.0.5:443/who')), 'bmc-unreachable', /cut/);
    await fails(client.call(call('https://10.0.0.2:80/who')), 'bmc-untrusted', /EPROTO/);
    assert.notEqual((await owner.selfSigned('bmc')).fingerprint, identity.fingerprint);
  });
});
