/** One attempt to open a session: open session request, RAKP 1 to 4 (IPMI 2.0 §13.15). What it came to is a value; whether to try again is decided in entry.ts. */
import type { Random } from '../../world/world.ts';
import { rakp2Code, rakp3Code, rakp4Code, sameCode, sessionKeys } from './crypt.ts';
import type { Handshake, Suite } from './crypt.ts';
import type { Line } from './line.ts';
import { decodeOpening, encodeOpening } from './opening.ts';
import type { OpenResponse } from './opening.ts';
import { openingPacket, PayloadType } from './packet.ts';
import { Session } from './session.ts';

export interface Attempt {
  readonly line: Line;
  readonly random: Pick<Random, 'bytes'>;
  readonly suite: Suite;
  /** Privilege.administrator or .operator. */
  readonly level: number;
  readonly username: Uint8Array;
  readonly password: Uint8Array;
  /** Each of the three questions is sent once: a BMC takes no RAKP message twice (ipmitool, pyghmi). */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}
export type HandshakeResult =
  | { readonly kind: 'open'; readonly session: Session }
  /** No answer to one of the three; only a whole new attempt can follow. */
  | { readonly kind: 'silence' }
  /** A status of table 13-15, and at which of the three. */
  | { readonly kind: 'refused'; readonly status: number; readonly at: 'open' | 'rakp2' | 'rakp4' }
  /** The BMC's proof of the password is not ours: it has another one. */
  | { readonly kind: 'wrong-password' }
  /** The BMC let us in and its last proof is wrong: it has a key of its own (K_G) that we do not know. */
  | { readonly kind: 'wrong-key' };

/** Look the user up by name alone, not by name and privilege (§13.20): what ipmitool and everybody sends. */
const byName = 0x10;
/** "Invalid integrity check value" (table 13-15): how a console tells that it gives up. */
const givesUp = 0x0f;

const wordOf = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

interface Step<T> {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly answerType: number;
  readonly read: (data: Uint8Array) => T;
}
/** Answers that are not `mine` are late ones of an earlier attempt. */
const askStep = <T>(
  { line, waitMs, signal }: Attempt,
  { type, payload, answerType, read }: Step<T>,
  mine: (answer: T) => boolean,
): Promise<T | undefined> =>
  line.ask<T>({
    datagram: () => openingPacket(type, payload),
    take: (packet) => {
      if (packet.kind !== 'v20' || packet.payload.type !== answerType) return undefined;
      const answer = read(packet.data);
      return mine(answer) ? answer : undefined;
    },
    waitsMs: [waitMs],
    signal,
  });

interface Opening {
  readonly tag: number;
  readonly consoleSession: number;
}
const openStep = (attempt: Attempt, { tag, consoleSession }: Opening): Promise<OpenResponse | undefined> => {
  const { authentication, integrity, confidentiality } = attempt.suite;
  const payload = encodeOpening('openRequest', {
    tag,
    // The level that is meant, not 0 for "the highest": BMCs of several makers refuse that (MAAS turns it off for all).
    privilege: { level: attempt.level },
    reserved: 0,
    consoleSession,
    algorithms: { authentication, integrity, confidentiality },
  });
  const step = {
    type: PayloadType.openRequest,
    payload,
    answerType: PayloadType.openResponse,
    read: (data: Uint8Array) => decodeOpening('openResponse', data),
  };
  // Where it refuses, a BMC may leave our session ID out.
  return askStep(attempt, step, (answer) => answer.tag === tag && (answer.status !== 0 || answer.consoleSession === consoleSession));
};

/** The suite that the BMC opened must be the one that was asked for: it may not choose a weaker one. */
const isAsked = (suite: Suite, { body }: OpenResponse): boolean =>
  body !== undefined &&
  body.algorithms.authentication === suite.authentication &&
  body.algorithms.integrity === suite.integrity &&
  body.algorithms.confidentiality === suite.confidentiality;

/** §13.15. Random numbers and IDs are new each time. Throws only what a signal says. */
export const handshake = async (attempt: Attempt): Promise<HandshakeResult> => {
  const { random, suite, level, username, password } = attempt;
  const [tag = 0] = random.bytes(1);
  // Never 0, which is no session at all.
  const consoleSession = wordOf(random.bytes(4)) || 1;
  const response = await openStep(attempt, { tag, consoleSession });
  if (response === undefined) return { kind: 'silence' };
  if (response.body === undefined || !isAsked(suite, response))
    return { kind: 'refused', status: response.status === 0 ? 0x11 : response.status, at: 'open' };
  const { managedSession } = response.body;
  const role = byName | level;
  const consoleRandom = random.bytes(16);
  const rakp2 = await askStep(
    attempt,
    {
      type: PayloadType.rakp1,
      payload: encodeOpening('rakp1', { tag, reserved: 0, managedSession, consoleRandom, role, reserved2: 0, username }),
      answerType: PayloadType.rakp2,
      read: (data) => decodeOpening('rakp2', data),
    },
    (answer) => answer.tag === tag && (answer.status !== 0 || answer.consoleSession === consoleSession),
  );
  if (rakp2 === undefined) return { kind: 'silence' };
  if (rakp2.body === undefined) return { kind: 'refused', status: rakp2.status, at: 'rakp2' };
  const { managedRandom, guid, code } = rakp2.body;
  const ours: Handshake = { suite, consoleSession, managedSession, consoleRandom, managedRandom, guid, role, username, password };
  return sameCode(code, rakp2Code(ours)) ? prove(attempt, tag, ours) : giveUp(attempt, tag, ours);
};

/** RAKP 3 with a status frees the BMC's slot at once; it is not answered (§13.22). */
const giveUp = ({ line }: Attempt, tag: number, { managedSession }: Handshake): HandshakeResult => {
  const payload = encodeOpening('rakp3', { tag, status: givesUp, reserved: 0, managedSession, code: new Uint8Array() });
  line.tell(openingPacket(PayloadType.rakp3, payload));
  return { kind: 'wrong-password' };
};

const prove = async (attempt: Attempt, tag: number, ours: Handshake): Promise<HandshakeResult> => {
  const { consoleSession, managedSession } = ours;
  const rakp4 = await askStep(
    attempt,
    {
      type: PayloadType.rakp3,
      payload: encodeOpening('rakp3', { tag, status: 0, reserved: 0, managedSession, code: rakp3Code(ours) }),
      answerType: PayloadType.rakp4,
      read: (data) => decodeOpening('rakp4', data),
    },
    (answer) => answer.tag === tag && (answer.status !== 0 || answer.consoleSession === consoleSession),
  );
  if (rakp4 === undefined) return { kind: 'silence' };
  if (rakp4.status !== 0) return { kind: 'refused', status: rakp4.status, at: 'rakp4' };
  if (!sameCode(rakp4.code, rakp4Code(ours))) return { kind: 'wrong-key' };
  return { kind: 'open', session: new Session(attempt.line, { consoleSession, managedSession }, sessionKeys(ours), attempt.random) };
};
