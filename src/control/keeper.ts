/** The one way to change a host: read, apply the rulebook, save state and journal together, tell who waits. */
import { RemudaError } from '../errors.ts';
import type { HostEvent } from '../host/events.ts';
import type { Host, JournalEntry } from '../host/host.ts';
import { transition } from '../host/transition.ts';
import type { Store } from '../store/store.ts';
import type { Mac } from '../wire/address.ts';
import type { Clock, Log } from '../world/world.ts';
import type { PresenceBook } from './presence.ts';

/** The asker saw another version than the one that is stored: what it decided on is no more. */
const refuseOther = (host: Host, ifVersion: number | undefined): void => {
  if (ifVersion === undefined || ifVersion === host.version) return;
  throw new RemudaError(
    'precondition-failed',
    `host ${host.name} is at version ${host.version}, the change was asked for version ${ifVersion}: look at it again and ask anew`,
    { values: { host: host.name, seen: ifVersion, stored: host.version } },
  );
};

/** Writers of one host that meet: each reads again and applies its event to what it finds. */
const conflictsMax = 8;

/**
 * Keeps the hosts: the store is the truth, and a copy in memory answers what must be answered at once (DHCP). A copy never goes back to an older version.
 */
export class Keeper {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #presence: PresenceBook;
  readonly #hosts = new Map<string, Host>();
  readonly #byMac = new Map<Mac, string>();
  #sorted: readonly Host[] | undefined;
  #wake: (hostId: string) => void = () => undefined;
  #forgotten: (hostId: string) => void = () => undefined;

  constructor(parts: { readonly store: Store; readonly clock: Clock; readonly log: Log; readonly presence: PresenceBook }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#presence = parts.presence;
  }
  /** Reads all hosts; before it, nobody is known. */
  async load(): Promise<void> {
    for (const host of await this.#store.hosts()) this.#remember(host);
  }
  /** The control loop asks to be told which host changed, and which is no more. */
  onChange(wake: (hostId: string) => void, forgotten: (hostId: string) => void): void {
    this.#wake = wake;
    this.#forgotten = forgotten;
  }
  /** By name; the same list until a host changes, so that what is computed of it may be kept with it. */
  all(): readonly Host[] {
    return (this.#sorted ??= [...this.#hosts.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)));
  }
  get(id: string): Host | undefined {
    return this.#hosts.get(id);
  }
  byMac(mac: Mac): Host | undefined {
    return this.#hosts.get(this.#byMac.get(mac) ?? '');
  }
  /** By ID or by name; `host-not-found`. */
  find(idOrName: string): Host {
    const host = this.#hosts.get(idOrName) ?? this.all().find((one) => one.name === idOrName);
    if (host === undefined) throw new RemudaError('host-not-found', `there is no host ${idOrName}; \`remuda host list\` shows all`);
    return host;
  }
  /** The host as it stands in the store, of the version that the asker saw. For what is not a change of the record, such as a command to its BMC. */
  async look(idOrName: string, ifVersion: number | undefined): Promise<Host> {
    const { id } = this.find(idOrName);
    const host = await this.#store.host(id);
    if (host === undefined) throw new RemudaError('host-not-found', `host ${idOrName} was forgotten`);
    refuseOther(host, ifVersion);
    return host;
  }
  async create(host: Host, text: string): Promise<Host> {
    const entry: JournalEntry = { hostId: host.id, at: this.#clock.now(), kind: 'state', boot: 0, text };
    const saved = await this.#store.create(host, [entry]);
    this.#changed(saved);
    return saved;
  }
  async forget(host: Host, ifVersion?: number): Promise<void> {
    refuseOther(host, ifVersion);
    await this.#store.forget(host.id, host.version);
    this.#hosts.delete(host.id);
    this.#sorted = undefined;
    for (const mac of host.macs) if (this.#byMac.get(mac) === host.id) this.#byMac.delete(mac);
    this.#presence.forget(host.id);
    this.#forgotten(host.id);
    this.#presence.signalChange(host.id);
  }
  /**
   * Applies an event to the host as it stands in the store. A refusal of the rulebook is thrown with its code and reason.
   * Two writers that meet are told apart by the version; the later one decides again on what the earlier one left,
   * unless it asked for one version alone (`precondition-failed`).
   */
  async apply(hostId: string, event: HostEvent, ifVersion?: number): Promise<Host> {
    for (let conflicts = 0; ; conflicts++) {
      const host = await this.#store.host(hostId);
      if (host === undefined) throw new RemudaError('host-not-found', `host ${hostId} was forgotten`);
      refuseOther(host, ifVersion);
      const verdict = transition(host, event, this.#clock.now());
      if ('refused' in verdict) throw new RemudaError(verdict.refused, verdict.reason, { values: { host: host.name, event: event.type } });
      if (verdict.host === host) return host;
      try {
        const saved = await this.#store.save(verdict.host, verdict.entries);
        this.#changed(saved);
        for (const entry of verdict.entries) this.#log.info(entry.text, { host: saved.name, state: saved.state });
        return saved;
      } catch (error) {
        if (!(error instanceof RemudaError) || error.code !== 'version-conflict' || conflicts >= conflictsMax) throw error;
      }
    }
  }
  #changed(host: Host): void {
    this.#remember(host);
    this.#presence.signalChange(host.id);
    this.#wake(host.id);
  }
  #remember(host: Host): void {
    const known = this.#hosts.get(host.id);
    if (known !== undefined && known.version >= host.version) return;
    this.#hosts.set(host.id, host);
    this.#sorted = undefined;
    // A MAC that went is recognised no more, unless another host has it by now.
    for (const mac of known?.macs ?? []) if (this.#byMac.get(mac) === host.id) this.#byMac.delete(mac);
    for (const mac of host.macs) this.#byMac.set(mac, host.id);
  }
}
