/** The API server in memory behind real HTTP, as far as our client speaks it: paths, pages, NDJSON, Status. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { KubeError } from '../../../src/kube/api.ts';
import type { ListOptions, WatchEvent } from '../../../src/kube/api.ts';
import type { Key, Kind, KubeObject } from '../../../src/kube/objects.ts';
import type { FakeApi } from '../fake-api.ts';

export interface Served {
  readonly url: string;
  /** Heads of all requests. */
  readonly requests: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  }[];
  /** TCP connections that were made. */
  readonly connections: () => number;
  close(): Promise<void>;
}
/** Answers before the server does, where it returns true. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean;

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  let text = '';
  for await (const piece of request) text += String(piece);
  return text === '' ? undefined : JSON.parse(text);
};
const send = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
};
const statusBody = (error: unknown): { readonly code: number } & Record<string, unknown> => {
  const known = error instanceof KubeError ? error : new KubeError(String(error), { status: 500, reason: 'InternalError' });
  const { httpStatus: code, reason, message } = known;
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code };
};
const path = /^(?:\/api\/(v1)|\/apis\/([^/]+)\/([^/]+))(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+)(?:\/([^/]+))?)?$/;

const answer = async (
  api: FakeApi,
  kindOf: (plural: string) => Kind | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const url = new URL(request.url ?? '/', 'http://x');
  const [, core, group = '', version = core ?? '', namespace, plural = '', name, subresource] = path.exec(url.pathname) ?? [];
  const kind = kindOf(plural);
  if (kind === undefined || kind.group !== group || kind.version !== version) {
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
    return;
  }
  const query = (wanted: string): string | undefined => url.searchParams.get(wanted) ?? undefined;
  const key: Key = `${namespace ?? ''}/${decodeURIComponent(name ?? '')}`;
  const fieldManager = query('fieldManager') ?? '';
  const which = Object.fromEntries(
    ['labelSelector', 'fieldSelector', 'resourceVersion'].flatMap((one) => (query(one) === undefined ? [] : [[one, query(one)]])),
  ) as ListOptions;
  const listing: ListOptions = { ...which, ...(namespace === undefined ? {} : { namespace }) };
  const body = (await bodyOf(request)) as KubeObject | undefined;
  const sub = subresource === 'status' ? { subresource } : {};
  if (request.method === 'GET' && name === undefined && query('watch') === '1') return await stream(api, kind, listing, response);
  if (request.method === 'GET' && name === undefined) return send(response, 200, await page(api, kind, listing, url.searchParams));
  if (request.method === 'GET') {
    const found = await api.get(kind, key);
    return found === undefined
      ? send(response, 404, statusBody(new KubeError('none', { status: 404, reason: 'NotFound' })))
      : send(response, 200, found);
  }
  if (request.method === 'POST' && subresource !== undefined) {
    await api.post(kind, key, subresource, body);
    return send(response, 201, { kind: 'Status', status: 'Success' });
  }
  if (body === undefined) throw new KubeError('a body is needed', { status: 400, reason: 'BadRequest' });
  if (request.method === 'POST') return send(response, 201, await api.create(kind, body, fieldManager));
  if (request.method === 'PUT') return send(response, 200, await api.replace(kind, body, fieldManager));
  if (request.method === 'DELETE') {
    const known = await api.get(kind, key);
    if (known === undefined) return send(response, 404, statusBody(new KubeError('none', { status: 404, reason: 'NotFound' })));
    await api.delete(kind, key, (body as unknown as { readonly preconditions: object }).preconditions);
    return send(response, 200, known);
  }
  if (request.headers['content-type'] === 'application/apply-patch+yaml') {
    const options = { fieldManager, force: query('force') === 'true', dryRun: query('dryRun') === 'All', ...sub } as const;
    return send(response, 200, await api.apply(kind, body, options as Parameters<FakeApi['apply']>[2]));
  }
  if (request.headers['content-type'] !== 'application/merge-patch+json')
    throw new KubeError('415', { status: 415, reason: 'UnsupportedMediaType' });
  return send(response, 200, await api.patch(kind, key, body, { fieldManager, ...sub } as Parameters<FakeApi['patch']>[3]));
};
/** Pages as the server makes them: `limit` items, and a token that holds version and place. */
const page = async (api: FakeApi, kind: Kind, listing: ListOptions, query: URLSearchParams): Promise<unknown> => {
  const { items, resourceVersion } = await api.list(kind, listing);
  const limit = Number(query.get('limit') ?? Infinity);
  const from = Number(query.get('continue') ?? 0);
  const more = from + limit < items.length ? { continue: String(from + limit) } : {};
  // Built-in kinds do not say in a list what they are.
  const bare = items.slice(from, from + limit).map(({ apiVersion: _apiVersion, kind: _kind, ...item }) => item);
  return { kind: `${kind.kind}List`, apiVersion: kind.version, metadata: { resourceVersion, ...more }, items: bare };
};
const lineOf = (event: WatchEvent): string =>
  event.type === 'BOOKMARK'
    ? `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: event.resourceVersion } } })}\n`
    : `${JSON.stringify(event)}\n`;
const stream = async (api: FakeApi, kind: Kind, listing: ListOptions, response: ServerResponse): Promise<void> => {
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('the client went away')));
  response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders();
  try {
    for await (const event of api.watch(kind, { resourceVersion: '', ...listing }, gone.signal)) {
      const line = lineOf(event);
      // In two pieces, cut anywhere.
      const cut = Math.floor(line.length / 3);
      response.write(line.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      response.write(line.slice(cut));
    }
  } catch (error) {
    if (gone.signal.aborted) return;
    response.write(`${JSON.stringify({ type: 'ERROR', object: statusBody(error) })}\n`);
  }
  response.end();
};

export const serveFake = async (
  api: FakeApi,
  kindOf: (plural: string) => Kind | undefined,
  {
    intercept = () => false,
    identity,
  }: { readonly intercept?: Intercept; readonly identity?: { readonly key: string; readonly cert: string } } = {},
): Promise<Served> => {
  const requests: Served['requests'] = [];
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    if (intercept(request, response)) return;
    answer(api, kindOf, request, response).catch((error: unknown) => {
      const body = statusBody(error);
      send(response, body.code, body);
    });
  };
  const server: Server = identity === undefined ? createServer(handle) : createTlsServer(identity, handle);
  let connections = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `${identity === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    connections: () => connections,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
