/** SIGTERM and SIGHUP in the middle of things: the daemon ends in good order and goes on where it was; a changed configuration is taken up at once. */
import assert from 'node:assert/strict';
import type { SimRack } from './rack.ts';
import { asleep, available, claim, failed, hostOf, minute, pass, provisioned, reach, scene, second, state, timeline } from './stage.ts';
import { writing } from './stage.ts';
import { poison } from './scheduler.ts';

poison();
const ended = async (rack: SimRack): Promise<number> => {
  const from = rack.scheduler.now;
  const before = rack.stops;
  rack.terminate();
  await reach(rack, 'ended', () => rack.stops > before);
  return rack.scheduler.now - from;
};
const served = (rack: SimRack): Promise<void> => reach(rack, 'served', () => rack.daemon !== undefined);

scene('SIGTERM in the middle of writing: the agent waits for the next daemon, nothing is written twice', async (rack) => {
  await asleep(rack);
  await claim(rack);
  await writing(rack);
  assert.ok((await ended(rack)) < 5 * second);
  assert.equal(rack.crashes, 0);
  await served(rack);
  await provisioned(rack);
  assert.equal(rack.metal('h1').installsStarted, 1);
});
scene('SIGTERM gives the sessions of BMCs back', async (rack) => {
  await available(rack, 'h2');
  const [, bmc] = rack.bmcs;
  assert.ok(bmc?.protocol === 'ipmi');
  await claim(rack, { host: 'h2', disk: { serial: 'disk-2' } });
  await reach(rack, 'writing', () => (rack.metal('h2').disks[0]?.writes.length ?? 0) > 1 && bmc.openSessions() > 0);
  await ended(rack);
  assert.equal(bmc.openSessions(), 0);
  await served(rack);
  await provisioned(rack, 1, 'h2');
});
scene('what was seen on the wire a moment before SIGTERM stands in the timeline', async (rack) => {
  await asleep(rack);
  await claim(rack);
  await reach(rack, 'iPXE asks', () => rack.scheduler.tail(1).includes('h1 ipxe has'));
  await ended(rack);
  await served(rack);
  assert.match(await timeline(rack), /dhcp: REQUEST from iPXE/);
  await provisioned(rack);
});
scene('SIGTERM while a BMC says nothing: in time, and the work goes on afterwards', async (rack) => {
  const [, bmc] = rack.bmcs;
  assert.ok(bmc !== undefined);
  bmc.quirks.silent = true;
  rack.enrol('h2');
  await pass(rack, 3 * second);
  assert.ok((await ended(rack)) < 30 * second, 'before systemd kills it');
  bmc.quirks.silent = false;
  await served(rack);
  await reach(rack, 'available', state(rack, 'h2', 'available'));
  assert.equal(failed(rack, 'h2')(), false);
});
scene('a smaller pool in the middle, and the larger one again: nobody loses his address, nobody else gets it', async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  assert.equal(rack.metal('h1').party.address, '10.77.0.50');
  rack.reload();
  rack.reload();
  await available(rack, 'h2');
  assert.equal(rack.metal('h2').party.address, '10.77.0.51');
  rack.reload();
  rack.reprovision('c1', 'beta');
  await provisioned(rack, 2);
  assert.equal(rack.metal('h1').party.address, '10.77.0.54', 'the next boot is inside the smaller pool');
});
scene('less patience is taken up at once', async (rack) => {
  await available(rack);
  rack.reload();
  const since = hostOf(rack).facts.availableSince ?? 0;
  await reach(rack, 'asleep', () => rack.metal('h1').power() === 'off', 5 * minute);
  const parkedMs = rack.scheduler.now - since;
  assert.ok(parkedMs >= 60 * second && parkedMs < 120 * second, `parked for ${parkedMs} ms`);
});
