/** The HTTP client: one call, one connection, bounded in time and bytes; a pinned certificate is checked before the request is sent. */
import { lookup as lookUp } from 'node:dns';
import { request as plainRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { connect as connectTcp, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { RemudaError, reasonOf } from '../errors.ts';
import { errnoOf } from './files.ts';
import { judgeCertificate, trustOptions } from './tls-trust.ts';
import type { HttpAnswer, HttpCall } from './world.ts';

/** Where this call stopped because of its own time limit. */
class TooSlow extends Error {
  override readonly name = 'TooSlow';
}

const plainReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to its network',
  ENOTFOUND: 'its name does not resolve',
  EAI_AGAIN: 'the name server does not answer',
  ENOENT: 'there is no such socket',
  EACCES: 'this user may not open the socket',
  ETIMEDOUT: 'it does not answer',
};
/** What an errno means to a person; undefined for an unknown one. */
export const plainReasonOf = (errno: string | undefined): string | undefined => {
  if (errno === undefined) return undefined;
  return isTlsFailure(errno) ? `its certificate or handshake is not acceptable (${errno})` : plainReasons[errno];
};
/** OpenSSL's and Node's names for a certificate or a handshake that does not hold. */
const isTlsFailure = (errno: string): boolean =>
  /CERT|^ERR_SSL|^ERR_TLS|UNABLE_TO_(GET|VERIFY|DECRYPT)|^EPROTO$|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)/.test(errno);

const where = (call: HttpCall): string => `${call.method} ${call.socket === undefined ? call.url : `${call.socket} ${call.url}`}`;

const failure = (call: HttpCall, cause: unknown): RemudaError => {
  if (cause instanceof RemudaError) return cause;
  const errno = errnoOf(cause) ?? '';
  const values = { url: call.url, socket: call.socket };
  if (isTlsFailure(errno))
    return new RemudaError('bmc-untrusted', `${where(call)}: its certificate or handshake is not acceptable (${errno})`, { cause, values });
  return new RemudaError('bmc-unreachable', `${where(call)}: ${plainReasons[errno] ?? reasonOf(cause)}`, { cause, values });
};

/** The callers' signals and the call's own clock in one; `silence` starts the clock again. */
const deadline = (call: HttpCall, world: AbortSignal): { signal: AbortSignal; again: () => void } & Disposable => {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new TooSlow(`no answer within ${call.timeoutMs} ms`)), call.timeoutMs);
  const outer = call.signal === undefined ? [world] : [world, call.signal];
  return { signal: AbortSignal.any([...outer, late.signal]), again: () => timer.refresh(), [Symbol.dispose]: () => clearTimeout(timer) };
};

const connected = (socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', reject);
    socket.once(event, () => {
      signal.removeEventListener('abort', stop);
      socket.off('error', reject);
      resolve();
    });
  });

/** A name is resolved once, and only its permitted addresses are connected to: what it resolves to a moment later does not matter (DNS rebinding). */
const guarded = (call: HttpCall, host: string): { readonly lookup?: LookupFunction } => {
  const { refuses } = call;
  if (call.socket !== undefined || refuses === undefined) return {};
  const refused = (why: string): RemudaError => new RemudaError('bad-request', `${where(call)}: ${why}`, { values: { url: call.url } });
  const why = isIP(host) === 0 ? undefined : refuses(host, host);
  if (why !== undefined) throw refused(why);
  return {
    lookup: (name, options, done) =>
      lookUp(name, { ...options, all: true }, (error, all) => {
        if (error !== null) return done(error, []);
        const reasons = all.map(({ address }) => refuses(host, address));
        const good = all.filter((_, index) => reasons[index] === undefined);
        const [first] = good;
        if (first === undefined) return done(refused(reasons.find((reason) => reason !== undefined) ?? 'its name has no address'), []);
        return options.all === true ? done(null, good) : done(null, first.address, first.family);
      }),
  };
};

/** A connection over which the request may be sent. */
const connectFor = async (call: HttpCall, url: URL, signal: AbortSignal): Promise<Socket> => {
  const secure = url.protocol === 'https:';
  const host = url.hostname.replaceAll(/^\[|\]$/g, '');
  const port = Number(url.port || (secure ? 443 : 80));
  const to = call.socket === undefined ? { host, port, ...guarded(call, host) } : { path: call.socket };
  if (!secure) {
    const socket = connectTcp(to);
    await connected(socket, 'connect', signal);
    return socket;
  }
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = connectTls({ ...to, ...name, ...trustOptions(call), ALPNProtocols: ['http/1.1'] });
  await connected(socket, 'secureConnect', signal);
  judgeCertificate(call, where(call), socket);
  return socket;
};

const bodyOf = (call: HttpCall): Uint8Array | undefined => (typeof call.body === 'string' ? Buffer.from(call.body) : call.body);

/** Sends the request and waits for the head of the answer. */
const exchange = async (call: HttpCall, signal: AbortSignal): Promise<IncomingMessage> => {
  signal.throwIfAborted();
  const url = new URL(call.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RemudaError('bad-request', `${call.url}: only http and https are spoken`, { values: { url: call.url } });
  const socket = await connectFor(call, url, signal);
  const body = bodyOf(call);
  const headers = { ...call.headers, ...(body === undefined ? {} : { 'content-length': String(body.length) }) };
  // No agent: with one, even with `agent: false`, Node would open a connection of its own instead of taking ours.
  const options: RequestOptions = { method: call.method, headers, createConnection: () => socket };
  return await new Promise((resolve, reject) => {
    const sent: ClientRequest = (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, options, resolve);
    sent.on('error', reject);
    const stop = (): void => {
      sent.destroy();
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', stop));
    sent.end(body);
  });
};

const headersOf = (answer: IncomingMessage): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(answer.headers).map(([name, value = '']) => [name, Array.isArray(value) ? value.join(', ') : value]));

/** The body's chunks, never more than asked for; an answer that is larger or cut short throws. */
async function* chunksOf(call: HttpCall, answer: IncomingMessage): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > call.replyBytesMax)
        throw new RemudaError('bmc-refused', `${where(call)}: answers with more than ${call.replyBytesMax} bytes`, {
          values: { url: call.url },
        });
      yield chunk;
    }
  } finally {
    answer.destroy();
  }
}

const collect = async (call: HttpCall, answer: IncomingMessage): Promise<Uint8Array> =>
  Buffer.concat(await Array.fromAsync(chunksOf(call, answer)));

/** What ended a call: the caller's own reason where the caller ended it, otherwise a RemudaError in plain words. */
const endedBy = (call: HttpCall, world: AbortSignal, error: unknown): unknown => {
  if (call.signal?.aborted === true) return call.signal.reason;
  return world.aborted ? world.reason : failure(call, error);
};

/** See world.ts; redirects are answers like any other, and nothing is asked to be compressed. */
export const httpCall = async (call: HttpCall, world: AbortSignal): Promise<HttpAnswer> => {
  using limit = deadline(call, world);
  try {
    const answer = await exchange(call, limit.signal);
    return { status: answer.statusCode ?? 0, headers: headersOf(answer), body: await collect(call, answer) };
  } catch (error) {
    throw endedBy(call, world, limit.signal.aborted ? limit.signal.reason : error);
  }
};

/**
 * `timeoutMs` bounds the wait for the head of the answer and then each silence; `replyBytesMax` the whole (Infinity for an endless stream).
 * A status that is not 2xx throws `bmc-refused` with the status and the beginning of the answer.
 */
export async function* httpStream(call: HttpCall, world: AbortSignal): AsyncGenerator<Uint8Array> {
  using limit = deadline(call, world);
  try {
    const answer = await exchange(call, limit.signal);
    const status = answer.statusCode ?? 0;
    if (status < 200 || status > 299) {
      const text = Buffer.from(await collect({ ...call, replyBytesMax: 64 * 1024 }, answer)).toString();
      throw new RemudaError('bmc-refused', `${where(call)}: answers ${status}`, {
        values: { url: call.url, status, answer: text.slice(0, 500) },
      });
    }
    limit.again();
    for await (const chunk of chunksOf(call, answer)) {
      limit.again();
      yield chunk;
    }
  } catch (error) {
    throw endedBy(call, world, limit.signal.aborted ? limit.signal.reason : error);
  }
}
