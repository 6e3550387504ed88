/** The world: every door to time, chance, network, files, processes and log. Once for real (real.ts), once simulated (test/sim). */
import type { Ipv4, Mac } from '../wire/address.ts';
import type { CounterName, DurationName, Labels } from './metrics.ts';

/** Wall time in ms since 1970 and waiting. A sleep that its signal ends rejects with the signal's reason. */
export interface Clock {
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs `run` once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
  /** Runs `run` after the I/O events at hand were handled (group commit). */
  soon(run: () => void): void;
}

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Unguessable bytes, for ids and secrets. */
  bytes(count: number): Uint8Array;
}

export interface Datagram {
  readonly bytes: Uint8Array;
  readonly address: Ipv4;
  readonly port: number;
}
export interface UdpSocket {
  readonly local: { readonly address: Ipv4; readonly port: number };
  receive(handler: (datagram: Datagram) => void): void;
  /** Best effort, as UDP is; errors are counted by the implementation, never thrown. With `segmentBytes` the kernel cuts `bytes` (UDP_SEGMENT). */
  send(bytes: Uint8Array, to: { readonly address: Ipv4; readonly port: number; readonly segmentBytes?: number }): void;
  /** To a client that has no address yet: an IP packet straight to its hardware address (RFC 2131 §4.1). */
  sendToHardware(bytes: Uint8Array, to: { readonly mac: Mac; readonly address: Ipv4; readonly port: number }): void;
  /** May packets still come? No after close(), and where the interface that it was tied to is gone; a pulled cable does not end it. */
  readonly isOpen?: () => boolean;
  close(): void;
}
export interface UdpOptions {
  readonly address: Ipv4;
  readonly port: number;
  /** Bind to this network interface (SO_BINDTODEVICE). */
  readonly interface?: string;
  readonly broadcast?: boolean;
  /** What the kernel keeps for a receiver that is busy (SO_RCVBUF); as much of it as the system allows. */
  readonly receiveBytes?: number;
}
/** An IPv4 address of a local interface. */
export interface LocalAddress {
  readonly interface: string;
  readonly address: Ipv4;
  readonly prefix: number;
  /** Absent where packets come and go. `no carrier`: the cable is out, or its other end is off. `down`: switched off here. */
  readonly link?: 'no carrier' | 'down';
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export interface HttpRequest {
  /** The listener's name for it, as `X-Request-Id` has it; absent where the listener gives none. */
  readonly id?: string;
  readonly method: Method;
  /** Path with `:name` parts resolved into `params`. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The peer's address; undefined on a Unix socket. */
  readonly peer: Ipv4 | undefined;
  /** Ends when the client goes away. */
  readonly signal: AbortSignal;
}
export interface FileBody {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}
export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes, text, a range of a file, or a stream of chunks. */
  readonly body?: Uint8Array | string | FileBody | AsyncIterable<Uint8Array>;
}
export interface Route {
  readonly method: Method;
  /** `/v1/hosts/:id`; no wildcards. GET routes answer HEAD too. */
  readonly path: string;
  readonly handle: (request: HttpRequest) => Promise<HttpReply>;
  /**
   * Instead of `handle`, where a listener can ask before it reads the body (`head` has none): an answer at once, or what answers when
   * the body is there. Who is not let in sends no megabytes first.
   */
  readonly enter?: (head: HttpRequest) => Promise<HttpReply | ((whole: HttpRequest) => Promise<HttpReply>)>;
  /** Default limits.httpBodyBytes. */
  readonly bodyBytesMax?: number;
}
export interface Identity {
  /** PEM */
  readonly key: string;
  /** PEM */
  readonly certificate: string;
  /** Lower-case hex SHA-256 of the DER certificate. */
  readonly fingerprint: string;
}
export interface HttpListen {
  readonly at: { readonly address: Ipv4; readonly port: number; readonly interface?: string } | { readonly socket: string };
  readonly routes: readonly Route[];
  /** TLS 1.3 only, when given. */
  readonly identity?: Identity;
}
export interface Listener {
  readonly port: number | undefined;
  /** Is the port still ours, and the interface that it was tied to still there? */
  readonly isListening?: () => boolean;
  close(): Promise<void>;
}
export interface HttpCall {
  readonly method: Method;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly timeoutMs: number;
  readonly replyBytesMax: number;
  /** A Unix socket to connect to instead of the URL's host. */
  readonly socket?: string;
  /** https only: accept exactly the certificate of this SHA-256 fingerprint (hex); without it the system's CAs decide. */
  readonly fingerprint?: string;
  /** https only: PEM of the authorities to believe instead of the system's. */
  readonly ca?: string;
  /** https only: accept any certificate. An operator's explicit word for one BMC, never a default. */
  readonly insecure?: boolean;
  /** Why this address of the URL's host is not connected to (`bad-request`); undefined where it may be. As in HttpGet. */
  readonly refuses?: (host: string, address: string) => string | undefined;
  readonly signal?: AbortSignal;
}
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}
/** One GET of something large, from a server that may be anybody's. */
export interface HttpGet {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bounds the name's resolution, the wait for the head of the answer, and then each silence while a piece of the body is waited for. */
  readonly silenceMs: number;
  /**
   * Why this address of the URL's host is not connected to; undefined where it may be. The name is resolved once, each of its addresses is
   * put before this, and the connection goes to one that passed: what the name resolves to a moment later does not matter (DNS rebinding).
   */
  readonly refuses: (host: string, address: string) => string | undefined;
  readonly signal?: AbortSignal;
}
export interface HttpBody {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** To be read once; leaving it early closes the connection. An answer that is cut short throws `source-failed`. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Where the body is not read. */
  close(): void;
}
export interface Http {
  listen(options: HttpListen): Promise<Listener>;
  /** Never throws for an HTTP status; a network failure is a RemudaError with a plain reason and code `bmc-unreachable` or `bmc-untrusted` (TLS). */
  call(call: HttpCall): Promise<HttpAnswer>;
  /** The body as it comes (server-sent events); throws when the status is not 2xx. */
  stream(call: HttpCall): AsyncIterable<Uint8Array>;
  /** Follows no redirect and never throws for an HTTP status. Throws `source-refused` where no address may be connected to, else `source-failed`. */
  get(request: HttpGet): Promise<HttpBody>;
  /** A self-signed certificate for this daemon: ECDSA P-256, valid 10 years. */
  selfSigned(commonName: string): Promise<Identity>;
}
export interface Net {
  udp(options: UdpOptions): Promise<UdpSocket>;
  localAddresses(): readonly LocalAddress[];
}

export interface FileStat {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly kind: 'file' | 'directory' | 'other';
}
/** Files. All reads and writes are bounded by what the caller asks; paths are absolute. */
export interface Files {
  /** undefined where there is none. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Throws `not-found`. */
  read(path: string, range?: { readonly offset: number; readonly length: number }): Promise<Uint8Array>;
  /** Whole or not at all: temporary file, fsync, rename, fsync of the folder. Throws `disk-full` with nothing left behind. */
  write(path: string, bytes: Uint8Array | string | AsyncIterable<Uint8Array>, mode?: number): Promise<void>;
  /** Atomic within one file system; replaces a file, not a folder with something in it. */
  rename(from: string, to: string): Promise<void>;
  /** Sorted names; empty where there is no such folder. */
  list(path: string): Promise<readonly string[]>;
  makeFolder(path: string, mode?: number): Promise<void>;
  /** No error where there is none. */
  remove(path: string): Promise<void>;
  /** What a user without privileges may still write to the file system that holds this path. Throws `not-found`. */
  freeBytes(path: string): Promise<number>;
  /** The size of that file system. Throws `not-found`. */
  totalBytes(path: string): Promise<number>;
}

export interface LogFields {
  readonly [name: string]: unknown;
}
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  with(fields: LogFields): Log;
}

/** Counts and durations for whoever watches the daemon; nothing of ours is ever decided by them. */
export interface Meter {
  count(name: CounterName, labels?: Labels, by?: number): void;
  took(name: DurationName, seconds: number, labels?: Labels): void;
}

export interface World {
  /** Ends with this process: sockets close, sleeps end. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: Random;
  readonly net: Net;
  readonly http: Http;
  readonly files: Files;
  readonly log: Log;
}
