/** What a read request's options come to: only what was asked is acknowledged, and what we cannot do is left out (RFC 2347 §3). */
import type { Limits } from '../limits.ts';

/** How one transfer is to run. */
export interface Terms {
  /** RFC 2348; 512 unless negotiated. */
  readonly blockBytes: number;
  /** RFC 7440: blocks sent before an acknowledgement is awaited; 1 unless negotiated. */
  readonly windowBlocks: number;
  readonly timeoutMs: number;
  /** For the OACK; empty where the transfer begins with DATA. */
  readonly accepted: readonly { readonly name: string; readonly value: string }[];
}
export type TermLimits = Pick<Limits, 'tftpBlockBytesMax' | 'tftpWindowBlocksMax' | 'tftpTimeoutMs' | 'tftpTimeoutMsMax'>;

const decimal = (value: string, least: number, most: number): number | undefined => {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : undefined;
  return number !== undefined && number >= least && number <= most ? number : undefined;
};

/** Names as RFC 2347 §2 has them: in any case of letters, each at most once (the first counts). */
export const negotiate = (
  options: readonly { readonly name: string; readonly value: string }[],
  fileBytes: number,
  limits: TermLimits,
): Terms => {
  let terms: Terms = { blockBytes: 512, windowBlocks: 1, timeoutMs: limits.tftpTimeoutMs, accepted: [] };
  for (const { name, value } of options) {
    const key = name.toLowerCase();
    if (terms.accepted.some((one) => one.name.toLowerCase() === key)) continue;
    const agreed = agreements.get(key)?.(value, fileBytes, limits);
    // The name goes back in the client's own spelling: some compare it byte by byte.
    if (agreed !== undefined) terms = { ...terms, ...agreed.terms, accepted: [...terms.accepted, { name, value: agreed.value }] };
  }
  return terms;
};

interface Agreed {
  readonly value: string;
  readonly terms: Partial<Terms>;
}
type Agree = (value: string, fileBytes: number, limits: TermLimits) => Agreed | undefined;

// RFC 2348: 8 to 65464; the server may answer with less.
const blockSize: Agree = (value, _fileBytes, limits) => {
  const asked = decimal(value, 8, 65_535);
  if (asked === undefined) return undefined;
  const blockBytes = Math.min(asked, limits.tftpBlockBytesMax);
  return { value: String(blockBytes), terms: { blockBytes } };
};
// RFC 2349: the client sends 0 and learns the size.
const transferSize: Agree = (_value, fileBytes) => ({ value: String(fileBytes), terms: {} });
// RFC 2349: seconds, to be accepted as they are or not at all.
const timeout: Agree = (value, _fileBytes, limits) => {
  const seconds = decimal(value, 1, Math.floor(limits.tftpTimeoutMsMax / 1000));
  return seconds === undefined ? undefined : { value, terms: { timeoutMs: seconds * 1000 } };
};
// RFC 7440: 1 to 65535; the server may answer with less.
const windowSize: Agree = (value, _fileBytes, limits) => {
  const asked = decimal(value, 1, 65_535);
  if (asked === undefined) return undefined;
  const windowBlocks = Math.min(asked, limits.tftpWindowBlocksMax);
  return { value: String(windowBlocks), terms: { windowBlocks } };
};

/** A map, not an object: the names come from the wire, and an object has names of its own. */
const agreements: ReadonlyMap<string, Agree> = new Map([
  ['blksize', blockSize],
  ['tsize', transferSize],
  ['timeout', timeout],
  ['windowsize', windowSize],
]);
