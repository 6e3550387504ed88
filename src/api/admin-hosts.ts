/** Hosts over the API: list, enrol, accept, power, hold, retry, reprovision, forget, and the timeline as a long poll. */
import { z } from 'zod';
import {
  acceptSchema,
  bmcPutSchema,
  describeSchema,
  enrolmentsSchema,
  enrolSchema,
  holdSchema,
  locateSchema,
  macsSchema,
  powerSchema,
  reprovisionSchema,
} from '../control/rack.ts';
import type { Asker, HostView, Rack } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { limits } from '../limits.ts';
import type { HttpReply, HttpRequest } from '../world/world.ts';
import { allowBmcAt } from './admin-bmc.ts';
import { toHostJson, toTimelineRow } from './admin-json.ts';
import { tagOf } from './etag.ts';
import { chosenHosts, hostsQuery } from './host-list.ts';
import { items, json, nothing } from './json.ts';
import { pageOf, pageReply, paged } from './page.ts';
import { adminRoute } from './route.ts';
import type { AdminRoute, AdminRow, Asked } from './route.ts';
import { dryRunJson, enrolmentsJson, hostJson, itemsOf, powerJson, timelineJson } from './types.ts';

const hostOf = (request: HttpRequest): string => request.params['host'] ?? '';
/** A host with its version as the ETag, for `If-Match`. */
const hostReply = (status: number, view: HostView): HttpReply => {
  const reply = json(status, toHostJson(view));
  return { ...reply, headers: { ...reply.headers, etag: tagOf(view.host.version) } };
};
/** The host after a change, with what it does now. */
export const changedHost = async (rack: Rack, { id }: Host, status = 200): Promise<HttpReply> => hostReply(status, await rack.host(id));

/** An intent carries the user data, and JSON may write one byte of it as six: `\u0000`. The rack itself counts the bytes. */
export const intentBytesMax = 6 * limits.userDataBytes + limits.httpBodyBytes;

const noBody = z.strictObject({});
const rowWithBmc = z.object({ bmc: z.object({ url: z.string() }) });
/** Of a row that was not checked yet. */
const bmcUrlIn = (row: unknown): string | undefined => rowWithBmc.safeParse(row).data?.bmc.url;

const digits = z
  .string()
  .regex(/^\d{1,15}$/, 'a number')
  .transform(Number);
const timelineQuery = z.strictObject({
  after: digits.optional(),
  most: digits.pipe(z.number().min(1).max(limits.timelineAnswerMax)).default(200),
  waitMs: digits.pipe(z.number().max(limits.timelineWaitMs)).default(0),
});

/** Answers at once where there is something after the cursor, else when something of the rack changed or `waitMs` passed, perhaps with nothing. */
const timeline = async (rack: Rack, { request, query }: Asked<undefined, z.output<typeof timelineQuery>>): Promise<HttpReply> => {
  const { after, most, waitMs } = query;
  const read = (): ReturnType<Rack['timeline']> => rack.timeline(hostOf(request), { ...(after === undefined ? {} : { after }), most });
  const enough = new AbortController();
  // Listening begins before reading: what happens in between would otherwise be told only after `waitMs`.
  const changed = waitMs === 0 ? undefined : rack.changed(waitMs, AbortSignal.any([request.signal, enough.signal]));
  changed?.catch(() => {});
  let rows: Awaited<ReturnType<typeof read>>;
  try {
    rows = await read();
    if (rows.length === 0 && changed !== undefined) {
      await changed;
      rows = await read();
    }
  } finally {
    enough.abort();
  }
  return json(200, { items: rows.map(toTimelineRow), next: rows.at(-1)?.seq ?? after ?? 0 });
};

export const hostOrDryRuns = z.union([hostJson, itemsOf(dryRunJson)]);
export const reprovisioned = async (
  rack: Rack,
  claimId: string,
  { dryRun, ...wanted }: z.output<typeof reprovisionSchema>,
  as: Asker,
): Promise<HttpReply> =>
  dryRun ? items([await rack.dryReprovision(claimId, wanted)]) : changedHost(rack, await rack.reprovision(claimId, wanted, as));
const reprovision = async (rack: Rack, { request, body, as }: Asked<z.output<typeof reprovisionSchema>, undefined>): Promise<HttpReply> => {
  const { host } = await rack.host(hostOf(request));
  if (host.claim === null)
    throw new RemudaError('state-conflict', `host ${host.name} is ${host.state} and no claim holds it: there is nothing to reprovision`);
  return reprovisioned(rack, host.claim.id, body, as);
};

const tag = 'hosts';
/** A row of POST /v1/hosts/:host/<verb>. */
const act = <B extends z.ZodType>(
  verb: string,
  row: Pick<AdminRow<B, z.ZodUndefined>, 'summary' | 'body' | 'handle' | 'bodyBytesMax'> & { readonly replies?: AdminRoute['replies'] },
): AdminRoute =>
  adminRoute<B>({
    id: `${verb}Host`,
    method: 'POST',
    path: `/v1/hosts/:host/${verb}`,
    role: 'operator',
    tag,
    replies: { 200: hostJson },
    ...row,
  });

const readRoutes = (rack: Rack): readonly AdminRoute[] => [
  adminRoute({
    id: 'listHosts',
    method: 'GET',
    path: '/v1/hosts',
    role: 'viewer',
    summary: 'Hosts by name: all, those that fit the filters, or a page of them',
    tag,
    query: hostsQuery,
    replies: { 200: pageOf(hostJson) },
    handle: async ({ query }) =>
      pageReply(
        paged(chosenHosts(await rack.hosts(), query), ({ host }) => host.name, query),
        toHostJson,
      ),
  }),
  adminRoute({
    id: 'getHost',
    method: 'GET',
    path: '/v1/hosts/:host',
    role: 'viewer',
    summary: 'One host, by name or ID',
    tag,
    replies: { 200: hostJson },
    handle: async ({ request }) => hostReply(200, await rack.host(hostOf(request))),
  }),
  adminRoute({
    id: 'getTimeline',
    stays: true,
    method: 'GET',
    path: '/v1/hosts/:host/timeline',
    role: 'viewer',
    summary: 'What happened to the host; with `waitMs` the answer waits for news after the cursor',
    tag,
    query: timelineQuery,
    replies: { 200: timelineJson },
    handle: (asked) => timeline(rack, asked),
  }),
];

const changeRoutes = (rack: Rack): readonly AdminRoute[] => [
  adminRoute({
    id: 'enrolHost',
    method: 'POST',
    path: '/v1/hosts',
    role: 'operator',
    summary: 'Enrol a server: it is accepted, inspected and becomes available',
    tag,
    body: enrolSchema,
    replies: { 201: hostJson },
    handle: async ({ body, as, caller }) => {
      allowBmcAt(body.bmc?.url, caller);
      return changedHost(rack, await rack.enrol(body, as), 201);
    },
  }),
  adminRoute({
    id: 'enrolHosts',
    method: 'POST',
    path: '/v1/enrolments',
    role: 'operator',
    summary: 'Enrol many servers: each row is checked; nothing is written where one is wrong, unless `partial`',
    tag,
    body: enrolmentsSchema,
    bodyBytesMax: limits.enrolmentBytes,
    replies: { 200: enrolmentsJson },
    handle: async ({ body, as, caller }) => {
      for (const row of body.hosts) allowBmcAt(bmcUrlIn(row), caller);
      return json(200, await rack.enrolMany(body, as));
    },
  }),
  adminRoute({
    id: 'forgetHost',
    method: 'DELETE',
    path: '/v1/hosts/:host',
    role: 'operator',
    summary: 'Forget a host that no claim holds, with its timeline',
    tag,
    replies: { 204: 'nothing' },
    handle: async ({ request, as }) => {
      await rack.forget(hostOf(request), as);
      return nothing;
    },
  }),
];

const recordRoutes = (rack: Rack): readonly AdminRoute[] => [
  adminRoute({
    id: 'describeHost',
    method: 'PATCH',
    path: '/v1/hosts/:host',
    role: 'operator',
    summary: 'Change what is said of the host: what is absent stays, null clears, labels are changed one by one',
    tag,
    body: describeSchema,
    replies: { 200: hostJson },
    handle: async ({ request, body, as }) => changedHost(rack, await rack.describe(hostOf(request), body, as)),
  }),
  adminRoute({
    id: 'setBmc',
    method: 'PUT',
    path: '/v1/hosts/:host/bmc',
    role: 'operator',
    summary: 'Address and credentials of the BMC; it is asked first whether it answers, unless `check` is false',
    tag,
    body: bmcPutSchema,
    replies: { 200: hostJson },
    handle: async ({ request, body, as, caller }) => {
      allowBmcAt(body.url, caller);
      return changedHost(rack, await rack.setBmc(hostOf(request), body, as));
    },
  }),
  adminRoute({
    id: 'removeBmc',
    method: 'DELETE',
    path: '/v1/hosts/:host/bmc',
    role: 'operator',
    summary: 'Take the BMC away: from now on the power button is pressed by hand',
    tag,
    replies: { 200: hostJson },
    handle: async ({ request, as }) => changedHost(rack, await rack.setBmc(hostOf(request), null, as)),
  }),
];

const actRoutes = (rack: Rack): readonly AdminRoute[] => [
  act('accept', {
    summary: 'Accept a discovered host',
    body: acceptSchema,
    handle: async ({ request, body, as, caller }) => {
      allowBmcAt(body.bmc?.url, caller);
      return changedHost(rack, await rack.accept(hostOf(request), body, as));
    },
  }),
  act('power', {
    summary: 'One command to the BMC (on, off, soft, cycle, reset), and what one reading showed afterwards',
    body: powerSchema,
    replies: { 200: powerJson },
    handle: async ({ request, body, as }) => {
      const { observed, settled, note } = await rack.power(hostOf(request), body.power, as);
      return json(200, { observed, settled, note: note ?? null });
    },
  }),
  act('locate', {
    summary: 'The identify light at the chassis, on for some seconds or off',
    body: locateSchema,
    replies: { 200: powerJson },
    handle: async ({ request, body, as }) => {
      const { observed, settled, note } = await rack.locate(hostOf(request), body, as);
      return json(200, { observed, settled, note: note ?? null });
    },
  }),
  act('hold', {
    summary: 'Stop all steps of the host until it is let go',
    body: holdSchema,
    handle: async ({ request, body, as }) => changedHost(rack, await rack.hold(hostOf(request), body.why, as)),
  }),
  act('unhold', {
    summary: 'Let a held host go on',
    body: noBody,
    handle: async ({ request, as }) => changedHost(rack, await rack.unhold(hostOf(request), as)),
  }),
  act('retry', {
    summary: 'Try the failed step again',
    body: noBody,
    handle: async ({ request, as }) => changedHost(rack, await rack.retry(hostOf(request), as)),
  }),
  act('unreserve', {
    summary: 'Give up what a release kept the host for: any claim may take it',
    body: noBody,
    handle: async ({ request, as }) => changedHost(rack, await rack.unreserve(hostOf(request), as)),
  }),
  act('reprovision', {
    summary: 'Put the next generation of the claim on the disk of this host',
    bodyBytesMax: intentBytesMax,
    body: reprovisionSchema,
    replies: { 200: hostOrDryRuns },
    handle: (asked) => reprovision(rack, asked),
  }),
  act('macs', {
    summary: "One MAC of the host: adopt it, remove it, or say that it is another machine's (refuse)",
    body: macsSchema,
    handle: async ({ request, body, as }) => changedHost(rack, await rack.macs(hostOf(request), body, as)),
  }),
];

export const hostRoutes = (rack: Rack): readonly AdminRoute[] => [
  ...readRoutes(rack),
  ...changeRoutes(rack),
  ...recordRoutes(rack),
  ...actRoutes(rack),
];
