/** The words that several rooms share: who is booting, and which address it holds. */
import type { Ipv4, Mac, Uuid } from './address.ts';

/** How far the client's boot has come, as its DHCP options tell. */
export type BootStage = 'firmware' | 'ipxe' | 'http' | 'os';
/** What its firmware can run: RFC 4578 §2.1 processor architecture types folded to what we serve. */
export type BootArch = 'bios' | 'x64-uefi' | 'other';

/** A machine that asks for an address or a file. */
export interface BootClient {
  readonly mac: Mac;
  readonly uuid?: Uuid;
  readonly arch?: BootArch;
  readonly stage: BootStage;
}

/** An address given to a client until a moment. */
export interface Lease {
  readonly address: Ipv4;
  readonly mac: Mac;
  /** Raw client identifier in hex (RFC 2132 §9.14); absent where the client sent none. */
  readonly clientId?: string;
  readonly hostName?: string;
  /** ms since 1970 */
  readonly startsAt: number;
  readonly endsAt: number;
}

/** What a boot client is told to do next; decided once, in boot/decide.ts. */
export type BootAnswer =
  /** Not ours: no address for a boot we did not start is withheld, but no boot file is given either. */
  | { readonly kind: 'local-disk' }
  /** TFTP this file (firmware stage). */
  | { readonly kind: 'chainload'; readonly file: string }
  /** Fetch this URL (iPXE stage). */
  | { readonly kind: 'script'; readonly url: string };

/** DHCP options beyond what every client gets; per subnet, and per host over it. */
export interface DhcpExtras {
  readonly router?: Ipv4;
  readonly dns?: readonly Ipv4[];
  readonly domain?: string;
  readonly ntp?: readonly Ipv4[];
  /** Interface MTU (option 26). */
  readonly mtu?: number;
  /** Any other option by number: its bytes in hex. */
  readonly raw?: Readonly<Record<string, string>>;
}

/** What happened on the wire, for the timeline; lossy by design. */
export interface Observation {
  readonly mac: Mac;
  /** ms since 1970 */
  readonly at: number;
  readonly source: 'dhcp' | 'tftp' | 'http';
  /** One plain sentence: `DISCOVER from UEFI x64 firmware, offered 10.77.0.50, boot file snponly.efi`. */
  readonly text: string;
  readonly client?: BootClient;
}

export type BmcProtocol = 'redfish' | 'ipmi';
/** Where a BMC is and how to be let in. */
export interface BmcAddress {
  readonly protocol: BmcProtocol;
  /** Redfish: `https://10.0.0.5`; `http:` only on loopback or with `insecure`. IPMI: `ipmi://10.0.0.6`, port 623 unless said. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** SHA-256 of the BMC's certificate, hex. Self-signed is normal on BMCs, so the certificate is pinned, not believed. */
  readonly fingerprint?: string;
  /** PEM of the authorities that the BMC's certificate must come from, instead of a fingerprint. */
  readonly ca?: string;
  /** An operator's explicit word: any certificate, or no TLS at all. */
  readonly insecure?: boolean;
  /** Which system, when the BMC has several: its Id or its `@odata.id`. */
  readonly system?: string;
  /** IPMI: cipher suites that the operator allows beside 17 and 3, by ID. Suite 0 (no authentication) is never used. */
  readonly suites?: readonly number[];
}
