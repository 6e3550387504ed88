/** Where hosts stand as seen from each other: the places of one group, and which of several hosts spreads it or keeps it together. */
import type { Host, PlacementRule } from './host.ts';

/** The host's place by `failureDomain`, `rack` or a label; undefined where nobody said it. */
export const placeOf = ({ profile }: Host, by: string): string | undefined => {
  if (by === 'failureDomain') return profile.failureDomain ?? undefined;
  if (by === 'rack') return profile.rack ?? undefined;
  return profile.labels[by];
};
/** How many hosts of the group stand at each place. A host of the group whose place nobody said counts at none. */
export const placesOf = (hosts: readonly Host[], { group, by }: PlacementRule): ReadonlyMap<string, number> => {
  const places = new Map<string, number>();
  for (const host of hosts) {
    if (host.claim?.asked?.placement?.group !== group) continue;
    const place = placeOf(host, by);
    if (place !== undefined) places.set(place, (places.get(place) ?? 0) + 1);
  }
  return places;
};

/** Why the host may not join the group; undefined where it may. */
export const misplaced = (host: Host, rule: PlacementRule, places: ReadonlyMap<string, number>): string | undefined => {
  const { group, by, mode } = rule;
  if (mode === 'spread' || (mode === 'together' && places.size === 0)) return undefined;
  const place = placeOf(host, by);
  if (place === undefined) return `its ${by} is not known, so it cannot be ${mode === 'together' ? 'with' : 'apart from'} group ${group}`;
  const count = places.get(place) ?? 0;
  if (mode === 'together') return count > 0 ? undefined : `its ${by} is ${place}, group ${group} is in ${[...places.keys()].join(', ')}`;
  return count === 0 ? undefined : `group ${group} has ${count} in its ${by} ${place} already`;
};
/** The lower, the sooner it is taken. A host whose place nobody said comes last: nobody can tell what it would share. */
export const crowd = (host: Host, { by, mode }: PlacementRule, places: ReadonlyMap<string, number>): number => {
  const place = placeOf(host, by);
  if (place === undefined) return Number.MAX_SAFE_INTEGER;
  return mode === 'together' ? 0 : (places.get(place) ?? 0);
};
