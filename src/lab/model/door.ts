/** The door of a virtual BMC: who gets in, which fault comes before everything else, and how a reply leaves. */
import type { Clock, HttpReply, HttpRequest, Random, Route } from '../../world/world.ts';
import type { HostControl } from './host-control.ts';
import type { Machine } from './machine.ts';
import type { BmcQuirks } from './quirks.ts';
import { etagOf, json, Refusal, refusalReply } from './replies.ts';
import type { Resource, View } from './resources.ts';
import type { Sessions } from './sessions.ts';

export interface RedfishBmcOptions {
  /** Of the host it manages, for people. */
  readonly name: string;
  readonly machine: Machine;
  readonly username: string;
  readonly password: string;
  readonly random: Random;
  readonly clock: Clock;
  readonly quirks?: Partial<BmcQuirks>;
}
export type Handler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;
/** The parts of one BMC. */
export interface Bmc {
  readonly options: RedfishBmcOptions;
  readonly quirks: BmcQuirks;
  readonly control: HostControl;
  readonly sessions: Sessions;
  readonly view: View;
}

/** The route with and without a slash at its end, which clients add as they like. */
const bothForms = (method: Route['method'], path: string, handle: (request: HttpRequest) => Promise<HttpReply>): readonly Route[] => [
  { method, path, handle },
  { method, path: `${path}/`, handle },
];

/** Tells with each reading which methods its path has (DSP0266 §8.2 "Response headers", Allow). */
export const tellingMethods = (routes: readonly Route[]): readonly Route[] =>
  routes.map((route) => {
    if (route.method !== 'GET') return route;
    const methods = routes.filter(({ path }) => path === route.path).map(({ method }) => method);
    const allow = [...new Set([...methods, 'HEAD'])].toSorted().join(', ');
    const handle = async (request: HttpRequest): Promise<HttpReply> => {
      const reply = await route.handle(request);
      return { ...reply, headers: { ...reply.headers, allow } };
    };
    return { ...route, handle };
  });

/** What answers anybody. */
export const open = (bmc: Bmc, method: Route['method'], path: string, handler: Handler): readonly Route[] =>
  bothForms(method, path, async (request) => (await trouble(bmc, request)) ?? answer(bmc, request, () => handler(request)));

/** What needs a login. */
export const guarded = (bmc: Bmc, method: Route['method'], path: string, handler: Handler): readonly Route[] =>
  bothForms(method, path, async (request) => {
    const troubled = await trouble(bmc, request);
    if (troubled !== undefined) return troubled;
    const reply = await answer(bmc, request, () => {
      authenticate(bmc, request);
      return handler(request);
    });
    const { body } = reply;
    return bmc.quirks.halfJson && typeof body === 'string' ? { ...reply, body: body.slice(0, body.length / 2) } : reply;
  });

/** The quirks that come before any request is looked at. */
const trouble = async ({ options, quirks }: Bmc, request: HttpRequest): Promise<HttpReply | undefined> => {
  if (quirks.silent)
    await new Promise<void>((resolve) => {
      if (request.signal.aborted) resolve();
      else request.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  if (quirks.slowMs > 0) await options.clock.sleep(quirks.slowMs);
  if (quirks.unavailable503 === 0) return undefined;
  const seconds = String(quirks.unavailable503);
  return refusalReply(new Refusal('ServiceTemporarilyUnavailable', seconds, { 'retry-after': seconds }), quirks.extendedInfoObject);
};

const answer = async ({ quirks }: Bmc, request: HttpRequest, handle: () => HttpReply | Promise<HttpReply>): Promise<HttpReply> => {
  try {
    // DSP0266 §7.1 "Request headers": a version other than 4.0 is answered with 412.
    const version = request.headers['odata-version'] ?? '4.0';
    if (version !== '4.0') throw new Refusal('ODataVersionNotSupported', version);
    return await handle();
  } catch (error) {
    if (error instanceof Refusal) return refusalReply(error, quirks.extendedInfoObject);
    throw error;
  }
};

/** Throws AccessDenied; `WWW-Authenticate` where no token was tried (RFC 9110 §11.6.1). */
const authenticate = ({ options, quirks, sessions }: Bmc, request: HttpRequest): void => {
  const token = request.headers['x-auth-token'];
  if (token !== undefined) {
    const session = quirks.wrongPassword ? undefined : sessions.use(token);
    if (session === undefined) throw new Refusal('AccessDenied', request.path);
    if (quirks.forgetsSessions) sessions.close(session.id);
    return;
  }
  const expected = `Basic ${Buffer.from(`${options.username}:${options.password}`).toString('base64')}`;
  if (quirks.wrongPassword || request.headers['authorization'] !== expected)
    throw new Refusal('AccessDenied', request.path, { 'www-authenticate': `Basic realm="${options.name}"` });
};

const etagFor = (quirks: BmcQuirks, body: Resource): string => (quirks.emptyEtag ? '' : `${quirks.weakEtag412 ? 'W/' : ''}${etagOf(body)}`);

/** The schema of a body, as DSP0266 §8.2.1 wants it linked. */
const describedBy = (body: Resource): Readonly<Record<string, string>> => {
  const name = /^#(\w+)\./.exec(String(body['@odata.type']))?.[1];
  return name === undefined ? {} : { link: `<http://redfish.dmtf.org/schemas/v1/${name}.json>; rel=describedby` };
};

/** A resource as it is now, with its ETag. */
export const resourceReply = ({ quirks }: Bmc, body: Resource): HttpReply => {
  const etag = etagFor(quirks, body);
  return json(200, { ...body, '@odata.etag': etag }, { etag, ...describedBy(body) });
};

/** A collection; it has no ETag. */
export const collectionReply = (body: Resource): HttpReply => json(200, body, describedBy(body));

/** The JSON of a request; throws MalformedJSON. */
export const bodyOf = (request: HttpRequest): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(request.body)) as unknown;
  } catch {
    throw new Refusal('MalformedJSON');
  }
};

/** Throws ResourceMissingAtURI where there is nothing. */
export const found = <T>(request: HttpRequest, what: T | undefined): T => {
  if (what === undefined) throw new Refusal('ResourceMissingAtURI', request.path);
  return what;
};
