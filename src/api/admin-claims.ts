/** Claims over the API: what is claimed, a claim and its dry run, reprovision, release. */
import { claimSchema, reprovisionSchema } from '../control/rack.ts';
import type { ClaimRequest, HostView, Rack } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { HttpReply, HttpRequest } from '../world/world.ts';
import { changedHost, intentBytesMax } from './admin-hosts.ts';
import { toClaimJson } from './admin-json.ts';
import { items, json } from './json.ts';
import { adminRoute } from './route.ts';
import type { AdminRoute, Asked } from './route.ts';
import { claimJson, dryRunJson, hostJson, itemsOf } from './types.ts';

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

const create = async (rack: Rack, { body, as }: Asked<ClaimRequest, undefined>): Promise<HttpReply> => {
  if (body.dryRun) return items(await rack.dryRun(body));
  return changedHost(rack, await rack.claim(body, as), 201);
};

const tag = 'claims';
export const claimRoutes = (rack: Rack): readonly AdminRoute[] => [
  adminRoute({
    id: 'listClaims',
    method: 'GET',
    path: '/v1/claims',
    role: 'viewer',
    summary: 'All claims and the hosts that they hold',
    tag,
    replies: { 200: itemsOf(claimJson) },
    handle: async () => items((await rack.hosts()).map(toClaimJson).filter((one) => one !== undefined)),
  }),
  adminRoute({
    id: 'createClaim',
    method: 'POST',
    path: '/v1/claims',
    role: 'operator',
    summary: 'Claim a host; with `dryRun` only say what would happen to each disk',
    tag,
    bodyBytesMax: intentBytesMax,
    body: claimSchema,
    replies: { 201: hostJson, 200: itemsOf(dryRunJson) },
    handle: (asked) => create(rack, asked),
  }),
  adminRoute({
    id: 'getClaim',
    method: 'GET',
    path: '/v1/claims/:claim',
    role: 'viewer',
    summary: 'One claim',
    tag,
    replies: { 200: claimJson },
    handle: ({ request }) => found(rack, claimOf(request)),
  }),
  adminRoute({
    id: 'releaseClaim',
    method: 'DELETE',
    path: '/v1/claims/:claim',
    role: 'operator',
    summary: 'Release the claim: its host is cleaned and becomes available again',
    tag,
    replies: { 200: hostJson },
    handle: async ({ request, as }) => changedHost(rack, await rack.release(claimOf(request), as)),
  }),
  adminRoute({
    id: 'reprovisionClaim',
    method: 'POST',
    path: '/v1/claims/:claim/reprovision',
    role: 'operator',
    summary: 'Put the next generation of the claim on its disk',
    tag,
    bodyBytesMax: intentBytesMax,
    body: reprovisionSchema,
    replies: { 200: hostJson },
    handle: async ({ request, body, as }) => changedHost(rack, await rack.reprovision(claimOf(request), body, as)),
  }),
];
