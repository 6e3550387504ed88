/** The programs of a plane: built by images/kubernetes/binaries.sh, or found in its cache. */
import { fileURLToPath } from 'node:url';
import { RemudaError } from '../../errors.ts';
import type { LabWorld } from '../../world/lab-world.ts';

const script = fileURLToPath(new URL('../../../images/kubernetes/binaries.sh', import.meta.url));
/** Cold on two busy cores: ten minutes. */
const buildMs = 45 * 60_000;
/** What the script ends with where something must be built and there is no Go. */
const noGo = 3;
const lastLinesMax = 20;

export interface BuildOptions {
  /** As the script knows them: groups or programs. Default `plane`. */
  readonly names?: readonly string[];
  /** Is told each line of progress; nothing is said where all is in the cache. */
  readonly say?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** The folder of the programs. Throws `not-found` where there is neither a cache nor Go to build them. */
export const planeBinaries = async (lab: LabWorld, { names = ['plane'], say, signal }: BuildOptions = {}): Promise<string> => {
  signal?.throwIfAborted();
  const child = await lab.processes.spawn('bash', [script, ...names], { stdout: 'lines', stderr: 'lines', group: true });
  const stop = (): void => void child.kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  const cancel = lab.clock.after(buildMs, () => child.kill('SIGKILL'));
  let folder = '';
  const said: string[] = [];
  child.lines((line, from) => {
    if (from === 'stdout') folder = line;
    else {
      said.push(line);
      say?.(line);
    }
  });
  const { code } = await child.wait();
  cancel();
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
  if (code === 0) return folder;
  const words = said.slice(-lastLinesMax).join('\n');
  throw code === noGo
    ? new RemudaError('not-found', `no Kubernetes to run: ${words}`)
    : new RemudaError('internal', `images/kubernetes/binaries.sh ${names.join(' ')} failed:\n${words}`);
};
