/** `remuda controller`: the Cluster API provider without a daemon of its own, at the rack of one elsewhere, until the world ends. */
import type { ControllerWish } from './cli/controller-command.ts';
import { RemudaError } from './errors.ts';
import { rackProbe, remoteMetal } from './kube/remote-metal.ts';
import type { KubeSource } from './kube/client/kube-config.ts';
import { Contact } from './kube/runtime/contact.ts';
import { limits } from './limits.ts';
import { startProvider } from './provider.ts';
import type { Provider } from './provider.ts';
import { parseIpv4 } from './wire/address.ts';
import type { Ipv4 } from './wire/address.ts';
import { identityFromFiles } from './world/certificate.ts';
import { ended } from './world/ending.ts';
import { prometheusMeter } from './world/meter.ts';
import type { PrometheusMeter } from './world/meter.ts';
import type { Listener, Route, World } from './world/world.ts';

const addressOf = (text: string): Ipv4 => {
  const address = parseIpv4(text);
  if (address === undefined) throw new RemudaError('bad-config', `${text} is no IPv4 address to listen at`);
  return address;
};
const sourceOf = ({ kubeconfig, context }: ControllerWish): KubeSource => {
  const more = context === undefined ? {} : { context };
  return kubeconfig === undefined ? { is: 'usual', ...more } : { is: 'file', path: kubeconfig, ...more };
};
const plain = (status: number, body: string) => ({ status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body });
/**
 * Ready is whoever would do its work: the API server and the rack are heard, and it leads or waits behind another. A Deployment of two
 * would never be rolled out where the one in line was not. All that is missing is said at once.
 */
export const readinessOf = (
  told: ReturnType<Provider['controllers']['ready']> | undefined,
  problem: string | undefined,
): { readonly isReady: boolean; readonly lines: readonly string[] } => {
  const missing = [
    ...(told === undefined ? ['it starts'] : told.ready || told.isInLine === true ? [] : [told.why]),
    ...(problem === undefined ? [] : [problem]),
  ];
  if (missing.length > 0) return { isReady: false, lines: missing };
  return { isReady: true, lines: [told?.ready === false ? `ok: ${told.why}` : 'ok'] };
};
/** For whoever keeps the process alive: it lives, it works, and what it counts. */
const healthRoutes = (provider: () => Provider | undefined, contact: Contact, meter: PrometheusMeter): readonly Route[] => {
  return [
    { method: 'GET', path: '/healthz', handle: async () => plain(200, 'ok\n') },
    {
      method: 'GET',
      path: '/readyz',
      handle: async () => {
        const { isReady, lines } = readinessOf(provider()?.controllers.ready(), contact.problem());
        return plain(isReady ? 200 : 503, `${lines.join('\n')}\n`);
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      handle: async () => ({
        status: 200,
        headers: { 'content-type': meter.contentType },
        body: await meter.text(provider()?.controllers.reading() ?? []),
      }),
    },
  ];
};
/** Works until `until`, and ends in good order while the world still stands. Throws `bad-config` and what listening throws. */
export const runController = async (
  world: World,
  wish: ControllerWish,
  options: { readonly version: string; readonly until: AbortSignal },
): Promise<void> => {
  const meter = prometheusMeter();
  const { clock, http, random } = world;
  const parts = { http, clock, random, limits, place: wish.rack };
  const metal = remoteMetal({ ...parts, until: world.signal });
  const asking = new AbortController();
  const contact = new Contact({ world, log: world.log, ask: rackProbe(parts) });
  let contacted: Promise<void> | undefined;
  let provider: Provider | undefined;
  let health: Listener | undefined;
  try {
    if (wish.health !== undefined) {
      const at = { address: addressOf(wish.health.address), port: wish.health.port };
      health = await http.listen({ at, routes: healthRoutes(() => provider, contact, meter) });
    }
    const { pools, reuseSeconds, namespace, watchFilter, extension, leaderNamespace } = wish;
    provider = await startProvider(
      { world, meter, metal, version: options.version },
      {
        source: sourceOf(wish),
        settings: {
          pools,
          reuseSeconds,
          ...(namespace === undefined ? {} : { namespace }),
          ...(watchFilter === undefined ? {} : { watchFilter }),
        },
        ...(leaderNamespace === undefined ? {} : { leaderNamespace }),
        ...(extension === undefined
          ? {}
          : {
              extension: {
                at: { address: addressOf(extension.address), port: extension.port },
                identity: await identityFromFiles(world.files, extension, clock.now()),
              },
            }),
      },
    );
    contacted = contact.run(AbortSignal.any([world.signal, asking.signal]));
    await ended(options.until);
    world.log.info('ending');
  } finally {
    asking.abort(new DOMException('the controller ends', 'AbortError'));
    await contacted;
    await provider?.stop();
    await health?.close();
  }
};
