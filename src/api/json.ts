/** JSON in and out of a handler: bodies checked by a schema, answers as one document or as a stream of lines. */
import type { z } from 'zod';
import { RemudaError } from '../errors.ts';
import { problemOf, problemOfRequest } from '../world/http-problem.ts';
import type { HttpReply, HttpRequest } from '../world/world.ts';
import type { AdminReply, Ending } from './route.ts';

export const json = (status: number, value: unknown): HttpReply => ({
  status,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: `${JSON.stringify(value)}\n`,
});
export const items = (list: readonly unknown[]): HttpReply => json(200, { items: list });
export const nothing: HttpReply = { status: 204 };

const inWords = (issue: z.core.$ZodIssue): string => {
  const at = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => (at === '' ? key : `${at}.${key}`));
    return `unknown field ${keys.join(', ')}`;
  }
  return at === '' ? issue.message : `${at}: ${issue.message}`;
};

/** The value as the schema has it; `bad-request` with the paths of the fields that are wrong, never with what was sent. */
export const parse = <T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const said = parsed.error.issues.slice(0, 4).map(inWords);
  throw new RemudaError('bad-request', `${what}: ${said.join('; ')}`, {
    values: { fields: parsed.error.issues.map((issue) => issue.path) },
  });
};

/**
 * The JSON body. Its type must be said: a page of another site can make a browser POST here, but not with this content type
 * without asking first (Fetch §2.2.2, "CORS-safelisted request-header").
 */
export const bodyOf = <T extends z.ZodType>(schema: T, request: HttpRequest): z.output<T> => {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new RemudaError('bad-request', 'the body must be JSON: send content-type: application/json');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body));
  } catch {
    // The parser's own words quote the text, and the text may hold a password.
    throw new RemudaError('bad-request', 'the body is not JSON');
  }
  return parse(schema, value, 'the body');
};

/** The query, each name at most once. */
export const queryOf = <T extends z.ZodType>(schema: T, request: HttpRequest): z.output<T> => {
  const names = [...request.query.keys()];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new RemudaError('bad-request', `the query: ${JSON.stringify(twice.slice(0, 64))} is given twice`);
  return parse(schema, Object.fromEntries(request.query), 'the query');
};

const line = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value)}\n`);

type Outcome = { readonly result: unknown } | { readonly thrown: unknown };

/**
 * Long work as `application/x-ndjson`: `{"progress":…}` lines, then one `{"result":…}` or `{"error":…}`.
 * Work that fails before its first progress throws, so that the refusal keeps its status. A slow reader misses progress, never the end.
 */
export const workReply = async (
  { id, signal }: Pick<HttpRequest, 'id' | 'signal'>,
  work: (onProgress: (progress: unknown) => void) => Promise<unknown>,
): Promise<AdminReply> => {
  let progress: unknown;
  let outcome: Outcome | undefined;
  let news = Promise.withResolvers<void>();
  const running = work((latest) => {
    progress = latest;
    news.resolve();
  })
    .then(
      (result) => (outcome = { result }),
      (thrown: unknown) => (outcome = { thrown }),
    )
    .finally(() => news.resolve());
  const ended = (): Outcome | undefined => outcome;
  await news.promise;
  const first = ended();
  if (first !== undefined && 'thrown' in first) throw first.thrown;
  const lines = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) {
      await news.promise;
      news = Promise.withResolvers<void>();
      const latest = progress;
      const end = ended();
      progress = undefined;
      if (latest !== undefined) yield line({ progress: latest });
      if (end === undefined) continue;
      await running;
      yield line(
        'thrown' in end ? { error: id === undefined ? problemOf(end.thrown) : problemOfRequest(end.thrown, id) } : { result: end.result },
      );
      return;
    }
  };
  const over = running.then((): Ending => {
    const end = ended();
    if (end === undefined || !('thrown' in end)) return { outcome: 'ok' };
    return signal.aborted ? { outcome: 'left' } : { thrown: end.thrown };
  });
  return { status: 200, headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' }, body: lines(), over };
};
