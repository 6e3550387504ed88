/** The kubelets of a living rack, played: a Node where an installed OS comes up, its silence where it ends. */
import type { WorkloadPlane } from '../../../src/lab/plane/workload.ts';
import type { LivingRack } from '../../kube/living-rack.ts';
import type { Running } from '../../kube/living-hosts.ts';

export class Kubelets {
  readonly #workload: WorkloadPlane;
  readonly #images: ReadonlyMap<string, string>;
  /** One thing after the other, for each host. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #nodeOf = new Map<string, string>();
  readonly #faults: unknown[] = [];
  #boots = 0;
  #isOver = false;
  /** Which of them register; what does not is an OS without a kubelet. */
  joins: (host: string, running: Running) => boolean = () => true;

  /** `images`: name by digest; the name tells the kubelet's version. */
  constructor(rack: LivingRack, workload: WorkloadPlane, images: ReadonlyMap<string, string>) {
    this.#workload = workload;
    this.#images = images;
    rack.onOs((host, running) => this.#turn(host, () => (running === undefined ? this.#down(host) : this.#up(host, running))));
  }
  #turn(host: string, act: () => Promise<void>): void {
    const before = this.#turns.get(host) ?? Promise.resolve();
    const next = before.then(async () => {
      if (!this.#isOver) await act();
    });
    this.#turns.set(
      host,
      next.catch((error: unknown) => void this.#faults.push(error)),
    );
  }
  async #down(host: string): Promise<void> {
    const node = this.#nodeOf.get(host);
    this.#nodeOf.delete(host);
    if (node !== undefined) this.#workload.nodes.silence(node);
  }
  async #up(host: string, running: Running): Promise<void> {
    if (!this.joins(host, running)) return;
    const name = running.hostName;
    this.#nodeOf.set(host, name);
    await this.#workload.nodes.put({
      name,
      // By the seed, as the bootstrap data tell the kubelet.
      providerId: running.providerId,
      address: running.address,
      version: /v\d+\.\d+\.\d+/.exec(this.#images.get(running.image) ?? '')?.[0] ?? '',
      bootId: `boot-${this.#boots++}`,
      // kubeadm's own configuration says so.
      isControlPlane: /ClusterConfiguration|controlPlane:/.test(running.userData),
    });
  }
  /** Throws what went wrong meanwhile. */
  blame(): void {
    const [first] = this.#faults;
    if (first !== undefined) throw first;
  }
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#turns.values());
  }
}
