/** A simulated rack around the real daemon: two servers with Redfish BMCs, an operator, weather, and what must always hold. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { configSchema } from '../../src/config.ts';
import type { Config } from '../../src/config.ts';
import { claimSchema, enrolSchema } from '../../src/control/rack.ts';
import { startDaemon } from '../../src/daemon.ts';
import type { Daemon } from '../../src/daemon.ts';
import type { Host } from '../../src/host/host.ts';
import { openImageStore } from '../../src/image/store.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import type { RedfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import { limits as standard } from '../../src/limits.ts';
import { noAddress, parseIpv4, parseMac, parseUuid } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { diskImage, types } from '../image/disk.ts';
import { MemoryFiles, memoryDisk } from '../world/memory-files.ts';
import { chanceOf } from './chance.ts';
import type { Chance } from './chance.ts';
import { SimDisk } from './disk.ts';
import { Invariants } from './invariants.ts';
import { Metal } from './metal.ts';
import { heal, Network, swarm, worldOf } from './network.ts';
import type { Party } from './network.ts';
import { Scheduler } from './scheduler.ts';

const ip = (text: string): Ipv4 => parseIpv4(text) ?? noAddress;
const seedAt = { offsetBytes: 64 * 512, sizeBytes: 160 * 512 };
const diskBytes = 160 * 1024;
/** What no log line may ever hold. */
export const secretWord = 'hunter2-user-data';
export const bmcPassword = 'bmc-password-hunter3';

/** 128 KiB with an ESP, an empty seed and a body that tells one image from the other. */
export const rawImage = (body: number, sizeBytes = 128 * 1024): Uint8Array => {
  const fill = new Uint8Array(sizeBytes).map((_, index) => (index * body) & 0xff);
  const partitions = [
    { name: 'ESP', type: types.esp, first: 40, last: 59 },
    { name: 'CIDATA', type: types.linux, first: 64, last: 223 },
  ];
  const bytes = Buffer.from(diskImage(sizeBytes, partitions, fill));
  bytes.fill(0, seedAt.offsetBytes, seedAt.offsetBytes + seedAt.sizeBytes);
  return bytes;
};

export interface RackOptions {
  readonly seed: number;
  /** No faults at all: for scripted scenarios. */
  readonly calm?: boolean;
  readonly limits?: Record<string, number>;
  /** The operator's rule: which unknown machines are accepted. */
  readonly accept?: readonly string[];
  /** Gets each line of the trace. */
  readonly trace?: (line: string) => void;
}
export class SimRack {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly metals: readonly Metal[];
  readonly bmcs: readonly RedfishBmc[];
  readonly invariants: Invariants;
  readonly files: MemoryFiles;
  readonly config: Config;
  readonly chance: Chance;
  readonly images = new Map<string, { digest: string; seed: typeof seedAt; sizeBytes: number }>();
  readonly folder: string;
  daemon: Daemon | undefined;
  /** How much the disk of the image store holds. */
  filesBytesMax = Infinity;
  crashes = 0;
  #process = new AbortController();
  readonly #generator: Chance;

  private constructor({ seed, calm = false, limits = {}, accept = [], trace }: RackOptions) {
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
    this.metals = [1, 2].map((number) => this.#metal(number, seed));
    this.bmcs = this.metals.map((metal, index) => this.#bmc(metal, index + 1, seed));
    this.config = this.#configuration(limits, accept);
    const { scheduler, metals, bmcs } = this;
    this.invariants = new Invariants({ now: () => scheduler.now, metals, bmcs, hosts: () => this.daemon?.hosts() ?? [] });
    scheduler.always(() => this.invariants.check());
    this.network.onAnswer = (exchange) => this.invariants.answered(exchange);
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
  #metal(number: number, seed: number): Metal {
    const disks = [new SimDisk('/dev/vda', `disk-${number}`, diskBytes)];
    // The second server has a disk that nobody gave us.
    if (number === 2) disks.push(new SimDisk('/dev/vdb', 'foreign', diskBytes * 2, 0xaa));
    const mac = parseMac(`52:54:00:77:00:0${number}`);
    const uuid = parseUuid(`00000000-0000-4000-8000-00000000000${number}`);
    assert.ok(mac !== undefined && uuid !== undefined);
    const spec = { name: `h${number}`, mac, uuid, firmware: number === 1 ? ('bios' as const) : ('uefi' as const), disks };
    return new Metal(spec, {
      scheduler: this.scheduler,
      network: this.network,
      chance: chanceOf(seed, `metal${number}`),
      images: () => this.images,
    });
  }
  #bmc(metal: Metal, number: number, seed: number): RedfishBmc {
    const party: Party = { name: `bmc${number}`, address: ip(`10.77.9.${number}`), signal: new AbortController().signal };
    const chance = chanceOf(seed, `bmc${number}`);
    const world = worldOf({ scheduler: this.scheduler, network: this.network, party, chance, files: this.files });
    const bmc = redfishBmc({
      name: `bmc${number}`,
      machine: metal,
      username: 'root',
      password: bmcPassword,
      random: world.random,
      clock: world.clock,
    });
    this.network.listen(party, { at: { address: party.address, port: 80 }, routes: bmc.routes });
    return bmc;
  }
  #configuration(limits: Record<string, number>, accept: readonly string[]): Config {
    return configSchema.parse({
      data: this.folder,
      boot: { agent: '/boot', firmware: '/boot' },
      accept: { macs: [...accept] },
      subnets: [{ interface: 'br0', cidr: '10.77.0.0/24', serverAddress: '10.77.0.1', pool: { from: '10.77.0.50', to: '10.77.0.60' } }],
      limits: {
        chunkBytes: 16 * 1024,
        firstPacketMs: 60_000,
        agentArrivesMs: 120_000,
        jobSilenceMs: 60_000,
        agentAliveMs: 30_000,
        phoneHomeMs: 180_000,
        parkMs: 120_000,
        powerStepMs: 30_000,
        bootTicketMs: 600_000,
        ...limits,
      },
    });
  }
  async #furnish(): Promise<void> {
    const { files } = this;
    for (const folder of ['/boot', '/import']) await files.makeFolder(folder);
    await files.makeFolder(this.folder);
    await files.write('/boot/vmlinuz', 'kernel');
    await files.write('/boot/initrd.zst', 'ramdisk');
    await files.write('/boot/undionly.kpxe', 'undionly');
    await files.write('/boot/snponly.efi', 'snponly');
    await files.write(
      '/boot/ramdisk.json',
      JSON.stringify({ vmlinuz: { sha256: 'a'.repeat(64), sizeBytes: 6 }, initrd: { sha256: 'b'.repeat(64), sizeBytes: 7 } }),
    );
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
  #world(): ReturnType<typeof worldOf> {
    const party: Party = { name: 'daemon', address: ip('10.77.0.1'), signal: this.#process.signal };
    return worldOf({ scheduler: this.scheduler, network: this.network, party, chance: this.#generator, files: this.files });
  }

  /** Starts the daemon on what is on the disk. */
  start(): void {
    this.#process = new AbortController();
    const { signal } = this.#process;
    void startDaemon(this.#world(), this.config, signal).then(
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
    this.daemon = undefined;
    this.#process.abort();
    this.scheduler.at(500, () => this.start());
  }
  host(name: string): Host | undefined {
    return this.daemon?.hosts().find((host) => host.name === name);
  }
  metal(name: string): Metal {
    const metal = this.metals.find((one) => one.name === name);
    assert.ok(metal !== undefined);
    return metal;
  }
  enrol(name: string): void {
    const number = name.slice(1);
    const bmc = { url: `http://10.77.9.${number}`, username: 'root', password: bmcPassword, insecure: true };
    this.#ask((daemon) => daemon.rack.enrol(enrolSchema.parse({ name, firmware: this.metal(name).firmware, bmc }), { by: 'test' }));
  }
  claim(name: string, id: string, image: string): void {
    const request = claimSchema.parse({
      id,
      host: name,
      image,
      disk: { serial: this.metal(name).disks[0]?.serial },
      userData: `#cloud-config\nhostname: ${name}-${image}\n# ${secretWord}\n`,
    });
    this.#ask(async (daemon) => {
      await daemon.rack.claim(request, { by: 'test' });
      this.invariants.granted(name, id);
    });
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
