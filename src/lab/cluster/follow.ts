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
import { machineBar, newsLine, waitLine } from './show.ts';
import { changes, isUp, nothingSeen, viewOf } from './view.ts';
import type { ClusterView } from './view.ts';

const pollMs = 1_000;
/** Whoever looks on is told that it goes on, where nothing is new for so long. */
const silentMs = 60_000;

/** Waits for nothing but somebody else. */
const isOver = ({ state, facts, failed, claim }: HostJson): boolean =>
  failed !== null || (state === 'provisioned' && facts.phonedHome !== null) || (state === 'available' && claim === null);

/** What a person looks at from beginning to end. */
export interface Screen {
  /** Of the hosts, since the last call. */
  readonly news: ReturnType<typeof followHosts>;
  readonly draw: ReturnType<typeof screenOf>;
  readonly columns: number | undefined;
  /** What the times of lines are counted from. */
  readonly since: number;
}
export const openScreen = (clock: World['clock'], admin: Admin, show: Show): Screen => {
  const since = clock.now();
  return { news: followHosts({ clock }, admin, { since, show, isOver }), draw: screenOf(show), columns: show?.columns, since };
};

interface InspectionOptions {
  readonly screen: Screen;
  readonly withinMs: number;
  readonly interrupt: AbortSignal;
}
/** Resolves when every server can be claimed. Throws `timed-out`, and `internal` where one of them failed. */
export const followInspection = async ({ clock }: World, options: InspectionOptions): Promise<void> => {
  const { news, draw, columns } = options.screen;
  const until = clock.now() + options.withinMs;
  for (;;) {
    const { hosts, lines } = await news();
    draw(
      lines,
      hosts.map((host) => hostBar(host, columns)),
    );
    if (options.interrupt.aborted || hosts.every(({ state }) => state === 'available')) return;
    const failed = hosts.find((host) => host.failed !== null);
    if (failed !== undefined)
      throw new RemudaError('internal', `the server ${failed.name} was not inspected: ${failed.failed?.reason ?? ''}`);
    if (clock.now() > until)
      throw new RemudaError('timed-out', `not all servers were inspected: ${hosts.map((one) => `${one.name}: ${one.doing}`).join('; ')}`);
    await clock.sleep(pollMs);
  }
};

export interface FollowOptions extends InspectionOptions {
  readonly door: Door;
  readonly name: string;
  /** How many nodes it is to have. */
  readonly hosts: number;
}
export interface Followed {
  readonly hosts: readonly HostJson[];
  readonly view: ClusterView;
  readonly isUp: boolean;
  readonly times: Times;
}

const at = (group: string, plural: string): string => `/apis/${group}/v1beta2/namespaces/${namespace}/${plural}`;
const look = async (door: Door, name: string): Promise<ClusterView> => {
  const [cluster, controlPlane, machines, infra] = await Promise.all([
    door.get(`${at(apis.core, 'clusters')}/${name}`),
    door.get(`${at(apis.controlPlane, 'kubeadmcontrolplanes')}/${name}-control-plane`),
    door.get(at(apis.core, 'machines')),
    door.get(at(apis.infra, 'baremetalmachines')),
  ]);
  return viewOf({ cluster, controlPlane, machines, infra });
};

/** Resolves when the cluster is up, when a host has failed for good, or when the time is over. */
export const followCluster = async ({ clock, log }: World, options: FollowOptions): Promise<Followed> => {
  const { door, name } = options;
  const { news, draw, columns, since } = options.screen;
  const began = clock.now();
  const until = began + options.withinMs;
  const times: Times = {};
  let view = nothingSeen;
  let toldAt = began;
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
    const seenAt = clock.now();
    for (const [milestone, when] of reached(now, hosts, seenAt)) times[milestone] ??= Math.max(0, Math.round((when - began) / 100) / 10);
    const told = changes(view, now).map((one) => newsLine(one, seenAt - since));
    view = now;
    if (lines.length + told.length > 0) toldAt = seenAt;
    if (seenAt - toldAt >= silentMs) {
      toldAt = seenAt;
      told.push(waitLine(times, seenAt - since));
    }
    draw(
      [...lines, ...told],
      hosts.flatMap((host) => [hostBar(host, columns), machineBar(host.name, view, columns)]),
    );
    const up = isUp(view, options.hosts);
    const failed = hosts.some((host) => host.failed !== null);
    if (up || failed || seenAt > until || options.interrupt.aborted) return { hosts, view, isUp: up, times };
    await clock.sleep(pollMs);
  }
};
