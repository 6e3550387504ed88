/** PacketCluster as a kind of infrastructure cluster: its endpoint is given, or comes from a pool that an annotation names. */
import type { ClusterView, PoolWord } from '../cluster/decide.ts';
import type { ClusterAdapter } from '../cluster/reconcile.ts';
import type { PoolReference } from '../machine/ipam.ts';
import { finalizers, ours, reasons } from '../names.ts';
import { kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import { packetClusterSpec } from '../schema/packet.ts';
import type { PacketClusterSpec } from '../schema/packet.ts';

/** Cluster API's own, and kubeadm's. */
const usualPort = 6443;
const specOf = ({ spec }: KubeObject): Partial<PacketClusterSpec> => packetClusterSpec.safeParse(spec ?? {}).data ?? {};
/** `ipam.cluster.x-k8s.io/InClusterIPPool/vips` */
export const poolIn = (annotation: string): PoolReference | undefined => {
  const [, apiGroup, kind, name] = /^([a-z0-9.-]{1,253})\/([A-Za-z]{1,63})\/([a-z0-9.-]{1,253})$/.exec(annotation) ?? [];
  return apiGroup === undefined || kind === undefined || name === undefined ? undefined : { apiGroup, kind, name };
};
const poolWord = (object: KubeObject): PoolWord | undefined => {
  const { host, port } = specOf(object).controlPlaneEndpoint ?? {};
  if (host !== undefined) return port === undefined ? { is: 'granted', endpoint: { host, port: usualPort } } : undefined;
  const said = object.metadata.annotations?.[ours.endpointPool];
  if (said === undefined || poolIn(said) !== undefined) return undefined;
  return { is: 'refused', message: `annotation ${ours.endpointPool} is ${JSON.stringify(said)}, not <API group>/<kind>/<name> of a pool` };
};
/** Who was to bring the address, and what is to be said instead. */
const lacks = {
  CPEM: 'no Elastic IP can be bought here',
  KUBE_VIP: 'no Elastic IP can be bought here',
  EMLB: 'the load balancer of Equinix Metal is gone: name one of your own',
} as const;
const withoutEndpoint = (object: KubeObject): ClusterView['withoutEndpoint'] => {
  const parsed = packetClusterSpec.safeParse(object.spec ?? {});
  if (!parsed.success) return { reason: reasons.invalid, message: parsed.error.issues.map(({ message }) => message).join('; ') };
  const { vipManager } = parsed.data;
  const how = `say spec.controlPlaneEndpoint.host, or annotate this object with ${ours.endpointPool}=<API group>/<kind>/<name> of a pool of addresses`;
  return {
    reason: vipManager === 'EMLB' ? reasons.invalid : reasons.waitingForEndpoint,
    message: `vipManager ${vipManager}: ${lacks[vipManager]}; ${how}`,
  };
};

export const packetCluster: ClusterAdapter = {
  kind: kinds.packetCluster,
  finalizer: finalizers.packetCluster,
  specOf: (object) => {
    const { controlPlaneEndpoint } = specOf(object);
    const pool = poolIn(object.metadata.annotations?.[ours.endpointPool] ?? '');
    return {
      ...(controlPlaneEndpoint === undefined ? {} : { controlPlaneEndpoint }),
      ...(pool === undefined ? {} : { endpointFromPool: { pool, port: usualPort } }),
    };
  },
  // The contracts v1beta1 and v1beta2 want them in different shapes, and this one version serves both.
  hasFailureDomains: false,
  provisionedStatus: { ready: true, initialization: { provisioned: true } },
  poolWord,
  withoutEndpoint,
};
