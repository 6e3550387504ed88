/** The daemon itself over the API: leases, status, health, readiness, metrics, and the description of the API. */
import { z } from 'zod';
import type { Rack } from '../control/rack.ts';
import type { Store } from '../store/store.ts';
import type { Lease } from '../wire/words.ts';
import { toLeaseJson } from './admin-json.ts';
import { items, json } from './json.ts';
import { openApi } from './openapi.ts';
import { adminRoute } from './route.ts';
import type { AdminRoute } from './route.ts';
import { healthJson, readyJson, reloadJson, statusJson } from './access-types.ts';
import { itemsOf, leaseJson } from './types.ts';
import type { ReloadJson, StatusJson } from './access-types.ts';

export interface DaemonDeps {
  readonly rack: Pick<Rack, 'hosts'>;
  readonly leases: () => readonly Lease[];
  readonly status: () => Promise<StatusJson>;
  readonly journal: Pick<Store, 'newestEntry'>;
  /** Why the daemon is not ready to serve; empty where it is. */
  readonly unready: () => Promise<readonly string[]>;
  readonly metrics: { readonly contentType: string; readonly text: () => Promise<string>; readonly isPublic: boolean };
  readonly version: string;
  /** Reads the configuration again; `bad-config` where it is wrong, and then nothing changed. */
  readonly reload: () => Promise<ReloadJson>;
}

/** What watches the daemon asks these. */
const watchRoutes = (deps: DaemonDeps): readonly AdminRoute[] => [
  adminRoute({
    id: 'getHealth',
    method: 'GET',
    path: '/healthz',
    role: 'anyone',
    summary:
      'Is the daemon alive: does it answer, and can it read its store? Where not, start it again; this says nothing of cables and disks',
    tag: 'daemon',
    replies: { 200: healthJson },
    handle: async () => {
      // Asks the store, so that a daemon that lost it is not called healthy.
      await deps.journal.newestEntry();
      return json(200, { status: 'ok' });
    },
  }),
  adminRoute({
    id: 'getReadiness',
    method: 'GET',
    path: '/readyz',
    role: 'anyone',
    summary:
      'Does the daemon serve all that it should: ports, boot files, a store that keeps changes, room for them? 503 with the reasons where not: they are for a person, a restart seldom helps; a pulled cable is a warning of /v1/status',
    tag: 'daemon',
    replies: { 200: readyJson, 503: readyJson },
    handle: async () => {
      const reasons = await deps.unready();
      return json(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
    },
  }),
  adminRoute({
    id: 'getMetrics',
    method: 'GET',
    path: '/metrics',
    role: deps.metrics.isPublic ? 'anyone' : 'viewer',
    summary: 'Counters, durations and gauges for Prometheus',
    tag: 'daemon',
    replies: { 200: { media: 'text/plain', what: 'The text format of Prometheus' } },
    handle: async () => ({
      status: 200,
      headers: { 'content-type': deps.metrics.contentType, 'cache-control': 'no-store' },
      body: await deps.metrics.text(),
    }),
  }),
];

/** `table` is the whole table, these rows among them. */
export const daemonRoutes = (deps: DaemonDeps, table: () => readonly AdminRoute[]): readonly AdminRoute[] => [
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
    id: 'reload',
    method: 'POST',
    path: '/v1/reload',
    role: 'admin',
    summary: 'Read the configuration again: what can change while the daemon runs holds at once, what cannot is named',
    tag: 'daemon',
    body: z.strictObject({}),
    replies: { 200: reloadJson },
    handle: async () => json(200, await deps.reload()),
  }),
  adminRoute({
    id: 'getDescription',
    method: 'GET',
    path: '/v1/openapi.json',
    role: 'viewer',
    summary: 'This description',
    tag: 'daemon',
    replies: { 200: { media: 'application/json', what: 'OpenAPI 3.1' } },
    handle: async () => json(200, openApi(table(), deps.version)),
  }),
  ...watchRoutes(deps),
];
