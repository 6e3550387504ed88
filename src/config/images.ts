/** The settings of images: whose signatures count, and from where images may be fetched. */
import { z } from 'zod';
import { parseNetwork } from '../wire/ip-network.ts';
import { parsePublicKey } from '../wire/signing-key.ts';

const publicKey = z.string().transform((text, context) => {
  const key = parsePublicKey(text);
  if (key !== undefined) return key;
  context.addIssue({
    code: 'custom',
    message: 'is no public Ed25519 key (PEM, or the line between its first and its last): remuda image key generate makes a pair',
  });
  return z.NEVER;
});
const trustedKey = z.strictObject({
  /** What messages call it. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, 'a name: letters, digits and . _ @ -, at most 64'),
  publicKey,
});
const isHost = (text: string): boolean =>
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/.test(text);
/** A host name in an address's clothes would be taken for a name and never match. */
const privateSource = z
  .string()
  .refine(
    (text) => parseNetwork(text) !== undefined || (isHost(text) && !/^[\d.]+$/.test(text)),
    'is neither a network like 10.0.0.0/8 (host bits zero) nor a host name',
  );

export const imagesSchema = z
  .strictObject({
    /** Whose signatures count. */
    trust: z.array(trustedKey).max(32).default([]),
    /** Refuse images, at import and at each claim, that none of these keys has signed. */
    requireSignature: z.boolean().default(false),
    sources: z
      .strictObject({
        /** Networks and host names within private address ranges that images may be fetched from. */
        allowPrivate: z.array(privateSource).max(64).default([]),
        /** Whether https: is enough where neither a hash nor a signature is given. */
        allowUnpinned: z.boolean().default(false),
      })
      .prefault({}),
  })
  .superRefine(({ trust, requireSignature }, context) => {
    if (requireSignature && trust.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['requireSignature'],
        message: 'asks for signatures, but images.trust names no key: no image could be run',
      });
    for (const [index, { name, publicKey: key }] of trust.entries())
      if (trust.findIndex((other) => other.name === name || other.publicKey.keyId === key.keyId) < index)
        context.addIssue({ code: 'custom', path: ['trust', index], message: 'repeats the name or the key of an earlier entry' });
  });
