/** Bodies on their way out: streams with back-pressure, files by sendfile(2) on plain connections and by bounded reads under TLS. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { RemudaError } from '../errors.ts';
import { SystemError, readAhead, sendfile } from './libc.ts';
import type { FileBody } from './world.ts';

/** Per sendfile call; small enough that a cold disk does not stop the daemon for long. */
const sendfileBytes = 1024 * 1024;
/** After so much, other connections get their turn. */
const turnBytes = 4 * sendfileBytes;
/** The part written through Node when the socket is full: Node then waits for room, which sendfile cannot. */
const handoverBytes = 4096;
const readBytes = 256 * 1024;

/** The client is gone or takes nothing; its connection is cut and nobody is to blame. */
export class Gone extends Error {
  override readonly name = 'Gone';
}

/** Resolves when `start` calls back; a client that takes nothing for `stallMs` loses its connection. */
const accepted = (socket: Socket, stallMs: number, start: (done: (error?: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(), stallMs);
    const end = (error?: Error | null): void => {
      clearTimeout(timer);
      socket.off('close', closed);
      if (error === undefined || error === null) resolve();
      else reject(new Gone('the client is gone', { cause: error }));
    };
    const closed = (): void => end(new Gone('the client is gone'));
    if (socket.destroyed) return closed();
    socket.once('close', closed);
    start(end);
  });

/** Opens the file and makes sure that the promised bytes are there, before any header says so; throws `not-found`. */
export const openBody = async (body: FileBody): Promise<FileHandle> => {
  const file = await open(body.file, 'r').catch((cause: unknown) => {
    throw new RemudaError('not-found', 'the file behind this answer is not there', { cause, values: { file: body.file } });
  });
  const { size } = await file.stat();
  if (size >= body.offset + body.length) return file;
  await file.close();
  throw new RemudaError('internal', 'the file behind this answer is shorter than it should be', { values: { ...body, size } });
};

/** The descriptor under a plain socket, asked anew each time: after a close the same number belongs to somebody else. */
const descriptorOf = (socket: Socket): number | undefined => {
  // oxlint-disable-next-line no-underscore-dangle -- Node names it so, and offers no public way to the descriptor.
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle;
  return socket.destroyed || handle?.fd === undefined || handle.fd < 0 ? undefined : handle.fd;
};

/** The kernel knows that a client is gone before Node does. */
const sendPart = (socketFd: number, fileFd: number, range: { readonly offset: number; readonly count: number }): number => {
  try {
    return sendfile(socketFd, fileFd, range);
  } catch (cause) {
    if (cause instanceof SystemError && ['EPIPE', 'ECONNRESET', 'ETIMEDOUT'].includes(cause.code))
      throw new Gone('the client is gone', { cause });
    throw cause;
  }
};

/** Sends until the socket is full, the turn is over or the end is reached; the new offset. */
const sendTurn = (socket: Socket, file: FileHandle, offset: number, end: number): number => {
  const stop = Math.min(end, offset + turnBytes);
  readAhead(file.fd, stop, turnBytes);
  let at = offset;
  while (at < stop) {
    const fd = descriptorOf(socket);
    if (fd === undefined) throw new Gone('the client is gone');
    const sent = sendPart(fd, file.fd, { offset: at, count: Math.min(sendfileBytes, stop - at) });
    if (sent === 0) break;
    at += sent;
  }
  return at;
};

const byKernel = async (socket: Socket, file: FileHandle, body: FileBody, stallMs: number): Promise<void> => {
  const end = body.offset + body.length;
  let at = body.offset;
  while (at < end) {
    // First through Node, behind the headers: when it calls back nothing is queued there, and the descriptor is ours until we return.
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(handoverBytes), 0, Math.min(handoverBytes, end - at), at);
    if (bytesRead === 0) throw new Gone('the file became shorter while it was sent');
    at += bytesRead;
    await accepted(socket, stallMs, (done) => socket.write(buffer.subarray(0, bytesRead), done));
    for (let full = false; at < end && !full;) {
      const before = at;
      at = sendTurn(socket, file, at, end);
      full = at < Math.min(end, before + turnBytes);
      if (!full) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
};

/** The next part is read while the last one is on its way; never more than two parts in memory. */
const byReads = async (response: ServerResponse, file: FileHandle, body: FileBody, stallMs: number): Promise<void> => {
  const buffers = [Buffer.allocUnsafeSlow(readBytes), Buffer.allocUnsafeSlow(readBytes)] as const;
  const end = body.offset + body.length;
  let onItsWay: Promise<void> = Promise.resolve();
  for (let at = body.offset, turn = 0; at < end; turn ^= 1) {
    const { buffer, bytesRead } = await file.read(buffers[turn === 0 ? 0 : 1], 0, Math.min(readBytes, end - at), at);
    if (bytesRead === 0) throw new Gone('the file became shorter while it was sent');
    at += bytesRead;
    await onItsWay;
    onItsWay = writePart(response, buffer.subarray(0, bytesRead), stallMs);
    // Awaited one turn later; until then its failure is not "unhandled".
    onItsWay.catch(() => {});
  }
  await onItsWay;
};

const writePart = (response: ServerResponse, bytes: Uint8Array, stallMs: number): Promise<void> => {
  const { socket } = response;
  // A pipelined answer has no socket before its turn; Node keeps what is written, and calls back when it was sent.
  if (socket === null) return new Promise((resolve, reject) => response.write(bytes, (error) => (error ? reject(error) : resolve())));
  return accepted(socket, stallMs, (done) => response.write(bytes, done));
};

/** Sends exactly `body.length` bytes after the headers, which are already written; throws Gone where the client left. Closes nothing. */
export const sendFile = async (response: ServerResponse, file: FileHandle, body: FileBody, stallMs: number): Promise<void> => {
  response.flushHeaders();
  const { socket } = response;
  if (socket === null || socket instanceof TLSSocket) await byReads(response, file, body, stallMs);
  else await byKernel(socket, file, body, stallMs);
};

/** Sends chunks as they come, waiting for the client to take each; ends the iteration where the client left. */
export const sendStream = async (response: ServerResponse, chunks: AsyncIterable<Uint8Array>, stallMs: number): Promise<void> => {
  response.flushHeaders();
  for await (const chunk of chunks) {
    if (response.destroyed) throw new Gone('the client is gone');
    await writePart(response, chunk, stallMs);
  }
};
