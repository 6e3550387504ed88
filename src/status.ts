/** What the daemon tells of itself, read anew at each question: status, warnings, readiness, and the readings of its gauges. */
import type { StatusJson } from './api/access-types.ts';
import type { TokenBook } from './api/tokens.ts';
import { bootFileNames } from './boot/decide.ts';
import type { Config } from './config.ts';
import { doorsOf } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { hostStates } from './host/host.ts';
import { ipv4Number } from './wire/address.ts';
import type { Ipv4 } from './wire/address.ts';
import type { Reading } from './world/meter.ts';
import type { World } from './world/world.ts';

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

const told = (name: string, at: string, reason: string | undefined): StatusJson['listeners'][number] =>
  reason === undefined ? { name, at, bound: true } : { name, at, bound: false, reason };
/** A port is ours where it was opened, was not closed since, and its interface still has the address. */
const listenersOf = ({ world, config, daemon, admin }: StatusParts): StatusJson['listeners'] => {
  const local = world.net.localAddresses();
  const { boot } = config;
  const interfaces = new Set(config.subnets.map((subnet) => subnet.interface));
  return [
    ...Array.from(interfaces, (name) =>
      told('dhcp', `${name}:67`, local.some((one) => one.interface === name) ? undefined : `${name} is gone, or has no address any more`),
    ),
    ...doorsOf(config).flatMap(({ interface: name, serverAddress }) => {
      const isThere = local.some((one) => one.interface === name && one.address === serverAddress);
      const lost = isThere ? undefined : `${name} has the address ${serverAddress} no more`;
      const closed = daemon.isServing() ? lost : 'the port was closed; the log says why';
      return [
        told('tftp', `${serverAddress}:69`, lost),
        told('boot', `${serverAddress}:${boot.httpPort}`, closed),
        told('agent', `${serverAddress}:${boot.agentPort}`, closed),
      ];
    }),
    ...admin.map(({ at, isListening }) => told('admin', at, isListening() ? undefined : 'the port was closed; the log says why')),
  ];
};

const dayMs = 24 * 3600_000;
const certificateWarningMs = 30 * dayMs;
/** A clock may be set by so much without anybody minding. */
const clockBackMs = 60_000;
const dateText = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

const certificateWarnings = ({ world, admin }: StatusParts): readonly string[] =>
  admin.flatMap(({ at, certificateUntil }) => {
    if (certificateUntil === undefined || certificateUntil - world.clock.now() > certificateWarningMs) return [];
    const ends = certificateUntil <= world.clock.now() ? 'ended on' : 'ends on';
    return [`the certificate of the API at ${at} ${ends} ${dateText(certificateUntil)}: renew its file and restart the daemon`];
  });
const tokenWarnings = ({ world, admin, tokens }: StatusParts): readonly string[] => {
  const good = tokens.list().filter(({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt ?? Infinity) > world.clock.now());
  if (admin.length < 2 || good.length > 0) return [];
  return ['the API listens on TCP, and no token is good: nobody can come in there. Make one over the socket: remuda token create'];
};
/** Entries of the journal that are younger than now: somebody set the clock back, and leases and tickets live longer than they should. */
const clockWarnings = async ({ world, daemon }: StatusParts): Promise<readonly string[]> => {
  const newest = await daemon.records.newestEntry();
  const [entry] = newest === 0 ? [] : await daemon.records.journal({ after: newest - 1, most: 1 });
  if (entry === undefined || entry.at - world.clock.now() < clockBackMs) return [];
  return [
    `the clock was set back by ${Math.round((entry.at - world.clock.now()) / 1000)} s: leases and tickets seem younger than they are`,
  ];
};
const warningsOf = async (parts: StatusParts): Promise<readonly string[]> => {
  const failure = parts.daemon.writeFailure();
  return [
    ...(failure === undefined ? [] : [`the last change could not be kept: ${failure}`]),
    ...certificateWarnings(parts),
    ...tokenWarnings(parts),
    ...(await clockWarnings(parts)),
  ];
};

export const statusOf = async (parts: StatusParts): Promise<StatusJson> => {
  const { world, config, daemon, version } = parts;
  return {
    version,
    startedAt: daemon.startedAt,
    now: world.clock.now(),
    listeners: listenersOf(parts),
    networks: networksOf(world, config, daemon),
    files: await filesOf(world, config, daemon),
    freeBytes: await world.files.freeBytes(config.data),
    warnings: [...(await warningsOf(parts))],
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

/** What the gauges show now. */
export const readingOf = async (parts: StatusParts): Promise<Reading> => {
  const { daemon } = parts;
  const [status, images] = await Promise.all([statusOf(parts), daemon.images.list()]);
  const hosts = daemon.hosts();
  return [
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
    ...Object.entries(daemon.dhcpCounters()).map(([what, value]) => ({ name: 'dhcp_messages' as const, labels: { what }, value })),
    { name: 'free_bytes', value: status.freeBytes },
    { name: 'warnings', value: status.warnings.length },
    ...status.listeners.map(({ name, at, bound }) => ({ name: 'listeners_bound' as const, labels: { name, at }, value: bound ? 1 : 0 })),
    { name: 'start_time_seconds', value: daemon.startedAt / 1000 },
  ];
};
