/** Static addresses of Cluster API's IPAM contract: one IPAddressClaim a wish, its IPAddress, and the network that the OS is told. */
import { z } from 'zod';
import type { HostNetwork } from '../../host/network.ts';
import { parseMac } from '../../wire/address.ts';
import { capi } from '../names.ts';
import { apiVersionOf, kinds } from '../objects.ts';
import type { Key, Kind, KubeObject, OwnerReference } from '../objects.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';

export type Get = (kind: Kind, key: Key) => Promise<KubeObject | undefined>;
export interface PoolReference {
  readonly apiGroup: string;
  readonly kind: string;
  readonly name: string;
}
export interface Granted {
  readonly address: string;
  readonly prefix: number;
  readonly gateway?: string | undefined;
}
/** What became of one wish. */
export type Grant =
  | { readonly is: 'unasked' }
  | { readonly is: 'waiting'; readonly message: string }
  | { readonly is: 'granted'; readonly granted: Granted };

const claimStatus = z.object({ addressRef: z.object({ name: z.string().min(1) }).optional() });
const addressSpec = z.object({
  address: z.string().min(1),
  prefix: z.number().int().min(0).max(128),
  gateway: z.string().min(1).optional(),
});

/** The names of an object's claims: stable, so that asking twice is asking once. */
export const addressClaimName = (owner: string, at: string | number): string => `${owner.slice(0, 240)}-${at}`;
/** How far the claim of this name is. */
export const grantOf = async (get: Get, namespace: string, name: string): Promise<Grant> => {
  const claim = await get(kinds.ipAddressClaim, `${namespace}/${name}`);
  if (claim === undefined) return { is: 'unasked' };
  const wait = (message: string): Grant => ({ is: 'waiting', message: `IPAddressClaim ${name}: ${message}` });
  const ref = claimStatus.safeParse(claim.status ?? {}).data?.addressRef?.name;
  if (ref === undefined)
    return wait('no address was given yet; is the IPAM provider of its pool running, and has the pool addresses left?');
  const address = await get(kinds.ipAddress, `${namespace}/${ref}`);
  if (address === undefined) return wait(`IPAddress ${ref} is not there yet`);
  const said = addressSpec.safeParse(address.spec);
  return said.success ? { is: 'granted', granted: said.data } : wait(`IPAddress ${ref} says no address with a prefix`);
};
/** The object that asks for an address of this pool; it goes when its owner goes. */
export const addressClaim = (owner: KubeObject, name: string, pool: PoolReference): KubeObject => {
  const cluster = owner.metadata.labels?.[capi.clusterName];
  const reference: OwnerReference = {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
  };
  return {
    apiVersion: apiVersionOf(kinds.ipAddressClaim),
    kind: kinds.ipAddressClaim.kind,
    metadata: {
      name,
      namespace: owner.metadata.namespace ?? '',
      ...(cluster === undefined ? {} : { labels: { [capi.clusterName]: cluster } }),
      ownerReferences: [reference],
    },
    spec: { ...(cluster === undefined ? {} : { clusterName: cluster }), poolRef: pool },
  };
};

type Wanted = NonNullable<MachineSpec['addressesFromPools']>[number];
/** One ethernet an interface; an interface may have addresses of several pools (IPv4 and IPv6). */
export const networkOf = (wishes: readonly { readonly wanted: Wanted; readonly granted: Granted }[]): HostNetwork => {
  const names = [...new Set(wishes.map(({ wanted }) => wanted.interface))];
  return {
    ethernets: names.map((name) => {
      const mine = wishes.filter(({ wanted }) => wanted.interface === name);
      const mac = mine.map(({ wanted }) => (wanted.mac === undefined ? undefined : parseMac(wanted.mac))).find((one) => one !== undefined);
      const gateway4 = mine.map(({ granted }) => granted.gateway).find((one) => one?.includes('.') === true);
      const nameservers = [...new Set(mine.flatMap(({ wanted }) => wanted.nameservers ?? []))];
      return {
        name,
        ...(mac === undefined ? {} : { mac }),
        addresses: mine.map(({ granted }) => `${granted.address}/${granted.prefix}`),
        ...(gateway4 === undefined ? {} : { gateway4 }),
        ...(nameservers.length === 0 ? {} : { nameservers }),
      };
    }),
  };
};
