/** TFTP packets: RFC 1350 §5, with the options of RFC 2347 §2. */
import { decode, encode, list, nulText, rest, struct, tagged, text, u16, type ValueOf } from '../wire/codec.ts';

/** RFC 1350 appendix I and RFC 2347 §4. */
export const ErrorCode = {
  notDefined: 0,
  fileNotFound: 1,
  accessViolation: 2,
  illegalOperation: 4,
  unknownTransferId: 5,
  optionsRefused: 8,
} as const;

const optionPairs = list(struct({ name: nulText, value: nulText }));
const request = struct({ name: nulText, mode: nulText, options: optionPairs });

const tftp = tagged(u16, {
  readRequest: [1, request],
  writeRequest: [2, request],
  data: [3, struct({ block: u16, data: rest })],
  acknowledgement: [4, struct({ block: u16 })],
  // The message should end with a NUL, and with some clients does not; it is kept as it came.
  error: [5, struct({ code: u16, message: text })],
  optionAcknowledgement: [6, struct({ options: optionPairs })],
});
export type Tftp = ValueOf<typeof tftp>;

/** Throws DecodeError and nothing else. */
export const decodeTftp = (bytes: Uint8Array): Tftp => decode(tftp, bytes);
/** Throws RangeError where a value does not fit its field. */
export const encodeTftp = (packet: Tftp): Uint8Array => encode(tftp, packet);

export const errorPacket = (code: number, message: string): Tftp => ({ kind: 'error', code, message: `${message}\0` });

/** Before the data of a DATA packet: opcode and block number. */
export const dataHeaderBytes = 4;
const dataOpcode = 3;
/**
 * Blocks `first` … `first + count - 1` (counted from 1, without wrap) as DATA packets one behind the other, for one send that the kernel
 * cuts; on the wire the block number wraps past 65535 to 0. The codec would copy every block twice.
 */
export const framedBlocks = (
  file: Uint8Array,
  { first, count, blockBytes }: { readonly first: number; readonly count: number; readonly blockBytes: number },
): Uint8Array => {
  const start = (first - 1) * blockBytes;
  const end = Math.min(file.length, start + count * blockBytes);
  const framed = Buffer.allocUnsafe(count * dataHeaderBytes + (end - start));
  let at = 0;
  for (let index = 0; index < count; index++) {
    const from = start + index * blockBytes;
    const block = file.subarray(from, Math.min(end, from + blockBytes));
    at = framed.writeUInt16BE(dataOpcode, at);
    at = framed.writeUInt16BE((first + index) & 0xffff, at);
    framed.set(block, at);
    at += block.length;
  }
  return framed;
};
