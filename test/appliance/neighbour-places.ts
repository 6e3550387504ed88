/** Where the neighbours of the appliance are, and what they tell of what reached them. */
export const places = {
  images: '10.91.1.10',
  /** Private, and not allowed. */
  secret: '10.91.2.11',
  metadata: '169.254.169.254',
  redfish: '10.91.1.21',
  ipmi: '10.91.1.22',
  expired: '10.91.1.23',
} as const;

export interface Seen {
  /** Requests to addresses that nobody may be sent to. */
  readonly forbidden: readonly string[];
  /** Sessions that were asked for, and requests with a password in their head. */
  readonly redfishLogins: number;
  readonly redfishPasswords: readonly string[];
  readonly ipmiLogins: number;
  readonly ipmiFailures: number;
  /** Requests behind the certificate that has ended. */
  readonly expiredRequests: number;
  readonly fingerprints: { readonly redfish: string; readonly expired: string };
  /** PEM of whoever signed that one. */
  readonly authority: string;
}
