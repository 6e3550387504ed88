/** QMP against a monitor of our own on a real Unix socket: greeting, ids out of order, refusals, events, silence and the end. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import { openQmp } from '../../src/lab/qemu/qmp.ts';
import type { Qmp, QmpEvent } from '../../src/lab/qemu/qmp.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';
import type { Clock } from '../../src/world/world.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-qmp-'));
const stop = new AbortController();
const lab = realLabWorld({ signal: stop.signal, log: { level: 'silent' } });
after(() => {
  stop.abort(new Error('the end'));
  rmSync(folder, { recursive: true });
});

/** As QEMU 7.2 greets. */
const greeting = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}';
type Command = { readonly execute: string; readonly id: number; readonly arguments?: unknown };
type Answer = (command: Command, say: (value: object) => void, socket: Socket) => void;

let sockets = 0;
/** A monitor that greets and negotiates, and leaves every other command to `answer`. */
const monitor = async (answer: Answer, first = greeting): Promise<string> => {
  sockets += 1;
  const path = join(folder, `${sockets}.sock`);
  const server = createServer((socket) => {
    const say = (value: object): void => void socket.write(`${JSON.stringify(value)}\r\n`);
    if (first !== '') socket.write(`${first}\r\n`);
    socket.on('data', (bytes) => {
      for (const line of bytes.toString().trim().split('\n')) {
        const command = JSON.parse(line) as Command;
        if (command.execute === 'qmp_capabilities') say({ return: {}, id: command.id });
        else answer(command, say, socket);
      }
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  server.unref();
  return path;
};
const connect = async (path: string, clock: Clock = lab.clock): Promise<Qmp> => openQmp(await lab.streams.connectLines(path), clock);
const coded = (code: Code, words: RegExp) => (error: unknown) =>
  error instanceof RemudaError && error.code === code && words.test(error.message);

test('answers find their command, whatever their order', async () => {
  const held: (() => void)[] = [];
  const path = await monitor(({ execute, id, arguments: args }, say) => {
    held.push(() => say({ return: { execute, args: args ?? 'none' }, id }));
    if (held.length === 2) for (const give of held.toReversed()) give();
  });
  const qmp = await connect(path);
  const answers = await Promise.all([qmp.run('query-status'), qmp.run('qom-set', { path: '/nic', value: 9 })]);
  assert.deepEqual(answers, [
    { execute: 'query-status', args: 'none' },
    { execute: 'qom-set', args: { path: '/nic', value: 9 } },
  ]);
  qmp.close();
  await qmp.closed;
});

test('a refusal carries the words of QEMU', async () => {
  const path = await monitor(({ id }, say) => say({ error: { class: 'CommandNotFound', desc: 'The command foo has not been found' }, id }));
  const qmp = await connect(path);
  await assert.rejects(qmp.run('foo'), coded('bmc-refused', /QEMU refused foo: The command foo has not been found/));
  qmp.close();
});

test('events are heard until one stops listening; noise is passed over', async () => {
  const event = { event: 'RESET', data: { guest: true }, timestamp: { seconds: 1, microseconds: 2 } };
  const path = await monitor(({ id }, say, socket) => {
    socket.write('no json\r\n[1]\r\n{"return": {}, "id": 999}\r\n{"return": {}, "id": "text"}\r\n');
    say(event);
    say({ return: {}, id });
  });
  const qmp = await connect(path);
  const heard: QmpEvent[] = [];
  const ignore = qmp.events((value) => heard.push(value));
  await qmp.run('one');
  ignore();
  await qmp.run('two');
  assert.deepEqual(heard, [{ name: 'RESET', data: { guest: true } }]);
  qmp.close();
});

test('when the line ends, nobody waits on', async () => {
  const path = await monitor((_command, _say, socket) => socket.destroy());
  const qmp = await connect(path);
  await assert.rejects(qmp.run('quit'), coded('bmc-unreachable', /closed its monitor before it answered quit/));
  await qmp.closed;
  await assert.rejects(qmp.run('query-status'), coded('bmc-unreachable', /closed its monitor/));
});

/** A clock whose timers fire when the test says. */
const handClock = (): { readonly clock: Clock; readonly fire: () => void; readonly pending: () => number } => {
  const timers = new Set<() => void>();
  const afterMs = (_ms: number, run: () => void): (() => void) => {
    timers.add(run);
    return () => void timers.delete(run);
  };
  return { clock: { ...lab.clock, after: afterMs }, fire: () => timers.forEach((run) => run()), pending: () => timers.size };
};

test('a monitor that does not greet is given up and its line closed', async () => {
  const { clock, fire } = handClock();
  const stream = await lab.streams.connectLines(await monitor(() => {}, ''));
  const opening = openQmp(stream, clock);
  fire();
  await assert.rejects(opening, coded('bmc-unreachable', /did not answer its greeting within 10 s/));
  await stream.closed;
});

test('a command without an answer is given up; one with leaves no timer', async () => {
  const { clock, fire, pending } = handClock();
  const path = await monitor(({ execute, id }, say) => {
    if (execute === 'query-status') say({ return: {}, id });
  });
  const qmp = await connect(path, clock);
  await qmp.run('query-status');
  assert.equal(pending(), 0);
  const silent = qmp.run('stop');
  fire();
  await assert.rejects(silent, coded('bmc-unreachable', /did not answer stop/));
  qmp.close();
});
