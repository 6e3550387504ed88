/** The simulated network: datagrams that are lost, doubled and late; HTTP calls that are late or cut; processes that die with calls in flight. */
import { RemudaError } from '../../src/errors.ts';
import { everyone } from '../../src/wire/address.ts';
import type { Ipv4, Mac } from '../../src/wire/address.ts';
import type { Datagram, HttpAnswer, HttpCall, HttpListen, HttpReply, HttpRequest, Route, UdpSocket } from '../../src/world/world.ts';
import type { MemoryFiles } from '../world/memory-files.ts';
import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';

export interface Faults {
  drop: number;
  duplicate: number;
  /** A datagram comes once more, long after everybody has forgotten it. */
  straggle: number;
  /** One byte of a datagram from or to a BMC is another one: old BMCs send without a UDP checksum. */
  corrupt: number;
  delayMs: number;
  /** A call is lost before it arrives, or its answer is. */
  httpLoss: number;
  crash: number;
  /** SIGTERM, and a start after it. */
  stop: number;
  /** SIGHUP with a changed configuration. */
  reload: number;
  bmcSilence: number;
  /** A BMC has one of its moods for a while. */
  bmcMood: number;
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
  straggle: chance.chance(0.3) ? chance.next() * 0.1 : 0,
  corrupt: chance.chance(0.3) ? chance.next() * 0.1 : 0,
  stop: chance.chance(0.5) ? 0.015 : 0,
  reload: chance.chance(0.5) ? 0.03 : 0,
  bmcMood: chance.chance(0.5) ? 0.1 : 0,
});
const calm: Readonly<Faults> = {
  drop: 0,
  duplicate: 0,
  straggle: 0,
  corrupt: 0,
  delayMs: 2,
  httpLoss: 0,
  crash: 0,
  stop: 0,
  reload: 0,
  bmcSilence: 0,
  bmcMood: 0,
  agentDeath: 0,
};
export const heal = (faults: Faults): void => {
  Object.assign(faults, calm);
};

/** One process or machine on the network. */
export interface Party {
  readonly name: string;
  readonly mac?: Mac;
  /** Its present address; a host has one only after DHCP. */
  address: Ipv4;
  /** The wire it is on, where that is not the daemon's: broadcasts stay on their wire. */
  readonly wire?: string | undefined;
  readonly signal: AbortSignal;
}
export interface Endpoint {
  readonly address: Ipv4;
  readonly port: number;
}
interface Socket {
  readonly party: Party;
  readonly port: number;
  handler: (datagram: Datagram) => void;
}
interface Server {
  readonly party: Party;
  readonly routes: readonly Route[];
  /** Calls that are not answered yet. */
  readonly open: Set<Promise<unknown>>;
}
/** RMCP (IPMI 2.0 §13.1.2). */
export const bmcPort = 623;
const closeMs = 2000;

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
  /** Every datagram as it is sent, and every answer as its caller hears it. */
  onDatagram: (from: Party, to: Endpoint, bytes: Uint8Array) => void = () => undefined;
  onHeard: (exchange: Exchange) => void = () => undefined;
  /** Whatever a party says to anybody, its log too. */
  onSpeak: (party: Party, what: string) => void = () => undefined;

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
    const gone = (): void => {
      this.#sockets.delete(socket);
      party.signal.removeEventListener('abort', gone);
    };
    this.#sockets.add(socket);
    party.signal.addEventListener('abort', gone, { once: true });
    const carry = (bytes: Uint8Array, to: { readonly address: Ipv4; readonly port: number }, reaches: (other: Party) => boolean): void => {
      if (party.signal.aborted) return;
      this.onSpeak(party, `a datagram to ${to.address}:${to.port}`);
      this.onDatagram(party, to, bytes);
      for (const other of this.#sockets)
        if (other !== socket && other.port === to.port && reaches(other.party)) this.#carry(socket, other, bytes);
    };
    return {
      local: { address: party.address, port: socket.port },
      receive: (handler) => {
        socket.handler = handler;
      },
      send: (bytes, to) => {
        const reaches = (other: Party): boolean =>
          other !== party && (to.address === everyone ? other.wire === party.wire : other.address === to.address);
        const step = to.segmentBytes ?? Math.max(1, bytes.length);
        for (let at = 0; at < Math.max(1, bytes.length); at += step) carry(bytes.slice(at, at + step), to, reaches);
      },
      sendToHardware: (bytes, to) => carry(bytes, to, (other) => other.mac === to.mac && other.wire === party.wire),
      close: gone,
    };
  }
  #carry(from: Socket, to: Socket, bytes: Uint8Array): void {
    const { drop, duplicate, straggle } = this.faults;
    const copies = this.#chance.chance(drop) ? 0 : this.#chance.chance(duplicate) ? 2 : 1;
    if (copies === 0) this.#scheduler.sometimes('a datagram is lost');
    for (let copy = 0; copy < copies; copy++) this.#bring(from, to, bytes, this.#delay());
    if (!this.#chance.chance(straggle)) return;
    this.#scheduler.sometimes('a datagram comes long after its time');
    this.#bring(from, to, bytes, this.#chance.between(2000, 20_000));
  }
  #bring(from: Socket, to: Socket, sent: Uint8Array, inMs: number): void {
    const isBmc = from.port === bmcPort || to.port === bmcPort;
    const bytes = isBmc && this.#chance.chance(this.faults.corrupt) ? this.#corrupted(sent) : sent;
    this.#scheduler.at(inMs, () => {
      if (!this.#sockets.has(to)) return;
      this.#scheduler.log(`udp ${from.party.name}:${from.port} -> ${to.party.name}:${to.port} ${bytes.length}`);
      to.handler({ bytes, address: from.party.address, port: from.port });
    });
  }
  #corrupted(bytes: Uint8Array): Uint8Array {
    this.#scheduler.sometimes('a byte to or from a BMC is wrong');
    const wrong = bytes.slice();
    const at = this.#chance.between(0, Math.max(0, wrong.length - 1));
    wrong[at] = (wrong[at] ?? 0) ^ (1 << this.#chance.between(0, 7));
    return wrong;
  }

  listen(party: Party, { at, routes }: HttpListen): { port: number; close: () => Promise<void> } {
    if ('socket' in at) throw new Error('no Unix sockets here');
    const key = `${at.address}:${at.port}`;
    const server: Server = { party, routes, open: new Set() };
    this.#servers.set(key, server);
    const gone = (): void => {
      if (this.#servers.get(key) === server) this.#servers.delete(key);
    };
    party.signal.addEventListener('abort', gone, { once: true });
    return {
      port: at.port,
      // As the real one: nobody new comes in, and what runs has a while to come to its end.
      close: async () => {
        gone();
        if (server.open.size > 0) await Promise.race([Promise.allSettled(server.open), this.#scheduler.sleep(closeMs)]);
      },
    };
  }

  /** Never settles for a caller that is dead. */
  call(party: Party, call: HttpCall): Promise<HttpAnswer> {
    this.onSpeak(party, `${call.method} ${call.url}`);
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
        tooLate();
        server?.party.signal.removeEventListener('abort', reset);
        act();
      };
      const fail = (why: string): void => settle(() => reject(new RemudaError('bmc-unreachable', `${key}: ${why}`)));
      const late = this.#chance.chance(this.faults.httpLoss);
      const lostAnswer = late && this.#chance.chance(0.5);
      const tooLate = this.#scheduler.at(call.timeoutMs, () => fail('no answer in time'));
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
        const { open } = server;
        const answering = this.#answer(server, party, call, { url, signal: client.signal }).then((answer) => {
          open.delete(answering);
          if (signal.aborted) return;
          const exchange = { from: party.name, to: to.name, method: call.method, path: url.pathname, body: text, status: answer.status };
          this.onAnswer(exchange);
          this.#scheduler.at(this.#delay(), () => {
            if (lostAnswer) return this.#scheduler.sometimes('an answer is lost');
            return settle(() => {
              this.onHeard(exchange);
              resolve(answer);
            });
          });
        });
        open.add(answering);
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
