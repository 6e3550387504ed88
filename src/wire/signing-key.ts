/** Keys that sign images: Ed25519, public as SPKI PEM, private as PKCS #8 PEM (RFC 8410), each named by the hash of its public half. */
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export interface PublicKey {
  /** Lower-case hex SHA-256 of the key's SubjectPublicKeyInfo in DER. */
  readonly keyId: string;
  /** The 32 bytes of RFC 8032 §5.1.5. */
  readonly bytes: Uint8Array;
}

/** RFC 8410 §4: what stands before the 32 bytes in the DER of a SubjectPublicKeyInfo. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
/** RFC 8410 §7: the same of a private key in PKCS #8. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const keyBytes = 32;

const spkiOf = (bytes: Uint8Array): Buffer => Buffer.concat([spkiPrefix, bytes]);
const named = (bytes: Uint8Array): PublicKey => ({
  keyId: createHash('sha256').update(spkiOf(bytes)).digest('hex'),
  bytes: Uint8Array.from(bytes),
});
const bytesOf = (key: KeyObject): Uint8Array => key.export({ type: 'spki', format: 'der' }).subarray(spkiPrefix.length);

/**
 * A key from its SPKI PEM, or from the one line of base64 between the PEM's two lines; undefined where the text is none, or not of Ed25519.
 * A private key is refused, whose public half Node would take: a secret does not belong into a list of public keys.
 */
export const parsePublicKey = (text: string): PublicKey | undefined => {
  const [, body] = /^\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=]+)\s+-----END PUBLIC KEY-----\s*$/.exec(text) ?? [];
  const der = Buffer.from(body ?? text.trim(), 'base64');
  const isKey = der.length === spkiPrefix.length + keyBytes && der.subarray(0, spkiPrefix.length).equals(spkiPrefix);
  // Node's base64 skips what is none; only the one true spelling is taken.
  return isKey && der.toString('base64') === (body ?? text.trim()) ? named(der.subarray(spkiPrefix.length)) : undefined;
};
/** For `node:crypto`'s verify. */
export const verifyingKey = ({ bytes }: PublicKey): KeyObject => createPublicKey({ key: spkiOf(bytes), format: 'der', type: 'spki' });

/** A private key from its PKCS #8 PEM, with its public half; undefined where the text is none, or not of Ed25519. */
export const parsePrivateKey = (pem: string): { readonly key: KeyObject; readonly publicKey: PublicKey } | undefined => {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === 'ed25519' ? { key, publicKey: named(bytesOf(createPublicKey(pem))) } : undefined;
  } catch {
    return undefined;
  }
};

/** The PEM of a new key from 32 unguessable bytes: the private half (PKCS #8) and the public one (SPKI). */
export const keyPairPem = (seed: Uint8Array): { readonly privatePem: string; readonly publicPem: string } => {
  if (seed.length !== keyBytes) throw new RangeError(`a key is made of ${keyBytes} bytes, not of ${seed.length}`);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const privatePem = key.export({ type: 'pkcs8', format: 'pem' });
  return { privatePem, publicPem: createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }) };
};
