/** Writes of our controllers: only what is ours, only what changes, noted in the cache at once. A refusal (409) goes back to the queue. */
import { isDeepStrictEqual } from 'node:util';
import type { Tools } from '../controller.ts';
import { KubeError } from '../api.ts';
import { fieldManager } from '../names.ts';
import { apiVersionOf, keyOf } from '../objects.ts';
import type { Kind, KubeObject } from '../objects.ts';
import { mergePatchBetween } from '../patch.ts';

type Fields = Readonly<Record<string, unknown>>;
/** Each returns the object as it stands then, and writes nothing where it would change nothing. */
export interface Writer {
  addFinalizer(kind: Kind, object: KubeObject, finalizer: string): Promise<KubeObject>;
  removeFinalizer(kind: Kind, object: KubeObject, finalizer: string): Promise<KubeObject>;
  /** Makes the whole status this; what is no longer in it goes. */
  setStatus(kind: Kind, object: KubeObject, status: Fields): Promise<KubeObject>;
  /** Merges these fields (RFC 7386) into what is not status. */
  merge(kind: Kind, object: KubeObject, patch: Fields): Promise<KubeObject>;
  /** Creates it, or makes of an existing one what stands here and takes back what no longer does, by server-side apply. */
  apply(kind: Kind, object: KubeObject): Promise<KubeObject>;
}

const uidOf = ({ metadata: { uid } }: KubeObject): { readonly uid?: string } => (uid === undefined ? {} : { uid });
const seen = (object: KubeObject): { readonly uid?: string; readonly resourceVersion?: string } => {
  const { resourceVersion } = object.metadata;
  return { ...uidOf(object), ...(resourceVersion === undefined ? {} : { resourceVersion }) };
};

/** Every write says which object it saw, by uid; one that makes a list anew says which version as well. */
export const writerOf = ({ api, cache }: Pick<Tools, 'api' | 'cache'>): Writer => {
  const noted = (kind: Kind, object: KubeObject): KubeObject => {
    cache.note(kind, object);
    return object;
  };
  const setFinalizers = async (kind: Kind, object: KubeObject, finalizers: readonly string[]): Promise<KubeObject> =>
    noted(kind, await api.patch(kind, keyOf(object), { metadata: { finalizers } }, { fieldManager, ...seen(object) }));
  return {
    addFinalizer: async (kind, object, finalizer) => {
      const { finalizers = [], deletionTimestamp } = object.metadata;
      // To an object that goes no finalizer can be added any more.
      if (finalizers.includes(finalizer) || deletionTimestamp !== undefined) return object;
      return await setFinalizers(kind, object, [...finalizers, finalizer]);
    },
    removeFinalizer: async (kind, object, finalizer) => {
      const { finalizers = [] } = object.metadata;
      if (!finalizers.includes(finalizer)) return object;
      const left = finalizers.filter((one) => one !== finalizer);
      try {
        return await setFinalizers(kind, object, left);
      } catch (error) {
        // With its last finalizer an object is gone, and the watch tells that later than the API server answers the write.
        if (!(error instanceof KubeError) || error.httpStatus !== 404) throw error;
        return { ...object, metadata: { ...object.metadata, finalizers: left } };
      }
    },
    setStatus: async (kind, object, status) => {
      const change = mergePatchBetween(object.status === undefined ? {} : (object.status as Fields), status);
      if (change === undefined) return object;
      // The conditions are a list, and a merge patch takes lists whole: nobody else's may have come meanwhile.
      const guard = 'conditions' in change ? seen(object) : uidOf(object);
      const options = { fieldManager, subresource: 'status' as const, ...guard };
      return noted(kind, await api.patch(kind, keyOf(object), { status: change }, options));
    },
    merge: async (kind, object, patch) => {
      if (isMerged(object as unknown as Fields, patch)) return object;
      return noted(kind, await api.patch(kind, keyOf(object), patch, { fieldManager, ...uidOf(object) }));
    },
    apply: async (kind, object) => {
      const whole = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind };
      const known = cache.get(kind, keyOf(object));
      if (known !== undefined && isApplied(known, whole)) return known;
      return noted(kind, await api.apply(kind, whole, { fieldManager, force: true }));
    },
  };
};
/** Would this merge patch change nothing? */
const isMerged = (object: Fields, patch: Fields): boolean =>
  Object.entries(patch).every(([name, wanted]) => {
    const known = object[name];
    if (wanted === undefined) return true;
    if (wanted === null) return known === undefined || known === null;
    const isInner =
      typeof wanted === 'object' && !Array.isArray(wanted) && typeof known === 'object' && known !== null && !Array.isArray(known);
    return isInner ? isMerged(known as Fields, wanted as Fields) : isDeepStrictEqual(known, wanted);
  });
/** Of the metadata others have their part; the rest of an object that we apply is ours alone, and the status is written on its own. */
const isApplied = (known: KubeObject, wanted: KubeObject): boolean => {
  const { metadata: knownMeta, status: _known, ...knownRest } = known;
  const { metadata, status: _wanted, ...rest } = wanted;
  return isDeepStrictEqual(knownRest, rest) && isMerged(knownMeta as unknown as Fields, metadata as unknown as Fields);
};
