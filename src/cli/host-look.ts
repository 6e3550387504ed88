/** `remuda host list|show|timeline`: looking at servers, once or as they change. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { hostJson } from '../api/types.ts';
import type { HostJson } from '../api/types.ts';
import { limits } from '../limits.ts';
import type { Answer } from './client.ts';
import { followTimeline, readTimeline } from './follow.ts';
import { renderHost, renderHosts, since } from './host-view.ts';
import { plainText, plural } from './human.ts';
import { parseSelectors, passesAll } from './labels.ts';
import { collect, does, leaf, number, segment } from './session.ts';
import type { Session } from './session.ts';
import { renderTimeline } from './timeline-view.ts';
import { showOrWatch, withWatch } from './watch.ts';
import type { WatchOptions } from './watch.ts';

const sortings: Readonly<Record<string, (host: HostJson) => string | number>> = {
  name: ({ name }) => name,
  state: ({ state }) => hostJson.shape.state.options.indexOf(state),
  pool: ({ profile }) => profile.pool,
  rack: ({ profile }) => `${profile.rack ?? '\uffff'} ${String(profile.unit ?? 0).padStart(3, '0')}`,
  owner: ({ claim }) => claim?.owner ?? '\uffff',
  /** The longest in their present state first: those that hang. */
  since: (host) => since(host),
  created: ({ createdAt }) => createdAt,
};
interface ListOptions extends WatchOptions {
  readonly state?: string;
  readonly held?: boolean;
  readonly failed?: boolean;
  readonly pool?: string;
  readonly rack?: string;
  readonly selector?: readonly string[];
  readonly sort?: string;
}
/** Is this host wanted? */
const wanted = (options: ListOptions): ((host: HostJson) => boolean) => {
  const { state, held, failed, pool, rack } = options;
  const labels = parseSelectors(options.selector ?? []);
  const tests: readonly ((host: HostJson) => boolean)[] = [
    (host) => state === undefined || host.state === state,
    (host) => held !== true || host.held !== null,
    (host) => failed !== true || host.failed !== null,
    ({ profile }) => pool === undefined || profile.pool === pool,
    ({ profile }) => rack === undefined || profile.rack === rack,
    ({ profile }) => passesAll(labels, profile.labels),
  ];
  return (host) => tests.every((test) => test(host));
};
const compare = (one: string | number, other: string | number): number =>
  typeof one === 'number' && typeof other === 'number' ? one - other : String(one).localeCompare(String(other), 'en', { numeric: true });
const sorted = (hosts: readonly HostJson[], by: string | undefined): readonly HostJson[] => {
  const key = by === undefined ? undefined : sortings[by];
  if (key === undefined) return hosts;
  return hosts.toSorted((one, other) => compare(key(one), key(other)) || compare(one.name, other.name));
};
interface Chosen {
  readonly kept: readonly HostJson[];
  /** So many there are. */
  readonly of: number;
}
/** What narrows the list, as it was typed. */
const filtersText = ({ state, held, failed, pool, rack, selector = [] }: ListOptions): string =>
  [
    ...Object.entries({ state, pool, rack }).flatMap(([name, said]) => (said === undefined ? [] : [`--${name} ${said}`])),
    ...(held === true ? ['--held'] : []),
    ...(failed === true ? ['--failed'] : []),
    ...selector.map((labels) => `-l ${labels}`),
  ].join(' ');
const noneText = (of: number, options: ListOptions): string =>
  `None of ${plural(of, 'host')} is like that (${plainText(filtersText(options))}). All of them: remuda host list -o wide\n`;

/** Those that are wanted, in the order that is wanted, each with the document that it came as. */
const chosen = ({ raw, value }: Answer<{ items: HostJson[] }>, options: ListOptions): Answer<Chosen> => {
  // The list and its documents stand in one order; the documents keep what this version of the command does not know.
  const documents = new Map(value.items.map((host, at) => [host.id, (raw as { items: readonly unknown[] }).items[at]]));
  const kept = sorted(value.items.filter(wanted(options)), options.sort);
  return { raw: { items: kept.map(({ id }) => documents.get(id)) }, value: { kept, of: value.items.length } };
};

const listCommand = (session: Session, host: Command): void => {
  const list = withWatch(leaf(host, 'list', 'all hosts, and what each does'))
    .alias('ls')
    .addOption(new Option('--state <state>', 'only hosts in this state').choices(hostJson.shape.state.options))
    .option('-l, --selector <labels>', 'only hosts with these labels: tier=web,disk!=hdd,"zone in (a,b)",gpu,!old', collect)
    .option('--pool <name>', 'only hosts of this pool')
    .option('--rack <name>', 'only hosts of this rack')
    .option('--held', 'only hosts that somebody holds')
    .option('--failed', 'only hosts whose last step failed')
    .addOption(new Option('--sort <by>', 'in this order').choices(Object.keys(sortings)));
  does<ListOptions>(session, list, (context, _args, options) =>
    showOrWatch(
      context,
      {
        ask: async () => chosen(await context.client.list('/v1/hosts', hostJson), options),
        render: ({ kept, of }, look) => (kept.length === 0 && of > 0 ? noneText(of, options) : renderHosts(kept, look)),
      },
      options,
    ),
  );
};

export const lookCommands = (session: Session, host: Command): void => {
  listCommand(session, host);
  const show = withWatch(leaf(host, 'show <host>', 'one host: why it stands where it stands, what was last seen, what it is')).alias('get');
  does<WatchOptions>(session, show, (context, [name], options) => {
    const ask = async () => {
      const answer = await context.client.get(`/v1/hosts/${segment(name)}`, hostJson);
      const timeline = await readTimeline(context, { host: answer.value.id, most: 12, after: undefined });
      return { raw: answer.raw, value: { host: answer.value, timeline: timeline.value.items } };
    };
    const watched = {
      ask,
      render: (value: Awaited<ReturnType<typeof ask>>['value'], look: Parameters<typeof renderHost>[2]) =>
        renderHost(value.host, value.timeline, look),
    };
    return showOrWatch(context, name === undefined ? watched : { ...watched, host: name }, options);
  });

  const timeline = leaf(host, 'timeline <host>', 'what happened to it, step by step')
    .alias('log')
    .option('-f, --follow', 'go on as it happens (with --json one object a line)')
    .option('--most <count>', `at most so many entries, up to ${limits.timelineAnswerMax}`, number, 200)
    .option('--after <seq>', 'only what came after this entry', number);
  does<{ follow?: boolean; most: number; after?: number }>(session, timeline, async (context, [name = ''], { follow, most, after }) => {
    if (follow === true) return followTimeline(context, { host: name, most, after });
    return context.show(await readTimeline(context, { host: name, most, after }), (value, look) =>
      value.items.length === 0 ? 'Nothing was seen of this host yet.\n' : renderTimeline(value.items, look),
    );
  });
};
