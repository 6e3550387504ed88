/** The command line as a whole: the tree of commands, what is said of a failure, and the exit code. */
import { Argument, Command, CommanderError } from 'commander';
import { z } from 'zod';
import { hostJson, imageJson, leaseJson } from '../api/types.ts';
import { statusJson } from '../api/access-types.ts';
import { accessCommands } from './access-commands.ts';
import { bmcCommands } from './bmc-commands.ts';
import { claimCommands } from './claim-commands.ts';
import { renderLeases } from './claim-view.ts';
import { whereText } from './client.ts';
import { defaultSocket } from './connection.ts';
import { completionScript, shells } from './completion.ts';
import type { Shell } from './completion.ts';
import { diagnose, renderFindings } from './doctor.ts';
import { backupCommands } from './backup-commands.ts';
import { configCommands } from './config-commands.ts';
import { daemonCommands } from './daemon-commands.ts';
import { controllerCommands } from './controller-command.ts';
import { contextCommands } from './context-commands.ts';
import { CommandFailure, exits, failureOf } from './failure.ts';
import { hostCommands } from './host-commands.ts';
import { plainText } from './human.ts';
import { imageCommands } from './image-commands.ts';
import { does, leaf, ownFirst, withConnection } from './session.ts';
import type { CliDeps, Session } from './session.ts';
import { namesCommandOf } from './names.ts';
import { styleFor } from './style.ts';
import { showOrWatch, withWatch } from './watch.ts';
import type { WatchOptions } from './watch.ts';

const localCommands = (session: Session, program: Command): void => {
  const { local, terminal } = session.deps;
  const serve = program
    .command('serve')
    .description('run the daemon: DHCP, TFTP, HTTP boot, and the control of power')
    .option('--config <file>', 'its configuration');
  serve.action(async () => {
    try {
      session.outcome.exit = await local.serve(serve.opts<{ config?: string }>());
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code !== 'bad-config' || failure.next !== undefined) throw error;
      throw new CommandFailure(failure.exit, failure.message, {
        next: 'mend the configuration file and start again',
        code: failure.code,
        cause: error,
      });
    }
  });
  const lab = program.command('lab [args...]').description('servers without metal: see `remuda lab --help`');
  lab.helpOption(false).allowUnknownOption().passThroughOptions();
  lab.action(async () => {
    session.outcome.exit = await local.lab(lab.args);
  });
  program
    .command('completion')
    .description('completion for a shell: source <(remuda completion bash)')
    .addArgument(new Argument('<shell>').choices(Object.keys(shells)))
    .action((shell: Shell) => terminal.write(completionScript(program, shell)));
};

const otherCommands = (session: Session, program: Command): void => {
  const lease = program.command('lease').alias('leases').description('addresses given by DHCP');
  const leases = withWatch(leaf(lease, 'list', 'all leases, and whose they are')).alias('ls');
  does<WatchOptions>(session, leases, (context, _args, options) =>
    showOrWatch(
      context,
      { ask: () => context.client.list('/v1/leases', leaseJson), render: ({ items }, look) => renderLeases(items, look) },
      options,
    ),
  );

  does(session, leaf(program, 'doctor', 'look at what usually goes wrong'), async (context) => {
    const { client } = context;
    const status = (await client.get('/v1/status', statusJson)).value;
    const hosts = (await client.list('/v1/hosts', hostJson)).value.items;
    const images = (await client.list('/v1/images', imageJson)).value.items;
    const findings = diagnose({ status, hosts, images, now: context.look().now });
    context.show({ raw: { items: findings }, value: findings }, (value, { style }) => renderFindings(value, style));
    return findings.some((finding) => finding.level === 'bad') ? exits.failed : exits.ok;
  });

  does(session, leaf(program, 'version', 'the versions of this command and of the daemon'), async (context) => {
    let daemon: string | null = null;
    try {
      daemon = (await context.client.get('/v1/status', z.object({ version: z.string() }))).value.version;
    } catch (error) {
      // The command's own version is an answer also where no daemon runs.
      if (!(error instanceof CommandFailure)) throw error;
    }
    const where = whereText(context.client.where);
    context.show(
      { raw: { command: context.version, daemon }, value: daemon },
      (version) => `remuda ${context.version}\ndaemon ${version === null ? `does not answer at ${where}` : plainText(version)}\n`,
    );
  });
};

/** The whole tree, for parsing and for completion. */
export const buildProgram = (session: Session): Command => {
  const { terminal } = session.deps;
  const program = withConnection(new Command('remuda'))
    .description('Servers are changed, not patched: claim a host, name an image, and it runs it.')
    .exitOverride()
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Exit codes:
  0  done
  1  refused, or failed; the error says why, and what to do next
  2  the command was written wrong
  3  no daemon answers
  4  not let in: no token, not this role, or a certificate that is not trusted
  5  --timeout passed before it was done; the work goes on
  130  ended by Ctrl-C

Which daemon: --socket, --url or --context, else REMUDA_SOCKET, REMUDA_URL or REMUDA_CONTEXT, else the context in use, else
${defaultSocket}. Tokens: --token-file, REMUDA_TOKEN, REMUDA_TOKEN_FILE, or the context (remuda login URL).
`,
    )
    .configureHelp({ groupItems: (_unsorted, visible, headingOf) => ownFirst(visible, headingOf) })
    .showHelpAfterError('(add --help for what can be said)')
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.error(text),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  hostCommands(session, program);
  bmcCommands(session, program);
  claimCommands(session, program);
  imageCommands(session, program);
  accessCommands(session, program);
  daemonCommands(session, program);
  contextCommands(session, program);
  namesCommandOf(session, program);
  backupCommands(session, program);
  configCommands(session, program);
  otherCommands(session, program);
  controllerCommands(session, program);
  localCommands(session, program);
  return program;
};

/** One line what happened, one line what to do next; with `--json` the same as a document. */
const tell = (deps: CliDeps, failure: CommandFailure, asJson: boolean): void => {
  const { terminal } = deps;
  if (asJson) {
    const { message, next, code } = failure;
    terminal.error(`${JSON.stringify({ error: { code: code ?? null, detail: message, next: next ?? null } })}\n`);
    return;
  }
  const style = styleFor({ isTty: terminal.errorIsTty, env: terminal.env });
  // A configuration may have several faults, a line each.
  const lines = failure.message.split('\n').map(plainText);
  terminal.error(`${style('bad', 'error:')} ${lines.join('\n       ')}\n`);
  if (failure.next !== undefined) terminal.error(`${style('bold', 'next:')}  ${plainText(failure.next)}\n`);
};

/** Runs one command line (without the program's own name) and resolves with the exit code; never throws. */
export const runCli = async (argv: readonly string[], deps: CliDeps): Promise<number> => {
  const session: Session = { deps, outcome: { exit: exits.ok } };
  try {
    await buildProgram(session).parseAsync([...argv], { from: 'user' });
    return session.outcome.exit;
  } catch (error) {
    // Commander has said already what is wrong; help that was asked for is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exits.ok : exits.usage;
    if (deps.world.signal.aborted) return exits.interrupted;
    const failure = failureOf(error);
    tell(
      deps,
      failure,
      argv.some(
        (word, at) =>
          word === '--json' ||
          word === '-ojson' ||
          word === '--output=json' ||
          (word === 'json' && /^(-o|--output)$/.test(argv[at - 1] ?? '')),
      ),
    );
    return failure.exit;
  }
};
