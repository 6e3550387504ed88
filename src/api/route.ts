/** A route of the admin API as data: who may ask, what is read, what is answered. Dispatch, authorisation, validation and OpenAPI all read this. */
import type { z } from 'zod';
import type { Asker } from '../control/rack.ts';
import type { HttpReply, HttpRequest, Method } from '../world/world.ts';
import { versionWanted } from './etag.ts';
import { bodyOf, queryOf } from './json.ts';

/** What a caller may do; each may what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];
export const mayAct = (has: Role, needs: Role): boolean => roles.indexOf(has) >= roles.indexOf(needs);

/** Who asks, as the door judged it. */
export interface Caller {
  /** For timeline and audit: a token's name, or what the user of the socket says of itself. */
  readonly name: string;
  readonly role: Role;
  /** Would the same token still be let in? Absent where there is none. */
  readonly isGood?: () => boolean;
}
/** How work ended that went on behind its answer; `left`: nobody waited for it any more. */
export type Ending = { readonly outcome: 'ok' | 'left' } | { readonly thrown: unknown };
export interface AdminReply extends HttpReply {
  /** Where the answer begins before the work is over. */
  readonly over?: Promise<Ending>;
}
/** A request that was judged and read. */
export interface Asked<B, Q> {
  readonly request: HttpRequest;
  readonly caller: Caller;
  /** For the rack: the caller's name, and the version that `If-Match` asks for. */
  readonly as: Asker;
  /** As the row's schema reads it; undefined where the row has none. */
  readonly body: B;
  readonly query: Q;
}

/** What a status carries: a JSON document of this schema, nothing, or a stream of another media type. */
export type ReplyShape = z.ZodType | 'nothing' | { readonly media: string; readonly schema?: z.ZodType; readonly what: string };

interface RowFacts {
  /** `listHosts`: the operationId, unique. */
  readonly id: string;
  readonly method: Method;
  readonly path: string;
  /** `anyone`: also without a token (health). */
  readonly role: Role | 'anyone';
  /** One line for the description of the API. */
  readonly summary: string;
  readonly tag: string;
  /** What each success answers, by status. Refusals are the same everywhere: problem+json. */
  readonly replies: Readonly<Record<number, ReplyShape>>;
  readonly bodyBytesMax?: number;
  /** Its requests may stay for long (long polls, streams, imports): they are given seats, and there are only so many. */
  readonly stays?: boolean;
  /** A question that stands in the audit log as changes do: it takes away more than one should who may not say so later. */
  readonly isRecorded?: boolean;
}
export interface AdminRow<B extends z.ZodType, Q extends z.ZodType> extends RowFacts {
  readonly body?: B;
  readonly query?: Q;
  readonly handle: (asked: Asked<z.output<B>, z.output<Q>>) => Promise<AdminReply>;
}
/** A request that was read and waits for its turn. */
export interface Ready {
  /** What it is about, for the audit log: the names in the path, else what the body calls itself. */
  readonly subject: string;
  /** It only asks what would happen: nothing is changed. */
  readonly isDry: boolean;
  readonly run: () => Promise<AdminReply>;
}
/** A row without its types, as the door uses it. */
export interface AdminRoute extends RowFacts {
  readonly body?: z.ZodType;
  readonly query?: z.ZodType;
  /** Checks body, query and `If-Match`; `bad-request`, `precondition-failed`. */
  readonly read: (request: HttpRequest, caller: Caller) => Ready;
}

const asker = (request: HttpRequest, { name: by }: Caller): Asker => {
  const ifVersion = versionWanted(request);
  return ifVersion === undefined ? { by } : { by, ifVersion };
};

const subjectOf = ({ params }: HttpRequest, body: unknown): string => {
  const named = Object.values(params);
  if (named.length > 0) return named.join('/');
  if (typeof body !== 'object' || body === null) return '';
  const { name, id, host } = body as Readonly<Record<string, unknown>>;
  return [name, id, host].find((one) => typeof one === 'string') ?? '';
};

/** `dryRun`, wherever a request may say it. */
const asksOnly = (said: unknown): boolean => typeof said === 'object' && said !== null && 'dryRun' in said && said.dryRun === true;

/** A row of the table: body and query are checked by their schemas before `handle` sees them. */
export const adminRoute = <B extends z.ZodType = z.ZodUndefined, Q extends z.ZodType = z.ZodUndefined>({
  handle,
  ...row
}: AdminRow<B, Q>): AdminRoute => ({
  ...row,
  read: (request, caller) => {
    const query = (row.query === undefined ? undefined : queryOf(row.query, request)) as z.output<Q>;
    const body = (row.body === undefined ? undefined : bodyOf(row.body, request)) as z.output<B>;
    const asked = { request, caller, as: asker(request, caller), body, query };
    return { subject: subjectOf(request, body), isDry: asksOnly(body) || asksOnly(query), run: () => handle(asked) };
  },
});
