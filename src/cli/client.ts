/** The client of the admin API: over the daemon's Unix socket or a URL, with every answer checked against its schema. */
import { z } from 'zod';
import { problemJson, workLineJson } from '../api/types.ts';
import type { ProblemJson, ProgressJson } from '../api/types.ts';
import { RemudaError, reasonOf } from '../errors.ts';
import type { Http, HttpCall, Method } from '../world/world.ts';
import { eventsOf } from '../wire/event-stream.ts';
import type { ServerEvent } from '../wire/event-stream.ts';
import { CommandFailure, exits, nextFor } from './failure.ts';
import { misfitAdvice } from './misfit-advice.ts';

/** Where the daemon is, and over the network what is trusted there: a certificate by its SHA-256, or authorities by their PEM. */
export type Where =
  | { readonly socket: string }
  | { readonly url: string; readonly token?: string; readonly fingerprint?: string; readonly ca?: string };
export const whereText = (where: Where): string => ('socket' in where ? where.socket : where.url);

/** The document as it came, for `--json`, and as the schema reads it. */
export interface Answer<T> {
  readonly raw: unknown;
  readonly value: T;
}

/** A command may wait for a BMC that takes its time. */
const callMs = 2 * 60_000;
/** Between two events; the daemon sends comments meanwhile. */
const silentMs = 60_000;
/** Between two lines of progress. */
const silenceMs = 15 * 60_000;
const replyBytesMax = 64 * 1024 * 1024;

const notOurs = (where: Where, what: string, cause?: unknown): CommandFailure =>
  new CommandFailure(exits.failed, `what answers at ${whereText(where)} does not speak this version of Remuda: ${what}`, {
    next: 'compare the versions: remuda version',
    cause,
  });
const refusal = (problem: ProblemJson): CommandFailure =>
  new CommandFailure(problem.status === 401 || problem.status === 403 ? exits.denied : exits.failed, problem.detail, {
    next: problem.next ?? misfitAdvice(problem) ?? nextFor(problem.code),
    code: problem.code,
  });

const unreachable = (where: Where, error: RemudaError): CommandFailure => {
  const cause: unknown = error.cause;
  const errno = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const reason = tail(error);
  const next =
    errno === 'EACCES'
      ? 'run it as a user or group that may open the socket (its owner is the daemon\u2019s user)'
      : 'url' in where
        ? 'check the URL, and that the daemon listens there: remuda doctor, on its own machine'
        : 'start the daemon (remuda serve), or say where it runs: --socket PATH or REMUDA_SOCKET (npm run lab prints it), --url URL, remuda login URL';
  return new CommandFailure(exits.unreachable, `no daemon at ${whereText(where)}: ${reason}`, { next, cause: error });
};

/** It is there, but it is not (or not known to be) the daemon that was meant; nothing was said to it. */
const untrusted = (where: Where, error: RemudaError): CommandFailure => {
  const at = whereText(where);
  const { seen, expected } = error.values;
  if (typeof seen === 'string' && typeof expected === 'string' && seen !== expected)
    return new CommandFailure(
      exits.denied,
      `${at} shows another certificate than the pinned one; nothing was sent (pinned ${expected}, seen ${seen})`,
      {
        next: `where the daemon was given a new certificate, trust it anew: remuda login ${at}; otherwise somebody stands between it and you`,
        code: error.code,
        cause: error,
      },
    );
  return new CommandFailure(exits.denied, `the certificate of ${at} is not trusted: ${tail(error)}`, {
    next: `compare its fingerprint and trust it: remuda login ${at}; or name its authority: --ca FILE`,
    code: error.code,
    cause: error,
  });
};
const tail = (error: Error): string => error.message.slice(error.message.lastIndexOf(': ') + 1).trim();
const trustOf = ({ fingerprint, ca }: { readonly fingerprint?: string; readonly ca?: string }): Partial<HttpCall> => ({
  ...(fingerprint === undefined ? {} : { fingerprint }),
  ...(ca === undefined ? {} : { ca }),
});

export class DaemonClient {
  readonly where: Where;
  readonly #http: Http;
  readonly #user: string | undefined;
  readonly #callMs: number;

  constructor(http: Http, where: Where, user: string | undefined, timeoutMs = callMs) {
    this.#callMs = timeoutMs;
    this.#http = http;
    this.where = where;
    this.#user = user;
  }

  get<T extends z.ZodType>(path: string, schema: T): Promise<Answer<z.output<T>>> {
    return this.#ask({ method: 'GET', path }, schema);
  }
  /** All items of a list, page by page where the daemon cuts it. `path` may carry a query. */
  async list<T extends z.ZodType>(path: string, item: T): Promise<Answer<{ items: z.output<T>[] }>> {
    const page = z.object({ items: z.array(item), next: z.union([z.string(), z.number()]).nullish() });
    const raw: unknown[] = [];
    const items: z.output<T>[] = [];
    for (let cursor = ''; ;) {
      const { raw: document, value } = await this.get(`${path}${cursor}`, page);
      raw.push(...rawItems(document));
      items.push(...value.items);
      if (value.next === undefined || value.next === null) return { raw: { items: raw }, value: { items } };
      cursor = `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(String(value.next))}`;
    }
  }
  /** What happens at the daemon, as it happens, until `signal` ends it or the connection breaks. */
  async *events(path: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const call = this.#call({ method: 'GET', path });
    const headers = { ...call.headers, accept: 'text/event-stream' };
    try {
      yield* eventsOf(this.#http.stream({ ...call, headers, signal, timeoutMs: silentMs, replyBytesMax: Infinity }));
    } catch (error) {
      throw this.failureOf(error);
    }
  }
  /** `waitMs`: the daemon was asked to wait so long before it answers. */
  post<T extends z.ZodType>(path: string, body: unknown, schema: T, waitMs = 0): Promise<Answer<z.output<T>>> {
    return this.#ask({ method: 'POST', path, body, waitMs }, schema);
  }
  put<T extends z.ZodType>(path: string, body: unknown, schema: T, waitMs = 0): Promise<Answer<z.output<T>>> {
    return this.#ask({ method: 'PUT', path, body, waitMs }, schema);
  }
  patch<T extends z.ZodType>(path: string, body: unknown, schema: T): Promise<Answer<z.output<T>>> {
    return this.#ask({ method: 'PATCH', path, body }, schema);
  }
  delete<T extends z.ZodType>(path: string, schema: T): Promise<Answer<z.output<T>>> {
    return this.#ask({ method: 'DELETE', path }, schema);
  }

  /** Long work: calls `onProgress` as it goes on and returns the result. */
  async work<T extends z.ZodType>(
    path: string,
    options: { readonly body: unknown; readonly schema: T; readonly onProgress: (progress: ProgressJson) => void },
  ): Promise<Answer<z.output<T>>> {
    const call = { ...this.#call({ method: 'POST', path, body: options.body }), timeoutMs: silenceMs, replyBytesMax: Infinity };
    try {
      for await (const text of linesOf(this.#http.stream(call))) {
        const line = workLineJson.parse(JSON.parse(text));
        if ('progress' in line) options.onProgress(line.progress);
        else if ('error' in line) throw refusal(line.error);
        else return this.#checked(line.result, options.schema);
      }
    } catch (error) {
      throw this.failureOf(error);
    }
    throw new CommandFailure(exits.failed, 'the daemon ended before the work was done', {
      next: 'see what happened: remuda doctor; then ask again',
    });
  }

  /** A body that is no JSON. */
  async text(path: string): Promise<string> {
    const chunks = await Array.fromAsync(this.download(path));
    return new TextDecoder().decode(Buffer.concat(chunks));
  }
  /** A body as it comes, however long. */
  async *download(path: string): AsyncGenerator<Uint8Array> {
    const call = { ...this.#call({ method: 'GET', path }), timeoutMs: silenceMs, replyBytesMax: Infinity };
    try {
      yield* this.#http.stream(call);
    } catch (error) {
      throw this.failureOf(error);
    }
  }

  async #ask<T extends z.ZodType>(
    ask: { readonly method: Method; readonly path: string; readonly body?: unknown; readonly waitMs?: number },
    schema: T,
  ): Promise<Answer<z.output<T>>> {
    let answer;
    try {
      const call = this.#call(ask);
      answer = await this.#http.call({ ...call, timeoutMs: call.timeoutMs + (ask.waitMs ?? 0) });
    } catch (error) {
      throw this.failureOf(error);
    }
    const text = new TextDecoder().decode(answer.body);
    let raw: unknown;
    try {
      raw = text === '' ? undefined : JSON.parse(text);
    } catch (cause) {
      throw notOurs(this.where, `it answers ${answer.status} and no JSON`, cause);
    }
    if (answer.status >= 200 && answer.status < 300) return this.#checked(raw, schema);
    const problem = problemJson.safeParse(raw);
    throw problem.success ? refusal(problem.data) : notOurs(this.where, `it answers ${answer.status}`);
  }

  #checked<T extends z.ZodType>(raw: unknown, schema: T): Answer<z.output<T>> {
    const parsed = schema.safeParse(raw);
    if (parsed.success) return { raw, value: parsed.data };
    const [issue] = parsed.error.issues;
    throw notOurs(this.where, `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim(), parsed.error);
  }

  #call({ method, path, body }: { readonly method: Method; readonly path: string; readonly body?: unknown }): HttpCall {
    const { where } = this;
    return {
      method,
      // The name in the URL is only for the Host header where a socket is used.
      url: 'socket' in where ? `http://remuda${path}` : `${where.url.replace(/\/+$/, '')}${path}`,
      ...('socket' in where ? { socket: where.socket } : trustOf(where)),
      headers: {
        ...('url' in where && where.token !== undefined ? { authorization: `Bearer ${where.token}` } : {}),
        accept: 'application/json',
        ...(this.#user === undefined ? {} : { 'x-remuda-user': this.#user }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeoutMs: this.#callMs,
      replyBytesMax,
    };
  }

  /** What a call threw, in words for the person. */
  failureOf(error: unknown): unknown {
    if (!(error instanceof RemudaError)) return error;
    if (error.code === 'bmc-untrusted') return untrusted(this.where, error);
    if (error.code === 'bmc-unreachable') return unreachable(this.where, error);
    return streamRefusal(error) ?? new CommandFailure(exits.failed, reasonOf(error), { cause: error });
  }
}

const rawItems = (document: unknown): readonly unknown[] =>
  typeof document === 'object' && document !== null && 'items' in document && Array.isArray(document.items) ? document.items : [];

/** A stream that is refused throws with the beginning of the answer in its values. */
const streamRefusal = (error: RemudaError): CommandFailure | undefined => {
  const { answer } = error.values;
  if (typeof answer !== 'string') return undefined;
  try {
    return refusal(problemJson.parse(JSON.parse(answer)));
  } catch {
    return undefined;
  }
};

/** Lines of UTF-8, however the chunks are cut. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}
