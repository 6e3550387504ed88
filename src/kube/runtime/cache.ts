/** What was last heard of the API server, found by key and by index; what is older never replaces what is newer. */
import type { Cache, Watch } from '../controller.ts';
import { keyOf } from '../objects.ts';
import type { Key, Kind, KubeObject } from '../objects.ts';

/** How one object changed, as reconcilers are woken by it. */
export interface Change {
  readonly now: KubeObject | undefined;
  readonly before: KubeObject | undefined;
}
/**
 * Versions are the server's own affair; but where both are plain numbers, as they are with etcd, the smaller is the older
 * (Kubernetes 1.35 makes it a promise, KEP-5504). Of what cannot be compared nothing is older.
 */
export const isOlder = (version: string | undefined, than: string | undefined): boolean => {
  const isNumber = /^[0-9]{1,30}$/;
  if (version === undefined || than === undefined || !isNumber.test(version) || !isNumber.test(than)) return false;
  return BigInt(version) < BigInt(than);
};
const versionOf = (object: KubeObject | undefined): string | undefined => object?.metadata.resourceVersion;
/** Who wrote which field is of interest to the server alone, and is half of every object. */
const withoutManagedFields = (object: KubeObject): KubeObject => {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _managedFields, ...metadata } = object.metadata as KubeObject['metadata'] & { readonly managedFields: unknown };
  return { ...object, metadata };
};

/** The objects of one watch. */
export class Shelf {
  readonly #watch: Watch;
  readonly #objects = new Map<Key, KubeObject>();
  /** By `index\0value`. */
  readonly #indexed = new Map<string, Set<Key>>();
  /** So far the watch was heard: what is not here was deleted, up to this version. */
  #heard = '';

  constructor(watch: Watch) {
    this.#watch = watch;
  }
  get heard(): string {
    return this.#heard;
  }
  get size(): number {
    return this.#objects.size;
  }
  get(key: Key): KubeObject | undefined {
    return this.#objects.get(key);
  }
  list(namespace?: string): readonly KubeObject[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace);
  }
  by(index: string, value: string): readonly KubeObject[] {
    const keys = this.#indexed.get(`${index}\0${value}`) ?? [];
    return [...keys].flatMap((key) => this.#objects.get(key) ?? []);
  }
  /** As a watch brings it; undefined where we know it newer. */
  put(object: KubeObject): Change | undefined {
    const change = this.#put(object);
    this.hear(versionOf(object));
    return change;
  }
  remove(object: KubeObject): Change | undefined {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    this.hear(versionOf(object));
    if (before === undefined || isOlder(versionOf(object), versionOf(before))) return undefined;
    this.#drop(key);
    return { now: undefined, before };
  }
  /** All there is as of `version`; what we wrote after that stays. */
  replace(objects: readonly KubeObject[], version: string): readonly Change[] {
    const keys = new Set(objects.map(keyOf));
    const gone = [...this.#objects].filter(([key, object]) => !keys.has(key) && !isOlder(version, versionOf(object)));
    for (const [key] of gone) this.#drop(key);
    const put = objects.flatMap((object) => this.#put(object) ?? []);
    this.#heard = version;
    return [...gone.map(([, before]) => ({ now: undefined, before })), ...put];
  }
  /** Forgets all, so that whatever comes next is believed: the server was set back to an earlier state. */
  forget(): void {
    this.#objects.clear();
    this.#indexed.clear();
    this.#heard = '';
  }
  /** What we wrote: known at once. Where the watch is already past it and has none of it, it was deleted meanwhile. */
  note(object: KubeObject): void {
    const isPast = this.#heard !== '' && !isOlder(this.#heard, versionOf(object));
    if (isPast && !this.#objects.has(keyOf(object))) return;
    this.#put(object);
  }
  hear(version: string | undefined): void {
    if (version !== undefined && version !== '' && !isOlder(version, this.#heard)) this.#heard = version;
  }

  #put(object: KubeObject): Change | undefined {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (isOlder(versionOf(object), versionOf(before))) return undefined;
    if (before !== undefined && versionOf(before) === versionOf(object) && versionOf(object) !== undefined) return undefined;
    const slim = withoutManagedFields(object);
    const now = this.#watch.trim?.(slim) ?? slim;
    this.#drop(key);
    this.#objects.set(key, now);
    for (const place of this.#placesOf(now)) {
      const keys = this.#indexed.get(place) ?? new Set<Key>();
      this.#indexed.set(place, keys);
      keys.add(key);
    }
    return { now, before };
  }
  #drop(key: Key): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#objects.delete(key);
    for (const place of this.#placesOf(object)) {
      const keys = this.#indexed.get(place);
      keys?.delete(key);
      if (keys?.size === 0) this.#indexed.delete(place);
    }
  }
  #placesOf(object: KubeObject): readonly string[] {
    return Object.entries(this.#watch.index?.(object) ?? {}).flatMap(([index, values]) => values.map((value) => `${index}\0${value}`));
  }
}

export const resourceOf = ({ group, plural }: Pick<Kind, 'group' | 'plural'>): string => (group === '' ? plural : `${plural}.${group}`);
/** The shelves of all watches as reconcilers see them; of kinds that nobody watches there is nothing. */
export const cacheOf = (shelves: ReadonlyMap<string, Shelf>): Cache => ({
  get: (kind, key) => shelves.get(resourceOf(kind))?.get(key),
  list: (kind, namespace) => shelves.get(resourceOf(kind))?.list(namespace) ?? [],
  by: (kind, index, value) => shelves.get(resourceOf(kind))?.by(index, value) ?? [],
  note: (kind, object) => shelves.get(resourceOf(kind))?.note(object),
});
