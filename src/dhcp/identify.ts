/** Who is asking, and how far its boot has come: from DHCP options alone. */
import { parseUuid, type Uuid } from '../wire/address.ts';
import type { BootArch, BootClient, BootStage } from '../wire/words.ts';
import type { Dhcp4 } from './packet.ts';

/** Processor architecture types (RFC 4578 §2.1 and its IANA registry) that we serve. Errata 7 and 9 were swapped in the field: both are x64; 16 is x64 that boots by HTTP. */
const archs: ReadonlyMap<number, BootArch> = new Map([
  [0, 'bios'],
  [7, 'x64-uefi'],
  [9, 'x64-uefi'],
  [16, 'x64-uefi'],
]);

/** The client behind a message; its MAC is the one of the header (RFC 2131 §2 `chaddr`). */
export const identify = (message: Dhcp4): BootClient => {
  const uuid = uuidOf(message.options.clientUuid);
  const arch = archOf(message);
  return {
    mac: message.clientMac,
    ...(uuid === undefined ? {} : { uuid }),
    ...(arch === undefined ? {} : { arch }),
    stage: stageOf(message),
  };
};

const stageOf = ({ options }: Dhcp4): BootStage => {
  if (options.vendorClass?.startsWith('HTTPClient') === true) return 'http';
  // iPXE calls itself PXEClient as well, so it is asked for first; its own mark breaks the loop of firmware loading iPXE for ever.
  if (options.ipxe !== undefined || isIpxe(options.userClass)) return 'ipxe';
  return options.vendorClass?.startsWith('PXEClient') === true ? 'firmware' : 'os';
};

const ipxeName = 'iPXE';
/** iPXE sends its user class as bare text; others as the list of RFC 3004 §4, each item behind its length. */
const isIpxe = (userClass: Uint8Array | undefined): boolean => {
  if (userClass === undefined) return false;
  const text = Buffer.from(userClass).toString('latin1');
  if (text === ipxeName) return true;
  for (let at = 0; at < text.length;) {
    const length = userClass[at] ?? 0;
    if (text.slice(at + 1, at + 1 + length) === ipxeName) return true;
    at += 1 + length;
  }
  return false;
};

/** The first architecture we know of those it lists; from the class identifier `PXEClient:Arch:00007:…` where option 93 is missing. */
const archOf = ({ options }: Dhcp4): BootArch | undefined => {
  const inClass = /^(?:PXE|HTTP)Client:Arch:(\d{5})/.exec(options.vendorClass ?? '')?.[1];
  const types = options.clientArch ?? (inClass === undefined ? [] : [Number(inClass)]);
  if (types.length === 0) return undefined;
  return types.map((type) => archs.get(type)).find((arch) => arch !== undefined) ?? 'other';
};

/**
 * Type 0 and 16 bytes (RFC 4578 §2.3), read in the order of RFC 9562; firmware that copies its SMBIOS table has the first three fields
 * the other way round, so a UUID is a hint here and the MAC the identity. Some Intel and Supermicro ROMs send other sizes, boards without
 * a UUID send all zeros or all ones: ignored, not refused.
 */
const uuidOf = (bytes: Uint8Array | undefined): Uuid | undefined => {
  if (bytes?.length !== 17 || bytes[0] !== 0) return undefined;
  const hex = Buffer.from(bytes.subarray(1)).toString('hex');
  if (/^(0+|f+)$/.test(hex)) return undefined;
  return parseUuid(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
};
