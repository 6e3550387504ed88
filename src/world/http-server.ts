/** The HTTP server: a table of routes behind a thin Fastify adapter, bounded in bytes, time and connections; every refusal is problem+json. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer as createPlain } from 'node:http';
import type { RequestListener, Server, ServerOptions } from 'node:http';
import { createServer as createTls } from 'node:https';
import { connect } from 'node:net';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RemudaError, reasonOf } from '../errors.ts';
import { limits as allLimits } from '../limits.ts';
import type { Limits } from '../limits.ts';
import { parseIpv4 } from '../wire/address.ts';
import { Gone, openBody, sendFile, sendStream } from './http-body.ts';
import { boundSocket, deviceStands, linux } from './libc.ts';
import { allowedMethods, problem, problemOf } from './http-problem.ts';
import { leaveBody, problemReply, rawProblem } from './http-refusal.ts';
import { realRandom } from './random.ts';
import type { FileBody, HttpListen, HttpReply, HttpRequest, Listener, Log, Method, Route } from './world.ts';

export type HttpLimits = Pick<Limits, 'httpBodyBytes' | 'httpHeaderTimeoutMs' | 'httpRequestTimeoutMs' | 'httpConnectionsMax'>;
export interface HttpServerOptions extends HttpListen {
  readonly log: Log;
  /** Ends the listener. */
  readonly signal: AbortSignal;
  /** For tests: the same limits, smaller. */
  readonly limits?: HttpLimits;
}

/** How long connections may finish what they do after close(). */
const closeMs = 2000;
/** Longer than every id and ticket; Fastify's default of 100 would turn a long one into a 404. */
const paramBytesMax = 1024;

const requestIdBytes = 9;

const requestOf = (request: FastifyRequest, reply: FastifyReply): HttpRequest => {
  const [path = '/', query = ''] = splitOnce(request.raw.url ?? '/');
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new Gone('the client is gone'));
  });
  const headers = Object.entries(request.headers).map(([name, value = '']) => [name, Array.isArray(value) ? value.join(', ') : value]);
  return {
    id: request.id,
    method: request.method as Method,
    path,
    params: { ...(request.params as Readonly<Record<string, string>>) },
    query: new URLSearchParams(query),
    headers: Object.fromEntries(headers) as Readonly<Record<string, string>>,
    body: bodyOf(request),
    peer: parseIpv4(request.socket.remoteAddress ?? ''),
    signal: gone.signal,
  };
};
const bodyOf = ({ body }: FastifyRequest): Uint8Array => (body instanceof Uint8Array ? body : new Uint8Array());
const splitOnce = (url: string): readonly string[] => {
  const at = url.indexOf('?');
  return at < 0 ? [url] : [url.slice(0, at), url.slice(at + 1)];
};

const isFileBody = (body: FileBody | AsyncIterable<Uint8Array>): body is FileBody => 'file' in body;

/** Takes the raw response over for a body that does not fit in memory; whatever goes wrong after the headers can only cut the connection. */
const sendLong = async (reply: FastifyReply, answer: HttpReply, body: FileBody | AsyncIterable<Uint8Array>, log: Log): Promise<void> => {
  const isHead = reply.request.method === 'HEAD';
  const file = isFileBody(body) ? await openBody(body) : undefined;
  reply.hijack();
  const response = reply.raw;
  try {
    response.writeHead(answer.status, { ...answer.headers, ...(isFileBody(body) ? { 'content-length': body.length } : {}) });
    if (!isHead && file !== undefined && isFileBody(body)) await sendFile(response, file, body, allLimits.httpRequestTimeoutMs);
    else if (!isHead && !isFileBody(body)) await sendStream(response, body, allLimits.httpRequestTimeoutMs);
    response.end();
  } catch (error) {
    if (!(error instanceof Gone) && !response.destroyed) log.warn('an answer was cut short', { path: reply.request.url, error });
    response.destroy();
  } finally {
    await file?.close();
  }
};

const send = async (reply: FastifyReply, answer: HttpReply, log: Log): Promise<FastifyReply> => {
  const { body } = answer;
  if (body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) {
    await sendLong(reply, answer, body, log);
    return reply;
  }
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  reply.code(answer.status).headers({ ...answer.headers });
  if (typeof body === 'string' && !reply.hasHeader('content-type')) reply.type('text/plain; charset=utf-8');
  // A HEAD answer tells the length of what GET would have sent.
  if (bytes !== undefined && reply.request.method === 'HEAD') return reply.header('content-length', bytes.length).send();
  return reply.send(bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
};

type Answerer = (whole: HttpRequest) => Promise<HttpReply>;
/** A request that was let in and whose body is on its way. */
interface Entered {
  readonly head: HttpRequest;
  readonly answer: Answerer;
}

const addRoutes = (app: FastifyInstance, routes: readonly Route[], limits: HttpLimits, log: Log): void => {
  const entered = new WeakMap<FastifyRequest, Entered>();
  const hasHead = new Set(routes.filter((route) => route.method === 'HEAD').map((route) => route.path));
  for (const route of routes) {
    const method = route.method === 'GET' && !hasHead.has(route.path) ? ['GET', 'HEAD'] : route.method;
    app.route({
      method,
      url: route.path,
      exposeHeadRoute: false,
      bodyLimit: route.bodyBytesMax ?? limits.httpBodyBytes,
      onRequest: async (request, reply) => {
        if (route.enter === undefined) return;
        const head = requestOf(request, reply);
        const answer = await route.enter(head);
        if (typeof answer === 'function') entered.set(request, { head, answer });
        else {
          leaveBody(reply);
          await send(reply, answer, log);
        }
      },
      handler: async (request, reply) => {
        const { head, answer } = entered.get(request) ?? { head: requestOf(request, reply), answer: route.handle };
        return await send(reply, await answer({ ...head, body: bodyOf(request) }), log);
      },
    });
  }
};

/** Fastify with nothing of its own switched on: raw bodies, our words for every refusal. */
const adapter = (options: HttpServerOptions, limits: HttpLimits, makeServer: (handler: RequestListener) => Server): FastifyInstance => {
  const { log, routes } = options;
  const app = fastify({
    serverFactory: (handler) => makeServer(handler),
    // Unguessable, so that no line of a log can be forged under the name of another's request.
    genReqId: () => Buffer.from(realRandom.bytes(requestIdBytes)).toString('base64url'),
    bodyLimit: limits.httpBodyBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: paramBytesMax },
    clientErrorHandler: (error, socket) => rawProblem(error, socket),
    frameworkErrors: (error, _request, reply) => {
      void problemReply(reply, problemOf(error));
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    const refusal = problemOf(error);
    if (refusal.status >= 500)
      log.error('a request failed', { request: request.id, method: request.method, path: request.routeOptions.url, error });
    return problemReply(reply, refusal);
  });
  app.setNotFoundHandler((request, reply) => {
    const [path = '/'] = splitOnce(request.raw.url ?? '/');
    const allowed = allowedMethods(routes, path);
    if (allowed.length === 0) return problemReply(reply, problem('not-found', 404, `there is nothing at ${path}`));
    return problemReply(reply.header('allow', allowed.join(', ')), problem('bad-request', 405, `${request.method} is not possible here`));
  });
  addRoutes(app, routes, limits, log);
  return app;
};

const nodeServer = (options: HttpServerOptions, limits: HttpLimits, handler: RequestListener): Server => {
  const common: ServerOptions = {
    headersTimeout: limits.httpHeaderTimeoutMs,
    requestTimeout: limits.httpRequestTimeoutMs,
    // Node looks for late connections in this rhythm; its default of 30 s would make a limit of 10 s one of 40 s.
    connectionsCheckingInterval: Math.min(1000, limits.httpHeaderTimeoutMs),
    noDelay: true,
  };
  const { identity } = options;
  const server =
    identity === undefined
      ? createPlain(common, handler)
      : createTls(
          { ...common, key: identity.key, cert: identity.certificate, minVersion: 'TLSv1.3', handshakeTimeout: limits.httpHeaderTimeoutMs },
          handler,
        );
  server.maxConnections = limits.httpConnectionsMax;
  return server;
};

/** Removes what a dead daemon left; throws `conflict` where somebody still answers, or where the path is no socket. */
const clearSocketPath = async (path: string): Promise<void> => {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
  if (answers || !found.isSocket())
    throw new RemudaError(
      'conflict',
      `cannot listen on ${path}: ${answers ? 'another daemon listens there' : 'it is a file, not a socket'}`,
      {
        values: { path },
      },
    );
  unlinkSync(path);
};

/** Answers whether the port is still ours, and the interface that it was tied to still there. */
const listenAt = async (server: Server, at: HttpListen['at']): Promise<() => boolean> => {
  if ('socket' in at) await clearSocketPath(at.socket);
  const fd = 'socket' in at || at.interface === undefined ? undefined : boundSocket(linux.SOCK_STREAM, at);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    if ('socket' in at) {
      // The file is created inside this call: at no moment may others than owner and group connect.
      const before = process.umask(0o117);
      try {
        server.listen(at.socket);
      } finally {
        process.umask(before);
      }
    } else if (fd === undefined) server.listen(at.port, at.address);
    else server.listen({ fd });
  });
  if ('socket' in at) chmodSync(at.socket, 0o660);
  return () => server.listening && (fd === undefined || deviceStands(fd));
};

const whereOf = (at: HttpListen['at']): string => ('socket' in at ? at.socket : `${at.address}:${at.port}`);

/** See world.ts. Throws `bad-config` where the address cannot be had, `conflict` where another daemon has the Unix socket. */
export const httpListen = async (options: HttpServerOptions): Promise<Listener> => {
  const limits = options.limits ?? allLimits;
  let server: Server | undefined;
  const app = adapter(options, limits, (handler) => (server = nodeServer(options, limits, handler)));
  await app.ready();
  if (server === undefined) throw new RemudaError('internal', 'Fastify asked for no server');
  const listening: Server = server;
  let isListening: () => boolean;
  try {
    options.signal.throwIfAborted();
    isListening = await listenAt(listening, options.at);
  } catch (cause) {
    await app.close();
    if (cause instanceof RemudaError || options.signal.aborted) throw cause;
    throw new RemudaError('bad-config', `cannot listen on ${whereOf(options.at)}: ${reasonOf(cause)}`, {
      cause,
      values: { at: options.at },
    });
  }
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll(listening, app));
  const onAbort = (): void => void close();
  options.signal.addEventListener('abort', onAbort, { once: true });
  listening.once('close', () => options.signal.removeEventListener('abort', onAbort));
  const address = listening.address();
  return { port: typeof address === 'object' ? address?.port : undefined, isListening, close };
};

/** Listening ends at once; connections get `closeMs` to finish. */
const closeAll = async (server: Server, app: FastifyInstance): Promise<void> => {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), closeMs);
  await closed;
  clearTimeout(timer);
  await app.close();
};
