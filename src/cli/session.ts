/** One run of the command line: what every command has at hand, and how commands hang in the tree. */
import type { Command } from 'commander';
import type { ImageJson, ImportBody } from '../api/types.ts';
import type { Clock, Files, Http } from '../world/world.ts';
import type { Terminal } from '../world/terminal.ts';
import { DaemonClient } from './client.ts';
import type { Answer, Where } from './client.ts';
import { exits, usage } from './failure.ts';
import type { Exit } from './failure.ts';
import type { Look } from './host-view.ts';
import { styleFor } from './style.ts';

export interface CliWorld {
  readonly http: Http;
  readonly clock: Clock;
  readonly files: Files;
  /** Ends what the command waits for: the person pressed Ctrl-C. */
  readonly signal: AbortSignal;
}
/** What `image build` asks for. */
export interface BuildWish {
  readonly recipe: string;
  /** The recipe's name where it is not said. */
  readonly name?: string;
  readonly release?: string;
  /** What the build says, line by line. */
  readonly onLine: (line: string) => void;
  /** Brings the built file into the daemon's store. */
  readonly bring: (body: ImportBody) => Promise<ImageJson>;
}
/** Commands that are more than a client of the API; main.ts hands them in. */
export interface LocalCommands {
  /** Runs the daemon until it is told to end; the exit code. */
  serve(options: { readonly config?: string }): Promise<number>;
  /** Servers without metal, with arguments of its own; the exit code. */
  lab(args: readonly string[]): Promise<number>;
  /** Builds a recipe, and has what it leaves brought into the store. */
  buildImage(wish: BuildWish): Promise<ImageJson>;
}
export interface CliDeps {
  readonly world: CliWorld;
  readonly terminal: Terminal;
  readonly local: LocalCommands;
  readonly version: string;
}

export const defaultSocket = '/run/remuda/remuda.sock';
/** Options of every command that asks the daemon. */
export interface CommonOptions {
  readonly socket?: string;
  readonly url?: string;
  readonly json?: boolean;
}

const whereOf = (options: CommonOptions, env: Terminal['env']): Where => {
  if (options.socket !== undefined && options.url !== undefined) throw usage('--socket and --url: say one of them');
  const { REMUDA_URL: envUrl, REMUDA_SOCKET: envSocket } = env as { REMUDA_URL?: string; REMUDA_SOCKET?: string };
  const url = options.url ?? (options.socket === undefined && envUrl !== '' ? envUrl : undefined);
  if (url === undefined) return { socket: options.socket ?? (envSocket || defaultSocket) };
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) throw usage(`${url} is no URL; write it like http://127.0.0.1:7470`);
  return { url };
};

/** What one command works with. */
export interface Context {
  readonly client: DaemonClient;
  readonly terminal: Terminal;
  readonly world: CliWorld;
  readonly version: string;
  readonly json: boolean;
  /** Anew at each call, as time goes on. */
  look(): Look;
  /** The answer: the daemon's own document with `--json`, else as the renderer has it. */
  show<T>(answer: Answer<T>, render: (value: T, look: Look) => string): void;
}
const contextOf = (deps: CliDeps, options: CommonOptions): Context => {
  const { terminal, world } = deps;
  const style = styleFor(terminal);
  const look = (): Look => ({ style, now: world.clock.now() });
  const user = terminal.env['SUDO_USER'] ?? terminal.env['USER'];
  return {
    client: new DaemonClient(world.http, whereOf(options, terminal.env), user),
    terminal,
    world,
    version: deps.version,
    json: options.json === true,
    look,
    show: (answer, render) =>
      terminal.write(options.json === true ? `${JSON.stringify(answer.raw, null, 2)}\n` : render(answer.value, look())),
  };
};

/** The exit code of the command that ran. */
export interface Outcome {
  exit: number;
}
/** The session in which the tree of commands is built. */
export interface Session {
  readonly deps: CliDeps;
  readonly outcome: Outcome;
}
/** What a command does with its arguments and options; nothing returned is 0. */
export type Run<O> = (context: Context, args: readonly string[], options: O) => Promise<Exit | void>;

/** Options that may stand before or after the name of a command. */
export const withConnection = (command: Command): Command =>
  command
    .option('--json', 'print the daemon\u2019s own JSON')
    .option('--socket <path>', `the daemon\u2019s Unix socket (REMUDA_SOCKET; ${defaultSocket})`)
    .option('--url <url>', 'the daemon\u2019s admin URL instead of its socket (REMUDA_URL)');
/** A command that asks the daemon. `spec` is commander's: `show <host>`. */
export const leaf = (parent: Command, spec: string, description: string): Command =>
  withConnection(parent.command(spec).description(description));

/** Lets the command do `run`. The type of its options is what the caller declared on it. */
export const does = <O extends object = object>(session: Session, command: Command, run: Run<O>): void => {
  command.action(async () => {
    const context = contextOf(session.deps, command.optsWithGlobals<CommonOptions>());
    session.outcome.exit = (await run(context, command.args, command.opts<O>())) ?? exits.ok;
  });
};

/** An option that may be given several times. */
export const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value];
/** One segment of a path of the API. */
export const segment = (text: string | undefined): string => {
  if (text === undefined || text === '' || text === '.' || text === '..') throw usage(`${JSON.stringify(text ?? '')} is no name`);
  return encodeURIComponent(text);
};
