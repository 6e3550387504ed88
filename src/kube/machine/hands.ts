/** Does the one step that was decided. What touches metal is decided once more by what the API server says at that moment. */
import { codeOf, reasonOf, RemudaError } from '../../errors.ts';
import type { Code } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { isConflict, KubeError } from '../api.ts';
import type { Result, Tools } from '../controller.ts';
import { capi, fieldManager, ours, reasons } from '../names.ts';
import { keyOf, kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import { writerOf } from '../runtime/writer.ts';
import type { MachineAdapter } from './adapter.ts';
import { addressClaim, addressClaimName } from './ipam.ts';
import { decideMachine } from './lifecycle.ts';
import { lookAt } from './look.ts';
import type { Seen } from './look.ts';
import { rackAwayWhileDeleting, waitingReport } from './report.ts';
import { show, sooner } from './show.ts';
import type { Quiet } from './show.ts';
import type { NamedClaim, Report, Step } from './view.ts';
import { groupOfMachine } from './wish.ts';

export interface Hands {
  readonly tools: Tools;
  readonly adapter: MachineAdapter;
  readonly quiet: Quiet;
}
/** The next step is taken by the next look. */
const next: Result = { requeueAfterMs: 10 };

/** What the API server holds must be what was looked at: between the two it may have been moved. */
const write = async ({ tools, adapter }: Hands, { metadata }: KubeObject, patch: unknown): Promise<void> => {
  const { resourceVersion, uid } = metadata;
  const exactly = { ...(resourceVersion === undefined ? {} : { resourceVersion }), ...(uid === undefined ? {} : { uid }) };
  const written = await tools.api.patch(adapter.kind, keyOf({ metadata }), patch, { fieldManager, ...exactly });
  tools.cache.note(adapter.kind, written);
};

/** What must be changed by somebody before the same claim can be taken. */
const refusedFor: Partial<Record<Code, string>> = {
  'image-not-found': reasons.imageNotFound,
  'bad-request': reasons.invalid,
  'too-large': reasons.invalid,
  'host-not-found': reasons.invalid,
  'disk-missing': reasons.invalid,
  'disk-ambiguous': reasons.invalid,
  'disk-too-small': reasons.invalid,
  'image-invalid': reasons.invalid,
  'image-unsigned': reasons.invalid,
  'signature-invalid': reasons.invalid,
};
/** What passes: another one was quicker, or the host is busy. */
const passing: ReadonlySet<Code> = new Set([
  'host-claimed',
  'state-conflict',
  'version-conflict',
  'precondition-failed',
  'claim-exists',
  'rate-limited',
]);
/** Why the rack refused a claim, in our reasons; and when to ask again: a change of the rack wakes those that wait for a host. */
export const refusalOf = (error: unknown): { readonly reason: string; readonly message: string; readonly againMs: number } => {
  const message = reasonOf(error);
  const code = codeOf(error);
  const { kubeBackoffMostMs: late, kubeLookAgainMs: soon } = limits;
  if (code === 'no-host-fits')
    return { reason: isReserved(error) ? reasons.waitingForReserved : reasons.waitingForHost, message, againMs: late };
  const refused = refusedFor[code];
  if (refused !== undefined) return { reason: refused, message, againMs: late };
  if (passing.has(code)) return { reason: reasons.waitingForHost, message, againMs: soon };
  return { reason: reasons.rackUnreachable, message: `the rack did not take the claim: ${message}`, againMs: soon };
};
const isReserved = (error: unknown): boolean => {
  const classes = error instanceof RemudaError ? error.values['classes'] : undefined;
  return Array.isArray(classes) && classes.some((one) => (one as { readonly class?: unknown }).class === 'reserved');
};

/** Of this host it was said, or of all that fit: with another wish another one may be had. What else went wrong says nothing of hosts. */
const aboutHosts: ReadonlySet<Code> = new Set([
  'no-host-fits',
  'host-not-found',
  'host-claimed',
  'state-conflict',
  'disk-missing',
  'disk-ambiguous',
  'disk-too-small',
]);
/** Several refusals as one: the wish that only has to wait speaks for all. */
const together = (refusals: readonly ReturnType<typeof refusalOf>[]): ReturnType<typeof refusalOf> | undefined => {
  const [speaker] = [...refusals.filter(({ reason }) => reason === reasons.waitingForHost), ...refusals.slice(-1)];
  if (speaker === undefined) return undefined;
  const message = [...new Set(refusals.map((one) => one.message))].join('; ');
  return { ...speaker, message, againMs: Math.min(...refusals.map(({ againMs }) => againMs)) };
};
/** One claim ID: whichever of the requests gets a host first, the others are refused by the rack from then on. */
const claim = async (hands: Hands, seen: Seen, requests: readonly NamedClaim[]): Promise<Result> => {
  const { tools } = hands;
  const refusals: ReturnType<typeof refusalOf>[] = [];
  for (const request of requests) {
    try {
      const { host } = await tools.metal.claim(request);
      tools.events.record(seen.object, { type: 'Normal', reason: reasons.claimed, action: 'Claim', note: `host ${host.name}` });
      return next;
    } catch (error) {
      if (!aboutHosts.has(codeOf(error))) refusals.length = 0;
      refusals.push(refusalOf(error));
      if (!aboutHosts.has(codeOf(error))) break;
    }
  }
  const refused = together(refusals);
  return refused === undefined ? next : shown(hands, seen, waitingReport(refused.reason, refused.message), refused.againMs);
};
const wishOnRelease = ({ tools }: Hands, { machine, spec, object, cluster }: Seen): Parameters<Tools['metal']['release']>[1] => {
  const group = machine === undefined ? undefined : groupOfMachine(object.metadata.namespace ?? '', machine.metadata.labels ?? {});
  const { reuseSeconds } = tools.settings;
  const isWanted = spec !== undefined && (spec.nodeReuse ?? 'None') !== 'None' && reuseSeconds > 0;
  // Nobody comes after a cluster that is being deleted.
  if (!isWanted || group === undefined || cluster?.metadata.deletionTimestamp !== undefined) return {};
  return { reserve: { for: group, seconds: Math.min(reuseSeconds, limits.reserveSecondsMax) } };
};
const release = async (hands: Hands, seen: Seen): Promise<Result> => {
  const { tools } = hands;
  const { claimId } = seen.view;
  try {
    await tools.metal.release(claimId, wishOnRelease(hands, seen));
  } catch (error) {
    return shown(hands, seen, rackAwayWhileDeleting(`claim ${claimId} could not be released: ${reasonOf(error)}`), limits.kubeLookAgainMs);
  }
  tools.events.record(seen.object, { type: 'Normal', reason: 'Released', action: 'Release', note: `claim ${claimId}` });
  return next;
};
const dropFinalizer = async (hands: Hands, { object, view }: Seen, abandoned: string | undefined): Promise<Result> => {
  const { tools, adapter, quiet } = hands;
  if (abandoned !== undefined)
    tools.events.record(object, {
      type: 'Warning',
      reason: reasons.abandoned,
      action: 'Release',
      note: `claim ${view.claimId}: ${abandoned}. Look whether the rack still holds it`,
    });
  await writerOf(tools).removeFinalizer(adapter.kind, object, adapter.finalizer);
  quiet.forget(object.metadata.uid ?? '');
  return {};
};
const askAddresses = async (hands: Hands, seen: Seen): Promise<Result> => {
  const { tools } = hands;
  const { object, spec } = seen;
  const { name, namespace = '' } = object.metadata;
  for (const [at, { pool }] of (spec?.addressesFromPools ?? []).entries()) {
    const claimName = addressClaimName(name, at);
    try {
      if ((await tools.api.get(kinds.ipAddressClaim, `${namespace}/${claimName}`)) === undefined)
        await tools.api.create(kinds.ipAddressClaim, addressClaim(object, claimName, pool), fieldManager);
    } catch (error) {
      if (isConflict(error)) continue;
      if (!(error instanceof KubeError) || error.httpStatus !== 404) throw error;
      const message = `IPAddressClaim ${claimName} cannot be made: the API server knows no ${kinds.ipAddressClaim.group}; install an IPAM provider`;
      return shown(hands, seen, waitingReport(reasons.invalid, message), limits.kubeBackoffMostMs);
    }
  }
  return { requeueAfterMs: limits.kubeSoonMs };
};
const shown = async ({ tools, quiet, adapter }: Hands, seen: Seen, report: Report, againMs: number | undefined): Promise<Result> =>
  sooner(againMs, (await show(tools, quiet, adapter, { seen, report })).requeueAfterMs);

type Handle<K extends Step['do']> = (hands: Hands, seen: Seen, step: Extract<Step, { readonly do: K }>) => Promise<Result>;
const handles: { readonly [K in Step['do']]: Handle<K> } = {
  nothing: (_hands, _seen, { againMs }) => Promise.resolve(sooner(againMs)),
  show: (hands, seen, { report, againMs }) => shown(hands, seen, report, againMs),
  'add-finalizer': async ({ tools, adapter }, { object }) => {
    await writerOf(tools).addFinalizer(adapter.kind, object, adapter.finalizer);
    return next;
  },
  'write-claim-id': async (hands, { object, view }) => {
    const annotations = { [capi.blockMove]: 'a host is being claimed' };
    await write(hands, object, { metadata: { annotations }, spec: { claimID: view.claimId } });
    return next;
  },
  'write-provider-id': async (hands, { object, view }) => {
    const host = view.rack.is === 'held' ? view.rack.host.name : undefined;
    const annotations = { [capi.blockMove]: null, ...(host === undefined ? {} : { [ours.host]: host }) };
    await write(hands, object, { metadata: { annotations }, spec: { providerID: view.providerIdWanted } });
    return next;
  },
  'ask-addresses': (hands, seen) => askAddresses(hands, seen),
  claim: (hands, seen, { request, others = [] }) => claim(hands, seen, [request, ...others]),
  release: (hands, seen) => release(hands, seen),
  'drop-finalizer': (hands, seen, { abandoned }) => dropFinalizer(hands, seen, abandoned),
};
const takeStep = <K extends Step['do']>(hands: Hands, seen: Seen, step: Extract<Step, { readonly do: K }>): Promise<Result> =>
  (handles[step.do] as Handle<K>)(hands, seen, step);

/** What cannot be taken back is never done by what a cache said: the object may be paused, moved or deleted by now. */
const isGrave = ({ do: what }: Step): boolean => what === 'claim' || what === 'release' || what === 'drop-finalizer';

/** The step of this look, done. */
export const act = async (hands: Hands, seen: Seen): Promise<Result> => {
  const { tools, adapter } = hands;
  const now = tools.world.clock.now();
  const step = decideMachine(seen.view, now);
  if (!isGrave(step)) return takeStep(hands, seen, step);
  const live = await lookAt(tools, adapter, keyOf(seen.object), (kind, key) => tools.api.get(kind, key));
  if (live === undefined) return {};
  return takeStep(hands, live, decideMachine(live.view, now));
};
