/** A simulated rack around the real daemon: two servers, one with a Redfish and one with an IPMI BMC, an operator, weather, and what must always hold. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Config } from '../../src/config/config.ts';
import { claimSchema, enrolSchema } from '../../src/control/rack.ts';
import { startDaemon } from '../../src/daemon.ts';
import type { Daemon } from '../../src/daemon.ts';
import { reasonOf } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import type { Selector } from '../../src/host/select.ts';
import { openImageStore } from '../../src/image/store.ts';
import { limits as standard } from '../../src/limits.ts';
import { noAddress, parseIpv4, parseMac, parseUuid } from '../../src/wire/address.ts';
import type { Ipv4, Mac } from '../../src/wire/address.ts';
import type { Meter } from '../../src/world/world.ts';
import { MemoryFiles, memoryDisk } from '../world/memory-files.ts';
import { bmcOf, bmcPassword, bmcUser, Moody } from './bmcs.ts';
import type { SimBmc } from './bmcs.ts';
import { chanceOf } from './chance.ts';
import type { Chance } from './chance.ts';
import { SimDisk } from './disk.ts';
import { configOf, layOut, rawImage, seedAt } from './furniture.ts';
import type { Settings } from './furniture.ts';
import { Invariants } from './invariants.ts';
import { Metal } from './metal.ts';
import { heal, Network, swarm } from './network.ts';
import type { Party } from './network.ts';
import { worldOf } from './party-world.ts';
import { startRelay } from './relay.ts';
import { Scheduler } from './scheduler.ts';

const ip = (text: string): Ipv4 => parseIpv4(text) ?? noAddress;
const diskBytes = 160 * 1024;
/** What no log line may ever hold. */
export const secretWord = 'hunter2-user-data';
export { bmcPassword } from './bmcs.ts';

export interface RackOptions {
  readonly seed: number;
  /** No faults at all: for scripted scenarios. */
  readonly calm?: boolean;
  readonly limits?: Record<string, number>;
  /** The operator's rule: which unknown machines are accepted. */
  readonly accept?: readonly string[];
  /** The last server stands behind a DHCP relay. */
  readonly relayed?: boolean;
  /** Gets each line of the trace. */
  readonly trace?: (line: string) => void;
}
/** As the unit of systemd gives it (TimeoutStopSec). */
const stopMs = 30_000;

export class SimRack {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly metals: readonly Metal[];
  readonly bmcs: readonly SimBmc[];
  readonly moods: readonly Moody[];
  readonly invariants: Invariants;
  readonly files: MemoryFiles;
  /** As the next start finds it. */
  config: Config;
  readonly chance: Chance;
  readonly images = new Map<string, { digest: string; seed: typeof seedAt; sizeBytes: number }>();
  readonly folder: string;
  daemon: Daemon | undefined;
  /** Counts what the next daemon does. */
  meter: Meter | undefined;
  /** How much the disk of the image store holds. */
  filesBytesMax = Infinity;
  crashes = 0;
  stops = 0;
  #process = new AbortController();
  #party: Party;
  /** It was asked to end and has not ended. */
  #ending: Daemon | undefined;
  readonly #generator: Chance;
  #settings: Settings;
  /** It has said that it ended. */
  #ended: Party | undefined;

  private constructor({ seed, calm = false, limits = {}, accept = [], relayed = !calm && seed % 4 === 0, trace }: RackOptions) {
    this.scheduler = new Scheduler((line) => {
      this.invariants.line(line, [secretWord, bmcPassword]);
      trace?.(line);
    });
    this.chance = chanceOf(seed, 'workload');
    this.#generator = chanceOf(seed, 'daemon');
    const faults = swarm(chanceOf(seed, 'faults'));
    if (calm) heal(faults);
    this.network = new Network(this.scheduler, chanceOf(seed, 'network'), faults);
    this.folder = mkdtempSync(`${existsSync('/dev/shm') ? '/dev/shm' : tmpdir()}/remuda-sim-`);
    const capacity = (): number => this.filesBytesMax;
    this.files = new MemoryFiles({
      disk: memoryDisk(),
      now: () => this.scheduler.now,
      get capacityBytes() {
        return capacity();
      },
    });
    this.network.filesOf = (party) => (party.name === 'daemon' ? this.files : undefined);
    this.metals = [1, 2].map((number) => this.#metal(number, seed, relayed));
    this.bmcs = this.metals.map((metal, index) => this.#bmc(metal, index + 1, seed));
    this.moods = this.bmcs.map((bmc, index) => new Moody(bmc, chanceOf(seed, `mood${index + 1}`), calm));
    this.#settings = { limits, accept, relayed, narrow: false };
    this.config = configOf(this.folder, this.#settings);
    this.#party = this.#newParty();
    if (relayed) {
      this.scheduler.sometimes('a host stands behind a relay');
      const relay = { name: 'relay', address: ip('10.77.2.1'), wire: 'far', signal: new AbortController().signal };
      startRelay(this.network, relay, ip('10.77.0.1'));
    }
    this.invariants = this.#watch();
  }
  #watch(): Invariants {
    const { scheduler, network, metals, bmcs } = this;
    const invariants = new Invariants({
      now: () => scheduler.now,
      metals,
      bmcs,
      hosts: () => (this.daemon ?? this.#ending)?.hosts() ?? [],
      loginPauseMs: this.config.limits['bmcLoginPauseMs'] ?? standard.bmcLoginPauseMs,
    });
    scheduler.always(() => invariants.check());
    network.onAnswer = (exchange) => invariants.answered(exchange);
    network.onHeard = (exchange) => invariants.heard(exchange);
    network.onDatagram = (from, to, bytes) => invariants.datagram(from, to, bytes, [secretWord, bmcPassword]);
    network.onSpeak = (party, what) => {
      if (party === this.#ended) invariants.spoke(what);
    };
    return invariants;
  }
  static async make(options: RackOptions): Promise<SimRack> {
    const rack = new SimRack(options);
    await rack.#furnish();
    return rack;
  }
  dispose(): void {
    this.#process.abort();
    for (const metal of this.metals) metal.unplug();
    rmSync(this.folder, { recursive: true, force: true });
  }
  #metal(number: number, seed: number, relayed: boolean): Metal {
    const disks = [new SimDisk('/dev/vda', `disk-${number}`, diskBytes)];
    // The second server has a disk that nobody gave us.
    if (number === 2) disks.push(new SimDisk('/dev/vdb', 'foreign', diskBytes * 2, 0xaa));
    const mac = parseMac(`52:54:00:77:00:0${number}`);
    const uuid = parseUuid(`00000000-0000-4000-8000-00000000000${number}`);
    assert.ok(mac !== undefined && uuid !== undefined);
    const firmware = (number + seed) % 2 === 0 ? ('bios' as const) : ('uefi' as const);
    const spec = { name: `h${number}`, mac, uuid, firmware, disks, wire: relayed && number === 2 ? 'far' : undefined };
    return new Metal(spec, {
      scheduler: this.scheduler,
      network: this.network,
      chance: chanceOf(seed, `metal${number}`),
      images: () => this.images,
    });
  }
  #bmc(metal: Metal, number: number, seed: number): SimBmc {
    const { scheduler, network, files } = this;
    const party: Party = { name: `bmc${number}`, address: ip(`10.77.9.${number}`), signal: new AbortController().signal };
    const world = worldOf({ scheduler, network, party, chance: chanceOf(seed, `bmc${number}`), files });
    return bmcOf(metal, party, world, { network, protocol: number % 2 === 0 ? 'ipmi' : 'redfish' });
  }
  async #furnish(): Promise<void> {
    const { files } = this;
    await layOut(files, this.folder);
    const store = openImageStore(this.#world(), `${this.folder}/images`, { ...standard, ...this.config.limits });
    for (const [name, body] of [
      ['alpha', 7],
      ['beta', 13],
    ] as const) {
      const bytes = rawImage(body);
      await files.write(`/import/${name}.raw`, bytes);
      // The import yields to the clock between chunks, so the scheduler runs beside it.
      void store
        .import({ file: `/import/${name}.raw` }, { name, phoneHome: 'image' })
        .then(({ digest }) => this.images.set(name, { digest, seed: seedAt, sizeBytes: bytes.length }));
      assert.ok(await this.scheduler.run({ untilMs: 60_000, done: () => this.images.has(name) }), 'the image was not imported');
    }
  }
  #newParty(): Party {
    return { name: 'daemon', address: ip('10.77.0.1'), signal: this.#process.signal };
  }
  #world(): ReturnType<typeof worldOf> {
    const { scheduler, network, files } = this;
    return worldOf({ scheduler, network, party: this.#party, chance: this.#generator, files });
  }

  /** Starts the daemon on what is on the disk. */
  start(): void {
    this.#process = new AbortController();
    this.#party = this.#newParty();
    this.#ended = undefined;
    this.invariants.restarted();
    const { signal } = this.#process;
    void startDaemon(this.#world(), this.config, signal, this.meter).then(
      (daemon) => {
        if (!signal.aborted) this.daemon = daemon;
      },
      (error: unknown) => this.scheduler.log(`daemon did not start: ${String(error)}`),
    );
  }
  /** Death without a word: sockets close, timers never fire, promises never settle; then it starts anew on the same files. */
  crash(): void {
    this.crashes++;
    this.scheduler.log('crash');
    this.#bury();
    this.scheduler.at(500, () => this.start());
  }
  #bury(): void {
    this.daemon = undefined;
    this.#ending = undefined;
    this.#process.abort();
  }
  /** SIGTERM: it ends in good order, and is killed where it takes too long; then it starts anew. Once it has ended it is silent. */
  terminate(): void {
    const { daemon } = this;
    if (daemon === undefined) return;
    const { signal } = this.#process;
    this.scheduler.log('SIGTERM');
    this.daemon = undefined;
    this.#ending = daemon;
    const kill = this.scheduler.at(stopMs, () => {
      this.scheduler.sometimes('a daemon that does not end is killed');
      this.crash();
    });
    const stopped = (how: string): void => {
      if (signal.aborted) return;
      kill();
      this.stops++;
      this.scheduler.log(how);
      this.#ended = this.#party;
      this.scheduler.at(2000, () => {
        this.#bury();
        this.start();
      });
    };
    void daemon.stop().then(
      () => stopped('ended'),
      (error: unknown) => this.invariants.spoke(`it cannot end: ${reasonOf(error)}`),
    );
  }
  /** SIGHUP: the other of two configurations. */
  reload(): void {
    const { daemon } = this;
    if (daemon === undefined) return;
    this.#settings = { ...this.#settings, narrow: !this.#settings.narrow };
    this.config = configOf(this.folder, this.#settings);
    const { applied, restart } = daemon.reload(this.config);
    this.scheduler.log(`reload: ${applied.join(', ')}`);
    assert.deepEqual(restart, [], 'nothing of it waits for a restart');
  }
  host(name: string): Host | undefined {
    return this.daemon?.hosts().find((host) => host.name === name);
  }
  metal(name: string): Metal {
    const metal = this.metals.find((one) => one.name === name);
    assert.ok(metal !== undefined);
    return metal;
  }
  #bmcOf(name: string): SimBmc {
    const bmc = this.bmcs[this.metals.findIndex((metal) => metal.name === name)];
    assert.ok(bmc !== undefined);
    return bmc;
  }
  /** IPMI names no MACs: the operator reads them off the label. */
  enrol(name: string): void {
    const { protocol, url } = this.#bmcOf(name);
    const { firmware, macs } = this.metal(name);
    const bmc = { protocol, url, username: bmcUser, password: bmcPassword };
    const spec = protocol === 'ipmi' ? { bmc, macs: [...macs] } : { bmc: { ...bmc, insecure: true } };
    this.#ask((daemon) => daemon.rack.enrol(enrolSchema.parse({ name, firmware, ...spec }), { by: 'test' }));
  }
  /** The operator has looked at the card. */
  adopt(name: string, mac: Mac): void {
    this.#ask((daemon) => daemon.rack.macs(name, { adopt: mac }, { by: 'test' }));
  }
  claim(name: string, id: string, image: string, more: { readonly provisionTimeoutSeconds?: number } = {}): void {
    const request = claimSchema.parse({
      id,
      host: name,
      image,
      disk: { serial: this.metal(name).disks[0]?.serial },
      userData: `#cloud-config\nhostname: ${name}-${image}\n# ${secretWord}\n`,
      ...more,
    });
    this.#ask(async (daemon) => {
      await daemon.rack.claim(request, { by: 'test' });
      this.invariants.granted(name, id);
    });
  }
  /** Whichever host fits; `waitSeconds` long if need be. */
  claimAny(id: string, image: string, more: { readonly selector?: Selector; readonly waitSeconds?: number } = {}): void {
    const userData = `#cloud-config\nhostname: any-${image}\n# ${secretWord}\n`;
    const request = claimSchema.parse({ id, image, disk: { pick: 'smallest' }, userData, ...more });
    this.#ask(async (daemon) => {
      const { host } = await daemon.rack.claim(request, { by: 'test' });
      this.scheduler.log(`${id} got ${host.name}`);
      this.invariants.granted(host.name, id);
    });
  }
  /** Into another pool, in the version that the operator sees now, `turns` turns of the daemon's work from now. */
  pool(name: string, pool: string, turns = 0): void {
    const version = this.host(name)?.version;
    if (version === undefined) return;
    this.#ask(async (daemon) => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await daemon.rack.describe(name, { pool }, { by: 'test', ifVersion: version });
    });
  }
  hold(name: string): void {
    this.#ask((daemon) => daemon.rack.hold(name, 'a cable hangs loose', { by: 'test' }));
  }
  reprovision(id: string, image: string): void {
    this.#ask((daemon) => daemon.rack.reprovision(id, { image }, { by: 'test' }));
  }
  release(id: string): void {
    this.#ask((daemon) => daemon.rack.release(id, { by: 'test' }));
  }
  retry(name: string): void {
    this.#ask((daemon) => daemon.rack.retry(name, { by: 'test' }));
  }
  unhold(name: string): void {
    this.#ask((daemon) => daemon.rack.unhold(name, { by: 'test' }));
  }
  /** What an operator asks may be refused, or the daemon may be away: asking again is the operator's business. */
  #ask(act: (daemon: Daemon) => Promise<unknown>): void {
    const { daemon } = this;
    if (daemon === undefined) return;
    act(daemon).catch((error: unknown) => this.scheduler.log(`operator: ${String(error)}`));
  }
}
