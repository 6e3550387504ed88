/** What a cluster reaches on its way, and when: pure. */
import type { HostJson } from '../../api/types.ts';
import type { ClusterView } from './view.ts';

/** What is waited for, in the order in which it comes; of the workers the last one counts. */
export const milestones = [
  'controlPlaneClaimed',
  'controlPlaneWritten',
  'controlPlaneInitialized',
  'controlPlaneReady',
  'controlPlaneAvailable',
  'workersClaimed',
  'workersWritten',
  'workersReady',
  'clusterAvailable',
] as const;
export type Milestone = (typeof milestones)[number];
/** Seconds since `kubectl apply`. */
export type Times = Partial<Record<Milestone, number>>;

const written = ({ claim, facts: { installed } }: HostJson): number | undefined =>
  installed !== null && installed.claimId === claim?.id ? installed.at : undefined;

/** What is so by now, and since when where somebody knows it better than the one who looks. */
export const reached = (view: ClusterView, hosts: readonly HostJson[], now: number): ReadonlyMap<Milestone, number> => {
  const found = new Map<Milestone, number>();
  const all = (isControlPlane: boolean, milestone: Milestone, at: (host: HostJson) => number | undefined): void => {
    const machines = view.machines.filter((machine) => machine.isControlPlane === isControlPlane);
    const times = machines.map(({ host: name }) => {
      const host = hosts.find((one) => one.name === name);
      return host === undefined ? undefined : at(host);
    });
    const known = times.filter((time) => time !== undefined);
    if (known.length > 0 && known.length === machines.length) found.set(milestone, Math.max(...known));
  };
  const ready = ({ name }: HostJson): number | undefined =>
    view.machines.some(({ host, nodeReady, phase }) => host === name && nodeReady && phase === 'Running') ? now : undefined;
  all(true, 'controlPlaneClaimed', ({ claim }) => claim?.createdAt);
  all(true, 'controlPlaneWritten', written);
  if (view.initialized) found.set('controlPlaneInitialized', now);
  all(true, 'controlPlaneReady', ready);
  if (view.controlPlaneAvailable) found.set('controlPlaneAvailable', now);
  all(false, 'workersClaimed', ({ claim }) => claim?.createdAt);
  all(false, 'workersWritten', written);
  all(false, 'workersReady', ready);
  if (view.available) found.set('clusterAvailable', now);
  return found;
};
