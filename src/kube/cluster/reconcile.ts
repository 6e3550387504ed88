/** The controller of BareMetalClusters: endpoint, failure domains of the rack, and a finalizer until the last machine is gone. */
import { z } from 'zod';
import type { HostJson } from '../../api/types.ts';
import { limits } from '../../limits.ts';
import { isConflict, KubeError } from '../api.ts';
import type { Reconciler, Result, Tools, Watch } from '../controller.ts';
import { failureDomainOf } from '../machine/facts.ts';
import { addressClaim, addressClaimName, grantOf } from '../machine/ipam.ts';
import type { Get } from '../machine/ipam.ts';
import { pausedBy } from '../machine/look.ts';
import { RackView } from '../machine/rack-view.ts';
import { referred } from '../machine/reconcile.ts';
import { sooner } from '../machine/show.ts';
import { mayStandOn } from '../machine/template.ts';
import { poolsOf } from '../machine/wish.ts';
import { capi, fieldManager, finalizers } from '../names.ts';
import { groupOf, kinds } from '../objects.ts';
import type { Key, Kind, KubeObject } from '../objects.ts';
import { conditionsOf, mergeConditions } from '../runtime/conditions.ts';
import { writerOf } from '../runtime/writer.ts';
import { clusterSpec } from '../schema/bare-metal.ts';
import type { ClusterSpec } from '../schema/bare-metal.ts';
import { controlPlaneWord } from './control-plane.ts';
import type { ControlPlaneWord } from './control-plane.ts';
import { decideCluster } from './decide.ts';
import type { ClusterStep, ClusterView, Endpoint, PoolWord } from './decide.ts';

/** What must be known of one kind of infrastructure cluster. */
export interface ClusterAdapter {
  readonly kind: Kind;
  readonly finalizer: string;
  /** In the words of BareMetalCluster. */
  specOf(object: KubeObject): ClusterSpec;
  /** Does the status list failure domains? */
  readonly hasFailureDomains: boolean;
  /** More for the status of one that is provisioned. */
  readonly provisionedStatus: Readonly<Record<string, unknown>>;
  /** Where the spec says where its endpoint comes from in a way of its own. */
  poolWord?(object: KubeObject): PoolWord | undefined;
  /** What is wrong where there is no endpoint at all. */
  withoutEndpoint?(object: KubeObject): ClusterView['withoutEndpoint'];
}
export const bareMetalCluster: ClusterAdapter = {
  kind: kinds.bareMetalCluster,
  finalizer: finalizers.cluster,
  specOf: ({ spec }) => clusterSpec.safeParse(spec ?? {}).data ?? {},
  hasFailureDomains: true,
  provisionedStatus: { initialization: { provisioned: true } },
};
/** Machines that hold hosts for a cluster. */
const machineKinds = [kinds.bareMetalMachine, kinds.packetMachine] as const;
/** What the steps are taken with. */
interface Hands {
  readonly tools: Tools;
  readonly rack: RackView;
  readonly adapter: ClusterAdapter;
}
interface Seen {
  readonly object: KubeObject;
  readonly cluster: KubeObject | undefined;
  readonly spec: ClusterSpec;
  readonly view: ClusterView;
  readonly controlPlane: ControlPlaneWord;
}
const endpointShape = z.object({ host: z.string().min(1), port: z.number().int().min(1) });
const endpointIn = (spec: unknown): Endpoint | undefined =>
  z.object({ controlPlaneEndpoint: endpointShape }).safeParse(spec ?? {}).data?.controlPlaneEndpoint;

const poolWord = async (get: Get, object: KubeObject, spec: ClusterSpec): Promise<PoolWord | undefined> => {
  if (spec.endpointFromPool === undefined) return undefined;
  const { name, namespace = '' } = object.metadata;
  const grant = await grantOf(get, namespace, addressClaimName(name, 'endpoint'));
  if (grant.is !== 'granted') return grant;
  return { is: 'granted', endpoint: { host: grant.granted.address, port: spec.endpointFromPool.port } };
};
const ownerCluster = async (get: Get, { metadata }: KubeObject): Promise<KubeObject | undefined> => {
  const ref = (metadata.ownerReferences ?? []).find(
    (one) => one.kind === kinds.cluster.kind && groupOf(one.apiVersion) === kinds.cluster.group,
  );
  const cluster = ref === undefined ? undefined : await get(kinds.cluster, `${metadata.namespace ?? ''}/${ref.name}`);
  return cluster?.metadata.uid === ref?.uid ? cluster : undefined;
};
/** Machines of the cluster that are still there; asked of the API server, as the finalizer rests on it. */
const machinesLeft = async ({ api }: Tools, cluster: KubeObject | undefined): Promise<number> => {
  if (cluster === undefined) return 0;
  const { name, namespace = '' } = cluster.metadata;
  const lists = await Promise.all(machineKinds.map((one) => api.list(one, { namespace, labelSelector: `${capi.clusterName}=${name}` })));
  return lists.reduce((sum, { items }) => sum + items.length, 0);
};
const look = async ({ tools, adapter }: Hands, key: Key): Promise<Seen | undefined> => {
  const get: Get = (of, at) => Promise.resolve(tools.cache.get(of, at));
  const object = tools.cache.get(adapter.kind, key);
  if (object === undefined) return undefined;
  const { annotations = {}, deletionTimestamp } = object.metadata;
  const cluster = await ownerCluster(get, object);
  const spec = adapter.specOf(object);
  const paused = pausedBy(object, cluster);
  const endpoint = endpointIn(object.spec);
  const isLive = paused === undefined && deletionTimestamp === undefined && annotations[capi.managedBy] === undefined;
  const provisioned = z.object({ initialization: z.object({ provisioned: z.literal(true) }) }).safeParse(object.status ?? {}).success;
  const controlPlane: ControlPlaneWord =
    isLive && adapter.hasFailureDomains ? await controlPlaneWord((of, at) => tools.api.get(of, at), cluster) : { is: 'any' };
  const view: ClusterView = {
    isManagedElsewhere: annotations[capi.managedBy] !== undefined,
    hasCluster: cluster !== undefined,
    paused,
    hasFinalizer: object.metadata.finalizers?.includes(adapter.finalizer) === true,
    deletion:
      deletionTimestamp === undefined
        ? undefined
        : { isForMove: annotations[capi.deleteForMove] !== undefined, machinesLeft: await machinesLeft(tools, cluster) },
    endpoint,
    clusterEndpoint: endpointIn(cluster?.spec),
    pool:
      isLive && endpoint === undefined
        ? (adapter.poolWord?.(object) ?? (await poolWord((of, at) => tools.api.get(of, at), object, spec)))
        : undefined,
    withoutEndpoint: adapter.withoutEndpoint?.(object),
    awaited: controlPlane.is === 'awaited' && !provisioned ? controlPlane.message : undefined,
  };
  return { object, cluster, spec, view, controlPlane };
};

const domainsMost = 100;
/** The failure domains of the hosts that the namespace may claim, sorted; control planes are for those where one of them could stand. */
const failureDomainsOf = (
  hosts: readonly HostJson[],
  pools: readonly string[],
  by: string,
  controlPlane: Exclude<ControlPlaneWord, { is: 'awaited' }>,
): readonly { readonly name: string; readonly controlPlane: boolean }[] => {
  const domains = new Map<string, boolean>();
  for (const host of hosts.filter(({ profile, state }) => state !== 'discovered' && pools.includes(profile.pool))) {
    const name = failureDomainOf(host, by);
    if (name === undefined || domains.get(name) === true) continue;
    domains.set(name, controlPlane.is === 'any' || mayStandOn(controlPlane.machines, pools, host));
  }
  return [...domains]
    .map(([name, may]) => ({ name, controlPlane: may }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, domainsMost);
};

const show = async ({ tools, rack, adapter }: Hands, seen: Seen, step: Extract<ClusterStep, { do: 'show' }>): Promise<Result> => {
  const { object, spec, controlPlane } = seen;
  const { namespace = '', generation } = object.metadata;
  const before = (object.status ?? {}) as Readonly<Record<string, unknown>>;
  const conditions = mergeConditions(conditionsOf(object), step.conditions, tools.world.clock.now());
  let facts: Readonly<Record<string, unknown>> = {};
  if (step.isProvisioned === true) {
    facts = { ...adapter.provisionedStatus, observedGeneration: generation };
    // Where its control plane is gone for a moment, what was told before stands.
    if (adapter.hasFailureDomains && controlPlane.is !== 'awaited') {
      const pools = poolsOf(tools.settings.pools, namespace);
      const domains = failureDomainsOf(await rack.hosts(), pools, spec.failureDomainBy ?? 'failureDomain', controlPlane);
      facts = { ...facts, failureDomains: domains.length === 0 ? undefined : domains };
    }
  }
  await writerOf(tools).setStatus(adapter.kind, object, { ...before, ...facts, conditions });
  return sooner(step.againMs, step.isProvisioned === true ? limits.kubeResyncMs : undefined);
};
const askAddress = async (hands: Hands, seen: Seen): Promise<Result> => {
  const { tools } = hands;
  const { object, spec } = seen;
  const name = addressClaimName(object.metadata.name, 'endpoint');
  if (spec.endpointFromPool === undefined) return {};
  try {
    await tools.api.create(kinds.ipAddressClaim, addressClaim(object, name, spec.endpointFromPool.pool), fieldManager);
  } catch (error) {
    if (error instanceof KubeError && error.httpStatus === 404) {
      const message = `IPAddressClaim ${name} cannot be made: the API server knows no ${kinds.ipAddressClaim.group}; install an IPAM provider`;
      const refused = decideCluster({ ...seen.view, pool: { is: 'refused', message } });
      return refused.do === 'show' ? show(hands, seen, refused) : {};
    }
    if (!isConflict(error)) throw error;
  }
  return { requeueAfterMs: limits.kubeSoonMs };
};
const act = async (hands: Hands, seen: Seen): Promise<Result> => {
  const { tools, adapter } = hands;
  const { kind, finalizer } = adapter;
  const { object, view } = seen;
  const step = decideCluster(view);
  const writer = writerOf(tools);
  if (step.do === 'show') return show(hands, seen, step);
  if (step.do === 'ask-address') return askAddress(hands, seen);
  if (step.do === 'add-finalizer') await writer.addFinalizer(kind, object, finalizer);
  if (step.do === 'write-endpoint') await writer.merge(kind, object, { spec: { controlPlaneEndpoint: step.endpoint } });
  if (step.do === 'drop-finalizer') await writer.removeFinalizer(kind, object, finalizer);
  return step.do === 'add-finalizer' || step.do === 'write-endpoint' ? { requeueAfterMs: 10 } : {};
};

export const clusterWatches: readonly Watch[] = [{ kind: kinds.bareMetalCluster }, { kind: kinds.cluster }];
/** The controller of one kind of infrastructure cluster. */
export const clusterReconciler = (tools: Tools, adapter: ClusterAdapter): Reconciler => {
  const hands: Hands = { tools, adapter, rack: new RackView(tools.metal, tools.world.clock) };
  return {
    kind: adapter.kind,
    also: [{ kind: kinds.cluster, keys: referred(adapter.kind) }],
    async reconcile(key) {
      const seen = await look(hands, key);
      return seen === undefined ? {} : act(hands, seen);
    },
  };
};
export const clusterReconcilers = (tools: Tools): readonly Reconciler[] => [clusterReconciler(tools, bareMetalCluster)];
