/** Serving: the daemon with its admin listeners, until the world ends. */
import { dirname } from 'node:path';
import type { ImageDesk } from './api/admin-images.ts';
import { adminRoutes, tokenGuardedRoutes } from './api/admin-routes.ts';
import type { AdminDeps } from './api/admin-routes.ts';
import { AuditTrail } from './api/audit.ts';
import { Door } from './api/door.ts';
import { TokenBook } from './api/tokens.ts';
import type { ReloadJson } from './api/access-types.ts';
import type { ApiListener } from './config/api.ts';
import { missingInterfaces } from './config/check.ts';
import { apiListeners, parseConfig } from './config/config.ts';
import type { Config } from './config/config.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { RemudaError, codeOf, reasonOf } from './errors.ts';
import type { ImageStore } from './image/store.ts';
import { provideHere } from './provider-here.ts';
import type { ProviderHere } from './provider-here.ts';
import { readingOf, statusOf, unreadyOf } from './status.ts';
import type { Watched } from './status.ts';
import { identityFromFiles, validUntil } from './world/certificate.ts';
import { ended } from './world/ending.ts';
import { prometheusMeter } from './world/meter.ts';
import type { PrometheusMeter } from './world/meter.ts';
import type { Files, HttpListen, Identity, Listener, World } from './world/world.ts';

/** The configuration in this file; `bad-config` says where it is wrong. `otherwise` is what a command can do that finds none. */
export const readConfig = async (
  files: Pick<Files, 'read'>,
  path: string,
  otherwise = `begin one: remuda config example --minimal > ${path}`,
): Promise<Config> => {
  let bytes: Uint8Array;
  try {
    bytes = await files.read(path);
  } catch (cause) {
    if (codeOf(cause) !== 'not-found') throw cause;
    throw new RemudaError('bad-config', `there is no configuration at ${path}`, {
      cause,
      next: `say where it is: --config FILE; or ${otherwise}`,
    });
  }
  return parseConfig(new TextDecoder().decode(bytes), path);
};

const deskOf = (images: ImageStore): ImageDesk => ({
  list: () => images.list(),
  find: (nameOrDigest) => images.find(nameOrDigest),
  manifest: (digest) => images.manifest(digest),
  import: (source, wish, onProgress) => images.import(source, { ...wish, onProgress }),
  verify: (digest, onProgress) => images.verify(digest, onProgress),
  remove: (nameOrDigest) => images.remove(nameOrDigest),
  collect: (options) => images.collect(options),
});

/** One line in a frame of words that nobody overlooks; the token stands nowhere else, in clear neither in the store nor in the log. */
const firstTokenText = (token: string): string =>
  `\nThe first token of the API, an admin's. It is shown this once:\n\n    ${token}\n\nUse it: remuda login URL. Lost? Over the Unix socket: remuda token create NAME --role admin\n\n`;

const identityOf = async (world: World, { tls }: ApiListener, daemon: Daemon): Promise<Identity | undefined> => {
  if (tls === 'none') return undefined;
  if (tls === 'self-signed') return daemon.identity;
  try {
    return await identityFromFiles(world.files, tls, world.clock.now());
  } catch (cause) {
    if (codeOf(cause) !== 'not-found') throw cause;
    throw new RemudaError('bad-config', `the API's certificate: ${reasonOf(cause)}`, { cause });
  }
};

export interface ServeOptions {
  readonly version: string;
  /** Ends the service in good order. */
  readonly until: AbortSignal;
  /** To the console of whoever started the daemon. */
  readonly say: (text: string) => void;
  /** The configuration as its file has it now; `bad-config` where it is wrong. */
  readonly reread: () => Promise<Config>;
  /** The level of the world's log; a reload changes it. */
  readonly logLevel: { current: string };
  /** Runs `reload` at each SIGHUP. */
  readonly onHangup: (reload: () => void) => void;
}
interface Served extends ServeOptions {
  readonly world: World;
  readonly config: Config;
  readonly daemon: Daemon;
  readonly meter: PrometheusMeter;
  readonly reload: () => Promise<ReloadJson>;
  readonly provider: ProviderHere | undefined;
}

/** Takes up a changed configuration, one after the other; a faulty one changes nothing. */
const reloading = (world: World, daemon: Daemon, { reread, logLevel }: ServeOptions): (() => Promise<ReloadJson>) => {
  let last: Promise<unknown> = Promise.resolve();
  const reload = async (): Promise<ReloadJson> => {
    const { running, applied, restart } = daemon.reload(await reread());
    logLevel.current = running.log;
    world.log.info('the configuration was read again', { applied, restart });
    return { applied: [...applied], restart: [...restart] };
  };
  return () => {
    const turn = last.then(reload);
    // The next turn begins whatever became of this one; whoever asked for this one is told.
    last = turn.catch(() => {});
    return turn;
  };
};

/** Everything that the routes of people need, built once. */
const adminParts = async ({
  world,
  config,
  daemon,
  meter,
  version,
  until,
  say,
  reload,
  provider,
}: Served): Promise<{ readonly deps: AdminDeps; readonly admin: Watched[] }> => {
  const { clock, random, log } = world;
  const { records: store, limits, rack } = daemon;
  const tokens = await TokenBook.open({ store, clock, random, limits });
  if (tokens.isEmpty && apiListeners(config).length > 0) {
    const { token } = await tokens.create({ name: 'first', role: 'admin', expiresAt: null });
    say(firstTokenText(token));
    log.info('the first token was made and shown', { name: 'first' });
  }
  const audit = new AuditTrail({ store, clock, limits });
  const door = new Door({ tokens, audit, clock, random, log, meter, limits, names: config.api.names });
  const admin: Watched[] = [];
  const parts = {
    world,
    daemon,
    version,
    tokens,
    admin,
    provider,
    get config() {
      return daemon.config();
    },
  };
  const metrics = {
    contentType: meter.contentType,
    isPublic: config.api.publicMetrics,
    text: async () => meter.text(await readingOf(parts)),
  };
  const deps: AdminDeps = {
    rack,
    images: deskOf(daemon.images),
    backup: (options) => daemon.backup(version, options),
    probeBmc: (target, signal) => daemon.probeBmc(target, signal),
    leases: () => daemon.leases(),
    status: () => statusOf(parts),
    unready: () => unreadyOf(parts),
    metrics,
    version,
    reload,
    tokens,
    audit,
    clock,
    door,
    journal: store,
    limits,
    until,
  };
  return { deps, admin };
};

/** The Unix socket always, TCP where it is configured and then by token alone. */
const listenForPeople = async (served: Served): Promise<readonly Listener[]> => {
  const { world, config, daemon } = served;
  const { deps, admin } = await adminParts(served);
  await world.files.makeFolder(dirname(config.socket));
  const listeners: Listener[] = [];
  const listen = async (options: HttpListen, at: string): Promise<void> => {
    const listener = await world.http.listen(options);
    listeners.push(listener);
    const until = options.identity === undefined ? {} : { certificateUntil: validUntil(options.identity.certificate) };
    admin.push({ at, isListening: () => listener.isListening?.() ?? true, ...until });
    const shown = options.identity === undefined ? {} : { fingerprint: options.identity.fingerprint };
    world.log.info('the API answers', { at, version: served.version, ...shown });
  };
  try {
    await listen({ at: { socket: config.socket }, routes: adminRoutes(deps) }, config.socket);
    const routes = tokenGuardedRoutes(deps);
    for (const api of apiListeners(config)) {
      const { address, port } = api;
      const identity = await identityOf(world, api, daemon);
      await listen({ at: { address, port }, routes, ...(identity === undefined ? {} : { identity }) }, `${address}:${port}`);
    }
  } catch (error) {
    await Promise.allSettled(listeners.map((listener) => listener.close()));
    throw error;
  }
  return listeners;
};

/** Serves until it is asked to end, and ends in good order while the world still stands; throws what `startDaemon` and the listeners throw. */
export const serve = async (world: World, config: Config, options: ServeOptions): Promise<void> => {
  const [missing] = await missingInterfaces(world, config);
  if (missing !== undefined) throw new RemudaError('bad-config', missing);
  const meter = prometheusMeter();
  const daemon = await startDaemon(world, config, undefined, meter);
  let listeners: readonly Listener[] = [];
  const { version } = options;
  const provider = config.kubernetes && provideHere({ world, config: config.kubernetes, daemon, meter, version });
  try {
    const reload = reloading(world, daemon, options);
    listeners = await listenForPeople({ world, config, daemon, meter, reload, provider, ...options });
    options.onHangup(() => {
      reload().catch((error: unknown) =>
        world.log.error('the configuration was not taken up; all stays as it was', { reason: reasonOf(error) }),
      );
    });
    await ended(options.until);
    world.log.info('ending');
  } finally {
    await Promise.allSettled([...listeners.map((listener) => listener.close()), provider?.stop()]);
    await daemon.stop();
  }
};
