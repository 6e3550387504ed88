/** The processes of a plane: one that dies says its last words, one that is asked ends, and none outlives a starter that was killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { clearPlane, members } from '../../src/lab/plane/members.ts';
import { freePorts } from '../../src/lab/plane/ports.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';
import { startTimeOf } from '../../src/world/processes.ts';

const life = new AbortController();
const lab = realLabWorld({ signal: life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
const folder = mkdtempSync(join(tmpdir(), 'remuda-members-'));
after(() => {
  life.abort(new DOMException('the tests are over', 'AbortError'));
  rmSync(folder, { recursive: true });
});
const never = async (): Promise<boolean> => false;

test('what dies before it is ready is told with the end of its log', async () => {
  const crew = members(lab, join(folder, 'dying'));
  await crew.start({ name: 'etcd', command: 'sh', args: ['-c', 'echo first; echo cannot bind >&2; exit 1'] });
  await assert.rejects(crew.until('etcd', never, 30_000), /etcd ended; its log \(.*dying\/etcd\/log\) ends so:\nfirst\ncannot bind/);
  await crew.stop();
});

test('what does not get ready in time is told so too, and stopping ends it', async () => {
  const crew = members(lab, join(folder, 'slow'));
  await crew.start({ name: 'api', command: 'sleep', args: ['600'] });
  const [member] = crew.list();
  assert.ok(member);
  await assert.rejects(crew.until('api', never, 1), /api was not ready after 0\.001 s/);
  assert.notEqual(startTimeOf(member.pid), undefined);
  await crew.stop();
  assert.equal(startTimeOf(member.pid), undefined);
  assert.deepEqual(crew.list(), []);
  await crew.stop();
});

test('a starter that is killed takes its processes along, and what it left is removed', async () => {
  const place = join(folder, 'killed');
  const code = `
    import { members } from '${new URL('../../src/lab/plane/members.ts', import.meta.url).href}';
    import { realLabWorld } from '${new URL('../../src/world/real-lab.ts', import.meta.url).href}';
    const lab = realLabWorld({ signal: new AbortController().signal, log: { level: 'error', destination: 'stderr', pretty: false } });
    const crew = members(lab, ${JSON.stringify(place)});
    await crew.start({ name: 'api', command: 'sleep', args: ['600'] });
    console.log('started');
    setInterval(() => {}, 1000);`;
  const starter = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => starter.stdout.once('data', resolve));
  const { pid, startTime } = JSON.parse(readFileSync(join(place, 'api', 'pid.json'), 'utf8')) as { pid: number; startTime: number };
  assert.equal(startTimeOf(pid), startTime);
  const gone = new Promise((resolve) => starter.once('exit', resolve));
  starter.kill('SIGKILL');
  await gone;
  for (const until = Date.now() + 10_000; startTimeOf(pid) === startTime && Date.now() < until;) await lab.clock.sleep(20);
  assert.notEqual(startTimeOf(pid), startTime);
  await clearPlane(lab, place);
  assert.equal(await lab.files.stat(place), undefined);
});

test('free ports are different ones', async () => {
  const ports = await freePorts(lab, '127.0.0.1', 12);
  assert.equal(new Set(ports).size, 12);
  assert.ok(ports.every((port) => port > 0));
  await assert.rejects(freePorts(lab, 'localhost', 1), /no IPv4 address/);
});
