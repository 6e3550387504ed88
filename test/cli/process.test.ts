/** The program as a process: exit codes, pipes, signals, a terminal that hides what is typed; and the daemon that `serve` starts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { adminRoutes } from '../../src/api/admin-routes.ts';
import { statusJson } from '../../src/api/access-types.ts';
import { RemudaError } from '../../src/errors.ts';
import { realWorld } from '../../src/world/real.ts';
import { fakeDeps } from '../api/admin-rack.ts';
import { isolated } from '../world/isolated.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const withoutOurs = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(REMUDA_|NODE_|NO_COLOR|FORCE_COLOR)/.test(name)));

const ending = new AbortController();
const world = realWorld({ signal: ending.signal, log: { level: 'silent' } });
const { deps, rack, desk } = fakeDeps();
let folder = '';
let socket = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'remuda-cli-'));
  socket = join(folder, 'r.sock');
  await world.http.listen({ at: { socket }, routes: adminRoutes(deps) });
});
after(async () => {
  ending.abort();
  await rm(folder, { recursive: true });
});

interface Ended {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}
const gather = async (child: ChildProcess): Promise<Ended> => {
  let [out, err] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [exit] = (await once(child, 'close')) as [number | null];
  return { exit, out, err };
};
const env = () => ({ ...withoutOurs, REMUDA_SOCKET: socket, NO_COLOR: '1', TERM: 'xterm' });
const start = (args: readonly string[]): ChildProcess => spawn(process.execPath, [main, ...args], { env: env(), timeout: 60_000 });
const run = (args: readonly string[]): Promise<Ended> => gather(start(args));
const shell = (line: string): Promise<Ended> => gather(spawn('bash', ['-c', `set -o pipefail; ${line}`], { env: env(), timeout: 60_000 }));
const program = `'${process.execPath}' '${main}'`;

/** Until it holds; the process under test decides how long that takes. */
const until = async (holds: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  for (const end = Date.now() + 30_000; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20)))
    assert.ok(Date.now() < end, `not within 30 s: ${what}`);
};

describe('over a real Unix socket', () => {
  test('an answer, a refusal, nobody there, wrong usage: 0, 1, 3, 2', async () => {
    const ends = await Promise.all(
      [
        ['host', 'list'],
        ['host', 'show', 'nobody'],
        ['--socket', '/none', 'host', 'list'],
        ['host', 'fly'],
      ].map(run),
    );
    assert.deepEqual(
      ends.map(({ exit }) => exit),
      [0, 1, 3, 2],
    );
    assert.match(ends[0]?.out ?? '', /^NAME[^]*\nh1 /);
    assert.match(ends[1]?.err ?? '', /^error: there is no host nobody\nnext: {2}see which hosts there are/);
    assert.match(ends[2]?.err ?? '', /^error: no daemon at \/none: there is no such socket\nnext: /);
  });
  test('an import that is refused at once is told in the daemon\u2019s own words', async () => {
    desk.work = () => Promise.reject(new RemudaError('image-invalid', 'a.raw is cut off'));
    const { exit, err } = await run(['image', 'import', 'a.raw', '--name', 'a']);
    assert.equal(exit, 1);
    assert.match(err, /^error: a\.raw is cut off\nnext: {2}bring the image in again/);
  });
  test('an import streams, and ends with the image', async () => {
    desk.work = async (onProgress) => {
      for (let doneBytes = 1; doneBytes <= 3; doneBytes++) {
        onProgress({ doneBytes, totalBytes: 3 });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const { exit, out, err } = await run(['image', 'import', '/a.raw', '--name', 'streamed']);
    assert.deepEqual([exit, err], [0, '']);
    assert.match(out, /^streamed is sha256:/);
  });
  test('whoever reads only the first line does not make it fail loudly', async () => {
    const { out, err } = await shell(`${program} completion bash | head -n 1`);
    assert.match(out, /^# bash completion of remuda/);
    assert.equal(err, '');
  });
  test('Ctrl-C ends following at once, with 130 and without noise', async () => {
    const row = rack.happen('h-h1', 'the first');
    rack.onWait = () => new Promise(() => {});
    const child = start(['host', 'timeline', 'h1', '--follow']);
    const ended = gather(child);
    let seen = '';
    child.stdout?.on('data', (text: string) => (seen += text));
    await until(() => seen.includes(row.text), 'the first line');
    child.kill('SIGINT');
    const { exit, err } = await ended;
    assert.deepEqual([exit, err], [130, '']);
  });
  test('a password typed at a terminal is not shown', async () => {
    const command = `${program} host enrol h9 --bmc-url https://10.0.0.9 --bmc-username root`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: env(), timeout: 60_000 });
    const ended = gather(child);
    let seen = '';
    child.stdout.on('data', (text: string) => (seen += text));
    await until(() => seen.includes('Password of root at https://10.0.0.9:'), 'the question');
    child.stdin.write('typed-in-secret\r');
    const { exit, out } = await ended;
    assert.equal(exit, 0, out);
    assert.match(out, /h9 is enrolled/);
    assert.ok(!out.includes('typed-in-secret'), out);
    const asked = rack.asked.find(({ verb }) => verb === 'enrol')?.args[0] as { bmc: { password: string } } | undefined;
    assert.equal(asked?.bmc.password, 'typed-in-secret');
  });
});

describe('serve', () => {
  /** Agent and firmware as a daemon wants them, with nothing in them that could boot. */
  const files = async (name: string) => {
    const at = join(folder, name);
    await world.files.makeFolder(at);
    const file = { sha256: 'ab'.repeat(32), sizeBytes: 4 };
    for (const part of ['vmlinuz', 'initrd.zst', 'undionly.kpxe', 'snponly.efi', 'autoexec.ipxe']) await writeFile(join(at, part), 'boot');
    await writeFile(join(at, 'ramdisk.json'), JSON.stringify({ vmlinuz: file, initrd: file }));
    const config = {
      data: join(at, 'data'),
      socket: join(at, 'run', 'r.sock'),
      boot: { agent: at, firmware: at },
      subnets: [{ interface: 'br0', cidr: '10.77.0.0/24', serverAddress: '10.77.0.1', pool: { from: '10.77.0.50', to: '10.77.0.99' } }],
    };
    // JSON is YAML.
    await writeFile(join(at, 'remuda.yaml'), JSON.stringify(config));
    return { at, socket: config.socket, config: join(at, 'remuda.yaml') };
  };

  test('a fault in the configuration is told with its line', async () => {
    const { config } = await files('faulty');
    await writeFile(config, 'boot:\n  agent: relative\nsubnets: []\n');
    const { exit, err } = await run(['serve', '--config', config]);
    assert.equal(exit, 1);
    assert.match(err, /^error: .*remuda\.yaml:2: boot\.agent: [^]*\n {7}.*remuda\.yaml:\d+: [^]*next: {2}mend the configuration file/);
  });
  test('an interface that this machine does not have is told in words', async () => {
    const { config } = await files('elsewhere');
    await writeFile(config, (await readFile(config, 'utf8')).replaceAll('br0', 'nope0'));
    const { exit, err } = await run(['serve', '--config', config]);
    assert.equal(exit, 1);
    assert.match(err, /^error: this machine has no network interface nope0; it has .*\nnext: {2}mend the configuration file/);
    const checked = await run(['config', 'check', config]);
    assert.equal(checked.exit, 0, checked.err);
    assert.match(checked.out, /warning: this machine has no network interface nope0[^]*the configuration is right, 2 warnings/);
  });
  test('reload: what can change holds at once, by command and by SIGHUP; what cannot is named; a fault changes nothing', async () => {
    const { socket: at, config } = await files('changing');
    const net = 'ip link set lo up && ip link add br0 type bridge && ip addr add 10.77.0.1/24 dev br0 && ip link set br0 up';
    const [command, ...args] = isolated('net', ['bash', '-c', `${net} && exec ${program} serve --config '${config}'`]);
    const child = spawn(command, args, { env: env(), timeout: 60_000 });
    const ended = gather(child);
    let said = '';
    child.stderr?.on('data', (text: string) => (said += text));
    await until(() => existsSync(at), 'the socket');
    const written = await readFile(config, 'utf8');
    const change = (more: object) => writeFile(config, JSON.stringify({ ...(JSON.parse(written) as object), ...more }));
    await change({ log: 'debug', limits: { stepTries: 5, storeBusyMs: 7 } });
    const first = await run(['--socket', at, 'reload', '--json']);
    assert.deepEqual(JSON.parse(first.out), { applied: ['limits.stepTries', 'log'], restart: ['limits.storeBusyMs'] });
    await change({ log: 'loud' });
    const faulty = await run(['--socket', at, 'reload']);
    assert.equal(faulty.exit, 1);
    assert.match(faulty.err, /remuda\.yaml:1: log: [^]*next: {2}mend the configuration/);
    await change({ accept: { macs: ['52:54:00:*'] } });
    child.kill('SIGHUP');
    await until(() => /applied[^\n]*accept/.test(said), 'the reload');
    child.kill('SIGTERM');
    const { exit, err } = await ended;
    assert.equal(exit, 0, err);
  });
  test('starts, answers doctor and the rest of the API on its socket, ends on SIGTERM with 0', async () => {
    const { socket: at, config } = await files('whole');
    const net = 'ip link set lo up && ip link add br0 type bridge && ip addr add 10.77.0.1/24 dev br0 && ip link set br0 up';
    const [command, ...args] = isolated('net', ['bash', '-c', `${net} && exec ${program} serve --config '${config}'`]);
    const child = spawn(command, args, { env: env(), timeout: 60_000 });
    const ended = gather(child);
    let gone = false;
    void ended.then(() => (gone = true));
    const isThere = async (): Promise<boolean> =>
      gone ||
      (await stat(at).then(
        () => true,
        () => false,
      ));
    await until(isThere, 'the socket');
    const status = await run(['--socket', at, 'doctor']);
    const enrolled = await run(['--socket', at, 'host', 'enrol', 'h1', '--mac', '52:54:00:12:34:56', '--json']);
    const shown = await run(['--socket', at, 'host', 'show', 'h1']);
    const [answer, mode] = await Promise.all([
      world.http.call({ method: 'GET', url: 'http://remuda/v1/status', socket: at, timeoutMs: 5000, replyBytesMax: 65_536 }),
      stat(at),
    ]);
    child.kill('SIGTERM');
    const { exit, err } = await ended;
    assert.equal(exit, 0, err);
    assert.equal(mode.mode & 0o777, 0o660);
    const parsed = statusJson.parse(JSON.parse(Buffer.from(answer.body).toString()));
    assert.deepEqual(
      parsed.files.map(({ name, present }) => [name, present]),
      [
        ['undionly.kpxe', true],
        ['snponly.efi', true],
        ['autoexec.ipxe', true],
        ['vmlinuz', true],
        ['initrd.zst', true],
      ],
    );
    assert.match(status.out, /ok {4}br0 serves 10\.77\.0\.0\/24 as 10\.77\.0\.1, 0 of 50 addresses leased/);
    assert.equal(status.exit, 0, status.out + status.err);
    assert.equal(enrolled.exit, 0, enrolled.err);
    assert.match(shown.out, /state\s+(enrolled|inspecting)[^]*press its power button/);
    assert.match(shown.out, /enrolled by /);
  });
});
