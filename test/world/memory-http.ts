/** HTTP without sockets: the routes of many hosts in one process, answering like the real server and failing like the real client. */
import { createHash } from 'node:crypto';
import { RemudaError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { allowedMethods, problemOf } from '../../src/world/http-problem.ts';
import type {
  Clock,
  Files,
  Http,
  HttpAnswer,
  HttpBody,
  HttpCall,
  HttpGet,
  HttpListen,
  HttpReply,
  HttpRequest,
  Identity,
  Listener,
  Route,
} from '../../src/world/world.ts';

export interface Journey {
  readonly from: Ipv4;
  readonly to: Ipv4;
  readonly part: 'request' | 'answer';
  readonly url: string;
}
export interface MemoryHttpOptions {
  /** Bounds the calls. */
  readonly clock: Clock;
  /** Needed where a reply is a part of a file. */
  readonly files?: Pick<Files, 'read'>;
  /** The weather: awaited before each request and each answer arrives. It may wait, throw (the connection is cut), or never end. */
  readonly carry?: (journey: Journey) => Promise<void>;
}

interface Endpoint {
  readonly owner: Ipv4;
  readonly options: HttpListen;
  /** Port, or path of the Unix socket. */
  readonly at: number | string;
  /** Ends its connections. */
  readonly cut: AbortController;
}
interface Caller {
  readonly address: Ipv4;
  readonly signal: AbortSignal | undefined;
}
interface Connected {
  readonly endpoint: Endpoint;
  readonly request: HttpRequest;
  readonly gone: AbortController;
}

const firstFreePort = 49_152;
const anyAddress = '0.0.0.0';

const where = (call: HttpCall): string => `${call.method} ${call.socket === undefined ? call.url : `${call.socket} ${call.url}`}`;
const unreachable = (call: HttpCall, why: string): RemudaError =>
  new RemudaError('bmc-unreachable', `${where(call)}: ${why}`, { values: { url: call.url } });
const untrusted = (call: HttpCall, why: string, values: Readonly<Record<string, unknown>> = {}): RemudaError =>
  new RemudaError('bmc-untrusted', `${where(call)}: ${why}`, { values: { url: call.url, ...values } });

/** A network of hosts. `at(address)` is the HTTP of the host with that address, as `World['http']`. */
export class MemoryHttp {
  readonly #options: MemoryHttpOptions;
  readonly #endpoints = new Set<Endpoint>();
  #nextPort = firstFreePort;
  #certificates = 0;

  constructor(options: MemoryHttpOptions) {
    this.#options = options;
  }

  /** Its listeners and calls end with `signal`, as those of a process do. */
  at(address: Ipv4, signal?: AbortSignal): Http {
    const caller: Caller = { address, signal };
    return {
      listen: async (options) => this.#listen(caller, options),
      call: (call) => this.#call(caller, call),
      stream: (call) => this.#stream(caller, call),
      get: (request) => this.#get(caller, request),
      selfSigned: async (commonName) => this.#selfSigned(commonName),
    };
  }

  #selfSigned(commonName: string): Identity {
    const certificate = `certificate ${(this.#certificates += 1)} of ${commonName}`;
    return { key: `key of ${certificate}`, certificate, fingerprint: createHash('sha256').update(certificate).digest('hex') };
  }

  #listen({ address: owner, signal }: Caller, options: HttpListen): Listener {
    signal?.throwIfAborted();
    const at = 'socket' in options.at ? options.at.socket : options.at.port === 0 ? this.#nextPort++ : options.at.port;
    const addressOf = (listen: HttpListen): string => ('socket' in listen.at ? '' : listen.at.address);
    for (const other of this.#endpoints)
      if (other.owner === owner && other.at === at && addressOf(other.options) === addressOf(options))
        throw new RemudaError('bad-config', `cannot listen on ${at}: the address is in use`, { values: { at: options.at } });
    const endpoint: Endpoint = { owner, options, at, cut: new AbortController() };
    this.#endpoints.add(endpoint);
    const close = async (): Promise<void> => {
      this.#endpoints.delete(endpoint);
      endpoint.cut.abort();
    };
    signal?.addEventListener('abort', () => void close(), { once: true });
    return { port: typeof at === 'number' ? at : undefined, close };
  }

  #find(caller: Caller, call: HttpCall): Endpoint {
    const url = new URL(call.url);
    const secure = url.protocol === 'https:';
    const host = url.hostname === 'localhost' ? '127.0.0.1' : url.hostname;
    const loopback = host.startsWith('127.');
    const at = call.socket ?? Number(url.port || (secure ? 443 : 80));
    const isThere = ({ owner, options, at: its }: Endpoint): boolean => {
      if (its !== at) return false;
      if ('socket' in options.at) return owner === caller.address;
      if (options.at.address === anyAddress) return loopback ? owner === caller.address : owner === host;
      return options.at.address === host && (!loopback || owner === caller.address);
    };
    const endpoint = [...this.#endpoints].find(isThere);
    if (endpoint === undefined) throw unreachable(call, 'nothing listens there (connection refused)');
    checkTls(call, endpoint, secure);
    return endpoint;
  }

  #connect(caller: Caller, call: HttpCall): Connected {
    const { hostname } = new URL(call.url);
    const refusal = call.socket === undefined ? call.refuses?.(hostname, hostname) : undefined;
    if (refusal !== undefined) throw new RemudaError('bad-request', `${where(call)}: ${refusal}`, { values: { url: call.url } });
    const endpoint = this.#find(caller, call);
    const url = new URL(call.url);
    const gone = new AbortController();
    const body = typeof call.body === 'string' ? new TextEncoder().encode(call.body) : (call.body ?? new Uint8Array());
    const headers = Object.entries({ host: url.host, 'content-length': String(body.length), ...call.headers });
    const request: HttpRequest = {
      method: call.method,
      path: url.pathname,
      params: {},
      query: url.searchParams,
      headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
      body,
      peer: call.socket === undefined ? caller.address : undefined,
      signal: gone.signal,
    };
    return { endpoint, request, gone };
  }

  async #call(caller: Caller, call: HttpCall): Promise<HttpAnswer> {
    caller.signal?.throwIfAborted();
    call.signal?.throwIfAborted();
    const connected = this.#connect(caller, call);
    try {
      const work = async (): Promise<HttpAnswer> => {
        const answer = await this.#exchange(caller, call, connected);
        return { ...answer, body: Buffer.concat(await Array.fromAsync(answer.chunks)) };
      };
      const { status, headers, body } = await this.#bounded(caller, call, connected, work);
      return { status, headers, body };
    } finally {
      connected.gone.abort();
    }
  }

  async *#stream(caller: Caller, call: HttpCall): AsyncGenerator<Uint8Array> {
    caller.signal?.throwIfAborted();
    call.signal?.throwIfAborted();
    const connected = this.#connect(caller, call);
    try {
      const answer = await this.#bounded(caller, call, connected, () => this.#exchange(caller, call, connected));
      if (answer.status < 200 || answer.status > 299)
        throw new RemudaError('bmc-refused', `${where(call)}: answers ${answer.status}`, {
          values: { url: call.url, status: answer.status },
        });
      const chunks = answer.chunks[Symbol.asyncIterator]();
      for (;;) {
        const next = await this.#bounded(caller, call, connected, () => chunks.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      connected.gone.abort();
    }
  }

  /** Names are not resolved here: hosts are addresses. */
  async #get(caller: Caller, request: HttpGet): Promise<HttpBody> {
    const { url, headers, silenceMs, signal } = request;
    const host = new URL(url).hostname;
    const refusal = request.refuses(host, host);
    if (refusal !== undefined) throw new RemudaError('source-refused', `${url}: ${refusal}`);
    const call: HttpCall = {
      method: 'GET',
      url,
      timeoutMs: silenceMs,
      replyBytesMax: Infinity,
      ...(headers && { headers }),
      ...(signal && { signal }),
    };
    const failed = (error: unknown): unknown =>
      error instanceof RemudaError && error.code === 'bmc-unreachable'
        ? new RemudaError('source-failed', error.message, { cause: error })
        : error;
    const bounded = async <T>(connected: Connected, work: () => Promise<T>): Promise<T> => {
      try {
        return await this.#bounded(caller, call, connected, work);
      } catch (error) {
        connected.gone.abort();
        throw failed(error);
      }
    };
    caller.signal?.throwIfAborted();
    let connected: Connected;
    try {
      connected = this.#connect(caller, call);
    } catch (error) {
      throw failed(error);
    }
    const answer = await bounded(connected, () => this.#exchange(caller, call, connected));
    const pieces = answer.chunks[Symbol.asyncIterator]();
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          const next = await bounded(connected, () => pieces.next());
          if (next.done === true) return;
          yield next.value;
        }
      } finally {
        connected.gone.abort();
      }
    };
    return { status: answer.status, headers: answer.headers, chunks: chunks(), close: () => connected.gone.abort() };
  }

  /** There and back again. */
  async #exchange(
    caller: Caller,
    call: HttpCall,
    { endpoint, request }: Connected,
  ): Promise<HttpAnswer & { chunks: AsyncIterable<Uint8Array> }> {
    const journey = { from: caller.address, to: endpoint.owner, url: call.url };
    await this.#options.carry?.({ ...journey, part: 'request' });
    const reply = await serve(endpoint.options.routes, request);
    await this.#options.carry?.({ ...journey, part: 'answer' });
    const text = typeof reply.body === 'string' ? { 'content-type': 'text/plain; charset=utf-8' } : {};
    const headers = Object.entries({ ...text, ...reply.headers }).map(([name, value]) => [name.toLowerCase(), value]);
    const chunks = request.method === 'HEAD' ? none() : limited(call, this.#chunksOf(reply));
    return { status: reply.status, headers: Object.fromEntries(headers) as Record<string, string>, body: new Uint8Array(), chunks };
  }

  async *#chunksOf({ body }: HttpReply): AsyncGenerator<Uint8Array> {
    if (body === undefined) return;
    if (typeof body === 'string') yield new TextEncoder().encode(body);
    else if (body instanceof Uint8Array) yield body;
    else if (!('file' in body)) yield* body;
    else if (this.#options.files === undefined) throw new RemudaError('internal', 'this network has no files to answer from');
    else yield await this.#options.files.read(body.file, { offset: body.offset, length: body.length });
  }

  /** Whatever ends first: the work, the time of the call, the caller, or the listener. */
  #bounded<T>(caller: Caller, call: HttpCall, { endpoint }: Connected, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = new AbortController();
      const end = (finish: () => void): void => {
        cancel();
        stop.abort();
        finish();
      };
      const late = (): void => end(() => reject(unreachable(call, `no answer within ${call.timeoutMs} ms`)));
      const cancel = this.#options.clock.after(call.timeoutMs, late);
      const onAbort = (signal: AbortSignal | undefined, reason: () => unknown): void =>
        signal?.addEventListener('abort', () => end(() => reject(reason())), { once: true, signal: stop.signal });
      onAbort(caller.signal, () => caller.signal?.reason);
      onAbort(call.signal, () => call.signal?.reason);
      onAbort(endpoint.cut.signal, () => unreachable(call, 'the connection was cut'));
      work().then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error instanceof RemudaError ? error : unreachable(call, 'the connection was cut'))),
      );
    });
  }
}

/** As the real client judges: a pinned certificate, any, or (as no self-signed one is known to a CA) none. */
const checkTls = (call: HttpCall, { options: { identity } }: Endpoint, secure: boolean): void => {
  if (!secure && identity === undefined) return;
  if (!secure) throw unreachable(call, 'the connection was cut');
  if (identity === undefined) throw untrusted(call, 'its certificate or handshake is not acceptable (EPROTO)');
  const wanted = call.fingerprint?.toLowerCase().replaceAll(':', '');
  const seen = identity.fingerprint;
  // Certificates are texts here, and signed by nobody: an authority is believed for itself.
  if (wanted === undefined && call.ca !== undefined && call.ca !== identity.certificate)
    throw untrusted(call, 'its certificate comes from none of the given authorities; nothing was sent', { seen });
  if (wanted === undefined && call.ca === undefined && call.insecure !== true)
    throw untrusted(
      call,
      'no authority that this system knows vouches for its certificate (DEPTH_ZERO_SELF_SIGNED_CERT); nothing was sent',
      {
        seen,
      },
    );
  if (wanted !== undefined && wanted !== seen)
    throw untrusted(call, 'shows another certificate than the pinned one; nothing was sent', { expected: wanted, seen });
};

async function* none(): AsyncGenerator<Uint8Array> {}

async function* limited(call: HttpCall, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > call.replyBytesMax)
      throw new RemudaError('bmc-refused', `${where(call)}: answers with more than ${call.replyBytesMax} bytes`, {
        values: { url: call.url },
      });
    yield chunk;
  }
}

const problem = (error: unknown, status?: number, headers: Readonly<Record<string, string>> = {}): HttpReply => {
  const body = problemOf(error);
  const shown = status === undefined ? body : { ...body, status };
  return { status: shown.status, headers: { 'content-type': 'application/problem+json', ...headers }, body: JSON.stringify(shown) };
};

/** The parameters of a path that fits the pattern; undefined where it does not. */
export const matchPath = (pattern: string, path: string): Readonly<Record<string, string>> | undefined => {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const value = given[at] ?? '';
    if (part.startsWith(':') && value !== '') params[part.slice(1)] = decodeURIComponent(value);
    else if (part !== value) return undefined;
  }
  return params;
};

/** The route for a request: literal paths win over those with parameters, as in the real server. */
export const findRoute = (
  routes: readonly Route[],
  request: Pick<HttpRequest, 'method' | 'path'>,
): { readonly route: Route; readonly params: Readonly<Record<string, string>> } | undefined => {
  const methods = request.method === 'HEAD' ? ['HEAD', 'GET'] : [request.method];
  return methods
    .flatMap((method) => routes.filter((route) => route.method === method))
    .flatMap((route) => {
      const params = matchPath(route.path, request.path);
      return params === undefined ? [] : [{ route, params }];
    })
    .toSorted((one, other) => Object.keys(one.params).length - Object.keys(other.params).length)[0];
};

/** What the real server answers: the route's reply, or a refusal as problem+json. */
const serve = async (routes: readonly Route[], request: HttpRequest): Promise<HttpReply> => {
  const found = findRoute(routes, request);
  if (found === undefined) {
    const allowed = allowedMethods(routes, request.path);
    if (allowed.length === 0) return problem(new RemudaError('not-found', `there is nothing at ${request.path}`));
    return problem(new RemudaError('bad-request', `${request.method} is not possible here`), 405, { allow: allowed.join(', ') });
  }
  if (request.body.length > (found.route.bodyBytesMax ?? limits.httpBodyBytes))
    return problem(new RemudaError('too-large', 'the body is larger than this request may carry'));
  try {
    return await found.route.handle({ ...request, params: found.params });
  } catch (error) {
    return problem(error);
  }
};

/** For tests: the address, checked. */
export const ipv4 = (text: string): Ipv4 => {
  const address = parseIpv4(text);
  if (address === undefined) throw new RemudaError('internal', `${text} is no address`);
  return address;
};
