/** A virtual Redfish BMC as a table of routes: full enough for real clients, with the faults of real BMCs as switches. */
import { z } from 'zod';
import type { HttpReply, HttpRequest, Route } from '../../world/world.ts';
import { patchBoot, reset, settingsOf } from './changes.ts';
import { bodyOf, collectionReply, found, guarded, open, resourceReply, tellingMethods } from './door.ts';
import type { Bmc, Handler, RedfishBmcOptions } from './door.ts';
import { HostControl } from './host-control.ts';
import type { Command } from './host-control.ts';
import { noQuirks } from './quirks.ts';
import type { BmcQuirks } from './quirks.ts';
import { common, json, noContent, Refusal } from './replies.ts';
import * as resources from './resources.ts';
import type { Resource, View } from './resources.ts';
import { Sessions } from './sessions.ts';

export interface RedfishBmc {
  /** To be served by `world.http.listen`, with or without TLS. */
  readonly routes: readonly Route[];
  /** May be changed while it runs. */
  readonly quirks: BmcQuirks;
  /** Commands that were taken, oldest first. */
  readonly commands: readonly Command[];
}

/** Nothing listens and nothing runs until its routes are served. */
export const redfishBmc = (options: RedfishBmcOptions): RedfishBmc => {
  const quirks: BmcQuirks = { ...noQuirks, ...options.quirks };
  const control = new HostControl(options.machine, quirks, options.clock);
  const view: View = { name: options.name, machine: options.machine, control, quirks };
  const bmc: Bmc = { options, quirks, control, view, sessions: new Sessions(options.clock, options.random) };
  return {
    routes: tellingMethods([...openRoutes(bmc), ...systemRoutes(bmc), ...sessionRoutes(bmc), ...otherRoutes(bmc)]),
    quirks,
    commands: control.commands,
  };
};

/** What answers without a login (DSP0266 §13.2 "Resource and operation authentication requirements"). */
const openRoutes = (bmc: Bmc): readonly Route[] => {
  const metadata: HttpReply = {
    status: 200,
    headers: { ...common, 'content-type': 'application/xml;charset=utf-8' },
    body: resources.metadata,
  };
  return [
    ...open(bmc, 'GET', '/redfish', () => json(200, resources.versions)),
    ...open(bmc, 'GET', resources.root, () => resourceReply(bmc, resources.serviceRoot(bmc.view))),
    ...open(bmc, 'GET', `${resources.root}/odata`, () => json(200, resources.odata)),
    ...open(bmc, 'GET', `${resources.root}/$metadata`, () => metadata),
    ...open(bmc, 'POST', resources.paths.sessions, (request) => logIn(bmc, request)),
    // DSP0266 §7.9 "POST (create)": to a collection or to its Members is the same.
    ...open(bmc, 'POST', `${resources.paths.sessions}/Members`, (request) => logIn(bmc, request)),
  ];
};

const systemRoutes = (bmc: Bmc): readonly Route[] => {
  const { control, view } = bmc;
  const { paths } = resources;
  const readSystem = (): HttpReply => {
    const reply = resourceReply(bmc, resources.system(view));
    control.wasRead();
    return reply;
  };
  return [
    ...guarded(bmc, 'GET', paths.systems, () => collectionReply(resources.collection(paths.systems, 'ComputerSystem', [paths.system]))),
    ...guarded(bmc, 'GET', `${paths.systems}/:id`, one('1', readSystem)),
    ...guarded(
      bmc,
      'PATCH',
      `${paths.systems}/:id`,
      one('1', (request) => patchBoot(bmc, request, 'system')),
    ),
    ...guarded(bmc, 'GET', paths.settings, (request) => resourceReply(bmc, settingsOf(bmc, request))),
    ...guarded(bmc, 'PATCH', paths.settings, (request) => patchBoot(bmc, request, 'settings')),
    ...guarded(bmc, 'POST', paths.reset, (request) => reset(bmc, request)),
    ...guarded(bmc, 'GET', paths.ports, () => {
      const members = resources.portIds(view.machine).map((id) => `${paths.ports}/${id}`);
      return collectionReply(resources.collection(paths.ports, 'EthernetInterface', members));
    }),
    ...guarded(bmc, 'GET', `${paths.ports}/:id`, (request) => resourceReply(bmc, found(request, resources.port(view, idOf(request))))),
  ];
};

const sessionRoutes = (bmc: Bmc): readonly Route[] => {
  const { paths } = resources;
  const { sessions } = bmc;
  const offered = (request: HttpRequest): void => {
    if (bmc.quirks.noSessionService) throw new Refusal('ResourceMissingAtURI', request.path);
  };
  return [
    ...guarded(bmc, 'GET', paths.sessionService, (request) => {
      offered(request);
      return resourceReply(bmc, resources.sessionService());
    }),
    ...guarded(bmc, 'GET', paths.sessions, (request) => {
      offered(request);
      const members = sessions.list().map(({ id }) => `${paths.sessions}/${id}`);
      return collectionReply(resources.collection(paths.sessions, 'Session', members));
    }),
    ...guarded(bmc, 'GET', `${paths.sessions}/:id`, (request) =>
      resourceReply(bmc, resources.session(found(request, sessions.get(idOf(request))))),
    ),
    ...guarded(bmc, 'DELETE', `${paths.sessions}/:id`, (request) => {
      if (!sessions.close(idOf(request))) throw new Refusal('ResourceMissingAtURI', request.path);
      return noContent;
    }),
  ];
};

const otherRoutes = (bmc: Bmc): readonly Route[] => {
  const { paths } = resources;
  const { view, options } = bmc;
  const list = (path: string, kind: string, member: string): readonly Route[] =>
    guarded(bmc, 'GET', path, () => collectionReply(resources.collection(path, kind, [member])));
  const member = (path: string, id: string, read: () => Resource): readonly Route[] =>
    guarded(
      bmc,
      'GET',
      `${path}/:id`,
      one(id, () => resourceReply(bmc, read())),
    );
  return [
    ...list(paths.managers, 'Manager', paths.manager),
    ...member(paths.managers, '1', () => resources.manager(view)),
    ...list(paths.chassisAll, 'Chassis', paths.chassis),
    ...member(paths.chassisAll, '1', () => resources.chassis(view)),
    ...guarded(bmc, 'GET', paths.accountService, () => resourceReply(bmc, resources.accountService())),
    ...list(paths.accounts, 'ManagerAccount', paths.account),
    ...member(paths.accounts, '1', () => resources.account(options.username)),
    ...guarded(bmc, 'GET', paths.roles, () => {
      const members = resources.roleIds.map((id) => `${paths.roles}/${id}`);
      return collectionReply(resources.collection(paths.roles, 'Role', members));
    }),
    ...guarded(bmc, 'GET', `${paths.roles}/:id`, (request) => resourceReply(bmc, found(request, resources.role(idOf(request))))),
  ];
};

const idOf = (request: HttpRequest): string => request.params['id'] ?? '';

/** The handler of a collection's only member. */
const one =
  (id: string, handler: Handler): Handler =>
  (request) => {
    found(request, request.params['id'] === id ? id : undefined);
    return handler(request);
  };

const credentials = z.object({ UserName: z.string(), Password: z.string() });

const logIn = ({ options, quirks, sessions }: Bmc, request: HttpRequest): HttpReply => {
  if (quirks.noSessionService) throw new Refusal('ResourceMissingAtURI', request.path);
  const body = credentials.safeParse(bodyOf(request));
  if (!body.success) throw new Refusal('PropertyMissing', String(body.error.issues[0]?.path[0] ?? 'UserName'));
  const { UserName: username, Password: password } = body.data;
  if (quirks.wrongPassword || username !== options.username || password !== options.password)
    throw new Refusal('AccessDenied', request.path);
  const opened = quirks.sessionsFull ? undefined : sessions.open(username);
  if (opened === undefined) throw new Refusal('SessionLimitExceeded');
  const location = `${resources.paths.sessions}/${opened.session.id}`;
  return json(201, resources.session(opened.session), { location, 'x-auth-token': opened.token });
};
