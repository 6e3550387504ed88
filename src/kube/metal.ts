/**
 * What the provider needs of the rack, without its secrets: BMC passwords and user data go in, never out. Once over the Rack of this
 * process (local-metal.ts), once over the API of a daemon elsewhere (remote-metal.ts), under one suite.
 */
import type { HostJson, ImageJson, StandingJson, TimelineRowJson } from '../api/types.ts';
import type { ClaimRequest, PowerVerb, ReleaseWish, Reprovision } from '../control/rack.ts';

/** What became of a claim, in the words of the API. */
export type Standing = StandingJson;

export interface Metal {
  hosts(): Promise<readonly HostJson[]>;
  /** By ID or name; `host-not-found`. */
  host(idOrName: string): Promise<HostJson>;
  images(): Promise<readonly ImageJson[]>;
  standing(claimId: string): Promise<Standing>;
  /** As Rack.claim: idempotent by `id`. Never waits. */
  claim(request: ClaimRequest & { readonly id: string }): Promise<{ readonly host: HostJson; readonly isNew: boolean }>;
  /** With `ifVersion` only where the host still has that version (`precondition-failed`): two that saw the same host start one generation. */
  reprovision(claimId: string, wanted: Reprovision, ifVersion?: number): Promise<HostJson>;
  /** As Rack.release; a claim that was released before is no error. */
  release(claimId: string, wish: ReleaseWish): Promise<void>;
  /** `observed` is the power as the BMC shows it afterwards. */
  power(idOrName: string, wanted: PowerVerb): Promise<{ readonly observed: string; readonly settled: boolean }>;
  retry(idOrName: string): Promise<void>;
  /** The IPv4 addresses that the host's MACs hold by DHCP now. */
  leases(host: HostJson): Promise<readonly string[]>;
  /** The newest lines of the host's timeline, oldest first. */
  timeline(idOrName: string, most: number): Promise<readonly TimelineRowJson[]>;
  /** Resolves when something of the rack changed since the call, or after `ms`. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
}

/** Of all leases, the addresses that one host holds at `now` (ms since 1970). */
export const addressesOf = (
  leases: readonly { readonly mac: string; readonly address: string; readonly endsAt: number }[],
  { macs }: Pick<HostJson, 'macs'>,
  now: number,
): readonly string[] => leases.filter(({ mac, endsAt }) => macs.includes(mac) && endsAt > now).map(({ address }) => address);
