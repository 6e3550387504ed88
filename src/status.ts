/** What the daemon tells of itself, read anew at each question: status, warnings, readiness, and the readings of its gauges. */
import type { StatusJson } from './api/access-types.ts';
import type { TokenBook } from './api/tokens.ts';
import { bootFileNames } from './boot/decide.ts';
import type { Config } from './config/config.ts';
import type { Daemon } from './daemon.ts';
import type { HostPort } from './host-ports.ts';
import { hostStates } from './host/host.ts';
import { ipv4Number } from './wire/address.ts';
import type { Ipv4 } from './wire/address.ts';
import type { ProviderHere } from './provider-here.ts';
import type { Reading } from './world/meter.ts';
import type { LocalAddress, World } from './world/world.ts';
import { warningsOf } from './warnings.ts';

/** An admin listener as it is now. */
export interface Watched {
  readonly at: string;
  readonly isListening: () => boolean;
  /** When its certificate ends; undefined without TLS. */
  readonly certificateUntil?: number;
}
export interface StatusParts {
  readonly world: World;
  readonly config: Config;
  readonly daemon: Daemon;
  readonly version: string;
  readonly tokens: Pick<TokenBook, 'list'>;
  /** Grows while the daemon starts. */
  readonly admin: readonly Watched[];
  /** The Cluster API provider in this daemon, where there is one. */
  readonly provider?: Pick<ProviderHere, 'problem' | 'reading'> | undefined;
}

type Networks = StatusJson['networks'];
const othersAt = (daemon: Daemon, name: string): NonNullable<Networks[number]['otherServers']> =>
  daemon
    .otherServers()
    .filter((server) => server.interface === name)
    .map((heard) => {
      const { interface: _, ...server } = heard;
      return server;
    });
const networksOf = (world: World, config: Config, daemon: Daemon): Networks => {
  const local = world.net.localAddresses();
  return config.subnets.map(({ interface: name, cidr, serverAddress, pool, relay }, index) => {
    const [from, to] = [ipv4Number(pool.from), ipv4Number(pool.to)];
    const inPool = (address: Ipv4): boolean => ipv4Number(address) >= from && ipv4Number(address) <= to;
    return {
      interface: name,
      subnet: cidr,
      address: local.some((one) => one.interface === name && one.address === serverAddress) ? serverAddress : null,
      poolAddresses: to - from + 1,
      leasedAddresses: daemon.leases().filter(({ address, endsAt }) => inPool(address) && endsAt > world.clock.now()).length,
      relayed: relay !== undefined,
      // Once for each interface, however many subnets come in there.
      otherServers: config.subnets.findIndex((subnet) => subnet.interface === name) === index ? othersAt(daemon, name) : [],
    };
  });
};

type StatusFiles = StatusJson['files'];
const filesOf = async (world: World, config: Config, daemon: Daemon): Promise<StatusFiles> => {
  const { kernel, initrd } = daemon.bootFiles;
  const agent = await Promise.all(
    [kernel, initrd].map(async ({ name, path, sizeBytes }) => {
      // A file of another size is not the one that its hash in the script promises.
      const present = (await world.files.stat(path))?.sizeBytes === sizeBytes;
      return { name, purpose: 'agent' as const, path, present, sizeBytes };
    }),
  );
  const boot = bootFileNames.map((name) => {
    const program = daemon.programs.get(name);
    const path = `${config.boot.firmware}/${name}`;
    return { name, purpose: 'boot' as const, path, present: program !== undefined, ...(program && { sizeBytes: program.length }) };
  });
  return [...boot, ...agent];
};

/** Why nobody comes in at a port that is open; undefined where they may. A cable that is out is no reason: the port stays, and hosts come when it is in. */
const lostOf = ({ interface: name, address }: HostPort, local: readonly LocalAddress[]): string | undefined => {
  const here = local.filter((one) => one.interface === name);
  if (here.some(({ link }) => link === 'down')) return `${name} is switched off: ip link set ${name} up`;
  if (address === undefined || here.some((one) => one.address === address)) return undefined;
  return `${name} has the address ${address} no more: ip address add ${address}/… dev ${name}`;
};
const told = (name: string, at: string, reason: string | undefined): StatusJson['listeners'][number] =>
  reason === undefined ? { name, at, bound: true } : { name, at, bound: false, reason };
const listenersOf = ({ world, daemon, admin }: StatusParts): StatusJson['listeners'] => {
  const local = world.net.localAddresses();
  return [
    ...daemon.ports().map((port) => {
      const closed = `its socket is closed, or ${port.interface} was taken away: restart the daemon when it is there`;
      return told(port.name, `${port.address ?? port.interface}:${port.port}`, port.isOpen() ? lostOf(port, local) : closed);
    }),
    ...admin.map(({ at, isListening }) => told('admin', at, isListening() ? undefined : 'the port was closed; the log says why')),
  ];
};

export const statusOf = async (parts: StatusParts): Promise<StatusJson> => {
  const { world, config, daemon, version } = parts;
  const files = await filesOf(world, config, daemon);
  const freeBytes = await world.files.freeBytes(config.data);
  return {
    version,
    startedAt: daemon.startedAt,
    now: world.clock.now(),
    listeners: listenersOf(parts),
    networks: networksOf(world, config, daemon),
    files,
    freeBytes,
    warnings: await warningsOf(parts, { files, freeBytes }),
  };
};

/** Below this the next change of a host may not be kept. */
const freeBytesMin = 64 * 1024 ** 2;
/** Why the daemon does not serve as it should, one plain sentence each. */
export const unreadyOf = async (parts: StatusParts): Promise<readonly string[]> => {
  const { listeners, files, freeBytes } = await statusOf(parts);
  const failure = parts.daemon.writeFailure();
  return [
    ...listeners
      .filter(({ bound }) => !bound)
      .map(({ name, at, reason }) => `${name} does not listen at ${at}: ${reason ?? 'no reason is known'}`),
    ...files.filter(({ present }) => !present).map(({ name, path }) => `the file ${name} is missing at ${path}`),
    ...(freeBytes < freeBytesMin ? [`only ${freeBytes} bytes are free where the store lives`] : []),
    ...(failure === undefined ? [] : [`the store did not keep the last change: ${failure}`]),
  ];
};

const tftpReading = (daemon: Daemon): Reading => {
  const { received, malformed, failed, started, done, refused, timeout, givenUp, busy, notFound, notRead, bytes } = daemon.tftpCounters();
  const requests = { received, malformed, failed, started, busy, not_found: notFound, not_read: notRead };
  const transfers = { ok: done, aborted: refused + givenUp, timed_out: timeout, refused: busy + notFound + notRead };
  return [
    ...Object.entries(requests).map(([what, value]) => ({ name: 'tftp_requests' as const, labels: { what }, value })),
    ...Object.entries(transfers).map(([outcome, value]) => ({ name: 'tftp_transfers' as const, labels: { outcome }, value })),
    { name: 'tftp_bytes', value: bytes },
  ];
};
/** What the gauges and tallies show now. */
export const readingOf = async (parts: StatusParts): Promise<Reading> => {
  const { daemon } = parts;
  const [status, images] = await Promise.all([statusOf(parts), daemon.images.list()]);
  const hosts = daemon.hosts();
  return [
    ...(parts.provider?.reading() ?? []),
    ...hostStates.map((state) => ({
      name: 'hosts' as const,
      labels: { state },
      value: hosts.filter((host) => host.state === state).length,
    })),
    { name: 'hosts_held', value: hosts.filter(({ held }) => held !== null).length },
    { name: 'hosts_failed', value: hosts.filter(({ failed }) => failed !== null).length },
    { name: 'claims', value: hosts.filter(({ claim }) => claim !== null).length },
    { name: 'images', value: images.length },
    { name: 'leases', value: daemon.leases().length },
    { name: 'other_dhcp_servers', value: daemon.otherServers().length },
    { name: 'control_running', value: daemon.load().running },
    { name: 'control_queued', value: daemon.load().queued },
    ...Object.entries(daemon.dhcpCounters()).map(([what, value]) => ({ name: 'dhcp_messages' as const, labels: { what }, value })),
    ...tftpReading(daemon),
    { name: 'free_bytes', value: status.freeBytes },
    ...status.warnings
      .filter(({ level }) => level === 'warning')
      .map(({ code }, _index, all) => ({
        name: 'warnings' as const,
        labels: { code },
        value: all.filter((one) => one.code === code).length,
      })),
    ...status.listeners.map(({ name, at, bound }) => ({ name: 'listeners_bound' as const, labels: { name, at }, value: bound ? 1 : 0 })),
    { name: 'start_time_seconds', value: daemon.startedAt / 1000 },
  ];
};
