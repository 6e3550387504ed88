/** `remuda host hold|unhold`: who stops the steps on a host, and who lets them go on, on one host or on all. */
import type { Command } from 'commander';
import { hostJson } from '../api/types.ts';
import type { HostJson } from '../api/types.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { CommandFailure, exits, usage } from './failure.ts';
import type { Exit } from './failure.ts';
import { renderChanged } from './host-view.ts';
import { plural } from './human.ts';
import { does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';

const pathOf = (host: string | undefined): string => `/v1/hosts/${segment(host)}`;

interface UnholdOptions extends ConfirmOptions {
  readonly all?: boolean;
  readonly by?: string;
}
/** So many are named before the question; the others are counted. */
const namedMost = 20;
const questionOf = (held: readonly HostJson[]): string => {
  const lines = held
    .slice(0, namedMost)
    .map((host) => `  ${host.name}, ${host.state}: held by ${host.held?.by ?? ''}: ${host.held?.why ?? ''}`);
  const more = held.length > namedMost ? [`  and ${held.length - namedMost} more`] : [];
  return [`The steps go on at once on ${plural(held.length, 'host')}:`, ...lines, ...more].join('\n');
};

/** The daemon lets so many requests in at once, and then so many a second. */
const pauseMs = 1_000;
const lifted = async (context: Context, { name, id }: HostJson): Promise<HostJson | CommandFailure> => {
  for (;;)
    try {
      return (await context.client.post(`${pathOf(id)}/unhold`, {}, hostJson)).value;
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.exit !== exits.failed) throw error;
      if (error.code !== 'rate-limited') return new CommandFailure(error.exit, `${name}: ${error.message}`, { next: error.next });
      await context.world.clock.sleep(pauseMs, context.world.signal);
    }
};
/** One after the other; what one of them refuses does not keep the others held. */
const unholdAll = async (context: Context, options: UnholdOptions): Promise<Exit> => {
  const { items } = (await context.client.list('/v1/hosts', hostJson)).value;
  const held = items.filter((host) => host.held !== null && (options.by === undefined || host.held.by === options.by));
  if (held.length > 0) await confirm(context, questionOf(held), options);
  const hosts: HostJson[] = [];
  const failures: CommandFailure[] = [];
  for (const host of held) {
    const said = await lifted(context, host);
    if (said instanceof CommandFailure) failures.push(said);
    else hosts.push(said);
  }
  const by = options.by === undefined ? '' : ` by ${options.by}`;
  context.show({ raw: { items: hosts }, value: hosts }, (value, look) =>
    held.length === 0 ? `no host is held${by}\n` : value.map((host) => renderChanged(host, look)).join(''),
  );
  if (failures.length === 0) return exits.ok;
  throw new CommandFailure(exits.failed, failures.map(({ message }) => message).join('\n'), {
    next: `see those that are held still: remuda host list --held`,
  });
};

export const holdCommands = (session: Session, host: Command): void => {
  const hold = leaf(host, 'hold <host>', 'stop all steps on it').requiredOption('--why <reason>', 'what the next person should know');
  does<{ why: string }>(session, hold, async (context, [name], { why }) =>
    context.show(await context.client.post(`${pathOf(name)}/hold`, { why }, hostJson), renderChanged),
  );
  does(session, leaf(host, 'unreserve <host>', 'any claim may take it, not only those it is kept for'), async (context, [name]) => {
    context.show(await context.client.post(`${pathOf(name)}/unreserve`, {}, hostJson), renderChanged);
    return exits.ok;
  });
  const unhold = withConfirmation(leaf(host, 'unhold [host]', 'let the steps go on'))
    .option('--all', 'on every host that is held')
    .option('--by <name>', 'with --all: only on those that this one holds; after a restore: --by restore');
  does<UnholdOptions>(session, unhold, async (context, [name], options) => {
    if ((name === undefined) !== (options.all === true)) throw usage('name one host, or say --all');
    if (options.all === true) return unholdAll(context, options);
    if (options.by !== undefined) throw usage('--by is for --all');
    context.show(await context.client.post(`${pathOf(name)}/unhold`, {}, hostJson), renderChanged);
    return exits.ok;
  });
};
