/** Metal over the API of a daemon elsewhere: its token says what it may do, and every answer is checked against the schemas of the API. */
import { z } from 'zod';
import { RemudaError, codeOf } from '../errors.ts';
import { hostJson, imageJson, itemsOf, leaseJson, powerJson, standingJson, timelineJson } from '../api/types.ts';
import type { PowerVerb, ReleaseWish } from '../control/rack.ts';
import { DaemonCalls, checkPlace, textOf } from './daemon-calls.ts';
import type { DaemonParts, DaemonPlace } from './daemon-calls.ts';
import { unlessOver } from './local-metal.ts';
import { addressesOf } from './metal.ts';
import type { Metal } from './metal.ts';
import { RackNews } from './rack-news.ts';

const part = (text: string): string => encodeURIComponent(text);
const hostAt = (idOrName: string): string => `/v1/hosts/${part(idOrName)}`;
const claimAt = (claimId: string): string => `/v1/claims/${part(claimId)}`;
const releaseQuery = ({ reserve }: ReleaseWish): string =>
  reserve === undefined ? '' : `?${new URLSearchParams({ reserveFor: reserve.for, reserveSeconds: String(reserve.seconds) }).toString()}`;
/** Asked twice, these interrupt twice. */
const interrupts: ReadonlySet<PowerVerb> = new Set(['soft', 'cycle', 'reset']);

/** No claim has this ID: nobody is asked about it in earnest. */
const nobodys = claimAt('remuda-controller');
/** Only for the code of the answer. */
const anything = z.unknown();
/**
 * Asks the daemon something small, once, and throws what keeps us from working with it. Whether the token may claim and release is seen by
 * the answer to the dry run of a release of nothing: a token never gets another role, so it is asked until one answer came.
 */
export const rackProbe = (parts: Omit<DaemonParts, 'until'>): ((until: AbortSignal) => Promise<void>) => {
  let role: RemudaError | 'known' | undefined = 'socket' in parts.place ? 'known' : undefined;
  return async (until) => {
    const calls = new DaemonCalls({ ...parts, until });
    await calls
      .ask({ method: 'GET', path: `${nobodys}/standing`, schema: standingJson, isRepeatable: false })
      .catch((error: unknown) => rethrow(parts.place, error));
    role ??= await calls.ask({ method: 'DELETE', path: `${nobodys}?dryRun=true`, schema: anything, isRepeatable: false }).then(
      () => 'known' as const,
      (error: unknown) => roleIn(error),
    );
    if (role !== 'known') throw role;
  };
};
/** The API has that path, and what became of any claim: a Remuda that has not is another of its listeners. */
const rethrow = (place: DaemonPlace, error: unknown): never => {
  if (codeOf(error) !== 'not-found') throw error;
  throw new RemudaError('rack-unreachable', `what answers at ${textOf(place)} is a Remuda, but not its API (port 7443 is for agents)`, {
    cause: error,
    next: checkPlace(place),
  });
};
const roleIn = (error: unknown): RemudaError | 'known' => {
  if (codeOf(error) === 'claim-not-found') return 'known';
  if (!(error instanceof RemudaError) || error.code !== 'forbidden') throw error;
  const { has } = error.values;
  return new RemudaError('forbidden', `the token\u2019s role is ${typeof has === 'string' ? has : 'another one'}; operator is needed`, {
    cause: error,
    next: 'remuda token create NAME --role operator makes such a token; give it by --token-file FILE or in REMUDA_TOKEN',
  });
};

/** See Metal. Needs a token of the role `operator`. */
export const remoteMetal = (parts: DaemonParts): Metal => {
  const calls = new DaemonCalls(parts);
  const news = new RackNews(parts, calls);
  const read = async <T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>> =>
    (await calls.ask({ method: 'GET', path, schema, isRepeatable: true })).value;
  const standing = (claimId: string): ReturnType<Metal['standing']> => read(`${claimAt(claimId)}/standing`, standingJson);
  return {
    hosts: async () => (await read('/v1/hosts', itemsOf(hostJson))).items,
    host: (idOrName) => read(hostAt(idOrName), hostJson),
    images: async () => (await read('/v1/images', itemsOf(imageJson))).items,
    standing,
    leases: async (host) => addressesOf((await read('/v1/leases', itemsOf(leaseJson))).items, host, parts.clock.now()),
    claim: async ({ id, ...request }) => {
      const body = { ...request, waitSeconds: 0, dryRun: false };
      const { status, value } = await calls.ask({ method: 'PUT', path: claimAt(id), body, schema: hostJson, isRepeatable: true });
      return { host: value, isNew: status === 201 };
    },
    // A second one would be the next generation, so an answer that got lost is not asked for again.
    reprovision: async (claimId, wanted, ifVersion) => {
      const path = `${claimAt(claimId)}/reprovision`;
      const seen = ifVersion === undefined ? {} : { ifVersion };
      return (await calls.ask({ method: 'POST', path, body: wanted, schema: hostJson, isRepeatable: false, ...seen })).value;
    },
    release: async (claimId, wish) => {
      await calls
        .ask({ method: 'DELETE', path: `${claimAt(claimId)}${releaseQuery(wish)}`, schema: hostJson, isRepeatable: true })
        .catch((error: unknown) => unlessOver(error, () => standing(claimId)));
    },
    power: async (idOrName, wanted) => {
      const path = `${hostAt(idOrName)}/power`;
      const isRepeatable = !interrupts.has(wanted);
      const { value } = await calls.ask({ method: 'POST', path, body: { power: wanted }, schema: powerJson, isRepeatable });
      return { observed: value.observed, settled: value.settled };
    },
    retry: async (idOrName) => {
      await calls.ask({ method: 'POST', path: `${hostAt(idOrName)}/retry`, body: {}, schema: hostJson, isRepeatable: false });
    },
    timeline: async (idOrName, most) => (await read(`${hostAt(idOrName)}/timeline?most=${most}`, timelineJson)).items,
    changed: (ms, signal) => news.changed(ms, signal),
  };
};
