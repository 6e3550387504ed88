/** Metal over the rack of this process: what leaves it is what the API would show, so no secret comes out here either. */
import { toHostJson, toImageJson, toStandingJson, toTimelineRow } from '../api/admin-json.ts';
import type { Host } from '../host/host.ts';
import { RemudaError } from '../errors.ts';
import type { HostJson } from '../api/types.ts';
import type { Rack } from '../control/rack.ts';
import type { Lease } from '../wire/words.ts';
import type { Clock } from '../world/world.ts';
import { addressesOf } from './metal.ts';
import type { Metal, Standing } from './metal.ts';

export interface LocalMetalParts {
  readonly rack: Rack;
  /** All images of the catalogue. */
  readonly images: () => Promise<readonly Parameters<typeof toImageJson>[0][]>;
  /** All that DHCP has given. */
  readonly leases: () => readonly Lease[];
  readonly clock: Pick<Clock, 'now'>;
  /** Who asks, for timeline and audit. */
  readonly by: string;
}

/** A claim that is over stays so, even where its host was forgotten since. */
export const unlessOver = async (error: unknown, standing: () => Promise<Standing>): Promise<void> => {
  if (!(error instanceof RemudaError) || error.code !== 'claim-not-found' || (await standing()).is !== 'over') throw error;
};

export const localMetal = ({ rack, images, leases, clock, by }: LocalMetalParts): Metal => {
  const as = { by };
  const shown = async ({ id }: Pick<Host, 'id'>): Promise<HostJson> => toHostJson(await rack.host(id));
  const standing = async (claimId: string): Promise<Standing> => toStandingJson(await rack.standing(claimId));
  return {
    hosts: async () => (await rack.hosts()).map(toHostJson),
    host: async (idOrName) => toHostJson(await rack.host(idOrName)),
    images: async () => (await images()).map(toImageJson),
    standing,
    leases: async (host) => addressesOf(leases(), host, clock.now()),
    claim: async (request) => {
      const { host, isNew } = await rack.claim({ ...request, waitSeconds: 0, dryRun: false }, as);
      return { host: await shown(host), isNew };
    },
    reprovision: async (claimId, wanted, ifVersion) =>
      shown(await rack.reprovision(claimId, wanted, ifVersion === undefined ? as : { ...as, ifVersion })),
    release: async (claimId, wish) => {
      await rack.release(claimId, as, wish).catch((error: unknown) => unlessOver(error, () => standing(claimId)));
    },
    power: async (idOrName, wanted) => {
      const { observed, settled } = await rack.power(idOrName, wanted, as);
      return { observed, settled };
    },
    retry: async (idOrName) => {
      await rack.retry(idOrName, as);
    },
    timeline: async (idOrName, most) => (await rack.timeline(idOrName, { most })).map(toTimelineRow),
    changed: (ms, signal) => rack.changed(ms, signal),
  };
};
