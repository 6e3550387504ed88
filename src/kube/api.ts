/** The door to a Kubernetes API server: few verbs over any kind. Once for real (client/), once in memory (test/kube), under one suite. */
import { RemudaError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Key, Kind, KubeObject } from './objects.ts';

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** `0` may be answered from the server's cache; absent: as of now. */
  readonly resourceVersion?: string;
}
export interface Listed {
  readonly items: readonly KubeObject[];
  /** Where a watch begins. */
  readonly resourceVersion: string;
}
export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  /** Nothing changed; a watch may go on from this version. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };
export interface ApplyOptions {
  readonly fieldManager: string;
  /** Take fields that another manager owns; our own controllers do. */
  readonly force?: boolean;
  readonly subresource?: 'status';
  readonly dryRun?: boolean;
}
export interface PatchOptions {
  readonly fieldManager: string;
  readonly subresource?: 'status';
  /** Refused with 409 where the object is another by now. */
  readonly resourceVersion?: string;
  readonly uid?: string;
}
export interface DeleteOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface KubeApi {
  /** Where it is, for people. */
  readonly server: string;
  /** undefined where there is none. */
  get(kind: Kind, key: Key): Promise<KubeObject | undefined>;
  /** All pages of it, in one consistent version. */
  list(kind: Kind, options?: ListOptions): Promise<Listed>;
  /**
   * From `resourceVersion` on, with bookmarks; ends when the server ends it. Throws KubeError: 410 where the version is too old; where
   * nothing was heard for `limits.kubeWatchSilenceMs` 504.
   */
  watch(kind: Kind, options: ListOptions & { readonly resourceVersion: string }, signal: AbortSignal): AsyncIterable<WatchEvent>;
  create(kind: Kind, object: KubeObject, fieldManager: string): Promise<KubeObject>;
  /** Server-side apply: what stands in `object` and nothing else becomes ours. */
  apply(kind: Kind, object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  /** JSON merge patch (RFC 7386). */
  patch(kind: Kind, key: Key, patch: unknown, options: PatchOptions): Promise<KubeObject>;
  /** With the version that was read: refused with 409 where it is another by now. */
  replace(kind: Kind, object: KubeObject, fieldManager: string): Promise<KubeObject>;
  /** No error where there is none. */
  delete(kind: Kind, key: Key, options?: DeleteOptions): Promise<void>;
  /** POST to a subresource, such as `eviction` of a pod. */
  post(kind: Kind, key: Key, subresource: string, body: unknown): Promise<void>;
}

/** The API server refused, or could not be reached: `status` as HTTP has it, 0 where there was no answer. */
export class KubeError extends RemudaError {
  readonly httpStatus: number;
  /** `Conflict`, `AlreadyExists`, `Expired`, `Forbidden`, …; empty where none was told. */
  readonly reason: string;
  /** As the server asked for it (429, 503). */
  readonly retryAfterMs: number | undefined;
  constructor(
    message: string,
    more: { readonly status: number; readonly reason?: string; readonly retryAfterMs?: number; readonly cause?: unknown },
  ) {
    super(kubeCode(more.status), message, more.cause === undefined ? {} : { cause: more.cause });
    this.httpStatus = more.status;
    this.reason = more.reason ?? '';
    this.retryAfterMs = more.retryAfterMs;
  }
}
const kubeCode = (status: number): Code => {
  if (status === 404) return 'not-found';
  if (status === 409) return 'version-conflict';
  if (status === 403 || status === 401) return 'forbidden';
  if (status === 400 || status === 422) return 'bad-request';
  if (status === 429) return 'rate-limited';
  return 'kube-failed';
};
export const isConflict = (error: unknown): boolean => error instanceof KubeError && error.httpStatus === 409;
export const isGone = (error: unknown): boolean => error instanceof KubeError && (error.httpStatus === 410 || error.reason === 'Expired');
