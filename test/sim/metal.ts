/** A simulated server: power, POST, a PXE ROM, iPXE, the agent, the installed OS. Physics, not records: what is on the disk is what boots. */
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { decodeDhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import type { Dhcp4 } from '../../src/dhcp/packet.ts';
import { reasonOf } from '../../src/errors.ts';
import type { Machine } from '../../src/lab/model/machine.ts';
import type { DiskIdentity } from '../../src/host/disk.ts';
import { everyone, noAddress } from '../../src/wire/address.ts';
import type { Ipv4, Mac, Uuid } from '../../src/wire/address.ts';
import type { UdpSocket } from '../../src/world/world.ts';
import type { Chance } from './chance.ts';
import type { SimDisk, Write } from './disk.ts';
import type { Network, Party } from './network.ts';
import type { Scheduler } from './scheduler.ts';

export interface MetalSpec {
  readonly name: string;
  readonly mac: Mac;
  readonly uuid: Uuid;
  readonly firmware: 'bios' | 'uefi';
  readonly disks: readonly SimDisk[];
  /** The wire of its network card, where that is not the daemon's. */
  readonly wire?: string | undefined;
}
/** What the tests may plant. */
export interface MetalFaults {
  /** The BMC says on, the machine does nothing. */
  dead: boolean;
  /** The agent hangs after this many written chunks, once. */
  dieAfterChunks: number | undefined;
  /** Every chunk arrives with a flipped byte. */
  corruptChunks: boolean;
  /** So many installs fail at their first write. */
  failInstalls: number;
  /** The agent ignores refusals and writes on: used to see that the invariant itself can fail. */
  lawless: boolean;
}
interface Reply {
  readonly status: number;
  readonly json: Record<string, unknown>;
  readonly bytes: Uint8Array;
}
class Off extends Error {}
interface AgentJob {
  readonly id: string;
  readonly generation: number;
  readonly disk: DiskIdentity;
  readonly image: {
    readonly digest: string;
    readonly sizeBytes: number;
    readonly chunks: readonly {
      readonly sha256?: string;
      readonly sizeBytes: number;
      readonly encoding?: string;
      readonly zero?: boolean;
    }[];
  };
  readonly chunkUrl: string;
  /** How long one permission to write lasts, from the moment it was asked for. */
  readonly grantSeconds: number;
  readonly seed: { readonly offsetBytes: number; readonly sizeBytes: number } | null;
}

/** An installed OS that came up. */
export interface RunningOs {
  readonly digest: string;
  readonly hostName: string;
  /** What it was given: a FAT file system; empty where the image has no seed. */
  readonly seed: Uint8Array;
  readonly address: Ipv4;
}

export class Metal implements Machine {
  readonly name: string;
  uuid: Uuid;
  readonly serial: string;
  macs: readonly Mac[];
  /** Every card that it ever had. */
  readonly everMacs = new Set<Mac>();
  readonly firmware: 'bios' | 'uefi';
  readonly memoryMiB = 512;
  readonly cpus = 1;
  readonly disks: readonly SimDisk[];
  readonly faults: MetalFaults = { dead: false, dieAfterChunks: undefined, corruptChunks: false, failInstalls: 0, lawless: false };
  readonly party: { name: string; mac: Mac; address: Ipv4; wire: string | undefined; signal: AbortSignal };
  /** The last time that the power came on, and whether it began with a boot from the network. */
  started: { readonly at: number; readonly network: boolean } | undefined;
  /** When somebody last pressed its button. */
  pressedAt = Number.NEGATIVE_INFINITY;
  /** `<image digest>` of every OS that came up, in order. */
  readonly booted: { readonly at: number; readonly digest: string; readonly hostName: string }[] = [];
  installsStarted = 0;
  /** What runs now, where that is an installed OS. */
  running: RunningOs | undefined;
  /** An installed OS came up, or (undefined) ended. */
  onOs: (running: RunningOs | undefined) => void = () => undefined;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #chance: Chance;
  #power: 'on' | 'off' = 'off';
  /** Ends with each power-off and reset: whatever runs on the machine dies. */
  #life = new AbortController();
  #images: () => ReadonlyMap<string, { readonly digest: string; readonly seed: AgentJob['seed']; readonly sizeBytes: number }>;

  constructor(
    spec: MetalSpec,
    parts: { readonly scheduler: Scheduler; readonly network: Network; readonly chance: Chance; readonly images: Metal['bootable'] },
  ) {
    this.name = spec.name;
    this.uuid = spec.uuid;
    this.serial = `S-${spec.name}`;
    this.macs = [spec.mac];
    this.everMacs.add(spec.mac);
    this.firmware = spec.firmware;
    this.disks = spec.disks;
    this.#scheduler = parts.scheduler;
    this.#network = parts.network;
    this.#chance = parts.chance;
    this.#images = parts.images;
    this.party = { name: spec.name, mac: spec.mac, address: noAddress, wire: spec.wire, signal: new AbortController().signal };
  }
  get bootable(): () => ReadonlyMap<string, { readonly digest: string; readonly seed: AgentJob['seed']; readonly sizeBytes: number }> {
    return this.#images;
  }

  power(): 'on' | 'off' {
    return this.#power;
  }
  turnOn(override: 'network' | 'disk' | undefined): Promise<void> {
    if (this.#power === 'on') return Promise.resolve();
    this.#power = 'on';
    this.started = { at: this.#scheduler.now, network: override === 'network' };
    this.#scheduler.log(`${this.name} power on, boots from ${override ?? 'disk'}`);
    if (!this.faults.dead) this.#start(override === 'network');
    return Promise.resolve();
  }
  turnOff(): Promise<void> {
    if (this.#power === 'on') this.#scheduler.log(`${this.name} power off`);
    this.#power = 'off';
    this.#life.abort();
    return Promise.resolve();
  }
  pressButton(): Promise<void> {
    this.#scheduler.log(`${this.name}: somebody presses the button`);
    this.pressedAt = this.#scheduler.now;
    return this.#power === 'on' ? this.turnOff() : this.turnOn(undefined);
  }
  /** Another card in the same slot, while the power is off. */
  replaceNic(mac: Mac): void {
    this.#scheduler.log(`${this.name} has a new NIC: ${mac} for ${this.macs.join(', ')}`);
    this.macs = [mac];
    this.everMacs.add(mac);
    this.party.mac = mac;
  }
  /** It stays on, and nothing runs on it any more. */
  hang(): void {
    this.#scheduler.log(`${this.name} hangs`);
    this.#life.abort();
  }
  /** The OS is up, until the life that it runs in ends. */
  osUp(running: RunningOs, life: AbortSignal): void {
    this.running = running;
    life.addEventListener(
      'abort',
      () => {
        this.running = undefined;
        this.onOs(undefined);
      },
      { once: true },
    );
    this.onOs(running);
  }
  /** Somebody trips over the cable. */
  unplug(): void {
    void this.turnOff();
  }

  #start(network: boolean): void {
    this.#life.abort();
    const life = new AbortController();
    this.#life = life;
    const party: Party = {
      name: this.name,
      mac: this.macs[0] ?? this.party.mac,
      address: noAddress,
      wire: this.party.wire,
      signal: life.signal,
    };
    this.#scheduler.at(this.#chance.between(1000, 5000), () => {
      if (life.signal.aborted) return;
      new Run(this, party, {
        scheduler: this.#scheduler,
        network: this.#network,
        chance: this.#chance,
        reset: () => this.#start(false),
        powerOff: () => void this.turnOff(),
      })
        .boot(network)
        .catch((error: unknown) => {
          if (!(error instanceof Off)) this.#scheduler.log(`${this.name} hangs: ${reasonOf(error)}`);
        });
    });
  }
}

interface RunParts {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly chance: Chance;
  readonly reset: () => void;
  readonly powerOff: () => void;
}
/** What runs on the machine between power-on (or reset) and power-off (or the next reset). */
class Run {
  readonly #metal: Metal;
  readonly #party: Party;
  readonly #parts: RunParts;
  constructor(metal: Metal, party: Party, parts: RunParts) {
    this.#metal = metal;
    this.#party = party;
    this.#parts = parts;
  }
  async #sleep(ms: number): Promise<void> {
    await this.#parts.scheduler.sleep(ms);
    if (this.#party.signal.aborted) throw new Off();
  }
  #say(text: string): void {
    this.#parts.scheduler.log(`${this.#metal.name} ${text}`);
  }

  async boot(network: boolean): Promise<void> {
    if (network) await this.#networkBoot();
    // The permanent order: the disk, then (on an empty disk) nothing that would boot.
    await this.#diskBoot();
  }

  async #networkBoot(): Promise<void> {
    if (this.#metal.firmware === 'uefi') {
      const offered = await this.#dhcp('firmware', 5);
      if (offered === undefined || fileOf(offered) === '') return;
      if (!(await this.#tftp(offered, fileOf(offered)))) return;
    }
    const offered = await this.#dhcp('ipxe', 5);
    const url = offered === undefined ? '' : fileOf(offered);
    if (!url.startsWith('http://')) return;
    const script = await this.#get(url, 5);
    if (script === undefined || script.status !== 200) return;
    const text = Buffer.from(script.bytes).toString();
    for (const [, file] of text.matchAll(/^(?:kernel|initrd --name \S+) (\S+)/gm))
      if ((await this.#get(file ?? '', 5))?.status !== 200) return;
    await this.#sleep(this.#parts.chance.between(1500, 4000));
    await this.#dhcp('os', 50);
    const argument = (name: string): string => new RegExp(`${name}=(\\S+)`).exec(text)?.[1] ?? '';
    await new Agent(this.#metal, this.#party, {
      ...this.#parts,
      server: argument('remuda.server'),
      ticket: argument('remuda.ticket'),
    }).run();
  }

  async #diskBoot(): Promise<void> {
    const disk = this.#metal.disks.find((one) => this.#imageOn(one) !== undefined);
    const image = disk === undefined ? undefined : this.#imageOn(disk);
    if (disk === undefined || image === undefined) return this.#say('no bootable disk');
    await this.#sleep(this.#parts.chance.between(1000, 4000));
    await this.#dhcp('os', 50);
    const seedBytes =
      image.seed === null ? new Uint8Array() : disk.bytes.slice(image.seed.offsetBytes, image.seed.offsetBytes + image.seed.sizeBytes);
    const seed = Buffer.from(seedBytes).toString('latin1');
    const url = /remuda-phone-home: "?(http[^\s"]+)/.exec(seed)?.[1];
    const hostName = /(?<!local-)hostname: "?([\w.-]+)/.exec(seed)?.[1] ?? '';
    this.#metal.booted.push({ at: this.#parts.scheduler.now, digest: image.digest, hostName });
    this.#say(`runs ${image.digest.slice(0, 19)} as ${hostName}`);
    this.#metal.osUp({ digest: image.digest, hostName, seed: seedBytes, address: this.#party.address }, this.#party.signal);
    if (url === undefined) return undefined;
    for (let pause = 500; ; pause = Math.min(pause * 2, 30_000)) {
      const answer = await this.#call('POST', url, `hostname=${hostName}&release=1`).catch(() => undefined);
      if (answer !== undefined && answer.status < 300) return undefined;
      await this.#sleep(pause);
    }
  }
  /** The image that the disk holds, byte for byte outside its seed. */
  #imageOn(disk: SimDisk): { readonly digest: string; readonly seed: AgentJob['seed']; readonly sizeBytes: number } | undefined {
    for (const image of this.#metal.bootable().values()) {
      const bytes = disk.bytes.slice(0, image.sizeBytes);
      if (image.seed !== null) bytes.fill(0, image.seed.offsetBytes, image.seed.offsetBytes + image.seed.sizeBytes);
      if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` === image.digest) return image;
    }
    return undefined;
  }

  /** Four-way exchange with retransmission, RFC 2131 §4.1; undefined after `tries`. */
  async #dhcp(stage: 'firmware' | 'ipxe' | 'os', tries: number): Promise<Dhcp4 | undefined> {
    const { network, chance, scheduler } = this.#parts;
    const socket = network.udp(this.#party, 68);
    const inbox: Dhcp4[] = [];
    socket.receive(({ bytes }) => inbox.push(decodeDhcp4(bytes)));
    const id = chance.between(1, 0xffffffff);
    const ask = async (type: number, more: Partial<Dhcp4['options']>, wanted: readonly number[]): Promise<Dhcp4 | undefined> => {
      socket.send(encodeDhcp4(question(this.#metal, stage, { id, type, more })), { address: everyone, port: 67 });
      for (let waited = 0; waited < 2000; waited += 100) {
        await this.#sleep(100);
        const got = inbox.find((one) => one.transactionId === id && wanted.includes(one.options.messageType ?? 0));
        if (got !== undefined) return got;
      }
      return undefined;
    };
    try {
      for (let attempt = 0; attempt < tries; attempt++) {
        inbox.length = 0;
        const offer = await ask(1, {}, [2]);
        if (offer === undefined) continue;
        inbox.length = 0;
        const serverId = offer.options.serverId;
        const ack = await ask(3, { requestedAddress: offer.yourAddress, ...(serverId === undefined ? {} : { serverId }) }, [5, 6]);
        if (ack?.options.messageType !== 5) continue;
        this.#party.address = ack.yourAddress;
        this.#metal.party.address = ack.yourAddress;
        scheduler.log(`${this.#metal.name} ${stage} has ${ack.yourAddress}`);
        return ack;
      }
      return undefined;
    } finally {
      socket.close();
    }
  }
  /** One file in one block: what our boot programs are in here. */
  async #tftp({ nextServer }: Dhcp4, file: string): Promise<boolean> {
    const socket: UdpSocket = this.#parts.network.udp(this.#party, 0);
    const from: number[] = [];
    socket.receive(({ bytes, port }) => {
      if (bytes[1] === 3) from.push(port);
    });
    for (let attempt = 0; attempt < 5 && from.length === 0; attempt++) {
      socket.send(Buffer.from(`\0\u0001${file}\0octet\0`, 'latin1'), { address: nextServer, port: 69 });
      for (let waited = 0; waited < 2000 && from.length === 0; waited += 100) await this.#sleep(100);
    }
    const [port] = from;
    if (port !== undefined) socket.send(Uint8Array.of(0, 4, 0, 1), { address: nextServer, port });
    socket.close();
    return port !== undefined;
  }
  async #get(url: string, tries: number): Promise<Reply | undefined> {
    for (let attempt = 0; attempt < tries; attempt++) {
      const answer = await this.#call('GET', url).catch(() => undefined);
      if (answer !== undefined) return answer;
      await this.#sleep(1000);
    }
    return undefined;
  }
  async #call(method: 'GET' | 'POST', url: string, body?: string): Promise<Reply> {
    return callFrom(this.#party, this.#parts.network, { method, url, ...(body === undefined ? {} : { body }) });
  }
}

const callFrom = async (
  party: Party,
  network: Network,
  call: { readonly method: 'GET' | 'POST'; readonly url: string; readonly body?: string; readonly credential?: string },
): Promise<Reply> => {
  const { credential, ...rest } = call;
  const answer = await network.call(party, {
    ...rest,
    headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
    timeoutMs: 30_000,
    replyBytesMax: 1e8,
  });
  if (party.signal.aborted) throw new Off();
  const isJson = (answer.headers['content-type'] ?? '').includes('json');
  return {
    status: answer.status,
    bytes: answer.body,
    json: isJson ? (JSON.parse(Buffer.from(answer.body).toString()) as Record<string, unknown>) : {},
  };
};

/** What redeems a ticket: the ticket, a fresh key, and the signature that shows who has it. */
export const redemption = (ticket: string, chance: Chance): { ticket: string; publicKey: string; signature: string } => {
  // PKCS #8 of an Ed25519 key (RFC 8410 §7): this prefix and the seed, so that the key comes from the simulation's chance.
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), chance.bytes(32)]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
  return { ticket, publicKey, signature: sign(null, Buffer.from(`remuda-redeem\n${ticket}`), key).toString('base64') };
};

/** The agent of the ramdisk, as images/agent does it: the same calls in the same order, the same refusals. */
class Agent {
  readonly #metal: Metal;
  readonly #party: Party;
  readonly #parts: RunParts & { readonly server: string; readonly ticket: string };
  #credential = '';
  #boot = 0;
  #sentAt = 0;
  #grantedUntil = 0;
  constructor(metal: Metal, party: Party, parts: RunParts & { readonly server: string; readonly ticket: string }) {
    this.#metal = metal;
    this.#party = party;
    this.#parts = parts;
  }
  async #sleep(ms: number): Promise<void> {
    await this.#parts.scheduler.sleep(ms);
    if (this.#party.signal.aborted) throw new Off();
  }
  /** Retries the network and 5xx for ever; every other answer is the caller's. */
  async #post(path: string, body: unknown): Promise<Reply> {
    for (let pause = 500; ; pause = Math.min(pause * 2, 10_000)) {
      try {
        this.#sentAt = this.#parts.scheduler.now;
        const answer = await callFrom(this.#party, this.#parts.network, {
          method: 'POST',
          url: `${this.#parts.server}${path}`,
          body: JSON.stringify(body),
          credential: this.#credential,
        });
        if (answer.status < 500) return answer;
      } catch (error) {
        if (error instanceof Off) throw error;
      }
      await this.#sleep(pause);
    }
  }
  async run(): Promise<void> {
    const redeemed = await this.#post('/agent/redeem', redemption(this.#parts.ticket, this.#parts.chance));
    if (redeemed.status !== 200) return this.#giveUp(redeemed);
    this.#credential = String(redeemed.json['credential']);
    this.#boot = Number(redeemed.json['boot']);
    await this.#inventory();
    for (;;) {
      const next = await this.#post('/agent/next', { boot: this.#boot });
      if (next.status !== 200) return this.#giveUp(next);
      const work = next.json['work'];
      if (work === 'reboot') return this.#parts.reset();
      if (work === 'poweroff') return this.#parts.powerOff();
      if (work === 'inspect') await this.#inventory();
      if (work === 'wait') await this.#sleep(100);
      const job = next.json['job'] as AgentJob;
      if (work === 'install' && (await this.#install(job)) === 'reboot') return this.#parts.reset();
      if (work === 'clean') await this.#clean(job);
    }
  }
  #giveUp(answer: Reply): void {
    this.#parts.scheduler.log(`${this.#metal.name} agent gives up: ${answer.status} ${String(answer.json['code'])}`);
  }
  async #inventory(): Promise<void> {
    const disks = this.#metal.disks.map(({ path, serial, sizeBytes }) => ({
      path,
      name: path.slice(5),
      serial,
      sizeBytes,
      rotational: false,
      removable: false,
      readOnly: false,
    }));
    const nics = this.#metal.macs.map((mac) => ({ name: 'eth0', mac, linkUp: true }));
    await this.#post('/agent/inventory', {
      uuid: this.#metal.uuid,
      firmware: this.#metal.firmware,
      arch: 'x86_64',
      cpu: { model: 'sim', cores: 1, threads: 1 },
      memoryBytes: 5e8,
      disks,
      nics,
    });
  }
  async #may(job: AgentJob, step: string, doneBytes: number, totalBytes: number): Promise<boolean> {
    const answer = await this.#post('/agent/progress', { job: job.id, step, doneBytes, totalBytes });
    if (answer.status === 204) this.#grantedUntil = this.#sentAt + job.grantSeconds * 1000;
    return this.#metal.faults.lawless || answer.status === 204;
  }
  /** Writes while the permission lasts; one that ran out meanwhile is asked for anew. False where it was refused. */
  async #write(
    job: AgentJob,
    disk: SimDisk,
    offset: number,
    part: { readonly bytes: Uint8Array; readonly by: Write['by'] },
  ): Promise<boolean> {
    const { scheduler } = this.#parts;
    while (scheduler.now >= this.#grantedUntil && !this.#metal.faults.lawless)
      if (!(await this.#may(job, part.by === 'install' ? 'write' : part.by, offset, disk.sizeBytes))) return false;
    disk.write(offset, part.bytes, { at: scheduler.now, by: part.by, job: job.id });
    return true;
  }
  async #failed(job: AgentJob, code: string, reason: string): Promise<'next'> {
    await this.#post('/agent/report', { job: job.id, outcome: 'failed', code, reason });
    return 'next';
  }
  #disk(job: AgentJob): SimDisk | undefined {
    return this.#metal.disks.find(
      (disk) => disk.path === job.disk.path && disk.serial === job.disk.serial && disk.sizeBytes === job.disk.sizeBytes,
    );
  }
  async #install(job: AgentJob): Promise<'reboot' | 'next'> {
    const { image } = job;
    const disk = this.#disk(job);
    if (disk === undefined) return this.#failed(job, 'disk-mismatch', `${job.disk.path} is another disk`);
    this.#metal.installsStarted++;
    if (this.#metal.faults.failInstalls > 0) {
      this.#metal.faults.failInstalls--;
      return this.#failed(job, 'chunk-corrupt', 'this install was planned to fail');
    }
    let offset = 0;
    for (const [index, chunk] of image.chunks.entries()) {
      if (!(await this.#may(job, 'write', offset, image.sizeBytes))) return 'next';
      const bytes =
        chunk.sha256 === undefined ? new Uint8Array(chunk.sizeBytes) : await this.#chunk(job, chunk.sha256, chunk.encoding ?? 'raw');
      if (bytes === undefined) return this.#failed(job, 'chunk-corrupt', `chunk ${chunk.sha256 ?? ''} is corrupt`);
      if (!(await this.#write(job, disk, offset, { bytes, by: 'install' }))) return 'next';
      offset += chunk.sizeBytes;
      await this.#sleep(50);
      this.#maybeDie(index + 1);
    }
    if (!(await this.#may(job, 'verify', 0, image.sizeBytes))) return 'next';
    const digest = disk.digest(image.sizeBytes);
    if (digest !== image.digest) return this.#failed(job, 'read-back-mismatch', `read ${digest} back`);
    if (job.seed !== null) {
      if (!(await this.#may(job, 'seed', 0, job.seed.sizeBytes))) return 'next';
      const seed = await this.#post('/agent/seed', { job: job.id });
      if (seed.status !== 200) return 'next';
      if (!(await this.#write(job, disk, job.seed.offsetBytes, { bytes: seed.bytes, by: 'seed' }))) return 'next';
    }
    const report = await this.#post('/agent/report', { job: job.id, outcome: 'done', digest, bytes: image.sizeBytes });
    return report.json['then'] === 'reboot' ? 'reboot' : 'next';
  }
  /** A hang is a machine that is on and does nothing more. */
  #maybeDie(written: number): void {
    const { faults } = this.#metal;
    const planned = faults.dieAfterChunks === written;
    if (!planned && !this.#parts.chance.chance(this.#parts.network.faults.agentDeath)) return;
    if (planned) faults.dieAfterChunks = undefined;
    this.#parts.scheduler.sometimes('an agent dies half-way');
    throw new Error('the agent hangs');
  }
  async #chunk(job: AgentJob, sha256: string, encoding: string): Promise<Uint8Array | undefined> {
    for (let attempt = 0; attempt < 3;) {
      const answer = await callFrom(this.#party, this.#parts.network, { method: 'GET', url: `${job.chunkUrl}${sha256}` }).catch(
        (error: unknown) => (error instanceof Off ? Promise.reject(error) : undefined),
      );
      if (answer === undefined || answer.status !== 200) {
        await this.#sleep(1000);
        continue;
      }
      attempt++;
      const bytes = encoding === 'zstd' ? zstdDecompressSync(answer.bytes) : Uint8Array.from(answer.bytes);
      if (this.#metal.faults.corruptChunks) bytes[0] = (bytes[0] ?? 0) ^ 1;
      if (createHash('sha256').update(bytes).digest('hex') === sha256) return bytes;
    }
    return undefined;
  }
  async #clean(job: AgentJob): Promise<void> {
    const disk = this.#disk(job);
    if (disk === undefined) {
      await this.#failed(job, 'disk-mismatch', `${job.disk.path} is another disk`);
      return;
    }
    const step = Math.ceil(disk.sizeBytes / 4);
    for (let at = 0; at < disk.sizeBytes; at += step) {
      if (!(await this.#may(job, 'clean', at, disk.sizeBytes))) return;
      const bytes = new Uint8Array(Math.min(step, disk.sizeBytes - at));
      if (!(await this.#write(job, disk, at, { bytes, by: 'clean' }))) return;
      await this.#sleep(50);
    }
    await this.#post('/agent/report', { job: job.id, outcome: 'done', bytes: disk.sizeBytes });
  }
}

const fileOf = ({ options, bootFileName }: Dhcp4): string => (options.bootFile ?? bootFileName).replaceAll('\0', '');
/** A message of this machine's firmware, of iPXE on it, or of its OS. */
export const question = (
  metal: Pick<Metal, 'name' | 'uuid' | 'macs' | 'firmware' | 'party'>,
  stage: 'firmware' | 'ipxe' | 'os',
  asked: { readonly id: number; readonly type: number; readonly more: Partial<Dhcp4['options']> },
): Dhcp4 => {
  const arch = metal.firmware === 'bios' ? 0 : 7;
  // RFC 4578 §2.3: type 0, then the UUID.
  const clientUuid = Buffer.from(`00${metal.uuid.replaceAll('-', '')}`, 'hex');
  const pxe = { clientUuid, vendorClass: `PXEClient:Arch:0000${arch}:UNDI:003001`, clientArch: [arch] };
  const mine: Dhcp4['options'] =
    stage === 'os' ? { clientId: Buffer.from(`os-${metal.name}`) } : stage === 'ipxe' ? { ...pxe, userClass: Buffer.from('iPXE') } : pxe;
  return {
    op: 1,
    hardwareType: 1,
    hardwareLength: 6,
    hops: 0,
    transactionId: asked.id,
    seconds: 0,
    flags: 0x8000,
    clientAddress: noAddress,
    yourAddress: noAddress,
    nextServer: noAddress,
    relayAddress: noAddress,
    clientMac: metal.macs[0] ?? metal.party.mac,
    clientMacPadding: new Uint8Array(10),
    serverName: '',
    bootFileName: '',
    magic: 0x63825363,
    options: { ...mine, messageType: asked.type, ...asked.more },
    padding: new Uint8Array(),
  };
};
