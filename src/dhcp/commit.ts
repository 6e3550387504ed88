/** Leases made durable many at a time: what was promised goes out only once the store has it. */
import type { Ipv4 } from '../wire/address.ts';
import type { Lease } from '../wire/words.ts';
import type { World } from '../world/world.ts';
import type { Change } from './table.ts';

export type SaveLeases = (leases: readonly Lease[], freed: readonly Ipv4[]) => Promise<void>;

interface Waiting {
  readonly changes: readonly Change[];
  readonly done: (saved: boolean) => void;
}

/** All that is decided while one save runs is saved by the next one, in the order of the decisions. */
export class GroupCommit {
  readonly #world: World;
  readonly #save: SaveLeases;
  #waiting: Waiting[] = [];
  #running = 0;

  constructor(world: World, save: SaveLeases) {
    this.#world = world;
    this.#save = save;
  }

  /** Decisions not durable yet. */
  get pending(): number {
    return this.#waiting.length + this.#running;
  }

  /** Calls `done` with whether the changes are durable; a failed save is logged here. */
  add(changes: readonly Change[], done: (saved: boolean) => void): void {
    this.#waiting.push({ changes, done });
    if (this.#waiting.length === 1 && this.#running === 0) this.#world.clock.soon(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#running = batch.length;
    const saved = await this.#saveBatch(batch);
    this.#running = 0;
    for (const { done } of batch) done(saved);
    if (this.#waiting.length > 0) this.#world.clock.soon(() => void this.#flush());
  }

  async #saveBatch(batch: readonly Waiting[]): Promise<boolean> {
    const last = new Map<Ipv4, Lease | undefined>();
    for (const change of batch.flatMap(({ changes }) => changes)) {
      if (change.kind === 'bind') last.set(change.binding.address, leaseOf(change.binding));
      if (change.kind === 'free') last.set(change.address, undefined);
    }
    const freed = Array.from(last).flatMap(([address, lease]) => (lease === undefined ? [address] : []));
    const leases = Array.from(last.values()).filter((lease) => lease !== undefined);
    try {
      await this.#save(leases, freed);
      return true;
    } catch (error) {
      this.#world.log.error('leases could not be saved; their clients get no answer and will ask again', { count: leases.length, error });
      return false;
    }
  }
}

const leaseOf = ({ address, mac, clientId, hostName, startsAt, endsAt }: Lease): Lease => ({
  address,
  mac,
  ...(clientId === undefined ? {} : { clientId }),
  ...(hostName === undefined ? {} : { hostName }),
  startsAt,
  endsAt,
});
