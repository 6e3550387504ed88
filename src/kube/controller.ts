/** What a reconciler is and what it is given: a key in, one look at the cache, one step, and when to look again. */
import type { Log, World } from '../world/world.ts';
import type { KubeApi } from './api.ts';
import type { Metal } from './metal.ts';
import type { Key, Kind, KubeObject } from './objects.ts';

export interface Result {
  /** Look again after so long, whatever happens; absent: when something changes, or at the resync. */
  readonly requeueAfterMs?: number;
}
/** What was last heard of the API server; may be some moments old. */
export interface Cache {
  get(kind: Kind, key: Key): KubeObject | undefined;
  list(kind: Kind, namespace?: string): readonly KubeObject[];
  /** By a value that a `Watch.index` of this kind gave. */
  by(kind: Kind, index: string, value: string): readonly KubeObject[];
  /** What we wrote ourselves, so that the next look sees it before the watch tells it. An older version than the known one is ignored. */
  note(kind: Kind, object: KubeObject): void;
}
/** For people, at the object (events.k8s.io); the same one again is counted, not written. */
export interface EventSink {
  record(
    object: KubeObject,
    event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly action: string; readonly note: string },
  ): void;
}
/** What all reconcilers share. */
export interface Tools {
  readonly world: World;
  readonly log: Log;
  readonly api: KubeApi;
  readonly cache: Cache;
  readonly metal: Metal;
  readonly events: EventSink;
  readonly settings: ControllerSettings;
  /** Look at this object again, e.g. because its host changed. */
  wake(kind: Kind, key: Key): void;
}
export interface ControllerSettings {
  /** Only objects of this namespace; all when absent. */
  readonly namespace?: string;
  /** Only objects whose label `cluster.x-k8s.io/watch-filter` has this value. */
  readonly watchFilter?: string;
  /** Which pools of hosts a namespace may claim from; of namespaces that are not named `*` is asked. Default: `{ '*': ['default'] }`. */
  readonly pools: Readonly<Record<string, readonly string[]>>;
  /** A host of a deleted machine is kept so long for the next machine of the same owner. */
  readonly reuseSeconds: number;
}
/** One kind that is listed and watched once for all controllers. */
export interface Watch {
  readonly kind: Kind;
  /** Values by which objects are found again: `{ cluster: ['ns/c1'] }`. */
  readonly index?: (object: KubeObject) => Readonly<Record<string, readonly string[]>>;
  /** Drops what nobody reads, before it is kept. */
  readonly trim?: (object: KubeObject) => KubeObject;
  readonly labelSelector?: string;
}
export interface Reconciler {
  /** Its objects. */
  readonly kind: Kind;
  /** Other kinds whose changes concern them: which keys. */
  readonly also?: readonly { readonly kind: Kind; readonly keys: (object: KubeObject, cache: Cache) => readonly Key[] }[];
  /** Never throws for what the outside does: that becomes a condition. What is thrown is tried again with back-off. */
  reconcile(key: Key, signal: AbortSignal): Promise<Result>;
}
