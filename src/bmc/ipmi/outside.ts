/** What a BMC tells without a session and without a password: that it is there, whether it speaks IPMI 2.0, its cipher suites. */
import { decodeResponse, encodeRequest, getChannelAuthentication, getChannelCipherSuites, thisChannel } from './commands.ts';
import type { Command } from './commands.ts';
import { suitesIn } from './cipher-suites.ts';
import type { SuiteRecord } from './cipher-suites.ts';
import type { Line } from './line.ts';
import { DecodeError } from '../../wire/reader.ts';
import { answersTo, Completion, decodeMessage, encodeMessage, requestMessage } from './message.ts';
import type { Message } from './message.ts';
import { Privilege } from './opening.ts';
import { openingPacket, outsidePacket, PayloadType, presencePing, saysIpmi } from './packet.ts';

export interface Asking {
  readonly waitsMs: readonly number[];
  readonly signal: AbortSignal | undefined;
}
export interface Capabilities {
  /** IPMI 2.0 with RMCP+. */
  readonly v20: boolean;
  /** The BMC wants a key of its own (K_G) beside the user's password. */
  readonly needsKg: boolean;
}

interface Reply {
  readonly code: number;
  readonly data: Uint8Array;
  /** Its checksums are right. Supermicro X9 boards compute them wrong (FreeIPMI, `nochecksumcheck`): then somebody is there, and no more is known. */
  readonly isSound: boolean;
}
/** The checksums are all that protects a message outside of a session. */
const messageIn = (bytes: Uint8Array): { readonly message: Message; readonly isSound: boolean } => {
  try {
    return { message: decodeMessage(bytes), isSound: true };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { message: decodeMessage(bytes, 'ignored'), isSound: false };
  }
};
/** One message in a packet outside of any session, v1.5 or v2.0 as the command wants it. */
const askOutside = async <Q extends object, A extends object>(
  line: Line,
  { of, request, plus = false }: { readonly of: Command<Q, A>; readonly request: Q; readonly plus?: boolean },
  { waitsMs, signal }: Asking,
): Promise<Reply | undefined> => {
  const message = { netFn: of.netFn, command: of.command, sequence: 0, data: encodeRequest(of, request) };
  const bytes = encodeMessage(requestMessage(message));
  const datagram = plus ? openingPacket(PayloadType.ipmi, bytes) : outsidePacket(bytes);
  return line.ask({
    datagram: () => datagram,
    take: (packet) => {
      if (packet.kind === 'asf' || packet.session !== 0) return undefined;
      const { message: response, isSound } = messageIn(packet.kind === 'v15' ? packet.message : packet.data);
      const [code] = response.data;
      return answersTo(response, message) && code !== undefined ? { code, data: response.data.subarray(1), isSound } : undefined;
    },
    waitsMs,
    signal,
  });
};

/** Whether anybody answers a presence ping (ASF 2.0 §3.2.4.3). Some BMCs that speak IPMI do not. */
export const isPresent = async (line: Line, { waitsMs, signal }: Asking): Promise<boolean> => {
  const tag = 1;
  const heard = await line.ask({
    datagram: () => presencePing(tag),
    take: (packet) => (packet.kind === 'asf' && packet.tag === tag && saysIpmi(packet) ? true : undefined),
    waitsMs,
    signal,
  });
  return heard === true;
};

/** Undefined where nobody answers. A refusal of the bit that asks for v2.0 data is no refusal of IPMI: asked again without it. */
export const capabilitiesOf = async (line: Line, asking: Asking): Promise<Capabilities | undefined> => {
  for (const v20 of [true, false]) {
    const request = { channel: { number: thisChannel, v20 }, privilege: { level: Privilege.administrator } };
    const reply = await askOutside(line, { of: getChannelAuthentication, request }, asking);
    if (reply === undefined) return undefined;
    // Whether it speaks v2.0 the handshake will show.
    if (!reply.isSound) break;
    if (reply.code !== Completion.ok) continue;
    const { types, versions, status } = decodeResponse(getChannelAuthentication, reply.data);
    // Without the bit the answer is that of v1.5, which cannot say whether there is v2.0: the handshake will show it.
    return { v20: !v20 || (types.extended && versions.v20), needsKg: v20 && status.needsKg };
  }
  return { v20: true, needsKg: false };
};

/** Lists are of 16 bytes, and end with a shorter one. */
const listBytes = 16;
const listsMax = 16;
/** The suites that the BMC tells; empty where it does not: some refuse the question, some never answer (Ironic). */
export const toldSuites = async (line: Line, asking: Asking): Promise<readonly SuiteRecord[]> => {
  const records: number[] = [];
  for (let index = 0; index < listsMax; index++) {
    const request = { channel: thisChannel, payloadType: PayloadType.ipmi, list: { index, bySuite: true } };
    const reply = await askOutside(line, { of: getChannelCipherSuites, request, plus: true }, asking);
    if (reply === undefined || !reply.isSound || reply.code !== Completion.ok) break;
    const { records: some } = decodeResponse(getChannelCipherSuites, reply.data);
    records.push(...some);
    if (some.length < listBytes) break;
  }
  return suitesIn(Uint8Array.from(records));
};
