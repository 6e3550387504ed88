/** What our answers stop: Cluster API writes why into its log alone, so an event tells it where people look. */
import { reasonOf } from '../../errors.ts';
import type { Log } from '../../world/world.ts';
import type { KubeApi } from '../api.ts';
import type { EventSink } from '../controller.ts';
import { capi } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Key, Kind } from '../objects.ts';
import type { Sent } from './hook.ts';

export interface StoppedParts {
  readonly api: KubeApi;
  readonly log: Log;
  /** Absent: nobody is told. */
  readonly events?: EventSink;
}
interface Words {
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}
/** Never throws: the answer to the hook does not depend on it. */
const tell = async (
  { api, log, events }: StoppedParts,
  { kind, key }: { readonly kind: Kind; readonly key: Key },
  words: Words,
): Promise<void> => {
  if (events === undefined) return;
  try {
    const object = await api.get(kind, key);
    if (object !== undefined) events.record(object, { type: 'Warning', ...words });
  } catch (error) {
    log.warn('an event could not be told', { kind: kind.kind, object: key, note: words.note, error: reasonOf(error) });
  }
};
/** A rollout that the fail-closed policy stopped: at the MachineDeployment of a MachineSet, or at a Machine. */
export const tellStopped = async (parts: StoppedParts, { kind, metadata }: Sent, why: string): Promise<void> => {
  const { namespace, labels = {} } = metadata;
  const isMachine = kind === kinds.machine.kind;
  const name = isMachine ? metadata.name : labels[capi.deploymentName];
  if (name === undefined) return;
  const note = `in-place update not possible, and the rollout is stopped: ${why}`;
  const at = { kind: isMachine ? kinds.machine : kinds.machineDeployment, key: `${namespace}/${name}` } as const;
  await tell(parts, at, { reason: 'RolloutStopped', action: 'UpdateInPlace', note });
};
/** A version that our catalogue has no way to: at the Cluster. */
export const tellNoPlan = async (parts: StoppedParts, { metadata: { namespace, name } }: Sent, why: string): Promise<void> =>
  await tell(parts, { kind: kinds.cluster, key: `${namespace}/${name}` }, { reason: 'NoUpgradePlan', action: 'PlanUpgrade', note: why });
