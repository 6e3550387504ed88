/** Draining a Node: one bounded step at a time, by evictions that respect disruption budgets, never waiting for a pod to end. */
import { z } from 'zod';
import { limits } from '../../limits.ts';
import { KubeError } from '../api.ts';
import type { KubeApi } from '../api.ts';
import { capi } from '../names.ts';
import { keyOf, kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';

const podShape = z.object({ status: z.object({ phase: z.string().optional() }).optional() });
/** `stays`: it is none of the drain's; `evict`: it must go; `going`: it was told so. */
export type PodFate = 'stays' | 'evict' | 'going';
/** What a drain does with a pod. Of a Node that is out of reach, a pod whose end nobody can confirm holds nothing up for ever. */
export const podFate = (pod: KubeObject, { isReachable, now }: { readonly isReachable: boolean; readonly now: number }): PodFate => {
  const { annotations = {}, labels = {}, ownerReferences = [], deletionTimestamp } = pod.metadata;
  if (annotations['kubernetes.io/config.mirror'] !== undefined || labels[capi.drain] === 'skip') return 'stays';
  if (ownerReferences.some(({ kind, controller }) => kind === 'DaemonSet' && controller === true)) return 'stays';
  const phase = podShape.safeParse(pod).data?.status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed') return 'stays';
  if (deletionTimestamp === undefined) return 'evict';
  const isLost = !isReachable && now - Date.parse(deletionTimestamp) > limits.kubeUnreachablePodMs;
  return isLost ? 'stays' : 'going';
};

export interface Drained {
  /** Pods that are told to go and have not gone, as `namespace/name`, sorted. */
  readonly going: readonly string[];
  /** Pods that a disruption budget keeps for now. */
  readonly kept: readonly string[];
}
const evict = async (api: KubeApi, pod: KubeObject, isReachable: boolean): Promise<'going' | 'kept' | 'gone'> => {
  const { name, namespace = '', uid = '' } = pod.metadata;
  const deleteOptions = { preconditions: { uid }, ...(isReachable ? {} : { gracePeriodSeconds: 1 }) };
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace }, deleteOptions };
  try {
    await api.post(kinds.pod, keyOf(pod), 'eviction', body);
    return 'going';
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    // 409: another pod of that name; 429: the budget says no.
    if (error.httpStatus === 404 || error.httpStatus === 409) return 'gone';
    if (error.httpStatus === 429) return 'kept';
    throw error;
  }
};
/**
 * Evicts at most `limits.kubeEvictionsMax` pods and tells what is still there; nothing is: the Node is drained. To be asked again until
 * then. `isReachable`: its kubelet is heard of. `now` in ms since 1970.
 */
export const drainStep = async (
  api: KubeApi,
  node: string,
  how: { readonly isReachable: boolean; readonly now: number },
): Promise<Drained> => {
  const { items } = await api.list(kinds.pod, { fieldSelector: `spec.nodeName=${node}` });
  const fates = items.map((pod) => ({ pod, fate: podFate(pod, how) }));
  const going = fates.filter(({ fate }) => fate === 'going').map(({ pod }) => keyOf(pod));
  const kept: string[] = [];
  const wanted = fates.filter(({ fate }) => fate === 'evict').map(({ pod }) => pod);
  for (const pod of wanted.slice(0, limits.kubeEvictionsMax)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: a budget counts each of them
    const said = await evict(api, pod, how.isReachable);
    if (said === 'kept') kept.push(keyOf(pod));
    if (said === 'going') going.push(keyOf(pod));
  }
  const later = wanted.slice(limits.kubeEvictionsMax).map((pod) => keyOf(pod));
  return { going: [...going, ...later].toSorted(), kept: kept.toSorted() };
};
