/** One machine as everything that concerns it stands now, whatever its kind: all that the decision is made of. */
import type { ClaimRequest } from '../../control/rack.ts';
import type { Standing } from '../metal.ts';
import type { Past } from './adapter.ts';
import type { ConditionWish } from '../runtime/conditions.ts';

/** What the rack said of the claim; `unreachable` where it did not answer. */
export type RackWord = Standing | { readonly is: 'unreachable'; readonly message: string };
export type NamedClaim = ClaimRequest & { readonly id: string };
/** What would be asked of the rack, or why nothing can be asked yet. */
export type Plan =
  /** `others`: asked for, one after the other, where the request gets no host. */
  | { readonly is: 'ready'; readonly request: NamedClaim; readonly others?: readonly NamedClaim[] }
  /** Time or somebody else must do something first. */
  | { readonly is: 'waiting'; readonly reason: string; readonly message: string }
  /** As it stands it can never be done: somebody must change it. */
  | { readonly is: 'refused'; readonly reason: string; readonly message: string }
  /** Addresses of pools were not asked for yet. */
  | { readonly is: 'addresses-unasked' };

export interface MachineView {
  /** `<namespace>/<Machine name>`: as whom we claim. */
  readonly owner: string;
  /** As it stands in the spec, else as it would be written there. */
  readonly claimId: string;
  readonly isClaimIdWritten: boolean;
  /** In the spec. */
  readonly providerId: string | undefined;
  /** What it must be. */
  readonly providerIdWanted: string;
  readonly hasFinalizer: boolean;
  /** `clusterctl move` waits for us. */
  readonly isMoveBlocked: boolean;
  /** It was provisioned once: Cluster API never forgets that. */
  readonly wasProvisioned: boolean;
  readonly deletion: { readonly isForMove: boolean; readonly abandons: string | undefined } | undefined;
  /** The Machine that owns it exists. */
  readonly hasMachine: boolean;
  readonly cluster: { readonly isReady: boolean } | undefined;
  /** By whom; undefined where it is not paused. */
  readonly paused: string | undefined;
  /** Cluster API updates it in place now: what its spec says is the business of the extension. */
  readonly isUpdating: boolean;
  /** Where it had its provider ID from before the rack. */
  readonly past?: Past | undefined;
  readonly rack: RackWord;
  readonly plan: Plan;
}

/** What its status shall say from now on; conditions that are not named stay. */
export interface Report {
  readonly conditions: readonly ConditionWish[];
  /** The host whose facts stand beside them. */
  readonly host?: Extract<Standing, { readonly host: unknown }>['host'];
  /** The image runs, and the provider ID is told. */
  readonly isProvisioned?: boolean;
}
export type Step =
  /** Not ours, or not now; a change wakes us. */
  | { readonly do: 'nothing'; readonly why: string; readonly againMs?: number }
  | { readonly do: 'show'; readonly report: Report; readonly againMs?: number }
  | { readonly do: 'add-finalizer' }
  /** And block a move until the provider ID is known. */
  | { readonly do: 'write-claim-id' }
  | { readonly do: 'ask-addresses' }
  | { readonly do: 'claim'; readonly request: NamedClaim; readonly others?: readonly NamedClaim[] }
  /** And let a move go on. */
  | { readonly do: 'write-provider-id' }
  | { readonly do: 'release' }
  /** `abandoned`: why its host was not seen off, for the event. */
  | { readonly do: 'drop-finalizer'; readonly abandoned?: string };
