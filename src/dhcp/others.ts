/** DHCP servers that are not ours: who they are and when they were heard, in a bounded book that names each to the operator. */
import type { Limits } from '../limits.ts';
import type { Ipv4, Mac } from '../wire/address.ts';
import type { LogFields } from '../world/world.ts';
import { type Dhcp4, MessageType } from './packet.ts';

/** How a foreign server was noticed. */
export type Sighting = 'offered to us' | 'answered a client' | 'chosen by a client';

export interface OtherServer {
  /** Its server identifier (RFC 2132 §9.7), or where its packet came from. */
  readonly address: Ipv4;
  /** On our own wire only, and only once it answered ARP. */
  readonly mac?: Mac;
  /** The interface of ours at which it was heard. */
  readonly interface: string;
  readonly how: Sighting;
  /** ms since 1970 */
  readonly firstAt: number;
  readonly lastAt: number;
  /** What it sends those that boot from the network, where it was seen. */
  readonly bootFile?: string;
  readonly nextServer?: Ipv4;
  /** Its class identifier (option 60), where it sends one: `PXEClient` is a boot server. */
  readonly vendorClass?: string;
}
export type Heard = Omit<OtherServer, 'firstAt' | 'lastAt' | 'mac'>;
export type OtherLimits = Pick<Limits, 'dhcpOthersMax' | 'dhcpOtherMs' | 'dhcpOtherLogMs'>;

interface Parts {
  readonly now: () => number;
  readonly limits: OtherLimits;
  /** Our own addresses, and the identifiers that our relays have us use. */
  readonly isOurs: (address: Ipv4) => boolean;
  readonly warn: (message: string, fields: LogFields) => void;
}

export class OtherServers {
  readonly #parts: Parts;
  readonly #book = new Map<string, OtherServer>();
  readonly #toldAt = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Those heard of lately, the latest first. */
  list(): readonly OtherServer[] {
    const since = this.#parts.now() - this.#parts.limits.dhcpOtherMs;
    return Array.from(this.#book.values())
      .filter(({ lastAt }) => lastAt > since)
      .toSorted((one, other) => other.lastAt - one.lastAt);
  }

  /** Writes it down and warns, each server once in a while; undefined where it is ourselves. */
  hear(heard: Heard): OtherServer | undefined {
    const { now, limits, isOurs } = this.#parts;
    if (isOurs(heard.address)) return undefined;
    const key = `${heard.interface} ${heard.address}`;
    const before = this.#book.get(key);
    const server = { ...before, ...heard, firstAt: before?.firstAt ?? now(), lastAt: now() };
    this.#book.delete(key);
    this.#book.set(key, server);
    for (const oldest of this.#book.keys()) {
      if (this.#book.size <= limits.dhcpOthersMax) break;
      this.#book.delete(oldest);
    }
    this.#tell(key, server);
    return server;
  }

  knows(name: string, address: Ipv4): OtherServer | undefined {
    return this.#book.get(`${name} ${address}`);
  }
  /** Its hardware address, found out later. */
  learnMac(name: string, address: Ipv4, mac: Mac): void {
    const server = this.knows(name, address);
    if (server !== undefined) this.#book.set(`${name} ${address}`, { ...server, mac });
  }

  #tell(key: string, server: OtherServer): void {
    const { now, limits, warn } = this.#parts;
    for (const [told, at] of this.#toldAt) {
      if (now() - at < limits.dhcpOtherLogMs) break;
      this.#toldAt.delete(told);
    }
    // Addresses can be made up: the log takes so many and no more.
    if (this.#toldAt.has(key) || this.#toldAt.size >= limits.dhcpOthersMax) return;
    this.#toldAt.set(key, now());
    const { address, mac, interface: name, how, bootFile, nextServer, vendorClass } = server;
    warn('another DHCP server answers on this network: hosts that believe it do not boot from us', {
      server: address,
      interface: name,
      how,
      ...(mac === undefined ? {} : { mac }),
      ...(bootFile === undefined ? {} : { bootFile }),
      ...(nextServer === undefined ? {} : { nextServer }),
      ...(vendorClass === undefined ? {} : { vendorClass }),
    });
  }
}

const answers: ReadonlySet<number | undefined> = new Set([MessageType.offer, MessageType.ack, MessageType.nak]);
/** The server behind a reply that somebody else sent; undefined where the packet is none. */
export const serverBehind = (packet: Dhcp4, from: Ipv4): Pick<Heard, 'address' | 'bootFile' | 'nextServer' | 'vendorClass'> | undefined => {
  const { options, bootFileName, nextServer } = packet;
  if (!answers.has(options.messageType)) return undefined;
  const bootFile = plain(options.bootFile ?? bootFileName);
  const vendorClass = plain(options.vendorClass ?? '');
  return {
    address: options.serverId ?? from,
    ...(bootFile === '' ? {} : { bootFile }),
    ...(bootFile === '' || nextServer === '0.0.0.0' ? {} : { nextServer }),
    ...(vendorClass === '' ? {} : { vendorClass }),
  };
};
/** For logs and timelines: what a stranger says is printable and short. */
const plain = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 128);
