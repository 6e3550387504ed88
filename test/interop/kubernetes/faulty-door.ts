/** A bad line between our controller and a real API server: it cuts, refuses, delays, brings what is old, falls silent; by rules and a seed. */
import { createServer, Agent, request as ask } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Kubeconfig } from '../../../src/lab/plane/kubeconfig.ts';
import { selfSigned } from '../../../src/world/certificate.ts';
import { chanceOf } from '../../sim/chance.ts';
import { WatchLine } from './faulty-watch.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'replace' | 'patch' | 'delete';
export const writes: readonly Verb[] = ['create', 'replace', 'patch', 'delete'];
export type Fault =
  /** The connection ends; `after`: the server has done it, and its answer is lost. */
  | { readonly is: 'cut'; readonly when: 'before' | 'after' }
  | { readonly is: 'refuse'; readonly status: 409 | 410 | 429 | 500 | 503; readonly retryAfterSeconds?: number }
  | { readonly is: 'delay'; readonly ms: number }
  /** The answer that the same question had before; where it was never asked, the true one. */
  | { readonly is: 'stale' }
  /** A watch of which, after so many events, nothing comes any more. */
  | { readonly is: 'silent'; readonly afterEvents: number }
  /** A watch that is cut in the middle of a line. */
  | { readonly is: 'torn'; readonly afterEvents: number }
  /** A watch whose version the server has forgotten: an ERROR event, 410. */
  | { readonly is: 'forgotten'; readonly afterEvents: number };
export interface Rule {
  readonly verbs: readonly Verb[];
  readonly path?: RegExp;
  /** Of each such request, 0 to 1. */
  readonly chance: number;
  /** So often at the most; then the line is good again. */
  readonly most: number;
  readonly fault: Fault;
}
export interface DoorWish {
  readonly to: Kubeconfig;
  readonly seed: number;
  readonly rules?: readonly Rule[];
  /** The process behind the door dies at its n-th write (from 1): before it was sent, or when the server has done it. */
  readonly dies?: { readonly atWrite: number; readonly when: 'before' | 'after'; readonly told: () => void };
}

const verbOf = (method: string, path: string): Verb => {
  if (method === 'POST') return 'create';
  if (method === 'PUT') return 'replace';
  if (method === 'PATCH') return 'patch';
  if (method === 'DELETE') return 'delete';
  const { pathname, searchParams } = new URL(path, 'https://x');
  if (searchParams.get('watch') === '1') return 'watch';
  // /api/v1/namespaces/ns/secrets/name and /apis/group/version/...: an object has one part more than its collection.
  const parts = pathname.split('/').filter((part) => part !== '');
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  return (rest[0] === 'namespaces' && rest.length > 2 ? rest.length - 2 : rest.length) === 1 ? 'list' : 'get';
};
const reasonOf = { 409: 'Conflict', 410: 'Expired', 429: 'TooManyRequests', 500: 'InternalError', 503: 'ServiceUnavailable' } as const;
const statusBody = (code: keyof typeof reasonOf): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'the bad line', reason: reasonOf[code], code });
/** Of one request through the door. */
interface Passing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly verb: Verb;
  readonly path: string;
  readonly body: Buffer;
  readonly fault: Fault | undefined;
}

export class FaultyDoor {
  readonly #wish: DoorWish;
  readonly #agent: Agent;
  readonly #sockets = new Set<Socket>();
  readonly #left: number[];
  readonly #asked = new Map<string, number>();
  /** Answers by question, the oldest first. */
  readonly #before = new Map<string, { readonly status: number; readonly body: Buffer }>();
  readonly #close: () => Promise<void>;
  /** What the controller asked, in order. */
  readonly requests: { readonly verb: Verb; readonly path: string; readonly at: number }[] = [];
  /** How often each kind of fault came to pass. */
  readonly faults = new Map<string, number>();
  /** The controller reaches the API server by it. */
  readonly kubeconfig: Kubeconfig;
  #writes = 0;
  #isDead = false;
  #isGood = false;

  private constructor(wish: DoorWish, kubeconfig: Kubeconfig, close: () => Promise<void>) {
    this.#wish = wish;
    this.#left = (wish.rules ?? []).map(({ most }) => most);
    this.#agent = new Agent({ keepAlive: true, ca: wish.to.ca });
    this.kubeconfig = kubeconfig;
    this.#close = close;
  }
  static async open(wish: DoorWish): Promise<FaultyDoor> {
    const { key, certificate } = await selfSigned('127.0.0.1', Date.now());
    let door: FaultyDoor | undefined;
    const server = createServer(
      { key, cert: certificate },
      (request, response) => void (door === undefined ? response.destroy() : door.#enter(request, response)),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const close = async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    };
    door = new FaultyDoor(wish, { server: `https://127.0.0.1:${port}`, ca: certificate, token: wish.to.token }, close);
    const known = door;
    server.on('secureConnection', (socket: Socket) => {
      known.#sockets.add(socket);
      // Whoever cuts a line hears of it on both ends.
      socket.on('error', () => undefined);
      socket.once('close', () => known.#sockets.delete(socket));
      if (known.#isDead) socket.destroy();
    });
    return door;
  }
  /** From now on nothing comes through, in either direction. */
  die(): void {
    this.#isDead = true;
    for (const socket of this.#sockets) socket.destroy();
  }
  /** From now on the line is good. */
  heal(): void {
    this.#isGood = true;
  }
  get isDead(): boolean {
    return this.#isDead;
  }
  async close(): Promise<void> {
    this.die();
    this.#agent.destroy();
    await this.#close();
  }

  async #enter(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const path = request.url ?? '/';
      const verb = verbOf(request.method ?? 'GET', path);
      this.requests.push({ verb, path, at: Date.now() });
      await this.#pass({ request, response, verb, path, body: Buffer.concat(pieces), fault: this.#draw(verb, path) });
    } catch {
      // Either end went away: so does the other, and the controller calls that a cut connection.
      request.socket.destroy();
    }
  }
  /** The same question meets the same fault in every run with this seed, however requests overtake each other. */
  #draw(verb: Verb, path: string): Fault | undefined {
    if (this.#isGood) return undefined;
    const question = `${verb} ${path.split('?')[0]}`;
    const count = (this.#asked.get(question) ?? 0) + 1;
    this.#asked.set(question, count);
    for (const [at, rule] of (this.#wish.rules ?? []).entries()) {
      const isMeant = rule.verbs.includes(verb) && (rule.path === undefined || rule.path.test(path)) && (this.#left[at] ?? 0) > 0;
      if (!isMeant || !chanceOf(this.#wish.seed, `${at} ${question} ${count}`).chance(rule.chance)) continue;
      this.#left[at] = (this.#left[at] ?? 0) - 1;
      return rule.fault;
    }
    return undefined;
  }
  #tell({ fault }: Passing): void {
    const name =
      fault === undefined ? '' : fault.is === 'refuse' ? String(fault.status) : fault.is === 'cut' ? `cut ${fault.when}` : fault.is;
    if (name !== '') this.faults.set(name, (this.faults.get(name) ?? 0) + 1);
  }
  async #pass(passing: Passing): Promise<void> {
    const { verb, response, request, fault } = passing;
    const write = writes.includes(verb) ? ++this.#writes : 0;
    const { dies } = this.#wish;
    if (write > 0 && write === dies?.atWrite && dies.when === 'before') return this.#end(dies.told);
    if (fault?.is === 'cut' && fault.when === 'before') {
      this.#tell(passing);
      return void request.socket.destroy();
    }
    if (fault?.is === 'refuse') {
      this.#tell(passing);
      const retryAfter = fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(fault.retryAfterSeconds) };
      return void response.writeHead(fault.status, { 'Content-Type': 'application/json', ...retryAfter }).end(statusBody(fault.status));
    }
    if (fault?.is === 'delay') {
      this.#tell(passing);
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
    }
    if (verb === 'watch') return await this.#watch(passing);
    const known = this.#before.get(passing.path);
    if (fault?.is === 'stale' && known !== undefined) {
      this.#tell(passing);
      return void response.writeHead(known.status, { 'Content-Type': 'application/json' }).end(known.body);
    }
    const { status, headers, body } = await this.#ask(passing);
    if (write > 0 && write === dies?.atWrite) return this.#end(dies.told);
    if (verb === 'get' || verb === 'list') if (known === undefined || fault === undefined) this.#remember(passing.path, status, body);
    if (fault?.is === 'cut') {
      this.#tell(passing);
      return void request.socket.destroy();
    }
    response.writeHead(status, headers).end(body);
  }
  #end(told: () => void): void {
    this.die();
    told();
  }
  /** What is remembered is some answers old: each is kept for the next three. */
  #remember(path: string, status: number, body: Buffer): void {
    const count = this.#asked.get(`kept ${path}`) ?? 0;
    this.#asked.set(`kept ${path}`, count + 1);
    if (count % 4 === 0) this.#before.set(path, { status, body });
  }
  #upstream({ request, path, body }: Passing, answered: (answer: IncomingMessage) => void, failed: (error: Error) => void) {
    const { host: _host, ...headers } = request.headers;
    const { server } = this.#wish.to;
    const asking = ask(`${server}${path}`, { method: request.method, headers, agent: this.#agent }, answered);
    asking.on('error', failed);
    asking.end(body);
    return asking;
  }
  #ask(passing: Passing): Promise<{ readonly status: number; readonly headers: Record<string, string>; readonly body: Buffer }> {
    return new Promise((resolve, reject) => {
      const answered = (answer: IncomingMessage): void => {
        const pieces: Buffer[] = [];
        answer.on('data', (piece: Buffer) => pieces.push(piece));
        answer.on('error', reject);
        answer.on('end', () => {
          const retryAfter = answer.headers['retry-after'];
          const headers = {
            'Content-Type': answer.headers['content-type'] ?? 'application/json',
            ...(retryAfter === undefined ? {} : { 'Retry-After': retryAfter }),
          };
          resolve({ status: answer.statusCode ?? 0, headers, body: Buffer.concat(pieces) });
        });
      };
      this.#upstream(passing, answered, reject);
    });
  }
  #watch(passing: Passing): Promise<void> {
    const { response, request } = passing;
    return new Promise((resolve, reject) => {
      const asking = this.#upstream(
        passing,
        (answer) => {
          response.writeHead(answer.statusCode ?? 0, { 'Content-Type': 'application/json' }).flushHeaders();
          const line = new WatchLine(passing.fault, {
            send: (bytes) => response.write(bytes),
            cut: () => request.socket.destroy(),
            end: () => response.end(),
            told: () => this.#tell(passing),
          });
          answer.on('data', (piece: Buffer) => line.take(piece));
          answer.on('error', reject);
          answer.on('end', () => {
            line.over();
            resolve();
          });
        },
        reject,
      );
      response.on('close', () => {
        asking.destroy();
        resolve();
      });
    });
  }
}
