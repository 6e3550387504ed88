/** The payloads that open a session: open session request and response, RAKP messages 1 to 4 (IPMI 2.0 §13.17 to §13.24). */
import { constant, decode, encode, fixed, rest, struct, u8, type Codec, type ValueOf } from '../../wire/codec.ts';
import { bits, counted, le16, le24, le32, optional } from './fields.ts';

/** Privilege levels (§13.17, table 13-9). */
export const Privilege = { highest: 0, callback: 1, user: 2, operator: 3, administrator: 4 } as const;

/** The three algorithms of a cipher suite; only together they have a name (§22.15.2). */
export interface Algorithms {
  readonly authentication: number;
  readonly integrity: number;
  readonly confidentiality: number;
}

/** One algorithm as it stands in an open session message: type, 0, 0, length 8, algorithm, 0, 0, 0. */
const algorithm = (type: number): Codec<number> => {
  const record = struct({
    type: constant(u8, type),
    reserved: le16,
    length: constant(u8, 8),
    algorithm: bits({ number: [0, 6] }),
    end: le24,
  });
  return {
    read: (r) => record.read(r).algorithm.number,
    write: (w, number) => record.write(w, { type, reserved: 0, length: 8, algorithm: { number }, end: 0 }),
  };
};
const algorithms: Codec<Algorithms> = struct({ authentication: algorithm(0), integrity: algorithm(1), confidentiality: algorithm(2) });

const openRequest = struct({ tag: u8, privilege: bits({ level: [0, 4] }), reserved: le16, consoleSession: le32, algorithms });
/** The rest is there where the status is 0 (§13.18); where not, BMCs differ in how much they send. */
const opened = optional(struct({ managedSession: le32, algorithms }));
const rakp1 = struct({
  tag: u8,
  reserved: le24,
  managedSession: le32,
  consoleRandom: fixed(16),
  /** Level, and bit 4: look the user up by name alone, not by name and level (§13.20). It goes into the HMACs as the whole byte. */
  role: u8,
  reserved2: le16,
  username: counted(u8),
});
const rakp2Body = optional(struct({ managedRandom: fixed(16), guid: fixed(16), code: rest }));
const rakp3 = struct({ tag: u8, status: u8, reserved: le16, managedSession: le32, code: rest });

/** A field of so many bytes that a BMC which refuses may leave out (ipmi_sim ends behind the status): then it is `missing`. */
const unlessCut = <T>(inner: Codec<T>, bytes: number, missing: T): Codec<T> => ({
  read: (r) => {
    if (r.left >= bytes) return inner.read(r);
    r.take(r.left);
    return missing;
  },
  write: (w, value) => inner.write(w, value),
});
/** Head, status, and a body that is only there where the status is 0; after another status whatever follows is dropped. */
const answered = <H extends { readonly status: number }, B>(
  head: Codec<H>,
  body: Codec<B | undefined>,
): Codec<H & { readonly body: B | undefined }> => ({
  read: (r) => {
    const value = head.read(r);
    if (value.status === 0) return { ...value, body: body.read(r) };
    r.take(r.left);
    return { ...value, body: undefined };
  },
  write: (w, value) => {
    head.write(w, value);
    if (value.status === 0) body.write(w, value.body);
  },
});
const level = bits({ level: [0, 4] });
const openResponse = answered(
  struct({
    tag: u8,
    status: u8,
    privilege: unlessCut(level, 1, { level: 0 }),
    reserved: unlessCut(u8, 1, 0),
    consoleSession: unlessCut(le32, 4, 0),
  }),
  opened,
);
const rakp2 = answered(struct({ tag: u8, status: u8, reserved: unlessCut(le16, 2, 0), consoleSession: unlessCut(le32, 4, 0) }), rakp2Body);

const rakp4 = struct({ tag: u8, status: u8, reserved: unlessCut(le16, 2, 0), consoleSession: unlessCut(le32, 4, 0), code: rest });

export type OpenRequest = ValueOf<typeof openRequest>;
export type OpenResponse = ValueOf<typeof openResponse>;
export type Rakp1 = ValueOf<typeof rakp1>;
export type Rakp2 = ValueOf<typeof rakp2>;
export type Rakp3 = ValueOf<typeof rakp3>;
export type Rakp4 = ValueOf<typeof rakp4>;

/** Each payload's codec by its name: `decode(opening.rakp1, bytes)`. Reading throws DecodeError and nothing else. */
export const opening = { openRequest, openResponse, rakp1, rakp2, rakp3, rakp4 } as const;
/** One of the payloads. Throws DecodeError. */
export const decodeOpening = <K extends keyof typeof opening>(kind: K, bytes: Uint8Array): ValueOf<(typeof opening)[K]> =>
  decode(opening[kind] as Codec<ValueOf<(typeof opening)[K]>>, bytes);
/** Throws RangeError where a value does not fit. */
export const encodeOpening = <K extends keyof typeof opening>(kind: K, value: ValueOf<(typeof opening)[K]>): Uint8Array =>
  encode(opening[kind] as Codec<ValueOf<(typeof opening)[K]>>, value);

/** A user's name on the wire is at most 16 bytes, a password 20 (§22.28, §22.30). */
export const usernameBytesMax = 16;
export const passwordBytesMax = 20;

/** RMCP+ and RAKP status codes in words (§13.24, table 13-15). */
export const OpeningStatus: Readonly<Record<number, string>> = {
  0x00: 'no errors',
  0x01: 'insufficient resources to create a session',
  0x02: 'invalid session ID',
  0x03: 'invalid payload type',
  0x04: 'invalid authentication algorithm',
  0x05: 'invalid integrity algorithm',
  0x06: 'no matching authentication payload',
  0x07: 'no matching integrity payload',
  0x08: 'inactive session ID',
  0x09: 'invalid role',
  0x0a: 'unauthorized role or privilege level requested',
  0x0b: 'insufficient resources to create a session at the requested role',
  0x0c: 'invalid name length',
  0x0d: 'unauthorized name',
  0x0e: 'unauthorized GUID',
  0x0f: 'invalid integrity check value',
  0x10: 'invalid confidentiality algorithm',
  0x11: 'no cipher suite match with proposed security algorithms',
  0x12: 'illegal or unrecognized parameter',
};
