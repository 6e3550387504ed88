/** SHA-256 names: of a chunk (bare hex) and of a whole image (`sha256:` and hex); zero bytes are the only content without one. */
import { createHash } from 'node:crypto';

/** Lower-case hex SHA-256. */
export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** 64 lower-case hex digits and nothing else: safe as a file name. */
export const isSha256 = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** `sha256:` and 64 lower-case hex digits, the identity of an image. */
export const isDigest = (text: string): boolean => /^sha256:[0-9a-f]{64}$/.test(text);

/** The hex digits of a digest, with or without its `sha256:`. */
export const hexOf = (digest: string): string => digest.replace(/^sha256:/, '');

/** Whether every byte is zero. */
export const isZero = (bytes: Uint8Array): boolean => {
  // A page of zeros beside each page of the bytes: memcmp leaves at the first byte that differs.
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const page = bytes.subarray(at, at + zeros.length);
    if (zeros.compare(page, 0, page.length, 0, page.length) !== 0) return false;
  }
  return true;
};
const zeros = Buffer.alloc(64 * 1024);
