/**
 * A rack that lives beside real code: the real daemon core over simulated servers, a virtual clock that real time drives, and hands for the
 * tests. The Kubernetes that it is tested with is real, so nothing global is poisoned here.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { configSchema } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import { enrolSchema } from '../../src/control/rack.ts';
import type { Rack } from '../../src/control/rack.ts';
import { startDaemon } from '../../src/daemon.ts';
import type { Daemon } from '../../src/daemon.ts';
import type { Host } from '../../src/host/host.ts';
import type { ProfilePatch } from '../../src/host/profile.ts';
import type { ImageStore } from '../../src/image/store.ts';
import { localMetal } from '../../src/kube/local-metal.ts';
import type { Metal } from '../../src/kube/metal.ts';
import { MemoryFiles, memoryDisk } from '../world/memory-files.ts';
import { bmcPassword, bmcUser } from '../sim/bmcs.ts';
import { chanceOf } from '../sim/chance.ts';
import { layOut, rawImage, seedAt } from '../sim/furniture.ts';
import { heal, Network, swarm } from '../sim/network.ts';
import { worldOf } from '../sim/party-world.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { ip, livingHost, runningOf } from './living-hosts.ts';
import type { LivingHost, Running } from './living-hosts.ts';
import { Law } from './living-law.ts';
import type { ToldDisk } from './living-law.ts';
import { Pump } from './living-pump.ts';

const server = '10.77.0.1';
/** A host that was switched on is on its way for so long, whatever the daemon thinks of it. */
const startMs = 60_000;
/** Enrolled at once. */
const crowd = 25;

export interface LivingOptions {
  readonly hosts: number;
  /** Virtual ms for each real one, while a host is on its way; 20. */
  readonly speed?: number;
  readonly seed?: number;
  /** What people say of the host; `index` from 0. */
  readonly profile?: (index: number) => Partial<{ [K in keyof ProfilePatch]: NonNullable<ProfilePatch[K]> }>;
  /** In the catalogue from the start. */
  readonly images?: readonly string[];
  readonly limits?: Readonly<Record<string, number>>;
}
export interface LivingRack {
  readonly rack: Rack;
  readonly images: ImageStore;
  readonly metal: Metal;
  readonly daemon: Daemon;
  readonly hosts: readonly LivingHost[];
  /** As the daemon knows it now. */
  host(name: string): Host;
  /** Until what is looked for is so, in real time; says what every host does where it never is. */
  reach(what: string, seen: () => boolean, withinMs?: number): Promise<void>;
  /** All hosts were inspected and may be claimed. */
  allAvailable(withinMs?: number): Promise<void>;
  /** The OS is dead: the power stays on and nothing runs. */
  crash(host: string): void;
  failInstall(host: string, times: number): void;
  silentBmc(host: string, silent?: boolean): void;
  /** Its BMC takes every change of power and does nothing. */
  keepOn(host: string, kept?: boolean): void;
  /** Each OS that comes up on this host says that its bootstrap failed, until `undefined` is given. */
  failBootstrap(host: string, log: string | undefined): void;
  powerOf(host: string): 'on' | 'off';
  diskOf(host: string): ToldDisk;
  whatRuns(host: string): Running | undefined;
  /** An installed OS came up, or (undefined) ended: at power-off, reset and crash. */
  onOs(told: (host: string, running: Running | undefined) => void): void;
  /** As `LivingOptions.speed`, from now on. */
  pace(speed: number): void;
  /** Imports one more small image; its digest. */
  addImage(name: string): Promise<string>;
  /** Virtual now. */
  now(): number;
  /** The last lines of what happened. */
  tail(lines: number): string;
  /** Throws what was broken meanwhile. */
  stop(): Promise<void>;
}

const configFor = (data: string, limits: Readonly<Record<string, number>>): Config =>
  configSchema.parse({
    data,
    boot: { agent: '/boot', firmware: '/boot' },
    subnets: [{ interface: 'br0', cidr: '10.77.0.0/16', serverAddress: server, pool: { from: '10.77.1.1', to: '10.77.9.254' } }],
    limits: {
      chunkBytes: 16 * 1024,
      firstPacketMs: 60_000,
      agentArrivesMs: 120_000,
      jobSilenceMs: 60_000,
      phoneHomeMs: 180_000,
      parkMs: 120_000,
      powerStepMs: 30_000,
      ...limits,
    },
  });
const moving: ReadonlySet<Host['state']> = new Set(['enrolled', 'inspecting', 'provisioning', 'cleaning']);

class Living implements LivingRack {
  readonly hosts: readonly LivingHost[];
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly files: MemoryFiles;
  readonly folder: string;
  readonly #options: LivingOptions;
  readonly #seed: number;
  readonly #byName: ReadonlyMap<string, LivingHost>;
  readonly #bootable = new Map<string, { digest: string; seed: typeof seedAt; sizeBytes: number }>();
  readonly #process = new AbortController();
  readonly #listeners: ((host: string, running: Running | undefined) => void)[] = [];
  readonly #failing = new Map<string, string>();
  readonly #faults: unknown[] = [];
  /** Something is broken: then time stands still, and whoever waits for the daemon waits in vain. */
  readonly #end = Promise.withResolvers<void>();
  readonly #law: Law;
  #pump: Pump | undefined;
  #daemon: Daemon | undefined;
  #metal: Metal | undefined;
  #looked: readonly Host[] = [];
  #anyMoves = true;

  constructor(options: LivingOptions) {
    this.#options = options;
    this.#seed = options.seed ?? 1;
    // Beside real clocks, so that a date that leaves the rack is no riddle.
    this.scheduler.now = Date.now();
    const calm = swarm(chanceOf(this.#seed, 'faults'));
    heal(calm);
    this.network = new Network(this.scheduler, chanceOf(this.#seed, 'network'), calm);
    this.folder = mkdtempSync(`${existsSync('/dev/shm') ? '/dev/shm' : tmpdir()}/remuda-living-`);
    this.files = new MemoryFiles({ disk: memoryDisk(), now: () => this.scheduler.now });
    this.network.filesOf = (party) => (party.name === 'daemon' ? this.files : undefined);
    const { scheduler, network, files } = this;
    const ground = { seed: this.#seed, scheduler, network, files, images: () => this.#bootable };
    this.hosts = Array.from({ length: options.hosts }, (_, index) => livingHost(index + 1, ground));
    this.#byName = new Map(this.hosts.map((host) => [host.name, host]));
    const disks = new Map(this.hosts.map(({ name, disk }) => [name, disk]));
    this.#law = new Law(
      () => this.scheduler.now,
      () => this.#daemon?.hosts() ?? this.#looked,
      disks,
    );
    for (const { name, metal } of this.hosts)
      metal.onOs = (running) => {
        try {
          this.#tell(name, running && runningOf(running));
        } catch (error) {
          this.#broken(error);
        }
      };
  }
  async start(): Promise<void> {
    await Promise.race([this.#begin(), this.#end.promise]);
    this.#blame();
  }
  async #begin(): Promise<void> {
    await layOut(this.files, this.folder);
    const { scheduler, network, files } = this;
    const party = { name: 'daemon', address: ip(server), signal: this.#process.signal };
    const world = worldOf({ scheduler, network, party, chance: chanceOf(this.#seed, 'daemon'), files });
    this.#pump = new Pump({
      scheduler,
      speed: this.#options.speed ?? 20,
      isBusy: () => this.#isBusy(),
      check: () => this.#law.follow(),
      failed: (error) => this.#broken(error),
    });
    this.#daemon = await startDaemon(world, configFor(this.folder, this.#options.limits ?? {}), this.#process.signal);
    const { rack, images } = this.#daemon;
    const leases = () => this.#daemon?.leases() ?? [];
    this.#metal = localMetal({ rack, images: () => images.list(), leases, clock: world.clock, by: 'cluster-api' });
    for (const name of this.#options.images ?? ['kubernetes-v1.34.4', 'kubernetes-v1.34.5']) await this.addImage(name);
    for (let at = 0; at < this.hosts.length; at += crowd)
      await Promise.all(this.hosts.slice(at, at + crowd).map((host, index) => this.#enrol(host, at + index)));
  }
  async #enrol({ name, metal, bmc: { protocol, url } }: LivingHost, index: number): Promise<void> {
    const bmc = { protocol, url, username: bmcUser, password: bmcPassword };
    // IPMI names no MACs: the operator reads them off the label.
    const spec = protocol === 'ipmi' ? { bmc, macs: [...metal.macs] } : { bmc: { ...bmc, insecure: true } };
    const said = this.#options.profile?.(index) ?? {};
    await this.rack.enrol(enrolSchema.parse({ name, firmware: metal.firmware, ...spec, ...said }), { by: 'test' });
  }
  #isBusy(): boolean {
    const hosts = this.#daemon?.hosts() ?? [];
    if (hosts !== this.#looked) {
      this.#looked = hosts;
      this.#anyMoves = hosts.some(({ state, failed, held }) => moving.has(state) && failed === null && held === null);
    }
    if (this.#daemon === undefined || this.#anyMoves) return true;
    const since = this.scheduler.now - startMs;
    return this.hosts.some(({ metal }) => metal.power() === 'on' && (metal.started?.at ?? 0) > since && metal.running === undefined);
  }
  #tell(name: string, running: Running | undefined): void {
    const log = this.#failing.get(name);
    const url = running?.reportFailureUrl;
    if (log !== undefined && url !== undefined) this.#reportFailure(name, url, log);
    for (const told of this.#listeners) told(name, running);
  }
  #reportFailure(name: string, url: string, log: string): void {
    const { party } = this.#living(name).metal;
    const call = { method: 'POST' as const, url, body: log, timeoutMs: 30_000, replyBytesMax: 1e6 };
    this.network.call(party, call).then(
      ({ status }) => {
        if (status >= 300) this.#broken(new Error(`${name}: its report of a failed bootstrap was answered with ${status}`));
      },
      (error: unknown) => this.#broken(error),
    );
  }
  #living(name: string): LivingHost {
    const host = this.#byName.get(name);
    assert.ok(host !== undefined, `there is no ${name}`);
    return host;
  }

  get daemon(): Daemon {
    assert.ok(this.#daemon !== undefined, 'the daemon did not start');
    return this.#daemon;
  }
  get rack(): Rack {
    return this.daemon.rack;
  }
  get images(): ImageStore {
    return this.daemon.images;
  }
  get metal(): Metal {
    assert.ok(this.#metal !== undefined, 'the daemon did not start');
    return this.#metal;
  }
  host(name: string): Host {
    const host = this.daemon.hosts().find((one) => one.name === name);
    assert.ok(host !== undefined, `the daemon knows no ${name}`);
    return host;
  }
  async reach(what: string, seen: () => boolean, withinMs = 60_000): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      this.#blame();
      if (seen()) return;
      const hosts = this.daemon
        .hosts()
        .slice(0, 20)
        .map(({ name, state, failed }) => `${name} ${state} ${failed?.reason ?? ''}`);
      assert.ok(performance.now() < until, `never ${what}: ${hosts.join('; ')}\n${this.tail(20)}`);
      await pause(10);
    }
  }
  allAvailable(withinMs?: number): Promise<void> {
    const isThere = (): boolean => this.daemon.hosts().every(({ state, claim }) => state === 'available' && claim === null);
    return this.reach('all available', isThere, withinMs);
  }
  crash(host: string): void {
    this.#living(host).metal.hang();
  }
  failInstall(host: string, times: number): void {
    this.#living(host).metal.faults.failInstalls = times;
  }
  silentBmc(host: string, silent = true): void {
    this.#living(host).bmc.quirks.silent = silent;
  }
  keepOn(host: string, kept = true): void {
    this.#living(host).bmc.quirks.ignoresPower = kept;
  }
  failBootstrap(host: string, log: string | undefined): void {
    if (log === undefined) this.#failing.delete(host);
    else this.#failing.set(host, log);
  }
  powerOf(host: string): 'on' | 'off' {
    return this.#living(host).metal.power();
  }
  diskOf(host: string): ToldDisk {
    return this.#living(host).disk;
  }
  whatRuns(host: string): Running | undefined {
    const { running } = this.#living(host).metal;
    return running && runningOf(running);
  }
  onOs(told: (host: string, running: Running | undefined) => void): void {
    this.#listeners.push(told);
  }
  pace(speed: number): void {
    assert.ok(this.#pump !== undefined, 'nothing moves yet');
    this.#pump.speed = speed;
  }
  async addImage(name: string): Promise<string> {
    const file = `/import/${name}.raw`;
    // Each has a body of its own, and so a digest of its own.
    const bytes = rawImage(7 + 6 * this.#bootable.size);
    await this.files.write(file, bytes);
    const { digest } = await this.images.import({ file }, { name, phoneHome: 'image' });
    this.#bootable.set(name, { digest, seed: seedAt, sizeBytes: bytes.length });
    return digest;
  }
  now(): number {
    return this.scheduler.now;
  }
  tail(lines: number): string {
    return this.scheduler.tail(lines);
  }
  #broken(error: unknown): void {
    this.#faults.push(error);
    this.#end.resolve();
  }
  #blame(): void {
    const [first] = this.#faults;
    if (first !== undefined) throw first;
  }
  async stop(): Promise<void> {
    try {
      if (this.#daemon !== undefined) await Promise.race([this.#daemon.stop(), this.#end.promise]);
    } finally {
      await this.#pump?.stop();
      this.#process.abort();
      for (const { metal } of this.hosts) metal.unplug();
      rmSync(this.folder, { recursive: true, force: true });
    }
    this.#blame();
  }
}

/** Started, its hosts enrolled and on their way to be available. */
export const livingRack = async (options: LivingOptions): Promise<LivingRack> => {
  const living = new Living(options);
  try {
    await living.start();
  } catch (error) {
    await living.stop();
    throw error;
  }
  return living;
};
