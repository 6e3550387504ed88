/** A sealer for tests, with a key of its own and counted nonces. */
import { Sealer, parseSealKey } from '../../src/store/seal.ts';

let drawn = 0;
/** Never the same bytes twice within this process. */
const counted = {
  bytes: (count: number): Uint8Array => {
    drawn += 1;
    const bytes = Buffer.alloc(count);
    bytes.writeUInt32BE(drawn, 0);
    return bytes;
  },
};
export const sealerOf = (...hexDigits: readonly [string, ...string[]]): Sealer => {
  const [first, ...others] = hexDigits;
  const key = (digit: string) => parseSealKey(digit.repeat(64), 'the test');
  return new Sealer([key(first), ...others.map(key)], counted);
};
export const testSealer = sealerOf('1');
