/** An API server in memory that is as strict as the real one where controllers can go wrong: versions, ownership, finalizers, watches, faults. */
import { isDeepStrictEqual } from 'node:util';
import { KubeError } from '../../src/kube/api.ts';
import type { ApplyOptions, DeleteOptions, KubeApi, Listed, ListOptions, PatchOptions, WatchEvent } from '../../src/kube/api.ts';
import { apiVersionOf, keyOf } from '../../src/kube/objects.ts';
import type { Key, Kind, KubeObject, Meta } from '../../src/kube/objects.ts';
import { kubeTime } from '../../src/kube/runtime/conditions.ts';
import { limits } from '../../src/limits.ts';
import type { World } from '../../src/world/world.ts';
import { applyOnto, conflictsOf, leavesOf, mergePatch, ownChanged, selects, selectsField } from './fake-fields.ts';
import type { Json, Owners } from './fake-fields.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'apply' | 'patch' | 'replace' | 'delete' | 'post';
export const writing: readonly Verb[] = ['create', 'apply', 'patch', 'replace', 'delete', 'post'];
export interface Request {
  readonly verb: Verb;
  readonly kind: Kind;
  /** Of lists and watches: `namespace/`, or `/` for all. */
  readonly key: Key;
  readonly subresource?: string;
  readonly fieldManager?: string;
  readonly body?: unknown;
}
/** What goes wrong with one request. */
export type Fault =
  /** Nothing is done. */
  | { readonly fail: Error }
  /** It is done, but the answer is lost. */
  | { readonly failAfter: Error }
  /** It is done later. */
  | { readonly delayMs: number }
  /** A list answers as it was at this version. */
  | { readonly staleAt: string }
  /** A watch ends after so many events, as a connection that is cut. */
  | { readonly cutAfter: number }
  /** A watch that says nothing, nor ends. */
  | { readonly silent: true };
export interface FakeApiOptions {
  /** Kinds without a status subresource; default: those of the core group but nodes, pods and namespaces; leases, events. */
  readonly hasStatus?: (kind: Kind) => boolean;
  /** Deletes what only deleted objects own. Default false: as in a cluster without a controller manager. */
  readonly collectGarbage?: boolean;
  /** Refuses what a schema or a webhook would refuse: throws KubeError 422. */
  readonly admit?: (kind: Kind, object: KubeObject, before: KubeObject | undefined) => void;
  readonly bookmarkMs?: number;
}
interface Stored {
  readonly object: KubeObject;
  readonly owners: Owners;
}
interface Change {
  readonly version: number;
  readonly resource: string;
  readonly key: Key;
  /** undefined: it was deleted then. */
  readonly now: KubeObject | undefined;
  readonly before: KubeObject | undefined;
}
interface Write {
  readonly kind: Kind;
  readonly key: Key;
  readonly owner: string;
  readonly subresource: 'status' | undefined;
  readonly dryRun?: boolean;
}
const resourceOf = ({ group, plural }: Kind): string => `${plural}.${group}`;
const plainHasStatus = ({ group, plural }: Kind): boolean =>
  group.endsWith('cluster.x-k8s.io') || group === 'apiextensions.k8s.io' || ['nodes', 'pods', 'namespaces'].includes(plural);
const said = (verb: string, kind: Kind, key: Key): string => `${verb} ${kind.kind} ${key} at the fake API server`;
const refusal = (status: number, reason: string, message: string): KubeError => new KubeError(message, { status, reason });
export const notFound = (kind: Kind, key: Key): KubeError => refusal(404, 'NotFound', `${said('write', kind, key)}: there is none`);
export const conflict = (kind: Kind, key: Key): KubeError =>
  refusal(409, 'Conflict', `${said('write', kind, key)}: the object has been modified; read it again`);
export const serverError = (): KubeError => refusal(500, 'InternalError', 'the fake API server has an internal error');
export const tooMany = (retryAfterMs = 1_000): KubeError =>
  new KubeError('the fake API server is asked too much', { status: 429, reason: 'TooManyRequests', retryAfterMs });
export const cutConnection = (): KubeError => new KubeError('the connection to the fake API server was cut', { status: 0 });

export class FakeApi implements KubeApi {
  readonly server = 'fake://api';
  readonly #world: Pick<World, 'clock'>;
  readonly #options: FakeApiOptions;
  readonly #objects = new Map<string, Map<Key, Stored>>();
  readonly #changes: Change[] = [];
  readonly #waiting = new Set<() => void>();
  #version = 1;
  #oldest = 0;
  #uids = 0;
  #cuts = 0;
  #cutWith: Error | undefined;
  /** Asked for every request before it is done; of a watch only at its beginning. */
  fault: (request: Request) => Fault | undefined = () => undefined;
  /** Every request that came, oldest first. */
  readonly requests: Request[] = [];
  watching = 0;

  constructor(world: Pick<World, 'clock'>, options: FakeApiOptions = {}) {
    this.#world = world;
    this.#options = options;
  }

  // What tests look at and set up; none of it counts as a request.

  /** Requests by verb. */
  count(verb: Verb, kind?: Kind): number {
    return this.requests.filter((one) => one.verb === verb && (kind === undefined || one.kind.plural === kind.plural)).length;
  }
  get writes(): number {
    return this.requests.filter(({ verb }) => writing.includes(verb)).length;
  }
  peek(kind: Kind, key: Key): KubeObject | undefined {
    return structuredClone(this.#of(kind).get(key)?.object);
  }
  all(kind: Kind): readonly KubeObject[] {
    return [...this.#of(kind).values()].map(({ object }) => structuredClone(object));
  }
  /** Stores the object as it stands, status included; returns it with uid and version. */
  seed(kind: Kind, object: KubeObject, manager = 'seed'): KubeObject {
    const key = keyOf(object);
    const before = this.#of(kind).get(key);
    const meta = before === undefined ? this.#born(object.metadata) : { ...this.#identityOf(before.object.metadata), ...object.metadata };
    return this.#store({ kind, key, owner: `${manager}|Update|`, subresource: undefined }, before, {
      ...object,
      metadata: { ...meta, ...this.#identityOf(meta) },
    });
  }
  /** Removes it at once, whatever its finalizers say. */
  purge(kind: Kind, key: Key): void {
    const before = this.#of(kind).get(key);
    if (before !== undefined) this.#remove(kind, key, before);
  }
  /** Managers that own the field at this path, e.g. `['spec', 'providerID']`. */
  ownersOf(kind: Kind, key: Key, path: readonly string[]): readonly string[] {
    const owners = [...(this.#of(kind).get(key)?.owners ?? [])];
    return [...new Set(owners.filter(([, paths]) => paths.has(path.join('\0'))).map(([name]) => name.split('|')[0] ?? ''))].toSorted();
  }
  /** Versions before now are forgotten: watches from there, and those that lag, get 410. */
  compact(): void {
    this.#oldest = this.#version;
  }
  /** Ends all watches: in good order, or with an error. */
  cutWatches(error?: Error): void {
    this.#cuts++;
    this.#cutWith = error;
    this.#wake();
  }
  get resourceVersion(): string {
    return String(this.#version);
  }

  // The API.

  async get(kind: Kind, key: Key): Promise<KubeObject | undefined> {
    return await this.#asked({ verb: 'get', kind, key }, () => this.peek(kind, key));
  }
  async list(kind: Kind, options: ListOptions = {}): Promise<Listed> {
    const key: Key = `${options.namespace ?? ''}/`;
    return await this.#asked({ verb: 'list', kind, key }, (fault) => {
      const at = fault !== undefined && 'staleAt' in fault ? Number(fault.staleAt) : this.#version;
      const items = [...this.#stateAt(kind, at).values()].filter((object) => fits(object, options));
      return { items: items.map((item) => structuredClone(item)), resourceVersion: String(at) };
    });
  }
  async *watch(kind: Kind, options: ListOptions & { readonly resourceVersion: string }, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const fault = await this.#asked({ verb: 'watch', kind, key: `${options.namespace ?? ''}/` }, (one) => one);
    this.watching++;
    try {
      yield* this.#events(kind, options, fault, signal);
    } finally {
      this.watching--;
    }
  }
  async create(kind: Kind, object: KubeObject, fieldManager: string): Promise<KubeObject> {
    const { generateName, name } = object.metadata;
    const named = name !== '' || generateName === undefined ? name : `${generateName}${(this.#uids + 1).toString(36).padStart(5, '0')}`;
    const whole: KubeObject = { ...object, metadata: { ...object.metadata, name: named } };
    const key = keyOf(whole);
    return await this.#asked({ verb: 'create', kind, key, fieldManager, body: object }, () => {
      if (this.#of(kind).has(key)) throw refusal(409, 'AlreadyExists', `${said('create', kind, key)}: there is one already`);
      this.#checkPlace(kind, whole);
      return this.#store({ kind, key, owner: `${fieldManager}|Update|`, subresource: undefined }, undefined, this.#newborn(kind, whole));
    });
  }
  async apply(kind: Kind, object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const { fieldManager, subresource, force = false, dryRun = false } = options;
    const key = keyOf(object);
    const request = {
      verb: 'apply',
      kind,
      key,
      fieldManager,
      body: object,
      ...(subresource === undefined ? {} : { subresource }),
    } as const;
    return await this.#asked(request, () => {
      const before = this.#of(kind).get(key);
      if (before === undefined && subresource !== undefined) throw notFound(kind, key);
      if (before !== undefined) this.#checkVersion(kind, before.object, object.metadata);
      // Who says which object is meant does not mean a new one.
      else if ((object.metadata.uid ?? '') !== '') throw conflict(kind, key);
      this.#checkPlace(kind, object);
      const applied = this.#appliable(kind, object, subresource);
      const owner = `${fieldManager}|Apply|${subresource ?? ''}`;
      const owners: Owners = new Map([...(before?.owners ?? [])].map(([name, paths]) => [name, new Set(paths)]));
      const live = structuredClone(
        before?.object ?? { apiVersion: object.apiVersion, kind: object.kind, metadata: this.#born(object.metadata, true) },
      );
      const conflicts = force ? [] : conflictsOf(owners, owner, live, applied);
      if (conflicts.length > 0)
        throw refusal(409, 'Conflict', `${said('apply', kind, key)}: ${conflicts.join('; ')}; use force to take it`);
      applyOnto(owners, owner, live as unknown as Json, applied);
      return this.#store({ kind, key, owner, subresource, dryRun }, before, live, owners);
    });
  }
  async patch(kind: Kind, key: Key, patch: unknown, options: PatchOptions): Promise<KubeObject> {
    const { fieldManager, subresource } = options;
    const request = { verb: 'patch', kind, key, fieldManager, body: patch, ...(subresource === undefined ? {} : { subresource }) } as const;
    return await this.#asked(request, () => {
      const before = this.#existing(kind, key);
      this.#checkVersion(kind, before.object, { ...(patch as Partial<KubeObject>).metadata, ...options });
      const merged = mergePatch(before.object, patch) as KubeObject;
      return this.#store({ kind, key, owner: `${fieldManager}|Update|${subresource ?? ''}`, subresource }, before, merged);
    });
  }
  async replace(kind: Kind, object: KubeObject, fieldManager: string): Promise<KubeObject> {
    const key = keyOf(object);
    return await this.#asked({ verb: 'replace', kind, key, fieldManager, body: object }, () => {
      const before = this.#existing(kind, key);
      this.#checkVersion(kind, before.object, object.metadata);
      return this.#store({ kind, key, owner: `${fieldManager}|Update|`, subresource: undefined }, before, object);
    });
  }
  async delete(kind: Kind, key: Key, options: DeleteOptions = {}): Promise<void> {
    await this.#asked({ verb: 'delete', kind, key }, () => {
      const before = this.#of(kind).get(key);
      if (before === undefined) return;
      this.#checkVersion(kind, before.object, options);
      const { metadata } = before.object;
      if ((metadata.finalizers ?? []).length === 0) return this.#remove(kind, key, before);
      if (metadata.deletionTimestamp !== undefined) return;
      const deletionTimestamp = kubeTime(this.#world.clock.now());
      const dying: Meta = {
        ...metadata,
        deletionTimestamp,
        ...(metadata.generation === undefined ? {} : { generation: metadata.generation + 1 }),
      };
      this.#record(kind, key, before, { object: { ...before.object, metadata: dying }, owners: before.owners });
    });
  }
  async post(kind: Kind, key: Key, subresource: string, body: unknown): Promise<void> {
    await this.#asked({ verb: 'post', kind, key, subresource, body }, () => {
      const before = this.#existing(kind, key);
      // An eviction that no budget forbids.
      if (subresource === 'eviction') this.#remove(kind, key, before);
    });
  }

  // Inside.

  async #asked<T>(request: Request, run: (fault: Fault | undefined) => T): Promise<T> {
    this.requests.push(structuredClone(request));
    const fault = this.fault(request);
    if (fault !== undefined && 'delayMs' in fault) await this.#world.clock.sleep(fault.delayMs);
    // An answer never comes in the turn of the question.
    else await Promise.resolve();
    if (fault !== undefined && 'fail' in fault) throw fault.fail;
    const answer = run(fault);
    if (fault !== undefined && 'failAfter' in fault) throw fault.failAfter;
    return answer;
  }
  #of(kind: Kind): Map<Key, Stored> {
    const resource = resourceOf(kind);
    const known = this.#objects.get(resource) ?? new Map<Key, Stored>();
    this.#objects.set(resource, known);
    return known;
  }
  #existing(kind: Kind, key: Key): Stored {
    const found = this.#of(kind).get(key);
    if (found === undefined) throw notFound(kind, key);
    return found;
  }
  #hasStatus(kind: Kind): boolean {
    return (this.#options.hasStatus ?? plainHasStatus)(kind);
  }
  #checkVersion(kind: Kind, live: KubeObject, seen: { readonly resourceVersion?: string; readonly uid?: string }): void {
    const { resourceVersion, uid } = live.metadata;
    const isOther = (mine: string | undefined, theirs: string | undefined): boolean => mine !== undefined && mine !== '' && mine !== theirs;
    if (isOther(seen.resourceVersion, resourceVersion) || isOther(seen.uid, uid)) throw conflict(kind, keyOf(live));
  }
  #checkPlace(kind: Kind, object: KubeObject): void {
    const { name, namespace } = object.metadata;
    const key = keyOf(object);
    if (object.apiVersion !== apiVersionOf(kind) || object.kind !== kind.kind)
      throw refusal(400, 'BadRequest', `${said('write', kind, key)}: the object says ${object.apiVersion} ${object.kind}`);
    if (kind.namespaced !== (namespace !== undefined && namespace !== ''))
      throw refusal(400, 'BadRequest', `${said('write', kind, key)}: ${kind.namespaced ? 'a namespace is needed' : 'it has no namespace'}`);
    if (!/^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$/.test(name)) throw refusal(422, 'Invalid', `${said('write', kind, key)}: "${name}" is no name`);
  }
  #born(meta: Meta, isBare = false): Meta {
    const uid = `00000000-0000-4000-8000-${String(++this.#uids).padStart(12, '0')}`;
    const identity = { uid, creationTimestamp: kubeTime(this.#world.clock.now()), generation: 1 };
    const place = { name: meta.name, ...(meta.namespace === undefined ? {} : { namespace: meta.namespace }) };
    return isBare ? { ...place, ...identity } : { ...meta, ...identity };
  }
  #newborn(kind: Kind, object: KubeObject): KubeObject {
    const { status: _status, ...rest } = object;
    const { deletionTimestamp: _deletion, resourceVersion: _version, ...meta } = object.metadata;
    return { ...(this.#hasStatus(kind) ? rest : object), metadata: this.#born(meta) };
  }
  #identityOf({ uid, creationTimestamp, deletionTimestamp, generation }: Meta): Partial<Meta> {
    const known = { uid, creationTimestamp, deletionTimestamp, generation };
    return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
  }
  /** What an apply can own: of the metadata no identity, of the rest what the subresource writes. */
  #appliable(kind: Kind, object: KubeObject, subresource: string | undefined): Json {
    const { labels, annotations, finalizers, ownerReferences } = object.metadata;
    const { metadata: _metadata, apiVersion: _apiVersion, kind: _kind, status, ...rest } = structuredClone(object);
    if (subresource === 'status') return status === undefined ? {} : { status };
    const meta = Object.fromEntries(
      Object.entries({ labels, annotations, finalizers, ownerReferences }).filter(([, value]) => value !== undefined),
    );
    const withStatus = this.#hasStatus(kind) || status === undefined ? {} : { status };
    return { ...(Object.keys(meta).length > 0 ? { metadata: meta } : {}), ...rest, ...withStatus };
  }
  /** One write as the server takes it: subresource, identity and generation held; nothing changed is no write. */
  #store(write: Write, before: Stored | undefined, wanted: KubeObject, applied?: Owners): KubeObject {
    const { kind, key, owner, subresource, dryRun = false } = write;
    const object = this.#settled(kind, subresource, before?.object, wanted);
    this.#options.admit?.(kind, structuredClone(object), structuredClone(before?.object));
    const owners: Owners = applied ?? new Map([...(before?.owners ?? [])].map(([name, paths]) => [name, new Set(paths)]));
    if (applied === undefined) ownChanged(owners, owner, ownable(before?.object), ownable(object));
    if (dryRun) return structuredClone(object);
    if (before !== undefined && isDeepStrictEqual(object, before.object)) {
      this.#of(kind).set(key, { object: before.object, owners });
      return structuredClone(before.object);
    }
    const isOver = object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length === 0;
    if (isOver && before !== undefined) {
      this.#remove(kind, key, before);
      return structuredClone(object);
    }
    return structuredClone(this.#record(kind, key, before, { object: structuredClone(object), owners }));
  }
  #settled(kind: Kind, subresource: 'status' | undefined, before: KubeObject | undefined, wanted: KubeObject): KubeObject {
    if (before === undefined) return wanted;
    if (subresource === 'status') {
      const { status: _before, ...rest } = before;
      return wanted.status === undefined ? rest : { ...rest, status: wanted.status };
    }
    const { status, ...rest } = wanted;
    const held = this.#hasStatus(kind) ? before.status : status;
    const { resourceVersion } = before.metadata;
    const meta: Meta = {
      ...withoutUndefined(wanted.metadata),
      ...this.#identityOf(before.metadata),
      name: before.metadata.name,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    const object: KubeObject = { ...rest, metadata: meta, ...(held === undefined ? {} : { status: held }) };
    const added = (meta.finalizers ?? []).filter((one) => !(before.metadata.finalizers ?? []).includes(one));
    if (meta.deletionTimestamp !== undefined && added.length > 0)
      throw refusal(
        422,
        'Invalid',
        `${said('write', kind, keyOf(before))}: no new finalizers can be added if the object is being deleted, found new ${added.join()}`,
      );
    if (isDeepStrictEqual(bodyOf(object, this.#hasStatus(kind)), bodyOf(before, this.#hasStatus(kind)))) return object;
    return { ...object, metadata: { ...meta, generation: (before.metadata.generation ?? 0) + 1 } };
  }
  #record(kind: Kind, key: Key, before: Stored | undefined, after: Stored): KubeObject {
    const version = ++this.#version;
    const object: KubeObject = { ...after.object, metadata: { ...after.object.metadata, resourceVersion: String(version) } };
    this.#of(kind).set(key, { object, owners: after.owners });
    this.#changes.push({ version, resource: resourceOf(kind), key, now: object, before: before?.object });
    this.#wake();
    return object;
  }
  #remove(kind: Kind, key: Key, before: Stored): void {
    const version = ++this.#version;
    this.#of(kind).delete(key);
    this.#changes.push({ version, resource: resourceOf(kind), key, now: undefined, before: before.object });
    this.#wake();
    if (this.#options.collectGarbage === true) this.#collect(before.object.metadata.uid);
  }
  #collect(owner: string | undefined): void {
    for (const [resource, known] of this.#objects)
      for (const [key, stored] of Array.from(known)) {
        const { ownerReferences = [], finalizers = [], deletionTimestamp } = stored.object.metadata;
        if (!ownerReferences.some(({ uid }) => uid === owner)) continue;
        if (ownerReferences.some(({ uid }) => uid !== owner && this.#lives(uid))) continue;
        const [plural = '', ...group] = resource.split('.');
        const kind: Kind = { group: group.join('.'), version: '', kind: stored.object.kind, plural, namespaced: true };
        if (finalizers.length === 0) this.#remove(kind, key, stored);
        else if (deletionTimestamp === undefined)
          this.#record(kind, key, stored, {
            ...stored,
            object: { ...stored.object, metadata: { ...stored.object.metadata, deletionTimestamp: kubeTime(this.#world.clock.now()) } },
          });
      }
  }
  #lives(uid: string): boolean {
    return [...this.#objects.values()].some((known) => [...known.values()].some(({ object }) => object.metadata.uid === uid));
  }
  #stateAt(kind: Kind, version: number): ReadonlyMap<Key, KubeObject> {
    const state = new Map<Key, KubeObject>();
    const resource = resourceOf(kind);
    for (const change of this.#changes) {
      if (change.version > version || change.resource !== resource) continue;
      if (change.now === undefined) state.delete(change.key);
      else state.set(change.key, change.now);
    }
    return new Map([...state].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
  #wake(): void {
    for (const wake of Array.from(this.#waiting)) wake();
  }
  /** Resolves when something happened, or after `ms`. */
  async #more(ms: number, signal: AbortSignal): Promise<'woken' | 'late'> {
    return await new Promise((resolve) => {
      const end = (how: 'woken' | 'late'): void => {
        this.#waiting.delete(wake);
        cancel();
        signal.removeEventListener('abort', wake);
        resolve(how);
      };
      const wake = (): void => end('woken');
      const cancel = this.#world.clock.after(ms, () => end('late'));
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
  async *#events(
    kind: Kind,
    options: ListOptions & { readonly resourceVersion: string },
    fault: Fault | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    let from = Number(options.resourceVersion);
    let left = fault !== undefined && 'cutAfter' in fault ? fault.cutAfter : Infinity;
    const silent = fault !== undefined && 'silent' in fault;
    const silentUntil = this.#world.clock.now() + limits.kubeWatchSilenceMs;
    const cuts = this.#cuts;
    const resource = resourceOf(kind);
    for (let at = this.#changes.findIndex(({ version }) => version > from); ;) {
      signal.throwIfAborted();
      if (from < this.#oldest)
        throw refusal(410, 'Expired', `watch ${kind.plural} at ${this.server}: too old resource version: ${from} (${this.#oldest})`);
      if (this.#cuts !== cuts) {
        if (this.#cutWith !== undefined) throw this.#cutWith;
        return;
      }
      const change = at < 0 || silent ? undefined : this.#changes[at];
      if (change === undefined) {
        const waitMs = silent ? silentUntil - this.#world.clock.now() : (this.#options.bookmarkMs ?? 60_000);
        // oxlint-disable-next-line no-await-in-loop -- a watch waits for what comes
        const how = await this.#more(waitMs, signal);
        if (how === 'late' && silent) throw refusal(504, 'Timeout', `watch ${kind.plural} at ${this.server}: nothing was heard`);
        if (at < 0) at = this.#changes.findIndex(({ version }) => version > from);
        if (how === 'late' && this.#changes[at] === undefined) {
          from = this.#version;
          yield { type: 'BOOKMARK', resourceVersion: String(from) };
        }
        continue;
      }
      at++;
      from = change.version;
      const event = change.resource === resource ? eventOf(change, options) : undefined;
      if (event === undefined) continue;
      if (left-- <= 0) throw cutConnection();
      yield event;
    }
  }
}
const withoutUndefined = (meta: Meta): Meta =>
  Object.fromEntries(Object.entries(meta).filter(([, value]) => value !== undefined)) as unknown as Meta;
/** What a manager may own of an object. */
const ownable = (object: KubeObject | undefined): unknown => {
  if (object === undefined) return {};
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  const { labels = {}, annotations = {}, finalizers = [], ownerReferences = [] } = metadata;
  return { metadata: { labels, annotations, finalizers, ownerReferences }, ...rest };
};
/** What counts for the generation. */
const bodyOf = (object: KubeObject, hasStatus: boolean): unknown => {
  const { metadata: _metadata, status, ...rest } = object;
  return hasStatus ? rest : { ...rest, status };
};
const fits = (object: KubeObject, { namespace, labelSelector, fieldSelector }: ListOptions): boolean =>
  (namespace === undefined || object.metadata.namespace === namespace) &&
  selects(labelSelector, object.metadata.labels ?? {}) &&
  selectsField(fieldSelector, object);
/** As a watch with these selectors sees the change: what no longer fits is deleted for it. */
const eventOf = ({ now, before, version }: Change, options: ListOptions): WatchEvent | undefined => {
  const isIn = now !== undefined && fits(now, options);
  const wasIn = before !== undefined && fits(before, options);
  if (isIn) return { type: wasIn ? 'MODIFIED' : 'ADDED', object: structuredClone(now) };
  if (!wasIn) return undefined;
  const last = now ?? before;
  return { type: 'DELETED', object: structuredClone({ ...last, metadata: { ...last.metadata, resourceVersion: String(version) } }) };
};
/** Every leaf of an object by its dotted path: for messages of tests. */
export const fieldsOf = (object: KubeObject): readonly string[] =>
  [...leavesOf(ownable(object)).keys()].map((path) => path.replaceAll('\0', '.'));
