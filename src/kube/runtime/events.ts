/** Events for people, at the objects (events.k8s.io/v1): the same one again is counted; nobody waits for them, and none of them fails anything. */
import { reasonOf } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { Log, World } from '../../world/world.ts';
import type { KubeApi } from '../api.ts';
import type { EventSink } from '../controller.ts';
import { fieldManager } from '../names.ts';
import { apiVersionOf, keyOf, kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import { kubeMicroTime } from './conditions.ts';

export interface EventsOptions {
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly log: Log;
  readonly limits: Limits;
  readonly api: KubeApi;
  /** Which of many controllers says it. */
  readonly instance: string;
}
type Said = Parameters<EventSink['record']>[1];
interface Series {
  readonly event: KubeObject;
  /** How often it was said, and how often of that is written. */
  count: number;
  written: number;
  writtenAt: number;
  lastAt: number;
}
/** What the API server takes: `note` and `reason` are bounded there. */
const noteMost = 1024;
const reasonMost = 128;
/** A count is written at most this often, and one that was not said for so long begins anew: as client-go has it. */
const seriesMs = 6 * 60_000;
/** For one object at once, and one more for each so many ms: an object that flaps does not fill the server. */
const burst = 25;
const refillMs = 5 * 60_000;
/** Events of objects without a namespace stand here, as kubectl looks for them. */
const clusterNamespace = 'default';

export class Events implements EventSink {
  readonly #options: EventsOptions;
  readonly #series = new Map<string, Series>();
  readonly #waiting = new Map<string, Series>();
  readonly #budgets = new Map<string, { left: number; at: number }>();
  #sending: Promise<void> | undefined;
  #isOver = false;

  constructor(options: EventsOptions) {
    this.#options = options;
  }
  record(object: KubeObject, said: Said): void {
    if (this.#isOver) return;
    const now = this.#options.world.clock.now();
    const { uid = '' } = object.metadata;
    const id = [uid, keyOf(object), said.type, said.reason, said.action, said.note].join('\0');
    const known = this.#series.get(id);
    if (known !== undefined && now - known.lastAt < seriesMs) {
      known.count++;
      known.lastAt = now;
      if (now - known.writtenAt >= seriesMs) this.#send(id, known);
      return;
    }
    if (!this.#mayMore(uid === '' ? keyOf(object) : uid, now)) return;
    const series: Series = { event: this.#eventOf(object, said, now), count: 1, written: 0, writtenAt: now, lastAt: now };
    keep(this.#series, id, series, this.#options.limits.kubeEventsMax);
    this.#send(id, series);
  }
  /** Nothing more is written; resolves when the one that is on its way has ended. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#waiting.clear();
    await this.#sending;
  }

  #mayMore(object: string, now: number): boolean {
    const known = this.#budgets.get(object) ?? { left: burst, at: now };
    const grown = Math.min(burst, known.left + (now - known.at) / refillMs);
    const isAllowed = grown >= 1;
    keep(this.#budgets, object, { left: isAllowed ? grown - 1 : grown, at: now }, this.#options.limits.kubeEventsMax);
    return isAllowed;
  }
  #eventOf(object: KubeObject, { type, reason, action, note }: Said, now: number): KubeObject {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const tail = Buffer.from(this.#options.world.random.bytes(8)).toString('hex');
    const regarding = { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid, resourceVersion };
    const event = {
      apiVersion: apiVersionOf(kinds.event),
      kind: kinds.event.kind,
      // At most 253 characters, and none at the cut that a name may not end with.
      metadata: { name: `${name.slice(0, 230).replace(/[^a-z0-9]+$/, '')}.${tail}`, namespace: namespace ?? clusterNamespace },
      eventTime: kubeMicroTime(now),
      reportingController: fieldManager,
      reportingInstance: this.#options.instance.slice(0, 128),
      action: action.slice(0, reasonMost),
      reason: reason.slice(0, reasonMost),
      regarding,
      note: note.slice(0, noteMost),
      type,
    };
    return event;
  }
  #send(id: string, series: Series): void {
    series.writtenAt = this.#options.world.clock.now();
    keep(this.#waiting, id, series, this.#options.limits.kubeEventsMax);
    this.#sending ??= this.#sendAll();
  }
  /** One after the other, so that events never crowd out what matters. */
  async #sendAll(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      this.#waiting.delete(next[0]);
      // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
      await this.#write(next[1]);
    }
    this.#sending = undefined;
  }
  async #write(series: Series): Promise<void> {
    const { api, log } = this.#options;
    const { count, lastAt, event } = series;
    try {
      if (series.written === 0) await api.create(kinds.event, event, fieldManager);
      else {
        const patch = { series: { count, lastObservedTime: kubeMicroTime(lastAt) } };
        await api.patch(kinds.event, keyOf(event), patch, { fieldManager });
      }
      series.written = count;
    } catch (error) {
      // What it says stands in the conditions and in our log as well.
      log.debug('an event could not be written', { event: keyOf(event), reason: reasonOf(error) });
    }
  }
}
/** Sets it as the newest; the oldest goes where there are too many. */
const keep = <V>(map: Map<string, V>, id: string, value: V, most: number): void => {
  map.delete(id);
  map.set(id, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
};
