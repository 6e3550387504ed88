/** A controller of a toy kind over the API server in memory, in time that only the test moves. */
import { silentMeter } from '../../../src/metering.ts';
import type { Reconciler, Tools, Watch } from '../../../src/kube/controller.ts';
import type { Metal } from '../../../src/kube/metal.ts';
import type { Key, Kind, KubeObject } from '../../../src/kube/objects.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { startControllers } from '../../../src/kube/runtime/start.ts';
import type { StartedControllers, StartOptions } from '../../../src/kube/runtime/start.ts';
import type { KubeApi } from '../../../src/kube/api.ts';
import { fakeWorld } from '../../world/fake.ts';
import type { FakeWorld } from '../../world/fake.ts';
import { FakeApi } from '../fake-api.ts';

export const toy: Kind = kinds.bareMetalMachine;
export const toyObject = (name: string, spec: unknown = {}, more: Partial<KubeObject['metadata']> = {}): KubeObject => ({
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2',
  kind: 'BareMetalMachine',
  metadata: { name, namespace: 'ns', ...more },
  spec,
});
/** No test of the runtime touches metal. */
export const noMetal = new Proxy({} as Metal, {
  get: (_target, name) => () => Promise.reject(new Error(`the runtime asked metal for ${String(name)}`)),
});
export interface Bench {
  readonly world: FakeWorld;
  readonly api: FakeApi;
  /** Every reconciliation that began, oldest first. */
  readonly runs: Key[];
  start(more?: Partial<StartOptions> & { readonly through?: KubeApi }): StartedControllers;
}
export type Reconcile = (tools: Tools, key: Key, signal: AbortSignal) => ReturnType<Reconciler['reconcile']>;
export const toyWatch: Watch = { kind: toy };
export const benchOf = (reconcile: Reconcile = () => Promise.resolve({}), seed = 1): Bench => {
  const world = fakeWorld({ seed });
  const api = new FakeApi(world);
  const runs: Key[] = [];
  return {
    world,
    api,
    runs,
    start: ({ through = api, ...more } = {}) =>
      startControllers({
        world,
        meter: silentMeter,
        api: through,
        metal: noMetal,
        settings: { pools: { '*': ['default'] }, reuseSeconds: 0 },
        watches: [toyWatch],
        reconcilers: (tools) => [
          {
            kind: toy,
            reconcile: (key, signal) => {
              runs.push(key);
              return reconcile(tools, key, signal);
            },
          },
        ],
        ...more,
      }),
  };
};
