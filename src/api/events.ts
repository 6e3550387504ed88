/** Server-sent events: hosts as they change and lines of the timeline, resumed by the number of the last line (WHATWG HTML §9.2). */
import { z } from 'zod';
import type { HostView, Rack } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { JournalRow, Store } from '../store/store.ts';
import type { Clock, HttpReply, HttpRequest } from '../world/world.ts';
import { toHostJson, toTimelineRow } from './admin-json.ts';
import { adminRoute } from './route.ts';
import type { AdminRoute } from './route.ts';
import { hostJson, timelineRowJson } from './types.ts';

export interface EventDeps {
  readonly rack: Pick<Rack, 'host' | 'hosts' | 'changed'>;
  readonly journal: Pick<Store, 'journal' | 'newestEntry'>;
  readonly limits: Pick<Limits, 'apiHeartbeatMs' | 'apiEventsBacklogMax'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Ends when the daemon ends. */
  readonly until: AbortSignal;
}

/** Rows read, and sent, at once: what one client can hold in memory. */
const pageRows = 200;
const seqText = z.string().regex(/^\d{1,15}$/, 'the id of an event');
const eventsQuery = z.strictObject({
  /** Name or ID: only what concerns this host. */
  host: z.string().max(64).optional(),
  /** Go on after this id, as with `Last-Event-ID`. */
  after: seqText.optional(),
});

/** Data of an event of /v1/events: a line of a timeline (its id is `seq`), a changed host, a forgotten one, or why the stream ends. */
export const eventJson = z.union([
  timelineRowJson.extend({ host: z.object({ id: z.string(), name: z.string() }) }),
  hostJson,
  z.object({ id: z.string() }),
  z.object({ reason: z.string(), after: z.number() }),
]);

const block = (event: string, data: unknown, id?: number): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What was last told of a host; a change of any of it is news. */
const looks = ({ host, doing, progress }: HostView): string => `${host.version} ${doing} ${progress?.step ?? ''} ${progress?.done ?? ''}`;

/** One client's place in the stream. Nothing is queued for it: it is read for when it has taken what came before. */
class Reader {
  readonly #deps: EventDeps;
  readonly #hostId: string | undefined;
  readonly #told = new Map<string, string>();
  seq: number;

  constructor(deps: EventDeps, hostId: string | undefined, seq: number) {
    this.#deps = deps;
    this.#hostId = hostId;
    this.seq = seq;
  }
  async #views(): Promise<readonly HostView[]> {
    return (await this.#deps.rack.hosts()).filter(({ host }) => this.#hostId === undefined || host.id === this.#hostId);
  }
  /** What is so now is no news. */
  async begin(): Promise<void> {
    for (const view of await this.#views()) this.#told.set(view.host.id, looks(view));
  }
  /** The next events as text, empty where nothing happened; `isMore` where there may be more at once. */
  async next(): Promise<{ readonly text: string; readonly isMore: boolean }> {
    const rows = await this.#deps.journal.journal({ after: this.seq, most: pageRows });
    const views = await this.#views();
    const names = new Map(views.map(({ host }) => [host.id, host.name]));
    const told = rows.filter(({ hostId }) => names.has(hostId)).map((row) => block('timeline', lineOf(row, names), row.seq));
    this.seq = rows.at(-1)?.seq ?? this.seq;
    const changed = views.filter((view) => this.#told.get(view.host.id) !== looks(view));
    for (const view of changed) this.#told.set(view.host.id, looks(view));
    const gone = [...this.#told.keys()].filter((id) => !names.has(id));
    for (const id of gone) this.#told.delete(id);
    const hosts = [...changed.map((view) => block('host', toHostJson(view))), ...gone.map((id) => block('forgotten', { id }))];
    return { text: [...told, ...hosts].join(''), isMore: rows.length === pageRows };
  }
  /** How many rows are still to be read. */
  async behind(): Promise<number> {
    return (await this.#deps.journal.newestEntry()) - this.seq;
  }
}
const lineOf = (row: JournalRow, names: ReadonlyMap<string, string>): unknown => ({
  host: { id: row.hostId, name: names.get(row.hostId) },
  ...toTimelineRow(row),
});

/** Until the client leaves, falls too far behind, or the daemon ends; the last event says which, and where to go on. */
async function* stream(deps: EventDeps, reader: Reader, gone: AbortSignal): AsyncGenerator<Uint8Array> {
  const { clock, limits, rack, until } = deps;
  const closed = (reason: string): Uint8Array => bytes(block('closed', { reason, after: reader.seq }));
  const signal = AbortSignal.any([gone, until]);
  // A comment at once, so that the client knows that it is heard.
  yield bytes(': remuda\n\n');
  let spokeAt = clock.now();
  // Who comes back after long may have much to hear; who is there and far behind reads too slowly.
  let resumed = true;
  while (!signal.aborted) {
    const ended = new AbortController();
    // Listening begins before reading, or what happens in between would wait for the next change.
    const change = rack.changed(limits.apiHeartbeatMs, AbortSignal.any([signal, ended.signal]));
    change.catch(() => undefined);
    try {
      if (!resumed && (await reader.behind()) > limits.apiEventsBacklogMax) {
        yield closed('you read too slowly: connect again with Last-Event-ID, or ask for the hosts anew');
        return;
      }
      const { text, isMore } = await reader.next();
      const isSilent = text === '' && clock.now() - spokeAt >= limits.apiHeartbeatMs;
      if (text !== '' || isSilent) {
        // A comment keeps the connection alive, and finds out whether it is.
        yield bytes(isSilent ? ':\n\n' : text);
        spokeAt = clock.now();
      }
      resumed &&= isMore;
      if (!isMore) await change;
    } finally {
      ended.abort();
    }
  }
  if (!gone.aborted) yield closed('the daemon is ending: connect again with Last-Event-ID');
}

const events = async (deps: EventDeps, request: HttpRequest, query: z.output<typeof eventsQuery>): Promise<HttpReply> => {
  const said = request.headers['last-event-id'] ?? query.after;
  const last = seqText.safeParse(said ?? '0');
  if (!last.success)
    throw new RemudaError('bad-request', 'Last-Event-ID is not the id of an event of this daemon: leave it out to hear from now on');
  const hostId = query.host === undefined ? undefined : (await deps.rack.host(query.host)).host.id;
  const newest = await deps.journal.newestEntry();
  // A number that we never gave is of another database.
  const reader = new Reader(deps, hostId, said === undefined ? newest : Math.min(Number(last.data), newest));
  await reader.begin();
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
    body: stream(deps, reader, request.signal),
  };
};

export const eventRoutes = (deps: EventDeps): readonly AdminRoute[] => [
  adminRoute({
    id: 'streamEvents',
    method: 'GET',
    path: '/v1/events',
    role: 'viewer',
    summary: 'Hosts as they change and lines of the timeline, as server-sent events; `Last-Event-ID` goes on where it was cut off',
    tag: 'hosts',
    stays: true,
    query: eventsQuery,
    replies: {
      200: {
        media: 'text/event-stream',
        schema: eventJson,
        what: 'Events `timeline` (with an id), `host` (a changed host), `forgotten`, and `closed` as the last; comments keep the connection alive',
      },
    },
    handle: ({ request, query }) => events(deps, request, query),
  }),
];
