/**
 * `npm run bench -- provision`: power-on to phone-home, beside the floor measured in the same run with the same servers:
 * the network boot to the agent's first word, a raw copy of the image's bytes, and a boot of the installed disk.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { images, Lab } from '../lab/crew.ts';
import { lessIsBetter, median } from './row.ts';
import type { Row } from './row.ts';

/** At most 1.3 times the floor. */
const goal = Math.round((1 / 1.3) * 100) / 100;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Sample {
  readonly whole: number;
  readonly netboot: number;
  readonly copy: number;
  readonly diskBoot: number;
  readonly daemonCpu: number;
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

/** From power-on to the next time the installed OS says on its console that it phoned home. */
const diskBoot = async (lab: Lab, names: readonly string[]): Promise<number[]> => {
  const log = (name: string): string => `${lab.place.folder}/${name}/serial.log`;
  for (const name of names) await power(lab, name, 'off');
  await wait(500);
  const before = new Map(names.map((name) => [name, statSync(log(name)).size]));
  const began = new Map<string, number>();
  for (const name of names) {
    await power(lab, name, 'on');
    began.set(name, performance.now());
  }
  const took = new Map<string, number>();
  while (took.size < names.length) {
    for (const name of names)
      if (!took.has(name) && readFileSync(log(name)).subarray(before.get(name)).includes('phoned home'))
        took.set(name, (performance.now() - (began.get(name) ?? 0)) / 1000);
    if (performance.now() - Math.min(...began.values()) > 240_000)
      throw new Error(`the installed disk did not boot: ${names.filter((name) => !took.has(name)).join(', ')}`);
    await wait(25);
  }
  return [...took.values()];
};

const run = async (firmware: 'bios' | 'uefi', hosts: number, image: string): Promise<Sample[]> => {
  const lab = await Lab.up({ name: 'bench', firmware: Array.from({ length: hosts }, () => firmware), limits: { parkMs: 0 } });
  try {
    await lab.crew.admin.importImage(image, 'tiny');
    await lab.enrol();
    const names = lab.crew.rack.hosts.map(({ name }) => name);
    // Inspected, and then off: what is measured begins with power-on.
    for (const name of names) await lab.until(name, 'parked', ({ state, facts }) => state === 'available' && facts.power === 'off');
    const cpu = cpuSeconds(lab.crew.daemon().pid);
    await Promise.all(
      names.map((name) => lab.crew.admin.claim({ id: `c-${name}`, host: name, image: 'tiny', disk: { serial: `REMUDA-${name}-d0` } })),
    );
    const samples: { whole: number; netboot: number }[] = [];
    for (const name of names) {
      const host = await lab.until(name, 'phoned home', ({ facts }) => facts.phonedHome !== null);
      const on = host.boot?.poweredOnAt ?? NaN;
      samples.push({ whole: ((host.facts.phonedHome?.at ?? NaN) - on) / 1000, netboot: ((host.boot?.agentArrivedAt ?? NaN) - on) / 1000 });
    }
    const daemonCpu = (cpuSeconds(lab.crew.daemon().pid) - cpu) / hosts;
    const copy = rawCopy(lab, image);
    const boots = await diskBoot(lab, names);
    return samples.map((sample, index) => ({ ...sample, copy, diskBoot: boots[index] ?? NaN, daemonCpu }));
  } finally {
    await lab.down();
  }
};

export interface ProvisionOptions {
  readonly runs: number;
  readonly hosts: readonly number[];
  readonly firmware: readonly ('bios' | 'uefi')[];
  readonly say: (line: string) => void;
}
/** One row a case; of several hosts the slowest counts, because the rack is ready when the last one is. */
export const provision = async ({ runs, hosts, firmware, say }: ProvisionOptions): Promise<readonly Row[]> => {
  const image = images.tiny();
  const rows: Row[] = [];
  for (const kind of firmware)
    for (const count of hosts) {
      const name = `${kind} hosts=${count}`;
      const ours: number[] = [];
      const floor: number[] = [];
      const cpu: number[] = [];
      for (let index = 0; index < runs; index++) {
        const samples = await run(kind, count, image);
        const most = (of: (sample: Sample) => number): number => Math.max(...samples.map(of));
        ours.push(most(({ whole }) => whole));
        floor.push(most(({ netboot, copy, diskBoot: boot }) => netboot + copy + boot));
        cpu.push(median(samples.map(({ daemonCpu }) => daemonCpu)));
        say(
          `${name} run ${index + 1}: ${ours.at(-1)?.toFixed(1)} s; floor ${floor.at(-1)?.toFixed(1)} s = netboot ${most((one) => one.netboot).toFixed(1)} + copy ${most((one) => one.copy).toFixed(2)} + disk boot ${most((one) => one.diskBoot).toFixed(1)}; daemon CPU ${cpu.at(-1)?.toFixed(2)} s a host`,
        );
      }
      rows.push(
        lessIsBetter({ bench: 'provision', case: name, metric: 'power-on to phone-home', unit: 's', peerName: 'floor', goal }, ours, floor),
      );
    }
  return rows;
};
