/** Signing at the builder's: a key pair is made, and a disk image gets its detached signature, without a daemon. */
import { RemudaError } from '../errors.ts';
import { limits as defaults } from '../limits.ts';
import { keyPairPem, parsePrivateKey, parsePublicKey } from '../wire/signing-key.ts';
import type { World } from '../world/world.ts';
import { openFile } from './bytes.ts';
import { readSigned } from './read.ts';
import type { Progress } from './read.ts';
import { encodeSignatureFile, mergeSignatures, parseSignatureFile, signImage, signatureFileBytesMax } from './signature.ts';
import type { SignatureFile } from './signature.ts';

/** Paths are absolute. */
export interface SignWish {
  readonly file: string;
  /** The private key, PKCS #8 PEM. */
  readonly keyFile: string;
  /** `FILE.sig` where it is not said, which an import finds by itself. */
  readonly output?: string;
  /** `limits.chunkBytes` of the daemon that will import the image, where it is not the usual. */
  readonly chunkBytes?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}
export interface Signing {
  readonly digest: string;
  readonly keyId: string;
  /** Where the signature lies. */
  readonly output: string;
}

const keyBytesMax = 16 * 1024;

/**
 * Reads the image as an import would, raw or packed, and writes its signature, beside those of other keys for the same image.
 * Throws `bad-request` (no key; something else lies at `output`), `not-found`, `image-invalid`, `too-large`, `disk-full`.
 */
export const signFile = async ({ files, clock }: Pick<World, 'files' | 'clock'>, wish: SignWish): Promise<Signing> => {
  const { file, keyFile, output = `${file}.sig`, chunkBytes = defaults.chunkBytes, onProgress, signal } = wish;
  const pair = parsePrivateKey(new TextDecoder().decode(await files.read(keyFile, { offset: 0, length: keyBytesMax })));
  if (pair === undefined)
    throw new RemudaError('bad-request', `${keyFile} is no private Ed25519 key (PKCS #8 PEM); make one by: remuda image key generate FILE`);
  const before = await signatureAt(files, output);
  const image = await readSigned(await openFile(files, file), {
    limits: { ...defaults, chunkBytes },
    breathe: () => new Promise((resolve) => clock.soon(resolve)),
    onProgress,
    signal,
  });
  const made = signImage(image, pair);
  const isSame = before?.digest === made.digest && before.chunkBytes === made.chunkBytes;
  const signatures = isSame ? mergeSignatures(before.signatures, made.signatures) : made.signatures;
  await files.write(output, encodeSignatureFile({ ...made, signatures }));
  return { digest: made.digest, keyId: pair.publicKey.keyId, output };
};

/** A signature of an earlier state of the file is replaced; a file that is none is not ours to replace. */
const signatureAt = async (files: World['files'], path: string): Promise<SignatureFile | undefined> => {
  if ((await files.stat(path)) === undefined) return undefined;
  try {
    return parseSignatureFile(new TextDecoder().decode(await files.read(path, { offset: 0, length: signatureFileBytesMax })));
  } catch (cause) {
    throw new RemudaError('bad-request', `${path} is there already and is no signature of an image; move it away, or say another --out`, {
      cause,
    });
  }
};

export interface NewKey {
  readonly keyId: string;
  /** One line of base64, as images.trust takes it. */
  readonly publicKey: string;
  readonly privateFile: string;
  readonly publicFile: string;
}
/** A new pair: the private key at `file`, readable by its owner alone, the public one at `FILE.pub`. Throws `conflict` where either is there already. */
export const generateKey = async ({ files, random }: Pick<World, 'files' | 'random'>, file: string): Promise<NewKey> => {
  const publicFile = `${file}.pub`;
  for (const path of [file, publicFile])
    if ((await files.stat(path)) !== undefined)
      throw new RemudaError('conflict', `${path} is there already; a key is never written over: say another file`);
  const { privatePem, publicPem } = keyPairPem(random.bytes(32));
  const key = parsePublicKey(publicPem);
  if (key === undefined) throw new RemudaError('internal', 'the new key cannot be read back');
  await files.write(file, privatePem, 0o600);
  await files.write(publicFile, publicPem, 0o644);
  return { keyId: key.keyId, publicKey: publicPem.split('\n')[1] ?? '', privateFile: file, publicFile };
};
