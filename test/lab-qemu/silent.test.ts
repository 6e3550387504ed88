/** A virtual UEFI server whose emulator hangs before the firmware's first line is started again, for the same boot; one that speaks is left alone. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { qemuMachine } from '../../src/lab/qemu/machine.ts';
import { parseMac, parseUuid } from '../../src/wire/address.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-silent-'));
const stop = new AbortController();
after(() => {
  stop.abort(new Error('the end'));
  rmSync(folder, { recursive: true });
});

/** Speaks QMP, notes how it was started, and says something on its console from the second start on. */
const emulator = `#!${process.execPath}
const { appendFileSync, readFileSync } = require('node:fs');
const value = (name) => process.argv[process.argv.indexOf(name) + 1];
appendFileSync('${folder}/starts', process.argv.find((word) => word.startsWith('virtio-net-pci')).replace(/.*bootindex=(\\d+).*/, '$1') + '\\n');
const starts = readFileSync('${folder}/starts', 'utf8').trim().split('\\n').length;
if (starts > 1) appendFileSync('${folder}/serial.log', 'BdsDxe: loading\\n');
require('node:net').createServer((socket) => {
  socket.write('{"QMP": {}}\\r\\n');
  socket.on('data', (bytes) => {
    for (const line of bytes.toString().trim().split('\\n')) {
      const { id, execute } = JSON.parse(line);
      socket.write(JSON.stringify({ return: {}, id }) + '\\r\\n', () => execute === 'quit' && process.exit(0));
    }
  });
}).listen(value('-qmp').replace(/^unix:|,.*/g, ''));
`;

test('silent, then speaking: two starts, both from the network', { timeout: 60_000 }, async () => {
  const bin = join(folder, 'qemu-system-x86_64');
  writeFileSync(bin, emulator);
  chmodSync(bin, 0o755);
  const real = realLabWorld({ signal: stop.signal, log: { level: 'silent' }, env: { ...process.env, PATH: folder } });
  const looks: (() => void)[] = [];
  const clock = {
    ...real.clock,
    after: (ms: number, run: () => void) => {
      if (ms !== 60_000) return real.clock.after(ms, run);
      looks.push(run);
      return () => undefined;
    },
  };
  const [mac, uuid] = [parseMac('52:54:00:77:00:10'), parseUuid('72656d75-6461-4000-8000-525400770010')];
  assert.ok(mac && uuid);
  const [firmware, accel] = ['uefi', 'tcg'] as const;
  const hardware = { mac, uuid, serial: 'S1', disks: [], memoryMiB: 256, cpus: 1, tap: 'tap0' };
  const machine = qemuMachine({ ...real, clock }, { ...hardware, name: 'h1', firmware, accel, folder });
  const starts = (): readonly string[] => readFileSync(join(folder, 'starts'), 'utf8').trim().split('\n');

  await machine.turnOn('network');
  const first = machine.pid;
  looks.shift()?.();
  while (machine.pid === first || machine.monitor === undefined) await real.clock.sleep(20);
  assert.equal(machine.power(), 'on');
  assert.deepEqual(starts(), ['1', '1'], 'network first, also the second time');

  const second = machine.pid;
  looks.shift()?.();
  await machine.pressButton();
  assert.equal(machine.pid, second);
  await machine.turnOff();
  assert.deepEqual([machine.power(), starts().length, looks.length], ['off', 2, 0]);
});
