/** Tokens, the audit log, events, status, reload, the description of the API: the commands about the daemon itself. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bench } from './bench.ts';

const env = { NO_COLOR: '1' };
describe('tokens', () => {
  test('made: the token alone on standard output, what it is on standard error; then only its name', async () => {
    const { run } = await bench();
    const { exit, out, err } = await run('token create ci --role operator --expires 90d');
    assert.equal(exit, 0);
    assert.match(out, /^remuda_[A-Za-z0-9]+_\S+\n$/);
    assert.match(err, /^token \S+ of ci, operator: keep it, it is not shown again/);
    const list = await run('tokens ls');
    assert.match(list.out, /^ID +NAME +ROLE +GOOD +MADE +LAST USED\n\S+ +ci +operator +\S/);
    assert.ok(!list.out.includes(out.trim()));
    assert.equal((await run('token list -q')).out, 'ci\n');
    assert.match((await run('token revoke ci')).out, /^token \S+ of ci is revoked\n$/);
    assert.match((await run('token list')).out, /ci +operator +revoked /);
  });
  test('revoking is asked about, a wrong role and time are usage', async () => {
    const { run } = await bench();
    await run('token create ci');
    const { exit, err } = await run('token revoke ci', { tty: true, answers: ['n'], env });
    assert.equal(exit, 1);
    assert.match(err, /Whoever uses token ci is shut out at once/);
    assert.equal((await run('token create x --role king')).exit, 2);
    assert.equal((await run('token create x --expires someday')).exit, 2);
    assert.equal((await run('token revoke nobody')).exit, 1);
  });
});

test('audit: what was asked, by whom, newest first', async () => {
  const { run } = await bench();
  await run('host hold h1 --why fan', { env: { USER: 'ann' } });
  await run('token create ci', { env: { USER: 'bob' } });
  const { out, exit } = await run('audit');
  assert.equal(exit, 0);
  assert.match(out, /^WHEN +WHO +ACTION +ON +OUTCOME +DETAIL\n[^\n]* bob +createToken +ci +ok[^]*\n[^\n]* ann +holdHost +h1 +ok/);
  assert.equal(((await run('audit --json --most 1')).json() as { items: unknown[] }).items.length, 1);
});

test('audit: a dry run is no change, also where it was refused', async () => {
  const { run, rack } = await bench();
  await run('claim create --image debian --host h1 --dry-run');
  rack.refuse = { code: 'no-host-fits', message: 'none fits' };
  await run('claim create --image debian --dry-run');
  const { out } = await run('audit');
  assert.match(
    out,
    / createClaim +- +no-host-fits, dry run +request \S+, peer socket\n[^\n]* createClaim +h1 +dry run +request \S+, peer socket\n/,
  );
});

describe('events', () => {
  test('lines of the timeline with their host, until the person ends it; with --json one object a line', async () => {
    for (const [flag, says] of [
      ['', /h1: phoned home\n/],
      ['--json', /^\{"event":"timeline","id":"1","data":\{.*phoned home/],
    ] as const) {
      const { rack, run, ending } = await bench();
      rack.happen('h-h1', 'phoned home');
      let waits = 0;
      rack.onWait = async () => {
        waits += 1;
        if (waits > 3) ending.abort(new Error('Ctrl-C'));
        await new Promise((resolve) => setImmediate(resolve));
      };
      const { exit, out } = await run(`events --after 0 --host h1 ${flag}`);
      assert.equal(exit, 130);
      assert.match(out, says);
    }
  });
});

test('a reload that found nothing new says that', async () => {
  const { run, access } = await bench();
  Object.assign(access.reloaded, { applied: [], restart: [] });
  assert.equal((await run('reload')).out, 'nothing has changed: the daemon runs as its configuration says\n');
});

test('status, reload, openapi, metrics', async () => {
  const { run } = await bench();
  const status = await run('status');
  assert.match(
    status.out,
    /version +0\.1\.0\n +up since +3 h ago\n[^]*dhcp +eth1:67 +yes\n[^]*10\.77\.0\.0\/24 +eth1 +10\.77\.0\.1 +3 of 100/,
  );
  const { out } = await run('reload');
  assert.equal(out, 'holds now: log\nneeds a restart: data (1 setting as before until then)\n');
  assert.deepEqual((await run('reload --json')).json(), { applied: ['log'], restart: ['data'] });
  assert.match(((await run('openapi')).json() as { openapi: string }).openapi, /^3\.1/);
  assert.equal((await run('metrics')).out, 'remuda_hosts 1\n');
});
