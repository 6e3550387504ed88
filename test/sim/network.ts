/** The simulated network: datagrams that are lost, doubled and late; HTTP calls that are late or cut; processes that die with calls in flight. */
import { RemudaError } from '../../src/errors.ts';
import { everyone } from '../../src/wire/address.ts';
import type { Ipv4, Mac } from '../../src/wire/address.ts';
import type { Datagram, HttpAnswer, HttpCall, HttpListen, HttpReply, HttpRequest, Route, UdpSocket, World } from '../../src/world/world.ts';
import type { MemoryFiles } from '../world/memory-files.ts';
import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';

export interface Faults {
  drop: number;
  duplicate: number;
  delayMs: number;
  /** A call is lost before it arrives, or its answer is. */
  httpLoss: number;
  crash: number;
  bmcSilence: number;
  agentDeath: number;
}
/** Each seed switches most faults off and gives the others wild strengths. */
export const swarm = (chance: Chance): Faults => ({
  drop: chance.chance(0.4) ? chance.next() * 0.3 : 0,
  duplicate: chance.chance(0.4) ? chance.next() * 0.3 : 0,
  delayMs: chance.chance(0.6) ? chance.between(1, 800) : 2,
  httpLoss: chance.chance(0.4) ? chance.next() * 0.15 : 0,
  crash: chance.chance(0.6) ? 0.03 : 0,
  bmcSilence: chance.chance(0.3) ? 0.2 : 0,
  agentDeath: chance.chance(0.3) ? 0.02 : 0,
});
export const heal = (faults: Faults): void => {
  Object.assign(faults, { drop: 0, duplicate: 0, delayMs: 2, httpLoss: 0, crash: 0, bmcSilence: 0, agentDeath: 0 });
};

/** One process or machine on the network. */
export interface Party {
  readonly name: string;
  readonly mac?: Mac;
  /** Its present address; a host has one only after DHCP. */
  address: Ipv4;
  readonly signal: AbortSignal;
}
interface Socket {
  readonly party: Party;
  readonly port: number;
  handler: (datagram: Datagram) => void;
}
interface Server {
  readonly party: Party;
  readonly routes: readonly Route[];
}

/** One call and what was answered. */
export interface Exchange {
  readonly from: string;
  readonly to: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
}

export class Network {
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;
  readonly faults: Faults;
  readonly #sockets = new Set<Socket>();
  readonly #servers = new Map<string, Server>();
  /** Every answer as it is made, and every call as it arrives: for those who listen in. */
  onAnswer: (exchange: Exchange) => void = () => undefined;
  onCall: (call: { readonly from: Party; readonly method: string; readonly url: string; readonly body: string }) => void = () => undefined;

  constructor(scheduler: Scheduler, chance: Chance, faults: Faults) {
    this.#scheduler = scheduler;
    this.#chance = chance;
    this.faults = faults;
  }
  #delay(): number {
    return this.#chance.between(1, this.faults.delayMs);
  }

  udp(party: Party, port: number): UdpSocket {
    const socket: Socket = { party, port: port === 0 ? 20_000 + this.#chance.between(0, 30_000) : port, handler: () => undefined };
    this.#sockets.add(socket);
    party.signal.addEventListener('abort', () => this.#sockets.delete(socket), { once: true });
    const carry = (bytes: Uint8Array, toPort: number, reaches: (other: Party) => boolean): void => {
      if (party.signal.aborted) return;
      for (const other of this.#sockets)
        if (other !== socket && other.port === toPort && reaches(other.party)) this.#carry(socket, other, bytes);
    };
    return {
      local: { address: party.address, port: socket.port },
      receive: (handler) => {
        socket.handler = handler;
      },
      send: (bytes, to) => {
        const step = to.segmentBytes ?? Math.max(1, bytes.length);
        for (let at = 0; at < Math.max(1, bytes.length); at += step)
          carry(
            bytes.slice(at, at + step),
            to.port,
            (other) => other !== party && (to.address === everyone || other.address === to.address),
          );
      },
      sendToHardware: (bytes, to) => carry(bytes, to.port, (other) => other.mac === to.mac),
      close: () => this.#sockets.delete(socket),
    };
  }
  #carry(from: Socket, to: Socket, bytes: Uint8Array): void {
    const copies = this.#chance.chance(this.faults.drop) ? 0 : this.#chance.chance(this.faults.duplicate) ? 2 : 1;
    if (copies === 0) this.#scheduler.sometimes('a datagram is lost');
    for (let copy = 0; copy < copies; copy++)
      this.#scheduler.at(this.#delay(), () => {
        if (!this.#sockets.has(to)) return;
        this.#scheduler.log(`udp ${from.party.name}:${from.port} -> ${to.party.name}:${to.port} ${bytes.length}`);
        to.handler({ bytes, address: from.party.address, port: from.port });
      });
  }

  listen(party: Party, { at, routes }: HttpListen): { port: number; close: () => Promise<void> } {
    if ('socket' in at) throw new Error('no Unix sockets here');
    const key = `${at.address}:${at.port}`;
    const server = { party, routes };
    this.#servers.set(key, server);
    const gone = (): void => {
      if (this.#servers.get(key) === server) this.#servers.delete(key);
    };
    party.signal.addEventListener('abort', gone, { once: true });
    return { port: at.port, close: () => Promise.resolve(gone()) };
  }

  /** Never settles for a caller that is dead. */
  call(party: Party, call: HttpCall): Promise<HttpAnswer> {
    const url = new URL(call.url);
    const port = Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port);
    const key = `${url.hostname}:${port}`;
    const text = typeof call.body === 'string' ? call.body : Buffer.from(call.body ?? new Uint8Array()).toString('latin1');
    return new Promise((resolve, reject) => {
      let over = false;
      const reset = (): void => fail('connection reset');
      let server: Server | undefined;
      const settle = (act: () => void): void => {
        if (over || party.signal.aborted) return;
        over = true;
        server?.party.signal.removeEventListener('abort', reset);
        act();
      };
      const fail = (why: string): void => settle(() => reject(new RemudaError('bmc-unreachable', `${key}: ${why}`)));
      const late = this.#chance.chance(this.faults.httpLoss);
      const lostAnswer = late && this.#chance.chance(0.5);
      this.#scheduler.at(call.timeoutMs, () => fail('no answer in time'));
      const client = new AbortController();
      this.#scheduler.at(this.#delay(), () => {
        if (late && !lostAnswer) return this.#scheduler.sometimes('a call is lost');
        server = this.#servers.get(key);
        if (party.signal.aborted) return undefined;
        if (server === undefined) return fail('connection refused');
        this.#scheduler.log(`http ${party.name} ${call.method} ${url.pathname.slice(0, 80)} -> ${server.party.name}`);
        this.onCall({ from: party, method: call.method, url: call.url, body: text });
        const to = server.party;
        const { signal } = to;
        signal.addEventListener('abort', reset, { once: true });
        void this.#answer(server, party, call, { url, signal: client.signal }).then((answer) => {
          if (signal.aborted) return;
          const { method } = call;
          this.onAnswer({ from: party.name, to: to.name, method, path: url.pathname, body: text, status: answer.status });
          this.#scheduler.at(this.#delay(), () => {
            if (lostAnswer) return this.#scheduler.sometimes('an answer is lost');
            return settle(() => resolve(answer));
          });
        });
        return undefined;
      });
    });
  }
  async #answer(
    server: Server,
    party: Party,
    call: HttpCall,
    at: { readonly url: URL; readonly signal: AbortSignal },
  ): Promise<HttpAnswer> {
    const { url, signal } = at;
    for (const route of server.routes) {
      const params = match(route.path, url.pathname);
      if (params === undefined || (route.method !== call.method && !(route.method === 'GET' && call.method === 'HEAD'))) continue;
      const body = typeof call.body === 'string' ? Buffer.from(call.body) : (call.body ?? new Uint8Array());
      const headers = Object.fromEntries(Object.entries(call.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
      const request: HttpRequest = {
        method: call.method,
        path: url.pathname,
        params,
        query: url.searchParams,
        headers,
        body,
        peer: party.address,
        signal,
      };
      try {
        return await answerOf(await route.handle(request), this.filesOf(server.party));
      } catch (error) {
        const known = error instanceof RemudaError;
        if (!known) this.#scheduler.log(`handler threw: ${String(error)}`);
        const problem = {
          status: known ? error.status : 500,
          code: known ? error.code : 'internal',
          detail: error instanceof Error ? error.message : '',
        };
        return {
          status: problem.status,
          headers: { 'content-type': 'application/problem+json' },
          body: Buffer.from(JSON.stringify(problem)),
        };
      }
    }
    return { status: 404, headers: {}, body: Buffer.from('{}') };
  }
  /** The files a FileBody names lie with the server's process. */
  filesOf: (party: Party) => MemoryFiles | undefined = () => undefined;
}

const match = (pattern: string, path: string): Record<string, string> | undefined => {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = decodeURIComponent(value);
    else if (part !== value) return undefined;
  }
  return params;
};
const answerOf = async ({ status, headers = {}, body }: HttpReply, files: MemoryFiles | undefined): Promise<HttpAnswer> => {
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  if (body === undefined) return { status, headers: lower, body: new Uint8Array() };
  if (typeof body === 'string') return { status, headers: lower, body: Buffer.from(body) };
  if (body instanceof Uint8Array) return { status, headers: lower, body };
  if ('file' in body) return { status, headers: lower, body: (await files?.read(body.file, body)) ?? new Uint8Array() };
  throw new Error('no streams here');
};

/** The world of one party: for the daemon, for a BMC, for a host's firmware and agent. */
export const worldOf = (of: {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly party: Party;
  readonly chance: Chance;
  readonly files: MemoryFiles;
  readonly interfaceName?: string;
}): World => {
  const { scheduler, network, party, chance, files } = of;
  const { signal } = party;
  const quiet = (run: () => void) => () => {
    if (!signal.aborted) run();
  };
  const line = (level: string) => (message: string, fields?: object) => {
    // The folder of a run has a name of its own, and is no part of what happened.
    const said = fields === undefined ? '' : JSON.stringify(fields).replaceAll(/remuda-sim-\w+/g, 'remuda-sim');
    if (!signal.aborted) scheduler.log(`${party.name} ${level}: ${message} ${said}`);
  };
  const log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error'), with: () => log };
  return {
    signal,
    clock: {
      now: () => scheduler.now,
      sleep: (ms, stop) => new Promise((wake) => scheduler.at(ms, () => !signal.aborted && stop?.aborted !== true && wake())),
      after: (ms, run) => {
        let cancelled = false;
        scheduler.at(
          ms,
          quiet(() => !cancelled && run()),
        );
        return () => {
          cancelled = true;
        };
      },
      soon: (run) => scheduler.at(0, quiet(run)),
    },
    random: { next: () => chance.next(), bytes: (count) => chance.bytes(count) },
    net: {
      udp: ({ port }) => Promise.resolve(network.udp(party, port)),
      localAddresses: () => (signal.aborted ? [] : [{ interface: 'br0', address: party.address, prefix: 24 }]),
    },
    http: {
      listen: (options) => Promise.resolve(network.listen(party, options)),
      call: (call) => network.call(party, call),
      stream: () => {
        throw new Error('no streams here');
      },
      get: () => Promise.reject(new Error('no images are fetched here')),
      selfSigned: () => Promise.resolve({ key: 'key', certificate: 'certificate', fingerprint: 'f'.repeat(64) }),
    },
    files,
    log,
  };
};
