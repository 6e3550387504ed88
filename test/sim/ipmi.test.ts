/** One fault of an IPMI BMC at a time, against the real daemon: what it costs, what is said of it, and that the host comes through. */
import assert from 'node:assert/strict';
import { limits } from '../../src/limits.ts';
import { parseMac } from '../../src/wire/address.ts';
import type { IpmiQuirks } from '../../src/lab/model/ipmi-quirks.ts';
import { bmcPassword } from './bmcs.ts';
import type { SimBmc } from './bmcs.ts';
import type { SimRack } from './rack.ts';
import { asleep, available, claim, failed, hostOf, minute, pass, provisioned, reach, scene, second } from './stage.ts';
import { state, timeline } from './stage.ts';
import { poison } from './scheduler.ts';

poison();
const h2 = { host: 'h2', disk: { serial: 'disk-2' } };
const ipmi = (rack: SimRack): Extract<SimBmc, { protocol: 'ipmi' }> => {
  const [, bmc] = rack.bmcs;
  assert.ok(bmc?.protocol === 'ipmi');
  return bmc;
};
const life = async (rack: SimRack): Promise<void> => {
  await asleep(rack, 'h2');
  await claim(rack, h2);
  await provisioned(rack, 1, 'h2');
  rack.release('c1');
  await reach(rack, 'clean', () => state(rack, 'h2', 'available')() && hostOf(rack, 'h2').claim === null);
  assert.equal(rack.metal('h2').installsStarted, 1);
  assert.equal(hostOf(rack, 'h2').failed, null);
};

const natures: readonly (readonly [string, Partial<IpmiQuirks>])[] = [
  ['shows a change of power late', { powerLag: 3 }],
  ['knows no boot option parameter 3', { refusesBootTimeout: true }],
  ['refuses the administrator', { refusesAdmin: true }],
  ['knows suite 3 only, and hides it', { suites: [3], hidesSuites: true }],
  ['is gone for 20 s after each change of power', { deadAfterControlMs: 20_000 }],
  ['forgets its session after each command', { forgetsSessions: true }],
  ['computes every checksum wrong', { wrongChecksums: true }],
  ['keeps the boot override for ever, and refuses it while the host is on', { bootOnceStays: true, refusesBootChangeWhileOn: true }],
];
for (const [what, quirks] of natures)
  scene(`a BMC ${what}: the whole life of its host`, async (rack) => {
    Object.assign(ipmi(rack).quirks, quirks);
    await life(rack);
  });
scene(
  'behind a relay: the whole life of a host, on addresses of its own',
  async (rack) => {
    await available(rack, 'h1');
    await life(rack);
    const leases = rack.daemon?.leases().map(({ mac, address }) => [mac, address]);
    assert.deepEqual(leases, [
      [...rack.metal('h1').macs, '10.77.0.50'],
      [...rack.metal('h2').macs, '10.77.2.50'],
    ]);
  },
  { relayed: true },
);

scene('the password was changed: one attempt, a pause that doubles, and in once it is right again', async (rack) => {
  const bmc = ipmi(rack);
  bmc.quirks.wrongPassword = true;
  bmc.quirks.lockoutAfter = 3;
  rack.enrol('h2');
  await reach(rack, 'failed', failed(rack, 'h2'));
  const told = await timeline(rack, 'h2');
  assert.match(told, /refuses the user "root" with the password it was given .*not tried again for 60 s/);
  assert.ok(!told.includes(bmcPassword));
  assert.equal(hostOf(rack, 'h2').failed?.code, 'bmc-refused');
  const attempts = bmc.logins.failed;
  assert.ok(attempts >= 1 && attempts <= 2, `${attempts} attempts in the first two minutes`);
  bmc.quirks.wrongPassword = false;
  rack.retry('h2');
  await pass(rack, second);
  assert.equal(bmc.logins.failed, attempts, 'a retry within the pause sends nothing');
  await reach(rack, 'failed or in', () => failed(rack, 'h2')() || state(rack, 'h2', 'available')());
  if (failed(rack, 'h2')()) {
    await pass(rack, 4 * minute);
    rack.retry('h2');
  }
  await reach(rack, 'available', state(rack, 'h2', 'available'));
  assert.equal(bmc.logins.failed, attempts);
});
scene('all sessions are taken: said, and the host comes when one is free', async (rack) => {
  ipmi(rack).quirks.sessionsFull = true;
  rack.enrol('h2');
  await reach(rack, 'said', () => hostOf(rack, 'h2').attempt !== null);
  assert.match(hostOf(rack, 'h2').attempt?.reason ?? '', /all its sessions are taken/);
  ipmi(rack).quirks.sessionsFull = false;
  await reach(rack, 'available', state(rack, 'h2', 'available'));
});
scene('a daemon that dies again and again leaves its sessions behind, and waits until they are over', async (rack) => {
  rack.enrol('h2');
  await reach(rack, 'identified', () => rack.host('h2')?.identified !== null && rack.host('h2') !== undefined);
  for (let death = 0; death < 6; death++) {
    rack.crash();
    await reach(rack, 'served', () => rack.daemon !== undefined);
    await pass(rack, 2 * second);
  }
  await reach(rack, 'available', state(rack, 'h2', 'available'));
  assert.equal(hostOf(rack, 'h2').failed, null);
});
for (const knows of [true, false])
  scene(
    `a BMC is away between the boot flags and the power: ${knows ? 'the flags wait' : 'they run out, and that is noticed'}`,
    async (rack) => {
      const bmc = ipmi(rack);
      bmc.quirks.refusesBootTimeout = !knows;
      rack.enrol('h2');
      await reach(rack, 'armed', () => rack.host('h2')?.boot?.armedAt !== undefined);
      bmc.quirks.silent = true;
      await pass(rack, 80 * second);
      assert.equal(rack.metal('h2').power(), 'off');
      bmc.quirks.silent = false;
      await reach(rack, 'available', state(rack, 'h2', 'available'));
      assert.equal(hostOf(rack, 'h2').facts.bootCount, knows ? 1 : 2);
      if (!knows) assert.match(await timeline(rack, 'h2'), /not one packet of 52:54:00:77:00:02 was seen/);
    },
    { limits: { powerStepMs: 150_000 } },
  );
scene('a new NIC: IPMI cannot say whose it is, so the operator is asked, and nothing is guessed', async (rack) => {
  await asleep(rack, 'h2');
  const young = parseMac('52:54:00:77:00:0a');
  assert.ok(young !== undefined);
  rack.metal('h2').replaceNic(young);
  await claim(rack, h2);
  await reach(rack, 'failed', failed(rack, 'h2'));
  assert.match(hostOf(rack, 'h2').failed?.reason ?? '', /not one packet of 52:54:00:77:00:02/);
  const [proposal] = hostOf(rack, 'h2').identity?.proposals ?? [];
  assert.deepEqual([proposal?.mac, proposal?.asked], [young, limits.stepTries]);
  assert.deepEqual(hostOf(rack, 'h2').macs, [parseMac('52:54:00:77:00:02')]);
  rack.adopt('h2', young);
  rack.retry('h2');
  await provisioned(rack, 1, 'h2');
  assert.deepEqual(hostOf(rack, 'h2').identity?.proposals, []);
});
