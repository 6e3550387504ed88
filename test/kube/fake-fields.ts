/** What the API server does with the fields of an object: merge patch, who owns which field, selectors. */
import { isDeepStrictEqual } from 'node:util';

export type Json = Record<string, unknown>;
export const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7386 */
export const mergePatch = (target: unknown, patch: unknown): unknown => {
  if (!isJson(patch)) return structuredClone(patch);
  const merged: Json = isJson(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
};

/** Lists whose items have a name: `x-kubernetes-list-type: map`; finalizers are a set. All others are taken whole. */
const listKeys: Readonly<Record<string, string>> = {
  conditions: 'type',
  v1beta1Conditions: 'type',
  failureDomains: 'name',
  ownerReferences: 'uid',
};
const keyOfItem = (list: string | undefined, item: unknown): string | undefined => {
  if (list === 'finalizers' && typeof item === 'string') return `=${item}`;
  const key = list === undefined ? undefined : listKeys[list];
  if (key === undefined || !isJson(item)) return undefined;
  return `${key}=${String(item[key])}`;
};
const itemsOf = (name: string | undefined, value: unknown): readonly (readonly [string, unknown])[] | undefined => {
  if (isJson(value)) return Object.entries(value);
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const items = value.map((item: unknown) => [keyOfItem(name, item), item] as const);
  return items.some(([key]) => key === undefined) ? undefined : (items as [string, unknown][]);
};
/** A path as text; its parts hold no NUL. */
export const pathOf = (parts: readonly string[]): string => parts.join('\0');
/** Every leaf of `value` by its path. */
export const leavesOf = (value: unknown, above: readonly string[] = [], leaves = new Map<string, unknown>()): Map<string, unknown> => {
  const items = itemsOf(above.at(-1), value);
  if (items === undefined || items.length === 0) {
    if (above.length > 0) leaves.set(pathOf(above), value);
    return leaves;
  }
  for (const [name, inner] of items) leavesOf(inner, [...above, name], leaves);
  return leaves;
};
const findItem = (list: unknown[], name: string | undefined, key: string): number =>
  list.findIndex((item) => keyOfItem(name, item) === key);

/** Sets the leaf at this path in place; lists that do not exist yet are made as the path says. */
export const setLeaf = (target: Json, parts: readonly string[], value: unknown): void => {
  let at: Json | unknown[] = target;
  for (const [depth, part] of parts.entries()) {
    const isLast = depth === parts.length - 1;
    if (Array.isArray(at)) {
      const name = parts[depth - 1];
      const found = findItem(at, name, part);
      if (isLast || found < 0) {
        const [key = '', ...named] = part.split('=');
        const fresh: unknown = isLast ? value : { [key]: named.join('=') };
        if (found < 0) at.push(fresh);
        else at[found] = fresh;
        at = fresh as Json;
      } else at = at[found] as Json;
      continue;
    }
    if (isLast) {
      at[part] = value;
      return;
    }
    const next = parts[depth + 1] ?? '';
    const isList = (part === 'finalizers' || listKeys[part] !== undefined) && next.includes('=');
    const inner = at[part];
    if (isList ? !Array.isArray(inner) : !isJson(inner)) at[part] = isList ? [] : {};
    at = at[part] as Json | unknown[];
  }
};
/** `conditions.type=Ready.type`: by which its item is found. */
const isItemKey = (path: string): boolean => {
  const [above = '', last = ''] = path.split('\0').slice(-2);
  return above.startsWith(`${last}=`);
};
/** Removes the leaf at this path in place, and what is empty above it then. An item's key goes only when nothing else of it is left. */
export const dropLeaf = (target: Json | unknown[], parts: readonly string[], above?: string): void => {
  const [part, ...rest] = parts;
  if (part === undefined) return;
  if (Array.isArray(target)) {
    const found = findItem(target, above, part);
    if (found < 0) return;
    const item = target[found];
    if (rest.length > 0 && isJson(item)) dropLeaf(item, rest, part);
    if (rest.length === 0 || (isJson(item) && Object.keys(item).length === 0)) target.splice(found, 1);
    return;
  }
  const inner = target[part];
  if (rest.length === 0) {
    if (isItemKey(`${above}\0${part}`) && Object.keys(target).length > 1) return;
    delete target[part];
    return;
  }
  if (!isJson(inner) && !Array.isArray(inner)) return;
  dropLeaf(inner, rest, part);
  if (Object.keys(inner).length === 0) delete target[part];
};

/** Who owns which leaves: by `manager|operation|subresource`. */
export type Owners = Map<string, Set<string>>;
/** A write that is no apply: what it changed is its own now, and nobody else's; what is gone is nobody's. */
export const ownChanged = (owners: Owners, owner: string, before: unknown, after: unknown): void => {
  const old = leavesOf(before);
  const now = leavesOf(after);
  const changed = [...now].filter(([path, value]) => !isDeepStrictEqual(old.get(path), value)).map(([path]) => path);
  for (const [name, paths] of owners)
    for (const path of Array.from(paths)) if (!now.has(path) || (name !== owner && changed.includes(path))) paths.delete(path);
  const mine = owners.get(owner) ?? new Set();
  for (const path of changed) mine.add(path);
  owners.set(owner, mine);
};
/** `{}` says that there is an object, not that it is empty. */
const isThere = (now: ReadonlyMap<string, unknown>, path: string, value: unknown): boolean =>
  isDeepStrictEqual(now.get(path), value) ||
  (isJson(value) && Object.keys(value).length === 0 && [...now.keys()].some((other) => other.startsWith(`${path}\0`)));
/** Other owners of leaves that `applied` wants otherwise than they are. */
export const conflictsOf = (owners: Owners, owner: string, live: unknown, applied: unknown): readonly string[] => {
  const now = leavesOf(live);
  return [...leavesOf(applied)].flatMap(([path, value]) => {
    if (isThere(now, path, value)) return [];
    return [...owners]
      .filter(([name, paths]) => name !== owner && paths.has(path))
      .map(([name]) => `${name.split('|')[0]} owns .${path.replaceAll('\0', '.')}`);
  });
};
/** Server-side apply onto `live`, in place: sets what is applied, drops what this owner no longer applies and nobody else owns. */
export const applyOnto = (owners: Owners, owner: string, live: Json, applied: unknown): void => {
  const wanted = leavesOf(applied);
  const now = leavesOf(live);
  const before = owners.get(owner) ?? new Set();
  owners.set(owner, new Set(wanted.keys()));
  for (const path of Array.from(before).toSorted((a, b) => Number(isItemKey(a)) - Number(isItemKey(b)))) {
    const isKept = wanted.has(path) || [...owners].some(([name, paths]) => name !== owner && paths.has(path));
    // A leaf that became an object, or the reverse, is set below.
    if (!isKept && ![...wanted.keys()].some((other) => other.startsWith(`${path}\0`))) dropLeaf(live, path.split('\0'));
  }
  for (const [path, value] of wanted) {
    if (isThere(now, path, value)) continue;
    for (const [name, paths] of owners) if (name !== owner) paths.delete(path);
    setLeaf(live, path.split('\0'), structuredClone(value));
  }
};

const requirement = (text: string): ((values: Readonly<Record<string, string>>) => boolean) => {
  const set = /^([^\s!=]+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(text);
  if (set !== null) {
    const [, name = '', how, list = ''] = set;
    const among = list.split(',').map((one) => one.trim());
    return (values) => among.includes(values[name] ?? '\0') === (how === 'in');
  }
  const [, name = '', sign, value = ''] = /^([^\s!=]+)\s*(!=|==?)\s*(.*)$/.exec(text) ?? [];
  if (sign === '!=') return (values) => values[name] !== value;
  if (sign !== undefined) return (values) => values[name] === value;
  return text.startsWith('!') ? (values) => values[text.slice(1)] === undefined : (values) => values[text] !== undefined;
};
/** `a=b,c!=d,e,!f,g in (h,i)` */
export const selects = (selector: string | undefined, values: Readonly<Record<string, string>>): boolean =>
  (selector ?? '')
    .split(/,(?![^(]*\))/)
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .every((text) => requirement(text)(values));
/** `metadata.name=x`, `spec.nodeName=y`: any field by its path. */
export const selectsField = (selector: string | undefined, object: unknown): boolean =>
  (selector ?? '')
    .split(',')
    .filter((text) => text !== '')
    .every((text) => {
      const [, path = '', sign, wanted] = /^([^!=]+)(!=|==?)(.*)$/.exec(text) ?? [];
      const value = path.split('.').reduce<unknown>((inner, part) => (isJson(inner) ? inner[part] : undefined), object);
      return ((typeof value === 'string' ? value : '') === wanted) === (sign !== '!=');
    });
