/** Serving: the daemon with its admin listeners, until the world ends. */
import { dirname } from 'node:path';
import type { ImageDesk } from './api/admin-images.ts';
import { adminRoutes } from './api/admin-routes.ts';
import type { StatusJson } from './api/types.ts';
import { bootFileNames } from './boot/decide.ts';
import { missingInterfaces } from './config-check.ts';
import { parseConfig } from './config.ts';
import type { Config } from './config.ts';
import { doorsOf, startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { RemudaError, codeOf } from './errors.ts';
import type { ImageStore } from './image/store.ts';
import { ipv4Number } from './wire/address.ts';
import type { Ipv4 } from './wire/address.ts';
import type { Files, Listener, World } from './world/world.ts';

/** The configuration in this file; `bad-config` says where it is wrong. */
export const readConfig = async (files: Pick<Files, 'read'>, path: string): Promise<Config> => {
  let bytes: Uint8Array;
  try {
    bytes = await files.read(path);
  } catch (cause) {
    if (codeOf(cause) !== 'not-found') throw cause;
    throw new RemudaError('bad-config', `there is no configuration at ${path}; say where it is: remuda serve --config FILE`, { cause });
  }
  return parseConfig(new TextDecoder().decode(bytes), path);
};

const deskOf = (images: ImageStore): ImageDesk => ({
  list: () => images.list(),
  find: (nameOrDigest) => images.find(nameOrDigest),
  manifest: (digest) => images.manifest(digest),
  import: (source, wish, onProgress) => images.import(source, { ...wish, onProgress }),
  verify: (digest, onProgress) => images.verify(digest, onProgress),
  remove: (nameOrDigest) => images.remove(nameOrDigest),
  collect: (options) => images.collect(options),
});

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

/** The daemon starts whole or not at all: what it should listen on, it listens on. */
const listenersOf = (config: Config): StatusJson['listeners'] => {
  const { subnets, boot, socket, admin } = config;
  return [
    ...Array.from(new Set(subnets.map((subnet) => subnet.interface)), (name) => ({ name: 'dhcp', at: `${name}:67`, bound: true })),
    ...doorsOf(config).flatMap(({ serverAddress }) => [
      { name: 'tftp', at: `${serverAddress}:69`, bound: true },
      { name: 'boot', at: `${serverAddress}:${boot.httpPort}`, bound: true },
      { name: 'agent', at: `${serverAddress}:${boot.agentPort}`, bound: true },
    ]),
    { name: 'admin', at: socket, bound: true },
    ...(admin === undefined ? [] : [{ name: 'admin', at: `${admin.address}:${admin.port}`, bound: true }]),
  ];
};

/** What the daemon tells of itself, read anew at each question. */
const statusOf = async (world: World, config: Config, daemon: Daemon, version: string): Promise<StatusJson> => ({
  version,
  startedAt: daemon.startedAt,
  now: world.clock.now(),
  listeners: listenersOf(config),
  networks: networksOf(world, config, daemon),
  files: await filesOf(world, config, daemon),
  freeBytes: await world.files.freeBytes(config.data),
  warnings: [],
});

/** The Unix socket always, loopback where it is configured: neither is reached from the network that hosts boot from. */
const listenForPeople = async (world: World, config: Config, daemon: Daemon, version: string): Promise<readonly Listener[]> => {
  const routes = adminRoutes({
    rack: daemon.rack,
    images: deskOf(daemon.images),
    leases: () => daemon.leases(),
    status: () => statusOf(world, config, daemon, version),
  });
  await world.files.makeFolder(dirname(config.socket));
  const listeners = [await world.http.listen({ at: { socket: config.socket }, routes })];
  if (config.admin !== undefined) listeners.push(await world.http.listen({ at: config.admin, routes }));
  return listeners;
};

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Serves until it is asked to end, and ends in good order while the world still stands; throws what `startDaemon` and the listeners throw. */
export const serve = async (world: World, config: Config, version: string, until: AbortSignal): Promise<void> => {
  const [missing] = await missingInterfaces(world, config);
  if (missing !== undefined) throw new RemudaError('bad-config', missing);
  const daemon = await startDaemon(world, config);
  let listeners: readonly Listener[] = [];
  try {
    listeners = await listenForPeople(world, config, daemon, version);
    world.log.info('the API answers', { socket: config.socket, version });
    await ended(until);
    world.log.info('ending');
  } finally {
    await Promise.allSettled(listeners.map((listener) => listener.close()));
    await daemon.stop();
  }
};
