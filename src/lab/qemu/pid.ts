/** Which process runs a host, written beside it, so that another process can end what a crashed laboratory left. */
import { z } from 'zod';
import type { LabWorld } from '../../world/lab-world.ts';

const recordOf = z.object({ pid: z.int().positive(), startTime: z.int().nonnegative() });
const fileIn = (folder: string): string => `${folder}/pid.json`;
const killedMs = 2_000;

type RecordedProcess = z.infer<typeof recordOf>;
const readRecord = async (lab: LabWorld, folder: string): Promise<RecordedProcess | undefined> => {
  if ((await lab.files.stat(fileIn(folder))) === undefined) return undefined;
  try {
    return recordOf.parse(JSON.parse(new TextDecoder().decode(await lab.files.read(fileIn(folder)))));
  } catch {
    return undefined;
  }
};

/** Nothing is written for a process that has ended already. */
export const recordProcess = async (lab: LabWorld, folder: string, pid: number): Promise<void> => {
  const startTime = lab.processes.startTimeOf(pid);
  if (startTime !== undefined) await lab.files.write(fileIn(folder), JSON.stringify({ pid, startTime }));
};

/** Only the record of this process is removed: a newer one may stand there already. */
export const forgetProcess = async (lab: LabWorld, folder: string, pid: number): Promise<void> => {
  if ((await readRecord(lab, folder))?.pid === pid) await lab.files.remove(fileIn(folder));
};

/** Kills the process that this folder's record names, if it still is that one; whether there was one. It is gone when this returns, or 2 s have passed. */
export const endRecordedProcess = async (lab: LabWorld, folder: string): Promise<boolean> => {
  const record = await readRecord(lab, folder);
  if (record === undefined) return false;
  const { pid, startTime } = record;
  const killed = lab.processes.signal(pid, startTime, 'SIGKILL');
  const until = lab.clock.now() + killedMs;
  while (lab.processes.alive(pid, startTime) && lab.clock.now() < until) await lab.clock.sleep(10);
  await lab.files.remove(fileIn(folder));
  return killed;
};
