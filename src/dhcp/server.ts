/** The DHCPv4 server: one socket per interface, decisions in memory at once, an ACK only when its lease is durable. */
import type { Limits } from '../limits.ts';
import { inCidr, type Ipv4, type Mac, noAddress } from '../wire/address.ts';
import { DecodeError } from '../wire/reader.ts';
import type { BootAnswer, BootClient, Lease, Observation } from '../wire/words.ts';
import type { Datagram, UdpSocket, World } from '../world/world.ts';
import { answer, type AnswerContext, answerInform, answerNak, destinationOf } from './answer.ts';
import { GroupCommit } from './commit.ts';
import { type Decision, decideLease, holderOf, type LeaseRequest } from './decide.ts';
import { identify } from './identify.ts';
import { decodeDhcp4, type Dhcp4, encodeDhcp4, ethernet, MessageType, Op } from './packet.ts';
import type { SubnetConfig } from './subnet.ts';
import { LeaseTable, type TableLimits } from './table.ts';
import { tell } from './tell.ts';

/** What DHCP needs from the rooms above it. */
export interface DhcpPorts {
  /** A host of ours and its name; undefined for a stranger. */
  known(mac: Mac): { readonly hostName?: string } | undefined;
  bootFor(client: BootClient, lease: { readonly address: Ipv4; readonly serverAddress: Ipv4; readonly endsAt: number }): BootAnswer;
  observe(observation: Observation): void;
  loadLeases(): Promise<readonly Lease[]>;
  /** Durable when it resolves; leases replace what stood at their address. */
  saveLeases(leases: readonly Lease[], freed: readonly Ipv4[]): Promise<void>;
}
export type DhcpLimits = TableLimits & Pick<Limits, 'dhcpPacketBytes' | 'dhcpPendingMax' | 'loggedPeersMax'>;

const noneCounted = {
  received: 0,
  malformed: 0,
  /** Not a client's request, or not over Ethernet. */
  foreign: 0,
  /** Through a relay of no subnet of ours. */
  unknownSubnet: 0,
  /** Dropped because too many leases wait for the store. */
  busy: 0,
  failed: 0,
  saveFailed: 0,
  offer: 0,
  ack: 0,
  nak: 0,
  inform: 0,
  released: 0,
  declined: 0,
  silent: 0,
};
export type DhcpCounters = { readonly [K in keyof typeof noneCounted]: number };

export interface DhcpServer {
  /** Living leases. */
  leases(): readonly Lease[];
  /** The living lease of an address. */
  leaseAt(address: Ipv4): Lease | undefined;
  readonly counters: DhcpCounters;
  close(): void;
}

/** Loads the leases, then answers. Throws what the store or the sockets throw. */
export const startDhcp = async (
  world: World,
  subnets: readonly SubnetConfig[],
  ports: DhcpPorts,
  limits: DhcpLimits,
): Promise<DhcpServer> => {
  const server = new Server(world, subnets, ports, limits);
  await server.open();
  return server;
};

const dhcpPort = 67;
const kinds: ReadonlyMap<number | undefined, LeaseRequest['kind']> = new Map([
  [MessageType.discover, 'discover'],
  [MessageType.request, 'request'],
  [MessageType.decline, 'decline'],
  [MessageType.release, 'release'],
  [MessageType.inform, 'inform'],
]);

/** One message on its way through the server. */
interface Exchange {
  readonly socket: UdpSocket;
  readonly message: Dhcp4;
  readonly client: BootClient;
  readonly table: LeaseTable;
  readonly request: LeaseRequest;
  /** The name we give the host, not the one it calls itself. */
  readonly hostName?: string;
}

class Server implements DhcpServer {
  readonly #world: World;
  readonly #ports: DhcpPorts;
  readonly #limits: DhcpLimits;
  readonly #tables: readonly LeaseTable[];
  readonly #commit: GroupCommit;
  readonly #sockets: UdpSocket[] = [];
  readonly #loggedPeers = new Set<string>();
  readonly #counters = { ...noneCounted };
  #isClosed = false;

  constructor(world: World, subnets: readonly SubnetConfig[], ports: DhcpPorts, limits: DhcpLimits) {
    this.#world = world;
    this.#ports = ports;
    this.#limits = limits;
    this.#tables = subnets.map((subnet) => new LeaseTable(subnet, limits));
    this.#commit = new GroupCommit(world, (leases, freed) => ports.saveLeases(leases, freed));
  }

  get counters(): DhcpCounters {
    return this.#counters;
  }

  leases(): readonly Lease[] {
    const now = this.#world.clock.now();
    return this.#tables.flatMap((table) => Array.from(table.bindings()).filter((binding) => binding.endsAt > now));
  }

  leaseAt(address: Ipv4): Lease | undefined {
    const now = this.#world.clock.now();
    return this.#tables.map((table) => table.bindingAt(address)).find((binding) => binding !== undefined && binding.endsAt > now);
  }

  async open(): Promise<void> {
    for (const lease of await this.#ports.loadLeases()) this.#load(lease);
    try {
      for (const name of new Set(this.#tables.map(({ subnet }) => subnet.interface))) {
        const socket = await this.#world.net.udp({ interface: name, address: noAddress, port: dhcpPort, broadcast: true });
        this.#sockets.push(socket);
        const here = this.#tables.filter(({ subnet }) => subnet.interface === name);
        socket.receive((datagram) => this.#receive(socket, here, datagram));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  /** Leases that the configuration no longer allows are left out: their clients are told at their next renewal. */
  #load(lease: Lease): void {
    const table = this.#tables.find(({ subnet }) => inCidr(subnet.cidr, lease.address));
    if (table === undefined || !table.assignable.may(lease.mac, lease.address)) return;
    const known = this.#ports.known(lease.mac) !== undefined;
    table.apply([{ kind: 'bind', binding: { ...lease, known, holder: holderOf({ ...lease, known }) } }]);
  }

  #receive(socket: UdpSocket, here: readonly LeaseTable[], datagram: Datagram): void {
    if (this.#isClosed) return;
    this.#counters.received++;
    try {
      if (datagram.bytes.length > this.#limits.dhcpPacketBytes) throw new DecodeError('', this.#limits.dhcpPacketBytes, 'is too long');
      const exchange = this.#exchangeOf(socket, here, decodeDhcp4(datagram.bytes));
      if (exchange !== undefined) this.#decide(exchange);
    } catch (error) {
      this.#refuse(datagram.address, error);
    }
  }

  /** The end of a packet that could not be read, or that we failed on. */
  #refuse(peer: Ipv4, error: unknown): void {
    const isMalformed = error instanceof DecodeError;
    this.#counters[isMalformed ? 'malformed' : 'failed']++;
    const key = `${peer} ${String(isMalformed)}`;
    if (this.#loggedPeers.has(key) || this.#loggedPeers.size >= this.#limits.loggedPeersMax) return;
    this.#loggedPeers.add(key);
    if (isMalformed) this.#world.log.warn('malformed DHCP packet dropped; logged once per sender', { peer, reason: error.message });
    else this.#world.log.error('DHCP packet dropped by a fault of ours; logged once per sender', { peer, error });
  }

  #exchangeOf(socket: UdpSocket, here: readonly LeaseTable[], message: Dhcp4): Exchange | undefined {
    const kind = kinds.get(message.options.messageType);
    const isEthernet = message.hardwareType === ethernet.type && message.hardwareLength === ethernet.length;
    if (kind === undefined || message.op !== Op.request || !isEthernet) {
      this.#counters.foreign++;
      return undefined;
    }
    const table = this.#tableFor(here, message);
    if (table === undefined) {
      this.#counters.unknownSubnet++;
      return undefined;
    }
    const client = identify(message);
    const known = this.#ports.known(client.mac);
    const reserved = table.subnet.reservations.find(({ mac }) => mac === client.mac);
    const hostName = known?.hostName ?? reserved?.hostName;
    const request = requestOf(kind, message, { known: known !== undefined, hostName: hostName ?? hostNameOf(message) });
    return { socket, message, client, table, request, ...(hostName === undefined ? {} : { hostName }) };
  }

  /** By the relay's address (RFC 2131 §4.3.1), else of the subnets on this wire the one of the client's address, else the first. */
  #tableFor(here: readonly LeaseTable[], { relayAddress, clientAddress }: Dhcp4): LeaseTable | undefined {
    if (relayAddress !== noAddress) return this.#tables.find(({ subnet }) => inCidr(subnet.cidr, relayAddress));
    return here.find(({ subnet }) => inCidr(subnet.cidr, clientAddress)) ?? here[0];
  }

  #decide(exchange: Exchange): void {
    const { table, request, client } = exchange;
    const now = this.#world.clock.now();
    if (this.#commit.pending >= this.#limits.dhcpPendingMax) {
      this.#counters.busy++;
      return;
    }
    table.sweep(now);
    const decision = decideLease(table, request, now);
    const boot = 'lease' in decision ? this.#bootFor(exchange, decision.lease) : undefined;
    const reply = replyFor(exchange, decision, boot, this.#limits.dhcpPacketBytes);
    const bytes = reply === undefined ? undefined : encodeDhcp4(reply);
    table.apply(decision.changes);
    const finish = (): void => {
      this.#counters[decision.outcome]++;
      if (reply !== undefined && bytes !== undefined) send(exchange.socket, reply, bytes);
      this.#ports.observe({ mac: client.mac, at: now, source: 'dhcp', text: tell(request.kind, client, decision, boot), client });
    };
    if (decision.changes.some(({ kind }) => kind === 'bind' || kind === 'free'))
      this.#commit.add(decision.changes, (saved) => this.#saved(saved, finish));
    else finish();
  }

  #saved(saved: boolean, finish: () => void): void {
    if (this.#isClosed) return;
    if (saved) finish();
    else this.#counters.saveFailed++;
  }

  #bootFor({ client, table }: Exchange, { address, endsAt }: Lease): BootAnswer {
    return this.#ports.bootFor(client, { address, endsAt, serverAddress: table.subnet.serverAddress });
  }
}

const requestOf = (
  kind: LeaseRequest['kind'],
  { options, clientMac, clientAddress }: Dhcp4,
  { known, hostName }: { readonly known: boolean; readonly hostName: string | undefined },
): LeaseRequest => ({
  kind,
  mac: clientMac,
  known,
  clientAddress,
  ...(options.clientId === undefined ? {} : { clientId: Buffer.from(options.clientId).toString('hex') }),
  ...(hostName === undefined ? {} : { hostName }),
  ...(options.requestedAddress === undefined ? {} : { requested: options.requestedAddress }),
  ...(options.serverId === undefined ? {} : { serverId: options.serverId }),
});

/** What the client calls itself, where that is a host name (RFC 1123 §2.1); some end it with a NUL. */
const hostNameOf = ({ options }: Dhcp4): string | undefined => {
  const name = options.hostName?.replace(/\0+$/, '');
  return name !== undefined && /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/.test(name) ? name : undefined;
};

const replyFor = (exchange: Exchange, decision: Decision, boot: BootAnswer | undefined, packetBytesMax: number): Dhcp4 | undefined => {
  const { message, client, table, hostName } = exchange;
  const context: AnswerContext = {
    subnet: table.subnet,
    client,
    boot: boot ?? { kind: 'local-disk' },
    packetBytesMax,
    ...(hostName === undefined ? {} : { hostName }),
  };
  if ('lease' in decision) return answer(decision.outcome, message, decision.lease, context);
  if (decision.outcome === 'nak') return answerNak(message, decision.reason, table.subnet);
  return decision.outcome === 'inform' ? answerInform(message, context) : undefined;
};

const send = (socket: UdpSocket, reply: Dhcp4, bytes: Uint8Array): void => {
  const to = destinationOf(reply);
  if (to.kind === 'datagram') socket.send(bytes, { address: to.address, port: to.port });
  else socket.sendToHardware(bytes, { mac: reply.clientMac, address: to.address, port: to.port });
};
