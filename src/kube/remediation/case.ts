/** One look at one remediation: what it says, and how that is written down. */
import type { Result, Tools } from '../controller.ts';
import { conditionTypes, fieldManager } from '../names.ts';
import { keyOf, kinds } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';
import { conditionOf, conditionsOf, setCondition } from '../runtime/conditions.ts';
import type { ConditionWish } from '../runtime/conditions.ts';
import { limits } from '../../limits.ts';
import type { RemediationSpec, RemediationStatus } from '../schema/bare-metal.ts';
import { recordOf } from '../update/record.ts';
import { claimedHost, finishReimage, nodeOf } from '../update/reimage.ts';
import type { ReimageParts } from '../update/reimage.ts';
import { cordon } from '../workload/node.ts';
import { readSubject } from '../update/subject.ts';

/** One look at one remediation. */
export interface Case {
  readonly parts: ReimageParts & Tools;
  /** As the API server has it now: a stale one would try twice. */
  readonly request: KubeObject;
  readonly spec: RemediationSpec;
  readonly status: RemediationStatus;
}
export type Host = Exclude<Awaited<ReturnType<typeof claimedHost>>, string>;
export type Change = Pick<RemediationStatus, 'phase' | 'reboots' | 'reimages' | 'lastTryAt'>;

/** The purposes of its re-images begin so. */
export const prefixOf = ({ metadata }: KubeObject): string => `remediation/${metadata.uid ?? ''}/`;
const wishOf = (reason: string, message: string): ConditionWish => ({ type: conditionTypes.ready, status: 'False', reason, message });
/** Status and condition in one write, refused where the object changed since it was read; nothing changed is no write. */
export const say = async (on: Case, change: Change, reason: string, message: string): Promise<Case> => {
  const { parts, request, status } = on;
  const { uid = '', resourceVersion = '', generation } = request.metadata;
  const wish = { ...wishOf(reason, message), ...(generation === undefined ? {} : { observedGeneration: generation }) };
  const known = conditionOf(request, conditionTypes.ready);
  const isSame = known?.reason === reason && known.message === message && known.observedGeneration === generation;
  const isChanged = Object.entries(change).some(([name, value]) => status[name as keyof Change] !== value);
  if (isSame && !isChanged) return on;
  const conditions = setCondition(conditionsOf(request), wish, parts.world.clock.now());
  const patch = { status: { ...change, conditions } };
  const options = { fieldManager, subresource: 'status' as const, uid, resourceVersion };
  const now = await parts.api.patch(kinds.bareMetalRemediation, keyOf(request), patch, options);
  parts.cache.note(kinds.bareMetalRemediation, now);
  return { ...on, request: now, status: { ...status, ...change } };
};
export const lookAgain: Result = { requeueAfterMs: limits.kubeHookRetrySeconds * 1000 };
export const inTime = (ms: number): Result => ({ requeueAfterMs: Math.max(1_000, ms) });

/**
 * What a re-image left is taken away, read again: the record changed since. A Node that is healthy before we look at it again ends the
 * remediation at once; the one that was cordoned for it takes pods again.
 */
export const tidied = async ({ parts, request }: Case, machine: Key): Promise<void> => {
  const found = await readSubject(parts.api, machine);
  if (found.is !== 'found') return;
  const { subject } = found;
  const isMine = (purpose: string): boolean => purpose.startsWith(prefixOf(request));
  const record = recordOf(subject.infra);
  if (record === undefined || !isMine(record.for)) return;
  const host = await claimedHost(parts.metal, subject);
  const workload = await parts.workload(subject.cluster);
  const node = typeof host === 'string' ? undefined : await nodeOf(workload, subject, host);
  if (node !== undefined) await cordon(workload, node, false);
  await finishReimage(parts, subject, isMine);
};
