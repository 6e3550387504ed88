/** The hands of one transfer: its socket and its timer, doing what the state machine says. */
import { reasonOf } from '../errors.ts';
import { DecodeError } from '../wire/reader.ts';
import type { Datagram, UdpSocket, World } from '../world/world.ts';
import { dataHeaderBytes, decodeTftp, encodeTftp, framedBlocks } from './packet.ts';
import { type Action, type Outcome, type Step, stepTransfer, type Transfer, type TransferEvent } from './transfer.ts';

export interface Session {
  /** The request that began it, to tell a retransmission from a new one. */
  readonly request: string;
  close(): void;
}

export interface SessionOptions {
  /** A socket of its own, whose port is our transfer identifier (RFC 1350 §4). */
  readonly socket: Promise<UdpSocket>;
  readonly request: string;
  readonly file: Uint8Array;
  readonly begun: Step;
  /** Called once; without an outcome where the session was closed from outside. */
  readonly ended: (outcome: Outcome | undefined, reason: string) => void;
}

export const runSession = (world: World, options: SessionOptions): Session => {
  const session = new RunningSession(world, options);
  void session.open();
  return session;
};

/** Larger DATA packets are fragmented by IP, and the kernel cuts only where none would be: 1500 less IP, UDP and TFTP headers. */
const segmentDataBytesMax = 1468;

class RunningSession implements Session {
  readonly request: string;
  readonly #world: World;
  readonly #options: SessionOptions;
  #transfer: Transfer;
  #socket: UdpSocket | undefined;
  #cancelTimer = (): void => {};
  #isOver = false;

  constructor(world: World, options: SessionOptions) {
    this.#world = world;
    this.#options = options;
    this.#transfer = options.begun.transfer;
    this.request = options.request;
  }

  async open(): Promise<void> {
    try {
      const socket = await this.#options.socket;
      if (this.#isOver) return socket.close();
      this.#socket = socket;
      socket.receive((datagram) => this.#receive(datagram));
      this.#act(this.#options.begun.actions);
    } catch (error) {
      this.#world.log.error('a TFTP transfer could not begin', { reason: reasonOf(error) });
      this.#end(undefined, reasonOf(error));
    }
  }

  close(): void {
    this.#end(undefined, 'closed');
  }

  #receive(datagram: Datagram): void {
    if (this.#isOver) return;
    try {
      const from = { address: datagram.address, port: datagram.port };
      this.#step({ kind: 'packet', packet: decodeTftp(datagram.bytes), from });
    } catch (error) {
      // Bytes that say nothing change nothing; the transfer goes on or ends by its clock.
      if (error instanceof DecodeError) return;
      this.#world.log.error('a TFTP transfer was ended by a fault of ours', { error });
      this.#end(undefined, reasonOf(error));
    }
  }

  #step(event: TransferEvent): void {
    const { transfer, actions } = stepTransfer(this.#transfer, event, this.#world.clock.now());
    this.#transfer = transfer;
    this.#act(actions);
  }

  #act(actions: readonly Action[]): void {
    for (const action of actions) {
      if (action.kind === 'send') this.#socket?.send(encodeTftp(action.packet), action.to);
      if (action.kind === 'send-blocks') this.#sendBlocks(action.first, action.count);
      if (action.kind === 'wait') this.#waitUntil(action.until);
      if (action.kind === 'end') this.#end(action.outcome, action.reason);
    }
  }

  /** A window is one send that the kernel cuts into packets: most of the cost of TFTP is the number of sends. */
  #sendBlocks(first: number, count: number): void {
    const { peer, terms } = this.#transfer;
    const { blockBytes } = terms;
    if (count > 1 && blockBytes <= segmentDataBytesMax) {
      const framed = framedBlocks(this.#options.file, { first, count, blockBytes });
      this.#socket?.send(framed, { ...peer, segmentBytes: blockBytes + dataHeaderBytes });
      return;
    }
    for (let block = first; block < first + count; block++)
      this.#socket?.send(framedBlocks(this.#options.file, { first: block, count: 1, blockBytes }), peer);
  }

  #waitUntil(until: number): void {
    this.#cancelTimer();
    const waitMs = Math.max(0, until - this.#world.clock.now());
    this.#cancelTimer = this.#world.clock.after(waitMs, () => {
      if (!this.#isOver) this.#step({ kind: 'timeout' });
    });
  }

  #end(outcome: Outcome | undefined, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTimer();
    this.#socket?.close();
    this.#options.ended(outcome, reason);
  }
}
