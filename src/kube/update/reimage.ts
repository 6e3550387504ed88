/**
 * A new image under an old claim: the Node is emptied, the host is written anew, and the same machine joins again under the same provider
 * ID. One call does what can be done at once and says what it waits for; all it knows stands in the record, the claim and the clusters.
 */
import type { HostJson } from '../../api/types.ts';
import { RemudaError } from '../../errors.ts';
import type { World } from '../../world/world.ts';
import type { KubeApi } from '../api.ts';
import { readBootstrap } from '../machine/bootstrap.ts';
import type { Metal } from '../metal.ts';
import { capi } from '../names.ts';
import type { Workload } from '../workload/access.ts';
import { withJoinToken } from '../workload/bootstrap-data.ts';
import { drainStep } from '../workload/drain.ts';
import { dropToken, ensureToken, newTokenId } from '../workload/join-token.ts';
import { adoptNode, cordon, dropNode, findNode } from '../workload/node.ts';
import type { NodeView } from '../workload/node.ts';
import { recordOf, writeRecord } from './record.ts';
import type { ReimageRecord } from './record.ts';
import { parseRelease } from './release.ts';
import type { Subject } from './subject.ts';

export interface ReimageParts {
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly api: KubeApi;
  readonly metal: Metal;
  readonly workload: Workload;
}
export interface Reimage {
  readonly subject: Subject;
  /** Stays the same from the first call to the last. */
  readonly purpose: string;
  /** Digest of the image that is to be written. */
  readonly digest: string;
  /** Pods are asked to go first; not where the Node is lost anyway. */
  readonly drains: boolean;
  /** The host has been told: nothing more is asked of it under this purpose. */
  readonly hasBegun: (claim: NonNullable<HostJson['claim']>, record: ReimageRecord | undefined) => boolean;
}
export type Progress =
  | { readonly is: 'going'; readonly message: string }
  /** The Node is Ready again; `finishReimage` tidies up. */
  | { readonly is: 'done'; readonly message: string }
  /** It cannot go on until somebody changes something. */
  | { readonly is: 'failed'; readonly message: string };
const going = (message: string): Progress => ({ is: 'going', message });
const failed = (message: string): Progress => ({ is: 'failed', message });

type Claimed = HostJson & { readonly claim: NonNullable<HostJson['claim']> };
/** The host that the claim of this machine holds, or why there is none. */
export const claimedHost = async (metal: Metal, { claimId, owner, key }: Subject): Promise<Claimed | string> => {
  const standing = await metal.standing(claimId);
  if (standing.is !== 'held') return `claim ${claimId} of Machine ${key} holds no host (${standing.is})`;
  const { host } = standing;
  if (host.claim === null || host.claim.id !== claimId) return `host ${host.name} is not held by claim ${claimId}`;
  // A copied claim ID must not reach another machine's host.
  if (host.claim.owner !== owner) return `claim ${claimId} belongs to ${host.claim.owner}, not to Machine ${key}`;
  return { ...host, claim: host.claim };
};
/** Its Node in the workload cluster, as it is called by now. */
export const nodeOf = async (workload: KubeApi, { providerId, nodeName }: Subject, host: Claimed): Promise<NodeView | undefined> =>
  await findNode(workload, { providerId, names: [...new Set([nodeName, host.claim.hostName].filter((name) => name !== undefined))] });

const bootstrapOfMachine = async ({ api }: ReimageParts, { bootstrapSecret, key, infra }: Subject): Promise<string> => {
  const read = await readBootstrap((kind, name) => api.get(kind, name), infra.metadata.namespace ?? '', bootstrapSecret);
  if (read.is === 'ready') return read.userData;
  throw new RemudaError('bad-request', `read the bootstrap data of Machine ${key}: ${read.message}`);
};
/** Everything that would make it fail later, before a single pod is asked to go. */
const prepared = async (parts: ReimageParts, job: Reimage, host: Claimed): Promise<void> => {
  const { api, world } = parts;
  withJoinToken(await bootstrapOfMachine(parts, job.subject), 'aaaaaa.aaaaaaaaaaaaaaaa');
  const node = await nodeOf(await parts.workload(job.subject.cluster), job.subject, host);
  const record: ReimageRecord = {
    for: job.purpose,
    from: host.claim.generation,
    token: newTokenId(world.random),
    at: world.clock.now(),
    ...(node === undefined ? {} : { node: node.uid, boot: node.bootId }),
  };
  await writeRecord(api, job.subject.infra, job.subject.infraKey, record);
};
const first = (pods: readonly string[]): string =>
  `${pods.slice(0, 3).join(', ')}${pods.length > 3 ? `, and ${pods.length - 3} more` : ''}`;
/** What still keeps the Node from being given up; undefined: nothing. */
const emptied = async (parts: ReimageParts, job: Reimage, host: Claimed, record: ReimageRecord): Promise<string | undefined> => {
  const { subject, drains } = job;
  const workload = await parts.workload(subject.cluster);
  const node = await nodeOf(workload, subject, host);
  if (node === undefined) return undefined;
  await cordon(workload, node, true);
  if (!drains || subject.machine.metadata.annotations?.[capi.excludeDraining] !== undefined) return undefined;
  const now = parts.world.clock.now();
  const { going: leaving, kept } = await drainStep(workload, node.name, { isReachable: node.ready !== 'Unknown', now });
  const isLate = subject.drainTimeoutMs !== undefined && now - record.at >= subject.drainTimeoutMs;
  if (leaving.length + kept.length === 0 || isLate) return undefined;
  const budget = kept.length === 0 ? '' : `; kept by their disruption budgets: ${first(kept)}`;
  return `draining Node ${node.name}: ${leaving.length} pods are going${budget}`;
};
const told = async (parts: ReimageParts, job: Reimage, host: Claimed, record: ReimageRecord): Promise<Progress> => {
  const { subject } = job;
  const waits = await emptied(parts, job, host, record);
  if (waits !== undefined) return going(waits);
  const workload = await parts.workload(subject.cluster);
  const token = await ensureToken(parts.world, workload, record.token, `made by remuda for Machine ${subject.key}, which joins again`);
  const userData = withJoinToken(await bootstrapOfMachine(parts, subject), token);
  // Of this version of the host: whoever else saw the same is refused, and one generation begins.
  await parts.metal.reprovision(subject.claimId, { image: job.digest, userData }, host.version);
  return going(`host ${host.name} is told to write image ${subject.spec.image}`);
};

/**
 * The old system runs no more and the new one does not run yet. Only then may the Node go: a kubelet that has registered over it would
 * not do so again before it is restarted.
 */
const isBetween = (host: Claimed): boolean => {
  const { claim, boot, facts } = host;
  if (host.state !== 'provisioning' || facts.installed?.generation === claim.generation) return false;
  return facts.power === 'off' || (boot?.generation === claim.generation && (boot.poweredOnAt !== null || boot.agentArrivedAt !== null));
};
/** By its boot, which no two systems share; by its UID where the kubelet never told one. */
const isOld = (node: NodeView, { node: uid, boot = '' }: ReimageRecord): boolean => (boot === '' ? node.uid === uid : node.bootId === boot);
const joined = (node: NodeView, job: Reimage, host: Claimed): Progress => {
  const { version, spec } = job.subject;
  if (node.ready !== 'True') return going(`waiting for Node ${node.name} to be Ready`);
  const [runs, wants] = [parseRelease(node.kubeletVersion), version === undefined ? undefined : parseRelease(version)];
  if (wants !== undefined && runs?.text !== wants.text)
    return failed(
      `Node ${node.name} runs kubelet ${node.kubeletVersion} from image ${spec.image}, and the machine's version is ${wants.text}: give it an image that holds that version`,
    );
  return { is: 'done', message: `host ${host.name} runs image ${spec.image} as Node ${node.name}` };
};
const awaited = async (parts: ReimageParts, job: Reimage, host: Claimed, record: ReimageRecord | undefined): Promise<Progress> => {
  const { subject } = job;
  const workload = await parts.workload(subject.cluster);
  const node = await nodeOf(workload, subject, host);
  const isOldOne = node !== undefined && record !== undefined && isOld(node, record);
  if (isOldOne && isBetween(host)) await dropNode(workload, node);
  if (host.failed !== null)
    return failed(`host ${host.name} failed at ${host.failed.step}: ${host.failed.reason}; \`remuda host retry ${host.name}\` tries again`);
  if (host.held !== null) return going(`host ${host.name} is held by ${host.held.by}: ${host.held.why}`);
  const hasJoined = host.state === 'provisioned' && node !== undefined && !isOldOne;
  if (!hasJoined && record !== undefined)
    await ensureToken(parts.world, workload, record.token, `made by remuda for Machine ${subject.key}, which joins again`);
  if (host.state !== 'provisioned') return going(`host ${host.name} is being provisioned with image ${subject.spec.image}`);
  if (!hasJoined) return going(`host ${host.name} runs image ${subject.spec.image}; waiting for its Node`);
  const progress = joined(await adoptNode(workload, node, subject.providerId), job, host);
  if (progress.is === 'done') await cordon(workload, node, false);
  return progress;
};

/**
 * The next step, and how far it is. May be called as often as one likes, by anybody, and after any crash: the host is told at most once
 * for one purpose. Throws what the outside does; to be called again then.
 */
export const reimageStep = async (parts: ReimageParts, job: Reimage): Promise<Progress> => {
  const { subject } = job;
  const host = await claimedHost(parts.metal, subject);
  if (typeof host === 'string') return failed(host);
  const record = recordOf(subject.infra);
  const mine = record?.for === job.purpose ? record : undefined;
  if (job.hasBegun(host.claim, mine)) return await awaited(parts, job, host, mine);
  if (subject.isControlPlane) return failed(`Machine ${subject.key} is of a control plane: a new image would lose its etcd member`);
  if (host.state !== 'provisioned' && host.state !== 'provisioning') return going(`host ${host.name} is ${host.state}`);
  if (host.held !== null) return going(`host ${host.name} is held by ${host.held.by}: ${host.held.why}`);
  if (mine === undefined || mine.from !== host.claim.generation) {
    await prepared(parts, job, host);
    return going(`host ${host.name} is to be written with image ${subject.spec.image}`);
  }
  return await told(parts, job, host, mine);
};
/** Takes away what the re-image left: its token and its record. No error where they are gone. */
export const finishReimage = async (parts: ReimageParts, subject: Subject, isMine: (purpose: string) => boolean): Promise<void> => {
  const record = recordOf(subject.infra);
  if (record === undefined || !isMine(record.for)) return;
  await dropToken(await parts.workload(subject.cluster), record.token);
  await writeRecord(parts.api, subject.infra, subject.infraKey, null);
};
