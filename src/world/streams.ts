/** Lines over a Unix socket, and a TCP port in front of one. */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { RemudaError, reasonOf } from '../errors.ts';
import { lineSplitter } from './lines.ts';
import type { LineStream, Streams } from './lab-world.ts';

const connectionsMax = 64;

const connectLines = async (path: string, world: AbortSignal): Promise<LineStream> => {
  world.throwIfAborted();
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) =>
      reject(new RemudaError('bmc-unreachable', `cannot connect to ${path}: ${reasonOf(cause)}`, { cause, values: { path } })),
    );
  });
  const close = (): void => void socket.destroy();
  world.addEventListener('abort', close, { once: true });
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      world.removeEventListener('abort', close);
      resolve();
    });
  });
  // Its close follows at once, and that is what our callers see.
  socket.on('error', () => {});
  return {
    send: (line) => {
      if (socket.writable) socket.write(`${line}\n`);
    },
    lines: (handler) => {
      const splitter = lineSplitter(handler);
      socket.on('data', (chunk: Uint8Array) => splitter.push(chunk));
      socket.once('end', () => splitter.end());
    },
    closed,
    close,
  };
};

/** Both ways, until either side ends; a failure on one side ends the other. */
const join = (near: Socket, path: string): void => {
  const far = connect({ path, allowHalfOpen: true });
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
  near.once('close', () => far.destroy());
  far.once('close', () => near.destroySoon());
  near.pipe(far);
  far.pipe(near);
};

const closeServer = (server: Server, open: ReadonlySet<Socket>): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of open) socket.destroy();
  });

/** Streams that end with `world`. */
export const realStreams = (world: AbortSignal): Streams => ({
  connectLines: (path) => connectLines(path, world),
  forward: async ({ address, port, socket }) => {
    world.throwIfAborted();
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      open.add(near);
      near.once('close', () => open.delete(near));
      join(near, socket);
    });
    server.maxConnections = connectionsMax;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(
          new RemudaError('bad-config', `cannot listen on ${address}:${port}: ${reasonOf(cause)}`, { cause, values: { address, port } }),
        ),
      );
      server.listen(port, address, () => resolve());
    });
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => (closing ??= closeServer(server, open));
    const onAbort = (): void => void close();
    world.addEventListener('abort', onAbort, { once: true });
    server.once('close', () => world.removeEventListener('abort', onAbort));
    const bound = server.address();
    return { port: typeof bound === 'object' ? bound?.port : undefined, close };
  },
});
