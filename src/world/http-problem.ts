/** Refusals in HTTP: problem+json (RFC 9457) with our stable code, for thrown errors and for requests that never became one. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { RemudaError } from '../errors.ts';
import type { Code } from '../errors.ts';
import { errnoOf } from './files.ts';
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

export const problemReply = (reply: FastifyReply, body: Problem): FastifyReply =>
  reply
    .code(body.status)
    .header('content-type', 'application/problem+json')
    .send(Buffer.from(JSON.stringify(body)));

const rawStatus: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** Answers bytes that are no HTTP request, and cuts the connection (Node's `clientError`). */
export const rawProblem = (error: Error, socket: Socket): void => {
  const status = rawStatus[errnoOf(error) ?? ''] ?? 400;
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(problem('bad-request', status, status === 408 ? 'the request came too slowly' : 'this is no HTTP request'));
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-type: application/problem+json`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, () => socket.destroy());
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
