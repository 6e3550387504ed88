/** The life of a machine as a table: the first rule that speaks decides the one next step. Pure, and the same for every kind of machine. */
import type { HostJson } from '../../api/types.ts';
import { limits } from '../../limits.ts';
import { ours, reasons } from '../names.ts';
import {
  goneReport,
  hostReport,
  invalidReport,
  offNotVerifiedReport,
  pausedReport,
  poweringOffReport,
  rackAwayWhileDeleting,
  waitingReport,
} from './report.ts';
import type { MachineView, Plan, Step } from './view.ts';

export interface Rule {
  /** One clause; the tests name it. */
  readonly when: string;
  /** undefined: the next rule is asked. */
  readonly step: (view: MachineView, nowMs: number) => Step | undefined;
}
const nothing = (why: string): Step => ({ do: 'nothing', why });
/** Nothing tells us when these change; everything else wakes us. */
const soonMs = limits.kubeLookAgainMs;

const heldHost = ({ rack }: MachineView): HostJson | undefined => (rack.is === 'held' ? rack.host : undefined);
/** The claim of this ID was made as another owner: a claim ID was copied. Its host is none of ours. */
const foreign = (view: MachineView): HostJson | undefined => {
  const host = heldHost(view);
  return host?.claim !== null && host?.claim !== undefined && host.claim.owner !== view.owner ? host : undefined;
};

/** Where nothing may be done, or only one thing said. */
const guards: readonly Rule[] = [
  {
    // clusterctl strips all other annotations before it deletes: this one alone tells that the host lives on elsewhere.
    when: 'deleted because it was moved',
    step: ({ deletion }) =>
      deletion?.isForMove === true ? nothing('moved to another cluster: its host is none of ours any more') : undefined,
  },
  { when: 'no Machine', step: ({ hasMachine }) => (hasMachine ? undefined : nothing('no Machine owns it yet')) },
  { when: 'no Cluster', step: ({ cluster }) => (cluster === undefined ? nothing('its Cluster is not there') : undefined) },
  { when: 'paused', step: ({ paused }) => (paused === undefined ? undefined : { do: 'show', report: pausedReport(paused) }) },
];

const poweringOff = (host: HostJson, view: MachineView, nowMs: number): Step => {
  const since = host.release?.at ?? nowMs;
  const leftMs = since + limits.kubeOffVerifiedMs - nowMs;
  const isStuck = leftMs <= 0 || host.failed !== null || host.held !== null;
  const report = isStuck ? offNotVerifiedReport(host, view.claimId, ours.abandon) : poweringOffReport(host);
  return { do: 'show', report, againMs: isStuck ? soonMs : Math.min(soonMs, leftMs) };
};
const deleted: readonly Rule[] = [
  { when: 'deleted, not held by us', step: ({ hasFinalizer }) => (hasFinalizer ? undefined : nothing('others hold it yet')) },
  {
    when: 'deleted, its claim is not ours',
    step: (view) => (foreign(view) === undefined ? undefined : { do: 'drop-finalizer' }),
  },
  { when: 'deleted, host held', step: (view) => (heldHost(view) === undefined ? undefined : { do: 'release' }) },
  {
    when: 'deleted, no host',
    step: ({ rack }) => (rack.is === 'unknown' || rack.is === 'over' ? { do: 'drop-finalizer' } : undefined),
  },
  {
    when: 'deleted, host seen off',
    step: ({ rack }) => (rack.is === 'leaving' && rack.offAt !== null ? { do: 'drop-finalizer' } : undefined),
  },
  {
    when: 'deleted, abandoned by hand',
    step: ({ deletion, claimId, rack }) => {
      if (deletion?.abandons !== claimId) return undefined;
      const what = rack.is === 'leaving' ? `host ${rack.host.name} was never seen off` : 'the rack could not be asked';
      return { do: 'drop-finalizer', abandoned: `${what}; let go by hand` };
    },
  },
  {
    when: 'deleted, rack away',
    step: ({ rack }) =>
      rack.is === 'unreachable' ? { do: 'show', report: rackAwayWhileDeleting(rack.message), againMs: soonMs } : undefined,
  },
  {
    when: 'deleted, host not off yet',
    step: (view, nowMs) => (view.rack.is === 'leaving' ? poweringOff(view.rack.host, view, nowMs) : undefined),
  },
];

const holding: readonly Rule[] = [
  { when: 'no finalizer', step: ({ hasFinalizer }) => (hasFinalizer ? undefined : { do: 'add-finalizer' }) },
  {
    when: 'rack away',
    step: ({ rack, wasProvisioned }) => {
      if (rack.is !== 'unreachable') return undefined;
      // What runs, runs: a daemon that is restarted is no reason to call a whole cluster not ready.
      if (wasProvisioned) return { do: 'nothing', why: rack.message, againMs: soonMs };
      return { do: 'show', report: waitingReport(reasons.rackUnreachable, rack.message), againMs: soonMs };
    },
  },
  {
    when: 'its claim is not ours',
    step: (view) => {
      const host = foreign(view);
      if (host === undefined) return undefined;
      const message = `claim ${view.claimId} holds host ${host.name} for ${host.claim?.owner ?? 'nobody'}: spec.claimID was copied; take it out`;
      return { do: 'show', report: invalidReport(message) };
    },
  },
  {
    when: 'its claim is over',
    step: ({ rack, claimId }) => {
      if (rack.is !== 'leaving' && rack.is !== 'over') return undefined;
      const message = `claim ${claimId} was released at the rack: the host is another's by now, or will be. Delete the Machine to get another one`;
      return { do: 'show', report: goneReport(message) };
    },
  },
  {
    when: "its server was another provider's",
    step: ({ rack, past }) =>
      rack.is === 'unknown' && past?.is === 'elsewhere' ? { do: 'show', report: goneReport(past.message) } : undefined,
  },
  {
    when: 'its claim is lost',
    step: ({ rack, claimId, providerId, wasProvisioned, past }) => {
      if (past?.is === 'adopting' || rack.is !== 'unknown' || (providerId === undefined && !wasProvisioned)) return undefined;
      const message = `the rack knows no claim ${claimId}, but this machine had a host by it. Is it the right daemon? Else delete the Machine`;
      return { do: 'show', report: goneReport(message), againMs: soonMs };
    },
  },
  {
    when: 'host held, claim ID not written',
    step: (view) => (heldHost(view) !== undefined && !view.isClaimIdWritten ? { do: 'write-claim-id' } : undefined),
  },
  {
    when: 'another provider ID',
    step: ({ providerId, providerIdWanted }) =>
      providerId === undefined || providerId === providerIdWanted
        ? undefined
        : { do: 'show', report: invalidReport(`spec.providerID is ${providerId}; it is ours to write, and would be ${providerIdWanted}`) },
  },
  {
    when: 'host runs, not told',
    step: (view) =>
      heldHost(view)?.state === 'provisioned' && (view.providerId === undefined || view.isMoveBlocked)
        ? { do: 'write-provider-id' }
        : undefined,
  },
  {
    when: 'host held',
    step: (view) => {
      const host = heldHost(view);
      if (host === undefined) return undefined;
      const { isUpdating, providerId } = view;
      return { do: 'show', report: hostReport(host, { isWhole: providerId !== undefined, isUpdating }) };
    },
  },
];

const claimStep = ({ request, others }: Extract<Plan, { is: 'ready' }>): Step => ({
  do: 'claim',
  request,
  ...(others === undefined ? {} : { others }),
});
const claiming: readonly Rule[] = [
  {
    when: 'infrastructure of the cluster not ready',
    step: ({ cluster }) =>
      cluster?.isReady === true
        ? undefined
        : { do: 'show', report: waitingReport(reasons.waitingForCluster, 'the infrastructure of the Cluster is not provisioned yet') },
  },
  {
    when: 'cannot be claimed yet',
    step: ({ plan }) =>
      plan.is === 'waiting' ? { do: 'show', report: waitingReport(plan.reason, plan.message), againMs: soonMs } : undefined,
  },
  {
    when: 'can never be claimed',
    step: ({ plan }) =>
      plan.is === 'refused'
        ? { do: 'show', report: waitingReport(plan.reason, plan.message), againMs: limits.kubeBackoffMostMs }
        : undefined,
  },
  {
    when: 'claim ID not written',
    step: ({ isClaimIdWritten, isMoveBlocked }) => (isClaimIdWritten && isMoveBlocked ? undefined : { do: 'write-claim-id' }),
  },
  { when: 'addresses not asked for', step: ({ plan }) => (plan.is === 'addresses-unasked' ? { do: 'ask-addresses' } : undefined) },
  { when: 'may be claimed', step: ({ plan }) => (plan.is === 'ready' ? claimStep(plan) : undefined) },
];

/** In the order in which they are asked. */
export const machineRules: { readonly living: readonly Rule[]; readonly deleted: readonly Rule[] } = {
  living: [...guards, ...holding, ...claiming],
  deleted: [...guards, ...deleted],
};

/** The rule that decides, for tests and the log, and its step. Total: some rule speaks for every view. */
export const decideBy = (view: MachineView, nowMs: number): { readonly when: string; readonly step: Step } => {
  for (const { when, step: decide } of view.deletion === undefined ? machineRules.living : machineRules.deleted) {
    const step = decide(view, nowMs);
    if (step !== undefined) return { when, step };
  }
  return { when: 'nothing to do', step: nothing('nothing to do') };
};
/** The one next step of a machine. */
export const decideMachine = (view: MachineView, nowMs: number): Step => decideBy(view, nowMs).step;
