/** The plan: off, boot once, on; deadlines with plain reasons; and what the agent is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../../src/host/host.ts';
import { decideWork, plan } from '../../src/host/plan.ts';
import type { Seen } from '../../src/host/plan.ts';
import { limits } from '../../src/limits.ts';
import {
  after,
  available,
  claimed,
  cleaning,
  enrolled,
  identified,
  installed,
  intent,
  inventory,
  provisioned,
  released,
  writing,
} from './make.ts';

const seen = (power: Seen['power'], agentAt = 0, packet?: Seen['packet']): Seen => ({
  power,
  agentAt,
  ...(packet === undefined ? {} : { packet }),
});
const opened = after(identified, { type: 'boot-opened' });
const armed = after(opened, { type: 'boot-armed', note: '' });
const powered = after(armed, { type: 'boot-powered' });
const late = 1000 + limits.firstPacketMs;

const cases: readonly (readonly [name: string, host: Host, seen: Seen, now: number, step: string, said?: RegExp])[] = [
  ['a BMC is asked who it is first', enrolled, seen('off'), 1000, 'identify'],
  ['a boot begins from off', identified, seen('on'), 1000, 'power-off'],
  ['then it is opened', identified, seen('off'), 1000, 'open-boot'],
  ['then armed', opened, seen('off'), 1000, 'boot-once'],
  ['never armed while it is on', opened, seen('on'), 1000, 'power-off'],
  ['then powered on', armed, seen('off'), 1000, 'power-on'],
  ['a crash after power-on is made good', armed, seen('on'), 1000, 'record-powered'],
  ['then it waits for a packet', powered, seen('on'), 2000, 'wait', /first packet/],
  ['no packet in time', powered, seen('on'), late, 'fail-boot', /not one packet of 52:54:00:00:00:01/],
  [
    'a packet, but no agent in time',
    powered,
    seen('on', 0, { at: 2000, text: 'DISCOVER' }),
    1000 + limits.agentArrivesMs,
    'fail-boot',
    /last that was seen of the host: DISCOVER/,
  ],
  ['the power went away', powered, seen('off'), 1001 + limits.powerStepMs, 'fail-boot', /went off/],
  ['an unknown power state is waited out', identified, seen('unknown'), 1000, 'wait', /does not tell/],
  ['the agent of the parked host is used', claimed, seen('on', 1000), 2000, 'wait', /agent works/],
  ['the power goes away under the agent', writing, seen('off', 1000), 1500, 'fail-boot', /went off in the middle of install/],
  ['a silent agent is given time', writing, seen('on', 1000), 1000 + limits.agentAliveMs, 'wait', /silent/],
  [
    'then the boot is given up',
    writing,
    seen('on', 1000),
    1000 + limits.jobSilenceMs,
    'fail-boot',
    /fell silent .* in the middle of install/,
  ],
  ['the installed OS is waited for', installed, seen('on'), 2000, 'wait', /phone home/],
  ['it is powered on when it is off', installed, seen('off'), 2000, 'power-on'],
  ['it must phone home in time', installed, seen('on'), 1000 + limits.phoneHomeMs, 'fail', /did not phone home/],
  ['a provisioned host is left alone', provisioned, seen('off'), 1e9, 'wait'],
  ['a released host is booted for its clean', released, seen('on'), 2000, 'power-off'],
  ['an available host is parked', available, seen('on', 1000), 2000, 'wait', /parked/],
  ['and turned off after a while', available, seen('on', 1000), 1000 + limits.parkMs, 'power-off'],
  ['a held host is left alone', after(identified, { type: 'hold', by: 'me', why: 'fan' }), seen('on'), 2000, 'wait', /held by me: fan/],
  [
    'a failed host is left alone',
    after(cleaning, { type: 'step-failed', step: 'x', code: 'internal', reason: 'broken' }),
    seen('on'),
    2000,
    'wait',
    /broken/,
  ],
  [
    'a reprovision makes an unredeemed boot useless',
    after(
      powered,
      { type: 'redeemed', boot: 1, publicKey: 'k' },
      { type: 'inventory', boot: 1, inventory },
      { type: 'boot-failed', code: 'internal', reason: 'x', triesMax: 3 },
    ),
    seen('off'),
    2000,
    'wait',
  ],
];
for (const [name, host, what, now, step, said] of cases)
  test(name, () => {
    const next = plan(host, what, now, limits);
    assert.equal(next.do, step, JSON.stringify(next));
    const text = 'why' in next ? next.why : 'reason' in next ? next.reason : '';
    if (said !== undefined) assert.match(text, said);
  });

test('without a BMC the operator is asked, again when the ticket has expired', () => {
  const bare: Host = { ...enrolled, bmc: null };
  assert.equal(plan(bare, seen(undefined), 1000, limits).do, 'open-boot');
  const open = after(bare, { type: 'boot-opened' });
  const waiting = plan(open, seen(undefined), 2000, limits);
  assert.ok(waiting.do === 'wait' && /press the power button/.test(waiting.why));
  assert.equal(plan(open, seen(undefined), 1000 + limits.bootTicketMs, limits).do, 'open-boot');
});
test('a step that is missed too often and too long fails with its reason', () => {
  const missed = { type: 'step-missed', step: 'power-on', code: 'bmc-ignored', reason: 'it stays off', notBefore: 1500 } as const;
  const tried = after(armed, missed, missed, missed);
  assert.equal(plan(tried, seen('off'), 1400, limits).do, 'wait');
  const given = plan(tried, seen('off'), 1000 + limits.powerStepMs, limits);
  assert.ok(given.do === 'fail' && /it stays off/.test(given.reason));
});

test('work: nothing before the inventory, then what the state asks for, on the named disk only', () => {
  const fresh = after(released, { type: 'boot-opened' }, { type: 'redeemed', boot: 2, publicKey: 'k' });
  assert.equal(decideWork(fresh, 0).work, 'inspect');
  assert.equal(decideWork(available, 0).work, 'wait');
  const install = decideWork(claimed, 0);
  assert.ok(install.work === 'install' && install.job.disk.serial === 'd0' && install.job.id === '1.1.install');
  const second = decideWork(after(writing, { type: 'reprovision', claimId: 'c1', intent }), 0);
  assert.ok(second.work === 'install' && second.job.id === '1.2.install');
  const clean = decideWork(cleaning, 0);
  assert.ok(clean.work === 'clean' && clean.job.disk.serial === 'd0');
  assert.equal(decideWork(installed, 0).work, 'reboot');
  assert.equal(decideWork(after(claimed, { type: 'hold', by: 'me', why: 'x' }), 0).work, 'wait');
});
test('work: when the named disk is not there, the answer lists what is, and nothing is written', () => {
  const other = { ...inventory, disks: inventory.disks.map((one) => ({ ...one, serial: 'other' })) };
  const swapped = after(claimed, { type: 'inventory', boot: 1, inventory: other });
  const work = decideWork(swapped, 0);
  assert.ok(
    work.work === 'fail' && work.code === 'disk-missing' && /serial other/.test(work.reason) && /nothing was written/.test(work.reason),
  );
});
