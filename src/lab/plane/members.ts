/** The processes of a plane: each has a log, a record by which a later run finds it, and an end; what dies says its last words. */
import { RemudaError } from '../../errors.ts';
import type { LabProcess, LabWorld } from '../../world/lab-world.ts';
import { endRecordedProcess, forgetProcess, recordProcess } from '../qemu/pid.ts';

/** Until SIGKILL. */
const graceMs = 8_000;
const pollMs = 50;
const tailLines = 25;

export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}
export interface Member {
  readonly name: string;
  readonly pid: number;
  readonly log: string;
}
/** What runs, in the order in which it was started. */
export interface Members {
  list(): readonly Member[];
  start(program: Program): Promise<void>;
  /** Waits for `isReady`. Throws with the end of its log where the process ended before, or `withinMs` are over. */
  until(name: string, isReady: () => Promise<boolean>, withinMs: number): Promise<void>;
  /** The newest first; once more is no error. */
  stop(): Promise<void>;
}

interface Running extends Member {
  readonly process: LabProcess;
  readonly folder: string;
  ended: boolean;
}

class Crew implements Members {
  readonly #lab: LabWorld;
  readonly #folder: string;
  #running: Running[] = [];

  constructor(lab: LabWorld, folder: string) {
    this.#lab = lab;
    this.#folder = folder;
  }

  list(): readonly Member[] {
    return this.#running.map(({ name, pid, log }) => ({ name, pid, log }));
  }

  async start({ name, command, args, env }: Program): Promise<void> {
    const folder = `${this.#folder}/${name}`;
    await this.#lab.files.makeFolder(folder, 0o700);
    const log = `${folder}/log`;
    // Whoever kills the starter ends what it started as well: the kernel sees to it.
    const process = await this.#lab.processes.spawn('setpriv', ['--pdeathsig', 'TERM', command, ...args], {
      stdout: { file: log },
      stderr: { file: log },
      ...(env === undefined ? {} : { env }),
    });
    const running: Running = { name, pid: process.pid, log, process, folder, ended: false };
    this.#running.push(running);
    void process.wait().then(() => {
      running.ended = true;
    });
    await recordProcess(this.#lab, folder, process.pid);
  }

  async until(name: string, isReady: () => Promise<boolean>, withinMs: number): Promise<void> {
    const { clock, signal } = this.#lab;
    const running = this.#running.find((one) => one.name === name);
    const end = clock.now() + withinMs;
    while (!(await isReady())) {
      if (running?.ended === true) throw await this.#lastWords(running, 'ended');
      if (clock.now() > end && running !== undefined) throw await this.#lastWords(running, `was not ready after ${withinMs / 1000} s`);
      if (clock.now() > end) throw new RemudaError('timed-out', `${name} did not come within ${withinMs / 1000} s`);
      await clock.sleep(pollMs, signal);
    }
  }

  async stop(): Promise<void> {
    const { clock } = this.#lab;
    for (const { process, folder, pid } of this.#running.toReversed()) {
      process.kill('SIGTERM');
      const cancel = clock.after(graceMs, () => process.kill('SIGKILL'));
      await process.wait();
      cancel();
      await forgetProcess(this.#lab, folder, pid);
    }
    this.#running = [];
  }

  async #lastWords({ name, log }: Running, what: string): Promise<RemudaError> {
    const lines = new TextDecoder()
      .decode(await this.#lab.files.read(log))
      .trim()
      .split('\n');
    return new RemudaError('internal', `${name} ${what}; its log (${log}) ends so:\n${lines.slice(-tailLines).join('\n')}`, {
      values: { name, log },
    });
  }
}

/** Ends what an earlier run left behind whose starter was killed, and removes all its files. */
export const clearPlane = async (lab: LabWorld, folder: string): Promise<void> => {
  for (const name of await lab.files.list(folder)) await endRecordedProcess(lab, `${folder}/${name}`);
  await lab.processes.run('rm', ['-rf', '--one-file-system', folder], { timeoutMs: 60_000 });
};

/** Each process gets a folder of its own under `folder`. */
export const members = (lab: LabWorld, folder: string): Members => new Crew(lab, folder);
