/** The one next step of a BareMetalCluster, in the order of the Cluster API contract. Pure. */
import { conditionTypes as types, reasons } from '../names.ts';
import type { ConditionWish } from '../runtime/conditions.ts';
import { limits } from '../../limits.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}
/** How far the endpoint's address from a pool is; undefined where the spec asks for none. */
export type PoolWord =
  | { readonly is: 'unasked' }
  | { readonly is: 'waiting' | 'refused'; readonly message: string }
  | { readonly is: 'granted'; readonly endpoint: Endpoint };
export interface ClusterView {
  /** Somebody else's controller writes this object. */
  readonly isManagedElsewhere: boolean;
  readonly hasCluster: boolean;
  readonly paused: string | undefined;
  readonly hasFinalizer: boolean;
  readonly deletion: { readonly isForMove: boolean; readonly machinesLeft: number } | undefined;
  /** In the spec. */
  readonly endpoint: Endpoint | undefined;
  /** In the Cluster's own spec. */
  readonly clusterEndpoint: Endpoint | undefined;
  readonly pool: PoolWord | undefined;
  /** What must be there before the failure domains can be told; in words. */
  readonly awaited?: string | undefined;
  /** Of a kind with an endpoint of its own manner: what is wrong where there is none. */
  readonly withoutEndpoint?: { readonly reason: string; readonly message: string } | undefined;
}
export type ClusterStep =
  | { readonly do: 'nothing'; readonly why: string }
  /** `isProvisioned`: and the failure domains are published. */
  | { readonly do: 'show'; readonly conditions: readonly ConditionWish[]; readonly isProvisioned?: true; readonly againMs?: number }
  | { readonly do: 'add-finalizer' }
  | { readonly do: 'ask-address' }
  | { readonly do: 'write-endpoint'; readonly endpoint: Endpoint }
  | { readonly do: 'drop-finalizer' };

const nothing = (why: string): ClusterStep => ({ do: 'nothing', why });
const notPaused: ConditionWish = { type: types.paused, status: 'False', reason: reasons.notPaused };
const unready = (reason: string, message: string, againMs?: number): ClusterStep => ({
  do: 'show',
  conditions: [{ type: types.ready, status: 'False', reason, message }, notPaused],
  ...(againMs === undefined ? {} : { againMs }),
});

const deleting = ({ hasFinalizer, deletion }: ClusterView): ClusterStep => {
  if (!hasFinalizer) return nothing('others hold it yet');
  const left = deletion?.machinesLeft ?? 0;
  if (left === 0) return { do: 'drop-finalizer' };
  return unready(
    reasons.deleting,
    `waits for ${left} ${left === 1 ? 'machine' : 'machines'} of the cluster to be gone`,
    limits.kubeLookAgainMs,
  );
};
const usualWithout = {
  reason: reasons.waitingForEndpoint,
  message:
    'say spec.controlPlaneEndpoint here or at the Cluster, or spec.endpointFromPool: an address that no host has, for kube-vip or a load balancer',
};
const endpointStep = ({ endpoint, clusterEndpoint, pool, withoutEndpoint }: ClusterView): ClusterStep | undefined => {
  if (endpoint !== undefined) return undefined;
  if (pool?.is === 'unasked') return { do: 'ask-address' };
  if (pool?.is === 'granted') return { do: 'write-endpoint', endpoint: pool.endpoint };
  if (pool !== undefined)
    return unready(pool.is === 'refused' ? reasons.invalid : reasons.waitingForAddress, pool.message, limits.kubeLookAgainMs);
  if (clusterEndpoint !== undefined) return undefined;
  const { reason, message } = withoutEndpoint ?? usualWithout;
  return unready(reason, message);
};
/** Facts: externally managed and moved objects are never written; a paused one says that it is. */
export const decideCluster = (view: ClusterView): ClusterStep => {
  const { isManagedElsewhere, deletion, hasCluster, paused, hasFinalizer, awaited } = view;
  if (isManagedElsewhere) return nothing('it is managed elsewhere');
  if (deletion?.isForMove === true) return nothing('it was moved to another cluster');
  if (!hasCluster) return nothing('no Cluster owns it yet');
  if (paused !== undefined)
    return { do: 'show', conditions: [{ type: types.paused, status: 'True', reason: reasons.paused, message: paused }] };
  if (deletion !== undefined) return deleting(view);
  if (!hasFinalizer) return { do: 'add-finalizer' };
  return (
    endpointStep(view) ??
    (awaited === undefined ? undefined : unready(reasons.waitingForControlPlane, awaited, limits.kubeSoonMs)) ?? {
      do: 'show',
      conditions: [{ type: types.ready, status: 'True', reason: reasons.ready }, notPaused],
      isProvisioned: true,
    }
  );
};
