/** One watch on a bad line: events pass as they come, until it falls silent, is torn in the middle of one, or is told that its version is gone. */
import type { Fault } from './faulty-door.ts';

export interface WatchEnds {
  readonly send: (bytes: Buffer) => void;
  readonly cut: () => void;
  readonly end: () => void;
  /** The fault came to pass. */
  readonly told: () => void;
}
const newline = 0x0a;
const gone = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'too old resource version', reason: 'Expired', code: 410 };

export class WatchLine {
  readonly #fault: Fault | undefined;
  readonly #ends: WatchEnds;
  #rest: Buffer = Buffer.alloc(0);
  #events = 0;
  #isOver = false;

  constructor(fault: Fault | undefined, ends: WatchEnds) {
    this.#fault = fault;
    this.#ends = ends;
    this.#look();
  }
  take(piece: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, piece]);
    for (let at = this.#rest.indexOf(newline); at >= 0 && !this.#isOver; at = this.#rest.indexOf(newline)) {
      const line = this.#rest.subarray(0, at + 1);
      this.#rest = this.#rest.subarray(at + 1);
      this.#line(line);
    }
  }
  /** The server has ended it. A silent one stays open, as a line does of which one end is dead. */
  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ends.end();
  }

  #line(line: Buffer): void {
    if (this.#fault?.is === 'torn' && this.#events >= this.#fault.afterEvents) {
      this.#isOver = true;
      this.#ends.told();
      this.#ends.send(line.subarray(0, Math.floor(line.length / 2)));
      // What was sent must be on its way before the line is cut.
      setImmediate(this.#ends.cut);
      return;
    }
    this.#ends.send(line);
    this.#events++;
    this.#look();
  }
  /** Faults that need no event to come. */
  #look(): void {
    const fault = this.#fault;
    if (fault?.is === 'silent' && this.#events >= fault.afterEvents) {
      this.#isOver = true;
      this.#ends.told();
    }
    if (fault?.is === 'forgotten' && this.#events >= fault.afterEvents) {
      this.#isOver = true;
      this.#ends.told();
      this.#ends.send(Buffer.from(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`));
      this.#ends.end();
    }
  }
}
