/** The few calls that bringing up a plane needs of its API server: plain JSON over HTTPS, as whoever holds the token or nobody. */
import { RemudaError } from '../../errors.ts';
import type { Method, World } from '../../world/world.ts';

const callMs = 30_000;
const replyBytesMax = 64 * 1024 * 1024;
const atOnce = 8;
/** Tries for what needs some moments to be there, and between them. */
const patience = 50;
const retryMs = 200;

export interface PlaneObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}
export interface DoorOptions {
  /** `https://127.0.0.1:6443` */
  readonly server: string;
  /** PEM */
  readonly ca: string;
  readonly token: string;
}
export interface Door {
  /** The status, and the body as JSON; throws only where there was no answer. */
  call(method: Method, path: string, body?: unknown, contentType?: string): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Does this path answer with 2xx? No answer is no. */
  isOk(path: string): Promise<boolean>;
  /** The body of a GET; throws `kube-failed` where it is refused, undefined where there is nothing. */
  get(path: string): Promise<unknown>;
  /** Server-side apply, namespaces and CRDs (established) before what lives in them. */
  apply(objects: readonly PlaneObject[]): Promise<void>;
  /** Of a status. */
  applyStatus(object: PlaneObject): Promise<void>;
  /** A token of this service account, good for a day. */
  tokenFor(namespace: string, name: string): Promise<string>;
  /** May this service account do that? */
  mayAccount(namespace: string, name: string, attributes: Readonly<Record<string, string>>): Promise<boolean>;
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object's fields stay unknown
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
/** Of an answer, by a path of names. */
export const field = (body: unknown, ...names: readonly string[]): unknown => names.reduce<unknown>((at, name) => record(at)[name], body);
/** The same where it is text; undefined where it is not. */
export const textField = (body: unknown, ...names: readonly string[]): string | undefined => {
  const value = field(body, ...names);
  return typeof value === 'string' ? value : undefined;
};
const messageOf = (body: unknown): string => textField(body, 'message') ?? 'no message';
/** Of an answer that is a list. */
export const items = (body: unknown): readonly unknown[] => {
  const found = field(body, 'items');
  return Array.isArray(found) ? found : [];
};

const parse = (bytes: Uint8Array): unknown => {
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(text);
  } catch {
    return { message: text };
  }
};

interface Resource {
  readonly plural: string;
  readonly namespaced: boolean;
}

class HttpDoor implements Door {
  readonly #world: World;
  readonly #options: DoorOptions;
  /** By apiVersion and kind: the plural, and whether it lives in a namespace. */
  readonly #resources = new Map<string, Resource>();

  constructor(world: World, options: DoorOptions) {
    this.#world = world;
    this.#options = options;
  }

  async call(method: Method, path: string, body?: unknown, contentType = 'application/json') {
    const { server, ca, token } = this.#options;
    const answer = await this.#world.http.call({
      method,
      url: `${server}${path}`,
      headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': contentType },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ca,
      timeoutMs: callMs,
      replyBytesMax,
    });
    return { status: answer.status, body: parse(answer.body) };
  }

  async isOk(path: string): Promise<boolean> {
    try {
      const { status } = await this.call('GET', path);
      return status >= 200 && status < 300;
    } catch (error) {
      if (error instanceof RemudaError) return false;
      throw error;
    }
  }

  async get(path: string): Promise<unknown> {
    const { status, body } = await this.call('GET', path);
    if (status === 404) return undefined;
    if (status !== 200) throw this.#refused(`GET ${path}`, status, body);
    return body;
  }

  async apply(objects: readonly PlaneObject[]): Promise<void> {
    const isFirst = ({ kind }: PlaneObject): boolean => kind === 'Namespace' || kind === 'CustomResourceDefinition';
    await this.#applyAll(objects.filter((object) => isFirst(object)));
    const crds = objects.filter(({ kind }) => kind === 'CustomResourceDefinition').map(({ metadata }) => metadata.name);
    for (const name of crds) await this.#established(name);
    await this.#applyAll(objects.filter((object) => !isFirst(object)));
  }

  applyStatus(object: PlaneObject): Promise<void> {
    return this.#applyOne(object, '/status');
  }

  async tokenFor(namespace: string, name: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } };
    const { status, body } = await this.call('POST', path, request);
    if (status !== 201) throw this.#refused(`a token for ${namespace}/${name}`, status, body);
    return textField(body, 'status', 'token') ?? '';
  }

  async mayAccount(namespace: string, name: string, attributes: Readonly<Record<string, string>>): Promise<boolean> {
    const user = `system:serviceaccount:${namespace}:${name}`;
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user, resourceAttributes: attributes } };
    const { status, body } = await this.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', review);
    if (status !== 201) throw this.#refused(`what ${user} may do`, status, body);
    return field(body, 'status', 'allowed') === true;
  }

  /** One by one: the list of them all is megabytes long. */
  async #established(name: string): Promise<void> {
    for (let tries = 0; tries < patience; tries++) {
      const conditions = field(await this.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`), 'status', 'conditions');
      if (Array.isArray(conditions) && conditions.some((c) => field(c, 'type') === 'Established' && field(c, 'status') === 'True')) return;
      await this.#world.clock.sleep(retryMs, this.#world.signal);
    }
    throw new RemudaError('timed-out', `${this.#options.server} did not establish the CRD ${name}`);
  }

  async #applyAll(objects: readonly PlaneObject[]): Promise<void> {
    const left = [...objects];
    const worker = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await this.#applyOne(next);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }

  async #applyOne(object: PlaneObject, subresource = ''): Promise<void> {
    const { plural, namespaced } = await this.#resourceOf(object);
    const { name, namespace = 'default' } = object.metadata;
    const root = object.apiVersion.includes('/') ? `/apis/${object.apiVersion}` : `/api/${object.apiVersion}`;
    const path = `${root}${namespaced ? `/namespaces/${namespace}` : ''}/${plural}/${encodeURIComponent(name)}${subresource}`;
    for (let tries = 0; ; tries++) {
      const { status, body } = await this.call('PATCH', `${path}?fieldManager=plane&force=true`, object, 'application/apply-patch+yaml');
      if (status === 200 || status === 201) return;
      // The store of a kind that is seconds old asks for patience.
      if ((status !== 429 && status !== 503) || tries >= patience) throw this.#refused(`applying ${object.kind} ${name}`, status, body);
      await this.#world.clock.sleep(retryMs, this.#world.signal);
    }
  }

  /** A kind that was just established is told of a little later. */
  async #resourceOf({ apiVersion, kind }: PlaneObject): Promise<Resource> {
    const key = `${apiVersion} ${kind}`;
    for (let tries = 0; ; tries++) {
      const known = this.#resources.get(key);
      if (known !== undefined) return known;
      if (tries >= patience) throw new RemudaError('kube-failed', `${this.#options.server} knows no ${kind} of ${apiVersion}`);
      if (tries > 0) await this.#world.clock.sleep(retryMs, this.#world.signal);
      await this.#discover(apiVersion);
    }
  }

  async #discover(apiVersion: string): Promise<void> {
    const resources = field(await this.get(apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`), 'resources');
    for (const one of Array.isArray(resources) ? resources : []) {
      const plural = textField(one, 'name') ?? '';
      if (!plural.includes('/'))
        this.#resources.set(`${apiVersion} ${textField(one, 'kind')}`, { plural, namespaced: field(one, 'namespaced') === true });
    }
  }

  #refused(what: string, status: number, body: unknown): RemudaError {
    return new RemudaError('kube-failed', `${this.#options.server}: ${what}: ${status}, ${messageOf(body)}`);
  }
}

/** Nothing is connected yet. */
export const openDoor = (world: World, options: DoorOptions): Door => new HttpDoor(world, options);
