/** Claims over the API: what is claimed, a claim and its dry run, reprovision, release. */
import { z } from 'zod';
import { claimIdSchema, claimPutSchema, claimSchema, releaseSchema, reprovisionSchema } from '../control/rack.ts';
import type { ClaimRequest, HostView, Rack, ReleaseWish } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { HttpReply, HttpRequest } from '../world/world.ts';
import { changedHost, hostOrDryRuns, intentBytesMax, reprovisioned } from './admin-hosts.ts';
import { toClaimJson, toStandingJson } from './admin-json.ts';
import { items, json, parse } from './json.ts';
import { adminRoute } from './route.ts';
import type { AdminRoute, Asked } from './route.ts';
import { claimJson, hostJson, itemsOf, standingJson } from './types.ts';

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

/** 201 for a new claim, 200 for one that stands already as it was asked. */
const create = async (
  rack: Rack,
  body: ClaimRequest,
  { request, as }: Pick<Asked<unknown, unknown>, 'request' | 'as'>,
): Promise<HttpReply> => {
  if (body.dryRun) return items(await rack.dryRun(body));
  const { host, isNew } = await rack.claim(body, as, request.signal);
  return changedHost(rack, host, isNew ? 201 : 200);
};
/** A DELETE has no body that every proxy lets pass (RFC 9110 §9.3.5), so the wish stands in the query. */
const releaseQuery = z
  .strictObject({
    /** Only say what would happen to each disk. */
    dryRun: z
      .enum(['true', 'false'])
      .transform((text) => text === 'true')
      .default(false),
    /** Once it is clean, the host is kept for claims with `reuse.of` this word, … */
    reserveFor: z.string().min(1).max(253).optional(),
    /** … for so long. */
    reserveSeconds: z
      .string()
      .regex(/^\d{1,9}$/, 'a number of seconds')
      .transform(Number)
      .optional(),
  })
  .refine(({ reserveFor, reserveSeconds }) => (reserveFor === undefined) === (reserveSeconds === undefined), {
    message: 'say reserveFor and reserveSeconds, or neither',
  });
const wishOf = ({ reserveFor, reserveSeconds }: z.output<typeof releaseQuery>): ReleaseWish =>
  reserveFor === undefined ? {} : parse(releaseSchema, { reserve: { for: reserveFor, seconds: reserveSeconds } }, 'the query');

const tag = 'claims';
const readRoutes = (rack: Rack): readonly AdminRoute[] => [
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
    id: 'getStanding',
    method: 'GET',
    path: '/v1/claims/:claim/standing',
    role: 'viewer',
    summary: 'What became of a claim, however old: unknown, held, leaving (its host is being cleaned) or over',
    tag,
    replies: { 200: standingJson },
    handle: async ({ request }) => json(200, toStandingJson(await rack.standing(claimOf(request)))),
  }),
];
const changeRoutes = (rack: Rack): readonly AdminRoute[] => [
  adminRoute({
    id: 'createClaim',
    method: 'POST',
    path: '/v1/claims',
    role: 'operator',
    summary: 'Claim a host; with `dryRun` only say what would happen to each disk; with `waitSeconds` wait until one fits',
    tag,
    bodyBytesMax: intentBytesMax,
    body: claimSchema,
    replies: { 201: hostJson, 200: hostOrDryRuns },
    handle: (asked) => create(rack, asked.body, asked),
  }),
  adminRoute({
    id: 'putClaim',
    method: 'PUT',
    path: '/v1/claims/:claim',
    role: 'operator',
    summary: 'Claim a host under an ID of the client: the same request again gets the same host',
    tag,
    bodyBytesMax: intentBytesMax,
    body: claimPutSchema,
    replies: { 201: hostJson, 200: hostOrDryRuns },
    handle: (asked) => create(rack, { ...asked.body, id: parse(claimIdSchema, claimOf(asked.request), 'the claim in the path') }, asked),
  }),
  adminRoute({
    id: 'releaseClaim',
    method: 'DELETE',
    path: '/v1/claims/:claim',
    role: 'operator',
    summary: 'Release the claim: its host is cleaned and becomes available again',
    tag,
    query: releaseQuery,
    replies: { 200: hostOrDryRuns },
    handle: async ({ request, query, as }) =>
      query.dryRun
        ? items([await rack.dryRelease(claimOf(request))])
        : changedHost(rack, await rack.release(claimOf(request), as, wishOf(query))),
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
    replies: { 200: hostOrDryRuns },
    handle: ({ request, body, as }) => reprovisioned(rack, claimOf(request), body, as),
  }),
];
export const claimRoutes = (rack: Rack): readonly AdminRoute[] => [...readRoutes(rack), ...changeRoutes(rack)];
