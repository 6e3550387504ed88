/** The admin API: what people, the command line, the page and a remote provider may ask of the daemon. Never on the listener that hosts boot from. */
import type { Rack } from '../control/rack.ts';
import type { Store } from '../store/store.ts';
import type { Clock, Route } from '../world/world.ts';
import { bmcRoutes } from './admin-bmc.ts';
import type { ProbeBmc } from './admin-bmc.ts';
import { claimRoutes } from './admin-claims.ts';
import { hostRoutes } from './admin-hosts.ts';
import { backupRoutes } from './admin-backup.ts';
import type { MakeBackup } from './admin-backup.ts';
import { imageRoutes } from './admin-images.ts';
import type { ImageDesk } from './admin-images.ts';
import { auditRoutes, tokenRoutes } from './admin-tokens.ts';
import type { AuditTrail } from './audit.ts';
import type { Door } from './door.ts';
import { daemonRoutes } from './admin-daemon.ts';
import type { DaemonDeps } from './admin-daemon.ts';
import { eventRoutes } from './events.ts';
import type { EventDeps } from './events.ts';
import type { AdminRoute } from './route.ts';
import type { TokenBook } from './tokens.ts';

export interface AdminDeps extends DaemonDeps, EventDeps {
  readonly rack: Rack;
  readonly images: ImageDesk;
  readonly backup: MakeBackup;
  readonly probeBmc: ProbeBmc;
  readonly tokens: TokenBook;
  readonly audit: AuditTrail;
  readonly clock: Pick<Clock, 'now'>;
  readonly door: Door;
  readonly journal: Pick<Store, 'journal' | 'newestEntry'>;
}

/** The table: all that the admin API offers. */
export const adminTable = (deps: AdminDeps): readonly AdminRoute[] => [
  ...hostRoutes(deps.rack),
  ...bmcRoutes(deps.probeBmc),
  ...claimRoutes(deps.rack),
  ...imageRoutes(deps.images, deps.rack),
  ...tokenRoutes(deps.tokens, deps.clock),
  ...auditRoutes(deps.audit),
  ...eventRoutes(deps),
  ...backupRoutes(deps.backup),
  ...daemonRoutes(deps, () => adminTable(deps)),
];
/** The routes of the Unix socket: the permissions of its file are the guard, and who may open it is an admin. */
export const adminRoutes = (deps: AdminDeps): readonly Route[] => adminTable(deps).map((row) => deps.door.route(row, 'socket'));
/** The same routes for every other listener, where each request brings a token. */
export const tokenGuardedRoutes = (deps: AdminDeps): readonly Route[] => adminTable(deps).map((row) => deps.door.route(row, 'token'));
