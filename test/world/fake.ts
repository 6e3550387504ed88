/** A small world for unit tests: a clock that only the test moves, and UDP in memory between sockets of this world. */
import { RemudaError } from '../../src/errors.ts';
import { everyone, type Ipv4, type Mac, noAddress, parseIpv4 } from '../../src/wire/address.ts';
import type {
  Clock,
  Datagram,
  Http,
  LocalAddress,
  Log,
  LogFields,
  Net,
  Random,
  UdpOptions,
  UdpSocket,
  World,
} from '../../src/world/world.ts';
import { MemoryFiles } from './memory-files.ts';

/** A line that was logged, with the fields of every `with` above it. */
export interface Logged {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}
/** A datagram that was sent, after it was cut; `mac` where it went straight to hardware. */
export interface Sent extends Datagram {
  readonly from: { readonly address: Ipv4; readonly port: number };
  readonly interface?: string;
  readonly mac?: Mac;
}

export interface FakeWorld extends World {
  /** Moves time on, running what falls due in order, with everything settled in between. */
  advance(ms: number): Promise<void>;
  /** Runs what is due now: `soon`, datagrams and every promise that follows from them. */
  settle(): Promise<void>;
  /** Everything sent, oldest first; tests may empty it. */
  readonly sent: Sent[];
  readonly logged: Logged[];
  /** Sockets not closed. */
  readonly openSockets: number;
  /** Decides over each datagram between sockets: false loses it. */
  deliver: (sent: Sent) => boolean;
  /** A socket opens only if this does not throw. */
  beforeUdp: (options: UdpOptions) => void;
  /** Is there still an interface of this name? */
  standing: (name: string | undefined) => boolean;
  /** What this machine is called in its networks. */
  addresses: readonly LocalAddress[];
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Time and what waits for it. */
class FakeTime implements Clock {
  #now: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(now: number) {
    this.#now = now;
  }
  now(): number {
    return this.#now;
  }
  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }
  soon(run: () => void): void {
    this.after(0, run);
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const cancel = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(signal.reason);
      });
    });
  }
  /** Runs all that is due at `until` or before, in order of time. */
  async runUntil(until: number): Promise<void> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one event at a time is the point
      await new Promise((resolve) => setImmediate(resolve));
      const [next] = Array.from(this.#timers).toSorted((a, b) => a.at - b.at || a.order - b.order);
      if (next === undefined || next.at > until) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = Math.max(this.#now, until);
  }
}

class FakeSocket implements UdpSocket {
  readonly local: { readonly address: Ipv4; readonly port: number };
  readonly options: UdpOptions;
  readonly #net: FakeNet;
  handler: (datagram: Datagram) => void = () => {};

  constructor(net: FakeNet, options: UdpOptions, port: number) {
    this.#net = net;
    this.options = options;
    this.local = { address: options.address, port };
  }
  receive(handler: (datagram: Datagram) => void): void {
    this.handler = handler;
  }
  send(bytes: Uint8Array, to: { readonly address: Ipv4; readonly port: number; readonly segmentBytes?: number }): void {
    const step = to.segmentBytes ?? Math.max(1, bytes.length);
    for (let at = 0; at === 0 || at < bytes.length; at += step)
      this.#net.carry(this, { bytes: bytes.slice(at, at + step), address: to.address, port: to.port });
  }
  sendToHardware(bytes: Uint8Array, to: { readonly mac: Mac; readonly address: Ipv4; readonly port: number }): void {
    this.#net.carry(this, { bytes: bytes.slice(), ...to });
  }
  isOpen(): boolean {
    return this.#net.sockets.has(this) && this.#net.standing(this.options.interface);
  }
  close(): void {
    this.#net.sockets.delete(this);
  }
}

const firstFreePort = 49_152;
class FakeNet implements Net {
  readonly sockets = new Set<FakeSocket>();
  readonly #clock: Clock;
  readonly #sent: Sent[];
  #nextPort = firstFreePort;
  deliver: (sent: Sent) => boolean = () => true;
  beforeUdp: (options: UdpOptions) => void = () => {};
  standing: (name: string | undefined) => boolean = () => true;
  addresses: readonly LocalAddress[] = [];

  constructor(clock: Clock, sent: Sent[]) {
    this.#clock = clock;
    this.#sent = sent;
  }
  async udp(options: UdpOptions): Promise<UdpSocket> {
    this.beforeUdp(options);
    const socket = new FakeSocket(this, options, options.port === 0 ? this.#nextPort++ : options.port);
    this.sockets.add(socket);
    return socket;
  }
  localAddresses(): readonly LocalAddress[] {
    return this.addresses;
  }
  carry(from: FakeSocket, to: Datagram & { readonly mac?: Mac }): void {
    const sent: Sent = { ...to, from: from.local, ...(from.options.interface === undefined ? {} : { interface: from.options.interface }) };
    this.#sent.push(sent);
    if (!this.deliver(sent)) return;
    this.#clock.soon(() => {
      for (const socket of Array.from(this.sockets)) {
        if (socket !== from && isFor(socket, sent)) socket.handler({ bytes: sent.bytes, address: sent.from.address, port: sent.from.port });
      }
    });
  }
}

const isFor = ({ local, options }: FakeSocket, to: Sent): boolean =>
  local.port === to.port &&
  (options.interface === undefined || to.interface === undefined || options.interface === to.interface) &&
  (to.address === everyone || local.address === noAddress || local.address === to.address);

/** mulberry32: the same numbers for the same seed. */
const seeded = (seed: number): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) };
};

const logTo = (lines: Logged[], above: LogFields = {}): Log => {
  const write =
    (level: Logged['level']) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({ level, message, fields: { ...above, ...fields } });
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    with: (fields) => logTo(lines, { ...above, ...fields }),
  };
};

const refuse = (): never => {
  throw new RemudaError('internal', 'this world has no HTTP');
};
const noHttp: Http = { listen: refuse, call: refuse, stream: refuse, get: refuse, selfSigned: refuse };

/** 2026-01-01T00:00:00Z */
const newYear = 1_767_225_600_000;

export const fakeWorld = ({ now = newYear, seed = 1 }: { readonly now?: number; readonly seed?: number } = {}): FakeWorld => {
  const clock = new FakeTime(now);
  const sent: Sent[] = [];
  const logged: Logged[] = [];
  const net = new FakeNet(clock, sent);
  return {
    signal: new AbortController().signal,
    clock,
    random: seeded(seed),
    net,
    http: noHttp,
    files: new MemoryFiles({ now: () => clock.now() }),
    log: logTo(logged),
    sent,
    logged,
    get openSockets() {
      return net.sockets.size;
    },
    get deliver() {
      return net.deliver;
    },
    set deliver(rule) {
      net.deliver = rule;
    },
    get beforeUdp() {
      return net.beforeUdp;
    },
    set beforeUdp(rule) {
      net.beforeUdp = rule;
    },
    get standing() {
      return net.standing;
    },
    set standing(rule) {
      net.standing = rule;
    },
    get addresses() {
      return net.addresses;
    },
    set addresses(list) {
      net.addresses = list;
    },
    advance: (ms) => clock.runUntil(clock.now() + ms),
    settle: () => clock.runUntil(clock.now()),
  };
};

/** For tables of facts: an address that is certainly one. */
export const ip = (text: string): Ipv4 => {
  const address = parseIpv4(text);
  if (address === undefined) throw new RemudaError('bad-request', `${text} is no IPv4 address`);
  return address;
};
