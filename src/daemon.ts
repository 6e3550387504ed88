/** The daemon: every part built once, top to bottom, threaded by hand. It opens its own store and can be stopped. */
import type { BootDeps } from './api/boot-routes.ts';
import { backupOf, clearBackups } from './backup/make.ts';
import type { BmcDriver } from './bmc/driver.ts';
import { driverFor } from './bmc/driver-for.ts';
import { probeBmc } from './bmc/probe.ts';
import type { Probe, ProbeTarget } from './bmc/probe.ts';
import { readBootFiles, readPrograms } from './boot-files.ts';
import { decideBoot, mayFetch } from './boot/decide.ts';
import { acceptsMac } from './config/config.ts';
import type { Config } from './config/config.ts';
import { Desk } from './control/desk.ts';
import { idMaker } from './control/ids.ts';
import { Keeper } from './control/keeper.ts';
import { localRack } from './control/local-rack.ts';
import { ControlLoop } from './control/loop.ts';
import { Observer } from './control/observer.ts';
import { PresenceBook } from './control/presence.ts';
import type { Rack } from './control/rack.ts';
import { reconcile } from './control/reconcile.ts';
import type { ReconcileParts } from './control/reconcile.ts';
import type { OtherServer } from './dhcp/others.ts';
import { startDhcp } from './dhcp/server.ts';
import type { DhcpCounters } from './dhcp/server.ts';
import type { Limits } from './limits.ts';
import type { Host, HostBmc } from './host/host.ts';
import { openImageStore } from './image/store.ts';
import type { ImagePolicy, ImageStore } from './image/store.ts';
import { sourcePolicy } from './image/source-policy.ts';
import { HostMeter, meteredActivation, meteredDriver, silentMeter, WriteWatch } from './metering.ts';
import { doorsOf, listenForBoots } from './host-ports.ts';
import type { HostPort } from './host-ports.ts';
import { sealerFor } from './store/key.ts';
import { schemaVersion } from './store/schema.ts';
import { openSqliteStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import { RunningConfig } from './config/reload.ts';
import type { ReloadPlan } from './config/reload.ts';
import { startTftp, summed } from './tftp/server.ts';
import type { TftpCounters, TftpServer } from './tftp/server.ts';
import type { Ipv4, Mac } from './wire/address.ts';
import type { BootClient, Lease } from './wire/words.ts';
import type { Identity, Listener, Meter, World } from './world/world.ts';

export interface Daemon {
  readonly rack: Rack;
  readonly images: ImageStore;
  readonly limits: Limits;
  readonly identity: Identity;
  readonly startedAt: number;
  readonly bootFiles: BootDeps['files'];
  readonly programs: ReadonlyMap<string, Uint8Array>;
  leases(): readonly Lease[];
  /** DHCP servers on our wires that are not ours. */
  otherServers(): readonly OtherServer[];
  /** What the DHCP server met since it started. */
  dhcpCounters(): DhcpCounters;
  /** What the TFTP servers met since they started, all together. */
  tftpCounters(): TftpCounters;
  /** How much the control loop does now. */
  load(): ControlLoop['load'];
  /** As they stand in the store. */
  hosts(): readonly Host[];
  claims: Store['claims'];
  /** What the admin API keeps there. */
  readonly records: Pick<
    Store,
    'tokens' | 'createToken' | 'revokeToken' | 'audit' | 'auditOutcome' | 'auditLog' | 'journal' | 'newestEntry' | 'setting'
  >;
  /** Why the last change could not be kept; undefined where it was. */
  writeFailure(): string | undefined;
  /** All that hosts come to, as it is now. */
  ports(): readonly HostPort[];
  /** Which protocol a BMC speaks, and what it tells without a password: IPv4 address or name. */
  probeBmc(target: ProbeTarget, signal?: AbortSignal): Promise<Probe>;
  /** What the daemon runs by now. */
  config(): Config;
  /** Takes up what can change while it runs, all at once; says what waits for a restart. `next` was judged before. */
  reload(next: Config): ReloadPlan;
  /** All that it knows, as one archive; `version` is the program's. */
  backup(version: string, options: { readonly images: boolean }): AsyncGenerator<Uint8Array>;
  /** Ends listening at once, lets what runs come to its end, closes the store. */
  stop(): Promise<void>;
}

/** One driver per BMC as configured, so that its session is kept and its calls are serialised. */
const driverBook = (world: World, limits: Limits, meter: Meter): { of: (bmc: HostBmc) => BmcDriver; close: () => Promise<void> } => {
  const drivers = new Map<string, BmcDriver>();
  return {
    of: (bmc) => {
      const key = JSON.stringify(bmc);
      const driver = drivers.get(key) ?? meteredDriver(driverFor(world, bmc, limits), meter);
      drivers.set(key, driver);
      return driver;
    },
    close: async () => {
      await Promise.allSettled([...drivers.values()].map((driver) => driver.close()));
    },
  };
};

const policyOf = ({ images: { trust, requireSignature, sources } }: Config): ImagePolicy => ({
  trust: { keys: trust.map(({ name, publicKey }) => ({ name, ...publicKey })), required: requireSignature },
  sources: sourcePolicy(sources),
});

interface Core {
  readonly world: World;
  readonly config: Config;
  readonly limits: Limits;
  readonly store: Store;
  readonly keeper: Keeper;
  readonly observer: Observer;
  readonly secret: Uint8Array;
  readonly programs: ReadonlyMap<string, Uint8Array>;
}

interface Protocols {
  readonly tells: Pick<Daemon, 'leases' | 'otherServers' | 'dhcpCounters' | 'tftpCounters'>;
  readonly ports: readonly HostPort[];
  readonly leaseAt: (address: Ipv4) => Lease | undefined;
  readonly reconfigure: (subnets: Config['subnets']) => void;
  readonly close: () => void;
}
const dhcpPort = 67;
const tftpPort = 69;
/** DHCP and TFTP with what they need of the rooms above them. */
const startProtocols = async ({ world, config, limits, store, keeper, observer, secret, programs }: Core): Promise<Protocols> => {
  const { httpPort } = config.boot;
  const decide = (client: BootClient, address: Ipv4, serverAddress: Ipv4) =>
    decideBoot(keeper.byMac(client.mac), { client, lease: { address, serverAddress }, httpPort, secret, limits });
  const dhcp = await startDhcp(
    world,
    config.subnets,
    {
      known: (mac: Mac) => {
        const host = keeper.byMac(mac);
        if (host === undefined || host.state === 'discovered') return undefined;
        const { dhcp: extras } = host.profile;
        const formerMacs = (host.identity?.retired ?? []).map((gone) => gone.mac).filter((gone) => keeper.byMac(gone) === undefined);
        return { hostName: host.claim?.intent.hostName ?? host.name, ...(extras === null ? {} : { dhcp: extras }), formerMacs };
      },
      bootFor: (client, { address, serverAddress }) => decide(client, address, serverAddress),
      observe: (observation) => observer.observe(observation),
      loadLeases: () => store.leases(),
      saveLeases: (leases, freed) => store.saveLeases(leases, freed),
    },
    limits,
  );
  const program = (file: string, client: Ipv4, serverAddress: Ipv4): Uint8Array | undefined => {
    const mac = dhcp.leaseAt(client)?.mac;
    if (mac === undefined) return undefined;
    const question = { mac, lease: { address: client, serverAddress }, httpPort, secret, limits };
    return mayFetch(keeper.byMac(mac), file, question) ? programs.get(file) : undefined;
  };
  const tftps: TftpServer[] = [];
  const ports: HostPort[] = Array.from(new Set(config.subnets.map((subnet) => subnet.interface)), (name) => {
    return { name: 'dhcp', interface: name, port: dhcpPort, isOpen: () => dhcp.isOpen(name) };
  });
  for (const { interface: name, serverAddress: address } of doorsOf(config)) {
    const tftp = await startTftp(
      world,
      { address, interface: name, port: tftpPort },
      {
        open: (file, client) => program(file, client, address),
        observe: ({ client, at, text }) => {
          const mac = dhcp.leaseAt(client)?.mac;
          if (mac !== undefined) observer.observe({ mac, at, source: 'tftp', text });
        },
      },
      limits,
    );
    tftps.push(tftp);
    ports.push({ name: 'tftp', interface: name, address, port: tftpPort, isOpen: () => tftp.isOpen() });
  }
  return {
    tells: {
      leases: () => dhcp.leases(),
      otherServers: () => dhcp.otherServers(),
      dhcpCounters: () => dhcp.counters,
      tftpCounters: () => summed(tftps.map(({ counters }) => counters)),
    },
    ports,
    leaseAt: (address) => dhcp.leaseAt(address),
    reconfigure: (subnets) => dhcp.reconfigure(subnets),
    close: () => {
      dhcp.close();
      for (const tftp of tftps) tftp.close();
    },
  };
};

const takeUp = (running: RunningConfig, next: Config, protocols: Protocols): ReloadPlan => {
  const plan = running.take(next);
  if (plan.applied.some((path) => path.startsWith('subnets.'))) protocols.reconfigure(plan.running.subnets);
  return plan;
};

/** Made at the first start and kept: the key of tickets and credentials, and the certificate that agents are told to believe. */
const ourselves = async (world: World, store: Store): Promise<{ readonly secret: Uint8Array; readonly identity: Identity }> => {
  const secret = await store.setting('secret', () => Buffer.from(world.random.bytes(32)).toString('hex'));
  const made = await world.http.selfSigned('remuda');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own row
  const identity = JSON.parse(await store.setting('identity', () => JSON.stringify(made))) as Identity;
  return { secret: Buffer.from(secret, 'hex'), identity };
};

/** What a boot client fetched over HTTP, for the timeline of the host that has its address. */
const heardBy =
  ({ clock }: World, protocols: Protocols, observer: Observer): BootDeps['observe'] =>
  (peer, text) => {
    const lease = peer === undefined ? undefined : protocols.leaseAt(peer);
    if (lease !== undefined) observer.observe({ mac: lease.mac, at: clock.now(), source: 'http', text });
  };

/** The control loop, woken by every change; nothing runs before the first wake. */
const startLoop = (parts: ReconcileParts, meter: Meter): ControlLoop => {
  const { world, limits, keeper } = parts;
  const loop = new ControlLoop(world, limits, (hostId) => meteredActivation(world.clock, meter, () => reconcile(parts, hostId)));
  const hosts = new HostMeter(world.clock, meter);
  for (const host of keeper.all()) hosts.note(host);
  keeper.onChange(
    (hostId) => {
      const host = keeper.get(hostId);
      if (host !== undefined) hosts.note(host);
      loop.wake(hostId);
    },
    (hostId) => {
      hosts.forget(hostId);
      loop.forget(hostId);
    },
  );
  return loop;
};

interface Ending {
  readonly protocols: Protocols;
  readonly listeners: readonly { readonly listener: Listener }[];
  readonly loop: ControlLoop;
  readonly drivers: { readonly close: () => Promise<void> };
  readonly observer: Observer;
  readonly store: Store;
}
/** First nobody comes in any more, then what runs comes to its end, the store last: everything may still write to it. */
const endInOrder = async ({ protocols, listeners, loop, drivers, observer, store }: Ending): Promise<void> => {
  protocols.close();
  await Promise.allSettled(listeners.map(({ listener }) => listener.close()));
  await loop.stop();
  await drivers.close();
  await observer.close();
  await store.close();
};

/**
 * Starts the daemon. It serves DHCP, TFTP and HTTP on the configured subnets when this returns; the admin listener is the caller's
 * (main.ts), because its routes need nothing but the returned rack. `died` is for simulations: the death of a process inside one that goes on.
 */
export const startDaemon = async (world: World, config: Config, died?: AbortSignal, meter: Meter = silentMeter): Promise<Daemon> => {
  const running = new RunningConfig(config);
  const { limits } = running;
  const startedAt = world.clock.now();
  await world.files.makeFolder(config.data, 0o700);
  await clearBackups(world.files, config.data);
  const bootFiles = await readBootFiles(world, config.boot.agent);
  const programs = await readPrograms(world, config.boot.firmware);
  const writes = new WriteWatch(world.clock, meter);
  const sealer = await sealerFor(world, config);
  const store = await openSqliteStore(`${config.data}/remuda.db`, limits, { sealer, died, timed: (change) => writes.around(change) });
  const newId = idMaker(world.random);
  const { secret, identity } = await ourselves(world, store);
  const images = openImageStore(world, `${config.data}/images`, limits, () => policyOf(running.config));
  // What an import left behind that was killed half-way.
  await images.collect();
  const presence = new PresenceBook(world.clock);
  const keeper = new Keeper({ store, clock: world.clock, log: world.log, presence });
  await keeper.load();
  const accepts = (mac: Mac): boolean => acceptsMac(running.config.accept.macs, mac);
  const observer = new Observer({ world, keeper, presence, store, limits, newId, accepts });
  const drivers = driverBook(world, limits, meter);
  const parts = { world, keeper, presence, store, images, limits, driverFor: drivers.of, newId };
  const loop = startLoop(parts, meter);
  const desk = new Desk({ keeper, presence, clock: world.clock, limits, images, secret, httpPort: config.boot.httpPort });

  const protocols = await startProtocols({ world, config, limits, store, keeper, observer, secret, programs });
  const deps: BootDeps = {
    desk,
    images,
    files: bootFiles,
    limits,
    fingerprint: identity.fingerprint,
    httpPort: config.boot.httpPort,
    agentPort: config.boot.agentPort,
    kernelArguments: config.boot.kernelArguments,
    observe: heardBy(world, protocols, observer),
  };
  const listeners = await listenForBoots(world, config, deps, { identity, meter });
  for (const host of keeper.all()) loop.wake(host.id);
  world.log.info('serving', { subnets: config.subnets.map(({ interface: name, cidr }) => `${name} ${cidr}`), hosts: keeper.all().length });
  return {
    rack: localRack(parts),
    images,
    limits,
    identity,
    startedAt,
    bootFiles,
    programs,
    ...protocols.tells,
    hosts: () => keeper.all(),
    claims: () => store.claims(),
    records: store,
    backup: (version, options) =>
      backupOf({ world, store, data: config.data, about: { version, schema: schemaVersion, sealedWith: sealer.keyId } }, options),
    writeFailure: () => writes.failure,
    probeBmc: (target, signal) => probeBmc(world, target, limits, signal),
    load: () => loop.load,
    ports: () => [...protocols.ports, ...listeners.map(({ port }) => port)],
    config: () => running.config,
    reload: (next) => takeUp(running, next, protocols),
    stop: () => endInOrder({ protocols, listeners, loop, drivers, observer, store }),
  };
};
