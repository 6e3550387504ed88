/** What must hold after every event, judged by the physics and by what goes over the wire: by the disks, the power, the answers of the daemon. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { Host } from '../../src/host/host.ts';
import type { Selector } from '../../src/host/select.ts';
import { limits } from '../../src/limits.ts';
import { noAddress } from '../../src/wire/address.ts';
import type { SimBmc } from './bmcs.ts';
import type { SimDisk } from './disk.ts';
import type { Metal } from './metal.ts';
import { bmcPort } from './network.ts';
import type { Endpoint, Exchange, Party } from './network.ts';

/** The widest that a reload makes them. */
const pools: Readonly<Record<string, RegExp>> = { near: /^10\.77\.0\.(5\d|60)$/, far: /^10\.77\.2\.(5\d|60)$/ };
/** IPMI 2.0 §28.13, less what a datagram may be late. */
const flagsMs = 50_000;

export interface Watched {
  readonly now: () => number;
  readonly metals: readonly Metal[];
  readonly bmcs: readonly SimBmc[];
  /** As the daemon knows them now; nobody where it is dead. */
  readonly hosts: () => readonly Host[];
  /** As it is configured: a password that was refused waits so long. */
  readonly loginPauseMs: number;
}
interface Snapshot {
  readonly at: number;
  readonly host: Host;
}

export class Invariants {
  readonly #watched: Watched;
  readonly #history = new Map<string, Snapshot[]>();
  readonly #writesSeen = new Map<SimDisk, number>();
  readonly #commandsSeen: number[];
  /** When this daemon last had a password refused, by the name of the BMC. */
  readonly #refusedAt = new Map<string, number>();
  readonly #faults: string[] = [];
  /** An operator asked for power: then a running host may go off. */
  operatorPower = false;

  /** An operator says which MACs a host has. */
  operatorMacs = false;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#commandsSeen = watched.bmcs.map(() => 0);
  }
  check(): void {
    if (this.#faults.length > 0) assert.fail(this.#faults.join('\n'));
    const hosts = this.#watched.hosts();
    for (const host of hosts) this.#follow(host);
    this.#addresses();
    const claims = hosts.map((host) => host.claim?.id).filter((id) => id !== undefined);
    assert.equal(new Set(claims).size, claims.length, 'one claim holds two hosts');
    for (const metal of this.#watched.metals) for (const disk of metal.disks) this.#law(metal, disk);
    for (const index of this.#commandsSeen.keys()) this.#power(index);
  }
  /** Called for every answer on the network at the moment it is made. What it finds is thrown by the next check. */
  answered(exchange: Exchange): void {
    if (exchange.to !== 'daemon' || exchange.status >= 300) return;
    const wrong = this.#wrongAnswer(exchange);
    if (wrong !== undefined) this.#faults.push(`${exchange.from} ${exchange.method} ${exchange.path}: ${wrong}`);
  }
  /** An owner was told that the host is his. */
  granted(name: string, claimId: string): void {
    const holder = this.#watched.hosts().find((host) => host.name === name)?.claim?.id;
    if (holder !== claimId) this.#faults.push(`${name} was granted to claim ${claimId}, but ${holder ?? 'nobody'} holds it`);
  }
  /** The answer came to its caller. */
  heard({ from, to, method, path, status }: Exchange): void {
    if (from === 'daemon' && method === 'POST' && path.endsWith('/Sessions') && status === 401) this.#refused(to);
  }
  datagram(from: Party, to: Endpoint, bytes: Uint8Array, secrets: readonly string[]): void {
    for (const secret of secrets)
      if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(secret))
        this.#faults.push(`a secret goes over the wire from ${from.name}`);
    // RAKP 3 with a status: a console that gives up, because the BMC has another password (IPMI 2.0 §13.22).
    if (from.name === 'daemon' && to.port === bmcPort && bytes[4] === 0x06 && bytes[5] === 0x14 && bytes[17] !== 0)
      this.#refused(to.address);
  }
  #refused(bmc: string): void {
    const now = this.#watched.now();
    const last = this.#refusedAt.get(bmc) ?? -Infinity;
    this.#refusedAt.set(bmc, now);
    if (now - last < this.#watched.loginPauseMs)
      this.#faults.push(`${bmc} was asked again after ${now - last} ms with the password that it had refused`);
  }
  /** A daemon that does not remember what the last one was refused. */
  restarted(): void {
    this.#refusedAt.clear();
  }
  /** What came from a daemon that had said that it ended. */
  spoke(what: string): void {
    this.#faults.push(`the daemon had ended, and said: ${what}`);
  }
  line(line: string, secrets: readonly string[]): void {
    for (const secret of secrets) if (line.includes(secret)) this.#faults.push(`a secret stands in the log: ${line}`);
    if (/^\d+ daemon error: /.test(line)) this.#faults.push(`the daemon met what nobody had thought of: ${line}`);
  }

  #metal(name: string): Metal | undefined {
    return this.#watched.metals.find((metal) => metal.name === name);
  }
  /** An unknown machine has a name of the daemon's making: by its MAC it is known which one it is. */
  #nameOf(host: Host): string {
    return this.#watched.metals.find(({ macs }) => macs.some((mac) => host.macs.includes(mac)))?.name ?? host.name;
  }
  #follow(host: Host): void {
    const name = this.#nameOf(host);
    const history = this.#history.get(name) ?? [];
    this.#history.set(name, history);
    const last = history.at(-1)?.host;
    if (last === host) return;
    this.#cards(host, name);
    if (host.state === 'available' && last?.state !== 'available')
      for (const disk of this.#metal(name)?.disks ?? [])
        assert.ok(disk.writes.length === 0 || disk.isZero(), `${host.name} is available, but its disk is not clean`);
    if (last !== undefined && last.id === host.id) {
      assert.ok(host.version >= last.version, `${host.name} went back from version ${last.version} to ${host.version}`);
      if (host.version === last.version) {
        assert.ok(isDeepStrictEqual(host, last), `${host.name} has two contents under version ${host.version}: one of them was lost`);
        return;
      }
      assert.ok(follows(last, host), `${host.name}: ${last.state} → ${host.state} is not in the table`);
      this.#chosen(last, host);
      this.#booted(last, host, name);
      if (host.version === last.version + 1 && last.claim !== null && host.claim !== null)
        assert.equal(host.claim.id, last.claim.id, `${host.name} was taken from the claim that holds it`);
    }
    history.push({ at: this.#watched.now(), host });
    if (history.length > 200) history.shift();
  }
  /** Who named no host gets one that fits; operators here change the pool of a host only in a version in which nobody held it. */
  #chosen(last: Host, { name, claim, profile }: Host): void {
    const asked = claim?.id === last.claim?.id ? undefined : claim?.asked;
    if (asked === undefined || asked.host !== undefined) return;
    const wanted = (asked.selector as Selector | undefined)?.pool ?? 'default';
    assert.equal(profile.pool, wanted, `${name} was given to claim ${claim?.id}, which asked for pool ${wanted}`);
  }
  /** A boot that counts as begun began at the network, unless the BMC's flags could run out meanwhile or somebody pressed the button. */
  #booted(last: Host, { boot }: Host, name: string): void {
    if (boot?.poweredOnAt === undefined || boot.armedAt === undefined) return;
    if (last.boot?.number === boot.number && last.boot.poweredOnAt !== undefined) return;
    const index = this.#watched.metals.findIndex((metal) => metal.name === name);
    const [metal, bmc] = [this.#watched.metals[index], this.#watched.bmcs[index]];
    const started = metal?.started;
    if (metal === undefined || started === undefined || bmc === undefined) return;
    if (started.at < boot.armedAt || metal.pressedAt >= boot.armedAt) return;
    const ranOut = bmc.protocol === 'ipmi' && bmc.quirks.refusesBootTimeout && started.at - boot.armedAt > flagsMs;
    assert.ok(started.network || ranOut, `boot ${boot.number} of ${name} counts as begun, but its BMC started it from the disk`);
  }
  /** A host is known by cards that were in it at some time, unless an operator said otherwise. */
  #cards(host: Host, name: string): void {
    const cards = this.#metal(name)?.everMacs;
    if (cards === undefined || this.operatorMacs) return;
    for (const mac of host.macs) assert.ok(cards.has(mac), `${host.name} is known by ${mac}, which was never in it`);
  }
  #addresses(): void {
    const living = this.#watched.metals
      .filter((metal) => metal.power() === 'on' && metal.party.address !== noAddress)
      .map(({ party }) => party);
    const addresses = living.map(({ address }) => address);
    assert.equal(new Set(addresses).size, addresses.length, `two living hosts use one address: ${addresses.join(' ')}`);
    for (const { address, wire } of living) assert.match(address, pools[wire ?? 'near'] ?? /^$/, 'an address outside the pool');
  }
  /** The law of the disk, judged by what the disk itself remembers. A permission lasts as long as it was granted for, and ends when other work begins. */
  #law(metal: Metal, disk: SimDisk): void {
    const from = this.#writesSeen.get(disk) ?? 0;
    if (disk.serial === 'foreign') assert.equal(disk.writes.length, 0, 'a disk that nobody gave us was written');
    if (from === disk.writes.length) return;
    this.#writesSeen.set(disk, disk.writes.length);
    const history = this.#history.get(metal.name) ?? [];
    const now = history.at(-1)?.host;
    for (const write of disk.writes.slice(from)) {
      const graceFrom = write.at - limits.agentGrantSeconds * 1000;
      const relevant = history.filter((_, index) => (history[index + 1]?.at ?? Infinity) >= graceFrom);
      const legal = relevant.some(({ host }) => namedDisk(host, write.job) === disk.serial);
      assert.ok(legal, `the law of the disk: ${metal.name} ${disk.serial} was written by ${write.job} (${write.by}), which nobody allowed`);
      assert.ok(
        now?.job?.startedAt === undefined || now.job.id === write.job,
        `the law of the disk: ${write.job} wrote ${disk.serial} after ${now?.job?.id} had begun`,
      );
    }
  }
  #power(index: number): void {
    const commands = this.#watched.bmcs[index]?.commands ?? [];
    const fresh = commands.slice(this.#commandsSeen[index]);
    if (fresh.length === 0) return;
    this.#commandsSeen[index] = commands.length;
    const name = this.#watched.metals[index]?.name ?? '';
    const [before, now] = (this.#history.get(name) ?? []).slice(-2).map(({ host }) => host.state);
    for (const { what } of fresh) {
      assert.match(what, /^(On|ForceOff|Boot .*)$/, `${name}: power is off, boot once, on; never ${what}`);
      const isRunning = before === 'provisioned' && now === 'provisioned';
      assert.ok(what !== 'ForceOff' || !isRunning || this.operatorPower, `${name} is provisioned and was switched off by nobody's order`);
    }
  }

  #wrongAnswer({ from, path, body }: Exchange): string | undefined {
    const [, room, word = ''] = path.split('/');
    if (room === 'boot') return this.#wrongTicket(word, true);
    if (path === '/agent/redeem') return this.#wrongTicket(field(body, 'ticket'), false);
    if (room === 'phone-home') {
      const host = this.#byId(word.split('.')[0]);
      const generation = Number(word.split('.')[2]);
      return host.some((one) => this.#nameOf(one) === from && one.claim?.generation === generation)
        ? undefined
        : 'a phone-home of an old generation was believed';
    }
    if (path !== '/agent/progress' && path !== '/agent/seed') return undefined;
    const job = field(body, 'job');
    const allowed = this.#lately(from).some(
      (host) => host.job?.startedAt !== undefined && namedDisk(host, job) !== undefined && isOpen(host),
    );
    return allowed ? undefined : `the permission of job ${job} is not on record`;
  }
  #wrongTicket(ticket: string, isScript: boolean): string | undefined {
    const [id, boot, generation] = ticket.split('.');
    // An agent that loads already may arrive at a held host, where it waits. One that has redeemed its ticket may repeat that after the intent has changed: it will be told the new one.
    const good = this.#byId(id).some(
      (host) =>
        host.boot?.number === Number(boot) &&
        isOpen(host) &&
        (host.held === null || !isScript) &&
        ((host.claim?.generation ?? 0) === Number(generation) || (!isScript && host.boot.redeemed !== undefined)),
    );
    return good ? undefined : `a ticket of boot ${boot}, generation ${generation} is over and was taken`;
  }
  /** As it is now and as it was before this event: an answer may be on its way out while the host changes. */
  #lately(name: string): readonly Host[] {
    const now = this.#watched.hosts().find((host) => this.#nameOf(host) === name);
    const before = this.#history.get(name)?.at(-1)?.host;
    return [now, before].filter((host) => host !== undefined);
  }
  #byId(id: string | undefined): readonly Host[] {
    const host = this.#watched.hosts().find((one) => one.id === id);
    return host === undefined ? [] : this.#lately(this.#nameOf(host));
  }
}

const isOpen = ({ boot }: Host): boolean => boot !== null && boot.closedAt === undefined && boot.contestedAt === undefined;
/** The serial of the disk that the host's claim or release lets this job write; undefined where it may write nothing. */
export const namedDisk = (host: Host, jobId: string): string | undefined => {
  const [boot, generation, kind] = jobId.split('.');
  if (host.job?.id !== jobId || host.boot?.number !== Number(boot)) return undefined;
  if (kind === 'clean') return host.state === 'cleaning' ? host.release?.disk.serial : undefined;
  return host.state === 'provisioning' && host.claim?.generation === Number(generation) ? host.claim.disk.serial : undefined;
};
const field = (body: string, name: string): string => String((JSON.parse(body) as Record<string, unknown>)[name]);

const allowed: Readonly<Record<Host['state'], readonly Host['state'][]>> = {
  discovered: ['enrolled'],
  enrolled: ['inspecting'],
  inspecting: ['available'],
  available: ['provisioning'],
  provisioning: ['provisioned', 'cleaning', 'available'],
  provisioned: ['provisioning', 'cleaning'],
  cleaning: ['available'],
};
/** Several changes may lie between two looks, so the way may have more than one step. */
export const follows = (from: Host, to: Host): boolean => {
  const steps = to.version - from.version;
  let reached = new Set([from.state]);
  for (let step = 0; step < Math.min(steps, 8); step++) reached = new Set([...reached, ...[...reached].flatMap((state) => allowed[state])]);
  return reached.has(to.state);
};
