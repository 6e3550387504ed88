/** The door of the admin API: who comes in, how often, with which rights; what is recorded, and how a refusal looks. */
import { RemudaError, codeOf } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { problemOfRequest } from '../world/http-problem.ts';
import type { Clock, HttpReply, HttpRequest, Log, Meter, Random, Route } from '../world/world.ts';
import type { AuditTrail, Deed } from './audit.ts';
import { conditional } from './etag.ts';
import { Buckets, Seats } from './rate.ts';
import { mayAct } from './route.ts';
import type { AdminRoute, Caller, Ending, Ready } from './route.ts';
import type { TokenBook } from './tokens.ts';

export interface DoorParts {
  readonly tokens: Pick<TokenBook, 'judge'>;
  readonly audit: Pick<AuditTrail, 'begin' | 'refused'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Log;
  readonly meter: Meter;
  readonly limits: Limits;
  /** Names by which people call this daemon, besides addresses and names without a dot. */
  readonly names: readonly string[];
}
/** `socket`: the permissions of its file are the guard, and who may open it is an admin. `token`: all others must show one. */
export type DoorKind = 'socket' | 'token';

/**
 * A page of another site that made its name point at this machine (DNS rebinding) sends that name here. People come by address, by
 * `localhost`, by a name without a dot, such as a container's, or by a name from the configuration. The Unix socket is no exception:
 * something may carry a port to it.
 */
const refuseForeignName = (request: HttpRequest, names: readonly string[]): void => {
  const name = (request.headers['host'] ?? '').toLowerCase().replace(/:\d+$/, '');
  if (/^[\d.]+$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name) || /^[a-z0-9-]*$/.test(name) || names.includes(name)) return;
  throw new RemudaError(
    'bad-request',
    `this daemon is not called ${JSON.stringify(name.slice(0, 64))}: ask it by its address, or set api.names in its configuration`,
  );
};
/** A name that the client says of itself, for the timeline: whoever may open the socket may say any. */
const socketCaller = (request: HttpRequest): Caller => {
  const said = request.headers['x-remuda-user'] ?? '';
  return { name: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(said) ? said : 'operator', role: 'admin' };
};
/** RFC 6750 §2.1; undefined where the request brings no token. */
const bearerOf = ({ headers }: HttpRequest): string | undefined => /^bearer +(\S+) *$/i.exec(headers['authorization'] ?? '')?.[1];

const tooMany = (what: string, retryAfterMs: number): RemudaError =>
  new RemudaError('rate-limited', `${what}: come again in ${Math.ceil(retryAfterMs / 1000)} s`, { values: { retryAfterMs } });
/** RFC 6750 §3: what a client may do about it. */
const challenges: Partial<Record<Code, string>> = {
  unauthenticated: 'Bearer realm="remuda", error="invalid_token"',
  forbidden: 'Bearer realm="remuda", error="insufficient_scope"',
};
/** Throws `forbidden` where the caller's role is not enough. */
const allow = ({ id, role }: AdminRoute, caller: Caller): void => {
  if (role === 'anyone' || mayAct(caller.role, role)) return;
  throw new RemudaError(
    'forbidden',
    `${id} needs the role ${role}, and ${caller.name} has ${caller.role}: ask an admin for a token with that role`,
    { values: { needs: role, has: caller.role } },
  );
};
const nobody: Caller = { name: 'anonymous', role: 'viewer' };
const isRefusal = (code: Code): boolean => code === 'unauthenticated' || code === 'forbidden';

type Answerer = (whole: HttpRequest) => Promise<HttpReply>;
/** A request from its head to its answer. */
interface Visit {
  readonly row: AdminRoute;
  readonly id: string;
  /** ms since 1970 */
  readonly began: number;
}

/** One for all admin listeners, so that rates and seats count over all of them. */
export class Door {
  readonly #parts: DoorParts;
  readonly #requests: Buckets;
  readonly #refusals: Buckets;
  readonly #seats: Seats;

  constructor(parts: DoorParts) {
    this.#parts = parts;
    const { apiRequestsPerSecond, apiRequestsBurst, apiRefusalsPerMinute, apiRefusalsBurst, apiPeersMax } = parts.limits;
    this.#requests = new Buckets({ perSecond: apiRequestsPerSecond, burst: apiRequestsBurst, namesMax: apiPeersMax });
    this.#refusals = new Buckets({ perSecond: apiRefusalsPerMinute / 60, burst: apiRefusalsBurst, namesMax: apiPeersMax });
    this.#seats = new Seats(parts.limits.apiHeldMax, parts.limits.apiHeldPerCallerMax);
  }
  /**
   * A row of the table as a route of a listener. Who asks is judged before the body is read. Every answer carries `X-Request-Id`, every
   * refusal is problem+json.
   */
  route(row: AdminRoute, kind: DoorKind): Route {
    const { method, path, bodyBytesMax } = row;
    const enter = (head: HttpRequest): Promise<HttpReply | Answerer> => this.#enter(row, kind, head);
    const handle = async (request: HttpRequest): Promise<HttpReply> => {
      const entered = await enter(request);
      return typeof entered === 'function' ? entered(request) : entered;
    };
    return { method, path, ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }), enter, handle };
  }
  async #enter(row: AdminRoute, kind: DoorKind, head: HttpRequest): Promise<HttpReply | Answerer> {
    const id = head.id ?? Buffer.from(this.#parts.random.bytes(9)).toString('base64url');
    const visit: Visit = { row, id, began: this.#parts.clock.now() };
    const deed: Omit<Deed, 'actor' | 'subject'> = { action: row.id, request: id, peer: head.peer ?? kind };
    let caller = nobody;
    try {
      refuseForeignName(head, this.#parts.names);
      if (row.role !== 'anyone') caller = this.#callerOf(kind, head);
      if (kind !== 'socket') this.#bound(row.role === 'anyone' ? `peer ${deed.peer}` : `token ${caller.name}`);
      allow(row, caller);
    } catch (error) {
      return this.#finish(visit, async () => {
        const code = codeOf(error);
        if (isRefusal(code)) {
          this.#parts.meter.count('api_refusals', { code });
          await this.#parts.audit.refused({ ...deed, subject: Object.values(head.params).join('/'), actor: caller.name }, code);
        }
        throw error;
      });
    }
    return (whole) =>
      this.#finish(visit, async () => {
        const { subject, isDry, run } = row.read(whole, caller);
        const done = { ...deed, actor: caller.name, subject, isDry };
        return this.#seated(row, { request: whole, caller, name: `${kind} ${caller.name}` }, () => this.#recorded(row, whole, done, run));
      });
  }
  /** What came of it, or the refusal; timed and counted, under the ID of the request. */
  async #finish({ row, id, began }: Visit, act: () => Promise<HttpReply>): Promise<HttpReply> {
    const { clock, meter, log } = this.#parts;
    let reply: HttpReply;
    try {
      reply = await act();
    } catch (error) {
      if (codeOf(error) === 'internal') log.error('a request failed', { request: id, action: row.id, error });
      reply = refusal(error, id);
    }
    meter.count('api_requests', { action: row.id, status: String(reply.status) });
    meter.took('api_request_seconds', (clock.now() - began) / 1000, { action: row.id });
    return { ...reply, headers: { ...reply.headers, 'x-request-id': id } };
  }
  #callerOf(kind: DoorKind, request: HttpRequest): Caller {
    if (kind === 'socket') return socketCaller(request);
    const token = bearerOf(request);
    try {
      if (token === undefined)
        throw new RemudaError('unauthenticated', 'this needs a token: send Authorization: Bearer remuda_…, or ask over the Unix socket');
      return this.#parts.tokens.judge(token);
    } catch (error) {
      // Only failures are counted here: a good token comes in from wherever others guess.
      const waitMs = this.#refusals.take(request.peer ?? 'unknown', this.#parts.clock.now());
      if (waitMs > 0) {
        this.#parts.meter.count('api_refusals', { code: 'rate-limited' });
        throw tooMany('too many requests without a good token came from your address', waitMs);
      }
      throw error;
    }
  }
  #bound(name: string): void {
    const waitMs = this.#requests.take(name, this.#parts.clock.now());
    if (waitMs > 0) throw tooMany('too many requests', waitMs);
  }
  /** A change is on record before it is done; a question is not recorded. */
  async #recorded({ method, isRecorded }: AdminRoute, request: HttpRequest, deed: Deed, run: Ready['run']): Promise<HttpReply> {
    const isQuestion = method === 'GET' || method === 'HEAD';
    if (isQuestion && isRecorded !== true) return conditional(request, await run());
    const { audit, log } = this.#parts;
    const ended = await audit.begin(deed);
    try {
      const { over, ...reply } = await run();
      if (over !== undefined) {
        this.#follow(deed, over, ended);
        return reply;
      }
      await ended('ok');
      const { action, actor, subject, isDry } = deed;
      log.info(`${action} by ${actor}${isDry === true ? ', a dry run' : ''}`, { request: deed.request, subject });
      return reply;
    } catch (error) {
      await ended(codeOf(error));
      throw error;
    }
  }
  /** Work that goes on behind its answer has its outcome recorded when it has one. */
  #follow(deed: Deed, over: Promise<Ending>, ended: (outcome: 'ok' | 'left' | Code) => Promise<void>): void {
    const { log } = this.#parts;
    const { action, actor, request, subject } = deed;
    const record = async (ending: Ending): Promise<void> => {
      const outcome = 'thrown' in ending ? codeOf(ending.thrown) : ending.outcome;
      if ('thrown' in ending && outcome === 'internal') log.error('a request failed', { request, action, error: ending.thrown });
      else log.info(`${action} by ${actor}`, { request, subject, outcome });
      await ended(outcome);
    };
    over.then(record).catch((error: unknown) => log.error('the outcome of a request was not recorded', { request, action, error }));
  }
  async #seated(
    row: AdminRoute,
    { request, caller, name }: { readonly request: HttpRequest; readonly caller: Caller; readonly name: string },
    run: () => Promise<HttpReply>,
  ): Promise<HttpReply> {
    if (row.stays !== true) return run();
    const leave = this.#seats.take(name);
    if (leave === undefined) throw tooMany('too many requests of this kind are open already', this.#parts.limits.apiHeartbeatMs);
    let goesOn = false;
    try {
      const reply = await run();
      const { body } = reply;
      goesOn = typeof body === 'object' && Symbol.asyncIterator in body && request.method !== 'HEAD';
      if (!goesOn) return reply;
      // A client that leaves before the first word leaves a stream that never begins, and so never ends.
      request.signal.addEventListener('abort', leave, { once: true });
      // What was asked as a question is told no longer than the token is good; a change that was begun comes to its end.
      const isGood = row.method === 'GET' ? caller.isGood : undefined;
      return { ...reply, body: until(body as AsyncIterable<Uint8Array>, leave, isGood) };
    } finally {
      if (!goesOn) leave();
    }
  }
}

/** The same stream while it may go on, with a last word when it is over. */
async function* until(body: AsyncIterable<Uint8Array>, over: () => void, mayGoOn: () => boolean = () => true): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of body) {
      if (!mayGoOn()) return;
      yield piece;
    }
  } finally {
    over();
  }
}

const refusal = (error: unknown, id: string): HttpReply => {
  const problem = problemOfRequest(error, id);
  const challenge = challenges[problem.code];
  const retryAfterMs = error instanceof RemudaError ? error.values['retryAfterMs'] : undefined;
  return {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
      ...(typeof retryAfterMs === 'number' ? { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) } : {}),
    },
    body: `${JSON.stringify(problem)}\n`,
  };
};
