/** Daemons by URL, token and context: which one is asked, what is sent to it, and how one is met for the first time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adminRoutes } from '../../src/api/admin-routes.ts';
import { RemudaError } from '../../src/errors.ts';
import type { HttpRequest } from '../../src/world/world.ts';
import { ipv4 } from '../world/memory-http.ts';
import { bench } from './bench.ts';

const token = 'remuda_abc123_thisisasecret';
const file = '/home/ann/.config/remuda/config.yaml';
const env = { HOME: '/home/ann', NO_COLOR: '1' };

/** A daemon at https://127.0.0.1:7443 with a certificate that nobody signed; it lets in who has the token. */
const remote = async () => {
  const ours = await bench();
  const heard: HttpRequest[] = [];
  const identity = await ours.http.selfSigned('remuda');
  const routes = adminRoutes(ours.deps).map((route) => ({
    ...route,
    handle: async (request: HttpRequest) => {
      heard.push(request);
      const said = request.headers['authorization'];
      if (route.path !== '/healthz' && said !== `Bearer ${token}`)
        throw new RemudaError('unauthenticated', said === undefined ? 'no token was sent' : 'this token is not known');
      return route.handle(request);
    },
  }));
  await ours.http.listen({ at: { address: ipv4('127.0.0.1'), port: 7443 }, routes, identity });
  return { ...ours, heard, fingerprint: identity.fingerprint };
};
const url = 'https://127.0.0.1:7443';

describe('login', () => {
  test('on a terminal: shows the fingerprint, asks to trust it, asks for the token, and the daemon is used from then on', async () => {
    const { run, files, fingerprint, heard } = await remote();
    const { exit, out, err, asked } = await run(`login ${url} --name rack1`, { tty: true, env, answers: ['yes'], secret: token });
    assert.equal(err.replace(/^The certificate[^]*\n(SHA-256 \w+)\n$/, '$1'), `SHA-256 ${fingerprint}`);
    assert.equal(exit, 0);
    assert.equal(asked.length, 2);
    assert.match(asked[1] ?? '', /^Token for 127\.0\.0\.1:7443: $/);
    assert.match(out, /^context rack1 is https:\/\/127\.0\.0\.1:7443, Remuda 0\.1\.0; it is used from now on/);
    assert.ok(!out.includes(token));
    const kept = new TextDecoder().decode(await files.read(file));
    assert.match(kept, /current: rack1/);
    heard.length = 0;
    assert.equal((await run('host list -q', { env })).out, 'h1\n');
    assert.equal(heard[0]?.headers['authorization'], `Bearer ${token}`);
  });
  test('whoever does not say yes trusts nothing: nothing is sent, nothing kept', async () => {
    const { run, files, heard } = await remote();
    const { exit, err } = await run(`login ${url}`, { tty: true, env, answers: ['y'], secret: token });
    assert.equal(exit, 4);
    assert.match(err, /is not trusted; nothing was sent or saved/);
    assert.deepEqual(heard, []);
    assert.equal(await files.stat(file), undefined);
  });
  test('without a terminal the fingerprint is said and must be given', async () => {
    const { run, fingerprint } = await remote();
    const refused = await run(`login ${url}`, { env: { ...env, REMUDA_TOKEN: token } });
    assert.equal(refused.exit, 4);
    assert.match(refused.err, new RegExp(`SHA-256 ${fingerprint}\nnext: .*--fingerprint ${fingerprint}`));
    const given = await run(`login ${url} --fingerprint ${fingerprint.toUpperCase()}`, { env: { ...env, REMUDA_TOKEN: token } });
    assert.equal(given.err, '');
    assert.equal(given.exit, 0);
  });
  test('a wrong token is told, and nothing is kept', async () => {
    const { run, files, fingerprint } = await remote();
    const { exit, err } = await run(`login ${url} --fingerprint ${fingerprint}`, { tty: true, env, secret: 'wrong' });
    assert.equal(exit, 4);
    assert.match(err, /^error: this token is not known\nnext: {2}say who you are: remuda login/m);
    assert.equal(await files.stat(file), undefined);
  });
  test('no daemon there', async () => {
    const { run } = await remote();
    assert.equal((await run('login https://127.0.0.1:1', { tty: true, env, secret: token })).exit, 3);
  });
});

describe('what is sent where', () => {
  test('a token only over TLS, or to this machine itself', async () => {
    const { run } = await remote();
    const { exit, err } = await run(`host list --url http://10.0.0.1:7470 --token ${token}`);
    assert.equal(exit, 2);
    assert.match(err, /the token would go to 10\.0\.0\.1:7470 in plain text/);
    assert.equal((await run(`login http://rack.example`, { tty: true, env, secret: token })).exit, 2);
    assert.equal((await run(`host list --url http://127.0.0.1:7470 --token ${token}`)).exit, 0);
  });
  test('no token: 4 and how to get one', async () => {
    const { run, fingerprint } = await remote();
    const { exit, err } = await run(`host list --url ${url} --fingerprint ${fingerprint}`);
    assert.equal(exit, 4);
    assert.match(err, /^error: no token was sent\nnext: {2}say who you are: remuda login URL/);
  });
  test('another certificate than the pinned one: nothing is sent', async () => {
    const { run, heard } = await remote();
    const { exit, err } = await run(`host list --url ${url} --fingerprint ${'ab'.repeat(32)} --token ${token}`);
    assert.equal(exit, 4);
    assert.match(err, /shows another certificate than the pinned one; nothing was sent[^]*next: .*remuda login https/);
    assert.deepEqual(heard, []);
  });
  test('a certificate that nobody signed', async () => {
    const { run, heard } = await remote();
    const { exit, err } = await run(`host list --url ${url} --token ${token}`);
    assert.equal(exit, 4);
    assert.match(err, /certificate of https:\/\/127\.0\.0\.1:7443 is not trusted[^]*next: .*--ca FILE/);
    assert.deepEqual(heard, []);
  });
  test('the token of a context goes to no other URL', async () => {
    const { run, fingerprint, heard } = await remote();
    const set = await run(`context set rack1 --url ${url} --token ${token} --fingerprint ${fingerprint} --use`, { env });
    assert.equal(set.err, '');
    assert.equal((await run('host list', { env })).exit, 0);
    heard.length = 0;
    assert.equal((await run(`host list --url ${url} --fingerprint ${fingerprint}`, { env })).exit, 4);
    assert.equal(heard[0]?.headers['authorization'], undefined);
  });
  test('a token file, without its line end', async () => {
    const { run, files, fingerprint } = await remote();
    await files.makeFolder('/home/ann');
    await files.write('/home/ann/t', `${token}\n`);
    assert.equal((await run(`host list --url ${url} --fingerprint ${fingerprint} --token-file t`)).exit, 0);
    const byEnv = { REMUDA_URL: url, REMUDA_TOKEN_FILE: '/home/ann/t' };
    assert.equal((await run(`host list --fingerprint ${fingerprint}`, { env: byEnv })).exit, 0);
  });
});

describe('contexts', () => {
  test('list, show, use, remove; tokens are masked', async () => {
    const { run, files } = await remote();
    assert.match((await run('context list', { env })).out, /^No contexts/);
    await run(`context set rack1 --url ${url} --token ${token} --fingerprint ${'ab'.repeat(32)}`, { env });
    await run('context set here --socket /run/remuda/remuda.sock --use', { env });
    const { out } = await run('context list', { env });
    assert.match(out, /\n {3}rack1 +https:\/\/127\.0\.0\.1:7443 +remuda_abc123_\u2026 +pinned abab/);
    assert.match(out, /\n\* {2}here +\/run\/remuda\/remuda\.sock/);
    assert.match((await run('context show rack1', { env })).out, /token +remuda_abc123_\u2026/);
    for (const line of ['context list --json', 'context show rack1 -o yaml'])
      assert.ok(!(await run(line, { env })).out.includes('thisisasecret'), line);
    assert.equal((await run('host list -q', { env })).out, 'h1\n');
    assert.equal((await run('host list -q', { env: { ...env, REMUDA_CONTEXT: 'rack1' } })).exit, 4);
    assert.match((await run('context use rack1', { env })).out, /rack1 is used from now on/);
    assert.match((await run('context remove rack1', { env })).out, /the local socket is asked again/);
    assert.doesNotMatch(new TextDecoder().decode(await files.read(file)), /rack1/);
  });
  test('what is wrong is told', async () => {
    const { run, files } = await remote();
    const cases: readonly [string, RegExp][] = [
      ['context use nobody', /there is no context "nobody"\nnext: {2}make one: remuda login URL/],
      ['host list --context nobody', /there is no context "nobody"/],
      ['context set a', /needs --url or --socket/],
      ['context set a --url https://a --socket /b', /needs --url or --socket/],
      ['context set a b/c --url https://a', /too many arguments/],
      ['context set -- -x --url', /too many arguments|is not a name/],
      [`context set a --url http://rack --token ${token}`, /plain text/],
      ['context set a --url https://rack --fingerprint 12', /is no SHA-256 fingerprint/],
      ['host list --context a --url https://b', /--socket, --url and --context: say one of them/],
      ['host list --json -o name', /contradict each other/],
    ];
    for (const [line, says] of cases) {
      const { exit, err } = await run(line, { env });
      assert.match(err, says, line);
      assert.equal(exit, 2, line);
    }
    await files.makeFolder('/home/ann/.config/remuda');
    await files.write(file, 'contexts: [1]\n');
    const { exit, err } = await run('host list', { env });
    assert.equal(exit, 2);
    assert.match(err, /config\.yaml is not a list of contexts: contexts[^]*next: {2}mend the file/);
  });
});
