/** Looks at everything that concerns one machine: the object, its Machine, its Cluster, the rack, and what would be asked of it. */
import { z } from 'zod';
import { codeOf, reasonOf } from '../../errors.ts';
import { parseMac } from '../../wire/address.ts';
import type { Tools } from '../controller.ts';
import { capi, ours, reasons } from '../names.ts';
import { groupOf, kinds, splitKey } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';
import type { Asked, MachineAdapter, Surroundings } from './adapter.ts';
import { readBootstrap, unreadBy } from './bootstrap.ts';
import { addressClaimName, grantOf, networkOf } from './ipam.ts';
import type { Get, Grant } from './ipam.ts';
import type { MachineView, NamedClaim, Plan, RackWord } from './view.ts';
import { ownerOf, planOf, poolsOf } from './wish.ts';
import type { WishWords } from './wish.ts';

export type Looking = Pick<Tools, 'metal' | 'api' | 'settings'>;
/** A machine with the objects around it. */
export interface Seen {
  readonly object: KubeObject;
  readonly machine: KubeObject | undefined;
  readonly cluster: KubeObject | undefined;
  readonly view: MachineView;
  /** undefined where the spec is wrong. */
  readonly spec: MachineSpec | undefined;
  readonly failureDomainBy: string;
}

const specText = z.string().min(1).optional();
const machineShape = z.object({
  clusterName: specText,
  failureDomain: specText,
  bootstrap: z.object({ dataSecretName: specText }).optional(),
});
const clusterShape = z.object({
  paused: z.boolean().optional(),
  infrastructureRef: z.object({ kind: z.string(), name: z.string() }).optional(),
});
const clusterStatusShape = z.object({ initialization: z.object({ infrastructureProvisioned: z.boolean().optional() }).optional() });
const domainShape = z.object({ failureDomainBy: specText });
const latchShape = z.object({
  initialization: z.object({ provisioned: z.boolean().optional() }).optional(),
  ready: z.boolean().optional(),
});
const idShape = z.object({ claimID: specText, providerID: specText });

/** The Machine that owns an object; another one of the same name is none. */
const ownerMachine = async (get: Get, { metadata }: KubeObject): Promise<KubeObject | undefined> => {
  const ref = (metadata.ownerReferences ?? []).find(
    ({ kind, apiVersion }) => kind === kinds.machine.kind && groupOf(apiVersion) === kinds.machine.group,
  );
  if (ref === undefined) return undefined;
  const machine = await get(kinds.machine, `${metadata.namespace ?? ''}/${ref.name}`);
  return machine?.metadata.uid === ref.uid ? machine : undefined;
};
const specOfMachine = (machine: KubeObject | undefined) => machineShape.safeParse(machine?.spec ?? {}).data ?? {};
/** Why an object is paused; undefined where it is not. */
export const pausedBy = (object: KubeObject, cluster: KubeObject | undefined): string | undefined => {
  if (clusterShape.safeParse(cluster?.spec ?? {}).data?.paused === true) return 'the Cluster is paused';
  return object.metadata.annotations?.[capi.paused] === undefined ? undefined : `annotation ${capi.paused}`;
};
const readyOf = (cluster: KubeObject): boolean =>
  clusterStatusShape.safeParse(cluster.status ?? {}).data?.initialization?.infrastructureProvisioned === true;

/** What the Cluster's infrastructureRef names, where it is of a kind of ours. */
const infraOf = async (get: Get, cluster: KubeObject | undefined): Promise<KubeObject | undefined> => {
  const ref = clusterShape.safeParse(cluster?.spec ?? {}).data?.infrastructureRef;
  const kind = [kinds.bareMetalCluster, kinds.packetCluster].find((one) => one.kind === ref?.kind);
  return kind === undefined ? undefined : await get(kind, `${cluster?.metadata.namespace ?? ''}/${ref?.name ?? ''}`);
};
/** By what the cluster tells the failure domain of a host. */
const domainBy = (infra: KubeObject | undefined): string =>
  domainShape.safeParse(infra?.spec ?? {}).data?.failureDomainBy ?? 'failureDomain';
/** The rack's word on a claim; what goes wrong on the way is a word too. */
export const askRack = async ({ metal }: Pick<Tools, 'metal'>, claimId: string): Promise<RackWord> => {
  try {
    return await metal.standing(claimId);
  } catch (error) {
    return { is: 'unreachable', message: `the rack could not be asked about claim ${claimId}: ${reasonOf(error)}` };
  }
};

const waiting = (reason: string, message: string): Plan => ({ is: 'waiting', reason, message });
/** Of a named host the first MAC is known before it is claimed; one that is not there is refused by the claim. */
const macOf = async ({ metal }: Looking, spec: MachineSpec): Promise<string | undefined> => {
  if (spec.host === undefined) return undefined;
  try {
    return parseMac((await metal.host(spec.host)).macs[0] ?? '');
  } catch (error) {
    if (codeOf(error) === 'host-not-found') return undefined;
    throw error;
  }
};

interface Wanting {
  readonly object: KubeObject;
  readonly machine: KubeObject;
  readonly around: Surroundings;
  readonly asked: Exclude<Asked, { readonly wrong: string }>;
  readonly view: Pick<MachineView, 'claimId' | 'owner' | 'providerIdWanted'>;
  readonly failureDomainBy: string;
}
type Dressed = Pick<WishWords, 'userData' | 'metaData'>;
const networkFor = async (
  tools: Looking,
  object: KubeObject,
  spec: MachineSpec,
): Promise<{ readonly network?: ReturnType<typeof networkOf> } | Plan> => {
  const wishes = spec.addressesFromPools ?? [];
  if (wishes.length === 0) return {};
  const { name, namespace = '' } = object.metadata;
  const get: Get = (kind, key) => tools.api.get(kind, key);
  const grants = await Promise.all(
    wishes.map(async (wanted, at) => ({ wanted, grant: await grantOf(get, namespace, addressClaimName(name, at)) })),
  );
  if (grants.some(({ grant }) => grant.is === 'unasked')) return { is: 'addresses-unasked' };
  const late = grants.map(({ grant }) => grant).find((grant): grant is Extract<Grant, { is: 'waiting' }> => grant.is === 'waiting');
  if (late !== undefined) return waiting(reasons.waitingForAddress, late.message);
  const mac = await macOf(tools, spec);
  return {
    network: networkOf(
      grants.flatMap(({ wanted, grant }) =>
        grant.is === 'granted' ? [{ wanted: { ...(mac === undefined ? {} : { mac }), ...wanted }, granted: grant.granted }] : [],
      ),
    ),
  };
};
/** What would be asked of the rack by one wish. */
const planOfSpec = async (tools: Looking, wanting: Wanting, spec: MachineSpec, dressed: Dressed): Promise<Plan> => {
  const { object, machine, view, failureDomainBy } = wanting;
  const { namespace = '' } = object.metadata;
  const network = await networkFor(tools, object, spec);
  if ('is' in network) return network;
  return planOf({
    claimId: view.claimId,
    owner: view.owner,
    ...network,
    ...dressed,
    spec,
    namespace,
    name: machine.metadata.name,
    labels: machine.metadata.labels ?? {},
    failureDomain: specOfMachine(machine).failureDomain,
    failureDomainBy,
    poolsAllowed: poolsOf(tools.settings.pools, namespace),
  });
};
/** The bootstrap data and the meta-data as this kind of machine tells them, or why they cannot be told. */
const dressedFor = async (tools: Looking, adapter: MachineAdapter, wanting: Wanting): Promise<Dressed | Plan> => {
  const { object, machine, around, view } = wanting;
  const { namespace = '' } = object.metadata;
  const { bootstrap: of } = specOfMachine(machine);
  const bootstrap = await readBootstrap((kind, key) => tools.api.get(kind, key), namespace, of?.dataSecretName);
  if (bootstrap.is !== 'ready')
    return bootstrap.is === 'waiting' ? waiting(bootstrap.reason, bootstrap.message) : { ...bootstrap, is: 'refused' };
  if (bootstrap.format === 'ignition') {
    const catalogue = await tools.metal.images();
    const [message] = [wanting.asked.spec, ...(wanting.asked.otherwise ?? [])]
      .map(({ image }) => unreadBy(image, bootstrap.format, catalogue))
      .filter((one) => one !== undefined);
    if (message !== undefined) return { is: 'refused', reason: reasons.invalid, message };
  }
  const dressed = adapter.dress?.(bootstrap.userData, around) ?? { userData: bootstrap.userData };
  if ('wrong' in dressed) return { is: 'refused', reason: reasons.invalid, message: dressed.wrong };
  const metaData = adapter.metaDataOf?.(object, view.providerIdWanted);
  return { ...dressed, ...(metaData === undefined ? {} : { metaData }) };
};
/** What would be asked of the rack now: all wishes are checked before the first of them is asked for. */
const planFor = async (tools: Looking, adapter: MachineAdapter, wanting: Wanting): Promise<Plan> => {
  const dressed = await dressedFor(tools, adapter, wanting);
  if ('is' in dressed) return dressed;
  const { spec, otherwise = [] } = wanting.asked;
  const requests: NamedClaim[] = [];
  for (const one of [spec, ...otherwise]) {
    const plan = await planOfSpec(tools, wanting, one, dressed);
    if (plan.is !== 'ready') return plan;
    requests.push(plan.request);
  }
  const [request, ...others] = requests;
  if (request === undefined) return waiting(reasons.invalid, 'nothing is asked for');
  return { is: 'ready', request, ...(others.length === 0 ? {} : { others }) };
};

/** The view as far as the API server alone tells it. */
const plainView = (
  adapter: MachineAdapter,
  object: KubeObject,
  machine: KubeObject | undefined,
  cluster: KubeObject | undefined,
): MachineView => {
  const { metadata } = object;
  const { namespace = '', annotations = {} } = metadata;
  const ids = idShape.safeParse(object.spec ?? {}).data;
  const claimId = ids?.claimID ?? adapter.claimIdFor(object);
  const latch = latchShape.safeParse(object.status ?? {}).data;
  return {
    owner: ownerOf(namespace, machine?.metadata.name ?? metadata.name),
    claimId,
    isClaimIdWritten: ids?.claimID !== undefined,
    providerId: ids?.providerID,
    providerIdWanted: adapter.providerIdOf(claimId, object),
    hasFinalizer: metadata.finalizers?.includes(adapter.finalizer) === true,
    isMoveBlocked: annotations[capi.blockMove] !== undefined,
    wasProvisioned: latch?.initialization?.provisioned === true || latch?.ready === true,
    deletion:
      metadata.deletionTimestamp === undefined
        ? undefined
        : { isForMove: annotations[capi.deleteForMove] !== undefined, abandons: annotations[ours.abandon] },
    hasMachine: machine !== undefined,
    cluster: cluster === undefined ? undefined : { isReady: readyOf(cluster) },
    paused: pausedBy(object, cluster),
    isUpdating: annotations[capi.updateInProgress] !== undefined,
    past: adapter.pastOf?.(object),
    rack: { is: 'unreachable', message: 'the rack was not asked' },
    plan: waiting(reasons.waitingForCluster, 'nothing is asked yet'),
  };
};
/** Is anything asked of the rack? Of what is paused, moved or nobody's the rack is not even told. */
const concernsRack = ({ deletion, hasMachine, cluster, paused }: MachineView): boolean =>
  deletion?.isForMove !== true && hasMachine && cluster !== undefined && paused === undefined;

/** Everything about one machine, read by `get`: from the cache, or from the API server where metal is about to be touched. */
export const lookAt = async (tools: Looking, adapter: MachineAdapter, key: Key, get: Get): Promise<Seen | undefined> => {
  const object = await get(adapter.kind, key);
  if (object === undefined) return undefined;
  const { namespace } = splitKey(key);
  const machine = await ownerMachine(get, object);
  const clusterName = specOfMachine(machine).clusterName ?? object.metadata.labels?.[capi.clusterName];
  const cluster = machine === undefined || clusterName === undefined ? undefined : await get(kinds.cluster, `${namespace}/${clusterName}`);
  const around: Surroundings = { machine, cluster, infra: await infraOf(get, cluster) };
  const asked = adapter.specOf(object, around);
  const spec = 'spec' in asked ? asked.spec : undefined;
  const plain = plainView(adapter, object, machine, cluster);
  const seen = { object, machine, cluster, spec, failureDomainBy: domainBy(around.infra) };
  if (!concernsRack(plain)) return { ...seen, view: plain };
  const rack = await askRack(tools, plain.claimId);
  const view = { ...plain, rack };
  const isLiving = view.deletion === undefined && view.past?.is !== 'elsewhere';
  const isWanting = rack.is === 'unknown' && isLiving && view.cluster?.isReady === true && view.hasFinalizer;
  if (!isWanting || machine === undefined) return { ...seen, view };
  const plan: Plan =
    'wrong' in asked
      ? { is: 'refused', reason: reasons.invalid, message: asked.wrong }
      : await planFor(tools, adapter, { ...seen, machine, around, asked, view });
  return { ...seen, view: { ...view, plan } };
};
