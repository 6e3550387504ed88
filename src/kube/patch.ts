/** The smallest JSON merge patch (RFC 7386) between two values, so that a write says only what it changes. */
import { isDeepStrictEqual } from 'node:util';

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What makes `before` into `after`; undefined where they are the same. Lists are taken whole; what is undefined in `after` goes. */
export const mergePatchBetween = (before: Fields, after: Fields): Fields | undefined => {
  const changes = [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name): readonly (readonly [string, unknown])[] => {
    const [old, now] = [before[name], after[name]];
    if (now === undefined) return old === undefined ? [] : [[name, null]];
    if (isFields(old) && isFields(now)) {
      const inner = mergePatchBetween(old, now);
      return inner === undefined ? [] : [[name, inner]];
    }
    return isDeepStrictEqual(old, now) ? [] : [[name, now]];
  });
  return changes.length === 0 ? undefined : Object.fromEntries(changes);
};
