/** What hosts boot is built by the recipes of images/ and firmware/, or found in their cache. */
import { fileURLToPath } from 'node:url';
import { RemudaError } from '../errors.ts';
import type { Bench, Say } from './bench.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const buildMs = 30 * 60_000;

/** Runs a recipe; its folder is the last line it prints. Quick when it was built before. Called off, it ends with all that it started. */
export const build = async ({ lab, interrupt }: Bench, say: Say, script: string, args: readonly string[]): Promise<string> => {
  interrupt.throwIfAborted();
  const child = await lab.processes.spawn('bash', [`${root}/${script}`, ...args], { stdout: 'lines', stderr: 'lines', group: true });
  const stop = (): void => void child.kill('SIGTERM');
  interrupt.addEventListener('abort', stop, { once: true });
  let last = '';
  const said: string[] = [];
  child.lines((line, from) => {
    if (from === 'stdout') last = line;
    else {
      said.push(line);
      say(`  ${line}`);
    }
  });
  const cancel = lab.clock.after(buildMs, () => child.kill('SIGKILL'));
  const { code } = await child.wait();
  cancel();
  interrupt.removeEventListener('abort', stop);
  interrupt.throwIfAborted();
  if (code !== 0) throw new RemudaError('internal', `${script} ${args.join(' ')} failed:\n${said.slice(-20).join('\n')}`);
  return last;
};
