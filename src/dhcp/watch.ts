/** Looks for other DHCP servers on one wire: asks now and then as a client would, and hears what is answered there to anybody. */
import { codeOf, reasonOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { everyone, type Ipv4, type Mac, noAddress, parseIpv4, parseMac } from '../wire/address.ts';
import { DecodeError } from '../wire/reader.ts';
import type { Datagram, UdpSocket, World } from '../world/world.ts';
import { type OtherServer, type OtherServers, serverBehind } from './others.ts';
import { broadcastFlag, decodeDhcp4, type Dhcp4, encodeDhcp4, ethernet, MessageType, Op } from './packet.ts';

export interface WatchParts {
  readonly world: World;
  readonly book: OtherServers;
  readonly limits: Pick<Limits, 'dhcpPacketBytes' | 'dhcpProbeMs'>;
  /** A client of this MAC was answered by somebody else. */
  readonly answered: (mac: Mac, server: OtherServer, packet: Dhcp4) => void;
}

const serverPort = 67;
const clientPort = 68;
/** UDP's discard service (RFC 863): any packet to a neighbour makes the kernel ask for its hardware address. */
const discardPort = 9;
/** Longer than a neighbour takes to answer ARP, and its first repetition. */
const arpMs = 1_500;
/** Whoever sends from many addresses is not asked after at each. */
const askingMax = 16;

/** One wire. */
export class Watch {
  readonly #parts: WatchParts;
  readonly #interface: string;
  /** The client that we play: one for the life of the daemon, so that it costs the other server one address and no more. */
  #mac: Mac | undefined;
  #socket: UdpSocket | undefined;
  #cancel: () => void = () => {};
  #transaction = 0;
  readonly #asking = new Set<Ipv4>();

  constructor(parts: WatchParts, name: string) {
    this.#parts = parts;
    this.#interface = name;
  }

  /** Never throws: without port 68 only what reaches port 67 tells of others. */
  async start(): Promise<void> {
    const { world, limits } = this.#parts;
    if (limits.dhcpProbeMs === 0) return;
    // Locally administered, unicast (IEEE 802-2014 §8.2).
    this.#mac = parseMac(`0a${Buffer.from(world.random.bytes(5)).toString('hex').replaceAll(/../g, ':$&')}`);
    try {
      this.#socket = await world.net.udp({ address: noAddress, port: clientPort, interface: this.#interface, broadcast: true });
    } catch (error) {
      world.log.warn('other DHCP servers are only seen when a host takes their offer: port 68 cannot be had', {
        interface: this.#interface,
        reason: reasonOf(error),
      });
      return;
    }
    this.#socket.receive((datagram) => this.#receive(datagram));
    this.#probe();
  }

  close(): void {
    this.#cancel();
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Is this our own question, come back to us? */
  isOurs({ clientMac }: Dhcp4): boolean {
    return clientMac === this.#mac;
  }

  #probe(): void {
    const { world, limits } = this.#parts;
    if (this.#mac === undefined) return;
    this.#transaction = Buffer.from(world.random.bytes(4)).readUInt32BE();
    this.#socket?.send(encodeDhcp4(probe(this.#mac, this.#transaction)), { address: everyone, port: serverPort });
    this.#cancel = world.clock.after(limits.dhcpProbeMs, () => this.#probe());
  }

  #receive({ bytes, address: from }: Datagram): void {
    const { book, answered, limits } = this.#parts;
    if (bytes.length > limits.dhcpPacketBytes) return;
    const packet = readable(bytes);
    const server = packet?.op === Op.reply ? serverBehind(packet, from) : undefined;
    if (packet === undefined || server === undefined) return;
    const toUs = packet.clientMac === this.#mac;
    if (toUs && packet.transactionId !== this.#transaction) return;
    const heard = book.hear({ ...server, interface: this.#interface, how: toUs ? 'offered to us' : 'answered a client' });
    if (heard === undefined) return;
    if (!toUs) answered(packet.clientMac, heard, packet);
    if (heard.mac === undefined) this.#askForMac(heard.address);
  }

  #askForMac(address: Ipv4): void {
    if (this.#asking.has(address) || this.#asking.size >= askingMax) return;
    this.#asking.add(address);
    this.#socket?.send(new Uint8Array(1), { address, port: discardPort });
    this.#parts.world.clock.after(arpMs, () => void this.#readMac(address).finally(() => this.#asking.delete(address)));
  }
  async #readMac(address: Ipv4): Promise<void> {
    const { world, book } = this.#parts;
    try {
      const table = Buffer.from(await world.files.read('/proc/net/arp')).toString('latin1');
      const mac = neighbourIn(table, this.#interface, address);
      if (mac !== undefined) book.learnMac(this.#interface, address, mac);
    } catch (error) {
      if (codeOf(error) !== 'not-found') world.log.debug('the neighbours could not be read', { reason: reasonOf(error) });
    }
  }
}

/** A stranger's packet that cannot be read tells nothing; the server's own counter is for those sent to us. */
const readable = (bytes: Uint8Array): Dhcp4 | undefined => {
  try {
    return decodeDhcp4(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
};

/** The hardware address in the text of `/proc/net/arp` (proc_net(5)): IP, type, flags, MAC, mask, device; all zeros while it is not known. */
export const neighbourIn = (table: string, name: string, address: Ipv4): Mac | undefined => {
  for (const line of table.split('\n').slice(1)) {
    const [ip = '', , flags, mac = '', , device] = line.trim().split(/\s+/);
    if (parseIpv4(ip) === address && device === name && flags !== '0x0') return parseMac(mac);
  }
  return undefined;
};

const empty = new Uint8Array(0);
/** A DISCOVER that asks for a broadcast answer, so that we hear it without an address (RFC 2131 §4.1); nobody takes up what is offered. */
const probe = (mac: Mac, transactionId: number): Dhcp4 => ({
  op: Op.request,
  hardwareType: ethernet.type,
  hardwareLength: ethernet.length,
  hops: 0,
  transactionId,
  seconds: 0,
  flags: broadcastFlag,
  clientAddress: noAddress,
  yourAddress: noAddress,
  nextServer: noAddress,
  relayAddress: noAddress,
  clientMac: mac,
  clientMacPadding: new Uint8Array(10),
  serverName: '',
  bootFileName: '',
  magic: 0x63825363,
  // As UEFI firmware asks, so that a server which answers boot requests only is found as well.
  options: {
    messageType: MessageType.discover,
    parameterRequest: [1, 3, 6, 54, 60, 66, 67],
    vendorClass: 'PXEClient:Arch:00007:UNDI:003016',
    clientArch: [7],
    clientInterface: Uint8Array.of(1, 3, 16),
  },
  padding: empty,
});
