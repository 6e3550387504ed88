/** The routes of a daemon over a rack in memory, and the rack as a controller elsewhere sees it through them. */
import { tokenGuardedRoutes } from '../../src/api/admin-routes.ts';
import { RemudaError } from '../../src/errors.ts';
import { remoteMetal } from '../../src/kube/remote-metal.ts';
import type { DaemonPlace } from '../../src/kube/daemon-calls.ts';
import { limits } from '../../src/limits.ts';
import type { Http } from '../../src/world/world.ts';
import { fakeAccess } from '../api/access-parts.ts';
import { fakeDeps, image } from '../api/admin-rack.ts';
import { leasesOf } from '../compliance/metal.ts';
import type { MetalBench } from '../compliance/metal.ts';

export const alpha = { ...image('alpha'), seed: null, phoneHome: 'none' as const };
/** Sleeps are over at once and noted; nothing else ever fires. */
export const clockWith = (slept: number[]) => ({
  now: () => 0,
  sleep: async (ms: number) => void slept.push(ms),
  after: () => () => {},
  soon: (run: () => void) => queueMicrotask(run),
});
export const daemonOver = async (bench: Omit<MetalBench, 'metal' | 'end'>) => {
  const access = fakeAccess({ apiRequestsBurst: 10_000 });
  const fakes = fakeDeps();
  fakes.desk.entries.splice(0, fakes.desk.entries.length, alpha);
  const deps = { ...fakes.deps, ...access.deps, rack: bench.rack, journal: bench.store, leases: () => leasesOf(bench.keeper.all()) };
  const { token } = await access.deps.tokens.create({ name: 'controller', role: 'operator', expiresAt: null });
  return {
    tokenOf: async (role: 'viewer' | 'operator' | 'admin') =>
      (await access.deps.tokens.create({ name: `a-${role}`, role, expiresAt: null })).token,
    audit: () => access.deps.audit.log({ most: 100 }),
    routes: tokenGuardedRoutes(deps),
    metalAt: (http: Pick<Http, 'call' | 'stream'>, where: Omit<Extract<DaemonPlace, { url: string }>, 'token'>) => {
      const slept: number[] = [];
      const life = new AbortController();
      const place = { ...where, token };
      const parts = { http, clock: clockWith(slept), random: { next: () => 0 }, limits, place, until: life.signal };
      return { metal: remoteMetal(parts), slept, end: () => life.abort(new RemudaError('internal', 'the test is over')) };
    },
  };
};
