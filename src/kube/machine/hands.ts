/** Does the one step that was decided. What touches metal is decided once more by what the API server says at that moment. */
import { RemudaError, reasonOf } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { isConflict, KubeError } from '../api.ts';
import type { Result, Tools } from '../controller.ts';
import { capi, fieldManager, ours, reasons } from '../names.ts';
import { keyOf, kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
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

const write = async ({ tools, adapter }: Hands, { metadata }: KubeObject, patch: unknown): Promise<void> => {
  const { resourceVersion, uid } = metadata;
  const exactly = { ...(resourceVersion === undefined ? {} : { resourceVersion }), ...(uid === undefined ? {} : { uid }) };
  const written = await tools.api.patch(adapter.kind, keyOf({ metadata }), patch, { fieldManager, ...exactly });
  tools.cache.note(adapter.kind, written);
};

/** Why the rack refused a claim, in our reasons; and when to ask again. */
export const refusalOf = (error: unknown): { readonly reason: string; readonly message: string; readonly againMs: number } => {
  const message = reasonOf(error);
  const code = error instanceof RemudaError ? error.code : 'internal';
  const said = (reason: string, againMs: number = limits.kubeBackoffMostMs) => ({ reason, message, againMs });
  switch (code) {
    case 'no-host-fits':
      return said(isReserved(error) ? reasons.waitingForReserved : reasons.waitingForHost);
    case 'image-not-found':
      return said(reasons.imageNotFound);
    case 'host-claimed':
    case 'state-conflict':
    case 'version-conflict':
    case 'precondition-failed':
    case 'claim-exists':
    case 'rate-limited':
      return said(reasons.waitingForHost, limits.kubeLookAgainMs);
    case 'bad-request':
    case 'too-large':
    case 'host-not-found':
    case 'disk-missing':
    case 'disk-ambiguous':
    case 'disk-too-small':
    case 'image-invalid':
    case 'image-unsigned':
    case 'signature-invalid':
      return said(reasons.invalid);
    default:
      return { reason: reasons.rackUnreachable, message: `the rack did not take the claim: ${message}`, againMs: limits.kubeLookAgainMs };
  }
};
const isReserved = (error: unknown): boolean => {
  const classes = error instanceof RemudaError ? error.values['classes'] : undefined;
  return Array.isArray(classes) && classes.some((one) => (one as { readonly class?: unknown }).class === 'reserved');
};

const claim = async (hands: Hands, seen: Seen, request: NamedClaim): Promise<Result> => {
  const { tools } = hands;
  try {
    const { host } = await tools.metal.claim(request);
    tools.events.record(seen.object, { type: 'Normal', reason: reasons.claimed, action: 'Claim', note: `host ${host.name}` });
    return next;
  } catch (error) {
    const { reason, message, againMs } = refusalOf(error);
    return shown(hands, seen, waitingReport(reason, message), againMs);
  }
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
  const left = (object.metadata.finalizers ?? []).filter((one) => one !== adapter.finalizer);
  if (abandoned !== undefined)
    tools.events.record(object, {
      type: 'Warning',
      reason: reasons.abandoned,
      action: 'Release',
      note: `claim ${view.claimId}: ${abandoned}. Look whether the rack still holds it`,
    });
  await write(hands, object, { metadata: { finalizers: left.length === 0 ? null : left } });
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
  return { requeueAfterMs: 1_000 };
};
const shown = async ({ tools, quiet, adapter }: Hands, seen: Seen, report: Report, againMs: number | undefined): Promise<Result> =>
  sooner(againMs, (await show(tools, quiet, adapter, { seen, report })).requeueAfterMs);

const takeStep = async (hands: Hands, seen: Seen, step: Step): Promise<Result> => {
  const { object, view } = seen;
  const { adapter } = hands;
  switch (step.do) {
    case 'nothing':
      return sooner(step.againMs);
    case 'show':
      return shown(hands, seen, step.report, step.againMs);
    case 'add-finalizer':
      await write(hands, object, { metadata: { finalizers: [...(object.metadata.finalizers ?? []), adapter.finalizer] } });
      return next;
    case 'write-claim-id':
      await write(hands, object, {
        metadata: { annotations: { [capi.blockMove]: 'a host is being claimed' } },
        spec: { claimID: view.claimId },
      });
      return next;
    case 'write-provider-id': {
      const host = view.rack.is === 'held' ? view.rack.host.name : undefined;
      const annotations = { [capi.blockMove]: null, ...(host === undefined ? {} : { [ours.host]: host }) };
      await write(hands, object, { metadata: { annotations }, spec: { providerID: view.providerIdWanted } });
      return next;
    }
    case 'ask-addresses':
      return askAddresses(hands, seen);
    case 'claim':
      return claim(hands, seen, step.request);
    case 'release':
      return release(hands, seen);
    case 'drop-finalizer':
      return dropFinalizer(hands, seen, step.abandoned);
  }
};
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
