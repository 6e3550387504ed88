/** One fault at a time, against the real daemon: the named refusal or retry, the reason in the timeline, and nothing written that should not be. */
import assert from 'node:assert/strict';
import { bootPrograms } from '../../src/boot/decide.ts';
import { claimSchema, enrolSchema } from '../../src/control/rack.ts';
import { SimDisk } from './disk.ts';
import { rawImage } from './furniture.ts';
import { bmcPassword } from './rack.ts';
import type { SimRack } from './rack.ts';
import { asleep, ask, available, claim, failed, hostOf, minute, pass, provisioned, reach, refused, scene } from './stage.ts';
import { second, state, timeline, writes, writing } from './stage.ts';
import { poison } from './scheduler.ts';

poison();
const replaceDisk = (rack: SimRack, name: string, disk: SimDisk): void => {
  // Somebody opens the server: the list is the server's own.
  (rack.metal(name).disks as SimDisk[])[0] = disk;
};
const bmcOf = (rack: SimRack, name: string): SimRack['bmcs'][number] => {
  const bmc = rack.bmcs[Number(name.slice(1)) - 1];
  assert.ok(bmc !== undefined);
  return bmc;
};

// What the agent meets

scene('every chunk has a flipped byte: tried again, then failed with the chunk named; healed and retried, it arrives', async (rack) => {
  await available(rack);
  rack.metal('h1').faults.corruptChunks = true;
  await claim(rack);
  await reach(rack, 'failed', failed(rack));
  const { failed: failure } = hostOf(rack);
  assert.equal(failure?.code, 'chunk-corrupt');
  assert.match(failure.reason, /chunk [0-9a-f]{64} is corrupt/);
  assert.equal(failure.tries, 3);
  assert.match(await timeline(rack), /install failed: chunk [0-9a-f]{64} is corrupt .*chunk-corrupt/);
  assert.equal(writes(rack), 0);
  rack.metal('h1').faults.corruptChunks = false;
  rack.retry('h1');
  await provisioned(rack);
});

scene('an agent dies half-way: the boot is tried again and a later one installs', async (rack) => {
  await available(rack);
  rack.metal('h1').faults.dieAfterChunks = 3;
  await claim(rack);
  await provisioned(rack);
  assert.equal(rack.metal('h1').installsStarted, 2);
  assert.match(await timeline(rack), /boot 1 came to nothing \(try 1 of 3\): the agent fell silent \S+ s ago in the middle of install/);
  assert.equal(hostOf(rack).facts.installed?.digest, rack.images.get('alpha')?.digest);
});

scene('an agent that does not obey: the law of the disk is what notices', async (rack) => {
  await available(rack);
  rack.metal('h1').faults.lawless = true;
  await claim(rack);
  await writing(rack);
  rack.network.faults.delayMs = 40_000;
  rack.release('c1');
  await assert.rejects(pass(rack, 10 * minute), /the law of the disk/);
});

// The BMC

const neverPowered = async (rack: SimRack, heal: () => void): Promise<void> => {
  rack.enrol('h1');
  await reach(rack, 'failed', failed(rack));
  const { failed: failure } = hostOf(rack);
  assert.equal(failure?.step, 'boot');
  assert.equal(failure.tries, 3);
  assert.match(failure.reason, /the BMC says the power is on, but not one packet of 52:54:00:77:00:01 was seen in/);
  assert.match(await timeline(rack), /boot 3 came to nothing \(try 3 of 3\): the BMC says/);
  assert.equal(hostOf(rack).facts.bootCount, 3);
  await pass(rack, 60 * minute);
  assert.equal(hostOf(rack).facts.bootCount, 3, 'what failed waits for somebody');
  heal();
  rack.retry('h1');
  await reach(rack, 'available', state(rack, 'h1', 'available'));
};
scene('a BMC says on and stays off: three boots, then failed with the MACs that never spoke', async (rack) => {
  bmcOf(rack, 'h1').quirks.saysOnStaysOff = true;
  await neverPowered(rack, () => {
    bmcOf(rack, 'h1').quirks.saysOnStaysOff = false;
  });
});
scene('a server that is on and dead: three boots, then failed with the MACs that never spoke', async (rack) => {
  rack.metal('h1').faults.dead = true;
  await neverPowered(rack, () => {
    rack.metal('h1').faults.dead = false;
  });
});
scene('a BMC is silent for a while: nobody needs to do anything', async (rack) => {
  bmcOf(rack, 'h1').quirks.silent = true;
  rack.enrol('h1');
  await pass(rack, 15 * second);
  bmcOf(rack, 'h1').quirks.silent = false;
  await reach(rack, 'available', state(rack, 'h1', 'available'));
  assert.equal(hostOf(rack).failed, null);
  assert.match(await timeline(rack), /bmc: .* no answer in time .*bmc-unreachable/);
});
scene('a BMC stays silent: failed with its address, until somebody asks again', async (rack) => {
  bmcOf(rack, 'h1').quirks.silent = true;
  rack.enrol('h1');
  await reach(rack, 'failed', failed(rack));
  assert.match(hostOf(rack).failed?.reason ?? '', /10\.77\.9\.1.* no answer in time \(\d tries in/);
  bmcOf(rack, 'h1').quirks.silent = false;
  rack.retry('h1');
  await reach(rack, 'available', state(rack, 'h1', 'available'));
});
scene('a BMC refuses the password: said, and never shown', async (rack) => {
  bmcOf(rack, 'h1').quirks.wrongPassword = true;
  rack.enrol('h1');
  await reach(rack, 'failed', failed(rack));
  const told = await timeline(rack);
  assert.match(told, /bmc-refused/);
  assert.match(hostOf(rack).failed?.reason ?? '', /refuse|password|login|credential/i);
  assert.ok(!told.includes(bmcPassword));
  assert.equal(rack.metal('h1').power(), 'off');
});
scene('an operator asks for power: done, told, and the host stays what it is', async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  rack.invariants.operatorPower = true;
  assert.deepEqual(await ask(rack, (daemon) => daemon.rack.power('h1', 'off', { by: 'eve' })), { observed: 'off', settled: true });
  assert.equal(rack.metal('h1').power(), 'off');
  await pass(rack, 30 * minute);
  assert.equal(rack.metal('h1').power(), 'off', 'nobody switches a provisioned host on by itself');
  await ask(rack, (daemon) => daemon.rack.power('h1', 'on', { by: 'eve' }));
  await reach(rack, 'run again', () => rack.metal('h1').booted.length === 2);
  await pass(rack, minute);
  assert.equal(hostOf(rack).state, 'provisioned');
  assert.equal(rack.metal('h1').installsStarted, 1);
  assert.match(await timeline(rack), /power off asked by eve: it is off/);
});

// The disk

scene('no disk fits, or two do: refused with the list before anything is touched', async (rack) => {
  await available(rack, 'h2');
  const wrong = claim(rack, { host: 'h2', disk: { serial: 'disk-9' } });
  await assert.rejects(
    wrong,
    refused('disk-missing', /no disk matches .*disk-9.*found: \/dev\/vda .* serial disk-2; \/dev\/vdb .* serial foreign/),
  );
  await assert.rejects(
    wrong,
    ({ status, values }: { status: number; values: { disks: unknown[] } }) => status === 422 && values.disks.length === 2,
  );
  await assert.rejects(
    claim(rack, { host: 'h2', disk: { only: true } }),
    refused('disk-ambiguous', /there are 2 disks.*serial disk-2.*serial foreign/),
  );
  await assert.rejects(claim(rack, { host: 'h2', disk: { minSizeBytes: 1 } }), refused('disk-ambiguous', /2 disks match/));
  assert.equal(hostOf(rack, 'h2').claim, null);
  assert.equal(writes(rack), 0);
});
scene('the disk is swapped between claim and installation: no job, nothing written', async (rack) => {
  await asleep(rack);
  replaceDisk(rack, 'h1', new SimDisk('/dev/vda', 'another', 160 * 1024, 0x55));
  await claim(rack);
  await reach(rack, 'failed', failed(rack));
  assert.equal(hostOf(rack).failed?.code, 'disk-missing');
  assert.match(
    await timeline(rack),
    /the disk \/dev\/vda .* serial disk-1 of claim c1 is not there.*found: .* serial another; nothing was written/,
  );
  assert.equal(hostOf(rack).job, null);
  assert.equal(writes(rack), 0);
});
scene('the disk is swapped under a waiting agent: the agent sees it, nothing is written', async (rack) => {
  await available(rack);
  replaceDisk(rack, 'h1', new SimDisk('/dev/vda', 'another', 160 * 1024, 0x55));
  await claim(rack);
  await reach(rack, 'failed', failed(rack));
  assert.equal(hostOf(rack).failed?.code, 'disk-mismatch');
  assert.equal(hostOf(rack).failed?.tries, 1, 'another try would meet the same disk');
  assert.equal(writes(rack), 0);
});
scene('the image is larger than the disk: refused, for a claim and for a change', async (rack) => {
  await rack.files.write('/import/large.raw', rawImage(3, 256 * 1024));
  await ask(rack, (daemon) => daemon.images.import({ file: '/import/large.raw' }, { name: 'large', phoneHome: 'image' }));
  await available(rack);
  await assert.rejects(claim(rack, { image: 'large' }), refused('disk-too-small', /262144 bytes and does not fit on \/dev\/vda/));
  await claim(rack);
  await provisioned(rack);
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.reprovision('c1', { image: 'large' }, { by: 'test' })),
    refused('disk-too-small', /does not fit/),
  );
  assert.equal(hostOf(rack).claim?.generation, 1);
});
scene('the disk of the image store is full: said, nothing of the import is left, and what was there still works', async (rack) => {
  await rack.files.write('/import/third.raw', rawImage(11));
  const before = [...rack.files.disk.keys()].filter((path) => rack.files.disk.get(path)?.kind === 'file').toSorted();
  const used = [...rack.files.disk.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  rack.filesBytesMax = used + 600;
  const importing = ask(rack, (daemon) => daemon.images.import({ file: '/import/third.raw' }, { name: 'third', phoneHome: 'image' }));
  await assert.rejects(importing, refused('disk-full', /space/));
  const after = [...rack.files.disk.keys()].filter((path) => rack.files.disk.get(path)?.kind === 'file').toSorted();
  assert.deepEqual(after, before);
  const images = await ask(rack, (daemon) => daemon.images.list());
  assert.deepEqual(
    images.map(({ name }) => name),
    ['alpha', 'beta'],
  );
  await available(rack);
  await claim(rack);
  await provisioned(rack);
});

// Owners

scene('a second claim for a claimed host is refused; the same claim asked twice is one', async (rack) => {
  await available(rack, 'h1');
  await available(rack, 'h2');
  const first = await claim(rack);
  await assert.rejects(claim(rack, { id: 'c2' }), refused('host-claimed', /h1 .*claimed by operator \(c1\)/));
  const again = await claim(rack);
  assert.equal(again.id, first.id);
  await assert.rejects(claim(rack, { host: undefined }), refused('claim-exists', /c1 holds host h1 .*another host/));
  await assert.rejects(claim(rack, { image: 'beta' }), refused('claim-exists', /another image/));
  assert.equal(hostOf(rack, 'h2').claim, null);
  await provisioned(rack);
});
scene('two claims meet at one host: one gets it, the other is told who has it', async (rack) => {
  await available(rack);
  const both = ['c1', 'c2'].map((id) => ({ id, host: 'h1', image: 'alpha', disk: { serial: 'disk-1' } }));
  const ends = await ask(rack, (daemon) =>
    Promise.allSettled(both.map((one) => daemon.rack.claim(claimSchema.parse(one), { by: 'test' }))),
  );
  assert.deepEqual(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const lost = ends.find((end) => end.status === 'rejected');
  assert.match(String(lost?.reason), /h1 .*claimed by operator \(c[12]\)/);
});
scene("a released claim's ID is never given again", async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  rack.release('c1');
  await reach(rack, 'available', state(rack, 'h1', 'available'));
  await assert.rejects(claim(rack), refused('claim-exists', /claim c1 was released/));
  assert.equal(hostOf(rack).claim, null);
});
scene('reprovision in the middle of writing: the old work ends, the new image is what runs', async (rack) => {
  await available(rack);
  await claim(rack);
  await writing(rack);
  rack.reprovision('c1', 'beta');
  await provisioned(rack, 2);
  assert.equal(rack.metal('h1').booted.length, 1);
  assert.equal(rack.metal('h1').booted[0]?.digest, rack.images.get('beta')?.digest);
});
scene('release in the middle of writing: the disk is cleaned before anybody may claim the host', async (rack) => {
  await available(rack);
  await claim(rack);
  await writing(rack);
  rack.release('c1');
  await reach(rack, 'cleaning', state(rack, 'h1', 'cleaning'));
  await assert.rejects(claim(rack, { id: 'c2' }), refused('state-conflict', /it is cleaning/));
  await reach(rack, 'available', state(rack, 'h1', 'available'));
  assert.ok(rack.metal('h1').disks[0]?.isZero());
  assert.equal(rack.metal('h1').booted.length, 0);
});
scene('release before anything was written: available at once, and never cleaned', async (rack) => {
  await asleep(rack);
  await claim(rack);
  rack.release('c1');
  await reach(rack, 'available', state(rack, 'h1', 'available'), second);
  assert.equal(writes(rack), 0);
});
scene('a hold in the middle stops all steps; lifted, it goes on', async (rack) => {
  await asleep(rack);
  await claim(rack);
  await reach(rack, 'powered on', () => hostOf(rack).boot?.poweredOnAt !== undefined && rack.metal('h1').power() === 'on');
  await ask(rack, (daemon) => daemon.rack.hold('h1', 'a cable hangs loose', { by: 'eve' }));
  const commands = bmcOf(rack, 'h1').commands.length;
  await pass(rack, 30 * minute);
  assert.equal(writes(rack), 0);
  assert.equal(bmcOf(rack, 'h1').commands.length, commands, 'no command while it is held');
  assert.match((await ask(rack, (daemon) => daemon.rack.host('h1'))).doing, /held by eve: a cable hangs loose/);
  rack.unhold('h1');
  await provisioned(rack);
  assert.match(await timeline(rack), /held by eve: a cable hangs loose .*\n(.*\n)*.*hold lifted by test/);
});
scene('forget: refused while a claim holds the host, else the machine is a stranger again', async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.forget('h1', { by: 'test' })),
    refused('host-claimed', /claim c1 of operator holds it/),
  );
  rack.release('c1');
  await reach(rack, 'available', state(rack, 'h1', 'available'));
  const written = writes(rack);
  await ask(rack, (daemon) => daemon.rack.forget('h1', { by: 'test' }));
  await pass(rack, minute);
  await rack.metal('h1').turnOff();
  await rack.metal('h1').turnOn('network');
  await reach(rack, 'seen', state(rack, 'unknown-525400770001', 'discovered'));
  await pass(rack, 30 * minute);
  assert.equal(writes(rack), written);
});

// Strangers and servers without a BMC

scene('an unknown machine asks for a boot: seen, never booted, never written, never claimed', async (rack) => {
  await rack.metal('h1').turnOn('network');
  await reach(rack, 'seen', state(rack, 'unknown-525400770001', 'discovered'));
  await pass(rack, 30 * minute);
  assert.equal(hostOf(rack, 'unknown-525400770001').boot, null);
  const told = await timeline(rack, 'unknown-525400770001');
  assert.match(told, /seen for the first time/);
  for (const file of Object.values(bootPrograms)) assert.ok(!told.includes(file), 'no boot file is offered');
  await assert.rejects(claim(rack, { host: 'unknown-525400770001' }), refused('state-conflict', /it is discovered/));
  await assert.rejects(
    claim(rack, { host: undefined }),
    refused('no-host-fits', /1 host looked at, none fits: 1 discovered and not accepted/),
  );
  assert.equal(writes(rack), 0);
  assert.equal(rack.bmcs.flatMap(({ commands }) => commands).length, 0);
});
scene(
  "the operator's rule accepts a machine: it is inspected when somebody presses its button",
  async (rack) => {
    await rack.metal('h1').turnOn('network');
    await reach(rack, 'accepted', () => rack.host('unknown-525400770001')?.boot?.armedAt !== undefined);
    assert.match(await timeline(rack, 'unknown-525400770001'), /accepted by the rule in the configuration/);
    await rack.metal('h1').turnOff();
    await rack.metal('h1').turnOn('network');
    await reach(rack, 'available', state(rack, 'unknown-525400770001', 'available'));
    assert.equal(writes(rack), 0);
  },
  { accept: ['52:54:00:77:00:*'] },
);
scene('a server without a BMC: the timeline asks for the button, and its whole life works', async (rack) => {
  const metal = rack.metal('h1');
  const press = async (boot: number): Promise<void> => {
    await reach(rack, `asked for boot ${boot}`, () => hostOf(rack).boot?.number === boot && hostOf(rack).boot?.closedAt === undefined);
    assert.match(
      await timeline(rack),
      new RegExp(`boot ${boot} opened; there is no BMC: press the power button and boot from the network`),
    );
    await metal.turnOff();
    await metal.turnOn('network');
  };
  await ask(rack, (daemon) =>
    daemon.rack.enrol(enrolSchema.parse({ name: 'h1', macs: [...metal.macs], firmware: 'bios' }), { by: 'test' }),
  );
  await press(1);
  await reach(rack, 'available', state(rack, 'h1', 'available'));
  await claim(rack);
  await provisioned(rack);
  rack.reprovision('c1', 'beta');
  await press(2);
  await provisioned(rack, 2);
  rack.release('c1');
  await press(3);
  await reach(rack, 'available', state(rack, 'h1', 'available'));
  assert.ok(metal.disks[0]?.isZero());
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.power('h1', 'on', { by: 'eve' })),
    refused('state-conflict', /no BMC: press its power button/),
  );
});
