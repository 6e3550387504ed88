/** What every command of the laboratory is given, and what all of them need. */
import type { LabWorld } from '../world/lab-world.ts';
import type { Terminal } from '../world/terminal.ts';
import type { Place } from './place.ts';

export interface Bench {
  /** Goes on until everything is cleaned up, whatever signal came. */
  readonly lab: LabWorld;
  readonly terminal: Terminal;
  /** The person wants it to end. */
  readonly interrupt: AbortSignal;
}
export type Say = (line: string) => void;
/** Where one laboratory lives, and to whom it tells how far it is. */
export interface Stage {
  readonly place: Place;
  readonly say: Say;
}
/** 128 and SIGINT, as shells count. */
export const interrupted = 130;
export const cacheOf = (env: Terminal['env']): string => env['REMUDA_CACHE'] ?? `${env['HOME'] ?? '/root'}/.cache/remuda`;

/** Disks, database and notes of an earlier run. The folder is the laboratory's own. */
export const clear = async (lab: LabWorld, place: Place): Promise<void> => {
  await lab.processes.run('rm', ['-rf', '--one-file-system', place.folder], { timeoutMs: 60_000 });
};

/** Under sudo everything made belongs to root; the person who asked must be able to use and remove it, the API's socket above all. */
export const giveBack = async (lab: LabWorld, env: Terminal['env'], path: string): Promise<void> => {
  const [user, group] = [env['SUDO_UID'], env['SUDO_GID']];
  if (user === undefined || group === undefined || !/^\d+$/.test(user + group)) return;
  await lab.processes.run('chown', ['-R', '--no-dereference', `${user}:${group}`, path], { timeoutMs: 60_000 });
};
