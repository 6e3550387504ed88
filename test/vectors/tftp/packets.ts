/** Made with scapy 2.8.0, and by hand from RFC 1350 and 2347: TFTP packets and what they say. */
import type { Tftp } from '../../../src/tftp/packet.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

export const vectors: readonly { readonly name: string; readonly wire: string; readonly says: Tftp }[] = [
  {
    name: 'read request, plain',
    wire: '0001756e64696f6e6c792e6b707865006f6374657400',
    says: { kind: 'readRequest', name: 'undionly.kpxe', mode: 'octet', options: [] },
  },
  {
    name: 'read request of EDK2, asking for the size',
    wire: '0001736e706f6e6c792e656669006f63746574007473697a65003000626c6b73697a6500313436380077696e646f7773697a65003400',
    says: {
      kind: 'readRequest',
      name: 'snponly.efi',
      mode: 'octet',
      options: [
        { name: 'tsize', value: '0' },
        { name: 'blksize', value: '1468' },
        { name: 'windowsize', value: '4' },
      ],
    },
  },
  { name: 'write request', wire: '000278006e6574617363696900', says: { kind: 'writeRequest', name: 'x', mode: 'netascii', options: [] } },
  { name: 'data', wire: '0003ffff68656c6c6f', says: { kind: 'data', block: 65_535, data: bytes('68656c6c6f') } },
  { name: 'data, empty', wire: '00030002', says: { kind: 'data', block: 2, data: bytes('') } },
  { name: 'acknowledgement', wire: '00040000', says: { kind: 'acknowledgement', block: 0 } },
  {
    name: 'error',
    wire: '00050008557365722061626f7274656420746865207472616e7366657200',
    says: { kind: 'error', code: 8, message: 'User aborted the transfer\0' },
  },
  {
    name: 'option acknowledgement',
    wire: '0006626c6b73697a650031343638007473697a650038353030303000',
    says: {
      kind: 'optionAcknowledgement',
      options: [
        { name: 'blksize', value: '1468' },
        { name: 'tsize', value: '850000' },
      ],
    },
  },
  {
    name: 'an error without its NUL, as some clients end',
    wire: '000500006279 65'.replace(' ', ''),
    says: { kind: 'error', code: 0, message: 'bye' },
  },
  {
    name: 'option names in other letters, and one unknown',
    wire: '000166006f6374657400424c4b53495a450031303234006e6f7065003100',
    says: {
      kind: 'readRequest',
      name: 'f',
      mode: 'octet',
      options: [
        { name: 'BLKSIZE', value: '1024' },
        { name: 'nope', value: '1' },
      ],
    },
  },
];

/** What is refused, and what the refusal says. */
export const refusals: readonly { readonly name: string; readonly wire: string; readonly path: string; readonly offset: number }[] = [
  { name: 'nothing', wire: '', path: 'kind', offset: 0 },
  { name: 'one byte', wire: '00', path: 'kind', offset: 0 },
  { name: 'an unknown opcode', wire: '0007', path: 'kind', offset: 0 },
  { name: 'a name without its NUL', wire: '00016162', path: 'readRequest.name', offset: 2 },
  { name: 'no mode', wire: '0001616200', path: 'readRequest.mode', offset: 5 },
  {
    name: 'an option without a value',
    wire: '00016100 6f6374657400 626c6b73697a6500'.replaceAll(' ', ''),
    path: 'readRequest.options.value',
    offset: 18,
  },
  { name: 'half a block number', wire: '000400', path: 'acknowledgement.block', offset: 2 },
  { name: 'an acknowledgement with more behind it', wire: '0004000100', path: '', offset: 4 },
];

/** What kills a process that serves with `tftp2@0.0.1`; each as one datagram to its port, seen with that package. */
export const killersOfNpmTftp2: readonly { readonly name: string; readonly wire: string }[] = [
  { name: 'one byte: ERR_BUFFER_OUT_OF_BOUNDS in the message handler', wire: '00' },
  { name: 'a file that is not there: unhandled rejection', wire: '00016e6f73756368006f6374657400' },
];
