/** Entity tags (RFC 9110 §8.8.3): the version of a host for `If-Match`, and what an answer says for `If-None-Match`. */
import { createHash } from 'node:crypto';
import { RemudaError } from '../errors.ts';
import type { HttpReply, HttpRequest } from '../world/world.ts';

/** The beginning of a host's tag. What the host does at the moment changes without a version, so a mark of the whole answer follows it. */
export const tagOf = (version: number): string => `"${version}"`;

/** The version that `If-Match` asks for; undefined where any will do. `precondition-failed` where it is no tag of a host. */
export const versionWanted = ({ headers }: HttpRequest): number | undefined => {
  const wanted = headers['if-match'];
  if (wanted === undefined || wanted.trim() === '*') return undefined;
  const [, version] = /^\s*"(\d{1,15})(?:-[0-9a-f]{16})?"\s*$/.exec(wanted) ?? [];
  // A tag that we never gave fits nothing (RFC 9110 §13.1.1).
  if (version === undefined)
    throw new RemudaError(
      'precondition-failed',
      'If-Match carries no tag of a host: send the ETag as the host came with it, like "12-0123456789abcdef"',
    );
  return Number(version);
};

/** An answer to GET with its tag; 304 without a body where the client has just that already (RFC 9110 §13.1.2). */
export const conditional = (request: HttpRequest, reply: HttpReply): HttpReply => {
  if (reply.status !== 200 || typeof reply.body !== 'string') return reply;
  const mark = createHash('sha256').update(reply.body).digest('hex').slice(0, 16);
  const version = /^"(\d+)"$/.exec(reply.headers?.['etag'] ?? '')?.[1];
  const etag = version === undefined ? `"${mark}"` : `"${version}-${mark}"`;
  const known = (request.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known.includes(etag) || known.includes('*')) return { status: 304, headers: { etag } };
  return { ...reply, headers: { ...reply.headers, etag } };
};
