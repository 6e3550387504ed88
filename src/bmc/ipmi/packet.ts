/**
 * Packets on UDP port 623: RMCP (ASF 2.0 §3.2.2) around an ASF message or an IPMI session (IPMI 2.0 §13.6, v1.5 without authentication, v2.0).
 *
 *   06 00 seq class │ ASF   00 00 11 BE, type, tag, 0, length, data
 *                   │ v1.5  auth type 00, sequence LE4, session LE4, length 1, message
 *                   │ v2.0  auth type 06, payload type, session LE4, sequence LE4, length LE2, payload, trailer
 */
import { constant, decode, encode, rest, struct, tagged, u16, u8, type ValueOf } from '../../wire/codec.ts';
import { bits, counted, le16, le32 } from './fields.ts';

/** The port of RMCP (IANA `asf-rmcp`). */
export const ipmiPort = 623;
/** An RMCP sequence number that wants no RMCP acknowledgement: the only one that IPMI uses (§13.2.1). */
export const noAcknowledgement = 0xff;

/** Types of ASF messages (ASF 2.0 §3.2.4). */
export const AsfType = { ping: 0x80, pong: 0x40 } as const;
/** Payload types of IPMI v2.0 (§13.27.3). */
export const PayloadType = {
  ipmi: 0x00,
  serial: 0x01,
  openRequest: 0x10,
  openResponse: 0x11,
  rakp1: 0x12,
  rakp2: 0x13,
  rakp3: 0x14,
  rakp4: 0x15,
} as const;

const rmcp = struct({
  version: constant(u8, 0x06),
  reserved: u8,
  sequence: u8,
  // The class of the message and the byte after it: first byte of ASF's enterprise number, or authentication type of the session.
  body: tagged(u16, {
    asf: [
      0x0600,
      struct({ enterprise: constant(u8, 0x00), iana: constant(u16, 0x11be), type: u8, tag: u8, reserved: u8, data: counted(u8) }),
    ],
    // Some add a byte so that the whole has not one of the lengths that old network chips lost (§13.6); it is kept as `pad`.
    v15: [0x0700, struct({ sequence: le32, session: le32, message: counted(u8), pad: rest })],
    v20: [
      0x0706,
      struct({
        payload: bits({ type: [0, 6], authenticated: 6, encrypted: 7 }),
        session: le32,
        sequence: le32,
        data: counted(le16),
        // Pad, pad length, next header, authentication code: crypt.ts, since only a session knows how long the code is.
        trailer: rest,
      }),
    ],
  }),
});
export type Packet = ValueOf<typeof rmcp>['body'];
export type V15Packet = Extract<Packet, { kind: 'v15' }>;
export type V20Packet = Extract<Packet, { kind: 'v20' }>;
export type AsfPacket = Extract<Packet, { kind: 'asf' }>;

/** Bytes of RMCP before the session: what integrity does not cover. */
export const rmcpBytes = 4;

/** Throws DecodeError and nothing else. */
export const decodePacket = (bytes: Uint8Array): Packet => decode(rmcp, bytes).body;
/** Throws RangeError where a value does not fit its field. */
export const encodePacket = (body: Packet): Uint8Array => encode(rmcp, { version: 0x06, reserved: 0, sequence: noAcknowledgement, body });

/** A v1.5 packet outside of any session: the question for the BMC's capabilities (§13.13), and its answer. */
export const outsidePacket = (message: Uint8Array): Uint8Array =>
  encodePacket({ kind: 'v15', sequence: 0, session: 0, message, pad: new Uint8Array() });
/** A v2.0 payload outside of any session: neither encrypted nor authenticated (§13.28.4). */
export const openingPacket = (type: number, data: Uint8Array): Uint8Array =>
  encodePacket({
    kind: 'v20',
    payload: { type, authenticated: false, encrypted: false },
    session: 0,
    sequence: 0,
    data,
    trailer: new Uint8Array(),
  });

const asf = { enterprise: 0, iana: 0x11be, reserved: 0 } as const;
/** Is a BMC there at all? (ASF 2.0 §3.2.4.3; it needs no session and no password.) */
export const presencePing = (tag: number): Uint8Array =>
  encodePacket({ kind: 'asf', ...asf, type: AsfType.ping, tag, data: new Uint8Array() });
/** The answer: "I speak IPMI" (ASF 2.0 §3.2.4.4: enterprise, OEM data, supported entities with bit 7 for IPMI and version 1, interactions). */
export const presencePong = (tag: number): Uint8Array =>
  encodePacket({
    kind: 'asf',
    ...asf,
    type: AsfType.pong,
    tag,
    data: Uint8Array.of(0, 0, 0x11, 0xbe, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0),
  });
/** Whether a pong says IPMI. */
export const saysIpmi = (packet: AsfPacket): boolean => packet.type === AsfType.pong && ((packet.data[8] ?? 0) & 0x80) !== 0;
