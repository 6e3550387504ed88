/** The IPMI commands that we use, each as one table for both ends: function, number, what is asked, what is answered. */
import { decode, encode, rest, struct, u8, fixed, type Codec } from '../../wire/codec.ts';
import { bits, le16, le24, le32, nothing, optional } from './fields.ts';
import { NetFn } from './message.ts';

/** One command. `response` stands behind a completion code of 00h; BMCs may send more than it says, which is kept as `more`. */
export interface Command<Q extends object, A extends object> {
  readonly name: string;
  readonly netFn: number;
  readonly command: number;
  readonly request: Codec<Q>;
  readonly response: Codec<A>;
}
const command = <Q extends object, A extends object>(
  [name, netFn, number]: readonly [name: string, netFn: number, command: number],
  request: Codec<Q>,
  response: Codec<A>,
): Command<Q, A> => ({ name, netFn, command: number, request, response });
const bare = struct({ more: rest });

/** §22.13. `v20`: ask for IPMI v2.0 data; some BMCs want the bit to be 0 as it was reserved in v1.5 (pyghmi). */
export const getChannelAuthentication = command(
  ['Get Channel Authentication Capabilities', NetFn.app, 0x38],
  struct({ channel: bits({ number: [0, 4], v20: 7 }), privilege: bits({ level: [0, 4] }) }),
  struct({
    channel: bits({ number: [0, 4] }),
    types: bits({ none: 0, md2: 1, md5: 2, straight: 4, oem: 5, extended: 7 }),
    status: bits({ anonymous: 0, nullUsers: 1, namedUsers: 2, userLevelOff: 3, perMessageOff: 4, needsKg: 5 }),
    versions: bits({ v15: 0, v20: 1 }),
    oem: le24,
    oemAuxiliary: u8,
    more: rest,
  }),
);
/** §22.15. 16 bytes of records at a time, `index` counts the times. */
export const getChannelCipherSuites = command(
  ['Get Channel Cipher Suites', NetFn.app, 0x54],
  struct({ channel: u8, payloadType: u8, list: bits({ index: [0, 6], bySuite: 7 }) }),
  struct({ channel: u8, records: rest }),
);
/** The present channel, wherever a command takes a channel (§6.3). */
export const thisChannel = 0x0e;

/** §20.1. Firmware's second number is BCD; the IPMI version has its digits turned round (02h is 2.0, 51h is 1.5). */
export const getDeviceId = command(
  ['Get Device ID', NetFn.app, 0x01],
  nothing,
  struct({
    deviceId: u8,
    revision: bits({ number: [0, 4], providesSdrs: 7 }),
    firmware: bits({ major: [0, 7], updating: 7 }),
    firmwareMinorBcd: u8,
    ipmiVersion: bits({ major: [0, 4], minor: [4, 4] }),
    support: u8,
    manufacturer: le24,
    product: le16,
    auxiliary: rest,
  }),
);
/** §22.14. The order of its bytes differs from BMC to BMC: identity.ts. */
export const getSystemGuid = command(['Get System GUID', NetFn.app, 0x37], nothing, struct({ guid: fixed(16), more: rest }));
/** §22.18. */
export const setSessionPrivilege = command(
  ['Set Session Privilege Level', NetFn.app, 0x3b],
  struct({ privilege: bits({ level: [0, 4] }) }),
  struct({ privilege: bits({ level: [0, 4] }), more: rest }),
);
/** §22.19. The BMC's session ID. */
export const closeSession = command(['Close Session', NetFn.app, 0x3c], struct({ session: le32, more: rest }), bare);

/** §28.2. */
export const getChassisStatus = command(
  ['Get Chassis Status', NetFn.chassis, 0x01],
  nothing,
  struct({
    power: bits({ on: 0, overload: 1, interlock: 2, fault: 3, controlFault: 4, restorePolicy: [5, 2] }),
    lastEvent: bits({ acFailed: 0, overload: 1, interlock: 2, fault: 3, byCommand: 4 }),
    misc: bits({ intrusion: 0, frontPanelLocked: 1, driveFault: 2, fanFault: 3, identify: [4, 2], identifySupported: 6 }),
    more: rest,
  }),
);
/** §28.3: what Chassis Control may ask. */
export const ChassisAction = { off: 0, on: 1, cycle: 2, reset: 3, diagnostic: 4, soft: 5 } as const;
export const chassisControl = command(['Chassis Control', NetFn.chassis, 0x02], struct({ action: bits({ number: [0, 4] }) }), bare);
/** §28.5. Seconds (0 ends it, 15 where it is missing); `force`: until told otherwise, not known to older BMCs. */
export const chassisIdentify = command(
  ['Chassis Identify', NetFn.chassis, 0x04],
  struct({ seconds: optional(u8), force: optional(bits({ on: 0 })) }),
  bare,
);

/** Parameters of the boot options (§28.13, table 28-14). */
export const BootParameter = { setInProgress: 0, validBitClearing: 3, acknowledge: 4, flags: 5 } as const;
/** §28.12. A parameter without data only marks it (in)valid. */
export const setBootOptions = command(
  ['Set System Boot Options', NetFn.chassis, 0x08],
  struct({ parameter: bits({ number: [0, 7], invalid: 7 }), data: rest }),
  bare,
);
/** §28.13. `parameter.invalid`: marked invalid or locked. */
export const getBootOptions = command(
  ['Get System Boot Options', NetFn.chassis, 0x09],
  struct({ parameter: bits({ number: [0, 7] }), set: u8, block: u8 }),
  struct({ version: u8, parameter: bits({ number: [0, 7], invalid: 7 }), data: rest }),
);
/** The data of parameter 5; BMCs may send more (FreeIPMI saw 12 bytes). All of it is always written at once. */
export const bootFlags = struct({
  how: bits({ valid: 7, persistent: 6, efi: 5 }),
  device: bits({ selector: [2, 4], lockReset: 0, blankScreen: 1, lockKeyboard: 6, clearCmos: 7 }),
  byte3: u8,
  byte4: u8,
  byte5: u8,
  more: rest,
});
/** Boot device selectors of parameter 5 (table 28-14); on the wire shifted by two: 04h is PXE, 08h is the disk. */
export const BootDevice = {
  none: 0,
  network: 1,
  disk: 2,
  safeDisk: 3,
  diagnostics: 4,
  cd: 5,
  setup: 6,
  remoteFloppy: 7,
  remoteCd: 8,
  remoteDisk: 9,
  primaryRemote: 11,
} as const;

/** §34.1 and §34.2. Where `inWords` is set, offsets and counts are in words of two bytes. */
export const getFruInfo = command(
  ['Get FRU Inventory Area Info', NetFn.storage, 0x10],
  struct({ fru: u8 }),
  struct({ sizeBytes: le16, access: bits({ inWords: 0 }), more: rest }),
);
export const readFru = command(
  ['Read FRU Data', NetFn.storage, 0x11],
  struct({ fru: u8, offset: le16, count: u8 }),
  struct({ count: u8, data: rest }),
);

/** Every command, for a BMC that looks one up by function and number. */
export const commands = {
  getChannelAuthentication,
  getChannelCipherSuites,
  getDeviceId,
  getSystemGuid,
  setSessionPrivilege,
  closeSession,
  getChassisStatus,
  chassisControl,
  chassisIdentify,
  setBootOptions,
  getBootOptions,
  getFruInfo,
  readFru,
} as const;

/** Throws RangeError. */
export const encodeRequest = <Q extends object, A extends object>(of: Command<Q, A>, value: Q): Uint8Array => encode(of.request, value);
/** Throws DecodeError. */
export const decodeRequest = <Q extends object, A extends object>(of: Command<Q, A>, bytes: Uint8Array): Q => decode(of.request, bytes);
/** Throws RangeError. */
export const encodeResponse = <Q extends object, A extends object>(of: Command<Q, A>, value: A): Uint8Array => encode(of.response, value);
/** The data behind the completion code. Throws DecodeError. */
export const decodeResponse = <Q extends object, A extends object>(of: Command<Q, A>, bytes: Uint8Array): A => decode(of.response, bytes);
