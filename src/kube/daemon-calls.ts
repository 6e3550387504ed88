/** Questions to a daemon elsewhere: every answer is checked, every refusal keeps its code, and only what may be asked twice is asked twice. */
import type { z } from 'zod';
import { problemJson } from '../api/types.ts';
import { RemudaError, codes, reasonOf } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { Clock, Http, HttpAnswer, HttpCall, Method, Random } from '../world/world.ts';

/** Its Unix socket, or its URL and what is trusted there: a certificate by its SHA-256, or authorities by their PEM; else the system's. */
export type DaemonPlace =
  | { readonly socket: string }
  | { readonly url: string; readonly token?: string; readonly fingerprint?: string; readonly ca?: string };
/** For messages. */
export const textOf = (place: DaemonPlace): string => ('socket' in place ? place.socket : place.url);
export interface DaemonParts {
  readonly http: Pick<Http, 'call' | 'stream'>;
  readonly clock: Pick<Clock, 'now' | 'sleep' | 'after'>;
  readonly random: Pick<Random, 'next'>;
  readonly limits: Pick<Limits, 'kubeCallMs' | 'kubeReplyBytes' | 'kubeBackoffFirstMs' | 'kubeBackoffMostMs'>;
  readonly place: DaemonPlace;
  /** Ends all calls, and the stream of events. */
  readonly until: AbortSignal;
}
export interface Question<T extends z.ZodType> {
  readonly method: Method;
  readonly path: string;
  readonly body?: unknown;
  readonly schema: T;
  /** Asked twice it does no more than asked once, so an answer that got lost may be asked for again. */
  readonly isRepeatable: boolean;
  /** Only where the host still has this version (`precondition-failed`). */
  readonly ifVersion?: number;
}

const triesMax = 4;
const isCode = (text: string): text is Code => Object.hasOwn(codes, text);

/** Each answer of a Remuda has the ID of its request; only where there is one can it be of another version. */
const notOurs = (place: DaemonPlace, { headers }: Pick<HttpAnswer, 'headers'>, what: string, cause?: unknown): RemudaError =>
  headers['x-request-id'] === undefined
    ? new RemudaError('rack-unreachable', `what answers at ${textOf(place)} is no Remuda: ${what}`, { cause, next: checkPlace(place) })
    : new RemudaError('rack-unreachable', `what answers at ${textOf(place)} does not speak this version of Remuda: ${what}`, {
        cause,
        next: 'compare its version with that of the controller (remuda --version): both must be the same',
      });
/** What to do where nobody, or somebody else, answers there. */
export const checkPlace = (place: DaemonPlace): string =>
  'socket' in place
    ? 'check --socket, and that the daemon runs there'
    : 'check --url, and that the daemon listens there: api.listen of its configuration says where, usually at port 7471';
const getToken = 'remuda token create NAME --role operator makes one; give it by --token-file FILE or in REMUDA_TOKEN';
const withoutToken = (place: DaemonPlace): boolean => 'url' in place && place.token === undefined;
/** The refusal as the daemon made it, with its code and values. A code that only a newer daemon knows is `internal`, its words stay. */
const refusalOf = (place: DaemonPlace, answer: HttpAnswer, document: unknown): RemudaError => {
  const parsed = problemJson.safeParse(document);
  if (!parsed.success) return notOurs(place, answer, `it answers ${answer.status}`);
  const { code, detail, values, next } = parsed.data;
  const more = { ...(values === undefined ? {} : { values }), ...(next === undefined ? {} : { next }) };
  if (code !== 'unauthenticated') return new RemudaError(isCode(code) ? code : 'internal', detail, more);
  // Its own words are for whoever writes a client.
  const why = withoutToken(place) ? 'it needs a token, and none was given' : detail;
  return new RemudaError(code, `the daemon at ${textOf(place)} does not let the controller in: ${why}`, { ...more, next: getToken });
};
const documentOf = (place: DaemonPlace, answer: HttpAnswer): unknown => {
  const text = new TextDecoder().decode(answer.body);
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch (cause) {
    throw notOurs(place, answer, `it answers ${answer.status} and no JSON`, cause);
  }
};
/** Which certificate it shows, so that it can be compared with what the daemon's log says of its own. */
const distrusted = (place: DaemonPlace, error: RemudaError): RemudaError => {
  const { seen, expected } = error.values;
  const options = {
    cause: error,
    next: 'compare it with the fingerprint that the log of the daemon says at its start; where that is the same, give it as --fingerprint (in the package: REMUDA_TRUST)',
  };
  if (typeof seen !== 'string')
    return new RemudaError('rack-unreachable', `the daemon at ${textOf(place)} was not reached: ${reasonOf(error)}`, options);
  const why =
    typeof expected === 'string' && expected !== seen
      ? `shows a certificate of the fingerprint ${seen}, and ${expected} is pinned; nothing was sent`
      : `shows a certificate of the fingerprint ${seen}, which is not trusted: ${reasonOf(error)}`;
  return new RemudaError('rack-unreachable', `what answers at ${textOf(place)} ${why}`, options);
};

/** The pause before the next try: as the daemon asked for it, else doubled each time and spread. */
export const pauseOf = (
  { limits, random }: Pick<DaemonParts, 'limits' | 'random'>,
  tries: number,
  answer?: Pick<HttpAnswer, 'headers'>,
): number => {
  const asked = Number(answer?.headers['retry-after']);
  const pause = Number.isFinite(asked) && asked > 0 ? asked * 1000 : limits.kubeBackoffFirstMs * 2 ** Math.min(tries, 20);
  return Math.min(pause, limits.kubeBackoffMostMs) * (1 + random.next() / 2);
};

export class DaemonCalls {
  readonly #parts: DaemonParts;
  constructor(parts: DaemonParts) {
    this.#parts = parts;
  }

  /** The answer as the schema reads it. Throws the daemon's own refusal, or `rack-unreachable`. */
  async ask<T extends z.ZodType>(question: Question<T>): Promise<{ readonly status: number; readonly value: z.output<T> }> {
    const { place } = this.#parts;
    const answer = await this.#answerTo(question);
    const document = documentOf(place, answer);
    if (answer.status < 200 || answer.status > 299) throw refusalOf(place, answer, document);
    const parsed = question.schema.safeParse(document);
    if (parsed.success) return { status: answer.status, value: parsed.data };
    const [issue] = parsed.error.issues;
    throw notOurs(place, answer, `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim(), parsed.error);
  }
  /** Server-sent events from now on, until `until` ends it or the connection breaks. */
  events(silenceMs: number): AsyncIterable<Uint8Array> {
    const call = this.#call('GET', '/v1/events', undefined);
    const headers = { ...call.headers, accept: 'text/event-stream' };
    return this.#parts.http.stream({ ...call, headers, timeoutMs: silenceMs, replyBytesMax: Infinity });
  }

  /** 429 was not done, so it is asked again; 503 and silence may have been, so only what is repeatable is. */
  async #answerTo({ method, path, body, isRepeatable, ifVersion }: Omit<Question<z.ZodType>, 'schema'>): Promise<HttpAnswer> {
    const { http, clock, until } = this.#parts;
    const call = this.#call(method, path, body);
    for (let tries = 0; ; tries++) {
      const isLast = tries + 1 >= triesMax;
      let answer: HttpAnswer | undefined;
      try {
        answer = await http.call(ifVersion === undefined ? call : { ...call, headers: { ...call.headers, 'if-match': `"${ifVersion}"` } });
        if (isLast || !(answer.status === 429 || (answer.status === 503 && isRepeatable))) return answer;
      } catch (error) {
        if (isLast || !isRepeatable || until.aborted || isDistrust(error)) throw this.#unreachable(error);
      }
      await clock.sleep(pauseOf(this.#parts, tries, answer), until);
    }
  }
  #unreachable(error: unknown): unknown {
    const { place, until } = this.#parts;
    if (until.aborted || !(error instanceof RemudaError)) return error;
    if (isDistrust(error)) return distrusted(place, error);
    const message = `the daemon at ${textOf(place)} was not reached: ${reasonOf(error)}`;
    return new RemudaError('rack-unreachable', message, { cause: error, next: checkPlace(place) });
  }
  #call(method: Method, path: string, body: unknown): HttpCall {
    const { place, limits, until } = this.#parts;
    return {
      method,
      ...wayTo(place, path),
      headers: {
        ...('socket' in place ? { 'x-remuda-user': 'remuda-controller' } : {}),
        ...('url' in place && place.token !== undefined ? { authorization: `Bearer ${place.token}` } : {}),
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeoutMs: limits.kubeCallMs,
      replyBytesMax: limits.kubeReplyBytes,
      signal: until,
    };
  }
}
const wayTo = (place: DaemonPlace, path: string): Pick<HttpCall, 'url' | 'socket' | 'fingerprint' | 'ca'> => {
  // The name in the URL is only for the Host header where a socket is used.
  if ('socket' in place) return { url: `http://remuda${path}`, socket: place.socket };
  const { url, fingerprint, ca } = place;
  return {
    url: `${url.replace(/\/+$/, '')}${path}`,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(ca === undefined ? {} : { ca }),
  };
};
/** Another certificate than the pinned one is not asked again: waiting makes it no truer. */
const isDistrust = (error: unknown): boolean => error instanceof RemudaError && error.code === 'bmc-untrusted';
