/** The servers of a living rack: physics and BMCs of the simulation, by number; and what an installed OS was given. */
import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { noAddress, parseIpv4, parseMac, parseUuid } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { readFat } from '../image/fat-reader.ts';
import type { MemoryFiles } from '../world/memory-files.ts';
import { bmcOf } from '../sim/bmcs.ts';
import type { SimBmc } from '../sim/bmcs.ts';
import { chanceOf } from '../sim/chance.ts';
import { Metal } from '../sim/metal.ts';
import type { RunningOs } from '../sim/metal.ts';
import type { Network } from '../sim/network.ts';
import { worldOf } from '../sim/party-world.ts';
import type { Scheduler } from '../sim/scheduler.ts';
import { ToldDisk } from './living-law.ts';

const diskBytes = 160 * 1024;
export const ip = (text: string): Ipv4 => parseIpv4(text) ?? noAddress;
const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, '0');

export interface LivingHost {
  readonly name: string;
  readonly metal: Metal;
  readonly bmc: SimBmc;
  readonly disk: ToldDisk;
}
export interface HostGround {
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly files: MemoryFiles;
  readonly images: Metal['bootable'];
}
/** From 1: `h001` has a Redfish BMC and boots by BIOS, `h002` IPMI and UEFI, and so by turns. */
export const livingHost = (number: number, { seed, scheduler, network, files, images }: HostGround): LivingHost => {
  const name = `h${String(number).padStart(3, '0')}`;
  const mac = parseMac(`52:54:00:77:${hex(number >> 8, 2)}:${hex(number & 255, 2)}`);
  const uuid = parseUuid(`00000000-0000-4000-8000-${hex(number, 12)}`);
  assert.ok(mac !== undefined && uuid !== undefined);
  const disk = new ToldDisk('/dev/vda', `disk-${name}`, diskBytes);
  const firmware = number % 4 < 2 ? ('bios' as const) : ('uefi' as const);
  const metal = new Metal({ name, mac, uuid, firmware, disks: [disk] }, { scheduler, network, chance: chanceOf(seed, name), images });
  const address = ip(`10.77.${200 + Math.floor(number / 250)}.${(number % 250) + 1}`);
  const party = { name: `bmc-${name}`, address, signal: new AbortController().signal };
  const world = worldOf({ scheduler, network, party, chance: chanceOf(seed, party.name), files });
  const bmc = bmcOf(metal, party, world, { network, protocol: number % 2 === 0 ? 'ipmi' : 'redfish' });
  return { name, metal, bmc, disk };
};

/** What an installed OS knows of itself: by its disk, not by the daemon. */
export interface Running {
  /** `sha256:…` */
  readonly image: string;
  readonly hostName: string;
  readonly userData: string;
  readonly claim: string;
  readonly generation: number;
  /** As the kubelet is told it. */
  readonly providerId: string;
  readonly address: string;
  /** Where it says that its bootstrap failed. */
  readonly reportFailureUrl: string | undefined;
}
export const runningOf = ({ digest, seed, address }: RunningOs): Running => {
  const { files } = readFat(seed);
  const text = (name: string): string => files.get(name)?.toString() ?? '';
  const meta = parse(text('meta-data')) as Readonly<Record<string, string | undefined>>;
  const instance = meta['instance-id'] ?? '';
  return {
    image: digest,
    hostName: meta['local-hostname'] ?? '',
    address,
    userData: text('user-data'),
    claim: meta['claim_id'] ?? '',
    generation: Number(instance.slice(instance.lastIndexOf('.') + 1)),
    providerId: meta['provider_id'] ?? '',
    reportFailureUrl: meta['remuda-report-failure'],
  };
};
