/** The cryptography of RMCP+: cipher suites, the keys of a session, what proves who speaks, and the sealing of packets. Pure. */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { DecodeError } from '../../wire/reader.ts';
import { passwordBytesMax } from './opening.ts';
import type { Algorithms } from './opening.ts';
import { encodePacket, rmcpBytes } from './packet.ts';
import type { V20Packet } from './packet.ts';

/** A cipher suite (IPMI 2.0 §22.15.2, table 22-20). */
export interface Suite extends Algorithms {
  readonly id: number;
  /** Of RAKP and of the integrity code. */
  readonly hash: 'sha1' | 'sha256';
  /** Bytes of RAKP 4's code and of a packet's integrity code. */
  readonly codeBytes: 12 | 16;
}
const sha1 = { authentication: 1, hash: 'sha1', codeBytes: 12 } as const;
const sha256 = { authentication: 3, hash: 'sha256', codeBytes: 16 } as const;
const none = 0;
const aes = 1;
/**
 * The suites we can speak. 17 and 3 are used by themselves; the others, which leave packets readable (2, 16) or unproven (1, 15), only by an
 * operator's word. Suite 0 proves nobody and is not here; those with MD5 or RC4 are broken and are not here either.
 */
export const suites: ReadonlyMap<number, Suite> = new Map(
  (
    [
      { id: 17, ...sha256, integrity: 4, confidentiality: aes },
      { id: 3, ...sha1, integrity: 1, confidentiality: aes },
      { id: 16, ...sha256, integrity: 4, confidentiality: none },
      { id: 2, ...sha1, integrity: 1, confidentiality: none },
      { id: 15, ...sha256, integrity: none, confidentiality: none },
      { id: 1, ...sha1, integrity: none, confidentiality: none },
    ] as const
  ).map((suite) => [suite.id, suite]),
);
/** Tried in this order where the operator says nothing. */
export const usualSuites = [17, 3] as const;
/** The suite that is exactly these three algorithms together; mixtures are none (go-ipmi #68). */
export const suiteOf = (asked: Algorithms): Suite | undefined =>
  [...suites.values()].find(
    ({ authentication, integrity, confidentiality }) =>
      authentication === asked.authentication && integrity === asked.integrity && confidentiality === asked.confidentiality,
  );

/** All that both ends know once RAKP 2 has arrived. */
export interface Handshake {
  readonly suite: Suite;
  /** Session IDs and random numbers: of the remote console (SIDm, Rm) and of the managed system, the BMC (SIDc, Rc). */
  readonly consoleSession: number;
  readonly managedSession: number;
  readonly consoleRandom: Uint8Array;
  readonly managedRandom: Uint8Array;
  readonly guid: Uint8Array;
  /** The role byte of RAKP 1 as sent. */
  readonly role: number;
  readonly username: Uint8Array;
  readonly password: Uint8Array;
  /** The BMC's own key, where it has one (Kg, §13.31); else the user's key takes its place. */
  readonly bmcKey?: Uint8Array;
}

/** Keys shorter than their field are filled up with zeros (§13.31). Throws RangeError for longer ones: a BMC would cut them silently. */
const paddedKey = (key: Uint8Array): Uint8Array => {
  if (key.length > passwordBytesMax) throw new RangeError(`a key has at most ${passwordBytesMax} bytes`);
  return Buffer.concat([key], passwordBytesMax);
};
const le4 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
const hmac = ({ hash }: Suite, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(createHmac(hash, key).update(Buffer.concat(parts)).digest());
const who = ({ role, username }: Handshake): Uint8Array => Uint8Array.of(role, username.length, ...username);

/** RAKP 2's key exchange code (§13.21): proves to the console that the BMC knows the user's password. */
export const rakp2Code = (h: Handshake): Uint8Array =>
  hmac(h.suite, paddedKey(h.password), le4(h.consoleSession), le4(h.managedSession), h.consoleRandom, h.managedRandom, h.guid, who(h));
/** RAKP 3's key exchange code (§13.22): proves the console to the BMC. */
export const rakp3Code = (h: Handshake): Uint8Array => hmac(h.suite, paddedKey(h.password), h.managedRandom, le4(h.consoleSession), who(h));

/** The session integrity key, SIK (§13.31). */
const integrityKey = (h: Handshake): Uint8Array =>
  hmac(h.suite, paddedKey(h.bmcKey ?? h.password), h.consoleRandom, h.managedRandom, who(h));
/** RAKP 4's integrity check value (§13.23), cut to the length of the suite. */
export const rakp4Code = (h: Handshake): Uint8Array =>
  hmac(h.suite, integrityKey(h), h.consoleRandom, le4(h.managedSession), h.guid).subarray(0, h.suite.codeBytes);

/** What seals the packets of one session. */
export interface SessionKeys {
  readonly suite: Suite;
  /** Integrity. */
  readonly k1: Uint8Array;
  /** Confidentiality: its first 16 bytes. */
  readonly k2: Uint8Array;
}
/** §13.32: constants of 20 bytes, with SHA-256 too. */
const constantBytes = 20;
export const sessionKeys = (h: Handshake): SessionKeys => {
  const sik = integrityKey(h);
  const derived = (constant: number): Uint8Array => hmac(h.suite, sik, new Uint8Array(constantBytes).fill(constant));
  return { suite: h.suite, k1: derived(1), k2: derived(2) };
};

/** Equal, in a time that tells nothing about where they differ. */
export const sameCode = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && timingSafeEqual(one, other);

/** Bytes of AES's block, and of the initialization vector that leads each payload (§13.29). */
export const blockBytes = 16;

/** AES-CBC-128 (§13.29): IV, then the payload with pad bytes 1, 2, 3 … and their count as the last byte. */
const encrypted = ({ k2 }: SessionKeys, payload: Uint8Array, iv: Uint8Array): Uint8Array => {
  const pads = (blockBytes - ((payload.length + 1) % blockBytes)) % blockBytes;
  const plain = Buffer.concat([payload, Uint8Array.from({ length: pads }, (_, at) => at + 1), Uint8Array.of(pads)]);
  const cipher = createCipheriv('aes-128-cbc', k2.subarray(0, blockBytes), iv).setAutoPadding(false);
  return Buffer.concat([iv, cipher.update(plain), cipher.final()]);
};
const decrypted = ({ k2 }: SessionKeys, data: Uint8Array): Uint8Array => {
  if (data.length < 2 * blockBytes || data.length % blockBytes !== 0)
    throw new DecodeError('payload', 0, `${data.length} bytes cannot be an encrypted payload`);
  const decipher = createDecipheriv('aes-128-cbc', k2.subarray(0, blockBytes), data.subarray(0, blockBytes)).setAutoPadding(false);
  const plain = Buffer.concat([decipher.update(data.subarray(blockBytes)), decipher.final()]);
  const pads = plain.at(-1) ?? 0;
  if (pads >= plain.length || pads >= blockBytes) throw new DecodeError('payload', plain.length - 1, 'a pad length that cannot be');
  // The pad bytes themselves are not checked: the integrity code has proven the packet, and some BMCs fill them with anything.
  return new Uint8Array(plain.subarray(0, -1 - pads));
};

/** The next header of every trailer: "RMCP" (§13.6). */
const nextHeader = 0x07;
const trailerHeadBytes = 2;
/** Pad so that authentication type to next header is a multiple of 4 (§13.28.4), pad length, next header; without the code. */
const trailerFor = (coveredBytes: number): Uint8Array => {
  const pads = (4 - ((coveredBytes + trailerHeadBytes) % 4)) % 4;
  return Uint8Array.of(...new Uint8Array(pads).fill(0xff), pads, nextHeader);
};

export interface Sealed {
  readonly session: number;
  readonly sequence: number;
  readonly type: number;
  readonly payload: Uint8Array;
}
/** One packet of a session, encrypted and with its integrity code as the suite wants. `iv`: 16 bytes of chance. */
export const seal = (keys: SessionKeys, { session, sequence, type, payload }: Sealed, iv: Uint8Array): Uint8Array => {
  const encrypts = keys.suite.confidentiality === aes;
  const proves = keys.suite.integrity !== none;
  const packet: V20Packet = {
    kind: 'v20',
    payload: { type, authenticated: proves, encrypted: encrypts },
    session,
    sequence,
    data: encrypts ? encrypted(keys, payload, iv) : payload,
    trailer: new Uint8Array(),
  };
  if (!proves) return encodePacket(packet);
  const bare = encodePacket(packet);
  const covered = encodePacket({ ...packet, trailer: trailerFor(bare.length - rmcpBytes) });
  return Buffer.concat([covered, integrityCode(keys, covered.subarray(rmcpBytes))]);
};
const integrityCode = ({ suite, k1 }: SessionKeys, covered: Uint8Array): Uint8Array =>
  hmac(suite, k1, covered).subarray(0, suite.codeBytes);

/**
 * The payload of a packet of this session. `bytes` is the whole datagram that `packet` was decoded from. What is not sealed as the suite
 * wants is refused like a wrong code: DecodeError.
 */
export const unseal = (keys: SessionKeys, packet: V20Packet, bytes: Uint8Array): Uint8Array => {
  const proves = keys.suite.integrity !== none;
  const encrypts = keys.suite.confidentiality === aes;
  if (packet.payload.authenticated !== proves || packet.payload.encrypted !== encrypts)
    throw new DecodeError('payload', rmcpBytes + 1, 'is not sealed as its session is');
  if (proves) {
    const codeAt = bytes.length - keys.suite.codeBytes;
    if (packet.trailer.length < trailerHeadBytes + keys.suite.codeBytes) throw new DecodeError('trailer', codeAt, 'is too short');
    if (!sameCode(bytes.subarray(codeAt), integrityCode(keys, bytes.subarray(rmcpBytes, codeAt))))
      throw new DecodeError('trailer', codeAt, 'the integrity code is wrong');
  }
  return encrypts ? decrypted(keys, packet.data) : packet.data;
};
