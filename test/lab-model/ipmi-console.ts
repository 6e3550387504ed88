/** The smallest remote console: it opens a session with a virtual BMC in memory and sends commands, with none of a driver's patience. */
import assert from 'node:assert/strict';
import { decodeResponse, encodeRequest, setSessionPrivilege } from '../../src/bmc/ipmi/commands.ts';
import type { Command } from '../../src/bmc/ipmi/commands.ts';
import { rakp2Code, rakp3Code, rakp4Code, sameCode, seal, sessionKeys, suites, unseal } from '../../src/bmc/ipmi/crypt.ts';
import type { Handshake, SessionKeys } from '../../src/bmc/ipmi/crypt.ts';
import { decodeMessage, encodeMessage, requestMessage } from '../../src/bmc/ipmi/message.ts';
import { decodeOpening, encodeOpening, Privilege } from '../../src/bmc/ipmi/opening.ts';
import type { Algorithms } from '../../src/bmc/ipmi/opening.ts';
import { decodePacket, openingPacket, outsidePacket, PayloadType } from '../../src/bmc/ipmi/packet.ts';
import type { IpmiBmc } from '../../src/lab/model/ipmi-bmc.ts';

const consoleSession = 0xa0a1a2a3;

/** The only answer to a payload that opens a session; undefined where there is none. */
export const opening = (bmc: IpmiBmc, type: number, data: Uint8Array): Uint8Array | undefined => {
  const [answer] = bmc.answer(openingPacket(type, data));
  if (answer === undefined) return undefined;
  const packet = decodePacket(answer);
  assert.equal(packet.kind, 'v20');
  return packet.kind === 'v20' ? packet.data : undefined;
};
export const openSession = (bmc: IpmiBmc, algorithms: Algorithms) => {
  const request = { tag: 1, privilege: { level: Privilege.administrator }, reserved: 0, consoleSession, algorithms };
  const answer = opening(bmc, PayloadType.openRequest, encodeOpening('openRequest', request));
  return answer === undefined ? undefined : decodeOpening('openResponse', answer);
};
/** A command outside of any session: completion code and data. */
export const ask = (bmc: IpmiBmc, netFn: number, command: number, data: readonly number[]): Uint8Array | undefined => {
  const request = requestMessage({ netFn, command, sequence: 1, data: Uint8Array.from(data) });
  const [answer] = bmc.answer(outsidePacket(encodeMessage(request)));
  if (answer === undefined) return undefined;
  const packet = decodePacket(answer);
  return packet.kind === 'v15' ? decodeMessage(packet.message).data : undefined;
};

export interface LogIn {
  readonly username: string;
  readonly password: string;
  readonly suite?: number;
  /** Gives up after RAKP 2, as a console does that finds the BMC's code wrong. */
  readonly givesUp?: boolean;
}
/** An open session, or the number of the message that failed with its status; `lost` where there was no answer. */
export const logIn = (bmc: IpmiBmc, { username, password, suite: id = 17, givesUp = false }: LogIn): Console | string => {
  const suite = suites.get(id);
  assert.ok(suite !== undefined);
  const opened = openSession(bmc, suite);
  if (opened?.body === undefined) return `open ${opened?.status ?? 'lost'}`;
  const { managedSession } = opened.body;
  const role = 0x10 | Privilege.administrator;
  const [consoleRandom, name] = [new Uint8Array(16).fill(7), Buffer.from(username)];
  const rakp1 = { tag: 2, reserved: 0, managedSession, consoleRandom, role, reserved2: 0, username: name };
  const second = opening(bmc, PayloadType.rakp1, encodeOpening('rakp1', rakp1));
  if (second === undefined) return 'rakp2 lost';
  const { status, body } = decodeOpening('rakp2', second);
  if (body === undefined) return `rakp2 ${status}`;
  const { managedRandom, guid } = body;
  const shared = { suite, consoleSession, managedSession, consoleRandom, managedRandom, guid, role };
  const handshake: Handshake = { ...shared, username: name, password: Buffer.from(password) };
  if (!givesUp && password === 'correct horse') assert.ok(sameCode(body.code, rakp2Code(handshake)));
  const rakp3 = { tag: 3, status: givesUp ? 0x0f : 0, reserved: 0, managedSession, code: rakp3Code(handshake) };
  const fourth = opening(bmc, PayloadType.rakp3, encodeOpening('rakp3', rakp3));
  if (fourth === undefined) return 'rakp4 lost';
  const last = decodeOpening('rakp4', fourth);
  if (last.status !== 0) return `rakp4 ${last.status}`;
  assert.ok(sameCode(last.code, rakp4Code(handshake)));
  return new Console(bmc, managedSession, sessionKeys(handshake));
};

export class Console {
  readonly session: number;
  readonly #bmc: IpmiBmc;
  readonly #keys: SessionKeys;
  #sequence = 0;
  /** Sequence numbers of the packets that came. */
  readonly numbers: number[] = [];

  constructor(bmc: IpmiBmc, session: number, keys: SessionKeys) {
    this.#bmc = bmc;
    this.session = session;
    this.#keys = keys;
  }

  /** A sealed packet with the next number, or with this one. */
  packet(netFn: number, command: number, data: Uint8Array, sequence = (this.#sequence += 1)): Uint8Array {
    const payload = encodeMessage(requestMessage({ netFn, command, sequence: sequence & 0x3f, data }));
    return seal(this.#keys, { session: this.session, sequence, type: PayloadType.ipmi, payload }, new Uint8Array(16).fill(9));
  }
  /** Completion code and data of a command by its number; undefined where there was no answer. */
  raw(netFn: number, command: number, ...data: readonly number[]): Uint8Array | undefined {
    return this.#opened(this.#bmc.answer(this.packet(netFn, command, Uint8Array.from(data))));
  }
  /** The answer of a command, which must be there and good. */
  run<Q extends object, A extends object>(of: Command<Q, A>, request: Q): A {
    const data = this.code(of, request);
    assert.equal(data?.[0], 0, `${of.name} was refused`);
    return decodeResponse(of, (data ?? new Uint8Array()).subarray(1));
  }
  /** Completion code and data; undefined where there was no answer. */
  code<Q extends object, A extends object>(of: Command<Q, A>, request: Q): Uint8Array | undefined {
    return this.raw(of.netFn, of.command, ...encodeRequest(of, request));
  }
  become(level: number): number | undefined {
    return this.code(setSessionPrivilege, { privilege: { level } })?.[0];
  }
  #opened(answers: readonly Uint8Array[]): Uint8Array | undefined {
    const last = answers.at(-1);
    if (last === undefined) return undefined;
    const packet = decodePacket(last);
    assert.equal(packet.kind, 'v20');
    if (packet.kind !== 'v20') return undefined;
    this.numbers.push(packet.sequence);
    return decodeMessage(unseal(this.#keys, packet, last), 'ignored').data;
  }
}
