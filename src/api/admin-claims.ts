/** Claims over the API: what is claimed, a claim and its dry run, reprovision, release. */
import { claimSchema, reprovisionSchema } from '../control/rack.ts';
import type { HostView, Rack } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { HttpReply, HttpRequest, Route } from '../world/world.ts';
import { askerOf, changedHost, intentBytesMax } from './admin-hosts.ts';
import { toClaimJson } from './admin-json.ts';
import { bodyOf, items, json } from './json.ts';

const claimOf = (request: HttpRequest): string => request.params['claim'] ?? '';

const found = async (rack: Rack, id: string): Promise<HttpReply> => {
  const views = await rack.hosts();
  const claim = views.map(toClaimJson).find((one) => one?.id === id);
  if (claim !== undefined) return json(200, claim);
  const cleaning = views.find(({ host }: HostView) => host.release?.claimId === id)?.host;
  throw new RemudaError(
    'claim-not-found',
    cleaning === undefined
      ? `there is no claim ${JSON.stringify(id)}, or it was released`
      : `claim ${JSON.stringify(id)} was released; its host ${cleaning.name} is being cleaned`,
  );
};

const create = async (rack: Rack, request: HttpRequest): Promise<HttpReply> => {
  const wanted = bodyOf(claimSchema, request);
  if (wanted.dryRun) return items(await rack.dryRun(wanted));
  return changedHost(rack, await rack.claim(wanted, askerOf(request)), 201);
};

export const claimRoutes = (rack: Rack): readonly Route[] => [
  {
    method: 'GET',
    path: '/v1/claims',
    handle: async () => items((await rack.hosts()).map(toClaimJson).filter((one) => one !== undefined)),
  },
  { method: 'POST', path: '/v1/claims', bodyBytesMax: intentBytesMax, handle: (request) => create(rack, request) },
  { method: 'GET', path: '/v1/claims/:claim', handle: (request) => found(rack, claimOf(request)) },
  {
    method: 'DELETE',
    path: '/v1/claims/:claim',
    handle: async (request) => changedHost(rack, await rack.release(claimOf(request), askerOf(request))),
  },
  {
    method: 'POST',
    path: '/v1/claims/:claim/reprovision',
    bodyBytesMax: intentBytesMax,
    handle: async (request) =>
      changedHost(rack, await rack.reprovision(claimOf(request), bodyOf(reprovisionSchema, request), askerOf(request))),
  },
];
