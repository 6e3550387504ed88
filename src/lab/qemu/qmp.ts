/** QMP, QEMU's monitor: one JSON object per line, commands with ids, events between them (QEMU docs/interop/qmp-spec). */
import { RemudaError } from '../../errors.ts';
import type { LineStream } from '../../world/lab-world.ts';
import type { Clock } from '../../world/world.ts';

/** What no call may take longer than; QEMU answers in milliseconds, a busy machine in seconds. */
const replyMs = 10_000;

export type QmpArguments = Readonly<Record<string, unknown>>;
export interface QmpEvent {
  /** `RESET`, `SHUTDOWN`, `POWERDOWN`, … */
  readonly name: string;
  readonly data: QmpArguments;
}
export interface Qmp {
  /** The command's `return`. Throws `bmc-refused` where QEMU says no, `bmc-unreachable` where the line ends or stays silent. */
  run(command: string, args?: QmpArguments): Promise<unknown>;
  /** The returned function ends it. */
  events(handler: (event: QmpEvent) => void): () => void;
  /** Resolves when the line has ended. */
  readonly closed: Promise<void>;
  close(): void;
}

const record = (value: unknown): QmpArguments | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as QmpArguments) : undefined;
const parse = (line: string): QmpArguments | undefined => {
  try {
    return record(JSON.parse(line));
  } catch {
    return undefined;
  }
};

interface Waiting {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RemudaError) => void;
  readonly cancel: () => void;
}

class QmpSession implements Qmp {
  readonly closed: Promise<void>;
  readonly #stream: LineStream;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  readonly #handlers = new Set<(event: QmpEvent) => void>();
  readonly #greeted = Promise.withResolvers<void>();
  #lastId = 0;
  #ended = false;

  constructor(stream: LineStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    // Nobody may be waiting for it when the line ends.
    this.#greeted.promise.catch(() => undefined);
    this.closed = stream.closed.then(() => this.#end());
    stream.lines((line) => this.#receive(line));
  }

  /** The greeting first, then out of negotiation mode (qmp-spec "Capabilities Negotiation"). */
  async negotiate(): Promise<void> {
    const cancel = this.#clock.after(replyMs, () => this.#greeted.reject(silent('its greeting')));
    try {
      await this.#greeted.promise;
      await this.run('qmp_capabilities');
    } catch (error) {
      this.close();
      throw error;
    } finally {
      cancel();
    }
  }

  run(command: string, args?: QmpArguments): Promise<unknown> {
    if (this.#ended) return Promise.reject(gone(command));
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const cancel = this.#clock.after(replyMs, () => {
      this.#waiting.delete(id);
      reject(silent(command));
    });
    this.#waiting.set(id, { command, resolve, reject, cancel });
    this.#stream.send(JSON.stringify({ execute: command, ...(args === undefined ? {} : { arguments: args }), id }));
    return promise;
  }

  events(handler: (event: QmpEvent) => void): () => void {
    this.#handlers.add(handler);
    return () => void this.#handlers.delete(handler);
  }

  close(): void {
    this.#stream.close();
  }

  #receive(line: string): void {
    const message = parse(line);
    if (message === undefined) return;
    if (message['QMP'] !== undefined) return this.#greeted.resolve();
    const event = message['event'];
    if (typeof event === 'string') {
      const data = record(message['data']) ?? {};
      for (const handler of this.#handlers) handler({ name: event, data });
      return;
    }
    this.#answer(message);
  }

  #answer(message: QmpArguments): void {
    const id = message['id'];
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;
    if (waiting === undefined) return;
    this.#waiting.delete(id as number);
    waiting.cancel();
    const refused = record(message['error']);
    if (refused === undefined) return waiting.resolve(message['return']);
    const { class: kind, desc } = refused;
    waiting.reject(
      new RemudaError('bmc-refused', `QEMU refused ${waiting.command}: ${String(desc)}`, { values: { command: waiting.command, kind } }),
    );
  }

  #end(): void {
    this.#ended = true;
    this.#greeted.reject(gone('its greeting'));
    for (const waiting of this.#waiting.values()) {
      waiting.cancel();
      waiting.reject(gone(waiting.command));
    }
    this.#waiting.clear();
  }
}

const silent = (what: string): RemudaError =>
  new RemudaError('bmc-unreachable', `QEMU did not answer ${what} within ${replyMs / 1000} s`, { values: { command: what } });
const gone = (what: string): RemudaError =>
  new RemudaError('bmc-unreachable', `QEMU closed its monitor before it answered ${what}`, { values: { command: what } });

/** A session over a line that was just connected, ready for commands. Throws `bmc-unreachable` where nothing greets within 10 s. */
export const openQmp = async (stream: LineStream, clock: Clock): Promise<Qmp> => {
  const session = new QmpSession(stream, clock);
  await session.negotiate();
  return session;
};
