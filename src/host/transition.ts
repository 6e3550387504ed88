/** What may follow what: every event on every state. Nothing else changes a host. */
import type { HostEvent, Rules, Verdict } from './events.ts';
import type { Host } from './host.ts';
import { agentRules } from './rules-agent.ts';
import { bootRules } from './rules-boot.ts';
import { identityRules } from './rules-identity.ts';
import { ownerRules } from './rules-owner.ts';

/** A missing event is a type error. */
const rules: Rules<HostEvent['type']> = { ...ownerRules, ...identityRules, ...bootRules, ...agentRules };

/** Applies one event. Total: every event on every state is either a change (with its lines for the timeline) or a refusal with a plain reason. */
export const transition = (host: Host, event: HostEvent, now: number): Verdict =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table is keyed by the event's own type, which TypeScript cannot follow through the index
  (rules[event.type] as (host: Host, event: HostEvent, now: number) => Verdict)(host, event, now);
