/** `remuda context …` and `remuda login`: the daemons that a person works with, and the first meeting with one. */
import type { Command } from 'commander';
import { z } from 'zod';
import { RemudaError } from '../errors.ts';
import { DaemonClient } from './client.ts';
import type { Where } from './client.ts';
import { checkedFingerprint, checkedUrl, isLoopback, remoteOf, tokenOf } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { contextCalled, contextName, contextsPath, masked, readContexts, writeContexts } from './contexts.ts';
import type { SavedContext } from './contexts.ts';
import { CommandFailure, exits, usage } from './failure.ts';
import { plainText } from './human.ts';
import { absolute } from './input.ts';
import { formatOf, printed } from './output.ts';
import type { OutputOptions } from './output.ts';
import type { CliDeps, Session } from './session.ts';
import { withOutput } from './session.ts';
import { styleFor } from './style.ts';
import { renderDetails, renderTable } from './table.ts';

const checkedName = (text: string): string => {
  const parsed = contextName.safeParse(text);
  if (!parsed.success) throw usage(`${JSON.stringify(text)} is not ${parsed.error.issues[0]?.message ?? 'a name'}`);
  return parsed.data;
};
const whereCell = ({ url, socket }: SavedContext): string => url ?? socket ?? 'the local socket';
const trustCell = ({ url, fingerprint, ca }: SavedContext): string => {
  if (url === undefined || url.startsWith('http:')) return '-';
  return fingerprint !== undefined
    ? `pinned ${fingerprint.slice(0, 16)}\u2026`
    : ca !== undefined
      ? `by ${ca}`
      : 'by the system\u2019s CAs';
};

interface SetOptions extends ConnectionOptions {
  readonly use?: boolean;
}
const savedOf = async (deps: CliDeps, options: SetOptions): Promise<SavedContext> => {
  const { terminal, world } = deps;
  if ((options.url === undefined) === (options.socket === undefined)) throw usage('a context needs --url or --socket');
  if (options.url === undefined) return { socket: absolute(options.socket ?? '', terminal.cwd) };
  const asking = { files: world.files, terminal: { ...terminal, cwd: terminal.cwd, env: {} } };
  const token = await tokenOf(asking, options);
  const saved = {
    url: options.url,
    ...(token === undefined ? {} : { token }),
    ...(options.ca === undefined ? {} : { ca: absolute(options.ca, terminal.cwd) }),
    ...(options.fingerprint === undefined ? {} : { fingerprint: checkedFingerprint(options.fingerprint) }),
  };
  // Refused now rather than at the first use.
  await remoteOf(asking, saved);
  return saved;
};

/** Whose certificate is it: nobody's that this machine knows. Asks the person once, and pins it. */
const meet = async (deps: CliDeps, url: URL, known: Where): Promise<string | undefined> => {
  const { http } = deps.world;
  const { terminal } = deps;
  const ask = (trust: { fingerprint?: string; ca?: string }) =>
    http.call({ method: 'GET', url: `${url.href.replace(/\/+$/, '')}/healthz`, timeoutMs: 10_000, replyBytesMax: 65_536, ...trust });
  if (url.protocol !== 'https:' || ('url' in known && (known.ca !== undefined || known.fingerprint !== undefined))) return undefined;
  try {
    await ask({});
    return undefined;
  } catch (error) {
    if (!(error instanceof RemudaError) || error.code !== 'bmc-untrusted') throw new DaemonClient(http, known, undefined).failureOf(error);
  }
  let seen: unknown;
  try {
    // No certificate has this fingerprint: the answer to a pin that fails is the fingerprint that was seen, and nothing is sent.
    await ask({ fingerprint: '0'.repeat(64) });
  } catch (error) {
    if (!(error instanceof RemudaError) || error.code !== 'bmc-untrusted') throw new DaemonClient(http, known, undefined).failureOf(error);
    seen = error.values['seen'];
  }
  if (typeof seen !== 'string') throw new CommandFailure(exits.denied, `${url.host} shows no certificate that could be pinned`);
  if (!terminal.canAsk)
    throw new CommandFailure(
      exits.denied,
      `the certificate of ${url.host} is signed by no authority that this machine knows: SHA-256 ${seen}`,
      {
        next: `compare it with what the daemon\u2019s log says at its start, then: --fingerprint ${seen}`,
      },
    );
  terminal.error(`The certificate of ${url.host} is signed by no authority that this machine knows.\nSHA-256 ${seen}\n`);
  const said = await terminal.ask(
    'Is that what the daemon\u2019s log (or `remuda doctor` on its machine) says? Trust it from now on? [yes/no] ',
  );
  if (said?.trim().toLowerCase() !== 'yes') throw new CommandFailure(exits.denied, `${url.host} is not trusted; nothing was sent or saved`);
  return seen;
};

interface LoginOptions extends ConnectionOptions {
  readonly name?: string;
}
const login = async (deps: CliDeps, text: string, options: LoginOptions): Promise<void> => {
  const { terminal, world } = deps;
  const url = checkedUrl(text);
  const name = checkedName(options.name ?? url.hostname.replaceAll(/^\[|\]$/g, '').replaceAll(':', '-'));
  if (url.protocol === 'http:' && !isLoopback(url)) throw usage(`${text}: a token would go there in plain text`, 'write https://');
  const asking = { files: world.files, terminal };
  const trust: SavedContext = {
    ...(options.ca === undefined ? {} : { ca: absolute(options.ca, terminal.cwd) }),
    ...(options.fingerprint === undefined ? {} : { fingerprint: checkedFingerprint(options.fingerprint) }),
  };
  const pinned = await meet(deps, url, await remoteOf(asking, { ...trust, url: text }));
  const given = await tokenOf(asking, options);
  const token = (given ?? (terminal.canAsk ? await terminal.readSecret(`Token for ${url.host}: `) : undefined))?.trim();
  if (token === undefined || token === '')
    throw usage('a token is needed', 'give it by --token-file FILE or in REMUDA_TOKEN; the daemon shows the first one at its first start');
  const saved = { ...trust, url: text, token, ...(pinned === undefined ? {} : { fingerprint: pinned }) };
  const client = new DaemonClient(world.http, await remoteOf(asking, saved), undefined);
  const { value } = await client.get('/v1/status', z.object({ version: z.string() }));
  const contexts = await readContexts(world.files, terminal.env);
  await writeContexts(world.files, terminal.env, { current: name, contexts: { ...contexts.contexts, [name]: saved } });
  terminal.write(`context ${name} is ${text}, Remuda ${plainText(value.version)}; it is used from now on (remuda context list)\n`);
};

/** A command that works on the person's own file and asks no daemon. */
type Own = SetOptions & OutputOptions;
const local = (session: Session, command: Command, run: (args: readonly string[], options: Own) => Promise<string>): void => {
  command.action(async () => {
    session.deps.terminal.write(await run(command.args, command.optsWithGlobals<Own>()));
  });
};

const lookCommands = (session: Session, context: Command): void => {
  const { world, terminal } = session.deps;
  const read = () => readContexts(world.files, terminal.env);
  local(
    session,
    withOutput(context.command('list').alias('ls').description('all of them; * marks the one in use')),
    async (_args, options) => {
      const { contexts, current } = await read();
      const items = Object.entries(contexts).map(([name, saved]) => ({ name, current: name === current, ...masked(saved) }));
      return printed(formatOf(options), { items }, () =>
        items.length === 0
          ? 'No contexts: the local socket is asked. Meet another daemon by: remuda login URL\n'
          : renderTable(
              ['', 'name', 'where', 'token', 'trust'],
              items.map((item) => [item.current ? '*' : '', item.name, whereCell(item), item.token ?? '-', trustCell(item)]),
              styleFor(terminal),
            ),
      );
    },
  );
  local(session, withOutput(context.command('show [name]').description('one of them; else the one in use')), async ([given], options) => {
    const all = await read();
    const name = given ?? ((terminal.env['REMUDA_CONTEXT'] ?? '') === '' ? all.current : terminal.env['REMUDA_CONTEXT']);
    if (name === undefined) return printed(formatOf(options), null, () => 'No context is in use: the local socket is asked.\n');
    const saved = masked(contextCalled(all, name));
    return printed(formatOf(options), { name, ...saved }, () =>
      renderDetails(
        [
          ['name', name],
          ['where', whereCell(saved)],
          ['token', saved.token ?? '-'],
          ['trust', trustCell(saved)],
          ['kept in', contextsPath(terminal.env) ?? '-'],
        ],
        styleFor(terminal),
      ),
    );
  });
};

export const contextCommands = (session: Session, program: Command): void => {
  const { world, terminal } = session.deps;
  const context = program.command('context').description('the daemons that you work with');
  lookCommands(session, context);
  local(session, context.command('use <name>').description('ask this one from now on'), async ([name = '']) => {
    const contexts = await readContexts(world.files, terminal.env);
    contextCalled(contexts, name);
    await writeContexts(world.files, terminal.env, { ...contexts, current: name });
    return `context ${name} is used from now on\n`;
  });
  const set = context
    .command('set <name>')
    .description('write one without asking its daemon; to meet a new one, rather: remuda login URL')
    .option('--url <url>', 'where the daemon is')
    .option('--socket <path>', 'its socket on this machine')
    .option('--token-file <file>', 'the token to send')
    .option('--token <token>', 'the same as an argument, which every user of this machine can see')
    .option('--ca <file>', 'PEM of the authorities that may have signed its certificate')
    .option('--fingerprint <sha256>', 'accept exactly this certificate')
    .option('--use', 'use it from now on');
  local(session, set, async ([given = ''], options) => {
    const name = checkedName(given);
    const saved = await savedOf(session.deps, options);
    const contexts = await readContexts(world.files, terminal.env);
    await writeContexts(world.files, terminal.env, {
      ...contexts,
      contexts: { ...contexts.contexts, [name]: saved },
      ...(options.use === true ? { current: name } : {}),
    });
    return `context ${name} is ${whereCell(saved)}${options.use === true ? '; it is used from now on' : ''}\n`;
  });
  local(session, context.command('remove <name>').alias('rm').description('forget one, with its token'), async ([name = '']) => {
    const { contexts, current } = await readContexts(world.files, terminal.env);
    contextCalled({ contexts }, name);
    const { [name]: _removed, ...rest } = contexts;
    await writeContexts(world.files, terminal.env, { contexts: rest, ...(current === undefined || current === name ? {} : { current }) });
    return `context ${name} is removed${current === name ? '; the local socket is asked again' : ''}\n`;
  });
  const loginCommand = program
    .command('login <url>')
    .description('meet a daemon: trust its certificate, give a token, and use it from now on')
    .option('--name <name>', 'what to call it; else its host name')
    .option('--token-file <file>', 'the token; else REMUDA_TOKEN, else asked')
    .option('--ca <file>', 'PEM of the authorities that may have signed its certificate')
    .option('--fingerprint <sha256>', 'accept exactly this certificate, without asking');
  loginCommand.action(() => login(session.deps, loginCommand.args[0] ?? '', loginCommand.optsWithGlobals<LoginOptions>()));
};
