/** What was seen on the wire: it goes into the timeline in batches, may be lost, and is how an unknown machine becomes a discovered host. */
import { RemudaError, reasonOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { newHost } from '../host/host.ts';
import type { Firmware, Host, JournalEntry } from '../host/host.ts';
import { identify, sameUuid, tellingUuid } from '../host/identity.ts';
import type { Found } from '../host/identity.ts';
import { mayAskAgain } from '../host/rules-identity.ts';
import type { Store } from '../store/store.ts';
import type { Mac, Uuid } from '../wire/address.ts';
import type { Observation } from '../wire/words.ts';
import type { World } from '../world/world.ts';
import type { Keeper } from './keeper.ts';
import type { PresenceBook } from './presence.ts';

export interface ObserverParts {
  readonly world: World;
  readonly keeper: Keeper;
  readonly presence: PresenceBook;
  readonly store: Store;
  readonly limits: Limits;
  readonly newId: (prefix: string) => string;
  /** The operator's rule in the configuration: MACs (or beginnings of them) that are accepted at once. */
  readonly accepts: (mac: Mac) => boolean;
}

/** It was proposed already, and nothing new is known of it. */
const isWaiting = (host: Host, mac: Mac, now: number): boolean => {
  const known = host.identity?.proposals.find((one) => one.mac === mac);
  return known !== undefined && !mayAskAgain(known, now);
};

export class Observer {
  readonly #parts: ObserverParts;
  #pending: JournalEntry[] = [];
  #lost = 0;
  /** undefined where no batch is waited for. */
  #cancelFlush: (() => void) | undefined;
  readonly #discovering = new Set<Mac>();
  /** What was begun and is not over. */
  readonly #running = new Set<Promise<void>>();
  #isClosed = false;

  constructor(parts: ObserverParts) {
    this.#parts = parts;
  }
  /** Never waits and never throws. */
  observe(observation: Observation): void {
    const { keeper, presence, limits } = this.#parts;
    if (this.#isClosed) return undefined;
    const host = keeper.byMac(observation.mac);
    if (host === undefined) return this.#discover(observation);
    this.#doubt(host, observation);
    presence.note(host.id, { packet: { at: observation.at, text: observation.text } });
    if (this.#pending.length >= limits.timelinePendingMax) this.#lost++;
    else
      this.#pending.push({
        hostId: host.id,
        at: observation.at,
        kind: 'packet',
        boot: host.boot?.number ?? 0,
        text: `${observation.source}: ${observation.text}`,
      });
    return this.#schedule();
  }
  /** Writes what is pending, and waits for what was begun; what is observed afterwards is nobody's. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelFlush?.();
    if (this.#pending.length > 0) this.#run(this.#flush());
    await Promise.allSettled(this.#running);
  }
  #schedule(): void {
    const { world, limits } = this.#parts;
    this.#cancelFlush ??= world.clock.after(limits.timelineBatchMs, () => this.#run(this.#flush()));
  }
  #run(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
  async #flush(): Promise<void> {
    const { keeper, presence, store, world } = this.#parts;
    const entries = this.#pending.filter((entry) => keeper.get(entry.hostId) !== undefined);
    this.#pending = [];
    this.#cancelFlush = undefined;
    if (this.#lost > 0) world.log.warn('observations lost', { lost: this.#lost });
    this.#lost = 0;
    try {
      await store.observe(entries);
      for (const hostId of new Set(entries.map((entry) => entry.hostId))) presence.signalChange(hostId);
    } catch (error) {
      world.log.warn('observations not written', { count: entries.length, reason: reasonOf(error) });
    }
  }
  /** A known MAC in a machine with the UUID of another host: the NIC was moved, perhaps. The other host is told; this one is as it is. */
  #doubt(host: Host, { mac, client, at }: Observation): void {
    const uuid = tellingUuid(client?.uuid);
    const own = host.identified?.uuid ?? host.uuid;
    if (uuid === undefined || own === null || sameUuid(own, uuid) || this.#discovering.has(mac)) return;
    const accepted = this.#parts.keeper.all().filter(({ state }) => state !== 'discovered');
    const found = identify({ uuid, macs: [] }, accepted);
    if (typeof found === 'string' || !('host' in found) || found.host.id === host.id) return;
    if (isWaiting(found.host, mac, at)) return;
    this.#discovering.add(mac);
    this.#run(this.#propose(found.host, mac, uuid).then(() => void this.#discovering.delete(mac)));
  }
  /** Whether the host now waits for somebody to say that the MAC is its own. */
  async #propose(host: Host, mac: Mac, uuid: Uuid): Promise<boolean> {
    const { keeper, world } = this.#parts;
    if (host.identity?.refused.includes(mac) === true) return false;
    try {
      await keeper.apply(host.id, { type: 'mac-proposed', mac, uuid });
      return true;
    } catch (error) {
      if (error instanceof RemudaError) world.log.warn('a MAC could not be proposed', { host: host.name, mac, reason: error.message });
      else world.log.error('a MAC could not be proposed', { host: host.name, mac, reason: reasonOf(error), error });
      return false;
    }
  }
  /** A machine that asks for a network boot and is nobody's: seen, never written, never booted by us until somebody accepts it. */
  #discover(observation: Observation): void {
    const { client, mac } = observation;
    const { keeper, limits } = this.#parts;
    if (client === undefined || client.stage === 'os' || this.#discovering.has(mac)) return;
    if (this.#discovering.size >= 16 || keeper.all().filter((host) => host.state === 'discovered').length >= limits.dhcpUnknownClientsMax)
      return;
    this.#discovering.add(mac);
    this.#run(this.#meet(observation).finally(() => this.#discovering.delete(mac)));
  }
  /** By its UUID it may be a host that we know, with a new NIC. UUIDs are no secret and not always one of a kind: it is proposed, no more. */
  async #meet(observation: Observation): Promise<void> {
    const { client, mac, at } = observation;
    const uuid = tellingUuid(client?.uuid);
    const found = uuid === undefined ? 'unknown' : this.#found(uuid, mac);
    if (uuid === undefined || found === 'unknown') return this.#create(observation, '');
    if ('conflict' in found) return this.#create(observation, `; ${found.reason}: which one it is must be said by somebody`);
    if (isWaiting(found.host, mac, at)) return undefined;
    if (await this.#propose(found.host, mac, uuid)) return undefined;
    return this.#create(observation, `; it has the UUID of ${found.host.name}, which is not it`);
  }
  /** Hosts that somebody accepted come first: a stranger who was seen earlier with the UUID of one must not hide it. */
  #found(uuid: Uuid, mac: Mac): Found {
    const hosts = this.#parts.keeper.all();
    const known = identify(
      { uuid, macs: [mac] },
      hosts.filter(({ state }) => state !== 'discovered'),
    );
    return known === 'unknown' ? identify({ uuid, macs: [mac] }, hosts) : known;
  }
  async #create({ client, mac, text }: Observation, more: string): Promise<void> {
    const { keeper, newId, world, accepts } = this.#parts;
    const firmware: Firmware | undefined = client?.arch === 'bios' ? 'bios' : client?.arch === 'x64-uefi' ? 'uefi' : undefined;
    const spec = {
      id: newId('h'),
      name: `unknown-${mac.replaceAll(':', '')}`,
      state: 'discovered' as const,
      macs: [mac],
      ...(client?.uuid === undefined ? {} : { uuid: client.uuid }),
      ...(firmware === undefined ? {} : { firmware }),
    };
    try {
      const host = await keeper.create(newHost(spec, world.clock.now()), `seen for the first time: ${text}${more}`);
      if (accepts(mac)) await keeper.apply(host.id, { type: 'accept', by: 'the rule in the configuration' });
    } catch (error) {
      world.log.warn('a machine was seen but could not be recorded', { mac, reason: reasonOf(error) });
    }
  }
}
