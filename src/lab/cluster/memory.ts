/** What a laboratory with a cluster needs of this machine's memory. */
import { z } from 'zod';
import type { HostJson } from '../../api/types.ts';
import type { LabWorld } from '../../world/lab-world.ts';
import type { Place } from '../place.ts';
import type { Member } from '../plane/members.ts';
import { readText } from '../plane/pki.ts';
import type { MemoryMiB } from './show.ts';

const pidFile = z.object({ pid: z.number() });

/** MiB in memory now (proc_pid_status(5)); 0 for a process that has ended. */
const resident = async (lab: LabWorld, pid: number): Promise<number> => {
  const file = `/proc/${pid}/status`;
  if ((await lab.files.stat(file)) === undefined) return 0;
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(await readText(lab, file))?.[1] ?? 0) / 1024);
};
/** A server that is off has no process. */
const ofHost = async (lab: LabWorld, folder: string): Promise<number> => {
  const file = `${folder}/pid.json`;
  if ((await lab.files.stat(file)) === undefined) return 0;
  return resident(lab, pidFile.parse(JSON.parse(await readText(lab, file))).pid);
};

export interface Inhabitants {
  readonly place: Place;
  readonly daemon: number;
  readonly members: readonly Member[];
  readonly hosts: readonly HostJson[];
}
export const memoryOf = async (lab: LabWorld, { place, daemon, members, hosts }: Inhabitants): Promise<MemoryMiB> => {
  const [own, ...others] = await Promise.all([resident(lab, daemon), ...members.map(({ pid }) => resident(lab, pid))]);
  const entries = await Promise.all(hosts.map(async ({ name }) => [name, await ofHost(lab, `${place.folder}/${name}`)] as const));
  return { daemon: own ?? 0, management: others.reduce((sum, one) => sum + one, 0), hosts: Object.fromEntries(entries) };
};
