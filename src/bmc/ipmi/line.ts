/** The UDP line to one BMC: a datagram goes out, its answer is waited for, and what gets none is sent again for as long as was said. */
import { RemudaError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import { noAddress, parseIpv4 } from '../../wire/address.ts';
import type { Ipv4 } from '../../wire/address.ts';
import { noBmcAt } from '../../wire/bmc-place.ts';
import { DecodeError } from '../../wire/reader.ts';
import type { UdpSocket, World } from '../../world/world.ts';
import type { LoginLimits } from '../login.ts';
import { decodePacket, ipmiPort } from './packet.ts';
import type { Packet } from './packet.ts';

export type IpmiWorld = Pick<World, 'net' | 'clock' | 'random' | 'log' | 'signal'>;
export type IpmiLimits = Pick<Limits, 'bmcTimeoutMs' | 'ipmiResendFirstMs' | 'ipmiResendMostMs' | 'ipmiIdleMs' | 'ipmiFruBytes'> &
  LoginLimits;

export interface Endpoint {
  readonly address: Ipv4;
  readonly port: number;
}
/** `ipmi://10.0.0.6`, or with a port. Throws `bad-config` for anything else: there is no name server between a rack and its BMCs. */
export const endpointOf = (url: string): Endpoint => {
  const parsed = URL.parse(url);
  const address = parseIpv4(parsed?.hostname ?? '');
  if (parsed === null || parsed.protocol !== 'ipmi:' || address === undefined || parsed.username !== '' || parsed.password !== '')
    throw new RemudaError('bad-config', 'the address of an IPMI BMC is a URL with its IPv4 address, such as ipmi://10.0.0.6');
  const why = noBmcAt(address);
  if (why !== undefined) throw new RemudaError('bad-request', why);
  return { address, port: parsed.port === '' ? ipmiPort : Number(parsed.port) };
};

export interface Question<T> {
  /** The datagram; made anew for each sending, because numbers of a session are used once. */
  readonly datagram: () => Uint8Array;
  /** The answer, where this packet is it. A DecodeError means that it is not. */
  readonly take: (packet: Packet, datagram: Uint8Array) => T | undefined;
  /** It is sent once for each of these, and so long is the answer waited for. */
  readonly waitsMs: readonly number[];
  readonly signal: AbortSignal | undefined;
}

/** How long to wait after each sending: doubling from the first to the longest, `totalMs` in all. */
export const resends = (limits: Pick<IpmiLimits, 'ipmiResendFirstMs' | 'ipmiResendMostMs'>, totalMs: number): readonly number[] => {
  const waits: number[] = [];
  for (let left = totalMs; left > 0; left -= waits.at(-1) ?? left)
    waits.push(Math.min(left, limits.ipmiResendMostMs, limits.ipmiResendFirstMs * 2 ** waits.length));
  return waits;
};

const noTimer = (): void => {};

/** One question at a time. Its socket is open from the first question until `close`. */
export class Line {
  readonly #world: IpmiWorld;
  readonly #to: Endpoint;
  #socket: UdpSocket | undefined;
  #taking: ((packet: Packet, datagram: Uint8Array) => void) | undefined;
  #dropped = 0;

  constructor(world: IpmiWorld, to: Endpoint) {
    this.#world = world;
    this.#to = to;
  }

  /** The answer; undefined where none came. Throws the reason of a signal that ended meanwhile. */
  async ask<T>({ datagram, take, waitsMs, signal }: Question<T>): Promise<T | undefined> {
    const ends = signal === undefined ? this.#world.signal : AbortSignal.any([signal, this.#world.signal]);
    ends.throwIfAborted();
    const socket = await this.#open();
    ends.throwIfAborted();
    return new Promise<T | undefined>((resolve, reject) => {
      let cancel = noTimer;
      let sent = 0;
      const end = (settle: () => void): void => {
        cancel();
        this.#taking = undefined;
        ends.removeEventListener('abort', stop);
        settle();
      };
      const stop = (): void => end(() => reject(ends.reason));
      const next = (): void => {
        const wait = waitsMs[sent];
        sent += 1;
        if (wait === undefined) return end(() => resolve(undefined));
        // The timer first: an answer may be here before send returns.
        cancel = this.#world.clock.after(wait, next);
        socket.send(datagram(), this.#to);
      };
      this.#taking = (packet, bytes) => {
        const answer = take(packet, bytes);
        if (answer !== undefined) end(() => resolve(answer));
      };
      ends.addEventListener('abort', stop, { once: true });
      next();
    });
  }

  /** Sends what needs no answer; nothing where the line was never used. */
  tell(datagram: Uint8Array): void {
    this.#socket?.send(datagram, this.#to);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #open(): Promise<UdpSocket> {
    if (this.#socket !== undefined) return this.#socket;
    const socket = await this.#world.net.udp({ address: noAddress, port: 0 });
    socket.receive(({ bytes, address, port }) => {
      if (address === this.#to.address && port === this.#to.port) this.#received(bytes);
    });
    this.#socket = socket;
    return socket;
  }

  /** Nobody waits for what comes late; what is no packet is no answer, and said once. */
  #received(bytes: Uint8Array): void {
    try {
      this.#taking?.(decodePacket(bytes), bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#dropped += 1;
      if (this.#dropped === 1) this.#world.log.debug('a packet from the BMC was dropped', { reason: error.message, bytes: bytes.length });
    }
  }
}
