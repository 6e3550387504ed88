/** Tokens and the audit log over the API: for admins alone. */
import type { AuditRow } from '../store/store.ts';
import type { Clock } from '../world/world.ts';
import type { AuditTrail } from './audit.ts';
import { items, json } from './json.ts';
import { cursorQuery, pageOf } from './page.ts';
import { adminRoute } from './route.ts';
import type { AdminRoute } from './route.ts';
import type { TokenBook } from './tokens.ts';
import { auditRowJson, newTokenJson, tokenJson, tokenWishSchema } from './access-types.ts';
import type { AuditRowJson } from './access-types.ts';
import { itemsOf } from './types.ts';

const tag = 'access';
export const tokenRoutes = (tokens: TokenBook, clock: Pick<Clock, 'now'>): readonly AdminRoute[] => [
  adminRoute({
    id: 'listTokens',
    method: 'GET',
    path: '/v1/tokens',
    role: 'admin',
    summary: 'All tokens ever made, without their secrets',
    tag,
    replies: { 200: itemsOf(tokenJson) },
    handle: async () => items(tokens.list()),
  }),
  adminRoute({
    id: 'createToken',
    method: 'POST',
    path: '/v1/tokens',
    role: 'admin',
    summary: 'Make a token; this answer is the only place where it is ever shown',
    tag,
    body: tokenWishSchema,
    replies: { 201: newTokenJson },
    handle: async ({ body: { name, role, expiresInSeconds } }) => {
      const expiresAt = expiresInSeconds === undefined ? null : clock.now() + expiresInSeconds * 1000;
      const { token, view } = await tokens.create({ name, role, expiresAt });
      return json(201, { ...view, token });
    },
  }),
  adminRoute({
    id: 'revokeToken',
    method: 'DELETE',
    path: '/v1/tokens/:token',
    role: 'admin',
    summary: 'Revoke a token, by ID or name: from now on nobody comes in with it',
    tag,
    replies: { 200: tokenJson },
    handle: async ({ request }) => json(200, await tokens.revoke(request.params['token'] ?? '')),
  }),
];

const auditQuery = cursorQuery.extend({ limit: cursorQuery.shape.limit.default(100) });
const toAuditRow = ({ seq, at, actor, action, subject, outcome, detail }: AuditRow): AuditRowJson => ({
  seq,
  at,
  actor,
  action,
  subject,
  outcome,
  ...(detail === undefined ? {} : { detail: { ...detail } }),
});
export const auditRoutes = (audit: AuditTrail): readonly AdminRoute[] => [
  adminRoute({
    id: 'listAudit',
    method: 'GET',
    path: '/v1/audit',
    role: 'admin',
    summary: 'Every change that was asked of this API and what became of it, newest first',
    tag,
    query: auditQuery,
    replies: { 200: pageOf(auditRowJson) },
    handle: async ({ query: { limit, cursor } }) => {
      const rows = await audit.log({ most: limit, ...(cursor === undefined ? {} : { before: Number(cursor) }) });
      const last = rows.at(-1);
      return json(200, { items: rows.map(toAuditRow), ...(rows.length < limit || last === undefined ? {} : { next: String(last.seq) }) });
    },
  }),
];
