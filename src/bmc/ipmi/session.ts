/** An open RMCP+ session: its packets sealed and numbered, each request with its own number, each answer taken once. */
import type { Random } from '../../world/world.ts';
import { blockBytes, seal, unseal } from './crypt.ts';
import type { SessionKeys } from './crypt.ts';
import type { Line } from './line.ts';
import type { Asking } from './outside.ts';
import { answersTo, decodeMessage, encodeMessage, requestMessage } from './message.ts';
import { PayloadType } from './packet.ts';
import { SequenceWindow } from './window.ts';

export interface SessionIds {
  /** The remote console's, in packets to us; and the managed system's, in packets to the BMC. */
  readonly consoleSession: number;
  readonly managedSession: number;
}
export interface Reply {
  readonly code: number;
  /** Behind the completion code. */
  readonly data: Uint8Array;
}
export interface SessionRequest {
  readonly netFn: number;
  readonly command: number;
  readonly data: Uint8Array;
}
/** Request numbers have six bits (§13.8). */
const requestNumbers = 64;

export class Session {
  readonly managedSession: number;
  readonly #line: Line;
  readonly #ids: SessionIds;
  readonly #keys: SessionKeys;
  readonly #random: Pick<Random, 'bytes'>;
  readonly #received = new SequenceWindow();
  /** The last that was sent; the first is 1 (§13.28.4). */
  #sent = 0;
  #request = 0;

  constructor(line: Line, ids: SessionIds, keys: SessionKeys, random: Pick<Random, 'bytes'>) {
    this.managedSession = ids.managedSession;
    this.#line = line;
    this.#ids = ids;
    this.#keys = keys;
    this.#random = random;
  }

  /** undefined where no answer came. Sent again it has a new number of the session and the same number of the request (§6.12.11, §13.8). */
  ask(request: SessionRequest, { waitsMs, signal }: Asking): Promise<Reply | undefined> {
    // One further each time: BMCs are not to be surprised by jumps (pyghmi).
    this.#request = (this.#request + 1) % requestNumbers;
    const numbered = { ...request, sequence: this.#request };
    return this.#line.ask({
      datagram: () => this.#sealed(encodeMessage(requestMessage(numbered))),
      take: (packet, datagram) => {
        if (packet.kind !== 'v20' || packet.session !== this.#ids.consoleSession || packet.payload.type !== PayloadType.ipmi)
          return undefined;
        const payload = unseal(this.#keys, packet, datagram);
        if (!this.#received.accept(packet.sequence)) return undefined;
        const checksums = this.#keys.suite.integrity === 0 ? 'checked' : 'ignored';
        const response = decodeMessage(payload, checksums);
        const [code] = response.data;
        return answersTo(response, numbered) && code !== undefined ? { code, data: response.data.subarray(1) } : undefined;
      },
      waitsMs,
      signal,
    });
  }

  #sealed(payload: Uint8Array): Uint8Array {
    this.#sent += 1;
    const packet = { session: this.#ids.managedSession, sequence: this.#sent, type: PayloadType.ipmi, payload };
    return seal(this.#keys, packet, this.#random.bytes(blockBytes));
  }
}
