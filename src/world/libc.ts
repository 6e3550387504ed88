/** The few calls of the C library that Node does not offer, by koffi: sockets with options, UDP_SEGMENT, sendfile. Linux only. */
import koffi from 'koffi';
import type { Ipv4 } from '../wire/address.ts';

/** Numbers of <asm-generic/socket.h>, <linux/udp.h>, <linux/if_packet.h>; the same on every Linux architecture we run on. */
export const linux = {
  AF_INET: 2,
  AF_PACKET: 17,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  /** SOCK_NONBLOCK | SOCK_CLOEXEC */
  QUIET: 0o4000 | 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_BROADCAST: 6,
  SO_RCVBUF: 8,
  SO_BINDTODEVICE: 25,
  /** Beyond net.core.rmem_max; needs CAP_NET_ADMIN. */
  SO_RCVBUFFORCE: 33,
  SOL_UDP: 17,
  UDP_SEGMENT: 103,
  ETH_P_IP: 0x0800,
  ETH_P_IPV6: 0x86dd,
  POSIX_FADV_WILLNEED: 3,
  EAGAIN: 11,
} as const;

type Call = (...values: readonly (number | string | Uint8Array)[]) => number;
interface Calls {
  readonly socket: Call;
  readonly setsockopt: Call;
  readonly getsockopt: Call;
  readonly bind: Call;
  readonly close: Call;
  readonly sendto: Call;
  readonly sendfile: Call;
  readonly fadvise: Call;
  readonly interfaceIndex: Call;
}

let loaded: Calls | undefined;
/** Loaded at first use, so that what needs no sockets of this kind runs without it. */
const calls = (): Calls => {
  if (loaded !== undefined) return loaded;
  const library = koffi.load(null);
  const call = (prototype: string): Call => library.func(prototype) as Call;
  loaded = {
    socket: call('int socket(int, int, int)'),
    setsockopt: call('int setsockopt(int, int, int, void*, uint32_t)'),
    getsockopt: call('int getsockopt(int, int, int, void*, void*)'),
    bind: call('int bind(int, void*, uint32_t)'),
    close: call('int close(int)'),
    sendto: call('int64_t sendto(int, void*, uint64_t, int, void*, uint32_t)'),
    sendfile: call('int64_t sendfile(int, int, void*, uint64_t)'),
    fadvise: call('int posix_fadvise(int, int64_t, int64_t, int)'),
    interfaceIndex: call('uint32_t if_nametoindex(const char*)'),
  };
  return loaded;
};

/** A call of the C library that failed, with its errno. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly errno: number;
  readonly code: string;
  constructor(what: string, errno: number) {
    const code = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
    super(`${what}: ${code}`);
    this.errno = errno;
    this.code = code;
  }
}
const checked = (what: string, result: number): number => {
  if (result < 0) throw new SystemError(what, koffi.errno());
  return result;
};

const int = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};
/** struct sockaddr_in: family (host order), port, address, eight zeros. */
const socketAddress = (address: Ipv4, port: number): Uint8Array => {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(linux.AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
};

/** A new non-blocking descriptor; throws SystemError. The caller closes it or hands it on. */
export const openSocket = (family: number, type: number): number => checked('socket', calls().socket(family, type | linux.QUIET, 0));
export const closeDescriptor = (fd: number): void => {
  calls().close(fd);
};
/** Throws SystemError. */
export const setOption = (fd: number, [level, option]: readonly [number, number], value: number | string): void => {
  const bytes = typeof value === 'number' ? int(value) : Buffer.from(`${value}\0`);
  checked(`setsockopt ${level}/${option} ${value}`, calls().setsockopt(fd, level, option, bytes, bytes.length));
};

const setReceiveBuffer = (fd: number, bytes: number): void => {
  try {
    setOption(fd, [linux.SOL_SOCKET, linux.SO_RCVBUFFORCE], bytes);
  } catch {
    // Without the capability the kernel takes as much of it as net.core.rmem_max allows.
    setOption(fd, [linux.SOL_SOCKET, linux.SO_RCVBUF], bytes);
  }
};

/** A bound IPv4 socket of the given type, tied to one interface where one is named (SO_BINDTODEVICE); throws SystemError and leaves nothing open. */
export const boundSocket = (
  type: number,
  at: {
    readonly address: Ipv4;
    readonly port: number;
    readonly interface?: string;
    readonly broadcast?: boolean;
    readonly receiveBytes?: number;
  },
): number => {
  const fd = openSocket(linux.AF_INET, type);
  try {
    if (type === linux.SOCK_STREAM || at.broadcast === true || at.interface !== undefined)
      setOption(fd, [linux.SOL_SOCKET, linux.SO_REUSEADDR], 1);
    if (at.broadcast === true) setOption(fd, [linux.SOL_SOCKET, linux.SO_BROADCAST], 1);
    if (at.receiveBytes !== undefined) setReceiveBuffer(fd, at.receiveBytes);
    if (at.interface !== undefined) setOption(fd, [linux.SOL_SOCKET, linux.SO_BINDTODEVICE], at.interface);
    checked(`bind ${at.address}:${at.port}`, calls().bind(fd, socketAddress(at.address, at.port), 16));
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
};

/** IFNAMSIZ, netdevice(7). */
const interfaceNameBytes = 16;
/** Is the interface still there to which the descriptor was tied (SO_BINDTODEVICE)? Another of the same name is not it. True where it was tied to none. */
export const deviceStands = (fd: number): boolean => {
  const name = Buffer.alloc(interfaceNameBytes);
  return calls().getsockopt(fd, linux.SOL_SOCKET, linux.SO_BINDTODEVICE, name, int(name.length)) >= 0;
};

/** 0 where there is no such interface. */
export const interfaceIndex = (name: string): number => calls().interfaceIndex(name);

interface LinkPeer {
  readonly index: number;
  readonly hardware: Uint8Array;
  /** The EtherType; default IPv4. */
  readonly protocol?: number;
}
/** struct sockaddr_ll (packet(7)) of one hardware address. */
const linkAddress = ({ index, hardware, protocol = linux.ETH_P_IP }: LinkPeer): Uint8Array => {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(linux.AF_PACKET, 0);
  bytes.writeUInt16BE(protocol, 2);
  bytes.writeInt32LE(index, 4);
  bytes[11] = hardware.length;
  bytes.set(hardware, 12);
  return bytes;
};
/** Sends a whole IP packet to a hardware address, through an AF_PACKET socket of type SOCK_DGRAM; throws SystemError. */
export const sendLink = (fd: number, packet: Uint8Array, to: LinkPeer): void => {
  checked('sendto', calls().sendto(fd, packet, packet.length, 0, linkAddress(to), 20));
};

/** Moves up to `count` bytes of a file into a socket; how many went, 0 where the socket takes no more now. Throws SystemError. */
export const sendfile = (socketFd: number, fileFd: number, range: { readonly offset: number; readonly count: number }): number => {
  const offset = Buffer.alloc(8);
  offset.writeBigInt64LE(BigInt(range.offset));
  const sent = calls().sendfile(socketFd, fileFd, offset, range.count);
  if (sent < 0 && koffi.errno() === linux.EAGAIN) return 0;
  return checked('sendfile', sent);
};
/** Tells the kernel to read this part of a file ahead, so that sendfile finds it in memory; advice only. */
export const readAhead = (fileFd: number, offset: number, count: number): void => {
  calls().fadvise(fileFd, offset, count, linux.POSIX_FADV_WILLNEED);
};
