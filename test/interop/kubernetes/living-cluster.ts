/** One Cluster on a living rack, for tests: looked at, changed as users change it, waited for, deleted. living-start.ts brings it up. */
import assert from 'node:assert/strict';
import { apiVersionOf, kinds } from '../../../src/kube/objects.ts';
import type { Kind } from '../../../src/kube/objects.ts';
import { field } from '../../../src/lab/plane/door.ts';
import type { Door, PlaneObject } from '../../../src/lab/plane/door.ts';
import type { WorkloadPlane } from '../../../src/lab/plane/workload.ts';
import type { Provider } from '../../../src/provider.ts';
import type { LivingRack } from '../../kube/living-rack.ts';
import type { Kubelets } from './kubelets.ts';
import { said, seenMachine, told } from './seen-machine.ts';
import type { SeenMachine } from './seen-machine.ts';
import { eventually } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

/** A busy machine of two cores needs a quarter of it. */
export const patientMs = 240_000;

export const merge = async (door: Door, path: string, patch: unknown): Promise<void> => {
  const { status, body } = await door.call('PATCH', path, patch, 'application/merge-patch+json');
  assert.ok(status < 300, `PATCH ${path}: ${JSON.stringify(body)}`);
};

export class LivingCluster {
  readonly on: TestPlane;
  readonly namespace: string;
  readonly name = 'c1';
  readonly rack: LivingRack;
  readonly workload: WorkloadPlane;
  readonly kubelets: Kubelets;
  readonly provider: Provider;
  /** What was applied. */
  applied: readonly PlaneObject[] = [];
  readonly #ends: readonly (() => Promise<void>)[];

  constructor(
    parts: Pick<LivingCluster, 'on' | 'namespace' | 'rack' | 'workload' | 'kubelets' | 'provider'>,
    ends: readonly (() => Promise<void>)[],
  ) {
    ({ on: this.on, namespace: this.namespace, rack: this.rack, workload: this.workload } = parts);
    ({ kubelets: this.kubelets, provider: this.provider } = parts);
    this.#ends = ends;
  }
  path({ group, version, plural, namespaced }: Kind, name?: string): string {
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    return `${root}${namespaced ? `/namespaces/${this.namespace}` : ''}/${plural}${name === undefined ? '' : `/${name}`}`;
  }
  async list(kind: Kind): Promise<readonly unknown[]> {
    const found = field(await this.on.door.get(this.path(kind)), 'items');
    return Array.isArray(found) ? (found as readonly unknown[]) : [];
  }
  get(kind: Kind, name: string): Promise<unknown> {
    return this.on.door.get(this.path(kind, name));
  }
  /** What an event of this reason at this object says. */
  async eventOf(name: string, reason: string): Promise<string | undefined> {
    const events = await this.list(kinds.event);
    const found = events.find((event) => said(event, 'regarding', 'name') === name && said(event, 'reason') === reason);
    return found === undefined ? undefined : said(found, 'note');
  }
  async patch(kind: Kind, name: string, patch: unknown): Promise<void> {
    await merge(this.on.door, this.path(kind, name), patch);
  }
  async remove(kind: Kind, name: string): Promise<void> {
    const { status, body } = await this.on.door.call('DELETE', this.path(kind, name));
    assert.ok(status < 300 || status === 404, JSON.stringify(body));
  }
  /** All Machines, oldest name first. */
  async machines(): Promise<readonly SeenMachine[]> {
    const infras = await this.list(kinds.bareMetalMachine);
    const machines = await this.list(kinds.machine);
    return machines
      .map((machine) => {
        const name = said(machine, 'spec', 'infrastructureRef', 'name');
        return seenMachine(
          machine,
          infras.find((infra) => said(infra, 'metadata', 'name') === name),
        );
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
  async workers(deployment = `${this.name}-md-0`): Promise<readonly SeenMachine[]> {
    return (await this.machines()).filter(({ set }) => set === deployment);
  }
  async controlPlanes(): Promise<readonly SeenMachine[]> {
    return (await this.machines()).filter(({ isControlPlane }) => isControlPlane);
  }
  /** Until so many machines, and no others, run and have their Nodes. */
  async running(which: () => Promise<readonly SeenMachine[]>, count: number, wanted: (machine: SeenMachine) => boolean = () => true) {
    return await this.reach(`${count} machines run`, async () => {
      const seen = await which();
      const good = seen.filter((one) => one.phase === 'Running' && one.node !== '' && !one.isLeaving && wanted(one));
      return seen.length === count && good.length === count && seen;
    });
  }
  /** Like `eventually`, and says what every machine and host does where it never is. */
  async reach<T>(what: string, seen: () => Promise<T | undefined | false>, withinMs = patientMs): Promise<T> {
    try {
      return await eventually(
        what,
        async () => {
          this.kubelets.blame();
          return seen();
        },
        withinMs,
      );
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${await this.state()}`, { cause: error });
    }
  }
  async state(): Promise<string> {
    const machines = (await this.machines()).map(
      ({ name, phase, node, host, conditions, infra }) =>
        `${name} ${phase} node=${node} host=${host}\n    ${told(infra, 'Ready')}\n    ${conditions
          .filter(({ status, type, message }) => status !== 'True' && message !== '' && type !== 'Deleting')
          .map(({ type, reason, message }) => `${type}: ${reason} ${message}`)
          .join('\n    ')}`,
    );
    const hosts = this.rack.daemon
      .hosts()
      .map(({ name, state, claim, failed }) => `${name} ${state} ${claim?.owner ?? ''} ${failed?.reason ?? ''}`);
    return [...machines, ...hosts].join('\n');
  }
  /** A new template like this one but for `spec`. */
  async newTemplate(from: string, name: string, spec: object): Promise<void> {
    const before = field(await this.get(kinds.bareMetalMachineTemplate, from), 'spec', 'template', 'spec') as object;
    await this.on.apply({
      apiVersion: apiVersionOf(kinds.bareMetalMachineTemplate),
      kind: kinds.bareMetalMachineTemplate.kind,
      metadata: { name, namespace: this.namespace },
      spec: { template: { spec: { ...before, ...spec } } },
    });
  }
  /** As a user rolls out: another template, and the version that its image holds. */
  async rollWorkers(template: string, version?: string, deployment = `${this.name}-md-0`): Promise<void> {
    const spec = { infrastructureRef: { name: template }, ...(version === undefined ? {} : { version }) };
    await this.patch(kinds.machineDeployment, deployment, { spec: { template: { spec } } });
  }
  async rollControlPlane(template: string, version: string): Promise<void> {
    const machineTemplate = { spec: { infrastructureRef: { name: template } } };
    await this.patch(kinds.kubeadmControlPlane, `${this.name}-control-plane`, { spec: { version, machineTemplate } });
  }
  /** The Cluster is deleted as users do it: nothing of it is left, and every host is clean. Then all that was started ends. */
  async end(): Promise<void> {
    await this.remove(kinds.cluster, this.name);
    await this.reach('the Cluster is gone', async () => (await this.get(kinds.cluster, this.name)) === undefined);
    await this.rack.allAvailable(patientMs);
    for (const { disk, name } of this.rack.hosts) assert.ok(disk.isZero(), `${name} is not clean`);
    this.kubelets.blame();
  }
  async stop(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
  }
}
