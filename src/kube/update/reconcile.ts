/** Updates that were called off: what they left on Machine, Node and BareMetalMachine is taken away. */
import { limits } from '../../limits.ts';
import type { Reconciler, Result, Tools } from '../controller.ts';
import { kinds } from '../objects.ts';
import type { Key } from '../objects.ts';
import type { Workload } from '../workload/access.ts';
import { recordOf } from './record.ts';
import { readSubject } from './subject.ts';
import { abandonUpdate, purposePrefix } from './update-machine.ts';
import type { UpdateParts } from './update-machine.ts';

const reconcile = async (parts: UpdateParts & Tools, key: Key): Promise<Result> => {
  const infra = parts.cache.get(kinds.bareMetalMachine, key);
  // As good as always: no update, nothing to ask.
  if (infra === undefined || recordOf(infra)?.for.startsWith(purposePrefix) !== true) return {};
  const { namespace = '', ownerReferences = [] } = infra.metadata;
  const machine = ownerReferences.find(({ kind }) => kind === kinds.machine.kind);
  if (machine === undefined) return {};
  const found = await readSubject(parts.api, `${namespace}/${machine.name}`);
  // Paused, or still wanted: a change of either wakes us, and the resync at the latest.
  if (found.is !== 'found' || found.subject.isMarked) return {};
  if (!(await abandonUpdate(parts, found.subject))) return { requeueAfterMs: limits.kubeHookRetrySeconds * 1000 };
  parts.log.warn('in-place update was called off', { machine: found.subject.key });
  return {};
};
/** To be run beside the reconcilers of BareMetalMachine, whose watch it uses. */
export const updateReconcilers = (tools: Tools, { workload }: { readonly workload: Workload }): readonly Reconciler[] => {
  const parts = { ...tools, workload };
  return [{ kind: kinds.bareMetalMachine, reconcile: (key) => reconcile(parts, key) }];
};
