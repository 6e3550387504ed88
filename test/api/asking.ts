/** The API as its clients meet it: the routes on a Unix socket and on a TCP port that asks for tokens, and how to ask either. */
import { adminRoutes, tokenGuardedRoutes } from '../../src/api/admin-routes.ts';
import type { Role } from '../../src/api/route.ts';
import type { Limits } from '../../src/limits.ts';
import type { Method } from '../../src/world/world.ts';
import { MemoryHttp, ipv4 } from '../world/memory-http.ts';
import { fakeDeps, now } from './admin-rack.ts';

const stillClock = {
  now: () => now,
  sleep: () => Promise.resolve(),
  after: () => () => {},
  soon: (run: () => void) => queueMicrotask(run),
};
export interface Ask {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Over TCP, with this token or with none. */
  readonly token?: string | null;
}
export interface Answered {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  json(): unknown;
}

export const asking = async (limits: Partial<Limits> = {}) => {
  const fakes = fakeDeps(limits);
  const http = new MemoryHttp({ clock: stillClock }).at(ipv4('127.0.0.1'));
  await http.listen({ at: { socket: '/run/r.sock' }, routes: adminRoutes(fakes.deps) });
  await http.listen({ at: { address: ipv4('127.0.0.1'), port: 7470 }, routes: tokenGuardedRoutes(fakes.deps) });
  const callOf = (method: Method, path: string, { body, headers, token }: Ask) => ({
    method,
    url: token === undefined ? `http://remuda${path}` : `http://127.0.0.1:7470${path}`,
    ...(token === undefined ? { socket: '/run/r.sock' } : {}),
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined || token === null ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    timeoutMs: 1000,
    replyBytesMax: 4 * 1024 * 1024,
  });
  const ask = async (method: Method, path: string, sent: Ask = {}): Promise<Answered> => {
    const answer = await http.call(callOf(method, path, sent));
    const text = new TextDecoder().decode(answer.body);
    return { status: answer.status, text, headers: answer.headers, json: () => JSON.parse(text) as unknown };
  };
  const stream = (path: string, sent: Ask = {}, method: Method = 'GET') => http.stream(callOf(method, path, sent));
  const tokenFor = async (role: Role, name: string = role): Promise<string> =>
    (await fakes.access.deps.tokens.create({ name, role, expiresAt: null })).token;
  return { ...fakes, ask, stream, tokenFor };
};
