/** Refusals in HTTP: problem+json (RFC 9457) with our stable code, for whatever is thrown. */
import { STATUS_CODES } from 'node:http';
import { RemudaError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Route } from './world.ts';

export interface Problem {
  /** `urn:remuda:problem:<code>` */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: Code;
  readonly detail: string;
  /** `urn:remuda:request:<id>`, as in `X-Request-Id`, the log and the audit log. */
  readonly instance?: string;
  /** What to do about it, where the sentence does not say it; for people. */
  readonly next?: string;
  /** What explains it, for programs; never a secret. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** The title is the status' own, RFC 9457 §4.2.1. */
export const problem = (code: Code, status: number, detail: string): Problem => ({
  type: `urn:remuda:problem:${code}`,
  title: STATUS_CODES[status] ?? 'Error',
  status,
  code,
  detail,
});

const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;

/** What the client may know of an error: ours in full, Fastify's own refusals by status, of all others nothing. */
export const problemOf = (error: unknown): Problem => {
  if (error instanceof RemudaError) return problem(error.code, error.status, error.message);
  const status = statusOf(error);
  if (status === 413) return problem('too-large', 413, 'the body is larger than this request may carry');
  if (status !== undefined && status >= 400 && status < 500 && error instanceof Error) return problem('bad-request', status, error.message);
  return problem('internal', 500, 'an error inside the daemon; its log says more');
};

/** Values under these names are never shown, whatever raised the error. */
const hidden = /password|secret|token|ticket|credential|authori[sz]ation|userdata|cookie|key|answer|body|stack|cause/i;
const deepest = 5;
const shownMax = 32;
/** A value cut down to what a client may hear: plain, short, shallow, and no user in a URL. */
const shown = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string') return value.slice(0, 256).replaceAll(/\/\/[^/@\s]*@/g, '//');
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (depth >= deepest || typeof value !== 'object') return undefined;
  if (Array.isArray(value)) return value.slice(0, shownMax).map((inner: unknown) => shown(inner, depth + 1) ?? null);
  const entries = Object.entries(value).filter(([name]) => !hidden.test(name));
  return Object.fromEntries(entries.slice(0, shownMax).map(([name, inner]) => [name, shown(inner, depth + 1)]));
};
/** The problem of one request, with the values of the error where it is one of ours and the client's own affair. */
export const problemOfRequest = (error: unknown, requestId: string): Problem => {
  const plain = { ...problemOf(error), instance: `urn:remuda:request:${requestId}` };
  if (!(error instanceof RemudaError) || error.code === 'internal') return plain;
  const advised = error.next === undefined ? plain : { ...plain, next: error.next };
  if (Object.keys(error.values).length === 0) return advised;
  return { ...advised, values: shown(error.values) as Readonly<Record<string, unknown>> };
};

/** The methods this path has routes for; empty where the path is unknown. */
export const allowedMethods = (routes: readonly Route[], path: string): readonly string[] => {
  const parts = path.split('/');
  const fits = (pattern: string): boolean => {
    const wanted = pattern.split('/');
    return wanted.length === parts.length && wanted.every((part, at) => part === parts[at] || (part.startsWith(':') && parts[at] !== ''));
  };
  const methods = routes.filter((route) => fits(route.path)).map((route) => route.method);
  return [...new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)].toSorted();
};
