/** `remuda events|status|reload|openapi|metrics`: the daemon itself. */
import type { Command } from 'commander';
import { z } from 'zod';
import { hostJson, timelineRowJson } from '../api/types.ts';
import { reloadJson, statusJson } from '../api/access-types.ts';
import type { StatusJson } from '../api/access-types.ts';
import type { ServerEvent } from '../wire/event-stream.ts';
import { patiently } from './follow.ts';
import type { Look } from './host-view.ts';
import { ageText, plainText, plural, sizeText } from './human.ts';
import { does, leaf } from './session.ts';
import type { Context, Session } from './session.ts';
import { renderDetails, renderTable } from './table.ts';
import type { Cell } from './table.ts';
import { timelineLine } from './timeline-view.ts';
import { showOrWatch, withWatch } from './watch.ts';
import type { WatchOptions } from './watch.ts';

const rowOfHost = timelineRowJson.extend({ host: z.object({ name: z.string() }) });
/** What the daemon told, as a line; empty where there is nothing to say to a person. */
const eventLine = ({ event, data }: ServerEvent, { style }: Look): string => {
  const value: unknown = JSON.parse(data);
  const row = rowOfHost.safeParse(value);
  if (event === 'timeline' && row.success) return timelineLine({ ...row.data, text: `${row.data.host.name}: ${row.data.text}` }, style);
  const host = hostJson.safeParse(value);
  if (event === 'host' && host.success)
    return style('dim', `${plainText(host.data.name)} is ${host.data.state}: ${plainText(host.data.doing)}\n`);
  return `${plainText(event)} ${plainText(data)}\n`;
};

/** Between two connections. */
const pauseMs = 1_000;
const followEvents = async (context: Context, host: string | undefined, after: string | undefined): Promise<never> => {
  const { clock, signal } = context.world;
  for (let last = after ?? ''; ;) {
    const query = new URLSearchParams({ ...(host === undefined ? {} : { host }), ...(last === '' ? {} : { after: last }) }).toString();
    await patiently(context, async () => {
      for await (const one of context.client.events(`/v1/events${query === '' ? '' : `?${query}`}`, signal)) {
        if (one.id !== '') last = one.id;
        context.terminal.write(
          context.json
            ? `${JSON.stringify({ event: one.event, id: one.id, data: JSON.parse(one.data) as unknown })}\n`
            : eventLine(one, context.look()),
        );
      }
    });
    // The daemon ended the stream: it restarts, or this reader was slow; nothing of the timeline is lost by the last ID.
    await clock.sleep(pauseMs, signal);
  }
};

const renderStatus = (status: StatusJson, { style, now }: Look): string => {
  const listeners = renderTable(
    ['listener', 'at', 'bound'],
    status.listeners.map((one): Cell[] => [
      one.name,
      one.at,
      one.bound ? { text: 'yes', tone: 'good' } : { text: one.reason ?? 'no', tone: 'bad' },
    ]),
    style,
  );
  const networks = renderTable(
    ['network', 'interface', 'our address', 'leased'],
    status.networks.map((one): Cell[] => [
      one.subnet,
      one.interface,
      one.address ?? { text: 'none', tone: 'bad' },
      `${one.leasedAddresses} of ${one.poolAddresses}`,
    ]),
    style,
  );
  const about = renderDetails(
    [
      ['version', status.version],
      ['up since', ageText(status.startedAt, now)],
      ['free', sizeText(status.freeBytes)],
    ],
    style,
  );
  const warnings = status.warnings
    .map(({ level, text }) => `${style(level === 'warning' ? 'warn' : 'dim', level)}: ${plainText(text)}\n`)
    .join('');
  return [about, listeners, networks, ...(warnings === '' ? [] : [warnings])].join('\n');
};

const reloadCommand = (session: Session, program: Command): void => {
  does(
    session,
    leaf(program, 'reload', 'read the configuration again; it holds at once where it can, and what cannot is named'),
    async (context) =>
      context.show(await context.client.post('/v1/reload', {}, reloadJson), ({ applied, restart }, { style }) =>
        [
          applied.length === 0
            ? restart.length === 0
              ? 'nothing has changed: the daemon runs as its configuration says\n'
              : 'nothing changed that holds at once\n'
            : `${style('good', 'holds now')}: ${applied.map(plainText).join(', ')}\n`,
          restart.length === 0
            ? ''
            : `${style('warn', 'needs a restart')}: ${restart.map(plainText).join(', ')} (${plural(restart.length, 'setting')} as before until then)\n`,
        ].join(''),
      ),
  );
};

export const daemonCommands = (session: Session, program: Command): void => {
  const events = leaf(program, 'events', 'what happens at the daemon, as it happens (with --json one object a line)')
    .option('--host <host>', 'only what concerns this host')
    .option('--after <id>', 'also what happened after this event');
  does<{ host?: string; after?: string }>(session, events, (context, _args, { host, after }) => followEvents(context, host, after));

  const status = withWatch(leaf(program, 'status', 'where the daemon listens, its networks, what it warns of'));
  does<WatchOptions>(session, status, (context, _args, options) =>
    showOrWatch(context, { ask: () => context.client.get('/v1/status', statusJson), render: renderStatus }, options),
  );
  reloadCommand(session, program);
  does(session, leaf(program, 'openapi', 'the description of the API (OpenAPI 3.1, JSON)'), async (context) => {
    const answer = await context.client.get('/v1/openapi.json', z.object({ openapi: z.string() }));
    context.show(answer, () => `${JSON.stringify(answer.raw, null, 2)}\n`);
  });
  does(session, leaf(program, 'metrics', 'counters, durations and gauges, in the text format of Prometheus'), async (context) => {
    const text = await context.client.text('/metrics');
    context.show({ raw: { text }, value: text }, (value) => value);
  });
};
