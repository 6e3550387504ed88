/** The faults of real BMCs as switches, each seen on real devices or in the bug reports of those who drive them. */

/** What any BMC may do to its host, whatever it speaks. */
export interface HostQuirks {
  /** Takes On, shows On, and the machine never started. */
  saysOnStaysOff: boolean;
  /** Takes every reset and does nothing. */
  ignoresPower: boolean;
  /** A change of power shows only after so many further reads of the system. */
  powerLag: number;
  /** Takes the boot override and shows none. */
  acceptsAndForgetsBootOverride: boolean;
  /** Never forgets an override asked for once: every boot follows it. */
  bootOnceStays: boolean;
  /** Refuses a boot change while the host is on, or in POST. */
  refusesBootChangeWhileOn: boolean;
}

/** Of a BMC that speaks Redfish. */
export interface BmcQuirks extends HostQuirks {
  /** Takes connections and never answers. */
  silent: boolean;
  /** Every answer comes this much later, ms. */
  slowMs: number;
  /** Every request is answered 503 with this many seconds of Retry-After; 0 is off (iDRAC while it collects its inventory). */
  unavailable503: number;
  /** All session slots are taken: 503 RAC0218 (iDRAC has eight). */
  sessionsFull: boolean;
  /** There is no session service; only HTTP basic. */
  noSessionService: boolean;
  /** Refuses every login and every token: the password was changed. */
  wrongPassword: boolean;
  /** The session dies with each request that used it (a BMC that restarts between two calls). */
  forgetsSessions: boolean;
  /** The boot override is taken only in the settings resource (Nokia, iDRAC10). */
  bootInSettings: boolean;
  /** Has no BootSourceOverrideMode (HPE Gen9). */
  noBootMode: boolean;
  /** Refuses a PATCH without If-Match: 428 (AMI). */
  requiresIfMatch428: boolean;
  /** Gives weak ETags and refuses them with 412, but takes their strong form. */
  weakEtag412: boolean;
  /** The ETag is the empty string, and echoing it is refused. */
  emptyEtag: boolean;
  /** Bodies of resources behind the login end half way. */
  halfJson: boolean;
  /** `@Message.ExtendedInfo` is one object, not a list. */
  extendedInfoObject: boolean;
}

export const noHostQuirks: Readonly<HostQuirks> = {
  saysOnStaysOff: false,
  ignoresPower: false,
  powerLag: 0,
  acceptsAndForgetsBootOverride: false,
  bootOnceStays: false,
  refusesBootChangeWhileOn: false,
};
/** A BMC without faults. */
export const noQuirks: Readonly<BmcQuirks> = {
  ...noHostQuirks,
  silent: false,
  slowMs: 0,
  unavailable503: 0,
  sessionsFull: false,
  noSessionService: false,
  wrongPassword: false,
  forgetsSessions: false,
  bootInSettings: false,
  noBootMode: false,
  requiresIfMatch428: false,
  weakEtag412: false,
  emptyEtag: false,
  halfJson: false,
  extendedInfoObject: false,
};
