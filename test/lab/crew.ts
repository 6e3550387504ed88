/** A laboratory for a test: real firmware in QEMU, the real daemon, in a namespace of the test's own; everything gone afterwards. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { HostJson, TimelineRowJson } from '../../src/api/types.ts';
import { startCrew } from '../../src/lab/crew.ts';
import type { Crew } from '../../src/lab/crew.ts';
import { placeOf } from '../../src/lab/place.ts';
import type { Place } from '../../src/lab/place.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';
import type { LabWorld } from '../../src/world/lab-world.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = process.env['REMUDA_CACHE'] ?? `${homedir()}/.cache/remuda`;
const build = (script: string, ...args: string[]): string =>
  execFileSync('bash', [`${root}${script}`, ...args], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 20 * 60_000 })
    .toString()
    .trim()
    .split('\n')
    .at(-1) ?? '';

export const images = {
  tiny: () => `${build('images/build.sh', 'tiny')}/tiny.raw`,
  debian: () => `${build('images/build.sh', 'debian')}/debian.raw`,
  kubernetes: () => `${build('images/build.sh', 'kubernetes')}/kubernetes.raw`,
  tiny2: () => `${build('images/build.sh', 'tiny', '--release', '2')}/tiny.raw`,
};
export const sha256 = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
};

export interface LabOptions {
  readonly name: string;
  readonly firmware: readonly ('bios' | 'uefi')[];
  /** Of each host; else Redfish and IPMI by turns. */
  readonly bmc?: readonly ('redfish' | 'ipmi')[];
  readonly limits?: Readonly<Record<string, number>>;
  /** Gives each host a second disk with this content, that nobody may touch. */
  readonly foreign?: Uint8Array;
  readonly quirks?: Readonly<Record<string, unknown>>;
  /** Default 384. */
  readonly memoryMiB?: number;
  /** Default 64. */
  readonly diskMiB?: number;
}
export class Lab {
  readonly lab: LabWorld;
  readonly place: Place;
  readonly crew: Crew;
  private constructor(lab: LabWorld, place: Place, crew: Crew) {
    this.lab = lab;
    this.place = place;
    this.crew = crew;
  }
  static async up(options: LabOptions): Promise<Lab> {
    const lab = realLabWorld({ signal: new AbortController().signal, log: { level: 'silent' } });
    const place = placeOf(cache, options.name);
    rmSync(place.folder, { recursive: true, force: true });
    const { foreign } = options;
    for (const index of options.firmware.keys())
      if (foreign !== undefined) {
        mkdirSync(`${place.folder}/h${index + 1}`, { recursive: true });
        writeFileSync(`${place.folder}/h${index + 1}/disk1.raw`, foreign);
      }
    const crew = await startCrew(lab, {
      place,
      rack: {
        name: options.name,
        hosts: options.firmware.length,
        firmware: [...options.firmware],
        bmc: [...(options.bmc ?? options.firmware.map((_, index) => (index % 2 === 0 ? ('redfish' as const) : ('ipmi' as const))))],
        folder: place.folder,
        accel: 'tcg',
        memoryMiB: options.memoryMiB ?? 384,
        diskMiB: options.diskMiB ?? 64,
        ...(foreign === undefined ? {} : { foreignDiskMiB: foreign.length / 1024 / 1024 }),
        ...(options.quirks === undefined ? {} : { quirks: options.quirks }),
      },
      agent: build('images/build.sh', 'ramdisk'),
      firmware: build('firmware/build.sh'),
      settings: { limits: options.limits ?? {}, accept: { macs: ['52:54:00:*'] } },
    });
    return new Lab(lab, place, crew);
  }
  async down(): Promise<void> {
    await this.crew.stop();
    rmSync(this.place.folder, { recursive: true, force: true });
  }
  disk(host: string, index = 0): string {
    return `${this.place.folder}/${host}/disk${index}.raw`;
  }
  async enrol(): Promise<void> {
    for (const { name, mac, firmware, bmc } of this.crew.rack.hosts) await this.crew.admin.enrol({ name, macs: [mac], firmware, bmc });
  }
  async host(name: string): Promise<HostJson> {
    const host = (await this.crew.admin.hosts()).find((one) => one.name === name);
    assert.ok(host !== undefined, `no host ${name}`);
    return host;
  }
  async timeline(name: string): Promise<readonly TimelineRowJson[]> {
    return (await this.crew.admin.timeline(name, 0)).items;
  }
  /** Polls until it holds; the timeline and the console's last lines are in the error. */
  async until(name: string, what: string, holds: (host: HostJson) => boolean | Promise<boolean>, withinMs = 240_000): Promise<HostJson> {
    const end = Date.now() + withinMs;
    for (;;) {
      const host = await this.host(name);
      if (await holds(host)) return host;
      if (Date.now() > end || (host.failed !== null && !what.includes('fail')))
        throw new Error(`${name} never ${what}: ${host.state}, ${host.doing}\n${await this.story(name)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  async story(name: string): Promise<string> {
    const rows = (await this.timeline(name)).map((row) => `${new Date(row.at).toISOString()} ${row.text}`);
    const console = readFileSync(`${this.place.folder}/${name}/serial.log`, 'latin1').split('\n').slice(-25);
    return [...rows, '--- console', ...console].join('\n');
  }
  saw(name: string, text: RegExp): () => Promise<boolean> {
    return async () => (await this.timeline(name)).some((row) => text.test(row.text));
  }
  /** A file of zeros has no other byte; holes are read as zeros. */
  isZero(path: string): boolean {
    return spawnSync('cmp', ['-s', '-n', String(statSync(path).size), path, '/dev/zero']).status === 0;
  }
  rssMiB(): { readonly now: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.crew.daemon().pid}/status`, 'latin1');
    const of = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    return { now: of('VmRSS'), peak: of('VmHWM') };
  }
  /** A command of the command line, against this daemon; its output. */
  async remuda(...args: readonly string[]): Promise<string> {
    const env = { ...process.env, REMUDA_SOCKET: this.place.socket };
    return (await run(process.execPath, [`${root}src/main.ts`, ...args], { env, timeout: 120_000 })).stdout;
  }
  inNamespace(command: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', `remuda-${this.place.name}`, command, ...args], { timeout: 60_000 }).toString();
  }
}
