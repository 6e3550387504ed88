/** UDP: a descriptor made by us (one interface, broadcast, UDP_SEGMENT) and then handed to Node's dgram. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { everyone, noAddress } from '../wire/address.ts';
import type { Ipv4, Mac } from '../wire/address.ts';
import { RemudaError, reasonOf } from '../errors.ts';
import { localAddresses } from './interfaces.ts';
import { boundSocket, closeDescriptor, deviceStands, interfaceIndex, linux, openSocket, sendLink, setOption } from './libc.ts';
import { udpPacket } from './udp-packet.ts';
import type { Endpoint } from './udp-packet.ts';
import type { Log, Net, UdpOptions, UdpSocket } from './world.ts';

/** UDP_MAX_SEGMENTS of older kernels (Linux 4.18 to 6.8); newer ones take more. */
const segmentsMax = 64;
/** 65535 less the IP and UDP headers. */
const datagramBytesMax = 65_507;
/** What a card or a path that cannot cut answers; anything else is an ordinary send error. */
const cannotCut: ReadonlySet<string | undefined> = new Set(['EIO', 'EINVAL', 'EMSGSIZE', 'EOPNOTSUPP', 'ENOPROTOOPT']);

class RealUdpSocket implements UdpSocket {
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #fd: number;
  readonly #interface: string | undefined;
  readonly #broadcast: boolean;
  readonly #log: Log;
  #segmentBytes = 0;
  #canCut = true;
  #linkFd: number | undefined;
  #closed = false;
  readonly #errors = new Map<string, number>();

  constructor(socket: Socket, fd: number, options: UdpOptions, log: Log) {
    this.#socket = socket;
    this.#fd = fd;
    this.#interface = options.interface;
    this.#broadcast = options.broadcast ?? false;
    this.local = { address: options.address, port: socket.address().port };
    this.#log = log.with({ udp: `${this.local.address}:${this.local.port}` });
    socket.on('error', (error) => this.#count('receive', error));
  }

  receive(handler: (datagram: { bytes: Uint8Array; address: Ipv4; port: number }) => void): void {
    this.#socket.on('message', (bytes, from) => handler({ bytes, address: from.address as Ipv4, port: from.port }));
  }

  send(bytes: Uint8Array, to: Endpoint & { readonly segmentBytes?: number }): void {
    if (this.#closed) return;
    const { segmentBytes } = to;
    if (segmentBytes === undefined || bytes.length <= segmentBytes) {
      // A larger datagram must not be cut by the size of an earlier send; a smaller one leaves whole anyway.
      if (this.#segmentBytes > 0 && bytes.length > this.#segmentBytes) this.#cutAt(0);
      return this.#sendOne(bytes, to);
    }
    const perSend = this.#cutAt(segmentBytes)
      ? segmentBytes * Math.min(segmentsMax, Math.floor(datagramBytesMax / segmentBytes))
      : segmentBytes;
    for (let at = 0; at < bytes.length; at += perSend) this.#sendCut(bytes.subarray(at, at + perSend), to, segmentBytes);
  }

  sendToHardware(bytes: Uint8Array, to: Endpoint & { readonly mac: Mac }): void {
    if (this.#closed) return;
    try {
      this.#sendLink(bytes, to);
    } catch (error) {
      this.#count('sendToHardware', error);
      // Every DHCP client must take a broadcast, whatever its flag says: RFC 2131 §4.1.
      if (this.#broadcast) this.send(bytes, { address: everyone, port: to.port });
    }
  }

  isOpen(): boolean {
    return !this.#closed && deviceStands(this.#fd);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    if (this.#linkFd !== undefined) closeDescriptor(this.#linkFd);
    if (this.#errors.size > 0) this.#log.info('datagrams that could not be sent', { errors: Object.fromEntries(this.#errors) });
  }

  /** Sets UDP_SEGMENT where it is not so yet; false where this socket cannot cut. */
  #cutAt(segmentBytes: number): boolean {
    if (!this.#canCut) return false;
    if (this.#segmentBytes === segmentBytes) return true;
    try {
      setOption(this.#fd, [linux.SOL_UDP, linux.UDP_SEGMENT], segmentBytes);
      this.#segmentBytes = segmentBytes;
    } catch (error) {
      this.#count('segment', error);
      this.#canCut = false;
    }
    return this.#canCut;
  }

  /** One send that the kernel cuts; where it refuses, the same bytes again packet by packet, and so from then on. */
  #sendCut(bytes: Uint8Array, to: Endpoint, segmentBytes: number): void {
    this.#socket.send(bytes, to.port, to.address, (error) => {
      if (error === null || error === undefined) return;
      this.#count('send', error);
      if (!cannotCut.has((error as NodeJS.ErrnoException).code) || bytes.length <= segmentBytes || this.#closed) return;
      this.#cutAt(0);
      this.#canCut = false;
      for (let at = 0; at < bytes.length; at += segmentBytes) this.#sendOne(bytes.subarray(at, at + segmentBytes), to);
    });
  }

  #sendOne(bytes: Uint8Array, to: Endpoint): void {
    this.#socket.send(bytes, to.port, to.address, (error) => {
      if (error !== null && error !== undefined) this.#count('send', error);
    });
  }

  #sendLink(bytes: Uint8Array, to: Endpoint & { readonly mac: Mac }): void {
    const name = this.#interface;
    if (name === undefined) throw new RemudaError('internal', 'this socket is tied to no interface');
    const index = interfaceIndex(name);
    if (index === 0) throw new RemudaError('not-found', `there is no network interface ${name}`);
    const address =
      this.local.address === noAddress ? localAddresses().find((entry) => entry.interface === name)?.address : this.local.address;
    this.#linkFd ??= openSocket(linux.AF_PACKET, linux.SOCK_DGRAM);
    const packet = udpPacket(bytes, { address: address ?? noAddress, port: this.local.port }, to);
    sendLink(this.#linkFd, packet, { index, hardware: Buffer.from(to.mac.replaceAll(':', ''), 'hex') });
  }

  /** Each kind of error is told once and counted from then on: a cable that is out must not flood the log. */
  #count(what: string, error: unknown): void {
    const kind = `${what}: ${(error as NodeJS.ErrnoException).code ?? reasonOf(error)}`;
    const count = this.#errors.get(kind) ?? 0;
    this.#errors.set(kind, count + 1);
    if (count === 0) this.#log.warn('datagram not sent', { what, reason: reasonOf(error) });
  }
}

/**
 * Node's own name look-up would put a turn of the event loop between setting UDP_SEGMENT and sending; our addresses are numbers already.
 */
const noLookup = (address: string, _options: unknown, done: (error: null, address: string, family: number) => void): void =>
  done(null, address, 4);

/** Opens a socket; throws `bad-config` where the address, port or interface cannot be had. */
const openUdp = async (options: UdpOptions, log: Log): Promise<RealUdpSocket> => {
  let fd: number;
  try {
    fd = boundSocket(linux.SOCK_DGRAM, options);
  } catch (cause) {
    const on = options.interface === undefined ? '' : ` on ${options.interface}`;
    throw new RemudaError('bad-config', `cannot open UDP ${options.address}:${options.port}${on}: ${reasonOf(cause)}`, {
      cause,
      values: { ...options },
    });
  }
  const socket = createSocket({ type: 'udp4', lookup: noLookup });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ fd, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  return new RealUdpSocket(socket, fd, options, log);
};

/** UDP sockets and local addresses; every socket closes when `signal` ends. */
export const realNet = (signal: AbortSignal, log: Log): Net => ({
  localAddresses,
  udp: async (options) => {
    signal.throwIfAborted();
    const socket = await openUdp(options, log);
    const close = (): void => socket.close();
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    return {
      local: socket.local,
      receive: (handler) => socket.receive(handler),
      send: (bytes, to) => socket.send(bytes, to),
      sendToHardware: (bytes, to) => socket.sendToHardware(bytes, to),
      isOpen: () => socket.isOpen(),
      close: () => {
        signal.removeEventListener('abort', close);
        socket.close();
      },
    };
  },
});
