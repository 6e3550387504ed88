/** Facts of a machine's host for its status: addresses and failure domain. */
import { z } from 'zod';
import type { HostJson } from '../../api/types.ts';
import type { Metal } from '../metal.ts';
import type { HostFacts } from './adapter.ts';

/** The failure domain of a host, as its cluster tells it; undefined where it stands in none. */
export const failureDomainOf = ({ profile }: Pick<HostJson, 'profile'>, by: string): string | undefined => {
  if (by === 'None') return undefined;
  if (by === 'failureDomain' || by === 'rack') return profile[by] ?? undefined;
  const label = profile.labels[by];
  return label === '' ? undefined : label;
};
const placed = z.array(z.object({ addresses: z.array(z.string()).default([]) })).default([]);
const networkShape = z.object({ ethernets: placed, bonds: placed, vlans: placed });
/** The static addresses that the OS was told, without their prefixes. */
const staticAddresses = (host: HostJson): readonly string[] => {
  const parsed = networkShape.safeParse(host.claim?.network ?? {});
  if (!parsed.success) return [];
  const { ethernets, bonds, vlans } = parsed.data;
  return [...ethernets, ...bonds, ...vlans].flatMap(({ addresses }) => addresses.map((address) => address.split('/')[0] ?? address));
};
/** `addresses` is empty until the image runs: what a host had before is not its OS's. */
export const factsOf = async (metal: Pick<Metal, 'leases'>, host: HostJson, by: string): Promise<HostFacts> => {
  const failureDomain = failureDomainOf(host, by);
  if (host.state !== 'provisioned' || host.claim === null) return { host, addresses: [], failureDomain };
  const told = staticAddresses(host);
  const internal = told.length > 0 ? told : await metal.leases(host);
  return {
    host,
    addresses: [
      { type: 'Hostname', address: host.claim.hostName },
      ...[...new Set(internal)].map((address) => ({ type: 'InternalIP', address }) as const),
    ],
    failureDomain,
  };
};
