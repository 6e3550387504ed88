/** The command line in one process with the admin routes: an HTTP in memory, a terminal that remembers, a clock that only sleeps move. */
import { adminRoutes } from '../../src/api/admin-routes.ts';
import { runCli } from '../../src/cli/program.ts';
import type { BuildWish, LocalCommands } from '../../src/cli/session.ts';
import type { Clock } from '../../src/world/world.ts';
import type { Terminal } from '../../src/world/terminal.ts';
import { fakeDeps, now } from '../api/admin-rack.ts';
import { MemoryFiles } from '../world/memory-files.ts';
import { MemoryHttp, ipv4 } from '../world/memory-http.ts';

export interface TerminalOptions {
  readonly tty?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What the person types when asked for a secret; undefined gives up. */
  readonly secret?: string;
  /** What the person types when asked, question by question; nothing gives up. */
  readonly answers?: readonly string[];
  /** What stands on standard input. */
  readonly input?: string;
  readonly columns?: number;
}
export class FakeTerminal implements Terminal {
  out = '';
  err = '';
  readonly asked: string[] = [];
  readonly isTty: boolean;
  readonly errorIsTty: boolean;
  readonly canAsk: boolean;
  readonly columns: number;
  readonly env: Terminal['env'];
  readonly cwd = '/home/ann';
  readonly #secret: string | undefined;
  readonly #answers: string[];
  readonly #input: string;

  constructor({ tty = false, env = {}, secret, answers = [], input = '', columns = 100 }: TerminalOptions = {}) {
    this.isTty = tty;
    this.errorIsTty = tty;
    this.canAsk = tty;
    this.env = env;
    this.columns = columns;
    this.#secret = secret;
    this.#answers = [...answers];
    this.#input = input;
  }
  write(text: string): void {
    this.out += text;
  }
  error(text: string): void {
    this.err += text;
  }
  async readSecret(prompt: string): Promise<string | undefined> {
    this.asked.push(prompt);
    return this.#secret;
  }
  async ask(prompt: string): Promise<string | undefined> {
    this.asked.push(prompt);
    return this.#answers.shift();
  }
  async readInput(bytesMax: number): Promise<string | undefined> {
    return Buffer.byteLength(this.#input) > bytesMax ? undefined : this.#input;
  }
}

/** What the commands that are more than a client were asked. */
export class FakeLocal implements LocalCommands {
  readonly asked: unknown[] = [];
  readonly serve = async (options: { readonly config?: string }): Promise<number> => {
    this.asked.push(['serve', options]);
    return 0;
  };
  readonly lab = async (args: readonly string[]): Promise<number> => {
    this.asked.push(['lab', ...args]);
    return 7;
  };
  readonly signImage: LocalCommands['signImage'] = async (wish) => {
    this.asked.push(['sign', wish.file, wish.keyFile]);
    wish.onProgress({ doneBytes: 1, totalBytes: 2 });
    return { digest: `sha256:${'d'.repeat(64)}`, keyId: 'e'.repeat(64), output: wish.output ?? `${wish.file}.sig` };
  };
  readonly generateKey: LocalCommands['generateKey'] = async ({ file }) => {
    this.asked.push(['key', file]);
    return { keyId: 'e'.repeat(64), publicKey: 'MCowBQ', privateFile: file, publicFile: `${file}.pub` };
  };
  readonly buildImage = async (wish: BuildWish): ReturnType<LocalCommands['buildImage']> => {
    this.asked.push(['build', wish.recipe, wish.release]);
    wish.onLine('compiling');
    return wish.bring({ path: '/built/tiny.raw', name: wish.name ?? wish.recipe, phoneHome: 'image' });
  };
  readonly restore: LocalCommands['restore'] = async ({ file, data, replace, check, onProgress }) => {
    this.asked.push(['restore', file, data, replace, check]);
    onProgress(5);
    return { about: { version: '1.2.3', madeAt: now, images: true }, data: data ?? '/var/lib/remuda', held: 1, files: 3, bytes: 10 };
  };
  readonly controller: LocalCommands['controller'] = async (wish) => {
    this.asked.push(['controller', wish]);
    return 0;
  };
  readonly capiManifests: LocalCommands['capiManifests'] = async (folder) => {
    this.asked.push(['capi', folder]);
    return [`${folder}/metadata.yaml`];
  };
  /** What the next look at a configuration finds. */
  checked: Awaited<ReturnType<LocalCommands['config']['check']>> = { faults: [], warnings: [], config: { log: 'info' } };
  readonly config: LocalCommands['config'] = {
    check: async (path) => {
      this.asked.push(['check', path]);
      return this.checked;
    },
    example: (minimal) => `# ${minimal ? 'minimal' : 'full'}\n`,
  };
}

/** A daemon that listens at the default socket, and a way to run commands against it. */
export const bench = async () => {
  const fakes = fakeDeps();
  const ending = new AbortController();
  let time = now;
  const clock: Clock = {
    now: () => time,
    sleep: async (ms, signal) => {
      ending.signal.throwIfAborted();
      signal?.throwIfAborted();
      time += ms;
    },
    after: () => () => {},
    soon: (run) => queueMicrotask(run),
  };
  const files = new MemoryFiles({ now: () => time });
  const network = new MemoryHttp({ clock });
  const http = network.at(ipv4('127.0.0.1'), ending.signal);
  const routes = adminRoutes(fakes.deps);
  const listen = () => http.listen({ at: { socket: '/run/remuda/remuda.sock' }, routes });
  let listener = await listen();
  await http.listen({ at: { address: ipv4('127.0.0.1'), port: 7470 }, routes });
  const local = new FakeLocal();
  const run = async (line: string | readonly string[], options: TerminalOptions = {}) => {
    const terminal = new FakeTerminal(options);
    const argv = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line;
    const exit = await runCli(argv, { world: { http, clock, files, signal: ending.signal }, terminal, local, version: '0.1.0' });
    return { exit, out: terminal.out, err: terminal.err, asked: terminal.asked, json: (): unknown => JSON.parse(terminal.out) };
  };
  return {
    ...fakes,
    files,
    http,
    local,
    run,
    ending,
    /** The daemon goes away, and comes back. */
    away: () => listener.close(),
    back: async () => {
      listener = await listen();
    },
  };
};
