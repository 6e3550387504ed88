/** A rollout that the fail-closed policy stopped: Cluster API writes why into its log alone, so an event tells it where people look. */
import { reasonOf } from '../../errors.ts';
import type { Log } from '../../world/world.ts';
import type { KubeApi } from '../api.ts';
import type { EventSink } from '../controller.ts';
import { capi } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Sent } from './hook.ts';

export interface StoppedParts {
  readonly api: KubeApi;
  readonly log: Log;
  /** Absent: nobody is told. */
  readonly events?: EventSink;
}
/** At the MachineDeployment of a MachineSet, or at a Machine. Never throws: the answer to the hook does not wait for it to go well. */
export const tellStopped = async ({ api, log, events }: StoppedParts, { kind, metadata }: Sent, why: string): Promise<void> => {
  if (events === undefined) return;
  const { namespace, labels = {} } = metadata;
  const isMachine = kind === kinds.machine.kind;
  const name = isMachine ? metadata.name : labels[capi.deploymentName];
  if (name === undefined) return;
  try {
    const object = await api.get(isMachine ? kinds.machine : kinds.machineDeployment, `${namespace}/${name}`);
    const note = `in-place update not possible, and the rollout is stopped: ${why}`;
    if (object !== undefined) events.record(object, { type: 'Warning', reason: 'RolloutStopped', action: 'UpdateInPlace', note });
  } catch (error) {
    log.warn('nobody could be told that a rollout is stopped', { object: `${namespace}/${name}`, why, error: reasonOf(error) });
  }
};
