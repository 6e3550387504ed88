/** Hosts over the API: list, enrol, accept, power, hold, retry, reprovision, forget, and the timeline as a long poll. */
import { z } from 'zod';
import { acceptSchema, enrolSchema, holdSchema, powerSchema, reprovisionSchema } from '../control/rack.ts';
import type { Asker, Rack } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { limits } from '../limits.ts';
import type { HttpReply, HttpRequest, Route } from '../world/world.ts';
import { toHostJson, toTimelineRow } from './admin-json.ts';
import { bodyOf, items, json, nothing, queryOf } from './json.ts';

const hostOf = (request: HttpRequest): string => request.params['host'] ?? '';
/** Who asks, for the timeline: a name that the client says of itself, not a proof. */
export const askerOf = (request: HttpRequest): Asker => {
  const said = request.headers['x-remuda-user'] ?? '';
  return { by: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(said) ? said : 'operator' };
};
/** The host after a change, with what it does now. */
export const changedHost = async (rack: Rack, { id }: Host, status = 200): Promise<HttpReply> =>
  json(status, toHostJson(await rack.host(id)));

/** An intent carries the user data, and JSON may write one byte of it as six: `\u0000`. The rack itself counts the bytes. */
export const intentBytesMax = 6 * limits.userDataBytes + limits.httpBodyBytes;

const noBody = z.strictObject({});
const refuseUserInUrl = (bmc: { readonly url: string } | undefined): void => {
  if (bmc === undefined) return;
  const url = new URL(bmc.url);
  if (url.username !== '' || url.password !== '')
    throw new RemudaError('bad-request', 'the body: bmc.url: say the user and the password in their own fields, not in the URL');
};

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
const timeline = async (rack: Rack, request: HttpRequest): Promise<HttpReply> => {
  const { after, most, waitMs } = queryOf(timelineQuery, request);
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

const reprovision = async (rack: Rack, request: HttpRequest): Promise<HttpReply> => {
  const wanted = bodyOf(reprovisionSchema, request);
  const { host } = await rack.host(hostOf(request));
  if (host.claim === null)
    throw new RemudaError('state-conflict', `host ${host.name} is ${host.state} and no claim holds it: there is nothing to reprovision`);
  return changedHost(rack, await rack.reprovision(host.claim.id, wanted, askerOf(request)));
};

type Act = (rack: Rack, request: HttpRequest) => Promise<HttpReply>;
/** POST /v1/hosts/:host/<verb> */
const acts: Readonly<Record<string, Act>> = {
  accept: async (rack, request) => {
    const body = bodyOf(acceptSchema, request);
    refuseUserInUrl(body.bmc);
    return changedHost(rack, await rack.accept(hostOf(request), body, askerOf(request)));
  },
  power: async (rack, request) => {
    const { power } = bodyOf(powerSchema, request);
    const { observed, settled, note } = await rack.power(hostOf(request), power, askerOf(request));
    return json(200, { observed, settled, note: note ?? null });
  },
  hold: async (rack, request) => changedHost(rack, await rack.hold(hostOf(request), bodyOf(holdSchema, request).why, askerOf(request))),
  unhold: async (rack, request) => {
    bodyOf(noBody, request);
    return changedHost(rack, await rack.unhold(hostOf(request), askerOf(request)));
  },
  retry: async (rack, request) => {
    bodyOf(noBody, request);
    return changedHost(rack, await rack.retry(hostOf(request), askerOf(request)));
  },
  reprovision,
};

export const hostRoutes = (rack: Rack): readonly Route[] => [
  { method: 'GET', path: '/v1/hosts', handle: async () => items((await rack.hosts()).map(toHostJson)) },
  {
    method: 'POST',
    path: '/v1/hosts',
    handle: async (request) => {
      const body = bodyOf(enrolSchema, request);
      refuseUserInUrl(body.bmc);
      return changedHost(rack, await rack.enrol(body, askerOf(request)), 201);
    },
  },
  { method: 'GET', path: '/v1/hosts/:host', handle: async (request) => json(200, toHostJson(await rack.host(hostOf(request)))) },
  {
    method: 'DELETE',
    path: '/v1/hosts/:host',
    handle: async (request) => {
      await rack.forget(hostOf(request), askerOf(request));
      return nothing;
    },
  },
  { method: 'GET', path: '/v1/hosts/:host/timeline', handle: (request) => timeline(rack, request) },
  ...Object.entries(acts).map(([verb, act]): Route => ({
    method: 'POST',
    path: `/v1/hosts/:host/${verb}`,
    ...(verb === 'reprovision' ? { bodyBytesMax: intentBytesMax } : {}),
    handle: (request) => act(rack, request),
  })),
];
