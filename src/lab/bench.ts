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
/** Resolves when the person wants it to end. */
export const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
export const cacheOf = (env: Terminal['env']): string => env['REMUDA_CACHE'] ?? `${env['HOME'] ?? '/root'}/.cache/remuda`;

/** Disks, database and notes of an earlier run. The folder is the laboratory's own. */
export const clear = async (lab: LabWorld, place: Place): Promise<void> => {
  await lab.processes.run('rm', ['-rf', '--one-file-system', place.folder], { timeoutMs: 60_000 });
};
