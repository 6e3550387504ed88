/** Refusals on their way out: as a reply, and for bytes that never became a request. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { errnoOf } from './files.ts';
import { problem } from './http-problem.ts';
import type { Problem } from './http-problem.ts';

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
