/** Writes what a report says into the status, once, and no more often than it matters. */
import { isDeepStrictEqual } from 'node:util';
import type { Result, Tools } from '../controller.ts';
import { conditionTypes, reasons } from '../names.ts';
import type { Condition, KubeObject } from '../objects.ts';
import { conditionsOf, mergeConditions } from '../runtime/conditions.ts';
import { writerOf } from '../runtime/writer.ts';
import { limits } from '../../limits.ts';
import type { MachineAdapter } from './adapter.ts';
import { factsOf } from './facts.ts';
import type { Seen } from './look.ts';
import { mergePatchBetween } from '../patch.ts';
import type { Report } from './view.ts';

type Fields = Readonly<Record<string, unknown>>;
/** When an object was written last, so that words alone do not become a write each. Forgotten by a restart, which only writes earlier. */
export class Quiet {
  readonly #at = new Map<string, number>();
  readonly #now: () => number;
  readonly #ms: number;
  constructor(now: () => number, ms: number) {
    this.#now = now;
    this.#ms = ms;
  }
  /** How long to wait with words of no weight; 0: write now. */
  leftMs(id: string): number {
    return Math.max(0, (this.#at.get(id) ?? Number.NEGATIVE_INFINITY) + this.#ms - this.#now());
  }
  wrote(id: string): void {
    this.#at.set(id, this.#now());
    if (this.#at.size < 4096) return;
    for (const [one, at] of this.#at) if (at + this.#ms <= this.#now()) this.#at.delete(one);
  }
  forget(id: string): void {
    this.#at.delete(id);
  }
}

/** Of these people are told by an event, too. */
const troubles: ReadonlySet<string> = new Set([
  reasons.invalid,
  reasons.poolNotAllowed,
  reasons.imageNotFound,
  reasons.waitingForHost,
  reasons.hostFailed,
  reasons.hostHeld,
  reasons.hostGone,
  reasons.timedOut,
  reasons.bootstrapFailed,
  reasons.offNotVerified,
]);
/** What programs decide by; the rest is for people and may wait some seconds. */
const weighty = (status: Fields): unknown => {
  const { conditions = [], host, observedGeneration: _soft, ...rest } = status;
  return {
    ...rest,
    host: (host as { readonly id?: unknown } | undefined)?.id,
    conditions: (conditions as readonly Condition[]).map(({ type, status: is, reason }) => [type, is, reason]),
  };
};
const plain = (value: Fields): Fields => JSON.parse(JSON.stringify(value)) as Fields;

const statusAfter = async (tools: Tools, adapter: MachineAdapter, seen: Seen, report: Report): Promise<Fields> => {
  const { object, view, failureDomainBy } = seen;
  const before = (object.status ?? {}) as Fields;
  const conditions = mergeConditions(conditionsOf(object), report.conditions, tools.world.clock.now());
  // A paused object says that it is, and nothing else of it changes.
  if (report.host === undefined && report.isProvisioned === undefined && report.conditions.length === 1) return { ...before, conditions };
  const facts = report.host === undefined ? undefined : await factsOf(tools.metal, report.host, failureDomainBy);
  const reason = report.conditions.find(({ type }) => type === conditionTypes.ready)?.reason;
  const isProvisioned = view.wasProvisioned || report.isProvisioned === true;
  return { ...adapter.statusOf({ isProvisioned, facts, before, generation: object.metadata.generation, reason }), conditions };
};
const tell = (tools: Tools, object: KubeObject, report: Report): void => {
  const ready = report.conditions.find(({ type }) => type === conditionTypes.ready);
  const before = conditionsOf(object).find(({ type }) => type === conditionTypes.ready);
  const named = report.conditions.find(({ type }) => type === conditionTypes.released) ?? ready;
  if (ready === undefined || named === undefined) return;
  if (report.isProvisioned === true && ready.status === 'True' && before?.status !== 'True')
    tools.events.record(object, { type: 'Normal', reason: reasons.provisioned, action: 'Provision', note: 'the host runs its image' });
  const known = conditionsOf(object).find(({ type }) => type === named.type);
  if (troubles.has(named.reason) && known?.reason !== named.reason)
    tools.events.record(object, {
      type: 'Warning',
      reason: named.reason,
      action: 'Reconcile',
      note: (named.message ?? '').slice(0, 1_000),
    });
};
/** Writes the status where it differs; words of no weight wait. The version that was read is the one that is changed. */
export const show = async (
  tools: Tools,
  quiet: Quiet,
  adapter: MachineAdapter,
  { seen, report }: { readonly seen: Seen; readonly report: Report },
): Promise<Result> => {
  const { object } = seen;
  const { uid = '' } = object.metadata;
  const before = (object.status ?? {}) as Fields;
  const after = plain(await statusAfter(tools, adapter, seen, report));
  if (mergePatchBetween(before, after) === undefined) return {};
  const leftMs = isDeepStrictEqual(weighty(before), weighty(after)) ? quiet.leftMs(uid) : 0;
  if (leftMs > 0) return { requeueAfterMs: leftMs };
  await writerOf(tools).setStatus(adapter.kind, object, after);
  quiet.wrote(uid);
  tell(tools, object, report);
  return {};
};
/** The sooner of two. */
export const sooner = (...ends: readonly (number | undefined)[]): Result => {
  const times = ends.filter((ms) => ms !== undefined);
  return times.length === 0 ? {} : { requeueAfterMs: Math.min(...times) };
};
export const quietOf = (tools: Pick<Tools, 'world'>): Quiet => new Quiet(() => tools.world.clock.now(), limits.kubeQuietMs);
