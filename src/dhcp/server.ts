/** The DHCPv4 server: one socket per interface, decisions in memory at once, an ACK only when its lease is durable. */
import type { Limits } from '../limits.ts';
import { inCidr, type Ipv4, type Mac, noAddress } from '../wire/address.ts';
import { DecodeError } from '../wire/reader.ts';
import type { BootAnswer, BootClient, Lease, Observation } from '../wire/words.ts';
import type { Datagram, UdpSocket, World } from '../world/world.ts';
import { GroupCommit } from './commit.ts';
import { decideAmong, holderOf, type LeaseRequest } from './decide.ts';
import { type Exchange, hostNameOf, kinds, type Known, replyFor, requestOf, reservationIn, send } from './exchange.ts';
import { identify } from './identify.ts';
import { type OtherLimits, type OtherServer, OtherServers } from './others.ts';
import { decodeDhcp4, type Dhcp4, encodeDhcp4, ethernet, Op } from './packet.ts';
import { hopsMax, placesOf, relayOf, type RelayWord } from './place.ts';
import type { SubnetConfig } from './subnet.ts';
import { LeaseTable, type TableLimits } from './table.ts';
import { tell, tellOther } from './tell.ts';
import { Watch } from './watch.ts';

/** What DHCP needs from the rooms above it. */
export interface DhcpPorts {
  /** A host of ours, its name and its own options; undefined for a stranger. */
  known(mac: Mac): Known | undefined;
  bootFor(client: BootClient, lease: { readonly address: Ipv4; readonly serverAddress: Ipv4; readonly endsAt: number }): BootAnswer;
  observe(observation: Observation): void;
  loadLeases(): Promise<readonly Lease[]>;
  /** Durable when it resolves; leases replace what stood at their address. */
  saveLeases(leases: readonly Lease[], freed: readonly Ipv4[]): Promise<void>;
}
export type DhcpLimits = TableLimits &
  OtherLimits &
  Pick<Limits, 'dhcpPacketBytes' | 'dhcpPendingMax' | 'dhcpReceiveBytes' | 'dhcpProbeMs' | 'loggedPeersMax'>;

const noneCounted = {
  received: 0,
  malformed: 0,
  /** Not a client's request, or not over Ethernet. */
  foreign: 0,
  /** From no subnet of ours, or through a relay of none. */
  unknownSubnet: 0,
  /** Of another DHCP server, or for one. */
  others: 0,
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
  /** DHCP servers that are not ours, heard of lately. */
  otherServers(): readonly OtherServer[];
  readonly counters: DhcpCounters;
  /** Is the socket at this interface still ours, and the interface still there? */
  isOpen(name: string): boolean;
  /**
   * Other pools, reservations, options, or subnets behind relays from now on, on the same interfaces. Living leases stay where they are
   * still allowed, and their clients are told at the next renewal where not; offers are made anew.
   */
  reconfigure(subnets: readonly SubnetConfig[]): void;
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

const oursOf = (subnets: readonly SubnetConfig[]): readonly Ipv4[] =>
  subnets.flatMap(({ serverAddress, relay }) => [serverAddress, ...(relay?.addresses ?? [])]);

class Server implements DhcpServer {
  readonly #world: World;
  readonly #ports: DhcpPorts;
  readonly #limits: DhcpLimits;
  #tables: readonly LeaseTable[];
  readonly #commit: GroupCommit;
  readonly #sockets = new Map<string, UdpSocket>();
  readonly #others: OtherServers;
  readonly #watches = new Map<string, Watch>();
  /** Our own identifiers, as we and our relays say them. */
  readonly #ours: Set<Ipv4>;
  readonly #loggedPeers = new Set<string>();
  /** Leases that the configuration no longer allows. Their clients keep the addresses until they renew, also where a later one allows them again. */
  readonly #withdrawn: Lease[] = [];
  readonly #counters = { ...noneCounted };
  #isClosed = false;

  constructor(world: World, subnets: readonly SubnetConfig[], ports: DhcpPorts, limits: DhcpLimits) {
    this.#world = world;
    this.#ports = ports;
    this.#limits = limits;
    this.#tables = subnets.map((subnet) => new LeaseTable(subnet, limits, (mac) => ports.known(mac)?.formerMacs ?? []));
    this.#ours = new Set(oursOf(subnets));
    this.#commit = new GroupCommit(world, (leases, freed) => ports.saveLeases(leases, freed));
    this.#others = new OtherServers({
      now: () => world.clock.now(),
      limits,
      isOurs: (address) => this.#ours.has(address) || world.net.localAddresses().some((local) => local.address === address),
      warn: (text, fields) => world.log.warn(text, fields),
    });
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

  otherServers(): readonly OtherServer[] {
    return this.#others.list();
  }

  isOpen(name: string): boolean {
    const socket = this.#sockets.get(name);
    return socket !== undefined && (socket.isOpen?.() ?? true);
  }

  async open(): Promise<void> {
    for (const lease of await this.#ports.loadLeases()) this.#load(lease);
    try {
      for (const name of new Set(this.#tables.map(({ subnet }) => subnet.interface))) {
        const receiveBytes = this.#limits.dhcpReceiveBytes;
        const socket = await this.#world.net.udp({ interface: name, address: noAddress, port: dhcpPort, broadcast: true, receiveBytes });
        this.#sockets.set(name, socket);
        const here = (): readonly LeaseTable[] => this.#tables.filter(({ subnet }) => subnet.interface === name);
        socket.receive((datagram) => this.#receive(socket, here(), datagram));
        const watch = this.#watchOf(name);
        this.#watches.set(name, watch);
        await watch.start();
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  reconfigure(subnets: readonly SubnetConfig[]): void {
    const leases = [...this.#withdrawn.splice(0).filter((lease) => this.#isKept(lease)), ...this.leases()];
    this.#tables = subnets.map((subnet) => new LeaseTable(subnet, this.#limits, (mac) => this.#ports.known(mac)?.formerMacs ?? []));
    for (const address of oursOf(subnets)) this.#ours.add(address);
    for (const lease of leases) this.#load(lease);
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    for (const watch of this.#watches.values()) watch.close();
  }

  #watchOf(name: string): Watch {
    const { clock } = this.#world;
    return new Watch(
      {
        world: this.#world,
        book: this.#others,
        limits: this.#limits,
        answered: (mac, server, packet) => {
          this.#counters.others++;
          this.#ports.observe({ mac, at: clock.now(), source: 'dhcp', text: tellOther(server, packet) });
        },
      },
      name,
    );
  }

  /** Leases that the configuration no longer allows are left out: their clients are told at their next renewal. */
  #load(lease: Lease): void {
    const table = this.#tables.find(({ subnet }) => inCidr(subnet.cidr, lease.address));
    if (table === undefined || !table.assignable.may(lease.mac, lease.address)) {
      this.#withdrawn.push(lease);
      return;
    }
    const known = this.#ports.known(lease.mac) !== undefined;
    table.apply([{ kind: 'bind', binding: { ...lease, known, holder: holderOf({ ...lease, known }) } }]);
  }

  /** Does its client still use the address? It does not where the lease is over, or where the client has got another one since. */
  #isKept({ mac, endsAt }: Lease): boolean {
    const now = this.#world.clock.now();
    return endsAt > now && this.#tables.every((table) => (table.bindingOfMac(mac)?.endsAt ?? now) <= now);
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
    if (kind === undefined || message.op !== Op.request || !isEthernet || message.hops > hopsMax) {
      this.#counters.foreign++;
      return undefined;
    }
    const name = here[0]?.subnet.interface ?? '';
    if (this.#watches.get(name)?.isOurs(message) === true) return undefined;
    const relay = relayOf(message);
    const [first, ...others] = placesOf(here, message, relay);
    if (first === undefined) {
      this.#counters.unknownSubnet++;
      if (relay !== undefined) this.#strangeRelay(relay, name);
      return undefined;
    }
    if (relay?.overrideId !== undefined && this.#ours.size < this.#limits.loggedPeersMax) this.#ours.add(relay.overrideId);
    const client = identify(message);
    const known = this.#ports.known(client.mac);
    const tables = [first, ...others] as const;
    const hostName = known?.hostName ?? reservationIn(tables, client.mac)?.hostName ?? hostNameOf(message);
    const request = requestOf(kind, message, { known: known !== undefined, hostName, overrideId: relay?.overrideId });
    this.#hearChoice(request, name);
    return { socket, message, client, tables: [first, ...others], request, known };
  }

  #strangeRelay({ address, link }: RelayWord, name: string): void {
    const key = `relay ${address} ${link ?? ''}`;
    if (this.#loggedPeers.has(key) || this.#loggedPeers.size >= this.#limits.loggedPeersMax) return;
    this.#loggedPeers.add(key);
    this.#world.log.warn('a relay asks for a subnet that we do not serve; its clients get no answer. Logged once per relay', {
      relay: address,
      interface: name,
      ...(link === undefined ? {} : { link }),
      next: `add a subnet with relay: { via: ${name} } to the configuration, or take us off the relay's list of servers`,
    });
  }

  /** A client that names another server has taken its offer; all servers hear that (RFC 2131 §3.1, point 3). */
  #hearChoice({ kind, serverId, overrideId }: LeaseRequest, name: string): void {
    if ((kind !== 'request' && kind !== 'decline') || serverId === undefined || serverId === overrideId) return;
    const heard = this.#others.hear({ address: serverId, interface: name, how: 'chosen by a client' });
    if (heard !== undefined) this.#counters.others++;
  }

  #decide(exchange: Exchange): void {
    const { tables, request, client } = exchange;
    const now = this.#world.clock.now();
    if (this.#commit.pending >= this.#limits.dhcpPendingMax) {
      this.#counters.busy++;
      return;
    }
    for (const one of tables) one.sweep(now);
    const { table, decision } = decideAmong(tables, request, now);
    const boot = 'lease' in decision ? this.#bootFor(client, table, decision.lease) : undefined;
    const reply = replyFor(exchange, { table, decision, boot }, this.#limits.dhcpPacketBytes);
    const bytes = reply === undefined ? undefined : encodeDhcp4(reply);
    table.apply(decision.changes);
    const finish = (): void => {
      this.#counters[decision.outcome]++;
      if (reply !== undefined && bytes !== undefined) send(exchange, table, reply, bytes);
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

  #bootFor(client: BootClient, table: LeaseTable, { address, endsAt }: Lease): BootAnswer {
    return this.#ports.bootFor(client, { address, endsAt, serverAddress: table.subnet.serverAddress });
  }
}
