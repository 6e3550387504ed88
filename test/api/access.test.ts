/** Who comes in: roles over every route of the table, tokens that end, guesses, rates, and what of it stands on record. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { auditRowJson, newTokenJson, tokenJson } from '../../src/api/access-types.ts';
import { adminTable } from '../../src/api/admin-routes.ts';
import { mayAct, roles } from '../../src/api/route.ts';
import type { AdminRoute } from '../../src/api/route.ts';
import { itemsOf, problemJson } from '../../src/api/types.ts';
import { RemudaError } from '../../src/errors.ts';
import { fakeDeps } from './admin-rack.ts';
import { asking } from './asking.ts';

const table = adminTable(fakeDeps().deps);
const pathOf = (row: AdminRoute): string => row.path.replaceAll(/:\w+/g, 'nobody');
const bodyFor = ({ method }: AdminRoute): { readonly body?: unknown } => (method === 'GET' || method === 'DELETE' ? {} : { body: {} });
const codeOf = (answer: { json(): unknown }): string => problemJson.parse(answer.json()).code;

describe('every route of the table', () => {
  test('there are enough of them for this to mean something', () => {
    assert.ok(table.length > 25, `${table.length} routes`);
    assert.equal(new Set(table.map(({ id }) => id)).size, table.length, 'each has a name of its own');
    assert.deepEqual(
      table.filter(({ method, role }) => method !== 'GET' && (role === 'viewer' || role === 'anyone')),
      [],
      'who only looks changes nothing',
    );
    assert.deepEqual(
      table.filter(({ role }) => role === 'anyone').map(({ path }) => path),
      ['/healthz', '/readyz'],
    );
  });
  for (const row of table.filter(({ role, id }) => role !== 'anyone' && id !== 'streamEvents')) {
    const needs = row.role as (typeof roles)[number];
    for (const has of roles)
      test(`${row.method} ${row.path} ${mayAct(has, needs) ? 'hears' : 'refuses'} the role ${has}`, async () => {
        const { ask, tokenFor, rack, desk } = await asking();
        const answer = await ask(row.method, pathOf(row), { token: await tokenFor(has), ...bodyFor(row) });
        if (mayAct(has, needs)) return assert.ok(![401, 403].includes(answer.status), answer.text);
        assert.equal(answer.status, 403);
        assert.equal(codeOf(answer), 'forbidden');
        assert.match(answer.headers['www-authenticate'] ?? '', /insufficient_scope/);
        assert.deepEqual([rack.asked, desk.asked], [[], []]);
      });
    test(`${row.method} ${row.path} refuses who brings no token`, async () => {
      const { ask, rack, desk } = await asking();
      const answer = await ask(row.method, pathOf(row), { token: null, ...bodyFor(row) });
      assert.equal(answer.status, 401);
      assert.equal(codeOf(answer), 'unauthenticated');
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer realm="remuda"/);
      assert.deepEqual([rack.asked, desk.asked], [[], []]);
    });
  }
  test('health and readiness need no token, and readiness gives its reasons', async () => {
    const { ask, access } = await asking();
    assert.equal((await ask('GET', '/healthz', { token: null })).status, 200);
    assert.deepEqual((await ask('GET', '/readyz', { token: null })).json(), { ready: true, reasons: [] });
    access.reasons.push('the file vmlinuz is missing');
    const answer = await ask('GET', '/readyz', { token: null });
    assert.equal(answer.status, 503);
    assert.deepEqual(answer.json(), { ready: false, reasons: ['the file vmlinuz is missing'] });
  });
  test('a foreign name is refused with and without a token; a name of the configuration is heard', async () => {
    const { ask, tokenFor } = await asking();
    const token = await tokenFor('admin');
    const as = async (host: string) => (await ask('GET', '/v1/hosts', { token, headers: { host } })).status;
    assert.equal(await as('evil.example.com'), 400);
    assert.equal(await as('rack.example.com:7471'), 200);
  });
});

test('a file of the daemon\u2019s machine is imported by an admin alone, an image from elsewhere by an operator too', async () => {
  const { ask, tokenFor, desk } = await asking();
  const token = await tokenFor('operator');
  const refused = await ask('POST', '/v1/images', { token, body: { path: '/etc/shadow', name: 'a' } });
  assert.deepEqual([refused.status, codeOf(refused)], [403, 'forbidden']);
  assert.deepEqual(desk.asked, []);
  assert.equal((await ask('POST', '/v1/images', { token, body: { url: 'https://images.example/a', name: 'a' } })).status, 200);
  assert.equal((await ask('POST', '/v1/images', { token: await tokenFor('admin'), body: { path: '/a.raw', name: 'b' } })).status, 200);
});

describe('tokens', () => {
  test('one is shown once, works, is listed without its secret, and is revoked', async () => {
    const { ask, access } = await asking();
    const made = newTokenJson.parse((await ask('POST', '/v1/tokens', { body: { name: 'ci', role: 'viewer' } })).json());
    assert.match(made.token, /^remuda_[a-z0-9]{8}_[A-Za-z0-9_-]{43}$/);
    assert.equal((await ask('GET', '/v1/hosts', { token: made.token })).status, 200);
    const listed = await ask('GET', '/v1/tokens');
    const [one] = itemsOf(tokenJson).parse(listed.json()).items;
    assert.deepEqual([one?.name, one?.role, one?.lastUsedAt], ['ci', 'viewer', access.world.clock.now()]);
    const secret = made.token.split('_').slice(2).join('_');
    for (const hidden of [secret, access.records.tokenRows[0]?.hash ?? 'no hash']) assert.ok(!listed.text.includes(hidden));
    assert.ok(!JSON.stringify(access.records).includes(secret), 'not in the store');
    assert.equal((await ask('DELETE', '/v1/tokens/ci')).status, 200);
    const refused = await ask('GET', '/v1/hosts', { token: made.token });
    assert.equal(refused.status, 401);
    assert.match(refused.text, /was revoked/);
  });
  test('one that expires is good until then', async () => {
    const { ask, access } = await asking();
    const { token } = newTokenJson.parse(
      (await ask('POST', '/v1/tokens', { body: { name: 'ci', role: 'viewer', expiresInSeconds: 60 } })).json(),
    );
    await access.world.advance(59_999);
    assert.equal((await ask('GET', '/v1/hosts', { token })).status, 200);
    await access.world.advance(1);
    assert.match((await ask('GET', '/v1/hosts', { token })).text, /has expired/);
  });
  test('what is nearly a token is none, and says nothing about which part was right', async () => {
    const { ask, tokenFor } = await asking();
    const token = await tokenFor('admin');
    const last = token.endsWith('A') ? 'B' : 'A';
    const texts = [];
    for (const wrong of [token.slice(0, -1) + last, `remuda_bcdfghjk_${'A'.repeat(43)}`, `${token}x`, 'x', token.toUpperCase()]) {
      const answer = await ask('GET', '/v1/hosts', { token: wrong });
      assert.equal(answer.status, 401, wrong);
      texts.push(problemJson.parse(answer.json()).detail);
    }
    assert.equal(new Set(texts).size, 1);
  });
  test('guessing is slowed down and counted, and a good token still comes in', async () => {
    const { ask, tokenFor, access } = await asking({ apiRefusalsBurst: 3, apiRefusalsPerMinute: 6 });
    const token = await tokenFor('viewer');
    const seen = [];
    for (let guess = 0; guess < 5; guess++) seen.push((await ask('GET', '/v1/hosts', { token: 'guess' })).status);
    assert.deepEqual(seen, [401, 401, 401, 429, 429]);
    const late = await ask('GET', '/v1/hosts', { token: 'guess' });
    assert.equal(late.headers['retry-after'], '10');
    assert.equal((await ask('GET', '/v1/hosts', { token })).status, 200);
    assert.equal(access.meter.counted.get('api_refusals unauthenticated'), 3);
    assert.equal(access.meter.counted.get('api_refusals rate-limited'), 3);
    await access.world.advance(10_000);
    assert.equal((await ask('GET', '/v1/hosts', { token: 'guess' })).status, 401);
  });
});

describe('rates', () => {
  test('one token above its rate waits, another does not; the socket is not counted', async () => {
    const { ask, tokenFor, access } = await asking({ apiRequestsBurst: 2, apiRequestsPerSecond: 1 });
    const [one, other] = [await tokenFor('viewer', 'one'), await tokenFor('viewer', 'other')];
    const status = async (token: string) => (await ask('GET', '/v1/hosts', { token })).status;
    assert.deepEqual([await status(one), await status(one), await status(one), await status(other)], [200, 200, 429, 200]);
    for (let times = 0; times < 5; times++) assert.equal((await ask('GET', '/v1/hosts')).status, 200);
    await access.world.advance(1000);
    assert.equal(await status(one), 200);
  });
  test('requests that stay have seats, and give them back', async () => {
    const { ask, rack, tokenFor } = await asking({ apiHeldPerCallerMax: 1 });
    const token = await tokenFor('viewer');
    const waiting = Promise.withResolvers<void>();
    rack.onWait = () => waiting.promise;
    const poll = (who?: string) => ask('GET', '/v1/hosts/h1/timeline?after=0&waitMs=1000', who === undefined ? {} : { token: who });
    const first = poll(token);
    const second = await poll(token);
    assert.equal(second.status, 429);
    assert.equal(codeOf(second), 'rate-limited');
    waiting.resolve();
    assert.equal((await first).status, 200);
    assert.equal((await poll(token)).status, 200);
  });
});

describe('the audit log', () => {
  const rowsOf = async (ask: Awaited<ReturnType<typeof asking>>['ask'], query = '') =>
    itemsOf(auditRowJson).parse((await ask('GET', `/v1/audit${query}`)).json()).items;
  test('tells who changed what, how it ended, and in which request', async () => {
    const { ask, rack, tokenFor } = await asking();
    const token = await tokenFor('operator', 'ci');
    const held = await ask('POST', '/v1/hosts/h1/hold', { token, body: { why: 'a new fan' } });
    rack.refuse = { code: 'state-conflict', message: 'not now' };
    await ask('POST', '/v1/hosts/h1/retry', { body: {}, headers: { 'x-remuda-user': 'ann' } });
    await ask('GET', '/v1/hosts');
    const rows = await rowsOf(ask);
    assert.deepEqual(
      rows.map(({ actor, action, subject, outcome }) => [actor, action, subject, outcome]),
      [
        ['ann', 'retryHost', 'h1', 'state-conflict'],
        ['ci', 'holdHost', 'h1', 'ok'],
      ],
    );
    assert.equal(rows[1]?.detail?.['request'], held.headers['x-request-id']);
  });
  test('a dry run stands there as one: its outcome is not that of a change', async () => {
    const { ask, rack } = await asking();
    await ask('POST', '/v1/claims', { body: { image: 'debian', dryRun: true } });
    await ask('PUT', '/v1/claims/c-h1', { body: { image: 'debian' } });
    await ask('DELETE', '/v1/claims/c-h1?dryRun=true');
    await ask('POST', '/v1/claims/c-h1/reprovision', { body: { image: 'debian', dryRun: true } });
    await ask('POST', '/v1/enrolments', { body: { hosts: [{ name: 'h2' }], dryRun: true } });
    rack.refuse = { code: 'claim-not-found', message: 'no such claim' };
    await ask('DELETE', '/v1/claims/c-h1?dryRun=true');
    await ask('DELETE', '/v1/claims/c-h1');
    const dry = (action: string, outcome = 'dry-run') => [action, outcome, true];
    assert.deepEqual(
      (await rowsOf(ask)).map(({ action, outcome, detail }) => [action, outcome, detail?.['dryRun']]),
      [
        ['releaseClaim', 'ok', undefined],
        dry('releaseClaim', 'claim-not-found'),
        dry('enrolHosts'),
        dry('reprovisionClaim'),
        dry('releaseClaim'),
        ['putClaim', 'ok', undefined],
        dry('createClaim'),
      ],
    );
  });
  test('what cannot be recorded is not done', async () => {
    const { ask, rack, access } = await asking();
    access.records.fails = new RemudaError('disk-full', 'no room');
    assert.equal((await ask('POST', '/v1/hosts/h1/hold', { body: { why: 'w' } })).status, 507);
    assert.deepEqual(rack.asked, []);
  });
  test('refused attempts stand there too, but never so many that they push out the rest', async () => {
    const { ask, tokenFor, access } = await asking({ auditRefusalsBurst: 2, auditRefusalsPerMinute: 1, apiRefusalsBurst: 100 });
    const token = await tokenFor('viewer', 'eve');
    for (let times = 0; times < 10; times++) await ask('POST', '/v1/hosts/h1/hold', { token, body: { why: 'w' } });
    assert.deepEqual(
      (await rowsOf(ask)).map(({ actor, action, outcome }) => [actor, action, outcome]),
      [
        ['eve', 'holdHost', 'forbidden'],
        ['eve', 'holdHost', 'forbidden'],
      ],
    );
    await access.world.advance(60_000);
    await ask('GET', '/v1/hosts', { token: null });
    const [newest] = await rowsOf(ask);
    assert.deepEqual([newest?.actor, newest?.outcome, newest?.detail?.['refusedBeforeUnrecorded']], ['anonymous', 'unauthenticated', 8]);
  });
  test('comes in pages, newest first', async () => {
    const { ask } = await asking();
    for (const why of ['1', '2', '3']) await ask('POST', '/v1/hosts/h1/hold', { body: { why } });
    const first = (await ask('GET', '/v1/audit?limit=2')).json() as { items: { seq: number }[]; next?: string };
    assert.deepEqual(
      first.items.map(({ seq }) => seq),
      [3, 2],
    );
    const second = (await ask('GET', `/v1/audit?limit=2&cursor=${first.next ?? ''}`)).json() as typeof first;
    assert.deepEqual([second.items.map(({ seq }) => seq), second.next], [[1], undefined]);
  });
});

describe('a refusal', () => {
  test('is a problem with a stable type, the request it was, and values without secrets', async () => {
    const { ask, rack } = await asking();
    rack.port.hold = async () => {
      throw new RemudaError('bmc-refused', 'no', {
        values: {
          host: 'h1',
          password: 'hunter2',
          url: 'https://u:hunter2@10.0.0.5/x',
          deep: { token: 'hunter2', disks: [{ path: '/dev/vda' }] },
        },
      });
    };
    const answer = await ask('POST', '/v1/hosts/h1/hold', { body: { why: 'w' } });
    const problem = problemJson.parse(answer.json());
    assert.equal(problem.type, 'urn:remuda:problem:bmc-refused');
    assert.equal(problem.instance, `urn:remuda:request:${answer.headers['x-request-id'] ?? ''}`);
    assert.deepEqual(problem.values, { host: 'h1', url: 'https://10.0.0.5/x', deep: { disks: [{ path: '/dev/vda' }] } });
    assert.doesNotMatch(answer.text, /hunter2/);
  });
  test('of what nobody meant says nothing, and the log says all', async () => {
    const { ask, rack, access } = await asking();
    rack.port.hold = async () => {
      throw new Error('boom: /etc/shadow');
    };
    const answer = await ask('POST', '/v1/hosts/h1/hold', { body: { why: 'w' } });
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /shadow/);
    const line = access.world.logged.find(({ level }) => level === 'error');
    assert.equal(line?.fields['request'], answer.headers['x-request-id']);
  });
});
