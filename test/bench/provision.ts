/**
 * `npm run bench -- provision`: power-on to phone-home, beside the floor measured in the same run with the same servers:
 * the network boot to the agent's first word, a raw copy of the image's bytes, and a boot of the installed disk.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { gptHeadBytes, layoutOf } from '../../src/image/gpt.ts';
import { limits } from '../../src/limits.ts';
import { images, Lab } from '../lab/crew.ts';
import { lessIsBetter, median, withinBudget } from './row.ts';
import type { Row } from './row.ts';

/** At most 1.3 times the floor. */
const goal = Math.round((1 / 1.3) * 100) / 100;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What is measured with which image: what its servers need, and how its console tells that it phoned home. */
const kinds = {
  tiny: { memoryMiB: 384, diskMiB: 64, home: /phoned home/, phoneHome: 'image' },
  // cloud-init's last word; phone_home comes right before it.
  debian: { memoryMiB: 768, diskMiB: 512, home: /Cloud-init v\. \S+ finished/, phoneHome: 'cloud-init' },
} as const;
export type ImageKind = keyof typeof kinds;
export const imageKinds = Object.keys(kinds) as readonly ImageKind[];

interface Sample {
  readonly whole: number;
  readonly netboot: number;
  readonly copy: number;
  readonly diskBoot: number;
  readonly daemonCpu: number;
  readonly daemonPeakMiB: number;
}
const cpuSeconds = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const power = (lab: Lab, name: string, wanted: 'on' | 'off'): Promise<void> =>
  lab.crew.admin.post(`/v1/hosts/${name}/power`, { power: wanted });

/** The image's bytes from one file to another through the page cache and onto the disk: what no installer can do without. */
const rawCopy = (lab: Lab, image: string): number => {
  const target = `${lab.place.folder}/copy.raw`;
  const began = performance.now();
  execFileSync('dd', [`if=${image}`, `of=${target}`, 'bs=4M', 'conv=fsync', 'status=none']);
  const seconds = (performance.now() - began) / 1000;
  rmSync(target);
  return seconds;
};

/** The disk as it was before its first boot: the image, the seed that was written into it, and nothing else. */
const asInstalled = (lab: Lab, name: string, image: string): void => {
  const head = Buffer.alloc(gptHeadBytes);
  const source = openSync(image, 'r');
  readSync(source, head, 0, head.length, 0);
  closeSync(source);
  const { seed } = layoutOf(head, limits.seedBytesMax);
  if (seed === null) throw new Error('the image has no seed partition');
  const disk = lab.disk(name);
  const { size } = statSync(disk);
  const bytes = Buffer.alloc(seed.sizeBytes);
  const file = openSync(disk, 'r+');
  readSync(file, bytes, 0, bytes.length, seed.offsetBytes);
  closeSync(file);
  truncateSync(disk, 0);
  execFileSync('dd', [`if=${image}`, `of=${disk}`, 'bs=4M', 'conv=fsync', 'status=none']);
  truncateSync(disk, size);
  const again = openSync(disk, 'r+');
  writeSync(again, bytes, 0, bytes.length, seed.offsetBytes);
  closeSync(again);
};

/** From power-on to the next time the installed OS says on its console that it phoned home. */
const diskBoot = async (
  lab: Lab,
  names: readonly string[],
  { image, home }: { readonly image: string; readonly home: RegExp },
): Promise<number[]> => {
  const log = (name: string): string => `${lab.place.folder}/${name}/serial.log`;
  for (const name of names) await power(lab, name, 'off');
  await wait(500);
  for (const name of names) asInstalled(lab, name, image);
  const before = new Map(names.map((name) => [name, statSync(log(name)).size]));
  const began = new Map<string, number>();
  for (const name of names) {
    await power(lab, name, 'on');
    began.set(name, performance.now());
  }
  const took = new Map<string, number>();
  while (took.size < names.length) {
    for (const name of names)
      if (!took.has(name) && home.test(readFileSync(log(name)).subarray(before.get(name)).toString('latin1')))
        took.set(name, (performance.now() - (began.get(name) ?? 0)) / 1000);
    if (performance.now() - Math.min(...began.values()) > 240_000)
      throw new Error(`the installed disk did not boot: ${names.filter((name) => !took.has(name)).join(', ')}`);
    await wait(25);
  }
  return [...took.values()];
};

const run = async (firmware: 'bios' | 'uefi', hosts: number, image: ImageKind): Promise<Sample[]> => {
  const file = images[image]();
  const { memoryMiB, diskMiB, home, phoneHome } = kinds[image];
  const lab = await Lab.up({
    name: 'bench',
    firmware: Array.from({ length: hosts }, () => firmware),
    limits: { parkMs: 0 },
    memoryMiB,
    diskMiB,
  });
  try {
    await lab.crew.admin.importImage(file, image, phoneHome);
    await lab.enrol();
    const names = lab.crew.rack.hosts.map(({ name }) => name);
    // Inspected, and then off: what is measured begins with power-on.
    for (const name of names) await lab.until(name, 'parked', ({ state, facts }) => state === 'available' && facts.power === 'off');
    const cpu = cpuSeconds(lab.crew.daemon().pid);
    await Promise.all(
      names.map((name) => lab.crew.admin.claim({ id: `c-${name}`, host: name, image, disk: { serial: `REMUDA-${name}-d0` } })),
    );
    const samples: { whole: number; netboot: number }[] = [];
    for (const name of names) {
      const host = await lab.until(name, 'phoned home', ({ facts }) => facts.phonedHome !== null);
      const on = host.boot?.poweredOnAt ?? NaN;
      samples.push({ whole: ((host.facts.phonedHome?.at ?? NaN) - on) / 1000, netboot: ((host.boot?.agentArrivedAt ?? NaN) - on) / 1000 });
    }
    const daemonCpu = (cpuSeconds(lab.crew.daemon().pid) - cpu) / hosts;
    const daemonPeakMiB = lab.rssMiB().peak;
    const copy = rawCopy(lab, file);
    const boots = await diskBoot(lab, names, { image: file, home });
    return samples.map((sample, index) => ({ ...sample, copy, diskBoot: boots[index] ?? NaN, daemonCpu, daemonPeakMiB }));
  } finally {
    await lab.down();
  }
};

export interface ProvisionOptions {
  readonly runs: number;
  readonly hosts: readonly number[];
  readonly firmware: readonly ('bios' | 'uefi')[];
  readonly images: readonly ImageKind[];
  readonly say: (line: string) => void;
}
interface Case {
  readonly image: ImageKind;
  readonly firmware: 'bios' | 'uefi';
  readonly hosts: number;
}
/** CPU seconds of the daemon a host, and its resident memory at most, imports included: what a small machine has for it. */
const budgets = { cpuSeconds: 1, peakMiB: 150 };

/** Of several hosts the slowest counts, because the rack is ready when the last one is. */
const rowsOf = async ({ image, firmware, hosts }: Case, runs: number, say: (line: string) => void): Promise<readonly Row[]> => {
  const name = `${image} ${firmware} hosts=${hosts}`;
  const [ours, floor, cpu, memory]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let index = 0; index < runs; index++) {
    const samples = await run(firmware, hosts, image);
    const most = (of: (sample: Sample) => number): number => Math.max(...samples.map(of));
    ours.push(most(({ whole }) => whole));
    floor.push(most(({ netboot, copy, diskBoot: boot }) => netboot + copy + boot));
    cpu.push(median(samples.map(({ daemonCpu }) => daemonCpu)));
    memory.push(most(({ daemonPeakMiB }) => daemonPeakMiB));
    say(
      `${name} run ${index + 1}: ${ours.at(-1)?.toFixed(1)} s; floor ${floor.at(-1)?.toFixed(1)} s = netboot ${most((one) => one.netboot).toFixed(1)} + copy ${most((one) => one.copy).toFixed(2)} + disk boot ${most((one) => one.diskBoot).toFixed(1)}; daemon CPU ${cpu.at(-1)?.toFixed(2)} s a host, peak ${memory.at(-1)?.toFixed(0)} MiB`,
    );
  }
  const what = { bench: 'provision', case: name };
  return [
    lessIsBetter({ ...what, metric: 'power-on to phone-home', unit: 's', peerName: 'floor', goal }, ours, floor),
    withinBudget({ ...what, metric: 'daemon CPU a host', unit: 's' }, cpu, budgets.cpuSeconds),
    withinBudget({ ...what, metric: 'daemon peak RSS', unit: 'MiB' }, memory, budgets.peakMiB),
  ];
};

export const provision = async ({ runs, hosts, firmware, images: wanted, say }: ProvisionOptions): Promise<readonly Row[]> => {
  const rows: Row[] = [];
  for (const image of wanted)
    for (const kind of firmware)
      for (const count of hosts) rows.push(...(await rowsOf({ image, firmware: kind, hosts: count }, runs, say)));
  return rows;
};
