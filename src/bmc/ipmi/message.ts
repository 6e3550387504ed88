/**
 * One IPMI message over LAN with its two checksums (IPMI 2.0 §13.8).
 *
 *   to, netFn << 2 | to's LUN, checksum │ from, sequence << 2 | from's LUN, command, (completion code in responses) data, checksum
 */
import { decode, encode, rest, struct, u8 } from '../../wire/codec.ts';
import { DecodeError } from '../../wire/reader.ts';
import { bits } from './fields.ts';

/** The BMC's address and that of a remote console (§5.5; ipmitool's and everybody's 81h). */
export const bmcAddress = 0x20;
export const consoleAddress = 0x81;

/** Network functions of requests; a response has the next odd one (§5.1). */
export const NetFn = { chassis: 0x00, sensor: 0x04, app: 0x06, storage: 0x0a, transport: 0x0c } as const;

export interface Message {
  readonly to: number;
  readonly toLun: number;
  readonly netFn: number;
  readonly from: number;
  readonly fromLun: number;
  /** Six bits; ties a response to its request. */
  readonly sequence: number;
  readonly command: number;
  /** Of a response: its completion code first. */
  readonly data: Uint8Array;
}

const head = struct({ to: u8, function: bits({ netFn: [2, 6], lun: [0, 2] }) });
const body = struct({ from: u8, ids: bits({ sequence: [2, 6], lun: [0, 2] }), command: u8, data: rest });

/** Two's complement of the sum: all bytes with it add up to 0 (§13.8). */
const checksumOf = (bytes: Uint8Array): number => -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;

const headBytes = 2;
/** Addresses, function, sequence, command and both checksums; a BMC may send less after a stolen session (pyghmi), which is dropped. */
const leastBytes = 7;

/**
 * `checksums: 'ignored'` for what an integrity code has proven already: some boards (Supermicro X9) compute them wrong there. Throws
 * DecodeError.
 */
export const decodeMessage = (bytes: Uint8Array, checksums: 'checked' | 'ignored' = 'checked'): Message => {
  if (bytes.length < leastBytes) throw new DecodeError('message', 0, `needs ${leastBytes} bytes, got ${bytes.length}`);
  const first = bytes.subarray(0, headBytes);
  const second = bytes.subarray(headBytes + 1, -1);
  if (checksums === 'checked') {
    if (bytes[headBytes] !== checksumOf(first)) throw new DecodeError('message.headChecksum', headBytes, 'is wrong');
    if (bytes.at(-1) !== checksumOf(second)) throw new DecodeError('message.checksum', bytes.length - 1, 'is wrong');
  }
  const { to, function: fn } = decode(head, first);
  const { from, ids, command, data } = decode(body, second);
  return { to, toLun: fn.lun, netFn: fn.netFn, from, fromLun: ids.lun, sequence: ids.sequence, command, data };
};

/** Throws RangeError where a value does not fit its field. */
export const encodeMessage = (message: Message): Uint8Array => {
  const { to, toLun, netFn, from, fromLun, sequence, command, data } = message;
  const first = encode(head, { to, function: { netFn, lun: toLun } });
  const second = encode(body, { from, ids: { sequence, lun: fromLun }, command, data });
  return new Uint8Array([...first, checksumOf(first), ...second, checksumOf(second)]);
};

export interface Request {
  readonly netFn: number;
  readonly command: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}
/** A request from a remote console to the BMC. */
export const requestMessage = (request: Request): Message => ({ ...request, to: bmcAddress, toLun: 0, from: consoleAddress, fromLun: 0 });
/** The answer to a request: `data` is what follows the completion code. */
export const responseMessage = (request: Message, completion: number, data: Uint8Array = new Uint8Array()): Message => ({
  to: request.from,
  toLun: request.fromLun,
  netFn: request.netFn | 1,
  from: request.to,
  fromLun: request.toLun,
  sequence: request.sequence,
  command: request.command,
  data: Uint8Array.of(completion, ...data),
});
/** Whether a message answers this request: as RMCP+ allows several at a time, all of function, command and sequence must agree. */
export const answersTo = (response: Message, request: Request): boolean =>
  response.netFn === (request.netFn | 1) && response.command === request.command && response.sequence === request.sequence;

/** Completion codes that we name (§5.2, table 5-2). */
export const Completion = {
  ok: 0x00,
  /** Of boot options (§28.12) and session commands: "parameter not supported". */
  parameterUnsupported: 0x80,
  /** Of Set Session Privilege Level (§22.18): above the limit of user or channel. Of boot options: "set in progress". */
  privilegeLimited: 0x81,
  invalidSession: 0x87,
  busy: 0xc0,
  invalidCommand: 0xc1,
  timeout: 0xc3,
  outOfSpace: 0xc4,
  requestLength: 0xc7,
  parameterOutOfRange: 0xc9,
  invalidField: 0xcc,
  initializing: 0xd2,
  insufficientPrivilege: 0xd4,
  notInThisState: 0xd5,
} as const;
const completionWords: Readonly<Record<number, string>> = {
  0xc0: 'node busy',
  0xc1: 'invalid command',
  0xc2: 'command invalid for the given LUN',
  0xc3: 'timeout while processing the command',
  0xc4: 'out of space',
  0xc5: 'reservation cancelled or invalid',
  0xc6: 'request data truncated',
  0xc7: 'request data length invalid',
  0xc8: 'request data field length limit exceeded',
  0xc9: 'parameter out of range',
  0xca: 'cannot return the number of requested data bytes',
  0xcb: 'requested sensor, data or record not present',
  0xcc: 'invalid data field in the request',
  0xcd: 'command illegal for this sensor or record type',
  0xce: 'command response could not be provided',
  0xcf: 'cannot execute a duplicated request',
  0xd0: 'SDR repository in update mode',
  0xd1: 'device in firmware update mode',
  0xd2: 'BMC initialization in progress',
  0xd3: 'destination unavailable',
  0xd4: 'insufficient privilege level',
  0xd5: 'command or parameter not supported in the present state',
  0xd6: 'command sub-function is disabled',
  0xff: 'unspecified error',
};
/** A completion code in words, with its number. */
export const completionText = (code: number): string =>
  `${completionWords[code] ?? 'command-specific refusal'} (completion code ${code.toString(16).padStart(2, '0')}h)`;
