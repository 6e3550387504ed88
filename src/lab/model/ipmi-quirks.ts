/** The faults of real IPMI BMCs as switches, each from the bug reports of those who drive them. */
import { noHostQuirks } from './quirks.ts';
import type { HostQuirks } from './quirks.ts';

export interface IpmiQuirks extends HostQuirks {
  /** Answers nothing at all. */
  silent: boolean;
  /** Every answer comes this much later, ms; kept by whoever carries the datagrams. */
  slowMs: number;
  /** Cipher suites by ID, in the order they are told. Some BMCs know 3 only, others dropped it. */
  suites: readonly number[];
  /** Suites that are told and fail all the same, each with this RAKP status: 0x11, but also 0x0a, 0x12 or 0x09 (FreeIPMI, Ironic bug 2085137). */
  brokenSuites: Readonly<Record<number, number>>;
  /** Get Channel Cipher Suites gets no answer (ipmitool then asks for a minute). */
  hidesSuites: boolean;
  /** Get Channel Authentication Capabilities with the bit for IPMI 2.0 data is an invalid field (pyghmi's comment). */
  refusesExtendedCapabilities: boolean;
  /** Refuses every login: the password was changed. */
  wrongPassword: boolean;
  /** After so many failed logins in a row nobody gets in for a minute; 0 is off. */
  lockoutAfter: number;
  /** No session is free: status 0x01. */
  sessionsFull: boolean;
  /** The session dies with each request that used it (a BMC that restarts between two calls). */
  forgetsSessions: boolean;
  /** So many of the next RAKP 2 messages are lost; the same RAKP 1 is not taken twice (pyghmi, ipmitool). */
  losesRakp2: number;
  /** So many of the next RAKP 4 messages are lost. */
  losesRakp4: number;
  /** So many of the next answers inside a session are lost after the command was carried out. */
  losesReplies: number;
  /** Set Session Privilege to ADMINISTRATOR is refused (Cisco UCS, ipmitool #376). */
  refusesAdmin: boolean;
  /** Boot option parameter 3, the 60 s time-out, is not supported (OpenBMC). */
  refusesBootTimeout: boolean;
  /** Does not keep the EFI bit of the boot flags (X11DSC+, bmclib #209). */
  ignoresEfiBit: boolean;
  /** Without the EFI bit a UEFI host does not find its network boot (it would boot in legacy mode). */
  needsEfiBit: boolean;
  /** Twelve bytes more in the answer that tells the boot flags (FreeIPMI). */
  extraBootBytes: boolean;
  /** Power off is refused where the host is off (Ironic bug 1718794). */
  refusesOffWhileOff: boolean;
  /** So many of the next commands inside a session are answered "node busy", 0xc0. */
  busy: number;
  /** After each chassis control command the BMC is gone for so long and forgets its sessions, ms. */
  deadAfterControlMs: number;
  /** Session sequence numbers 1, 3 and 5 never come (shared network port, FreeIPMI). */
  skipsSequences: boolean;
  /** Three bytes of nothing arrive before each answer inside a session (pyghmi, after a stolen console). */
  garbage: boolean;
  /** The second checksum of messages is wrong (X9SCM, `nochecksumcheck`). */
  wrongChecksums: boolean;
  /** Answers inside a session end half way. */
  halfReplies: boolean;
}

/** A BMC without faults. */
export const noIpmiQuirks: Readonly<IpmiQuirks> = {
  ...noHostQuirks,
  silent: false,
  slowMs: 0,
  suites: [3, 17],
  brokenSuites: {},
  hidesSuites: false,
  refusesExtendedCapabilities: false,
  wrongPassword: false,
  lockoutAfter: 0,
  sessionsFull: false,
  forgetsSessions: false,
  losesRakp2: 0,
  losesRakp4: 0,
  losesReplies: 0,
  refusesAdmin: false,
  refusesBootTimeout: false,
  ignoresEfiBit: false,
  needsEfiBit: false,
  extraBootBytes: false,
  refusesOffWhileOff: false,
  busy: 0,
  deadAfterControlMs: 0,
  skipsSequences: false,
  garbage: false,
  wrongChecksums: false,
  halfReplies: false,
};
