/** Requests to one API server: credentials as the kubeconfig says, bounded in time and size, failures as KubeError. */
import { IsomorphicFetchHttpLibrary, RequestContext } from '@kubernetes/client-node';
import type { HttpMethod, ResponseContext } from '@kubernetes/client-node';
import { reasonOf } from '../../errors.ts';
import { limits as usualLimits } from '../../limits.ts';
import type { Limits } from '../../limits.ts';
import type { World } from '../../world/world.ts';
import { KubeError } from '../api.ts';
import { loadKubeConfig } from './kube-config.ts';
import type { KubeSource, SteadyKubeConfig } from './kube-config.ts';
import { refused, refusedWith } from './refusal.ts';
import type { Asked } from './refusal.ts';

export interface Wish {
  /** `patch BareMetalMachine ns/m1`: for messages. */
  readonly what: string;
  readonly method: HttpMethod;
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
}
export interface Answer {
  readonly status: number;
  /** JSON where it is that, else its text. */
  readonly body: unknown;
  readonly retryAfter: string | undefined;
}
export interface ConnectionOptions {
  readonly world: Pick<World, 'clock' | 'signal'>;
  readonly source: KubeSource;
  /** Of ours, for the User-Agent. */
  readonly version: string;
  readonly limits?: Limits;
}
type Dispatcher = ReturnType<RequestContext['getDispatcher']>;

/** Undici says only "fetch failed"; why stands in its causes. */
const causesOf = (error: unknown): string => {
  const said = reasonOf(error);
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause === undefined) return said;
  return said === 'fetch failed' ? causesOf(cause) : `${said}: ${causesOf(cause)}`;
};
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page, or the server's own "404 page not found": it is shown as it is.
    return text;
  }
};
/** A request that ends with its caller, with the world, or when its time is over. */
export class Deadline {
  readonly #own = new AbortController();
  readonly #clock: World['clock'];
  readonly signal: AbortSignal;
  readonly #ms: number;
  #cancel: () => void;
  isLate = false;
  constructor(world: Pick<World, 'clock' | 'signal'>, ms: number, signal?: AbortSignal) {
    this.#clock = world.clock;
    this.#ms = ms;
    this.signal = AbortSignal.any([this.#own.signal, world.signal, ...(signal === undefined ? [] : [signal])]);
    this.#cancel = this.#arm();
  }
  #arm(): () => void {
    return this.#clock.after(this.#ms, () => {
      this.isLate = true;
      this.#own.abort(new DOMException(`nothing came for ${this.#ms} ms`, 'TimeoutError'));
    });
  }
  /** Something came: the time begins anew. */
  renew(): void {
    this.#cancel();
    this.#cancel = this.#arm();
  }
  /** Over, well or not; what still runs under it is ended. */
  end(): void {
    this.#cancel();
    this.#own.abort(new DOMException('the request is over', 'AbortError'));
  }
}

export class Connection {
  readonly server: string;
  readonly #options: ConnectionOptions;
  readonly limits: Limits;
  readonly world: Pick<World, 'clock' | 'signal'>;
  #config: SteadyKubeConfig;
  #dispatcher: Dispatcher;
  /** One at a time: an exec plugin is not started twice for two requests, and a new pool of connections is made once. */
  #authorised: Promise<unknown> = Promise.resolve();
  readonly #http = new IsomorphicFetchHttpLibrary();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.world = options.world;
    this.limits = options.limits ?? usualLimits;
    this.#config = loadKubeConfig(options.source);
    this.server = (this.#config.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
  }
  #asked(wish: Wish): Asked {
    return { what: wish.what, server: this.server };
  }
  async #authorise(context: RequestContext): Promise<void> {
    await this.#config.applySecurityAuthentication(context);
    const fresh = context.getDispatcher();
    // The old pool ends when what runs in it has ended, which undici does when nobody holds it.
    if (fresh !== undefined) this.#dispatcher = fresh;
    else if (this.#dispatcher !== undefined) context.setDispatcher(this.#dispatcher);
  }
  async #contextFor(wish: Wish, signal: AbortSignal): Promise<RequestContext> {
    const context = new RequestContext(`${this.server}${wish.path}`, wish.method);
    const mine = this.#authorised.then(() => this.#authorise(context));
    this.#authorised = mine.catch(() => undefined);
    await mine;
    context.setHeaderParam('User-Agent', `remuda/${this.#options.version}`);
    context.setHeaderParam('Accept', 'application/json');
    if (wish.body !== undefined) {
      context.setHeaderParam('Content-Type', wish.contentType ?? 'application/json');
      context.setBody(JSON.stringify(wish.body));
    }
    context.setSignal(signal);
    return context;
  }
  /** Until the head of the answer came. A refused credential is read anew once: it may have been rotated, or an exec plugin's have run out. */
  async open(wish: Wish, deadline: Deadline): Promise<ResponseContext> {
    const first = await this.#send(wish, deadline);
    if (first.httpStatusCode !== 401) return first;
    await first.body.stream()?.cancel();
    this.#config = loadKubeConfig(this.#options.source);
    return await this.#send(wish, deadline);
  }
  async #send(wish: Wish, deadline: Deadline): Promise<ResponseContext> {
    try {
      return await this.#http.send(await this.#contextFor(wish, deadline.signal)).toPromise();
    } catch (error) {
      throw this.failure(wish, deadline, error);
    }
  }
  /** What a request that brought no answer, or not all of it, is called. */
  failure(wish: Wish, deadline: Deadline, error: unknown): unknown {
    if (error instanceof KubeError) return error;
    if (deadline.isLate) return refused(this.#asked(wish), { status: 504, why: reasonOf(deadline.signal.reason), cause: error });
    if (deadline.signal.aborted) return deadline.signal.reason;
    return refused(this.#asked(wish), { status: 0, why: causesOf(error), cause: error });
  }
  /** The chunks of an answer as they come; leaving them early closes the connection. */
  async *chunks(wish: Wish, response: ResponseContext, deadline: Deadline): AsyncGenerator<Uint8Array> {
    const stream = response.body.stream();
    if (stream === null) return;
    const reader = stream.getReader();
    try {
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- a stream is read in order
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    } catch (error) {
      throw this.failure(wish, deadline, error);
    } finally {
      // Left early: the connection is closed, not drained. After its end this does nothing.
      await reader.cancel().catch(() => undefined);
    }
  }
  /** The whole answer, whatever its status; KubeError where none came in `limits.kubeCallMs`. */
  async ask(wish: Wish, signal?: AbortSignal): Promise<Answer> {
    const deadline = new Deadline(this.world, this.limits.kubeCallMs, signal);
    try {
      return await this.whole(wish, await this.open(wish, deadline), deadline);
    } finally {
      deadline.end();
    }
  }
  /** An answer to its end, of at most `limits.kubeReplyBytes`. */
  async whole(wish: Wish, response: ResponseContext, deadline: Deadline): Promise<Answer> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.chunks(wish, response, deadline)) {
      size += piece.length;
      if (size > this.limits.kubeReplyBytes)
        throw refused(this.#asked(wish), { status: 0, why: `the answer is larger than ${this.limits.kubeReplyBytes} bytes` });
      pieces.push(piece);
    }
    const body = parsed(Buffer.concat(pieces).toString('utf8'));
    return { status: response.httpStatusCode, body, retryAfter: response.headers['retry-after'] };
  }
  /** The JSON of a success; everything else throws. */
  async expect(wish: Wish, signal?: AbortSignal): Promise<unknown> {
    const { status, body, retryAfter } = await this.ask(wish, signal);
    if (status < 200 || status > 299) throw refusedWith(this.#asked(wish), status, body, retryAfter);
    if (typeof body === 'string') throw refused(this.#asked(wish), { status: 0, why: 'the answer is no JSON: is this an API server?' });
    return body;
  }
}
