/** What is heard of a host's identity, held against all other hosts before it is recorded. */
import { RemudaError } from '../errors.ts';
import { conflictsWith } from '../host/identity.ts';
import type { Evidence } from '../host/identity.ts';
import type { HostEvent, TakenMark } from '../host/events.ts';
import type { Host } from '../host/host.ts';
import type { Mac } from '../wire/address.ts';
import type { Keeper } from './keeper.ts';

/** Two sources that name one MAC at the same moment: the later one looks again. */
const triesMax = 3;

/** A machine that was only seen gives way to the host that it turns out to be: nobody has accepted it, and nothing was ever done to it. */
export const absorb = async (keeper: Keeper, hostId: string | undefined, macs: readonly Mac[]): Promise<void> => {
  for (const mac of macs) {
    const seen = keeper.byMac(mac);
    if (seen?.state === 'discovered' && seen.id !== hostId) await keeper.forget(seen);
  }
};

/** What of the evidence is another host's already. Hosts that were only seen do not count. */
export const takenBy = (keeper: Keeper, hostId: string | undefined, evidence: Evidence): readonly TakenMark[] =>
  conflictsWith(
    evidence,
    hostId,
    keeper.all().filter(({ state }) => state !== 'discovered'),
  ).map(({ what, value, host }) => ({ what, value, host: host.name }));

/** Records what a trusted source says of the host: its new MACs become the host's, unless they are another's. */
export const recordEvidence = async (
  keeper: Keeper,
  hostId: string,
  evidence: Evidence,
  eventOf: (taken: readonly TakenMark[]) => HostEvent,
): Promise<Host> => {
  for (let tries = 1; ; tries++) {
    await absorb(keeper, hostId, evidence.macs);
    try {
      return await keeper.apply(hostId, eventOf(takenBy(keeper, hostId, evidence)));
    } catch (error) {
      if (!(error instanceof RemudaError) || error.code !== 'host-exists' || tries >= triesMax) throw error;
    }
  }
};
