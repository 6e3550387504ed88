/** A rack without metal: hosts in QEMU, each with a disk, a place on a private bridge, and a BMC in front of it. */
import { RemudaError } from '../errors.ts';
import { parseMac, parseUuid } from '../wire/address.ts';
import type { Mac, Uuid } from '../wire/address.ts';
import type { BmcAddress, BmcProtocol } from '../wire/words.ts';
import type { LabWorld } from '../world/lab-world.ts';
import { ipmiBmc } from './model/ipmi-bmc.ts';
import type { IpmiBmc, IpmiBmcOptions } from './model/ipmi-bmc.ts';
import { carryIpmi } from './model/ipmi-carrier.ts';
import type { IpmiQuirks } from './model/ipmi-quirks.ts';
import { redfishBmc } from './model/redfish-bmc.ts';
import type { RedfishBmc } from './model/redfish-bmc.ts';
import type { BmcQuirks } from './model/quirks.ts';
import { bridgeOf, checkTaps, rackNet } from './net.ts';
import type { RackNet } from './net.ts';
import { advertise } from './qemu/advertise.ts';
import type { DiskSpec } from './qemu/arguments.ts';
import { qemuMachine } from './qemu/machine.ts';
import type { QemuMachine } from './qemu/machine.ts';
import { endRecordedProcess } from './qemu/pid.ts';

const redfishPortBase = 8000;
const ipmiPort = 623;
/** What the passwords of IPMI have room for (§22.30), in hex. */
const passwordBytes = 8;
const hostsMax = 64;
const mebibyte = 1024 * 1024;

export interface RackOptions {
  /** The one the namespace was made with. */
  readonly name: string;
  /** How many; `h1`, `h2`, … */
  readonly hosts: number;
  /** For all hosts, or one after another and the last for the rest. */
  readonly firmware: 'bios' | 'uefi' | readonly ('bios' | 'uefi')[];
  /** Absolute; each host has a folder in it. Disks and UEFI variables found there are kept. */
  readonly folder: string;
  /** Default `tcg`. */
  readonly accel?: 'tcg' | 'kvm';
  /** What the BMCs speak, likewise; default `redfish`. */
  readonly bmc?: BmcProtocol | readonly BmcProtocol[];
  /** Of every BMC, as far as it has them; they may be changed later, at each host's `bmc.quirks`. */
  readonly quirks?: RackQuirks;
  /** Likewise; default 512. */
  readonly memoryMiB?: number | readonly number[];
  /** Likewise; default 1. */
  readonly cpus?: number | readonly number[];
  /** Default 256. */
  readonly diskMiB?: number;
  /** A second disk of every host, of this size, `REMUDA-h1-d1`: one that nobody may write. */
  readonly foreignDiskMiB?: number;
  /** Default `10.77.0`; the one the namespace was made with. */
  readonly prefix?: string;
  /** Default 1; as the namespace was made. */
  readonly subnets?: 1 | 2;
}
export type RackQuirks = Partial<BmcQuirks & IpmiQuirks>;
export interface RackHost {
  readonly name: string;
  readonly mac: Mac;
  readonly uuid: Uuid;
  readonly firmware: 'bios' | 'uefi';
  readonly disks: readonly DiskSpec[];
  /** Appended to through all its boots. */
  readonly serialLog: string;
  /** Where its BMC is; the certificate of a Redfish one is pinned. */
  readonly address: BmcAddress;
  readonly machine: QemuMachine;
  readonly bmc: RedfishBmc | IpmiBmc;
}
export interface Rack {
  readonly net: RackNet;
  readonly hosts: readonly RackHost[];
  /** Powers every host off and closes every BMC; within about 5 s. */
  stop(): Promise<void>;
}

/** A host's addresses follow from its place, counted from 0, so that a rack started again in the same folder is the same rack. */
export const identityOf = (index: number): { readonly mac: Mac; readonly uuid: Uuid } => {
  const tail = (index + 0x10).toString(16).padStart(4, '0');
  const mac = parseMac(`52:54:00:77:${tail.slice(0, 2)}:${tail.slice(2)}`);
  // "remuda" in ASCII, then version 4's form and the MAC address.
  const uuid = parseUuid(`72656d75-6461-4000-8000-52540077${tail}`);
  if (mac === undefined || uuid === undefined) throw new RemudaError('internal', `host number ${index + 1} has no address`);
  return { mac, uuid };
};

/** A sparse file; one that is there already is kept as it is. */
const makeDisk = async (lab: LabWorld, disk: DiskSpec): Promise<void> => {
  if ((await lab.files.stat(disk.path)) !== undefined) return;
  const { code, stderr } = await lab.processes.run('truncate', ['-s', String(disk.sizeBytes), disk.path], { timeoutMs: 10_000 });
  if (code !== 0)
    throw new RemudaError('disk-full', `cannot make the disk ${disk.path}: ${stderr.trim()}`, { values: { path: disk.path } });
};

const disksOf = (options: RackOptions, name: string, folder: string): readonly DiskSpec[] =>
  [options.diskMiB ?? 256, options.foreignDiskMiB].flatMap((sizeMiB, index) =>
    sizeMiB === undefined
      ? []
      : [{ path: `${folder}/disk${index}.raw`, sizeBytes: sizeMiB * mebibyte, serial: `REMUDA-${name}-d${index}` }],
  );

/** Of one for all, or of one after another and the last for the rest. */
const nth = <T extends string | number>(of: T | readonly T[] | undefined, index: number, otherwise: T): T =>
  typeof of === 'object' ? (of[index] ?? of.at(-1) ?? otherwise) : (of ?? otherwise);

/** What is in progress, so that a rack that fails half way leaves nothing. */
interface Parts {
  readonly hosts: RackHost[];
  readonly listeners: { close(): void | Promise<void> }[];
  readonly machines: QemuMachine[];
}

const startMachine = async (lab: LabWorld, options: RackOptions, tap: string, index: number): Promise<QemuMachine> => {
  const name = `h${index + 1}`;
  const folder = `${options.folder}/${name}`;
  const disks = disksOf(options, name, folder);
  await lab.files.makeFolder(folder, 0o700);
  await endRecordedProcess(lab, folder);
  for (const disk of disks) await makeDisk(lab, disk);
  return qemuMachine(lab, {
    ...identityOf(index),
    name,
    serial: `REMUDA-${name}`,
    firmware: nth(options.firmware, index, 'bios'),
    disks,
    tap,
    folder,
    memoryMiB: nth(options.memoryMiB, index, 512),
    cpus: nth(options.cpus, index, 1),
    accel: options.accel ?? 'tcg',
  });
};

type BmcOptions = Omit<IpmiBmcOptions, 'quirks'> & { readonly quirks: RackQuirks };
interface Bmc {
  readonly bmc: RedfishBmc | IpmiBmc;
  readonly address: BmcAddress;
}
const startRedfish = async (lab: LabWorld, net: RackNet, parts: Parts, options: BmcOptions): Promise<Bmc> => {
  const { name, username, password } = options;
  const bmc = redfishBmc(options);
  const identity = await lab.http.selfSigned(`${name}.bmc`);
  const port = redfishPortBase + parts.hosts.length + 1;
  parts.listeners.push(await lab.http.listen({ at: { address: net.address, port }, routes: bmc.routes, identity }));
  const url = `https://${net.address}:${port}`;
  return { bmc, address: { protocol: 'redfish', url, username, password, fingerprint: identity.fingerprint } };
};
const startIpmi = async (lab: LabWorld, net: RackNet, parts: Parts, options: BmcOptions): Promise<Bmc> => {
  const { name, username, password } = options;
  const at = net.bmcAddresses[parts.hosts.length];
  if (at === undefined) throw new RemudaError('internal', `there is no address for the BMC of ${name}`);
  const bmc = ipmiBmc(options);
  const socket = await lab.net.udp({ address: at, port: ipmiPort });
  parts.listeners.push(socket);
  carryIpmi(bmc, socket, lab.clock);
  return { bmc, address: { protocol: 'ipmi', url: `ipmi://${at}`, username, password } };
};

const startHost = async (lab: LabWorld, options: RackOptions, net: RackNet, parts: Parts): Promise<void> => {
  const index = parts.hosts.length;
  const machine = await startMachine(lab, options, net.taps[index] ?? '', index);
  parts.machines.push(machine);
  const { name, mac, uuid, firmware, disks, folder } = machine.spec;
  const { clock, random } = lab;
  const password = Buffer.from(random.bytes(passwordBytes)).toString('hex');
  const start = nth(options.bmc, index, 'redfish') === 'ipmi' ? startIpmi : startRedfish;
  const quirks = options.quirks ?? {};
  const { bmc, address } = await start(lab, net, parts, { name, machine, username: 'remuda', password, random, clock, quirks });
  parts.hosts.push({ name, mac, uuid, firmware, disks, machine, bmc, address, serialLog: `${folder}/serial.log` });
};

/** Also where one of them fails, all the others are ended. */
const stopAll = async (parts: Parts): Promise<void> => {
  await Promise.all(parts.listeners.map(async (listener) => listener.close()));
  const ends = await Promise.allSettled(parts.machines.map((machine) => machine.turnOff()));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
};

/**
 * All hosts off, all BMCs listening. The process that calls this runs inside the namespace that `makeRackNet` made, with at
 * least as many taps. QEMU processes that a crashed run left in the same folder are ended first. Throws with nothing left running.
 */
export const startRack = async (lab: LabWorld, options: RackOptions): Promise<Rack> => {
  if (!Number.isInteger(options.hosts) || options.hosts < 1 || options.hosts > hostsMax)
    throw new RemudaError('bad-config', `a rack has 1 to ${hostsMax} hosts, not ${options.hosts}`);
  const { name, hosts: taps, prefix, subnets } = options;
  const net = rackNet(name, { taps, ...(prefix === undefined ? {} : { prefix }), ...(subnets === undefined ? {} : { subnets }) });
  await checkTaps(lab, net);
  const parts: Parts = { hosts: [], listeners: [], machines: [] };
  const ends = [...new Set(net.taps.map((_, index) => bridgeOf(net, index)))].map((bridge) => advertise(lab, bridge));
  const endAdvertising = (): void => {
    for (const end of ends) end();
  };
  try {
    for (let index = 0; index < options.hosts; index += 1) await startHost(lab, options, net, parts);
  } catch (error) {
    endAdvertising();
    await stopAll(parts);
    throw error;
  }
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    endAdvertising();
    return (stopping ??= stopAll(parts));
  };
  return { net, hosts: parts.hosts, stop };
};
