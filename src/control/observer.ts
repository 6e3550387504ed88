/** What was seen on the wire: it goes into the timeline in batches, may be lost, and is how an unknown machine becomes a discovered host. */
import { reasonOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { newHost } from '../host/host.ts';
import type { Firmware, JournalEntry } from '../host/host.ts';
import type { Store } from '../store/store.ts';
import type { Mac } from '../wire/address.ts';
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

export class Observer {
  readonly #parts: ObserverParts;
  #pending: JournalEntry[] = [];
  #lost = 0;
  #flushing = false;
  readonly #discovering = new Set<Mac>();

  constructor(parts: ObserverParts) {
    this.#parts = parts;
  }
  /** Never waits and never throws. */
  observe(observation: Observation): void {
    const { keeper, presence, limits } = this.#parts;
    const host = keeper.byMac(observation.mac);
    if (host === undefined) return this.#discover(observation);
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
    this.#schedule();
  }
  #schedule(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#parts.world.clock.after(this.#parts.limits.timelineBatchMs, () => void this.#flush());
  }
  async #flush(): Promise<void> {
    const { keeper, presence, store, world } = this.#parts;
    const entries = this.#pending.filter((entry) => keeper.get(entry.hostId) !== undefined);
    this.#pending = [];
    this.#flushing = false;
    if (this.#lost > 0) world.log.warn('observations lost', { lost: this.#lost });
    this.#lost = 0;
    try {
      await store.observe(entries);
      presence.signalChange();
    } catch (error) {
      world.log.warn('observations not written', { count: entries.length, reason: reasonOf(error) });
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
    void this.#create(observation).finally(() => this.#discovering.delete(mac));
  }
  async #create({ client, mac, text }: Observation): Promise<void> {
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
      const host = await keeper.create(newHost(spec, world.clock.now()), `seen for the first time: ${text}`);
      if (accepts(mac)) await keeper.apply(host.id, { type: 'accept', by: 'the rule in the configuration' });
    } catch (error) {
      world.log.warn('a machine was seen but could not be recorded', { mac, reason: reasonOf(error) });
    }
  }
}
