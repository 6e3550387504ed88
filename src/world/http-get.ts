/** One GET of something large, from a server that may be anybody's: the address is judged before the connection, and silence ends it. */
import { lookup } from 'node:dns/promises';
import { request as plainRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { RemudaError, reasonOf } from '../errors.ts';
import { plainReasonOf } from './http-client.ts';
import { errnoOf } from './files.ts';
import type { HttpBody, HttpGet } from './world.ts';

/** Without the query, which may be a password. */
const shown = (url: string): string => url.replace(/[?#].*$/, '');

const failure = (get: HttpGet, cause: unknown): RemudaError =>
  cause instanceof RemudaError
    ? cause
    : new RemudaError('source-failed', `GET ${shown(get.url)}: ${plainReasonOf(errnoOf(cause)) ?? reasonOf(cause)}`, { cause });

/** The addresses of the host that may be connected to. Throws `source-refused` where there is none. */
const permitted = async (get: HttpGet, host: string): Promise<readonly string[]> => {
  const all = isIP(host) === 0 ? (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address) : [host];
  const refusals = all.map((address) => get.refuses(host, address));
  const good = all.filter((_, index) => refusals[index] === undefined);
  if (good.length > 0) return good;
  throw new RemudaError(
    'source-refused',
    `GET ${shown(get.url)} is refused: ${refusals.find((refusal) => refusal !== undefined) ?? 'its name has no address'}`,
    {
      values: { url: shown(get.url), addresses: all },
    },
  );
};

/** Runs `work` with a limit to its silence. `end` is called when it is over, the caller leaves, or the world ends. */
interface Watch {
  while<T>(work: () => Promise<T>): Promise<T>;
  readonly signal: AbortSignal;
}
const watchOf = (get: HttpGet, world: AbortSignal): Watch => {
  const late = new AbortController();
  const signal = AbortSignal.any([world, late.signal, ...(get.signal === undefined ? [] : [get.signal])]);
  return {
    signal,
    while: async (work) => {
      signal.throwIfAborted();
      const timer = setTimeout(
        () => late.abort(new RemudaError('source-failed', `GET ${shown(get.url)}: silence for ${get.silenceMs} ms`)),
        get.silenceMs,
      );
      const { promise, reject } = Promise.withResolvers<never>();
      const stop = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', stop, { once: true });
      try {
        return await Promise.race([work(), promise]);
      } catch (error) {
        throw signal.aborted ? signal.reason : failure(get, error);
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
      }
    },
  };
};

const opened = (socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once(event, () => {
      socket.off('error', reject);
      resolve();
    });
  });

/** A connection to one of these addresses, the first that answers. TLS is for the name in the URL, by the system's authorities. */
const connect = async (url: URL, host: string, addresses: readonly string[], signal: AbortSignal): Promise<Socket> => {
  const secure = url.protocol === 'https:';
  const port = Number(url.port || (secure ? 443 : 80));
  let last: unknown;
  for (const address of addresses) {
    signal.throwIfAborted();
    // A name with IPv6 addresses resolves the same on a machine without IPv6, so each gets its turn.
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket = secure ? connectTls({ host: address, port, ...name, ALPNProtocols: ['http/1.1'] }) : connectTcp({ host: address, port });
    const destroy = (): void => void socket.destroy();
    signal.addEventListener('abort', destroy, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', destroy));
    try {
      await opened(socket, secure ? 'secureConnect' : 'connect');
      return socket;
    } catch (error) {
      last = error;
      socket.destroy();
    }
  }
  throw last;
};

const ask = (get: HttpGet, url: URL, socket: Socket): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const options = { method: 'GET', headers: get.headers, createConnection: () => socket };
    (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, options, resolve).on('error', reject).end();
  });

const headersOf = (answer: IncomingMessage): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(answer.headers).map(([name, value = '']) => [name, Array.isArray(value) ? value.join(', ') : value]));

/** See world.ts. */
export const httpGet = async (get: HttpGet, world: AbortSignal): Promise<HttpBody> => {
  const url = new URL(get.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RemudaError('source-refused', `${shown(get.url)}: only http and https are spoken`);
  const host = url.hostname.replaceAll(/^\[|\]$/g, '');
  const watch = watchOf(get, world);
  const answer = await watch.while(async () => {
    const socket = await connect(url, host, await permitted(get, host), watch.signal);
    // What it is connected to is what counts, whatever stands between.
    const refusal = get.refuses(host, socket.remoteAddress ?? '');
    if (refusal === undefined) return ask(get, url, socket);
    socket.destroy();
    throw new RemudaError('source-refused', `GET ${shown(get.url)} is refused: ${refusal}`);
  });
  const close = (): void => void answer.destroy();
  // An error that nobody waits for (between two reads) is told by the next read.
  answer.on('error', () => {});
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    const pieces = (answer as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await watch.while(() => pieces.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      close();
    }
  };
  return { status: answer.statusCode ?? 0, headers: headersOf(answer), chunks: chunks(), close };
};
