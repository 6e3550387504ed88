/** Runs inside a rack's namespace: boots one host of each firmware by its BMC and prints one JSON line per fact. `inside-rack.ts RACK FOLDER` */
import { readFileSync, writeFileSync, openSync, writeSync, closeSync } from 'node:fs';
import { redfishDriver } from '../../src/bmc/redfish/driver.ts';
import type { BmcDriver } from '../../src/bmc/driver.ts';
import { reasonOf } from '../../src/errors.ts';
import { qemuMachine } from '../../src/lab/qemu/machine.ts';
import { startRack } from '../../src/lab/rack.ts';
import type { RackHost } from '../../src/lab/rack.ts';
import { limits } from '../../src/limits.ts';
import { noAddress } from '../../src/wire/address.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';
import { biosDisk, firstWords, uefiDisk } from './boot-disk.ts';

const [name = '', folder = ''] = process.argv.slice(2);
const stop = new AbortController();
const lab = realLabWorld({ signal: stop.signal, log: { level: 'warn' } });
const say = (fact: string, values: object = {}): void => console.log(JSON.stringify({ fact, ...values }));

/** Waits until `seen` is true; throws after a minute, which a busy machine's UEFI stays well below. */
const until = async (what: string, seen: () => boolean): Promise<void> => {
  const end = performance.now() + 60_000;
  while (!seen()) {
    if (performance.now() > end) throw new Error(`not within a minute: ${what}`);
    await lab.clock.sleep(50);
  }
};

/** DISCOVERs by hardware address: nobody answers them here. */
const discovers = new Map<string, number>();
const countDiscovers = async (bridge: string): Promise<void> => {
  const socket = await lab.net.udp({ address: noAddress, port: 67, interface: bridge, broadcast: true });
  socket.receive(({ bytes }) => {
    // RFC 2131 §2: chaddr at 28, options after the cookie at 240; DHCP firmware sends option 53 first.
    const mac = [...bytes.subarray(28, 34)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    if (bytes[240] === 53 && bytes[242] === 1) discovers.set(mac, (discovers.get(mac) ?? 0) + 1);
  });
};

const diskBoots = (host: RackHost): number => readFileSync(host.serialLog, 'latin1').split(firstWords).length - 1;
const overwrite = (host: RackHost, bytes: Uint8Array): void => {
  const fd = openSync(host.disks[0]?.path ?? '', 'r+');
  writeSync(fd, bytes);
  closeSync(fd);
};

const bootsFromNetwork = async (host: RackHost, since: number): Promise<void> =>
  until(`DISCOVER of ${host.name}`, () => (discovers.get(host.mac) ?? 0) > since);
const bootsFromDisk = (host: RackHost, times: number): Promise<void> =>
  until(`disk boot ${times} of ${host.name}`, () => diskBoots(host) >= times);

const tour = async (host: RackHost, bmc: BmcDriver): Promise<void> => {
  const { name: host_, firmware, machine } = host;
  const power = async (wanted: 'on' | 'off'): Promise<void> => say(`power ${wanted}`, { host: host_, outcome: await bmc.setPower(wanted) });
  const asked = (): number => discovers.get(host.mac) ?? 0;
  overwrite(host, firmware === 'bios' ? biosDisk() : uefiDisk());
  await bmc.bootOnceFromNetwork(firmware);
  await power('on');
  await bootsFromNetwork(host, 0);
  say('network first', { host: host_, diskBoots: diskBoots(host) });

  await machine.monitor?.run('system_reset');
  const before = asked();
  await bootsFromDisk(host, 1);
  say('disk after a reset', { host: host_, discovers: asked() - before });

  await power('off');
  await power('on');
  await bootsFromDisk(host, 2);
  say('disk at the next power-on', { host: host_, discovers: asked() - before });

  await power('off');
  overwrite(host, new Uint8Array(1024 * 1024));
  const empty = asked();
  await power('on');
  await bootsFromNetwork(host, empty);
  say('network where the disk is empty', { host: host_, diskBoots: diskBoots(host) });
  overwrite(host, firmware === 'bios' ? biosDisk() : uefiDisk());
  await machine.monitor?.run('system_reset');
  await bootsFromDisk(host, 3);
  say('disk once it is written', { host: host_ });
};

/** What is not the guest's doing: a button, a QEMU that dies, one that hangs, one that cannot start. */
const mishaps = async ({ machine }: RackHost): Promise<void> => {
  const heard = Promise.withResolvers<string>();
  machine.monitor?.events((event) => heard.resolve(event.name));
  await machine.pressButton();
  say('button', { event: await heard.promise });

  process.kill(machine.pid ?? 0, 'SIGKILL');
  await until('power off after its QEMU died', () => machine.power() === 'off');
  await machine.turnOff();
  await Promise.all([machine.turnOn('network'), machine.turnOn(undefined)]);
  say('on again', { power: machine.power() });

  const { pid = 0 } = machine;
  process.kill(pid, 'SIGSTOP');
  await machine.turnOff();
  say('hung', { power: machine.power(), left: lab.processes.startTimeOf(pid) ?? 'nothing' });

  const [disk] = machine.spec.disks;
  const broken = qemuMachine(lab, { ...machine.spec, disks: disk === undefined ? [] : [{ ...disk, path: '/no/such/disk' }] });
  await broken.turnOn(undefined).then(
    () => say('broken', { started: true }),
    (error: unknown) => say('broken', { reason: reasonOf(error), power: broken.power() }),
  );
  await startRack(lab, { name, hosts: 3, firmware: 'bios', folder: `${folder}/more` }).then(
    () => say('more hosts than taps', { started: true }),
    (error: unknown) => say('more hosts than taps', { reason: reasonOf(error) }),
  );
  await machine.turnOn(undefined);
};

const rack = await startRack(lab, { name, hosts: 2, firmware: ['bios', 'uefi'], folder, memoryMiB: 256, diskMiB: 16, foreignDiskMiB: 8 });
try {
  await countDiscovers(rack.net.bridge);
  say('started', {
    powers: rack.hosts.map((host) => host.machine.power()),
    disks: rack.hosts.map((host) => host.disks.map((disk) => disk.serial)),
  });
  const drivers = rack.hosts.map((host) => redfishDriver(lab, host.address, limits));
  for (const [index, host] of rack.hosts.entries()) {
    const driver = drivers[index];
    if (driver === undefined) continue;
    await tour(host, driver);
    await driver.close();
  }
  for (const host of rack.hosts.slice(0, 1)) await mishaps(host);
  say('running', { pids: rack.hosts.map((host) => host.machine.pid) });
} finally {
  await rack.stop();
  say('stopped', { powers: rack.hosts.map((host) => host.machine.power()) });
  writeFileSync(`${folder}/serial.txt`, rack.hosts.map((host) => readFileSync(host.serialLog, 'latin1')).join('\n'));
  stop.abort(new Error('the end'));
}
