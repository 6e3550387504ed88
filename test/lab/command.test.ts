/** `remuda lab` as a person runs it: what it prints at the end, what it leaves behind, and what Ctrl-C does to it. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { images, sha256 } from './crew.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const folder = `${process.env['REMUDA_CACHE'] ?? `${homedir()}/.cache/remuda`}/lab/test-command`;
const settled = { timeout: 8 * 60_000 };

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>;
  readonly said: () => string;
}
const lab = (...args: string[]): Run => start(args, process.env);
const start = (args: readonly string[], env: NodeJS.ProcessEnv): Run => {
  const child = spawn(process.execPath, [main, 'lab', ...args, '--name', 'test-command'], { stdio: ['ignore', 'pipe', 'pipe'], env });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  return { child, said: () => err, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err }))) };
};
/** Routes, addresses and links of the machine's own network, and every process that names the laboratory. */
const machine = (): string => {
  const ip = (...args: string[]): string => execFileSync('ip', args).toString();
  return [
    ip('-o', 'addr', 'show').replaceAll(/valid_lft \d+sec preferred_lft \d+sec/g, ''),
    ip('route', 'show', 'table', 'all'),
    ip('-o', 'link', 'show').replaceAll(/ state \w+/g, ''),
    ip('netns', 'list')
      .split('\n')
      .filter((line) => line.includes('test-command'))
      .join(),
  ].join('\n');
};
const processes = (): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes('/lab/test-command'));
const assertNothingLeft = (before: string): void => {
  assert.equal(machine(), before, 'the machine has another network than before');
  assert.deepEqual(processes(), []);
  assert.equal(existsSync(folder), false, `${folder} is still there`);
};

test('--once --json: the last line is what was observed, the exit code 0, and nothing is left', settled, async () => {
  const wanted = `sha256:${await sha256(images.tiny())}`;
  const before = machine();
  const { code, out, err } = await lab('--once', '--json', '--hosts', '2', '--firmware', 'bios').ended;
  assert.equal(code, 0, err);
  const last = JSON.parse(out.trim().split('\n').at(-1) ?? '') as { hosts: Record<string, unknown>[] };
  const [one, two] = last.hosts.map(({ seconds, address, ...host }) => {
    assert.ok(typeof seconds === 'number' && seconds > 1);
    assert.match(String(address), /^10\.77\.0\.\d+$/);
    return host;
  });
  const observed = { firmware: 'bios', state: 'provisioned', imageDigest: wanted, userDataRead: true, failed: null };
  assert.deepEqual(one, { name: 'h1', bmc: 'redfish', ...observed, hostname: 'h1-lab' });
  assert.deepEqual(two, { name: 'h2', bmc: 'ipmi', ...observed, hostname: 'h2-lab' });
  assertNothingLeft(before);
});

test('Ctrl-C in the middle, `status` before it, `down` after it: nothing is left', settled, async () => {
  const before = machine();
  const run = lab('--hosts', '1', '--firmware', 'bios');
  for (let waited = 0; !/boot script fetched/.test(run.said()) && waited < 120_000; waited += 200)
    await new Promise((resolve) => setTimeout(resolve, 200));
  assert.match(run.said(), /boot script fetched/);
  const status = await lab('status', '--json').ended;
  assert.equal(status.code, 0);
  assert.match(status.out, /"up":true.*"api":"http:\/\/127\.0\.0\.1:\d+".*"name":"h1"/);
  const api = /"api":"([^"]+)"/.exec(status.out)?.[1] ?? '';
  const hosts = (await (await fetch(`${api}/v1/hosts`)).json()) as { items: { name: string }[] };
  assert.deepEqual(
    hosts.items.map(({ name }) => name),
    ['h1'],
  );
  const again = await lab('--once').ended;
  assert.equal(again.code, 1);
  assert.match(again.err, /up already/);
  run.child.kill('SIGINT');
  const { code, err } = await run.ended;
  assert.equal(code, 130);
  assert.doesNotMatch(err, /remuda lab:/);
  assertNothingLeft(before);
  const down = await lab('down').ended;
  assert.equal(down.code, 0);
  assert.match(down.err, /no laboratory was up/);
});

test('Ctrl-C while it still builds and starts: the same', settled, async () => {
  const before = machine();
  for (const word of [/building/, /starting 1 virtual servers/]) {
    const run = lab('--hosts', '1');
    for (let waited = 0; !word.test(run.said()) && waited < 60_000; waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
    run.child.kill('SIGINT');
    const { code, err } = await run.ended;
    assert.match(err, word);
    assert.doesNotMatch(err, /remuda lab:/);
    assert.equal(code, 130);
    assertNothingLeft(before);
  }
});

test('a machine without QEMU: what is missing is named before anything is made', async () => {
  const bin = mkdtempSync(join(tmpdir(), 'remuda-bin-'));
  for (const program of ['ip', 'id']) symlinkSync(execFileSync('which', [program]).toString().trim(), join(bin, program));
  const { code, err } = await start(['--once', '--subnets', '2'], { ...process.env, PATH: bin }).ended;
  rmSync(bin, { recursive: true });
  assert.equal(code, 1);
  assert.match(err, /needs? what this machine does not have: qemu-system-x86_64, dhcrelay\. .*qemu-system-x86 isc-dhcp-relay/);
  assert.equal(existsSync(folder), false);
});

test('what is asked wrongly is said: exit code 2', async () => {
  const { code, err } = await lab('--hosts', 'many').ended;
  assert.equal(code, 2);
  assert.match(err, /a number from 1 to 16/);
});
