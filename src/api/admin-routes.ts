/** The admin API: what people, the command line, the page and a remote provider may ask of the daemon. Never on the listener that hosts boot from. */
import type { Rack } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { Lease } from '../wire/words.ts';
import type { HttpRequest, Route } from '../world/world.ts';
import { claimRoutes } from './admin-claims.ts';
import { hostRoutes } from './admin-hosts.ts';
import { imageRoutes } from './admin-images.ts';
import type { ImageDesk } from './admin-images.ts';
import { toLeaseJson } from './admin-json.ts';
import { items, json } from './json.ts';
import type { StatusJson } from './types.ts';

export interface AdminDeps {
  readonly rack: Rack;
  readonly images: ImageDesk;
  readonly leases: () => readonly Lease[];
  readonly status: () => Promise<StatusJson>;
}

/**
 * A page of another site that made its name point at this machine (DNS rebinding) sends that name here. People come by address, by
 * `localhost` or by a name without a dot, such as a container's. The Unix socket is no exception: something may carry a port to it.
 */
const refuseForeignName = (request: HttpRequest): void => {
  const name = (request.headers['host'] ?? '').toLowerCase().replace(/:\d+$/, '');
  if (/^[\d.]+$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name) || /^[a-z0-9-]*$/.test(name)) return;
  throw new RemudaError('bad-request', `this daemon is not called ${JSON.stringify(name.slice(0, 64))}: ask it by its address`);
};
const guarded = (route: Route): Route => ({
  ...route,
  handle: async (request) => {
    refuseForeignName(request);
    return route.handle(request);
  },
});

const otherRoutes = (deps: AdminDeps): readonly Route[] => [
  {
    method: 'GET',
    path: '/v1/leases',
    handle: async () => {
      const hosts = (await deps.rack.hosts()).map(({ host }) => host);
      return items(
        deps.leases().map((lease) =>
          toLeaseJson(
            lease,
            hosts.find((host) => host.macs.includes(lease.mac)),
          ),
        ),
      );
    },
  },
  { method: 'GET', path: '/v1/status', handle: async () => json(200, await deps.status()) },
  {
    method: 'GET',
    path: '/healthz',
    handle: async () => {
      // Asks the store, so that a daemon that lost it is not called healthy.
      await deps.rack.hosts();
      return json(200, { status: 'ok' });
    },
  },
];

/** All routes of the admin listener. Handlers throw RemudaError; the adapter makes problem+json of it. */
export const adminRoutes = (deps: AdminDeps): readonly Route[] =>
  [...hostRoutes(deps.rack), ...claimRoutes(deps.rack), ...imageRoutes(deps.images, deps.rack), ...otherRoutes(deps)].map(guarded);
