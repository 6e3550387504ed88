/** The KubeApi for real: verbs as requests to one API server. */
import { HttpMethod } from '@kubernetes/client-node';
import type { World } from '../../world/world.ts';
import { isGone, KubeError } from '../api.ts';
import type { ApplyOptions, DeleteOptions, KubeApi, Listed, ListOptions, PatchOptions, WatchEvent } from '../api.ts';
import { apiVersionOf, keyOf } from '../objects.ts';
import type { Key, Kind, KubeObject } from '../objects.ts';
import { Connection, Deadline } from './connection.ts';
import type { ConnectionOptions, Wish } from './connection.ts';
import { createPath, listPath, objectPath } from './paths.ts';
import { isStatus, refused, refusedWith } from './refusal.ts';
import { eventsOf } from './watching.ts';

/** As client-go asks for. */
const pageSize = 500;
/** How long the server keeps a watch: it ends and is begun anew, so that connections spread over its replicas. */
const watchSeconds = { least: 300, more: 300 };

interface ListBody {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly KubeObject[] | null;
}
interface Options extends ConnectionOptions {
  readonly world: Pick<World, 'clock' | 'signal' | 'random'>;
}

export class KubeClient implements KubeApi {
  readonly server: string;
  readonly #connection: Connection;
  readonly #random: World['random'];

  constructor(options: Options) {
    this.#connection = new Connection(options);
    this.server = this.#connection.server;
    this.#random = options.world.random;
  }

  async get(kind: Kind, key: Key): Promise<KubeObject | undefined> {
    const wish: Wish = { what: `get ${kind.kind} ${key}`, method: HttpMethod.GET, path: objectPath(kind, key) };
    return await this.#orNone(wish);
  }
  async list(kind: Kind, options: ListOptions = {}): Promise<Listed> {
    try {
      return await this.#pages(kind, options);
    } catch (error) {
      // The version that the pages are of was compacted while we read them.
      if (!isGone(error)) throw error;
      return listedOf(kind, [await this.#page(kind, options, {})]);
    }
  }
  async *watch(kind: Kind, options: ListOptions & { readonly resourceVersion: string }, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const timeoutSeconds = String(watchSeconds.least + Math.floor(this.#random.next() * watchSeconds.more));
    const path = listPath(kind, options, { watch: '1', allowWatchBookmarks: 'true', timeoutSeconds });
    const wish: Wish = { what: `watch ${kind.kind}${within(options)}`, method: HttpMethod.GET, path };
    const asked = { what: wish.what, server: this.server };
    const deadline = new Deadline(this.#connection.world, this.#connection.limits.kubeWatchSilenceMs, signal);
    try {
      const response = await this.#connection.open(wish, deadline);
      if (response.httpStatusCode !== 200) {
        const { status, body, retryAfter } = await this.#connection.whole(wish, response, deadline);
        throw refusedWith(asked, status, body, retryAfter);
      }
      const chunks = heard(this.#connection.chunks(wish, response, deadline), deadline);
      yield* eventsOf(chunks, asked, this.#connection.limits.kubeReplyBytes);
    } finally {
      deadline.end();
    }
  }
  async create(kind: Kind, object: KubeObject, fieldManager: string): Promise<KubeObject> {
    const { namespace, name, generateName } = object.metadata;
    const path = createPath(kind, namespace, { fieldManager, fieldValidation: 'Strict' });
    const named = name === '' ? `${namespace ?? ''}/${generateName ?? ''}…` : keyOf(object);
    return (await this.#connection.expect({
      what: `create ${kind.kind} ${named}`,
      method: HttpMethod.POST,
      path,
      body: object,
    })) as KubeObject;
  }
  async apply(kind: Kind, object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const { fieldManager, force = false, subresource, dryRun = false } = options;
    const key = keyOf(object);
    const query = { fieldManager, force: String(force), fieldValidation: 'Strict', ...(dryRun ? { dryRun: 'All' } : {}) };
    const path = objectPath(kind, key, subresource, query);
    const contentType = 'application/apply-patch+yaml';
    const what = `apply ${partOf(subresource)}${kind.kind} ${key}`;
    return (await this.#connection.expect({ what, method: HttpMethod.PATCH, path, body: object, contentType })) as KubeObject;
  }
  async patch(kind: Kind, key: Key, patch: unknown, options: PatchOptions): Promise<KubeObject> {
    const { fieldManager, subresource, resourceVersion, uid } = options;
    const path = objectPath(kind, key, subresource, { fieldManager, fieldValidation: 'Strict' });
    const what = `patch ${partOf(subresource)}${kind.kind} ${key}`;
    const body = guarded(patch, { resourceVersion, uid });
    const contentType = 'application/merge-patch+json';
    try {
      return (await this.#connection.expect({ what, method: HttpMethod.PATCH, path, body, contentType })) as KubeObject;
    } catch (error) {
      throw uid !== undefined && isOtherObject(error)
        ? refused({ what, server: this.server }, { status: 409, why: anotherObject, cause: error })
        : error;
    }
  }
  async replace(kind: Kind, object: KubeObject, fieldManager: string): Promise<KubeObject> {
    const key = keyOf(object);
    const path = objectPath(kind, key, undefined, { fieldManager, fieldValidation: 'Strict' });
    return (await this.#connection.expect({
      what: `replace ${kind.kind} ${key}`,
      method: HttpMethod.PUT,
      path,
      body: object,
    })) as KubeObject;
  }
  async delete(kind: Kind, key: Key, options: DeleteOptions = {}): Promise<void> {
    const preconditions = { ...options };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions };
    await this.#orNone({ what: `delete ${kind.kind} ${key}`, method: HttpMethod.DELETE, path: objectPath(kind, key), body });
  }
  async post(kind: Kind, key: Key, subresource: string, body: unknown): Promise<void> {
    const what = `post ${subresource} of ${kind.kind} ${key}`;
    await this.#connection.expect({ what, method: HttpMethod.POST, path: objectPath(kind, key, subresource), body });
  }

  /** undefined where there is no such object; where there is no such kind the server says so as a page, and that is an error. */
  async #orNone(wish: Wish): Promise<KubeObject | undefined> {
    const { status, body, retryAfter } = await this.#connection.ask(wish);
    if (status === 404 && isStatus(body)) return undefined;
    if (status < 200 || status > 299) throw refusedWith({ what: wish.what, server: this.server }, status, body, retryAfter);
    return body as KubeObject;
  }
  async #page(kind: Kind, options: ListOptions, query: { readonly limit?: string; readonly continue?: string }): Promise<ListBody> {
    const path = listPath(kind, options, query);
    return (await this.#connection.expect({ what: `list ${kind.kind}${within(options)}`, method: HttpMethod.GET, path })) as ListBody;
  }
  async #pages(kind: Kind, options: ListOptions): Promise<Listed> {
    const limit = String(pageSize);
    const pages = [await this.#page(kind, options, { limit })];
    for (;;) {
      const next = pages.at(-1)?.metadata?.continue;
      if (next === undefined || next === '') return listedOf(kind, pages);
      // The token carries the version of the first page; the server refuses another beside it.
      const { resourceVersion: _version, ...rest } = options;
      // oxlint-disable-next-line no-await-in-loop -- each page names the next
      pages.push(await this.#page(kind, rest, { limit, continue: next }));
    }
  }
}

/** A patch with another uid is to the server an attempt to change the uid: 422 Invalid. To us it is a conflict like any other. */
const anotherObject = 'the object of this name is another one by now';
const isOtherObject = (error: unknown): boolean =>
  error instanceof KubeError && error.httpStatus === 422 && error.message.includes('metadata.uid: Invalid value');

const partOf = (subresource: string | undefined): string => (subresource === undefined ? '' : `${subresource} of `);
const within = ({ namespace }: ListOptions): string => (namespace === undefined ? '' : ` in ${namespace}`);
/** Items of a list of a built-in kind do not say what they are. */
const listedOf = (kind: Kind, pages: readonly ListBody[]): Listed => {
  const what = { apiVersion: apiVersionOf(kind), kind: kind.kind };
  const items = pages.flatMap((page) => page.items ?? []).map((item) => ({ ...what, ...item }));
  return { items, resourceVersion: pages[0]?.metadata?.resourceVersion ?? '' };
};
/** A merge patch that the server refuses (409) where the object is another by now. */
const guarded = (patch: unknown, seen: { readonly resourceVersion: string | undefined; readonly uid: string | undefined }): unknown => {
  const { metadata, ...rest } = patch as { readonly metadata?: object };
  const wanted = Object.fromEntries(Object.entries(seen).filter(([, value]) => value !== undefined));
  if (metadata === undefined && Object.keys(wanted).length === 0) return rest;
  return { ...rest, metadata: { ...metadata, ...wanted } };
};
async function* heard(chunks: AsyncIterable<Uint8Array>, deadline: Deadline): AsyncGenerator<Uint8Array> {
  deadline.renew();
  for await (const chunk of chunks) {
    deadline.renew();
    yield chunk;
  }
}
