/** The Cluster API provider: its parts built once, for an API server and a rack; inside the daemon, or alone (`remuda controller`). */
import type { ControllerSettings, Watch } from './kube/controller.ts';
import { KubeClient } from './kube/client/kube-client.ts';
import type { KubeSource } from './kube/client/kube-config.ts';
import { clusterReconcilers, clusterWatches } from './kube/cluster/reconcile.ts';
import { machineReconcilers, machineWatches } from './kube/machine/reconcile.ts';
import type { Metal } from './kube/metal.ts';
import { followRack } from './kube/mirror/follow.ts';
import { mirrorReconcilers, mirrorWatches } from './kube/mirror/reconcile.ts';
import { kinds } from './kube/objects.ts';
import { packetReconcilers, packetWatches } from './kube/packet/reconcile.ts';
import { remediationReconcilers, remediationWatches } from './kube/remediation/reconcile.ts';
import { Events } from './kube/runtime/events.ts';
import { startControllers } from './kube/runtime/start.ts';
import type { StartedControllers } from './kube/runtime/start.ts';
import { updateReconcilers } from './kube/update/reconcile.ts';
import { updateRoutes } from './kube/update/routes.ts';
import { workloadByKubeconfig } from './kube/workload/access.ts';
import { limits as usualLimits } from './limits.ts';
import type { Limits } from './limits.ts';
import type { Ipv4 } from './wire/address.ts';
import type { Identity, Listener, Meter, Route, World } from './world/world.ts';

/** Each kind once, with the indexes of all that read it. */
const eachOnce = (watches: readonly Watch[]): readonly Watch[] => {
  const byKind = new Map<string, Watch>();
  for (const watch of watches) {
    const name = `${watch.kind.plural}.${watch.kind.group}`;
    const before = byKind.get(name);
    const indexes = [before?.index, watch.index].filter((one) => one !== undefined);
    const index: Watch['index'] = (object) => Object.assign({}, ...indexes.map((one) => one(object)));
    byKind.set(name, { ...before, ...watch, ...(indexes.length === 0 ? {} : { index }) });
  }
  return [...byKind.values()];
};

export interface ProviderWish {
  readonly source: KubeSource;
  readonly settings: ControllerSettings;
  /** Namespace of the Lease; absent: there is no other controller. */
  readonly leaderNamespace?: string;
  /** Where in-place updates are asked for, and by which certificate. */
  readonly extension?: { readonly at: { readonly address: Ipv4; readonly port: number }; readonly identity: Identity };
}
export interface ProviderParts {
  readonly world: World;
  readonly meter: Meter;
  readonly metal: Metal;
  readonly version: string;
  /** Default: the usual ones. */
  readonly limits?: Limits;
}
export interface Provider {
  readonly controllers: StartedControllers;
  /** Where in-place updates are asked for; undefined where nobody may. */
  readonly extension: Listener | undefined;
  /** First nobody comes in any more, then the reconcilers end, then the lease is given back. */
  stop(): Promise<void>;
}

/** Begins and returns at once: an API server that cannot be reached is waited for. Throws `bad-config` where there is no kubeconfig. */
export const startProvider = async (parts: ProviderParts, wish: ProviderWish): Promise<Provider> => {
  const { world, meter, metal, version, limits = usualLimits } = parts;
  const api = new KubeClient({ world, version, limits, source: wish.source });
  const connect = (text: string): KubeClient =>
    new KubeClient({ world, version, limits, source: { is: 'text', text, of: 'a workload cluster' } });
  const workload = workloadByKubeconfig(api, connect);
  const isMirrored = wish.settings.namespace === undefined;
  const following = {
    machines: [kinds.bareMetalMachine, kinds.packetMachine],
    others: [kinds.bareMetalCluster, kinds.bareMetalMachineTemplate, kinds.packetMachineTemplate],
    isMirrored,
  };
  const controllers = startControllers({
    world,
    meter,
    limits,
    api,
    metal,
    settings: wish.settings,
    watches: eachOnce([
      ...machineWatches,
      ...clusterWatches,
      ...packetWatches,
      ...remediationWatches,
      ...(isMirrored ? mirrorWatches : []),
    ]),
    reconcilers: (tools) => [
      ...machineReconcilers(tools),
      ...clusterReconcilers(tools),
      ...packetReconcilers(tools),
      ...remediationReconcilers(tools, { workload }),
      ...updateReconcilers(tools, { workload }),
      ...(isMirrored ? mirrorReconcilers(tools) : []),
    ],
    loops: [{ name: 'rack', run: (tools, signal) => followRack(tools, following, signal) }],
    ...(wish.leaderNamespace === undefined
      ? {}
      : { identity: { namespace: wish.leaderNamespace, holder: `remuda-${Buffer.from(world.random.bytes(8)).toString('hex')}` } }),
  });
  try {
    // Of every controller, leading or not: whoever is asked answers.
    const events = new Events({ world, log: world.log, limits, api, instance: 'remuda' });
    const routes: readonly Route[] = updateRoutes({ world, api, metal, workload, log: world.log, events });
    const { extension } = wish;
    const listener =
      extension === undefined ? undefined : await world.http.listen({ at: extension.at, identity: extension.identity, routes });
    world.log.info('the Cluster API provider starts', { server: api.server, extension: listener?.port });
    return {
      controllers,
      extension: listener,
      stop: async () => {
        await listener?.close();
        await events.stop();
        await controllers.stop();
      },
    };
  } catch (error) {
    await controllers.stop();
    throw error;
  }
};
