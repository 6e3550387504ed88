/** Refusals in HTTP: problem+json (RFC 9457) with our stable code, for whatever is thrown. */
import { STATUS_CODES } from 'node:http';
import { RemudaError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Route } from './world.ts';

export interface Problem {
  /** `about:blank#<code>` */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: Code;
  readonly detail: string;
}

/** The title is the status' own, RFC 9457 §4.2.1. */
export const problem = (code: Code, status: number, detail: string): Problem => ({
  type: `about:blank#${code}`,
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
