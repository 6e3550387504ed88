/** The Cluster API provider inside the daemon: loaded only where it is configured, and begun again where it could not begin. */
import { z } from 'zod';
import type { KubernetesConfig } from './config/kubernetes.ts';
import type { Daemon } from './daemon.ts';
import { reasonOf } from './errors.ts';
import type { Provider } from './provider.ts';
import type { Reading } from './world/meter.ts';
import type { Identity, Meter, World } from './world/world.ts';

export interface ProviderHere {
  /** undefined where it works, or waits in line behind another controller. */
  problem(): string | undefined;
  reading(): Reading;
  stop(): Promise<void>;
}
interface Parts {
  readonly world: World;
  readonly config: KubernetesConfig;
  readonly daemon: Pick<Daemon, 'rack' | 'images' | 'leases' | 'records'>;
  readonly meter: Meter;
  readonly version: string;
}
/** A kubeconfig that is not there yet, a port that is taken: hosts are served meanwhile. */
const againMs = 30_000;

const identityShape = z.object({ key: z.string(), certificate: z.string(), fingerprint: z.string() });
/** Cluster API believes it by its address, and over restarts: the ExtensionConfig names it. */
const extensionIdentity = async ({ world, daemon }: Parts, address: string): Promise<Identity> => {
  const made = await world.http.selfSigned(address);
  return identityShape.parse(JSON.parse(await daemon.records.setting(`extension-identity ${address}`, () => JSON.stringify(made))));
};

const start = async (parts: Parts): Promise<Provider> => {
  const { world, config, daemon, meter, version } = parts;
  const { startProvider } = await import('./provider.ts');
  const { localMetal } = await import('./kube/local-metal.ts');
  const { kubeconfig, context, namespace, watchFilter, pools, reuseSeconds, leaderElection, extension } = config;
  const metal = localMetal({
    rack: daemon.rack,
    images: () => daemon.images.list(),
    leases: () => daemon.leases(),
    clock: world.clock,
    by: 'cluster-api',
  });
  const more = context === undefined ? {} : { context };
  return startProvider(
    { world, meter, metal, version },
    {
      source: kubeconfig === 'in-cluster' ? { is: 'pod' } : { is: 'file', path: kubeconfig, ...more },
      settings: {
        pools,
        reuseSeconds,
        ...(namespace === undefined ? {} : { namespace }),
        ...(watchFilter === undefined ? {} : { watchFilter }),
      },
      ...(leaderElection === false ? {} : { leaderNamespace: leaderElection.namespace }),
      ...(extension === undefined ? {} : { extension: { at: extension, identity: await extensionIdentity(parts, extension.address) } }),
    },
  );
};

/** Begins and returns at once. */
export const provideHere = (parts: Parts): ProviderHere => {
  const { world } = parts;
  const ending = new AbortController();
  const signal = AbortSignal.any([world.signal, ending.signal]);
  let provider: Provider | undefined;
  let failure: string | undefined = 'it starts';
  const run = async (): Promise<void> => {
    while (provider === undefined && !signal.aborted) {
      try {
        provider = await start(parts);
        failure = undefined;
      } catch (error) {
        failure = reasonOf(error);
        world.log.error('the Cluster API provider could not begin; it is tried again', { reason: failure, againMs });
        await world.clock.sleep(againMs, signal).catch(() => undefined);
      }
    }
  };
  const begun = run();
  return {
    problem: () => {
      const told = provider?.controllers.ready();
      if (told === undefined) return failure;
      return told.ready || told.isInLine === true ? undefined : told.why;
    },
    reading: () => provider?.controllers.reading() ?? [],
    stop: async () => {
      ending.abort(new DOMException('the daemon ends', 'AbortError'));
      await begun;
      await provider?.stop();
    },
  };
};
