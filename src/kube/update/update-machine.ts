/** UpdateMachine: one machine brought to its desired image and version in place, step by step, over many calls. */
import type { Log } from '../../world/world.ts';
import { capi, fieldManager } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Key } from '../objects.ts';
import { cordon } from '../workload/node.ts';
import { claimedHost, finishReimage, nodeOf, reimageStep } from './reimage.ts';
import type { Progress, ReimageParts } from './reimage.ts';
import { readSubject } from './subject.ts';
import type { Subject } from './subject.ts';

export interface UpdateParts extends ReimageParts {
  readonly log: Log;
}
/** Of the annotation that keeps MachineHealthChecks away: so we know our own, and leave a user's. */
const skipWord = 'remuda-in-place-update';
/** The purposes of updates begin so. */
export const purposePrefix = 'update/';

const annotate = async ({ api }: UpdateParts, { machine, key }: Subject, word: string | null): Promise<void> => {
  const { uid } = machine.metadata;
  const patch = { metadata: { annotations: { [capi.skipRemediation]: word } } };
  await api.patch(kinds.machine, key, patch, { fieldManager, ...(uid === undefined ? {} : { uid }) });
};
/** Keeps MachineHealthChecks away. True where the annotation is ours, and so ours to take back. */
const skipRemediation = async (parts: UpdateParts, subject: Subject): Promise<boolean> => {
  const said = subject.machine.metadata.annotations?.[capi.skipRemediation];
  if (said === undefined) await annotate(parts, subject, skipWord);
  return said === undefined || said === skipWord;
};
/**
 * What Cluster API sees as desired stands in the objects themselves by then: only what the API server says counts, never what a
 * request claims. Throws what the outside does.
 */
export const updateMachine = async (parts: UpdateParts, key: Key): Promise<Progress> => {
  const found = await readSubject(parts.api, key);
  if (found.is === 'not-now') return { is: 'going', message: `nothing is done while ${found.why}` };
  if (found.is === 'not-ours') return { is: 'failed', message: found.why };
  const { subject } = found;
  if (subject.isControlPlane)
    return { is: 'failed', message: `Machine ${key} is of a control plane: a new image would lose its etcd member` };
  if (!subject.isUpdating) return { is: 'failed', message: `Machine ${key} is not marked for an in-place update` };
  const { image } = subject.spec;
  const entry = (await parts.metal.images()).find(({ name, digest }) => name === image || digest === image);
  if (entry === undefined) return { is: 'failed', message: `image ${image} is not in the catalogue of the rack: import it` };
  const isSkipOurs = await skipRemediation(parts, subject);
  // A claim that has the image already is never written again, whatever became of the record.
  const hasBegun = (claim: { readonly image: { readonly digest: string } }): boolean => claim.image.digest === entry.digest;
  const job = { subject, purpose: `${purposePrefix}${entry.digest}`, digest: entry.digest, drains: true, hasBegun };
  const progress = await reimageStep(parts, job);
  if (progress.is !== 'done') return progress;
  await finishReimage(parts, subject, (purpose) => purpose.startsWith(purposePrefix));
  if (isSkipOurs) await annotate(parts, subject, null);
  parts.log.info('machine was updated in place', { machine: key, image });
  return progress;
};

/**
 * Takes back an update that Cluster API no longer wants (its marks were taken off by hand): the Node takes pods again, health checks
 * see the machine again. False while the host is still being written: then its Node joins first.
 */
export const abandonUpdate = async (parts: UpdateParts, subject: Subject): Promise<boolean> => {
  const host = await claimedHost(parts.metal, subject);
  if (typeof host !== 'string') {
    if (host.state === 'provisioning') return false;
    const workload = await parts.workload(subject.cluster);
    const node = await nodeOf(workload, subject, host);
    if (node !== undefined) await cordon(workload, node, false);
  }
  if (subject.machine.metadata.annotations?.[capi.skipRemediation] === skipWord) await annotate(parts, subject, null);
  await finishReimage(parts, subject, (purpose) => purpose.startsWith(purposePrefix));
  return true;
};
