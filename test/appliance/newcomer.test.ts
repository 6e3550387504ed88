/** The first day with the appliance, by the command line alone: the first token, login, roles, the audit log, what watches it, a changed configuration. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { root, subnet } from '../deploy/place.ts';
import { Appliance, onTcp, refused, silent, until, url, wireMac } from './appliance.ts';
import type { Said } from './appliance.ts';

const settings = { ...onTcp, log: 'info' };
const appliance = new Appliance('newcomer', settings);
const tokenForm = /remuda_[a-z0-9]{8}_[\w-]{43}/g;
/** Somebody elsewhere, with nothing but a shell. */
const elsewhere = (...args: readonly string[]): Promise<Said> => appliance.remote(args).ended;
const tokens: Record<'viewer' | 'operator', string> = { viewer: '', operator: '' };
let first = '';

before(() => appliance.start());
after(() => appliance[Symbol.asyncDispose]());

test('the first start shows the first token once, in words; the second start shows none', async () => {
  assert.match(
    appliance.said(),
    /The first token of the API, an admin's\. It is shown this once:\n\n {4}remuda_\S+\n\nUse it: remuda login URL/,
  );
  first = appliance.firstToken();
  assert.deepEqual(await appliance.end(), { exit: 0, signal: null });
  assert.ok(!appliance.dataBytes().includes(first), 'the token is not in the store');
  await appliance.start();
  assert.equal(appliance.said().match(tokenForm)?.length, 1);
});

test('login tells the fingerprint, sends nothing before it is trusted, and remembers it with the token for its owner alone', async () => {
  const file = appliance.put('first-token', `${first}\n`, 0o600);
  const fingerprint = appliance.fingerprint();
  const unknown = await elsewhere('login', url, '--token-file', file);
  refused(
    unknown,
    4,
    new RegExp(
      `signed by no authority that this machine knows: SHA-256 ${fingerprint}[^]*next: {2}compare it with what the daemon.s log says`,
    ),
    [first],
  );
  refused(
    await elsewhere(
      'login',
      url,
      '--token-file',
      appliance.put('no-token', `remuda_bcdfghjk_${'A'.repeat(43)}`),
      '--fingerprint',
      fingerprint,
    ),
    4,
    /not known here/,
  );
  assert.match((await elsewhere('context', 'list')).out, /No contexts/);

  const { exit, out, err } = await elsewhere('login', url, '--name', 'rack', '--token-file', file, '--fingerprint', fingerprint);
  assert.equal(exit, 0, err);
  assert.match(out, /context rack is https:\/\/10\.91\.0\.1:7471, Remuda \d/);
  assert.equal(statSync(appliance.at('home/.config/remuda/config.yaml')).mode & 0o777, 0o600);
  const list = await elsewhere('context', 'list');
  assert.match(list.out, /\* +rack +https:\/\/10\.91\.0\.1:7471 +remuda_[a-z0-9]{8}_… +pinned/);
  silent(list.out, [first]);
  assert.match((await elsewhere('host', 'list')).out, /No hosts|no host/i);
});

test('tokens with roles, by name; each may what its role may', async () => {
  for (const role of ['viewer', 'operator'] as const) {
    const made = await elsewhere('token', 'create', `the-${role}`, '--role', role, '--expires', '1h');
    assert.equal(made.exit, 0, made.err);
    tokens[role] = made.out.trim();
    assert.match(tokens[role], /^remuda_[a-z0-9]{8}_[\w-]{43}$/);
    assert.match(made.err, /keep it, it is not shown again/);
  }
  const list = await elsewhere('token', 'list');
  assert.match(list.out, /first +admin[^]*the-viewer +viewer[^]*the-operator +operator/);
  silent(list.out, [first, ...Object.values(tokens)]);

  const enrol = ['host', 'enrol', 'web-1', '--mac', '52:54:00:00:00:01'];
  const as = (token: string, ...args: readonly string[]): Promise<Said> => appliance.asked(args, { token });
  const exits = await Promise.all([
    as(tokens.viewer, 'status'),
    as(tokens.viewer, ...enrol),
    as(tokens.viewer, 'reload'),
    as(tokens.operator, 'token', 'list'),
    as(tokens.operator, 'reload'),
  ]);
  assert.deepEqual(
    exits.map(({ exit }) => exit),
    [0, 4, 4, 4, 4],
  );
  assert.equal((await as(tokens.operator, ...enrol)).exit, 0);
  assert.equal((await as(tokens.viewer, 'host', 'show', 'web-1')).exit, 0);
});

test('the audit log shows who did what, by name and not by secret', async () => {
  const { exit, out } = await elsewhere('audit');
  assert.equal(exit, 0);
  assert.match(out, /the-operator +enrolHost +web-1 +ok/);
  assert.match(out, /the-viewer +enrolHost +\S+ +forbidden/);
  assert.match(out, /first +createToken +\S+ +ok/);
  silent(out, [first, ...Object.values(tokens)]);
});

test('curl, without a client of ours: readiness for anybody, metrics for who may read', async () => {
  const curl = (...args: readonly string[]): Promise<Said> =>
    appliance.inside('curl', '--silent', '--insecure', '--max-time', '20', '--write-out', '\n%{http_code}', ...args).ended;
  assert.match((await curl(`${url}/readyz`)).out, /"ready":true[^]*\n200$/);
  assert.match((await curl(`${url}/healthz`)).out, /\n200$/);
  const nobody = (await curl(`${url}/metrics`)).out;
  assert.match(nobody, /"code":"unauthenticated"[^]*\n401$/);
  const read = (await curl('--header', `authorization: Bearer ${tokens.viewer}`, `${url}/metrics`)).out;
  assert.match(read, /^# HELP [^]*hosts\{state="enrolled"\} \d[^]*\n200$/m);
});

test('events stream as they happen', async () => {
  const events = appliance.remote(['events', '--json']);
  try {
    await until(async () => {
      // Said again until the stream is open.
      await appliance.remuda('host', 'hold', 'web-1', '--why', 'a new fan');
      return events.said().includes('a new fan');
    }, 'the event came');
    const [line = ''] = events
      .said()
      .split('\n')
      .filter((text) => text.includes('"timeline"'));
    assert.match((JSON.parse(line) as { data: { text: string } }).data.text, /held by ann: a new fan/);
  } finally {
    events.child.kill('SIGINT');
  }
  assert.equal((await events.ended).exit, 130);
});

test('openapi is what a foreign judge calls valid', async () => {
  const { exit, out } = await elsewhere('openapi');
  assert.equal(exit, 0);
  const { valid, errors } = await new Validator().validate(JSON.parse(out) as Record<string, unknown>);
  assert.ok(valid, JSON.stringify(errors));
});

test('bash completes commands, and names of hosts as the daemon has them', async () => {
  const main = `${process.execPath} ${join(root, 'src/main.ts')}`;
  const complete = (...words: readonly string[]): string =>
    `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _remuda; echo "[\${COMPREPLY[*]}]"`;
  const script = `remuda() { ${main} "$@"; }; source <(remuda completion bash); ${complete('remuda', 'host', 'show', 'we')}; ${complete('remuda', 'host', 'unh')}`;
  const { exit, out, err } = await appliance.inside('bash', '-c', script).ended;
  assert.deepEqual([exit, out, err], [0, '[web-1]\n[unhold]\n', '']);
});

test('config check names every fault with its line; the daemon refuses the same', async () => {
  const broken = appliance.put(
    'broken.yaml',
    `data: relative\nboot:\n  agent: /a\n  firmwre: /f\nsubnets:\n  - interface: boot0\n    cidr: 10.91.0.0/33\n`,
  );
  const { exit, out } = await appliance.remuda('config', 'check', broken);
  assert.equal(exit, 1);
  for (const line of [
    /broken\.yaml:1: error: data: /,
    /broken\.yaml:4: error: boot\.firmwre: there is no such setting; is firmware meant\?/,
    /broken\.yaml:7: error: subnets\.0\.cidr: /,
  ])
    assert.match(out, line);
  refused(await appliance.remuda('serve', '--config', broken), 1, /broken\.yaml:4: boot\.firmwre[^]*next: {2}mend the configuration file/);
  const right = await appliance.remuda('config', 'check', appliance.config);
  assert.equal(right.exit, 0, right.out);
});

test('SIGHUP takes up the log level, accept rules and reservations at once, and says what needs a restart', async () => {
  const changed = {
    ...settings,
    log: 'warn',
    accept: { macs: ['52:54:00:*'] },
    limits: { storeBusyMs: 900 },
  };
  appliance.configure(changed);
  const applied = (): string | undefined => /"applied":\[[^\]]*\],"restart":\[[^\]]*\]/.exec(appliance.said())?.[0];
  appliance.hangUp();
  // It is silent by now; what it did is in its answer to the next reload.
  await until(async () => {
    const { out } = await appliance.remuda('reload');
    return /nothing changed that holds at once[^]*needs a restart.*limits\.storeBusyMs/.test(out);
  }, 'the configuration was taken up');
  assert.equal(applied(), undefined, 'at level warn it is not told');
  const said = appliance.said().length;
  assert.equal((await appliance.remuda('host', 'enrol', 'quiet', '--mac', '52:54:00:00:00:02')).exit, 0);
  assert.ok(!appliance.said().slice(said).includes('enrolHost'), 'the level holds');

  appliance.configure({
    ...changed,
    log: 'info',
    subnets: [{ ...subnet, reservations: [{ mac: wireMac, address: '10.91.0.20' }] }],
  });
  const { exit, out } = await appliance.remuda('reload');
  assert.equal(exit, 0);
  assert.match(out, /holds now: .*log/);
  assert.match(out, /subnets\.0\.reservations/);
  assert.match(out, /needs a restart: limits\.storeBusyMs \(1 setting as before until then\)/);
  assert.match(applied() ?? '', /subnets\.0\.reservations/);
  const client = await appliance.onWire('10.91.0.77', 'udhcpc', '-f', '-n', '-q', '-i', 'rack0', '-s', '/bin/true', '-t', '10').ended;
  assert.match(client.out + client.err, /lease of 10\.91\.0\.20 obtained/);

  appliance.configure({ ...changed, log: 'loud' });
  const refusal = await appliance.remuda('reload');
  refused(refusal, 1, /remuda\.yaml:\d+: log: /);
  assert.equal((await appliance.api('GET', '/readyz')).status, 200);
  appliance.configure(settings);
  assert.deepEqual(await appliance.end(), { exit: 0, signal: null });
});
