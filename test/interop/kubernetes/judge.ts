/** The judge of a namespace: looks at the API server and at the metal in every moment that counts, and says what was broken. */
import { KubeClient } from '../../../src/kube/client/kube-client.ts';
import { capi, finalizers } from '../../../src/kube/names.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { kubeconfigText } from '../../../src/lab/plane/kubeconfig.ts';
import { realWorld } from '../../../src/world/real.ts';
import type { LivingRack } from '../../kube/living-rack.ts';
import type { Grave } from './herd.ts';
import type { TestPlane } from './with-plane.ts';

const kind = kinds.bareMetalMachine;
const claimOf = ({ spec }: KubeObject): string | undefined => (spec as { readonly claimID?: string } | undefined)?.claimID;

export class Judge {
  readonly #api: KubeClient;
  readonly #namespace: string;
  readonly #rack: LivingRack;
  readonly #life = new AbortController();
  readonly #watching: Promise<void>;
  /** What was broken, in words; empty at the end of a good test. */
  readonly broken: string[] = [];
  /** What touched metal. */
  readonly calls: { readonly verb: Grave; readonly claimId: string }[] = [];
  /** Machines that were let go; each was looked at. */
  letGo = 0;

  constructor(here: TestPlane, rack: LivingRack, namespace: string) {
    const world = realWorld({ signal: this.#life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
    this.#api = new KubeClient({
      world,
      version: '1',
      source: { is: 'text', text: kubeconfigText(here.access, 'plane'), of: 'the judge' },
    });
    this.#namespace = namespace;
    this.#rack = rack;
    this.#watching = this.#watch();
  }
  async stop(): Promise<void> {
    this.#life.abort(new DOMException('the judge goes', 'AbortError'));
    await this.#watching;
  }
  /** Asked by whoever is about to touch metal, over a line of its own. */
  readonly before = async (verb: Grave, claimId: string): Promise<void> => {
    const { items } = await this.#api.list(kind, { namespace: this.#namespace });
    const object = items.find((one) => claimOf(one) === claimId);
    if (object === undefined) return void this.broken.push(`${verb} of ${claimId}, which no machine has in its spec`);
    const { annotations = {}, deletionTimestamp, finalizers: held = [] } = object.metadata;
    if (annotations[capi.deleteForMove] !== undefined) this.broken.push(`${verb} of ${claimId}, which was moved`);
    if (!held.includes(finalizers.machine)) this.broken.push(`${verb} of ${claimId} without a finalizer`);
    if (verb === 'release' && deletionTimestamp === undefined) this.broken.push(`${claimId} was released alive`);
  };
  readonly after = (verb: Grave, claimId: string): void => {
    this.calls.push({ verb, claimId });
    const holders = this.#rack.daemon.hosts().flatMap(({ name, claim }) => (claim === null ? [] : [{ name, claim }]));
    const owners = new Map<string, string>();
    for (const { name, claim } of holders) {
      const other = owners.get(claim.owner);
      if (other !== undefined) this.broken.push(`${claim.owner} holds ${other} and ${name}`);
      owners.set(claim.owner, name);
    }
  };
  async #watch(): Promise<void> {
    const { signal } = this.#life;
    let { resourceVersion } = await this.#api.list(kind, { namespace: this.#namespace });
    while (!signal.aborted) {
      try {
        for await (const event of this.#api.watch(kind, { namespace: this.#namespace, resourceVersion }, signal)) {
          resourceVersion = event.type === 'BOOKMARK' ? event.resourceVersion : (event.object.metadata.resourceVersion ?? resourceVersion);
          if (event.type !== 'BOOKMARK') await this.#look(event.object, event.type === 'DELETED');
        }
      } catch (error) {
        if (!signal.aborted) this.broken.push(`the judge saw nothing: ${String(error)}`);
        return;
      }
    }
  }
  /** A machine may go only when its host was seen off: nothing of its claim runs, and the rack will give the host to nobody as it is. */
  async #look(object: KubeObject, isGone: boolean): Promise<void> {
    const { deletionTimestamp, finalizers: held = [], name } = object.metadata;
    const claimId = claimOf(object);
    if (claimId === undefined || (!isGone && (deletionTimestamp === undefined || held.includes(finalizers.machine)))) return;
    this.letGo++;
    const runs = this.#rack.hosts.find((host) => this.#rack.whatRuns(host.name)?.claim === claimId);
    if (runs !== undefined) this.broken.push(`${name} was let go while its image ran on ${runs.name}`);
    const standing = await this.#rack.metal.standing(claimId);
    if (standing.is === 'held') this.broken.push(`${name} was let go while its claim held ${standing.host.name}`);
    if (standing.is === 'leaving' && standing.offAt === null)
      this.broken.push(`${name} was let go before ${standing.host.name} was seen off`);
  }
}
