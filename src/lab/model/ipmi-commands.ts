/** The commands of a virtual IPMI BMC: function, number, the privilege each needs (IPMI 2.0 appendix G), what is done. */
import * as tables from '../../bmc/ipmi/commands.ts';
import type { Command } from '../../bmc/ipmi/commands.ts';
import { Completion, NetFn } from '../../bmc/ipmi/message.ts';
import { Privilege } from '../../bmc/ipmi/opening.ts';
import { DecodeError } from '../../wire/reader.ts';
import type { BootOptions } from './ipmi-boot.ts';
import type { Chassis } from './ipmi-chassis.ts';

export interface IpmiReply {
  readonly code: number;
  readonly data: Uint8Array;
}
export interface IpmiCommand {
  readonly netFn: number;
  readonly command: number;
  readonly privilege: number;
  readonly run: (data: Uint8Array) => IpmiReply;
}

/** A refusal says nothing but its code. */
export const refused = (code: number): IpmiReply => ({ code, data: new Uint8Array() });
export const done = (...data: readonly number[]): IpmiReply => ({ code: Completion.ok, data: Uint8Array.from(data) });

/** A command of the shared tables: `run` gives its answer, or the completion code of a refusal. */
export const served = <Q extends object, A extends object>(
  of: Command<Q, A>,
  privilege: number,
  run: (request: Q) => A | number,
): IpmiCommand => ({
  netFn: of.netFn,
  command: of.command,
  privilege,
  run: (data) => {
    try {
      const answer = run(tables.decodeRequest(of, data));
      return typeof answer === 'number' ? refused(answer) : { code: Completion.ok, data: tables.encodeResponse(of, answer) };
    } catch (error) {
      if (error instanceof DecodeError) return refused(Completion.requestLength);
      throw error;
    }
  },
});
const none = { more: new Uint8Array() };
/** Where all went well there is nothing to say. */
const orCode = (code: number): typeof none | number => (code === Completion.ok ? none : code);

export const chassisCommands = (chassis: Chassis, boot: BootOptions): readonly IpmiCommand[] => [
  served(tables.getChassisStatus, Privilege.user, () => {
    const on = chassis.isOn();
    return {
      // Restore policy 0: it stays off after a power failure.
      power: { on, overload: false, interlock: false, fault: false, controlFault: false, restorePolicy: 0 },
      lastEvent: { acFailed: false, overload: false, interlock: false, fault: false, byCommand: on && chassis.wasControlled },
      misc: {
        intrusion: false,
        frontPanelLocked: false,
        driveFault: false,
        fanFault: false,
        identify: chassis.light,
        identifySupported: true,
      },
      more: new Uint8Array(),
    };
  }),
  served(tables.chassisControl, Privilege.operator, ({ action }) => orCode(chassis.command(action.number))),
  served(tables.chassisIdentify, Privilege.operator, ({ seconds, force }) => {
    chassis.identify(seconds, force?.on);
    return none;
  }),
  served(tables.setBootOptions, Privilege.operator, ({ parameter, data }) => orCode(boot.set(parameter, data))),
  served(tables.getBootOptions, Privilege.operator, ({ parameter: { number }, set }) => {
    const read = boot.get(number, set);
    return typeof read === 'number' ? read : { version: 1, parameter: { number, invalid: read.invalid }, data: read.data };
  }),
  // Get System Restart Cause (§28.11): 0 unknown, 1 chassis control command; the channel it came by.
  { netFn: NetFn.chassis, command: 0x07, privilege: Privilege.user, run: () => done(chassis.wasControlled ? 1 : 0, 1) },
];

/** Revision 1.0, IPMI 2.0; support 8Eh: sensor repository, event log, inventory, chassis (§20.1). Manufacturer 0: none. */
const deviceId = {
  deviceId: 0x20,
  revision: { number: 1, providesSdrs: false },
  firmware: { major: 1, updating: false },
  firmwareMinorBcd: 0x00,
  ipmiVersion: { major: 2, minor: 0 },
  support: 0x8e,
  manufacturer: 0,
  product: 1,
  auxiliary: new Uint8Array(4),
} as const;

/** `guid`: in the order of SMBIOS, as most BMCs send it. */
export const appCommands = (guid: Uint8Array): readonly IpmiCommand[] => [
  served(tables.getDeviceId, Privilege.user, () => deviceId),
  served(tables.getSystemGuid, Privilege.callback, () => ({ guid, more: new Uint8Array() })),
  // Get Self Test Results (§20.4): 55h, all passed.
  { netFn: NetFn.app, command: 0x04, privilege: Privilege.user, run: () => done(0x55, 0x00) },
  // Get Channel Info (§22.24): 802.3 LAN, IPMB-1.0, session based with several sessions, none counted.
  { netFn: NetFn.app, command: 0x42, privilege: Privilege.user, run: () => done(1, 0x04, 0x01, 0x80, 0xf2, 0x1b, 0x00, 0x00, 0x00) },
];
