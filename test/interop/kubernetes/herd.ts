/** Clusters whose machines get their bootstrap data from the test, controllers over bad lines that may die, and a judge who sees all of it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { field, items, textField } from '../../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../../src/lab/plane/door.ts';
import { kubeconfigText } from '../../../src/lab/plane/kubeconfig.ts';
import type { Kubeconfig } from '../../../src/lab/plane/kubeconfig.ts';
import { RemudaError } from '../../../src/errors.ts';
import type { Metal } from '../../../src/kube/metal.ts';
import { limits as usualLimits } from '../../../src/limits.ts';
import type { Limits } from '../../../src/limits.ts';
import { silentMeter } from '../../../src/metering.ts';
import { startProvider } from '../../../src/provider.ts';
import type { Provider } from '../../../src/provider.ts';
import { realWorld } from '../../../src/world/real.ts';
import { version } from './provider.ts';
import { eventually } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

export const images = ['kubernetes-v1.34.4', 'kubernetes-v1.34.5'] as const;
const infra = 'infrastructure.cluster.x-k8s.io';
export const paths = (namespace: string) => ({
  clusters: `/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/clusters`,
  machines: `/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/machines`,
  deployments: `/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/machinedeployments`,
  ours: `/apis/${infra}/v1beta2/namespaces/${namespace}/baremetalmachines`,
});

export interface HerdWish {
  readonly namespace: string;
  readonly name: string;
  readonly workers: number;
}
const template = (namespace: string, name: string, image: string): PlaneObject => ({
  apiVersion: `${infra}/v1beta2`,
  kind: 'BareMetalMachineTemplate',
  metadata: { name, namespace },
  spec: { template: { spec: { image } } },
});
const templateName = (name: string, image: string): string => `${name}-${images.findIndex((one) => one === image)}`;
/** A Cluster and a MachineDeployment that asks no bootstrap provider. No kubelet stands behind its hosts. */
export const herd = ({ namespace, name, workers }: HerdWish): readonly PlaneObject[] => {
  const of = (apiVersion: string, kind: string, spec: unknown): PlaneObject => ({ apiVersion, kind, metadata: { name, namespace }, spec });
  const value = Buffer.from('#cloud-config\n# a herd\n').toString('base64');
  const boot = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `${name}-boot`, namespace },
    type: 'cluster.x-k8s.io/secret',
    data: { value },
  };
  return [
    boot,
    ...images.map((image) => template(namespace, templateName(name, image), image)),
    of(`${infra}/v1beta2`, 'BareMetalCluster', { controlPlaneEndpoint: { host: '192.0.2.9', port: 6443 } }),
    of('cluster.x-k8s.io/v1beta2', 'Cluster', { infrastructureRef: { apiGroup: infra, kind: 'BareMetalCluster', name } }),
    of('cluster.x-k8s.io/v1beta2', 'MachineDeployment', {
      clusterName: name,
      replicas: workers,
      selector: { matchLabels: {} },
      // Nobody becomes available without a Node, so all old ones may go at once.
      rollout: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: workers } } },
      template: {
        spec: {
          clusterName: name,
          version: 'v1.34.4',
          bootstrap: { dataSecretName: `${name}-boot` },
          infrastructureRef: { apiGroup: infra, kind: 'BareMetalMachineTemplate', name: templateName(name, images[0]) },
        },
      },
    }),
  ];
};
export const patched = async ({ door }: TestPlane, path: string, patch: unknown): Promise<void> => {
  const { status, body } = await door.call('PATCH', path, patch, 'application/merge-patch+json');
  assert.equal(status, 200, JSON.stringify(body));
};
/** Replaces every machine by one with the other image. */
export const rollOut = (here: TestPlane, { namespace, name }: HerdWish): Promise<void> => {
  const infrastructureRef = { name: templateName(name, images[1]) };
  return patched(here, `${paths(namespace).deployments}/${name}`, { spec: { template: { spec: { infrastructureRef } } } });
};
export const scale = (here: TestPlane, { namespace, name }: HerdWish, replicas: number): Promise<void> =>
  patched(here, `${paths(namespace).deployments}/${name}`, { spec: { replicas } });

/** On a machine that others keep busy; quiet, it is seconds. */
const patienceMs = 400_000;
/** Waits, and tells all about the machines where it waits in vain. */
export const comes = async <T>(
  here: TestPlane,
  namespace: string,
  what: string,
  seen: () => Promise<T | undefined | false>,
): Promise<T> => {
  try {
    return await eventually(what, seen, patienceMs);
  } catch (error) {
    const { machines, ours } = paths(namespace);
    const all = [...items(await here.door.get(ours)), ...items(await here.door.get(machines))];
    const told = all.map((one) => JSON.stringify([field(one, 'metadata'), field(one, 'spec'), field(one, 'status')]));
    throw new Error(`${String(error)}\n${told.join('\n')}`, { cause: error });
  }
};
/** `True Ready`, `False NoHostFits`; and what is said beside it. */
export const readyOf = (machine: unknown): { readonly word: string; readonly message: string } => {
  const conditions = field(machine, 'status', 'conditions');
  const found: unknown = Array.isArray(conditions) ? conditions.find((one) => field(one, 'type') === 'Ready') : undefined;
  const word = `${textField(found, 'status') ?? ''} ${textField(found, 'reason') ?? ''}`;
  return { word, message: textField(found, 'message') ?? '' };
};
const isReady = (machine: unknown): boolean => readyOf(machine).word === 'True Ready';
/** Of ours, as they stand. */
export const machinesOf = async ({ door }: TestPlane, namespace: string): Promise<readonly unknown[]> =>
  items(await door.get(paths(namespace).ours));
/** The machines of ours, when there are so many, all Ready, and all with this image. */
export const allReady = async (here: TestPlane, namespace: string, count: number, image: string): Promise<readonly unknown[] | false> => {
  const all = await machinesOf(here, namespace);
  return all.length === count && all.every((one) => isReady(one) && textField(one, 'spec', 'image') === image) && all;
};
export const deleted = async (here: TestPlane, { namespace, name }: HerdWish): Promise<void> => {
  const path = `${paths(namespace).clusters}/${name}`;
  assert.equal((await here.door.call('DELETE', path)).status, 200);
  await comes(here, namespace, `the Cluster ${name} is gone`, async () => (await here.door.get(path)) === undefined);
};

/** Short, so that what is waited for is waited for in a test. */
const limits = {
  ...usualLimits,
  kubeWatchSilenceMs: 5_000,
  kubeCallMs: 6_000,
  kubeBackoffFirstMs: 100,
  kubeBackoffMostMs: 1_500,
  kubeLeaseMs: 3_000,
  kubeLeaseRenewMs: 500,
  kubeLeaseLostMs: 2_000,
};
export interface LifeWish {
  readonly to: Kubeconfig;
  readonly metal: Metal;
  readonly namespace?: string;
  readonly leaderNamespace?: string;
  readonly limits?: Partial<Limits>;
}
/** One process of ours, as far as the API server and the rack can tell. It ends with the test at the latest. */
export const startLife = async (t: TestContext, wish: LifeWish): Promise<Provider> => {
  const life = new AbortController();
  const world = realWorld({ signal: life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
  const { namespace, leaderNamespace } = wish;
  const provider = await startProvider(
    { world, meter: silentMeter, metal: wish.metal, version, limits: { ...limits, ...wish.limits } },
    {
      source: { is: 'text', text: kubeconfigText(wish.to, 'plane'), of: 'a test' },
      settings: { pools: { '*': ['default'] }, reuseSeconds: 600, ...(namespace === undefined ? {} : { namespace }) },
      ...(leaderNamespace === undefined ? {} : { leaderNamespace }),
    },
  );
  const stop = async (): Promise<void> => {
    await provider.stop();
    life.abort(new DOMException('this life is over', 'AbortError'));
  };
  t.after(stop);
  return { ...provider, stop };
};

export type Grave = 'claim' | 'release' | 'reprovision' | 'power';
export interface Eyes {
  /** Before metal is touched; what it throws is not the controller's business. */
  readonly before?: (verb: Grave, claimId: string) => Promise<void>;
  readonly after?: (verb: Grave, claimId: string) => void;
  /** Dead processes touch nothing and hear nothing. */
  readonly isDead?: () => boolean;
}
/** Metal that is watched, and that a process reaches only as long as it lives: also between the act and its answer. */
export const watched = (metal: Metal, { before, after, isDead = () => false }: Eyes): Metal => {
  const alive = (): void => {
    if (isDead()) throw new RemudaError('timed-out', 'this process is dead');
  };
  const grave = async <T>(verb: Grave, id: string, act: () => Promise<T>): Promise<T> => {
    alive();
    await before?.(verb, id);
    alive();
    const done = await act();
    after?.(verb, id);
    alive();
    return done;
  };
  return {
    ...metal,
    claim: (request) => grave('claim', request.id, () => metal.claim(request)),
    release: (id, wish) => grave('release', id, () => metal.release(id, wish)),
    reprovision: (id, wanted, ifVersion) => grave('reprovision', id, () => metal.reprovision(id, wanted, ifVersion)),
    power: (id, wanted) => grave('power', id, () => metal.power(id, wanted)),
  };
};
