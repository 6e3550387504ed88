/** Conditions (metav1.Condition) as values: read, set, merged; the time of a transition moves only with the status. */
import type { Condition, KubeObject } from '../objects.ts';

/** What a condition shall say; when it began to is found out. */
export interface ConditionWish {
  readonly type: string;
  readonly status: Condition['status'];
  /** CamelCase, never empty. */
  readonly reason: string;
  readonly message?: string;
  readonly observedGeneration?: number;
}
/** metav1.Time: whole seconds in UTC. */
export const kubeTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
/** metav1.MicroTime, as leases and events have it. */
export const kubeMicroTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 23)}000Z`;

const byType = (a: Condition, b: Condition): number => (a.type < b.type ? -1 : Number(a.type > b.type));

/** `known` with `wishes` in it, sorted by type; conditions that no wish names stay. `nowMs` is the time of what changes its status. */
export const mergeConditions = (
  known: readonly Condition[] | undefined,
  wishes: readonly ConditionWish[],
  nowMs: number,
): readonly Condition[] => {
  const merged = new Map((known ?? []).map((condition) => [condition.type, condition]));
  for (const { type, status, reason, message = '', observedGeneration } of wishes) {
    const before = merged.get(type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : kubeTime(nowMs);
    merged.set(type, {
      type,
      status,
      reason,
      message,
      lastTransitionTime,
      ...(observedGeneration === undefined ? {} : { observedGeneration }),
    });
  }
  return [...merged.values()].toSorted(byType);
};
/** One of them set. */
export const setCondition = (known: readonly Condition[] | undefined, wish: ConditionWish, nowMs: number): readonly Condition[] =>
  mergeConditions(known, [wish], nowMs);
/** Those of `known` that are not of these types. */
export const withoutConditions = (known: readonly Condition[] | undefined, types: readonly string[]): readonly Condition[] =>
  (known ?? []).filter(({ type }) => !types.includes(type));

/** `status.conditions` of any object; what is no list is none. */
export const conditionsOf = (object: KubeObject | undefined): readonly Condition[] => {
  const status = object?.status as { readonly conditions?: unknown } | null | undefined;
  return Array.isArray(status?.conditions) ? (status.conditions as readonly Condition[]) : [];
};
export const conditionOf = (object: KubeObject | undefined, type: string): Condition | undefined =>
  conditionsOf(object).find((condition) => condition.type === type);
/** Unknown, and absent, are not true. */
export const isTrue = (object: KubeObject | undefined, type: string): boolean => conditionOf(object, type)?.status === 'True';
/** Absent is not false. */
export const isFalse = (object: KubeObject | undefined, type: string): boolean => conditionOf(object, type)?.status === 'False';
