/**
 * Signatures: what of an image is signed, how the signature lies in a file, and whether it holds. The agent judges by the same rule.
 *
 * Signed is the statement, made anew from the manifest (and by the agent from its job) wherever it is checked. Lines of ASCII, each
 * ended by LF, numbers in decimal without leading zeros:
 *
 *     remuda image 1
 *     digest sha256:<64 hex digits>       of the whole raw image
 *     size <bytes>
 *     chunk <bytes>                       how long each chunk is, but for the last one
 *     seed <offset> <bytes>               or `seed none`
 *     <64 hex digits>                     a line for each chunk in order: the SHA-256 of its raw bytes, or `zero` where all are zero
 *
 * The signature is Ed25519 (RFC 8032 §5.1.6, without pre-hash) over these bytes. How a chunk is packed in the store is not signed, so that
 * another version of zstd makes no other image; nor are the names, nor who phones home: both are the operator's words about his use
 * of an image, and none of them changes a byte that a host runs. Architecture and firmware follow from the bytes.
 *
 * The agent's job carries `signatures: [{ keyId, signature }]` and `trust: { required, keys: [{ name, keyId, publicKey }] }`, where
 * `signature` (64 bytes) and `publicKey` (32 bytes) are base64.
 */
import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { RemudaError } from '../errors.ts';
import type { Code } from '../errors.ts';
import { verifyingKey } from '../wire/signing-key.ts';
import type { PublicKey } from '../wire/signing-key.ts';
import { isDigest, isSha256 } from './digest.ts';
import type { Chunk, Manifest } from './manifest.ts';

/** What the statement says. The manifest of a store has all of it, and so has what `image sign` reads from a file. */
export type Signed = Pick<Manifest, 'digest' | 'sizeBytes' | 'chunkBytes' | 'seed'> & {
  readonly chunks: readonly (Pick<Chunk & { sha256: string }, 'sha256'> | { readonly zero: true })[];
};

export const statementOf = ({ digest, sizeBytes, chunkBytes, seed, chunks }: Signed): Uint8Array => {
  const lines = [
    'remuda image 1',
    `digest ${digest}`,
    `size ${sizeBytes}`,
    `chunk ${chunkBytes}`,
    seed === null ? 'seed none' : `seed ${seed.offsetBytes} ${seed.sizeBytes}`,
    ...chunks.map((chunk) => ('zero' in chunk ? 'zero' : chunk.sha256)),
  ];
  return Buffer.from(`${lines.join('\n')}\n`, 'latin1');
};

const signature = z.strictObject({
  /** Of the signing key: see `PublicKey`. */
  keyId: z.string().refine(isSha256, 'is no key ID'),
  /** 64 bytes in base64 (RFC 4648 §4). */
  signature: z.string().regex(/^[A-Za-z0-9+/]{86}==$/, 'is no Ed25519 signature in base64'),
});
export type Signature = z.infer<typeof signature>;

const signaturesMax = 16;
const fileSchema = z.strictObject({
  format: z.literal(1),
  digest: z.string().refine(isDigest, 'is no sha256: digest'),
  /** The chunks that were signed are this long. */
  chunkBytes: z.number().int().positive(),
  signatures: z.array(signature).min(1).max(signaturesMax),
});
/** A detached signature: `FILE.sig` beside an image, `<digest>.sig` beside a manifest. */
export type SignatureFile = z.infer<typeof fileSchema>;
export const signatureFileBytesMax = 64 * 1024;

export const encodeSignatureFile = (file: SignatureFile): string => `${JSON.stringify(file, null, 2)}\n`;
/** Throws `signature-invalid` with the first fault. */
export const parseSignatureFile = (text: string): SignatureFile => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RemudaError('signature-invalid', 'the signature is not JSON; make it by: remuda image sign FILE --key KEY', { cause });
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new RemudaError('signature-invalid', `the signature is invalid: ${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? ''}`);
};
/** Both sets, a later signature of the same key in place of an earlier one; the newest where there are too many. */
export const mergeSignatures = (before: readonly Signature[], added: readonly Signature[]): Signature[] =>
  [...new Map([...before, ...added].map((one) => [one.keyId, one])).values()].slice(-signaturesMax);

/** Signs with this key. */
export const signImage = (
  image: Signed,
  { key, publicKey }: { readonly key: KeyObject; readonly publicKey: PublicKey },
): SignatureFile => ({
  format: 1,
  digest: image.digest,
  chunkBytes: image.chunkBytes,
  signatures: [{ keyId: publicKey.keyId, signature: sign(null, statementOf(image), key).toString('base64') }],
});

export interface TrustedKey extends PublicKey {
  /** What the operator calls it. */
  readonly name: string;
}
/** Whose images are run here. */
export interface Trust {
  readonly keys: readonly TrustedKey[];
  /** An image that none of the keys has signed is neither imported nor given to a host. */
  readonly required: boolean;
}
export const trustAll: Trust = { keys: [], required: false };

/** Who has signed, by the operator's names for their keys, or why the image is not run. */
export type Verdict =
  | { readonly signedBy: readonly string[]; readonly refused?: undefined; readonly reason?: undefined }
  | {
      readonly signedBy: readonly string[];
      readonly refused: Extract<Code, 'image-unsigned' | 'signature-invalid'>;
      readonly reason: string;
    };

/** A signature of a trusted key that does not hold refuses the image, whatever else it is signed by; those of other keys say nothing. */
export const judgeSignatures = (image: Signed, signatures: readonly Signature[], trust: Trust): Verdict => {
  const signedBy: string[] = [];
  const statement = trust.keys.length > 0 && signatures.length > 0 ? statementOf(image) : new Uint8Array();
  for (const { keyId, signature: given } of signatures) {
    const key = trust.keys.find((candidate) => candidate.keyId === keyId);
    if (key === undefined) continue;
    if (!verify(null, statement, verifyingKey(key), Buffer.from(given, 'base64')))
      return {
        signedBy: [],
        refused: 'signature-invalid',
        reason: `the signature of ${key.name} does not fit image ${image.digest}: the image or the signature was changed, or it was signed for chunks of another length than ${image.chunkBytes} bytes; sign this very file again`,
      };
    signedBy.push(key.name);
  }
  if (signedBy.length > 0 || !trust.required) return { signedBy };
  const by = signatures.map(({ keyId }) => keyId.slice(0, 16)).join(', ');
  const reason =
    by === ''
      ? `image ${image.digest} is not signed, and images.requireSignature asks for it: sign it (remuda image sign FILE --key KEY) and import it again with the signature`
      : `image ${image.digest} is signed by key ${by}, which is not among images.trust`;
  return { signedBy, refused: 'image-unsigned', reason };
};
/** Throws what the verdict refuses. */
export const throwUntrusted = (verdict: Verdict, image: Pick<Signed, 'digest'>): void => {
  if (verdict.refused !== undefined) throw new RemudaError(verdict.refused, verdict.reason, { values: { digest: image.digest } });
};
