/** Nothing is lost: the first thread's database is taken over, a backup is a daemon again, and what was answered outlives SIGTERM and kill -9. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { selfSigned } from '../../src/world/certificate.ts';
import { seededImage } from '../image/disk.ts';
import { Appliance, onTcp, refused, silent, until } from './appliance.ts';

const firstThread = new URL('../vectors/store/first-thread.sql', import.meta.url);
const oldSecrets = ['old-password-2', 'old-password-3', 'old-password-4', 'old-user-data-3', 'ab'.repeat(32)];

/** The data folder of a daemon of the first thread; returns the secrets that stand in it in clear. */
const oldData = async ({ data }: Appliance): Promise<readonly string[]> => {
  mkdirSync(data);
  const database = new Database(join(data, 'remuda.db'));
  database.exec(readFileSync(firstThread, 'utf8'));
  // A real one in place of the vector's: agents are served by it.
  const identity = await selfSigned('remuda', Date.now());
  database.prepare("update settings set value = ? where name = 'identity'").run(JSON.stringify(identity));
  database.close();
  // As JSON has its line ends.
  const [, keyLine = ''] = identity.key.split('\n');
  return [...oldSecrets, keyLine];
};

interface Listed {
  readonly name: string;
  readonly state: string;
  readonly held: { readonly by: string; readonly why: string } | null;
}
const hostsOf = async (appliance: Appliance): Promise<readonly Listed[]> =>
  (await appliance.json<{ items: Listed[] }>('host', 'list')).items;
const statesOf = (hosts: readonly Listed[]): readonly string[] => hosts.map(({ name, state }) => `${name} ${state}`).toSorted();
const oldStates = ['found-1 discovered', 'rack-2 available', 'rack-3 provisioned', 'rack-4 cleaning'];

test('a database of the first thread: the daemon starts on it, has everything, and no secret stands in clear any more', async () => {
  await using appliance = new Appliance('upgrade');
  const secrets = await oldData(appliance);
  for (const secret of secrets) assert.ok(appliance.dataBytes().includes(secret), `${secret} stands in the old database`);
  await appliance.start();

  assert.deepEqual(statesOf(await hostsOf(appliance)), oldStates);
  const claims = (await appliance.json<{ items: { id: string; owner: string }[] }>('claim', 'list')).items;
  assert.deepEqual(
    claims.map(({ id, owner }) => [id, owner]),
    [['c3', 'ops']],
  );
  const timeline = (await appliance.remuda('host', 'timeline', 'rack-3')).out;
  assert.match(
    timeline,
    /enrolled by operator[^]*claimed by ops: image tiny as node-3[^]*node-3 phoned home: provisioned \(generation 1\)/,
  );
  const shown = (await appliance.remuda('host', 'show', 'rack-3')).out;
  assert.match(shown, /https:\/\/10\.9\.0\.3 as admin[^]*c3 of ops/);
  silent(shown, secrets);

  silent(appliance.dataBytes().toString('latin1'), secrets);
  assert.deepEqual(await appliance.end(), { exit: 0, signal: null });
  silent(appliance.dataBytes().toString('latin1'), secrets);
  silent(appliance.said(), secrets);
  await appliance.start();
  assert.deepEqual(statesOf(await hostsOf(appliance)), oldStates);
});

interface Load {
  readonly prefix: string;
  readonly goesOn: () => boolean;
  /** The daemon may be gone: what fails now was not acknowledged. */
  readonly mayEnd: () => boolean;
}
const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
/** Enrols hosts one after the other; the names that were acknowledged, in their order. */
const enrolLoop = (appliance: Appliance, { prefix, goesOn, mayEnd }: Load): { readonly done: string[]; readonly ended: Promise<void> } => {
  const done: string[] = [];
  const loop = async (): Promise<void> => {
    for (let index = 0; goesOn(); index += 1) {
      const name = `${prefix}-${index}`;
      const macs = [`52:54:00:${hex(prefix.charCodeAt(0))}:${hex(index >> 8)}:${hex(index & 0xff)}`];
      try {
        const { status, body } = await appliance.api('POST', '/v1/hosts', { name, macs });
        assert.ok(status >= 200 && status < 300, `${status}: ${Buffer.from(body).toString()}`);
      } catch (error) {
        if (mayEnd()) return;
        throw error;
      }
      done.push(name);
    }
  };
  return { done, ended: loop() };
};

test('a backup made while hosts are enrolled is a daemon again, with all that was in it; what is none is refused', async () => {
  await using appliance = new Appliance('backup', onTcp);
  await oldData(appliance);
  const config = ['--config', appliance.config];
  await appliance.start();
  assert.equal((await appliance.remuda('host', 'hold', 'rack-2', '--why', 'a new fan')).exit, 0);
  const disk = appliance.put('disk.raw', seededImage(Buffer.from('kept through a disaster')));
  assert.equal((await appliance.remuda('image', 'import', disk, '--name', 'kept')).exit, 0);
  const { token } = await appliance.json<{ token: string }>('token', 'create', 'robot', '--role', 'operator');

  let writing = true;
  const { done, ended } = enrolLoop(appliance, { prefix: 'w', goesOn: () => writing, mayEnd: () => false });
  await until(() => done.length > 5, 'hosts are enrolled');
  const before = done.length;
  const file = appliance.at('backup.tar');
  const backup = await appliance.remuda('backup', file);
  assert.equal(backup.exit, 0, backup.err);
  const after = done.length;
  await until(() => done.length > after + 2, 'the daemon goes on after the backup');
  writing = false;
  await ended;
  silent(readFileSync(file).toString('latin1'), [...oldSecrets, token]);
  const again = await appliance.remuda('backup', file);
  refused(again, 2, /is there already[^]*name a file that is not/);

  // A daemon that runs is not replaced, whatever is said.
  refused(await appliance.remuda('restore', file, ...config), 1, /holds data already: say --replace/);
  refused(await appliance.remuda('restore', file, '--replace', ...config), 1, /a daemon serves .*: stop it before its data is replaced/);
  const fingerprint = appliance.fingerprint();
  const key = appliance.at('key-kept-elsewhere');
  copyFileSync(join(appliance.data, 'key'), key);
  await appliance.end('SIGKILL');
  rmSync(appliance.data, { recursive: true });

  const leavesNothing = async (says: RegExp, ...args: readonly string[]): Promise<void> => {
    refused(await appliance.remuda('restore', ...args, ...config), 1, says);
    assert.ok(!existsSync(appliance.data));
    const left = readdirSync(dirname(appliance.data)).filter((name) => name.startsWith(`${basename(appliance.data)}.`));
    assert.deepEqual(left, []);
  };
  await leavesNothing(/there is no key: the secrets of a backup open only with the one/, file);
  const wrongKey = appliance.put('wrong-key', `${'9'.repeat(64)}\n`, 0o600);
  await leavesNothing(/sealed with key [0-9a-f]{8}[^]*Give it the key that belongs/, file, '--key-file', wrongKey);
  const cut = appliance.at('cut.tar');
  copyFileSync(file, cut);
  truncateSync(cut, Math.floor(readFileSync(file).length / 2));
  await leavesNothing(/this is no whole backup/, cut, '--key-file', key);
  await leavesNothing(/there is no backup at .*nowhere\.tar/, appliance.at('nowhere.tar'), '--key-file', key);

  const restored = await appliance.remuda('restore', file, '--key-file', key, ...config);
  assert.equal(restored.exit, 0, restored.err);
  assert.match(restored.out, /the key is where the daemon looks for it[^]*Every host is held[^]*remuda host unhold --all --by restore/);
  await appliance.start();

  const hosts = await hostsOf(appliance);
  const kept = hosts.map(({ name }) => name).filter((name) => name.startsWith('w-'));
  assert.ok(kept.length >= before, `all ${before} that were acknowledged before the backup, and there are ${kept.length}`);
  assert.deepEqual(new Set(kept), new Set(done.slice(0, kept.length)), 'one moment of the rack: the first so many, and none after them');
  assert.deepEqual(statesOf(hosts).slice(0, 4), oldStates);
  const holders = new Map(hosts.map(({ name, held }) => [name, held?.by]));
  assert.deepEqual(
    [holders.get('found-1'), holders.get('rack-2'), holders.get('rack-3'), holders.get('w-0')],
    [undefined, 'ann', 'restore', 'restore'],
  );
  assert.deepEqual(
    (await appliance.json<{ items: { id: string }[] }>('claim', 'list')).items.map(({ id }) => id),
    ['c3'],
  );
  const verified = await appliance.remuda('image', 'verify', 'kept');
  assert.equal(verified.exit, 0, verified.out + verified.err);
  // The same token and the same certificate as before.
  const asked = await appliance.asked(['host', 'list', '-q'], { token, fingerprint });
  assert.equal(asked.exit, 0, asked.err);
  const { items } = await appliance.json<{ items: { action: string; actor: string }[] }>('audit', '--most', '10000');
  for (const action of ['importImage', 'createToken', 'holdHost'])
    assert.ok(
      items.some((row) => row.action === action),
      action,
    );

  const lifted = await appliance.remuda('host', 'unhold', '--all', '--by', 'restore');
  assert.equal(lifted.exit, 0, lifted.err);
  assert.deepEqual(
    (await hostsOf(appliance)).filter(({ held }) => held !== null).map(({ name, held }) => [name, held?.why]),
    [['rack-2', 'a new fan']],
  );
  assert.deepEqual(await appliance.end(), { exit: 0, signal: null });
});

describe('what was answered is there after', () => {
  /** A daemon that ends under load is given so long. */
  const endMs = 20_000;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    test(signal, async () => {
      await using appliance = new Appliance('ends');
      await appliance.start();
      let isEnding = false;
      const load = { goesOn: () => true, mayEnd: () => isEnding };
      const loops = ['a', 'b', 'c', 'd'].map((prefix) => enrolLoop(appliance, { prefix, ...load }));
      // Whoever only listens must not keep it alive.
      const events = appliance.remote(['events', '--json', '--socket', appliance.socket]);
      const count = (): number => loops.reduce((sum, { done }) => sum + done.length, 0);
      await until(() => count() > 60 && events.said().includes('"timeline"'), 'there is load, and somebody listens');
      isEnding = true;
      const began = Date.now();
      const end = await appliance.end(signal);
      assert.deepEqual(end, signal === 'SIGTERM' ? { exit: 0, signal: null } : { exit: null, signal });
      assert.ok(Date.now() - began < endMs, `it took ${Date.now() - began} ms to end`);
      await Promise.all(loops.map(({ ended }) => ended));
      events.child.kill('SIGINT');
      assert.equal((await events.ended).exit, 130);

      await appliance.start();
      const names = new Set((await hostsOf(appliance)).map(({ name }) => name));
      const lost = loops.flatMap(({ done }) => done).filter((name) => !names.has(name));
      assert.deepEqual(lost, []);
      assert.equal((await appliance.api('GET', '/readyz')).status, 200);
    });
});
