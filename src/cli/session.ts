/** One run of the command line: what every command has at hand, and how commands hang in the tree. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { ImageJson, ImportBody, ProgressJson } from '../api/types.ts';
import type { Clock, Files, Http } from '../world/world.ts';
import type { Terminal } from '../world/terminal.ts';
import { DaemonClient } from './client.ts';
import type { Answer } from './client.ts';
import type { ControllerWish } from './controller-command.ts';
import { defaultSocket, whereOf } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exits, usage } from './failure.ts';
import type { Exit } from './failure.ts';
import type { Look } from './host-view.ts';
import { formatOf, formats, printed } from './output.ts';
import type { Format, OutputOptions } from './output.ts';
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
/** What `image sign` asks for; paths are absolute. */
export interface SignWish {
  readonly file: string;
  readonly keyFile: string;
  readonly output?: string;
  readonly chunkBytes?: number;
  readonly onProgress: (progress: ProgressJson) => void;
}
export interface Signed {
  readonly digest: string;
  readonly keyId: string;
  /** Where the signature lies. */
  readonly output: string;
}
export interface GeneratedKey {
  readonly keyId: string;
  readonly publicKey: string;
  readonly privateFile: string;
  readonly publicFile: string;
}
export interface RestoreWish {
  readonly file: string;
  readonly config?: string;
  readonly data?: string;
  readonly keyFile?: string;
  readonly replace: boolean;
  readonly check: boolean;
  readonly hold: boolean;
  readonly onProgress: (doneBytes: number) => void;
}
export interface RestoreOutcome {
  readonly about: { readonly version: string; readonly madeAt: number; readonly images: boolean };
  readonly data: string;
  readonly held: number;
  readonly files: number;
  readonly bytes: number;
  readonly kept?: string;
  /** Where the key that was given lies now. */
  readonly key?: string;
}
/** Commands that are more than a client of the API; main.ts hands them in. */
export interface LocalCommands {
  /** Runs the daemon until it is told to end; the exit code. */
  serve(options: { readonly config?: string }): Promise<number>;
  /** Servers without metal, with arguments of its own; the exit code. */
  lab(args: readonly string[]): Promise<number>;
  /** Builds a recipe, and has what it leaves brought into the store. */
  buildImage(wish: BuildWish): Promise<ImageJson>;
  signImage(wish: SignWish): Promise<Signed>;
  /** A pair at `file` and `FILE.pub`. */
  generateKey(wish: { readonly file: string }): Promise<GeneratedKey>;
  /** A backup into a data folder of this machine. */
  restore(wish: RestoreWish): Promise<RestoreOutcome>;
  /** The Cluster API provider until it is told to end; the exit code. */
  controller(wish: ControllerWish): Promise<number>;
  /** The files that clusterctl reads, into this folder; their paths. */
  capiManifests(folder: string): Promise<readonly string[]>;
  readonly config: {
    /** Everything that is wrong with the file (an absolute path), and what this machine lacks of what it names. */
    check(path: string): Promise<{
      readonly faults: readonly { readonly line: number; readonly path: string; readonly message: string }[];
      readonly warnings: readonly string[];
      /** With every default in its place; absent where there are faults. */
      readonly config?: unknown;
    }>;
    example(minimal: boolean): string;
  };
}
export interface CliDeps {
  readonly world: CliWorld;
  readonly terminal: Terminal;
  readonly local: LocalCommands;
  readonly version: string;
}

/** Options of every command that asks the daemon. */
export interface CommonOptions extends ConnectionOptions, OutputOptions {}

/** What one command works with. */
export interface Context {
  readonly client: DaemonClient;
  readonly terminal: Terminal;
  readonly world: CliWorld;
  readonly version: string;
  readonly format: Format;
  /** A machine reads: where a command goes on, each thing is one JSON object a line. */
  readonly json: boolean;
  /** Anew at each call, as time goes on. */
  look(): Look;
  /** The answer: the daemon's own document where a machine reads, else as the renderer has it. */
  show<T>(answer: Answer<T>, render: (value: T, look: Look) => string): void;
}
const contextOf = async (deps: CliDeps, options: CommonOptions): Promise<Context> => {
  const { terminal, world } = deps;
  const style = styleFor(terminal);
  const format = formatOf(options);
  const look = (): Look => ({ style, now: world.clock.now(), wide: format === 'wide' });
  const user = terminal.env['SUDO_USER'] ?? terminal.env['USER'];
  return {
    client: new DaemonClient(world.http, await whereOf({ files: world.files, terminal }, options), user),
    terminal,
    world,
    version: deps.version,
    format,
    json: format === 'json' || format === 'yaml',
    look,
    show: (answer, render) => terminal.write(printed(format, answer.raw, () => render(answer.value, look()))),
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

const outputHeading = 'The answer:';
const daemonHeading = 'Which daemon:';
export const withOutput = (command: Command): Command =>
  command
    .addOption(new Option('-o, --output <format>', 'how the answer is written').choices(formats).helpGroup(outputHeading))
    .addOption(new Option('--json', 'print the daemon\u2019s own JSON: --output json').helpGroup(outputHeading))
    .addOption(new Option('-q, --quiet', 'print only names: --output name').helpGroup(outputHeading));
const last = (heading: string): number => [outputHeading, daemonHeading].indexOf(heading);
/** In the help what the command is about comes first; what nearly all of them have comes last. */
export const ownFirst = <T>(visible: readonly T[], headingOf: (item: T) => string): Map<string, T[]> => {
  const groups = Map.groupBy(visible, headingOf);
  return new Map([...groups].toSorted(([one], [other]) => last(one) - last(other)));
};
const connectionOptions: readonly (readonly [flags: string, what: string])[] = [
  ['--socket <path>', `the daemon\u2019s Unix socket (REMUDA_SOCKET; ${defaultSocket})`],
  ['--url <url>', 'the daemon\u2019s URL instead of its socket (REMUDA_URL)'],
  ['--context <name>', 'one of the daemons of `remuda context list` (REMUDA_CONTEXT)'],
  ['--token-file <file>', 'the token for --url (REMUDA_TOKEN_FILE, REMUDA_TOKEN)'],
  ['--token <token>', 'the same as an argument, which every user of this machine can see'],
  ['--ca <file>', 'PEM of the authorities that may have signed the daemon\u2019s certificate'],
  ['--fingerprint <sha256>', 'accept exactly this certificate of the daemon'],
];
/** Options that may stand before or after the name of a command. */
export const withConnection = (command: Command): Command => {
  withOutput(command);
  for (const [flags, what] of connectionOptions) command.addOption(new Option(flags, what).helpGroup(daemonHeading));
  return command;
};
/** A command that asks the daemon. `spec` is commander's: `show <host>`. */
export const leaf = (parent: Command, spec: string, description: string): Command =>
  withConnection(parent.command(spec).description(description));

/** Lets the command do `run`. The type of its options is what the caller declared on it. */
export const does = <O extends object = object>(session: Session, command: Command, run: Run<O>): void => {
  command.action(async () => {
    const context = await contextOf(session.deps, command.optsWithGlobals<CommonOptions>());
    session.outcome.exit = (await run(context, command.args, command.opts<O>())) ?? exits.ok;
  });
};

/** A number on the command line. */
export const number = (text: string): number => {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('not a number.');
  return Number(text);
};

/** An option that may be given several times. */
export const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value];
/** One segment of a path of the API. */
export const segment = (text: string | undefined): string => {
  if (text === undefined || text === '' || text === '.' || text === '..') throw usage(`${JSON.stringify(text ?? '')} is no name`);
  return encodeURIComponent(text);
};
