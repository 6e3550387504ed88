/** The TFTP server: answers read requests, one socket per transfer; which file a name means is decided elsewhere. */
import { reasonOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { Ipv4 } from '../wire/address.ts';
import { DecodeError } from '../wire/reader.ts';
import type { Datagram, UdpSocket, World } from '../world/world.ts';
import { negotiate, type TermLimits } from './negotiate.ts';
import { decodeTftp, encodeTftp, ErrorCode, errorPacket, type Tftp } from './packet.ts';
import { runSession, type Session } from './session.ts';
import { beginTransfer, type Outcome, type Peer } from './transfer.ts';

/** What happened to a client's transfer, in one plain sentence. */
export interface TftpObservation {
  readonly client: Ipv4;
  /** ms since 1970 */
  readonly at: number;
  readonly text: string;
}
/** What TFTP needs from the rooms above it. */
export interface TftpPorts {
  /** The bytes of a file for this client, or undefined. The name has no leading slash and no backslash, and is otherwise whatever was sent. */
  open(name: string, client: Ipv4): Uint8Array | undefined;
  observe(observation: TftpObservation): void;
}
export type TftpLimits = TermLimits &
  Pick<Limits, 'tftpRequestBytes' | 'tftpSessionsMax' | 'tftpSessionsPerClientMax' | 'tftpFileBytesMax' | 'tftpTries' | 'loggedPeersMax'>;

/** Where to listen; the address requests are sent to is the one that answers. */
export interface TftpAddress {
  readonly address: Ipv4;
  readonly port: number;
  readonly interface?: string;
}

const noneCounted = {
  received: 0,
  malformed: 0,
  failed: 0,
  /** No session was free. */
  busy: 0,
  notFound: 0,
  /** Not a request to read a file as it is. */
  notRead: 0,
  started: 0,
  // Each that was started ends as one of these four, or with the server.
  done: 0,
  /** The client ended it with an ERROR packet. */
  refused: 0,
  timeout: 0,
  /** The client began anew, or a fault of ours ended it. */
  givenUp: 0,
  /** Of the files that arrived whole. */
  bytes: 0,
};
/** Of several servers together. */
export const summed = (all: readonly TftpCounters[]): TftpCounters => {
  const sum = { ...noneCounted };
  for (const one of all) for (const key of Object.keys(sum) as (keyof TftpCounters)[]) sum[key] += one[key];
  return sum;
};
export type TftpCounters = { readonly [K in keyof typeof noneCounted]: number };

export interface TftpServer {
  readonly port: number;
  readonly counters: TftpCounters;
  /** Is its port still ours? */
  isOpen(): boolean;
  close(): void;
}

/** Throws what opening the socket throws. */
export const startTftp = async (world: World, at: TftpAddress, ports: TftpPorts, limits: TftpLimits): Promise<TftpServer> => {
  const socket = await world.net.udp({ ...at });
  return new Server(socket, { world, at, ports, limits });
};

interface Parts {
  readonly world: World;
  readonly at: TftpAddress;
  readonly ports: TftpPorts;
  readonly limits: TftpLimits;
}
type ReadRequest = Extract<Tftp, { readonly kind: 'readRequest' }>;

class Server implements TftpServer {
  readonly #socket: UdpSocket;
  readonly #parts: Parts;
  readonly #sessions = new Map<string, Session>();
  readonly #perClient = new Map<Ipv4, number>();
  readonly #loggedPeers = new Set<string>();
  readonly #counters = { ...noneCounted };
  #isClosed = false;

  constructor(socket: UdpSocket, parts: Parts) {
    this.#socket = socket;
    this.#parts = parts;
    socket.receive((datagram) => this.#receive(datagram));
  }

  get port(): number {
    return this.#socket.local.port;
  }
  get counters(): TftpCounters {
    return this.#counters;
  }

  isOpen(): boolean {
    return !this.#isClosed && (this.#socket.isOpen?.() ?? true);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.close();
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
    this.#perClient.clear();
  }

  #receive(datagram: Datagram): void {
    if (this.#isClosed) return;
    this.#counters.received++;
    try {
      const { tftpRequestBytes } = this.#parts.limits;
      if (datagram.bytes.length > tftpRequestBytes) throw new DecodeError('', tftpRequestBytes, 'is too long');
      this.#answer(decodeTftp(datagram.bytes), { address: datagram.address, port: datagram.port });
    } catch (error) {
      this.#dropped(datagram.address, error);
    }
  }

  /** The end of a packet that could not be read, or that we failed on. */
  #dropped(peer: Ipv4, error: unknown): void {
    const { world, limits } = this.#parts;
    const isMalformed = error instanceof DecodeError;
    this.#counters[isMalformed ? 'malformed' : 'failed']++;
    const key = `${peer} ${String(isMalformed)}`;
    if (this.#loggedPeers.has(key) || this.#loggedPeers.size >= limits.loggedPeersMax) return;
    this.#loggedPeers.add(key);
    if (isMalformed) world.log.warn('malformed TFTP packet dropped; logged once per sender', { peer, reason: error.message });
    else world.log.error('TFTP request dropped by a fault of ours; logged once per sender', { peer, error });
  }

  #answer(packet: Tftp, peer: Peer): void {
    if (packet.kind === 'readRequest') return this.#read(packet, peer);
    this.#counters.notRead++;
    if (packet.kind === 'writeRequest') this.#sendError(peer, ErrorCode.accessViolation, 'this server is read-only');
  }

  #read(request: ReadRequest, peer: Peer): void {
    const { ports, limits } = this.#parts;
    const name = fileNameOf(request.name);
    const key = `${peer.address}:${peer.port}`;
    const before = this.#sessions.get(key);
    // The same request again is a retransmission, which the running transfer answers by its own clock.
    if (before?.request === describe(request)) return;
    before?.close();
    if (this.#sessions.size >= limits.tftpSessionsMax || (this.#perClient.get(peer.address) ?? 0) >= limits.tftpSessionsPerClientMax) {
      // No error: the client asks again, and by then another transfer may have ended.
      this.#counters.busy++;
      return;
    }
    if (request.mode.toLowerCase() !== 'octet') {
      this.#counters.notRead++;
      return this.#sendError(peer, ErrorCode.illegalOperation, 'only octet mode is served');
    }
    const file = ports.open(name, peer.address);
    if (file === undefined) return this.#notFound(peer, name);
    if (file.length > limits.tftpFileBytesMax) throw new RangeError(`${name} has ${file.length} bytes, more than TFTP serves`);
    this.#start(request, peer, file);
  }

  #notFound(peer: Peer, name: string): void {
    this.#counters.notFound++;
    this.#sendError(peer, ErrorCode.fileNotFound, 'no such file');
    this.#observe(peer, `asked for ${name}, which is not there for it`);
  }

  #start(request: ReadRequest, peer: Peer, file: Uint8Array): void {
    const { world, at, limits } = this.#parts;
    const key = `${peer.address}:${peer.port}`;
    const terms = negotiate(request.options, file.length, limits);
    const begun = beginTransfer({ peer, terms, bytes: file.length, tries: limits.tftpTries }, world.clock.now());
    this.#counters.started++;
    this.#count(peer.address, 1);
    const session = runSession(world, {
      socket: world.net.udp({ address: at.address, port: 0, ...(at.interface === undefined ? {} : { interface: at.interface }) }),
      request: describe(request),
      file,
      begun,
      ended: (outcome, reason) => {
        if (this.#sessions.get(key) === session) this.#sessions.delete(key);
        this.#count(peer.address, -1);
        this.#ended(peer, { name: fileNameOf(request.name), bytes: file.length, outcome, reason });
      },
    });
    this.#sessions.set(key, session);
  }

  #ended(
    peer: Peer,
    { name, bytes, outcome, reason }: Readonly<{ name: string; bytes: number; outcome: Outcome | undefined; reason: string }>,
  ): void {
    if (outcome === undefined) {
      if (!this.#isClosed) this.#counters.givenUp++;
      return;
    }
    this.#counters[outcome]++;
    if (outcome === 'done') this.#counters.bytes += bytes;
    this.#observe(peer, outcome === 'done' ? `fetched ${name}` : `did not finish ${name}: ${reason}`);
  }

  #count(client: Ipv4, by: 1 | -1): void {
    const count = (this.#perClient.get(client) ?? 0) + by;
    if (count > 0) this.#perClient.set(client, count);
    else this.#perClient.delete(client);
  }

  #observe({ address }: Peer, text: string): void {
    const { world, ports } = this.#parts;
    try {
      ports.observe({ client: address, at: world.clock.now(), text });
    } catch (error) {
      world.log.error('a TFTP observation was lost', { reason: reasonOf(error) });
    }
  }

  #sendError(peer: Peer, code: number, message: string): void {
    this.#socket.send(encodeTftp(errorPacket(code, message)), peer);
  }
}

/** Firmware writes names as paths of its own kind, `\\EFI\\x.efi`, `//x.efi`; what remains is a name to look up, never a path to open. */
const fileNameOf = (name: string): string =>
  name
    .replaceAll('\\', '/')
    .replace(/^\/+/, '')
    .replace(/\/{2,}/g, '/');
const describe = (request: ReadRequest): string => JSON.stringify([request.name, request.mode, request.options]);
