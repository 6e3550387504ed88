/** Refusals on their way out: as a reply, and for bytes that never became a request. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { errnoOf } from './files.ts';
import { problem } from './http-problem.ts';
import type { Problem } from './http-problem.ts';

/** A body that nobody reads: what is left of a small one is here already; for a large one the connection is not worth keeping. */
const unreadBytesMax = 64 * 1024;
/** To be called before an answer that leaves the body unread. */
export const leaveBody = (reply: FastifyReply): void => {
  const { 'content-length': length, 'transfer-encoding': encoding } = reply.request.headers;
  if (encoding !== undefined || Number(length ?? 0) > unreadBytesMax) reply.header('connection', 'close');
};

/** A refusal of the listener itself, under the ID of its request. */
export const problemReply = (reply: FastifyReply, body: Problem): FastifyReply => {
  const { id } = reply.request;
  return reply
    .code(body.status)
    .header('content-type', 'application/problem+json')
    .header('x-request-id', id)
    .send(Buffer.from(JSON.stringify({ ...body, instance: `urn:remuda:request:${id}` })));
};

const rawStatus: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** Answers bytes that are no HTTP request, and cuts the connection (Node's `clientError`). */
export const rawProblem = (error: Error, socket: Socket): void => {
  const status = rawStatus[errnoOf(error) ?? ''] ?? 400;
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(problem('bad-request', status, status === 408 ? 'the request came too slowly' : 'this is no HTTP request'));
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-type: application/problem+json`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, () => socket.destroy());
};
