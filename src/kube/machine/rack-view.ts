/** All hosts of the rack, asked once for many that ask at the same time. */
import type { HostJson } from '../../api/types.ts';
import type { Clock } from '../../world/world.ts';
import type { Metal } from '../metal.ts';

export class RackView {
  readonly #metal: Pick<Metal, 'hosts'>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #freshMs: number;
  #asked: { readonly at: number; readonly hosts: Promise<readonly HostJson[]> } | undefined;
  constructor(metal: Pick<Metal, 'hosts'>, clock: Pick<Clock, 'now'>, freshMs = 1_000) {
    this.#metal = metal;
    this.#clock = clock;
    this.#freshMs = freshMs;
  }
  /** Not older than `freshMs`. What failed is asked again by the next one. */
  hosts(): Promise<readonly HostJson[]> {
    const now = this.#clock.now();
    if (this.#asked !== undefined && now - this.#asked.at < this.#freshMs) return this.#asked.hosts;
    const hosts = this.#metal.hosts();
    const asked = { at: now, hosts };
    this.#asked = asked;
    hosts.catch(() => {
      if (this.#asked === asked) this.#asked = undefined;
    });
    return hosts;
  }
}
