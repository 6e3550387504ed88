/** Follows the rack and wakes what its changes concern: machines of a host, machines without one, clusters, and the mirror. */
import { isDeepStrictEqual } from 'node:util';
import type { HostJson } from '../../api/types.ts';
import { reasonOf } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Tools } from '../controller.ts';
import { keyOf, kinds } from '../objects.ts';
import type { Kind } from '../objects.ts';
import { objectNames } from './rack-host.ts';

export interface Following {
  /** Kinds whose objects hold hosts, with the indexes `claim` and `waiting`. */
  readonly machines: readonly Kind[];
  /** Kinds whose objects speak of the rack as a whole: failure domains, capacities. */
  readonly others?: readonly Kind[];
  /** Cluster-scoped objects need rights that a controller of one namespace may not have. */
  readonly isMirrored: boolean;
}
const claimsOf = ({ claim, release }: HostJson): readonly string[] => [claim?.id, release?.claimId].filter((id) => id !== undefined);
/** Of a host, what decides whether a waiting claim might get it now. */
const mightFit = ({ state, held, failed, claim, inventory, reservation }: HostJson): boolean =>
  state === 'available' && held === null && failed === null && claim === null && inventory !== null && reservation === null;
const placeOf = ({ profile, inventory, state }: HostJson): unknown => [profile, inventory, state === 'discovered'];

/** Bytes that are written come many times a second, and no object says them. */
const told = (host: HostJson | undefined): unknown => (host === undefined ? undefined : { ...host, progress: null });

/** What two looks at the rack differ in. Pure. */
export const changesBetween = (before: readonly HostJson[], after: readonly HostJson[]) => {
  const old = new Map(before.map((host) => [host.id, host]));
  const now = new Set(after.map(({ id }) => id));
  const gone = before.filter(({ id }) => !now.has(id));
  const changed = after.filter((host) => !isDeepStrictEqual(told(old.get(host.id)), told(host)));
  const moved = gone.length > 0 || changed.some((host) => !isDeepStrictEqual(placeOf(host), placesIn(old, host)));
  return {
    claims: [...new Set([...changed, ...gone, ...changed.flatMap(({ id }) => old.get(id) ?? [])].flatMap(claimsOf))],
    /** A host came within reach of those that wait: it is free now, or is another than it was. */
    hasRoom: changed.some((host) => {
      const was = old.get(host.id);
      return mightFit(host) && (was === undefined || !mightFit(was) || !isDeepStrictEqual(placeOf(was), placeOf(host)));
    }),
    /** Hosts came, went, or stand elsewhere: failure domains and capacities may be others. */
    isOther: moved,
    hosts: [...changed, ...gone].map(({ id }) => id),
  };
};
const placesIn = (old: ReadonlyMap<string, HostJson>, { id }: HostJson): unknown => {
  const host = old.get(id);
  return host === undefined ? undefined : placeOf(host);
};
const wakeAll = (tools: Tools, kind: Kind): void => {
  for (const object of tools.cache.list(kind)) tools.wake(kind, keyOf(object));
};
const wakeFor = (tools: Tools, following: Following, before: readonly HostJson[], after: readonly HostJson[]): void => {
  const { claims, hasRoom, isOther, hosts } = changesBetween(before, after);
  for (const kind of following.machines) {
    for (const claim of claims) for (const object of tools.cache.by(kind, 'claim', claim)) tools.wake(kind, keyOf(object));
    if (hasRoom) for (const object of tools.cache.by(kind, 'waiting', 'yes')) tools.wake(kind, keyOf(object));
  }
  if (isOther) for (const kind of following.others ?? [kinds.bareMetalCluster, kinds.bareMetalMachineTemplate]) wakeAll(tools, kind);
  if (!following.isMirrored || hosts.length === 0) return;
  const changed = new Set(hosts);
  // A host that goes may give its name to another one.
  for (const list of [before, after])
    for (const [name, { id }] of objectNames(list)) if (changed.has(id)) tools.wake(kinds.rackHost, `/${name}`);
};
/** Until the signal ends. Never throws for a rack that cannot be reached: it asks again, later each time. */
export const followRack = async (tools: Tools, following: Following, signal: AbortSignal): Promise<void> => {
  const { metal, world, log } = tools;
  let before: readonly HostJson[] = [];
  let pauseMs: number = limits.kubeBackoffFirstMs;
  let isFirst = true;
  while (!signal.aborted) {
    const looked = new AbortController();
    try {
      // Listening begins before looking, so that nothing is missed in between.
      const change = metal.changed(limits.kubeResyncMs, AbortSignal.any([signal, looked.signal]));
      change.catch(() => undefined);
      const after = await metal.hosts();
      wakeFor(tools, following, before, after);
      // What the API server has and the rack has not was forgotten while nobody looked.
      if (isFirst && following.isMirrored) wakeAll(tools, kinds.rackHost);
      isFirst = false;
      before = after;
      pauseMs = limits.kubeBackoffFirstMs;
      await change;
    } catch (error) {
      if (signal.aborted) return;
      log.warn('the rack cannot be followed; it is asked again', { reason: reasonOf(error), againMs: pauseMs });
      pauseMs = Math.min(pauseMs * 2, limits.kubeBackoffMostMs);
    } finally {
      looked.abort();
    }
    // A busy rack changes many times a second; looking at all hosts each time would help nobody.
    await world.clock.sleep(pauseMs, signal).catch(() => undefined);
  }
};
