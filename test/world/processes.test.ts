/** Processes: their lines, their end, and that none survives its owner. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { realProcesses, startTimeOf } from '../../src/world/processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-processes-'));
after(() => rmSync(folder, { recursive: true }));
const world = () => {
  const stop = new AbortController();
  return { stop, processes: realProcesses(stop.signal, { PATH: process.env['PATH'], GREETING: 'hello', GONE: 'here' }) };
};

test('lines of both streams, stdin, and the code', async () => {
  const child = await world().processes.spawn('sh', ['-c', 'read word; printf "got $word\\nrest"; echo bad >&2; exit 3'], {
    stdout: 'lines',
    stderr: 'lines',
  });
  const lines: string[] = [];
  child.lines((line, from) => lines.push(`${from}: ${line}`));
  child.write('one\n');
  assert.deepEqual(await child.wait(), { code: 3, signal: undefined });
  assert.deepEqual(lines.toSorted(), ['stderr: bad', 'stdout: got one', 'stdout: rest']);
});

test('output into a file is appended; folder and environment are as asked', async () => {
  const { processes } = world();
  const file = join(folder, 'console.log');
  for (const word of ['one', 'two']) {
    const child = await processes.spawn('sh', ['-c', 'echo "$GREETING $WORD ${GONE-gone} $(pwd)"'], {
      cwd: '/',
      env: { WORD: word, GONE: undefined },
      stdout: { file },
    });
    await child.wait();
  }
  assert.equal(readFileSync(file, 'utf8'), 'hello one gone /\nhello two gone /\n');
});

test('a command that is not there, a log that cannot be written', async () => {
  const { processes } = world();
  await assert.rejects(processes.spawn('/no/such/qemu', []), (error) => error instanceof RemudaError && error.code === 'not-found');
  await assert.rejects(
    processes.run('/no/such/qemu', [], { timeoutMs: 1000 }),
    (error) => error instanceof RemudaError && error.code === 'not-found',
  );
  await assert.rejects(processes.spawn('true', [], { stdout: { file: '/no/such/folder/log' } }), RemudaError);
});

test('alive: by pid and start time together', async () => {
  const { processes } = world();
  const child = await processes.spawn('sleep', ['60']);
  const began = processes.startTimeOf(child.pid);
  assert.ok(began !== undefined && began > 0);
  assert.ok(processes.alive(child.pid, began));
  assert.ok(!processes.alive(child.pid, began - 1), 'the same pid with another start is a stranger');
  assert.ok(!processes.signal(child.pid, began - 1, 'SIGKILL'), 'and is not killed');
  assert.ok(processes.signal(child.pid, began, 'SIGTERM'));
  assert.deepEqual(await child.wait(), { code: undefined, signal: 'SIGTERM' });
  assert.ok(!processes.alive(child.pid, began));
  assert.ok(!child.kill('SIGTERM'));
});

test('processes end with the world, also one that ignores SIGTERM; one that outlives it stays', async () => {
  const { stop, processes } = world();
  const meek = await processes.spawn('sleep', ['60']);
  const stubborn = await processes.spawn('sh', ['-c', "trap '' TERM; echo ready; while :; do sleep 1; done"], { stdout: 'lines' });
  await new Promise<void>((resolve) => stubborn.lines(() => resolve()));
  const lasting = await processes.spawn('sleep', ['60'], { outlives: true });
  const running = processes.run('sleep', ['60'], { timeoutMs: 60_000 });
  stop.abort(new Error('SIGTERM'));
  assert.equal((await meek.wait()).signal, 'SIGTERM');
  assert.equal((await stubborn.wait()).signal, 'SIGKILL');
  assert.equal((await running).code, undefined);
  assert.ok(startTimeOf(lasting.pid) !== undefined);
  assert.ok(lasting.kill('SIGKILL'));
  await lasting.wait();
  await assert.rejects(processes.spawn('true', []), /SIGTERM/);
});

test('run: input, both outputs, the code; bounded output', async () => {
  const { processes } = world();
  assert.deepEqual(await processes.run('sh', ['-c', 'cat; echo no >&2; exit 4'], { timeoutMs: 10_000, input: 'in' }), {
    code: 4,
    stdout: 'in',
    stderr: 'no\n',
  });
  const much = await processes.run('sh', ['-c', 'head -c 3000000 /dev/zero'], { timeoutMs: 10_000, outputBytesMax: 1000 });
  assert.deepEqual([much.code, much.stdout.length], [0, 1000]);
});

test('run: at the time limit it is killed together with what it started', async () => {
  const { processes } = world();
  const file = join(folder, 'grandchild');
  const result = await processes.run('sh', ['-c', `sleep 60 & echo $! > ${file}; wait`], { timeoutMs: 300 });
  assert.equal(result.code, undefined);
  assert.equal(startTimeOf(Number(readFileSync(file, 'utf8'))), undefined);
});

test('a process without line ends is delivered in pieces', async () => {
  const child = await world().processes.spawn('sh', ['-c', 'head -c 2500000 /dev/zero | tr "\\0" x'], { stdout: 'lines' });
  const lengths: number[] = [];
  child.lines((line) => lengths.push(line.length));
  await child.wait();
  assert.ok(lengths.length >= 2 && lengths.every((length) => length < 1.3 * 1024 * 1024));
  assert.equal(
    lengths.reduce((sum, length) => sum + length, 0),
    2_500_000,
  );
});
