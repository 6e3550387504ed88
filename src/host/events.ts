/** What can happen to a host, and how a rule answers: a change with its lines for the timeline, or a refusal with a plain reason. */
import type { Mac, Uuid } from '../wire/address.ts';
import type { DiskIdentity, DiskRule } from './disk.ts';
import type { Boot, ClaimAsked, Host, HostBmc, Intent, Job, JournalEntry, Power } from './host.ts';
import type { Means } from './identity.ts';
import type { Inventory } from './inventory.ts';
import type { ProfilePatch } from './profile.ts';
import type { Code } from '../errors.ts';

/** What a trusted source says of this host and what is another host's already; the caller knows all hosts. */
export interface TakenMark {
  readonly what: Means;
  readonly value: string;
  /** Name of the other host. */
  readonly host: string;
}

export type HostEvent =
  // people and owners
  | { readonly type: 'accept'; readonly by: string; readonly bmc?: HostBmc }
  | { readonly type: 'hold'; readonly by: string; readonly why: string }
  | { readonly type: 'unhold'; readonly by: string }
  | { readonly type: 'retry'; readonly by: string }
  | {
      readonly type: 'claim';
      readonly id: string;
      readonly owner: string;
      readonly intent: Intent;
      readonly rule: DiskRule;
      readonly disk: DiskIdentity;
      readonly asked?: ClaimAsked;
      readonly provisionTimeoutSeconds?: number;
    }
  | { readonly type: 'reprovision'; readonly claimId: string; readonly intent: Intent }
  | {
      readonly type: 'release';
      readonly claimId: string;
      readonly by: string;
      readonly reserve?: { readonly for: string; readonly seconds: number };
    }
  | { readonly type: 'unreserve'; readonly by: string }
  | {
      readonly type: 'described';
      readonly by: string;
      readonly patch: ProfilePatch;
      readonly serial?: string | null;
      readonly uuid?: Uuid | null;
    }
  | { readonly type: 'bmc-set'; readonly by: string; readonly bmc: HostBmc | null }
  | { readonly type: 'mac-adopted'; readonly by: string; readonly mac: Mac }
  | { readonly type: 'mac-removed'; readonly by: string; readonly mac: Mac }
  | { readonly type: 'mac-refused'; readonly by: string; readonly mac: Mac }
  // the wire
  | { readonly type: 'mac-proposed'; readonly mac: Mac; readonly uuid: Uuid }
  // the BMC
  | {
      readonly type: 'identified';
      readonly vendor?: string;
      readonly model?: string;
      readonly serial?: string;
      readonly uuid?: Uuid;
      readonly macs: readonly Mac[];
      readonly taken?: readonly TakenMark[];
    }
  | { readonly type: 'mac-asked'; readonly code: Code; readonly reason: string }
  /** `release`: the release that was known when the reading began; only under it can `off` mean that the owner's OS is off. */
  | { readonly type: 'power-seen'; readonly power: Power; readonly release?: string }
  | {
      readonly type: 'power-commanded';
      readonly by: string;
      readonly wanted: 'on' | 'off' | 'soft' | 'cycle' | 'reset';
      readonly note: string;
    }
  | { readonly type: 'located'; readonly by: string; readonly note: string }
  // steps of the control loop
  | { readonly type: 'boot-opened' }
  | { readonly type: 'boot-armed'; readonly note: string }
  | { readonly type: 'boot-powered' }
  | { readonly type: 'boot-failed'; readonly code: Code; readonly reason: string; readonly triesMax: number }
  | { readonly type: 'step-missed'; readonly step: string; readonly code: Code; readonly reason: string; readonly notBefore: number }
  | { readonly type: 'step-done'; readonly step: string }
  | { readonly type: 'step-failed'; readonly step: string; readonly code: Code; readonly reason: string }
  | { readonly type: 'timed-out'; readonly step: string; readonly reason: string }
  // the agent
  | { readonly type: 'redeemed'; readonly boot: number; readonly publicKey: string }
  | { readonly type: 'inventory'; readonly boot: number; readonly inventory: Inventory; readonly taken?: readonly TakenMark[] }
  | { readonly type: 'job-given'; readonly job: Job }
  | { readonly type: 'job-started'; readonly jobId: string }
  | {
      readonly type: 'job-failed';
      readonly jobId: string;
      readonly code: string;
      readonly reason: string;
      readonly final: boolean;
      readonly triesMax: number;
    }
  | { readonly type: 'installed'; readonly jobId: string; readonly digest: string; readonly seconds?: number }
  | { readonly type: 'cleaned'; readonly jobId: string }
  // the installed OS
  | { readonly type: 'phoned-home'; readonly claimId: string; readonly generation: number; readonly hostName: string }
  /** `tail`: the last lines of its log, without secrets. */
  | { readonly type: 'bootstrap-failed'; readonly claimId: string; readonly generation: number; readonly tail: string };

export type Changed = { readonly host: Host; readonly entries: readonly JournalEntry[] };
export type Refused = { readonly refused: Code; readonly reason: string };
export type Verdict = Changed | Refused;

export type Of<T extends HostEvent['type']> = Extract<HostEvent, { type: T }>;
export type Handler<T extends HostEvent['type']> = (host: Host, event: Of<T>, now: number) => Verdict;

export const refuse = (refused: Code, reason: string): Refused => ({ refused, reason });
export const inState = (host: Host, wanted: string): Refused =>
  refuse('state-conflict', `host ${host.name} is ${host.state}; this needs ${wanted}`);
/** The change with one line for the timeline; nothing changed needs no line. */
export const change = (
  host: Host,
  part: Partial<Host>,
  now: number,
  said: { readonly text: string; readonly data?: JournalEntry['data'] },
): Changed => {
  const next = { ...host, ...part };
  const entry: JournalEntry = { hostId: host.id, at: now, kind: 'state', boot: next.boot?.number ?? 0, text: said.text };
  return { host: next, entries: [said.data === undefined ? entry : { ...entry, data: said.data }] };
};
export const same = (host: Host): Changed => ({ host, entries: [] });
export const fresh = { failed: null, attempt: null, bootTries: 0 } as const;
export const withFacts = (host: Host, facts: Partial<Host['facts']>): Pick<Host, 'facts'> => ({ facts: { ...host.facts, ...facts } });
export const closed = (boot: Boot | null, now: number): Boot | null =>
  boot === null || boot.closedAt !== undefined ? boot : { ...boot, closedAt: now };

/** The rules of some events; transition.ts demands that together they cover all. */
export type Rules<T extends HostEvent['type']> = { readonly [K in T]: Handler<K> };
