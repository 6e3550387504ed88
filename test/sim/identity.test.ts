/** A server gets another NIC: it stays the host that it was, by the word of its own BMC, and by nobody else's. */
import assert from 'node:assert/strict';
import { parseMac } from '../../src/wire/address.ts';
import type { Mac } from '../../src/wire/address.ts';
import { poison } from './scheduler.ts';
import type { SimRack } from './rack.ts';
import { ask, asleep, available, claim, hostOf, minute, pass, provisioned, reach, refused, scene, state, timeline } from './stage.ts';

poison();
const macOf = (text: string): Mac => {
  const mac = parseMac(text);
  assert.ok(mac !== undefined);
  return mac;
};
const old = macOf('52:54:00:77:00:01');
const young = macOf('52:54:00:77:00:0a');
const proposed = (rack: SimRack) => (): boolean => (hostOf(rack).identity?.proposals.length ?? 0) > 0;

scene('a claimed host with a new NIC keeps name, claim and disk, and is installed', async (rack) => {
  await asleep(rack);
  rack.metal('h1').replaceNic(young);
  await claim(rack);
  await provisioned(rack);
  const host = hostOf(rack);
  assert.deepEqual(host.macs, [young]);
  assert.equal(host.claim?.id, 'c1');
  assert.deepEqual(
    host.identity?.retired.map(({ mac }) => mac),
    [old],
  );
  assert.deepEqual(host.identity?.proposals, []);
  assert.equal(rack.host('unknown-52540077000a'), undefined, 'no stranger was made of it');
  const told = await timeline(rack);
  assert.match(told, /asks for an address from MAC 52:54:00:77:00:0a.*its BMC is asked/);
  assert.match(told, /new MAC 52:54:00:77:00:0a; 52:54:00:77:00:01 is there no more and is retired/);
  rack.release('c1');
  await reach(rack, 'clean', () => state(rack, 'h1', 'available')() && hostOf(rack).claim === null);
});
scene('a stranger with the UUID of a host gets nothing: its BMC does not name him, and the operator says whose he is', async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  const { macs } = hostOf(rack);
  // The second server shows the UUID of the first: made so by its maker, or by somebody who wants its image.
  const stranger = rack.metal('h2');
  stranger.uuid = rack.metal('h1').uuid;
  await stranger.turnOn('network');
  await reach(rack, 'proposed', proposed(rack));
  await pass(rack, 20 * minute);
  assert.deepEqual(hostOf(rack).macs, macs);
  assert.equal(hostOf(rack).state, 'provisioned');
  assert.equal(hostOf(rack).failed, null);
  assert.equal(stranger.disks[0]?.writes.length, 0);
  const asked = hostOf(rack).identity?.proposals[0]?.asked ?? 0;
  assert.ok(asked >= 1 && asked <= 3, `the BMC was asked ${asked} times`);
  assert.match(await timeline(rack), /it does not name 52:54:00:77:00:02/);
  await ask(rack, (daemon) => daemon.rack.macs('h1', { refuse: '52:54:00:77:00:02' }, { by: 'eve' }));
  assert.deepEqual(hostOf(rack).identity?.proposals, []);
  await stranger.turnOff();
  await stranger.turnOn('network');
  await reach(rack, 'a stranger', state(rack, 'unknown-525400770002', 'discovered'));
  assert.match(await timeline(rack, 'unknown-525400770002'), /it has the UUID of h1, which is not it/);
});
scene('a silent BMC fails no running host: it is asked less and less, until an operator adopts the MAC', async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  const [bmc] = rack.bmcs;
  assert.ok(bmc !== undefined);
  bmc.quirks.silent = true;
  const metal = rack.metal('h1');
  await metal.turnOff();
  metal.replaceNic(young);
  await metal.turnOn('network');
  await reach(rack, 'asked three times', () => hostOf(rack).identity?.proposals[0]?.missed === 3);
  const { version } = hostOf(rack);
  await pass(rack, 60 * minute);
  const { asked, missed = 0 } = hostOf(rack).identity?.proposals[0] ?? {};
  assert.ok(asked === 0 && missed > 5 && missed < 12, `${missed} questions in an hour`);
  assert.ok(hostOf(rack).version < version + 20);
  assert.equal([...(await timeline(rack)).matchAll(/the BMC cannot be asked/g)].length, 1, 'said once');
  assert.equal(hostOf(rack).failed, null);
  assert.equal(hostOf(rack).state, 'provisioned');
  await ask(rack, (daemon) => daemon.rack.macs('h1', { adopt: young }, { by: 'eve' }));
  assert.deepEqual(hostOf(rack).macs, [old, young]);
  await ask(rack, (daemon) => daemon.rack.macs('h1', { remove: old }, { by: 'eve' }));
  assert.deepEqual(hostOf(rack).macs, [young]);
});
scene('a MAC that another host has is adopted by nobody', async (rack) => {
  await available(rack);
  await available(rack, 'h2');
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.macs('h1', { adopt: '52:54:00:77:00:02' }, { by: 'eve' })),
    refused('identity-conflict', /one of host h2: remove it there first/),
  );
});
scene('two hosts with one BMC: the second stops before anything is done to the first', async (rack) => {
  await available(rack);
  const [first] = rack.bmcs;
  const before = first?.commands.length;
  const macs = ['52:54:00:77:00:0b'];
  const bmc = { protocol: 'redfish' as const, url: 'http://10.77.9.1', username: 'root', password: 'bmc-password-hunter3', insecure: true };
  const spec = { name: 'twin', macs, bmc };
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.enrol(spec, { by: 'eve' })),
    refused('host-exists', /its BMC .* is that of host h1/),
  );
  // Under another name of the same address nobody can know before the BMC is asked.
  const hidden = { ...spec, bmc: { ...bmc, system: '1' } };
  await ask(rack, (daemon) => daemon.rack.enrol(hidden, { by: 'eve' }));
  await reach(rack, 'failed', () => rack.host('twin')?.failed?.code === 'identity-conflict');
  assert.match(rack.host('twin')?.failed?.reason ?? '', /52:54:00:77:00:01, which is one of host h1/);
  assert.equal(first?.commands.length, before);
});
