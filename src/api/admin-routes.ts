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
import { adminRoute } from './route.ts';
import type { AdminRoute, Caller } from './route.ts';
import { healthJson, itemsOf, leaseJson, statusJson } from './types.ts';
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
/** Who asks over the socket, for the timeline: a name that the client says of itself, not a proof. */
const callerOf = (request: HttpRequest): Caller => {
  const said = request.headers['x-remuda-user'] ?? '';
  return { name: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(said) ? said : 'operator', role: 'admin' };
};
const guarded = ({ method, path, bodyBytesMax, handle }: AdminRoute): Route => ({
  method,
  path,
  ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }),
  handle: async (request) => {
    refuseForeignName(request);
    return handle(request, callerOf(request));
  },
});

const otherRoutes = (deps: AdminDeps): readonly AdminRoute[] => [
  adminRoute({
    id: 'listLeases',
    method: 'GET',
    path: '/v1/leases',
    role: 'viewer',
    summary: 'All DHCP leases',
    tag: 'daemon',
    replies: { 200: itemsOf(leaseJson) },
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
  }),
  adminRoute({
    id: 'getStatus',
    method: 'GET',
    path: '/v1/status',
    role: 'viewer',
    summary: 'What the daemon knows of itself',
    tag: 'daemon',
    replies: { 200: statusJson },
    handle: async () => json(200, await deps.status()),
  }),
  adminRoute({
    id: 'getHealth',
    method: 'GET',
    path: '/healthz',
    role: 'anyone',
    summary: 'Is the daemon alive: does its store answer?',
    tag: 'daemon',
    replies: { 200: healthJson },
    handle: async () => {
      // Asks the store, so that a daemon that lost it is not called healthy.
      await deps.rack.hosts();
      return json(200, { status: 'ok' });
    },
  }),
];

/** The table: all that the admin API offers. */
export const adminTable = (deps: AdminDeps): readonly AdminRoute[] => [
  ...hostRoutes(deps.rack),
  ...claimRoutes(deps.rack),
  ...imageRoutes(deps.images, deps.rack),
  ...otherRoutes(deps),
];
/** All routes of the admin listener. Handlers throw RemudaError; the adapter makes problem+json of it. */
export const adminRoutes = (deps: AdminDeps): readonly Route[] => adminTable(deps).map(guarded);
