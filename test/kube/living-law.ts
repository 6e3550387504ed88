/** What must hold in a living rack, judged by its disks: who may write them, who holds which host, which state may follow which. */
import assert from 'node:assert/strict';
import type { Host } from '../../src/host/host.ts';
import { limits } from '../../src/limits.ts';
import { SimDisk } from '../sim/disk.ts';
import type { Write } from '../sim/disk.ts';
import { follows, namedDisk } from '../sim/invariants.ts';

const graceMs = limits.agentGrantSeconds * 1000;

/** A disk that tells of each write as it happens. */
export class ToldDisk extends SimDisk {
  onWrite: (write: Write) => void = () => undefined;
  override write(offset: number, bytes: Uint8Array, write: Write): void {
    super.write(offset, bytes, write);
    this.onWrite(write);
  }
}
interface Snapshot {
  readonly at: number;
  readonly host: Host;
}

export class Law {
  readonly #now: () => number;
  readonly #hosts: () => readonly Host[];
  readonly #disks: ReadonlyMap<string, ToldDisk>;
  readonly #history = new Map<string, Snapshot[]>();
  #seen: readonly Host[] = [];
  /** A write of which the law says nothing good. What is thrown to its writer would only hang him. */
  fault: Error | undefined;

  /** `hosts` is the same list until one of them changes; `disks` by the name of the host. */
  constructor(now: () => number, hosts: () => readonly Host[], disks: ReadonlyMap<string, ToldDisk>) {
    this.#now = now;
    this.#hosts = hosts;
    this.#disks = disks;
    for (const [name, disk] of disks) disk.onWrite = (write) => this.#judge(name, disk, write);
  }
  #judge(name: string, disk: ToldDisk, write: Write): void {
    try {
      this.#wrote(name, disk, write);
    } catch (error) {
      this.fault ??= error instanceof Error ? error : new Error(String(error));
    }
  }
  /** Looks at what changed since the last look; throws what is broken. */
  follow(): void {
    if (this.fault !== undefined) throw this.fault;
    const hosts = this.#hosts();
    if (hosts === this.#seen) return;
    this.#seen = hosts;
    const holders = new Map<string, string>();
    for (const host of hosts) {
      if (host.claim !== null) {
        const other = holders.get(host.claim.id);
        assert.equal(other, undefined, `one claim holds two hosts: ${other} and ${host.name}`);
        holders.set(host.claim.id, host.name);
      }
      this.#note(host);
    }
  }
  #note(host: Host): void {
    const history = this.#history.get(host.name) ?? [];
    this.#history.set(host.name, history);
    const last = history.at(-1)?.host;
    if (last === host) return;
    if (host.state === 'available' && last?.state !== 'available') {
      const disk = this.#disks.get(host.name);
      assert.ok(disk === undefined || disk.isZero(), `${host.name} is available, but its disk is not clean`);
    }
    if (last?.id === host.id) {
      assert.ok(host.version > last.version, `${host.name} went from version ${last.version} to ${host.version}`);
      assert.ok(follows(last, host), `${host.name}: ${last.state} → ${host.state} is not in the table`);
      if (host.version === last.version + 1 && last.claim !== null && host.claim !== null)
        assert.equal(host.claim.id, last.claim.id, `${host.name} was taken from the claim that holds it`);
    }
    const at = this.#now();
    history.push({ at, host });
    // What was over before a permission could have been given is of no use any more.
    while ((history[1]?.at ?? Infinity) < at - graceMs) history.shift();
  }
  /** The law of the disk: written by the current generation of a claim that names it, or cleaned under the release of that claim. */
  #wrote(name: string, { serial }: ToldDisk, { at, by, job }: Write): void {
    this.follow();
    const history = this.#history.get(name) ?? [];
    const lately = history.filter((_, index) => (history[index + 1]?.at ?? Infinity) >= at - graceMs);
    const isLegal = lately.some(({ host }) => namedDisk(host, job) === serial);
    assert.ok(isLegal, `the law of the disk: ${name} ${serial} was written by ${job} (${by}), which nobody allowed`);
    const now = history.at(-1)?.host;
    const isHandedOn = now?.job?.startedAt !== undefined && now.job.id !== job;
    assert.ok(!isHandedOn, `the law of the disk: ${job} wrote ${serial} of ${name} after ${now?.job?.id} had begun`);
  }
}
