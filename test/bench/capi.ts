/**
 * `npm run bench -- capi`: many BareMetalMachines at once, on servers that live (simulated, behind the real daemon core, 20 times faster than
 * real ones), with an API server in memory: how long until all run, what is written for each of them, how long a reconciliation takes, and how
 * much memory the provider adds.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterReconcilers, clusterWatches } from '../../src/kube/cluster/reconcile.ts';
import { machineReconcilers, machineWatches } from '../../src/kube/machine/reconcile.ts';
import { followRack } from '../../src/kube/mirror/follow.ts';
import { mirrorReconcilers, mirrorWatches } from '../../src/kube/mirror/reconcile.ts';
import { capi as names } from '../../src/kube/names.ts';
import { apiVersionOf, keyOf, kinds } from '../../src/kube/objects.ts';
import type { Kind, KubeObject } from '../../src/kube/objects.ts';
import { startControllers } from '../../src/kube/runtime/start.ts';
import type { StartedControllers } from '../../src/kube/runtime/start.ts';
import { realWorld } from '../../src/world/real.ts';
import type { Meter, World } from '../../src/world/world.ts';
import { FakeApi, writing } from '../kube/fake-api.ts';
import { livingRack } from '../kube/living-rack.ts';
import type { LivingRack } from '../kube/living-rack.ts';
import { withinBudget } from './row.ts';
import type { Row } from './row.ts';

/** Writes and reads of one machine's whole life, mirror and events counted too; a reconciliation at the 99th percentile. */
const budgets = { writes: 25, reads: 50, reconcileSeconds: 1, rssMiB: 256, provisionSeconds: 120 };
const waitMs = 600_000;
const namespace = 'ns';
const machine = kinds.bareMetalMachine;

const objectOf = (kind: Kind, name: string, more: Omit<Partial<KubeObject>, 'metadata'> & { metadata?: object } = {}): KubeObject => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  ...more,
  metadata: { name, namespace, ...more.metadata },
});
const owned = ({ apiVersion, kind, metadata }: KubeObject): object => ({
  ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }],
});
/** As Cluster API makes them. */
const furnish = (api: FakeApi, count: number): void => {
  const { group } = machine;
  const infrastructureRef = (kind: Kind, name: string): object => ({ apiGroup: group, kind: kind.kind, name });
  const cluster = api.seed(
    kinds.cluster,
    objectOf(kinds.cluster, 'c1', {
      spec: { infrastructureRef: infrastructureRef(kinds.bareMetalCluster, 'c1') },
      status: { initialization: { infrastructureProvisioned: true } },
    }),
  );
  const endpoint = { controlPlaneEndpoint: { host: '10.0.0.9', port: 6443 } };
  api.seed(kinds.bareMetalCluster, objectOf(kinds.bareMetalCluster, 'c1', { metadata: owned(cluster), spec: endpoint }));
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const labels = { [names.clusterName]: 'c1', [names.deploymentName]: 'md-0' };
  for (let index = 0; index < count; index += 1) {
    const name = `m${index}`;
    const spec = { clusterName: 'c1', bootstrap: { dataSecretName: name }, infrastructureRef: infrastructureRef(machine, name) };
    const owner = api.seed(kinds.machine, objectOf(kinds.machine, name, { metadata: { labels }, spec }));
    const data = { value: encode('#cloud-config\n'), format: encode('cloud-config') };
    api.seed(kinds.secret, objectOf(kinds.secret, name, { data }));
    const image = { image: 'kubernetes-v1.34.4' };
    api.seed(machine, objectOf(machine, name, { metadata: { labels, ...owned(owner) }, spec: image }));
  }
};

interface Provided {
  readonly controllers: StartedControllers;
  /** Seconds of each reconciliation. */
  readonly took: readonly number[];
}
const provide = (world: World, api: FakeApi, { metal }: LivingRack): Provided => {
  const took: number[] = [];
  const meter: Meter = {
    count: () => undefined,
    took: (name, seconds) => void (name === 'kube_reconcile_seconds' && took.push(seconds)),
  };
  const watches = [...machineWatches, ...clusterWatches, ...mirrorWatches].toReversed();
  const controllers = startControllers({
    world,
    meter,
    api,
    metal,
    settings: { pools: { '*': ['default'] }, reuseSeconds: 600 },
    watches: [...new Map(watches.map((watch) => [watch.kind.plural, watch])).values()],
    reconcilers: (tools) => [...machineReconcilers(tools), ...clusterReconcilers(tools), ...mirrorReconcilers(tools)],
    loops: [{ name: 'rack', run: (tools, signal) => followRack(tools, { machines: [machine], isMirrored: true }, signal) }],
  });
  return { controllers, took };
};
const until = async (what: string, seen: () => boolean): Promise<number> => {
  const began = performance.now();
  while (!seen()) {
    assert.ok(performance.now() - began < waitMs, `never ${what}`);
    await sleep(50);
  }
  return (performance.now() - began) / 1000;
};
const rssMiB = (): number => process.memoryUsage.rss() / 1024 ** 2;

interface CapiOptions {
  readonly hosts: number;
  readonly say: (line: string) => void;
}
export const capi = async ({ hosts, say }: CapiOptions): Promise<readonly Row[]> => {
  const life = new AbortController();
  const world = realWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });
  const rack = await livingRack({ hosts });
  try {
    await rack.allAvailable(waitMs);
    say(`${hosts} hosts are available`);
    const api = new FakeApi(world);
    furnish(api, hosts);
    const before = rssMiB();
    const { controllers, took } = provide(world, api, rack);
    const isProvisioned = ({ status }: KubeObject): boolean =>
      (status as { initialization?: { provisioned?: boolean } } | undefined)?.initialization?.provisioned === true;
    const provisioned = await until('all provisioned', () => api.all(machine).every(isProvisioned));
    const added = rssMiB() - before;
    say(`all provisioned after ${provisioned.toFixed(1)} s`);
    for (const object of api.all(machine)) await api.delete(machine, keyOf(object));
    const released = await until('all gone', () => api.all(machine).length === 0);
    say(`all gone after ${released.toFixed(1)} s`);
    await rack.allAvailable(waitMs);
    await controllers.stop();
    // The deletions were ours, not the provider's.
    const writes = api.requests.filter(({ verb }) => writing.includes(verb)).length - hosts;
    const reads = api.requests.length - hosts - writes;
    const p99 = took.toSorted((a, b) => a - b)[Math.floor(took.length * 0.99)] ?? NaN;
    const what = (metric: string, unit: string) => ({ bench: 'capi', case: `${hosts} machines`, metric, unit });
    return [
      withinBudget(what('until all are provisioned, servers 20 times faster', 's'), [provisioned], budgets.provisionSeconds),
      withinBudget(what('writes for each machine, mirror included', ''), [writes / hosts], budgets.writes),
      withinBudget(what('reads and watches for each machine', ''), [reads / hosts], budgets.reads),
      withinBudget(what('reconciliation, 99th percentile', 's'), [p99], budgets.reconcileSeconds),
      withinBudget(what('memory that the provider and the API server in memory add', 'MiB'), [Math.max(1, added)], budgets.rssMiB),
    ];
  } finally {
    await rack.stop();
    life.abort();
  }
};
