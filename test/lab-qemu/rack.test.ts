/** A rack in QEMU: network once, disk after it, by BIOS and by UEFI, over a Redfish BMC; and nothing is left behind. Needs root. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { after, test } from 'node:test';
import { z } from 'zod';
import { endRecordedProcess } from '../../src/lab/qemu/pid.ts';
import { makeRackNet, removeRackNet } from '../../src/lab/net.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';

const name = `test-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), 'remuda-rack-'));
const stop = new AbortController();
const lab = realLabWorld({ signal: stop.signal, log: { level: 'warn' } });
after(async () => {
  await removeRackNet(lab, name);
  stop.abort(new Error('the end'));
  rmSync(folder, { recursive: true });
});

const factOf = z.looseObject({ fact: z.string(), host: z.string().optional() });

test('a BIOS and a UEFI host boot as their BMC says', { timeout: 300_000 }, async () => {
  const net = await makeRackNet(lab, name, { taps: 2 });
  const script = join(import.meta.dirname, 'inside-rack.ts');
  const args = ['netns', 'exec', net.namespace, execPath, script, name, folder];
  const { code, stdout, stderr } = await lab.processes.run('ip', args, { timeoutMs: 280_000 });
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const facts = stdout.split('\n').flatMap((line) => (line === '' ? [] : [factOf.parse(JSON.parse(line))]));
  const named = (fact: string): unknown[] =>
    facts
      .filter((entry) => entry.fact === fact)
      .map((entry) => Object.fromEntries(Object.entries(entry).filter(([key]) => key !== 'fact')));

  assert.deepEqual(named('started'), [
    {
      powers: ['off', 'off'],
      disks: [
        ['REMUDA-h1-d0', 'REMUDA-h1-d1'],
        ['REMUDA-h2-d0', 'REMUDA-h2-d1'],
      ],
    },
  ]);
  const each = (values: object): unknown[] => ['h1', 'h2'].map((host) => ({ host, ...values }));
  assert.deepEqual(named('network first'), each({ diskBoots: 0 }), 'the override leaves a bootable disk alone');
  assert.deepEqual(named('disk after a reset'), each({ discovers: 0 }), 'once means once');
  assert.deepEqual(named('disk at the next power-on'), each({ discovers: 0 }));
  assert.deepEqual(named('network where the disk is empty'), each({ diskBoots: 2 }));
  assert.equal(named('disk once it is written').length, 2);
  const settled = { asked: 'off', observed: 'off', settled: true };
  assert.deepEqual(
    named('power off'),
    ['h1', 'h1', 'h2', 'h2'].map((host) => ({ host, outcome: settled })),
  );

  assert.deepEqual(named('button'), [{ event: 'POWERDOWN' }]);
  assert.deepEqual(named('on again'), [{ power: 'on' }], 'a QEMU that died is power off, and can be turned on');
  assert.deepEqual(named('hung'), [{ power: 'off', left: 'nothing' }], 'a QEMU that does not listen is killed');
  const { reason, power } = z.object({ reason: z.string(), power: z.string() }).parse(named('broken')[0]);
  assert.match(reason, /QEMU of host h1 ended at once: .*\/no\/such\/disk/s);
  assert.equal(power, 'off');
  assert.match(JSON.stringify(named('more hosts than taps')), /has no tap2; make its network for 3 hosts/);

  assert.deepEqual(named('stopped'), [{ powers: ['off', 'off'] }]);
  const { pids } = z.object({ pids: z.array(z.int()) }).parse(named('running')[0]);
  assert.equal(pids.length, 2);
  for (const pid of pids) assert.equal(existsSync(`/proc/${pid}`), false, `QEMU ${pid} is gone`);
  assert.deepEqual(readdirSync(`${folder}/h2`), ['disk0.raw', 'disk1.raw', 'qemu.log', 'serial.log', 'vars.fd']);

  await removeRackNet(lab, name);
  assert.equal(existsSync(`/run/netns/${net.namespace}`), false);
});

test('a rack whose process was killed is ended by its records', { timeout: 60_000 }, async () => {
  const net = await makeRackNet(lab, name, { taps: 1 });
  const script = join(import.meta.dirname, 'inside-crash.ts');
  const crash = join(folder, 'crash');
  const { code, stdout } = await lab.processes.run('ip', ['netns', 'exec', net.namespace, execPath, script, name, crash], {
    timeoutMs: 40_000,
  });
  assert.equal(code, undefined, 'it killed itself');
  const pid = Number(stdout);
  assert.ok(lab.processes.startTimeOf(pid) !== undefined, 'its QEMU lives on');
  assert.equal(await endRecordedProcess(lab, join(crash, 'h1')), true);
  assert.equal(lab.processes.startTimeOf(pid), undefined);
  assert.equal(await endRecordedProcess(lab, join(crash, 'h1')), false);
});
