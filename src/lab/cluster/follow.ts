/** Follows a cluster until it is up: what the API server says of it, what the daemon says of its hosts, and when what was seen first. */
import type { HostJson } from '../../api/types.ts';
import { RemudaError, reasonOf } from '../../errors.ts';
import type { World } from '../../world/world.ts';
import type { Admin } from '../admin.ts';
import { followHosts, screenOf } from '../news.ts';
import type { Show } from '../news.ts';
import type { Door } from '../plane/door.ts';
import { hostBar } from '../show.ts';
import { apis, namespace } from './manifest.ts';
import { reached } from './milestones.ts';
import type { Times } from './milestones.ts';
import { machineBar, newsLine } from './show.ts';
import { changes, isUp, nothingSeen, viewOf } from './view.ts';
import type { ClusterView } from './view.ts';

const pollMs = 1_000;

export interface FollowOptions {
  readonly door: Door;
  readonly admin: Admin;
  readonly name: string;
  readonly hosts: number;
  readonly since: number;
  readonly withinMs: number;
  readonly show: Show;
  readonly interrupt: AbortSignal;
}
export interface Followed {
  readonly hosts: readonly HostJson[];
  readonly view: ClusterView;
  readonly isUp: boolean;
  readonly times: Times;
}

const look = async (door: Door, name: string): Promise<ClusterView> => {
  const at = (group: string, plural: string): string => `/apis/${group}/v1beta2/namespaces/${namespace}/${plural}`;
  const [cluster, controlPlane, machines, infra] = await Promise.all([
    door.get(`${at(apis.core, 'clusters')}/${name}`),
    door.get(`${at(apis.controlPlane, 'kubeadmcontrolplanes')}/${name}-control-plane`),
    door.get(at(apis.core, 'machines')),
    door.get(at(apis.infra, 'baremetalmachines')),
  ]);
  return viewOf({ cluster, controlPlane, machines, infra });
};

/** Waits for nothing but somebody else. */
const isOver = ({ state, facts, failed, claim }: HostJson): boolean =>
  failed !== null || (state === 'provisioned' && facts.phonedHome !== null) || (state === 'available' && claim === null);

/** Resolves when the cluster is up, when a host has failed for good, or when the time is over. */
export const followCluster = async ({ clock, log }: World, options: FollowOptions): Promise<Followed> => {
  const { door, admin, name, since, show } = options;
  const draw = screenOf(show);
  const news = followHosts({ clock }, admin, { since, show, isOver });
  const until = clock.now() + options.withinMs;
  const times: Times = {};
  let view = nothingSeen;
  for (;;) {
    const { hosts, lines } = await news();
    let now = view;
    try {
      now = await look(door, name);
    } catch (error) {
      // An API server that is busy is asked again; for how long is the caller's word.
      if (!(error instanceof RemudaError)) throw error;
      log.warn('the management cluster did not answer', { reason: reasonOf(error) });
    }
    const at = clock.now();
    for (const [milestone, when] of reached(now, hosts, at)) times[milestone] ??= Math.max(0, Math.round((when - since) / 100) / 10);
    const told = changes(view, now).map((one) => newsLine(one, at - since));
    view = now;
    draw(
      [...lines, ...told],
      hosts.flatMap((host) => [hostBar(host, show?.columns), machineBar(host.name, view, show?.columns)]),
    );
    const up = isUp(view, options.hosts);
    const failed = hosts.some((host) => host.failed !== null);
    if (up || failed || at > until || options.interrupt.aborted) return { hosts, view, isUp: up, times };
    await clock.sleep(pollMs);
  }
};
