/** DHCPv4 packets: the BOOTP header of RFC 2131 §2 and the options we know; all others pass through untouched. */
import {
  type Codec,
  constant,
  decode,
  encode,
  fixed,
  ipv4,
  list,
  mac,
  paddedText,
  rest,
  struct,
  text,
  u16,
  u32,
  u8,
  type ValueOf,
} from '../wire/codec.ts';
import {
  encapsulated,
  type OptionTable,
  type Options,
  type RawOption,
  readOptions,
  readRawOptions,
  writeOptions,
} from '../wire/options.ts';
import type { Reader } from '../wire/reader.ts';

/** RFC 2131 §2, field `op`. */
export const Op = { request: 1, reply: 2 } as const;
/** RFC 2132 §9.6. */
export const MessageType = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const;
/** RFC 1700 hardware types; the only one we serve. */
export const ethernet = { type: 1, length: 6 } as const;
/** RFC 2131 §2 figure 2: the client cannot receive unicast before it is configured. */
export const broadcastFlag = 0x8000;

/** iPXE's encapsulated options inside option 175; numbers from ipxe/src/include/ipxe/dhcp.h. */
export const ipxeOptions = encapsulated({
  pxeExtension: [16, rest],
  http: [19, rest],
  https: [20, rest],
  tftp: [21, rest],
  efi: [36, rest],
  /** 1: do not wait for a proxyDHCP server that we do not run; saves seconds of every boot. */
  noProxyDhcp: [176, u8],
});

/** What relays say inside option 82. */
export const relayOptions = encapsulated({
  circuitId: [1, rest], // RFC 3046 §3.1
  remoteId: [2, rest], // RFC 3046 §3.2
  linkSelection: [5, ipv4], // RFC 3527 §3
  serverIdOverride: [11, ipv4], // RFC 5107 §4
});

/** PXE's encapsulated options inside option 43 (PXE 2.1 §2.2); written by us only, as clients put anything there. */
export const pxeOptions = encapsulated({
  /** Bit 3: do not discover boot servers, use the boot file of this offer. Without it BIOS ROMs hang in discovery. */
  discoveryControl: [6, u8],
});
export const useBootFile = 8;

const optionTable = {
  subnetMask: [1, ipv4], // RFC 2132 §3.3
  routers: [3, list(ipv4)], // RFC 2132 §3.5
  dnsServers: [6, list(ipv4)], // RFC 2132 §3.8
  hostName: [12, text], // RFC 2132 §3.14
  domainName: [15, text], // RFC 2132 §3.17
  interfaceMtu: [26, u16], // RFC 2132 §5.1
  broadcastAddress: [28, ipv4], // RFC 2132 §5.3
  ntpServers: [42, list(ipv4)], // RFC 2132 §8.3
  vendorOptions: [43, rest], // RFC 2132 §8.4
  requestedAddress: [50, ipv4], // RFC 2132 §9.1
  leaseSeconds: [51, u32], // RFC 2132 §9.2
  overload: [52, u8], // RFC 2132 §9.3
  messageType: [53, u8], // RFC 2132 §9.6
  serverId: [54, ipv4], // RFC 2132 §9.7
  parameterRequest: [55, list(u8)], // RFC 2132 §9.8
  message: [56, text], // RFC 2132 §9.9
  maxMessageBytes: [57, u16], // RFC 2132 §9.10
  renewalSeconds: [58, u32], // RFC 2132 §9.11
  rebindingSeconds: [59, u32], // RFC 2132 §9.12
  vendorClass: [60, text], // RFC 2132 §9.13
  clientId: [61, rest], // RFC 2132 §9.14
  tftpServerName: [66, text], // RFC 2132 §9.4
  bootFile: [67, text], // RFC 2132 §9.5
  userClass: [77, rest], // RFC 3004 §4; iPXE sends bare text instead of length-prefixed items
  relayAgent: [82, rest], // RFC 3046 §2.0; echoed as it came
  clientArch: [93, list(u16)], // RFC 4578 §2.1
  clientInterface: [94, rest], // RFC 4578 §2.2
  clientUuid: [97, rest], // RFC 4578 §2.3; raw, as ROMs with a wrong size are to be served all the same
  ipxe: [175, ipxeOptions],
} as const satisfies OptionTable;
export type Dhcp4Options = Options<typeof optionTable>;

const header = struct({
  op: u8,
  hardwareType: u8,
  hardwareLength: u8,
  hops: u8,
  transactionId: u32,
  seconds: u16,
  flags: u16,
  clientAddress: ipv4,
  yourAddress: ipv4,
  nextServer: ipv4,
  relayAddress: ipv4,
  clientMac: mac,
  clientMacPadding: fixed(10),
  serverName: paddedText(64),
  bootFileName: paddedText(128),
  /** RFC 2131 §3. */
  magic: constant(u32, 0x63825363),
});
/** Where `sname` and `file` lie, for options that overflow into them. */
const serverNameAt = 44;
const bootFileNameAt = 108;

export type Dhcp4 = ValueOf<typeof header> & {
  readonly options: Dhcp4Options;
  /** What follows the end option; BOOTP relays want packets of at least 300 bytes. */
  readonly padding: Uint8Array;
};
const endOption = 255;

/** An overload is undone on decode: the options come together, in the order of RFC 3396 §5, and the fields are empty. */
const withOverload = (
  fields: ValueOf<typeof header>,
  raw: readonly RawOption[],
  r: Reader,
): Pick<Dhcp4, 'options' | 'serverName' | 'bootFileName'> => {
  const overload = raw.find((option) => option.code === 52)?.bytes[0] ?? 0;
  const { serverName, bootFileName } = fields;
  const inFile = (overload & 1) !== 0;
  const inName = (overload & 2) !== 0;
  const area = (name: string, value: string, at: number): RawOption[] =>
    r.within(name, () => readRawOptions(r.inside(Buffer.from(value, 'latin1'), at)));
  const all = raw.filter((option) => option.code !== 52);
  if (inFile) all.push(...area('bootFileName', bootFileName, bootFileNameAt).filter((option) => option.code !== 52));
  if (inName) all.push(...area('serverName', serverName, serverNameAt).filter((option) => option.code !== 52));
  return {
    serverName: inName ? '' : serverName,
    bootFileName: inFile ? '' : bootFileName,
    options: readOptions(optionTable, all, r),
  };
};

/** A whole DHCPv4 packet: RFC 2131 §2 figure 1, options in the order of the value. */
export const dhcp4: Codec<Dhcp4> = {
  read: (r) => {
    const fields = header.read(r);
    const raw = readRawOptions(r);
    const padding = r.take(r.left).slice();
    return { ...fields, ...withOverload(fields, raw, r), padding };
  },
  write: (w, value) => {
    header.write(w, value);
    writeOptions(optionTable, w, value.options);
    w.uint(1, endOption);
    w.put(value.padding);
  },
};

/** Throws DecodeError and nothing else. */
export const decodeDhcp4 = (bytes: Uint8Array): Dhcp4 => decode(dhcp4, bytes);
/** Throws RangeError where a value does not fit its field. */
export const encodeDhcp4 = (packet: Dhcp4): Uint8Array => encode(dhcp4, packet);
