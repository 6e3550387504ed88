/** The admin API against a fake rack: what each path asks of it and answers, what it refuses, and what it never shows. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { adminRoutes } from '../../src/api/admin-routes.ts';
import {
  claimJson,
  dryRunJson,
  hostJson,
  imageDetailJson,
  imageJson,
  itemsOf,
  leaseJson,
  problemJson,
  timelineJson,
} from '../../src/api/types.ts';
import { statusJson } from '../../src/api/access-types.ts';
import { limits } from '../../src/limits.ts';
import type { Method } from '../../src/world/world.ts';
import { MemoryHttp, ipv4 } from '../world/memory-http.ts';
import { bareHost, claimOn, digest, fakeDeps, image, now, readyHost } from './admin-rack.ts';

const stillClock = {
  now: () => now,
  sleep: () => Promise.resolve(),
  after: () => () => {},
  soon: (run: () => void) => queueMicrotask(run),
};
interface Sent {
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
/** The routes on a Unix socket in memory, and how to ask them. */
const served = async () => {
  const fakes = fakeDeps();
  const network = new MemoryHttp({ clock: stillClock });
  const http = network.at(ipv4('127.0.0.1'));
  const routes = adminRoutes(fakes.deps);
  await http.listen({ at: { socket: '/run/r.sock' }, routes });
  await http.listen({ at: { address: ipv4('127.0.0.1'), port: 7470 }, routes });
  const call = async (method: Method, path: string, sent: Sent = {}, socket = true) => {
    const body = sent.raw ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body));
    const answer = await http.call({
      method,
      url: socket ? `http://remuda${path}` : `http://127.0.0.1:7470${path}`,
      ...(socket ? { socket: '/run/r.sock' } : {}),
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...sent.headers },
      ...(body === undefined ? {} : { body }),
      timeoutMs: 1000,
      replyBytesMax: 1024 * 1024,
    });
    const text = new TextDecoder().decode(answer.body);
    return { status: answer.status, text, json: (): unknown => JSON.parse(text), type: answer.headers['content-type'] };
  };
  return { ...fakes, call };
};
const linesOf = (text: string): unknown[] =>
  text
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

describe('what each change asks of the rack', () => {
  const intent = { image: 'debian', hostName: 'web-1', userData: '#cloud-config' };
  const bmc = { url: 'https://10.0.0.9', username: 'root', password: 'p' };
  const cases: readonly { path: string; method?: Method; body?: unknown; status?: number; asked: readonly unknown[]; claimed?: boolean }[] =
    [
      {
        path: '/v1/hosts',
        body: { name: 'h2', bmc },
        status: 201,
        asked: ['enrol', { name: 'h2', macs: [], bmc: { protocol: 'redfish', ...bmc } }, 'ann'],
      },
      { path: '/v1/hosts/h1/accept', body: { bmc }, asked: ['accept', 'h1', { bmc: { protocol: 'redfish', ...bmc } }, 'ann'] },
      { path: '/v1/hosts/h1/power', body: { power: 'off' }, asked: ['power', 'h1', 'off', 'ann'] },
      { path: '/v1/hosts/h1/hold', body: { why: 'a new fan' }, asked: ['hold', 'h1', 'a new fan', 'ann'] },
      { path: '/v1/hosts/h1/unhold', body: {}, asked: ['unhold', 'h1', 'ann'] },
      { path: '/v1/hosts/h1/retry', body: {}, asked: ['retry', 'h1', 'ann'] },
      { path: '/v1/hosts/h1/reprovision', body: intent, asked: ['reprovision', 'c-h1', intent, 'ann'], claimed: true },
      { path: '/v1/claims/c-h1/reprovision', body: intent, asked: ['reprovision', 'c-h1', intent, 'ann'], claimed: true },
      { path: '/v1/claims/c-h1', method: 'DELETE', asked: ['release', 'c-h1', 'ann'], claimed: true },
      {
        path: '/v1/claims/c-h1?reserveFor=ns%2Fmd-0&reserveSeconds=60',
        method: 'DELETE',
        asked: ['release', 'c-h1', 'ann', { reserve: { for: 'ns/md-0', seconds: 60 } }],
        claimed: true,
      },
      { path: '/v1/hosts/h1/unreserve', body: {}, asked: ['unreserve', 'h1', 'ann'] },
      { path: '/v1/hosts/h1', method: 'DELETE', status: 204, asked: ['forget', 'h1', 'ann'] },
      {
        path: '/v1/claims',
        body: { ...intent, host: 'h1', disk: { serial: 'h1-d0' }, id: 'c1', owner: 'team-a' },
        status: 201,
        asked: [
          'claim',
          { ...intent, host: 'h1', disk: { serial: 'h1-d0' }, id: 'c1', owner: 'team-a', dryRun: false, waitSeconds: 0 },
          'ann',
        ],
      },
    ];
  for (const { path, method = 'POST', body, status = 200, asked, claimed = false } of cases)
    test(`${method} ${path}`, async () => {
      const { rack, call } = await served();
      if (claimed) rack.put(claimOn(readyHost('h1')));
      const answer = await call(method, path, { body, headers: { 'x-remuda-user': 'ann' } });
      assert.equal(answer.status, status, answer.text);
      const [one] = rack.asked;
      assert.deepEqual([one?.verb, ...(one?.args ?? [])], asked);
      if (status === 204) assert.equal(answer.text, '');
      else if (!path.endsWith('power')) hostJson.parse(answer.json());
    });
  test('user data of the full size arrives, however long JSON makes it', async () => {
    const { call } = await served();
    const userData = '\u0000'.repeat(limits.userDataBytes);
    for (const [path, status] of [
      ['/v1/claims', 201],
      ['/v1/hosts/h1/reprovision', 200],
      ['/v1/claims/c-h1/reprovision', 200],
    ] as const)
      assert.equal((await call('POST', path, { body: { image: 'debian', userData } })).status, status, path);
    assert.equal((await call('POST', '/v1/hosts/h1/hold', { body: { why: userData } })).status, 413);
  });
  test('who does not say a plausible name is "operator"', async () => {
    const { rack, call } = await served();
    await call('POST', '/v1/hosts/h1/retry', { body: {}, headers: { 'x-remuda-user': 'a\u001b[2J' } });
    assert.deepEqual(rack.asked[0]?.args, ['h1', 'operator']);
  });
  test('a dry run changes nothing and answers with each disk', async () => {
    const { rack, call } = await served();
    const answer = await call('POST', '/v1/claims', { body: { image: 'debian', dryRun: true } });
    assert.equal(answer.status, 200);
    const [run] = itemsOf(dryRunJson).parse(answer.json()).items;
    assert.deepEqual(
      run?.disks.map(({ fate }) => fate),
      ['overwritten', 'untouched'],
    );
    assert.deepEqual(
      rack.asked.map(({ verb }) => verb),
      ['dryRun'],
    );
  });
});

describe('what each path tells', () => {
  test('hosts, one host, claims, one claim, leases, status, health', async () => {
    const { rack, call } = await served();
    rack.put(claimOn(readyHost('h1')), { doing: 'writing', progress: { step: 'write', done: 1, total: 4 } });
    const hosts = itemsOf(hostJson).parse((await call('GET', '/v1/hosts')).json()).items;
    assert.deepEqual(hosts[0]?.progress, { step: 'write', done: 1, total: 4 });
    const host = hostJson.parse((await call('GET', '/v1/hosts/h1')).json());
    assert.equal(host.claim?.hasUserData, true);
    assert.equal(host.bmc?.username, 'admin');
    assert.equal(itemsOf(claimJson).parse((await call('GET', '/v1/claims')).json()).items.length, 1);
    assert.equal(claimJson.parse((await call('GET', '/v1/claims/c-h1')).json()).host.name, 'h1');
    assert.equal(itemsOf(leaseJson).parse((await call('GET', '/v1/leases')).json()).items[0]?.host?.name, 'h1');
    statusJson.parse((await call('GET', '/v1/status')).json());
    assert.deepEqual((await call('GET', '/healthz')).json(), { status: 'ok' });
  });
  test('what an owner has the OS told in its meta-data, and nothing of it where nothing is told', async () => {
    const { rack, call } = await served();
    const held = claimOn(readyHost('h1'));
    const metaData = { provider_id: 'x://1', tags: ['a', 'b'] };
    assert.ok(held.claim !== null);
    rack.put({ ...held, claim: { ...held.claim, intent: { ...held.claim.intent, metaData } } });
    assert.deepEqual(claimJson.parse((await call('GET', '/v1/claims/c-h1')).json()).metaData, metaData);
    rack.put(held);
    assert.equal('metaData' in claimJson.parse((await call('GET', '/v1/claims/c-h1')).json()), false);
    const refused = await call('POST', '/v1/claims', { body: { image: 'debian', metaData: { 'local-hostname': 'eve' } } });
    assert.equal(refused.status, 400);
    assert.match(JSON.stringify(refused.json()), /local-hostname/);
  });
  test('a released claim whose host is being cleaned says so', async () => {
    const { rack, call } = await served();
    rack.put({
      ...claimOn(readyHost('h1')),
      state: 'cleaning',
      claim: null,
      release: { claimId: 'c9', generation: 1, disk: { path: '/dev/vda', sizeBytes: 1 }, at: now },
    });
    const answer = await call('GET', '/v1/claims/c9');
    assert.equal(answer.status, 404);
    assert.match(problemJson.parse(answer.json()).detail, /released; its host h1 is being cleaned/);
  });
});

describe('what is refused', () => {
  const bad: readonly { name: string; path: string; sent: Sent; says: RegExp; method?: Method }[] = [
    { name: 'an unknown field', path: '/v1/hosts', sent: { body: { name: 'h2', colour: 'red' } }, says: /unknown field colour/ },
    {
      name: 'an unknown inner field',
      path: '/v1/hosts',
      sent: { body: { name: 'h2', bmc: { url: 'http://a', username: 'u', password: 'p', x: 1 } } },
      says: /unknown field bmc\.x/,
    },
    {
      name: 'a wrong type, by its path',
      path: '/v1/hosts',
      sent: { body: { name: 'h2', bmc: { url: 'http://a', username: 7, password: 'p' } } },
      says: /bmc\.username: /,
    },
    {
      name: 'a bad MAC, by its path',
      path: '/v1/hosts',
      sent: { body: { name: 'h2', macs: ['52:54:00:00:00:02', 'x'] } },
      says: /macs\.1: a MAC address like/,
    },
    {
      name: 'a password in the URL',
      path: '/v1/hosts',
      sent: { body: { name: 'h2', bmc: { url: 'http://u:p@a', username: 'u', password: 'p' } } },
      says: /bmc\.url: .* not in the URL/,
    },
    {
      name: 'a password in the URL of an accept',
      path: '/v1/hosts/h1/accept',
      sent: { body: { bmc: { url: 'http://u@a', username: 'u', password: 'p' } } },
      says: /not in the URL/,
    },
    { name: 'an image that is missing', path: '/v1/claims', sent: { body: {} }, says: /image: / },
    { name: 'an empty disk rule', path: '/v1/claims', sent: { body: { image: 'i', disk: {} } }, says: /disk: name the disk by/ },
    {
      name: 'a hostname that is none',
      path: '/v1/claims',
      sent: { body: { image: 'i', hostName: 'Web 1' } },
      says: /hostName: a host name/,
    },
    { name: 'a power that is none', path: '/v1/hosts/h1/power', sent: { body: { power: 'warp' } }, says: /power: / },
    { name: 'a body where none belongs', path: '/v1/hosts/h1/retry', sent: { body: { now: true } }, says: /unknown field now/ },
    { name: 'no JSON', path: '/v1/hosts', sent: { raw: '{"name":' }, says: /the body is not JSON/ },
    {
      name: 'a form from another site',
      path: '/v1/hosts/h1/retry',
      sent: { raw: '{}', headers: { 'content-type': 'text/plain' } },
      says: /content-type: application\/json/,
    },
    { name: 'a relative path', path: '/v1/images', sent: { body: { path: 'a.raw', name: 'a' } }, says: /path: an absolute path/ },
    { name: 'a cursor that is none', method: 'GET', path: '/v1/hosts/h1/timeline?after=-1', sent: {}, says: /the query: after: a number/ },
    { name: 'too much at once', method: 'GET', path: '/v1/hosts/h1/timeline?most=100000', sent: {}, says: /the query: most: / },
    { name: 'too long a wait', method: 'GET', path: '/v1/hosts/h1/timeline?waitMs=3600000', sent: {}, says: /the query: waitMs: / },
    { name: 'an unknown question', method: 'GET', path: '/v1/hosts/h1/timeline?since=1', sent: {}, says: /unknown field since/ },
    { name: 'a question twice', method: 'GET', path: '/v1/hosts/h1/timeline?most=1&most=2', sent: {}, says: /"most" is given twice/ },
  ];
  for (const { name, path, sent, says, method = 'POST' } of bad)
    test(name, async () => {
      const { rack, call } = await served();
      const answer = await call(method, path, sent);
      assert.equal(answer.status, 400, answer.text);
      const problem = problemJson.parse(answer.json());
      assert.equal(problem.code, 'bad-request');
      assert.match(problem.detail, says);
      assert.deepEqual(rack.asked, []);
    });

  const refused = [
    ['host-claimed', 409, 'POST', '/v1/claims', { image: 'debian' }],
    ['disk-ambiguous', 422, 'POST', '/v1/claims', { image: 'debian' }],
    ['bmc-unreachable', 502, 'POST', '/v1/hosts/h1/power', { power: 'on' }],
    ['version-conflict', 409, 'POST', '/v1/hosts/h1/hold', { why: 'w' }],
    ['host-claimed', 409, 'DELETE', '/v1/hosts/h1', undefined],
  ] as const;
  for (const [code, status, method, path, body] of refused)
    test(`the rack's own ${code} on ${method} ${path} keeps its status and sentence`, async () => {
      const { rack, call } = await served();
      rack.refuse = { code, message: 'the reason' };
      const answer = await call(method, path, { body });
      assert.equal(answer.status, status);
      assert.equal(answer.type, 'application/problem+json');
      const { code: told, detail } = problemJson.parse(answer.json());
      assert.deepEqual([told, detail], [code, 'the reason']);
    });
  for (const path of ['/v1/hosts/nobody', '/v1/hosts/nobody/timeline', '/v1/claims/none', '/v1/images/none'])
    test(`GET ${path} is not found`, async () => {
      const { call } = await served();
      assert.equal((await call('GET', path)).status, 404);
    });
  test('reprovision of a host without a claim', async () => {
    const { rack, call } = await served();
    const answer = await call('POST', '/v1/hosts/h1/reprovision', { body: { image: 'debian' } });
    assert.equal(answer.status, 409);
    assert.match(problemJson.parse(answer.json()).detail, /no claim holds it/);
    assert.deepEqual(rack.asked, []);
  });
  for (const socket of [false, true])
    test(`a foreign name (DNS rebinding), while addresses and plain names are heard: ${socket ? 'Unix socket' : 'TCP'}`, async () => {
      const { call } = await served();
      const as = async (host: string): Promise<number> => (await call('GET', '/v1/hosts', { headers: { host } }, socket)).status;
      assert.equal(await as('evil.example.com'), 400);
      assert.equal(await as('evil.example.com:7470'), 400);
      assert.equal(await as('127.0.0.1.evil.example'), 400);
      for (const host of ['127.0.0.1:7470', '[::1]:7470', 'localhost:7470', 'remuda']) assert.equal(await as(host), 200, host);
    });
});

describe('the timeline', () => {
  test('newest first asked, then on from the cursor', async () => {
    const { rack, call } = await served();
    for (const text of ['one', 'two', 'three']) rack.happen('h-h1', text);
    const first = timelineJson.parse((await call('GET', '/v1/hosts/h1/timeline?most=2')).json());
    assert.deepEqual(
      first.items.map(({ text }) => text),
      ['two', 'three'],
    );
    rack.happen('h-h1', 'four');
    const next = timelineJson.parse((await call('GET', `/v1/hosts/h1/timeline?after=${first.next}`)).json());
    assert.deepEqual(
      next.items.map(({ text }) => text),
      ['four'],
    );
    const none = timelineJson.parse((await call('GET', `/v1/hosts/h1/timeline?after=${next.next}`)).json());
    assert.deepEqual(none, { items: [], next: next.next });
    assert.deepEqual(rack.asked, [], 'without waitMs nobody waits');
  });
  test('waits for a change, and answers with what came', async () => {
    const { rack, call } = await served();
    rack.onWait = async () => void rack.happen('h-h1', 'came later');
    const { items } = timelineJson.parse((await call('GET', '/v1/hosts/h1/timeline?after=0&waitMs=20000')).json());
    assert.deepEqual(
      items.map(({ text }) => text),
      ['came later'],
    );
    assert.deepEqual(rack.asked, [{ verb: 'changed', args: [20_000] }]);
  });
  test('what is there already is not waited for', async () => {
    const { rack, call } = await served();
    rack.onWait = () => new Promise(() => {});
    rack.happen('h-h1', 'there');
    const { items } = timelineJson.parse((await call('GET', '/v1/hosts/h1/timeline?after=0&waitMs=20000')).json());
    assert.equal(items.length, 1);
  });
});

describe('images', () => {
  test('list and show', async () => {
    const { call } = await served();
    assert.equal(itemsOf(imageJson).parse((await call('GET', '/v1/images')).json()).items[0]?.name, 'debian');
    const shown = imageDetailJson.parse((await call('GET', `/v1/images/${digest}`)).json());
    assert.deepEqual([shown.chunks, shown.zeroChunks], [2, 1]);
  });
  test('an import streams its progress and ends with the image', async () => {
    const { desk, call } = await served();
    const answer = await call('POST', '/v1/images', { body: { path: '/a.raw', name: 'new', phoneHome: 'none' } });
    assert.equal(answer.status, 200);
    assert.equal(answer.type, 'application/x-ndjson');
    const lines = linesOf(answer.text);
    assert.deepEqual(lines[0], { progress: { doneBytes: 1, totalBytes: 2 } });
    assert.equal((lines.at(-1) as { result: { name: string } }).result.name, 'new');
    assert.deepEqual(desk.asked[0]?.args[0], { file: '/a.raw' });
  });
  test('an import refused at once keeps its status; one that fails on its way ends with the error', async () => {
    const { desk, call } = await served();
    desk.work = () => Promise.reject(Object.assign(new Error('boom: /etc/shadow')));
    const early = await call('POST', '/v1/images', { body: { path: '/a', name: 'a' } });
    assert.equal(early.status, 500);
    assert.doesNotMatch(early.text, /shadow/);
    desk.work = async (onProgress) => {
      onProgress({ doneBytes: 1 });
      await Promise.resolve();
      await Promise.resolve();
      throw new Error('boom: /etc/shadow');
    };
    const late = linesOf((await call('POST', '/v1/images', { body: { path: '/a', name: 'a' } })).text);
    assert.deepEqual(
      late.map((line) => Object.keys(line as object)),
      [['progress'], ['error']],
    );
    assert.doesNotMatch(JSON.stringify(late), /shadow/);
  });
  test('much progress for a slow reader becomes little, and the end comes all the same', async () => {
    const { desk, call } = await served();
    desk.work = async (onProgress) => {
      for (let doneBytes = 1; doneBytes <= 10_000; doneBytes++) onProgress({ doneBytes });
    };
    const lines = linesOf((await call('POST', '/v1/images', { body: { path: '/a', name: 'a' } })).text);
    assert.ok(lines.length < 10, `${lines.length} lines`);
    assert.ok('result' in (lines.at(-1) as object));
  });
  test('verify tells what is damaged', async () => {
    const { desk, call } = await served();
    desk.damaged = true;
    const lines = linesOf((await call('POST', '/v1/images/debian/verify', { body: {} })).text);
    assert.deepEqual((lines.at(-1) as { result: { ok: boolean; faults: unknown } }).result.faults, [
      { index: 1, sha256: null, offsetBytes: 4096, reason: 'its hash is another' },
    ]);
    assert.deepEqual(desk.asked[0]?.args, [digest]);
  });
  test('the last name of a claimed image stays; another name of it may go', async () => {
    const { rack, desk, call } = await served();
    rack.put(claimOn(readyHost('h1')));
    const refused = await call('DELETE', '/v1/images/debian');
    assert.equal(refused.status, 409);
    assert.match(problemJson.parse(refused.json()).detail, /wanted by the claims of h1/);
    assert.equal(desk.asked.length, 0);
    desk.entries.push(image('stable'));
    assert.equal((await call('DELETE', '/v1/images/debian')).status, 204);
    assert.deepEqual(desk.asked[0]?.args, ['debian']);
  });
});

test('no path ever shows a password or user data, whatever they are', async () => {
  // Characters that JSON writes as themselves, long enough not to occur by chance.
  const secret = fc
    .string({ unit: fc.constantFrom('a', 'b', 'm', 'x', 'Y', 'Z', '0', '7', '9', '%', '_', '-'), minLength: 14, maxLength: 40 })
    .map((text) => `S~${text}`);
  await fc.assert(
    fc.asyncProperty(secret, secret, async (password, userData) => {
      const { rack, call } = await served();
      const host = claimOn(readyHost('h1', password), {}, userData);
      rack.put({
        ...host,
        bmc: { protocol: 'redfish', username: 'admin', password, url: `https://u:${encodeURIComponent(password)}@10.0.0.5` },
      });
      rack.put(bareHost('h3', 'discovered'));
      rack.happen(host.id, 'claimed', { data: { claim: 'c', userData, deep: [{ password, Token: userData }] } });
      const bmc = { url: 'https://10.0.0.9', username: 'root', password };
      const asks: readonly [Method, string, Sent?][] = [
        ['GET', '/v1/hosts'],
        ['GET', '/v1/hosts/h1'],
        ['GET', '/v1/hosts/h1/timeline'],
        ['GET', '/v1/claims'],
        ['GET', '/v1/claims/c-h1'],
        ['GET', '/v1/images'],
        ['GET', '/v1/leases'],
        ['GET', '/v1/status'],
        ['POST', '/v1/hosts', { body: { name: 'h2', bmc } }],
        ['POST', '/v1/hosts', { body: { name: 'NOT A NAME', bmc } }],
        ['POST', '/v1/hosts', { body: { name: 'h2', bmc: { ...bmc, password: { inner: password } } } }],
        ['POST', '/v1/hosts', { body: { name: 'h2', bmc: { ...bmc, url: password } } }],
        ['POST', '/v1/hosts', { raw: `{"password": ${password}` }],
        ['POST', '/v1/hosts', { raw: password }],
        ['POST', '/v1/hosts/h3/accept', { body: { bmc } }],
        ['POST', '/v1/hosts/h1/hold', { body: { why: 'w' } }],
        ['POST', '/v1/hosts/h1/reprovision', { body: { image: 'debian', userData } }],
        ['POST', '/v1/claims', { body: { image: 'debian', userData: [userData] } }],
        ['POST', '/v1/claims', { body: { image: 'debian', host: 'h2', userData } }],
        ['POST', '/v1/claims', { body: { image: 'debian', userData, dryRun: true } }],
        ['DELETE', '/v1/claims/c-h1'],
      ];
      for (const [method, path, sent] of asks) {
        const { text } = await call(method, path, sent ?? {});
        for (const forbidden of [password, userData, encodeURIComponent(password)])
          assert.ok(!text.includes(forbidden), `${method} ${path} shows a secret: ${text}`);
      }
    }),
    { numRuns: 50 },
  );
});
