/** The driver of a host's management controller: few verbs, each tells what was asked and what one reading afterwards showed. */
import type { Mac, Uuid } from '../wire/address.ts';

export type Power = 'on' | 'off';

/** What the BMC says about the host it manages. */
export interface BmcIdentity {
  readonly vendor?: string;
  readonly model?: string;
  readonly serial?: string;
  readonly uuid?: Uuid;
  readonly bmcVersion?: string;
  readonly macs: readonly Mac[];
  readonly power: Power | 'unknown';
}

/** What was asked and what one reading afterwards showed. The plan retries, the driver never loops. */
export interface Outcome<T> {
  readonly asked: T;
  readonly observed: T | 'unknown';
  /** The reading shows what was asked. */
  readonly settled: boolean;
  /** What an operator should know where the reading is not simply what was asked. */
  readonly note?: string;
}

/**
 * One BMC. Its calls are served one after another. Every verb throws a RemudaError: `bmc-unreachable` (network, 5xx, a broken answer;
 * `values.retryAfterSeconds` where the BMC named one), `bmc-untrusted` (TLS), `bmc-refused` (credentials, or what the BMC will not do,
 * in its own words), `bad-config` (the address is unusable). No error and no log line carries a password or a token.
 */
export interface BmcDriver {
  identify(signal?: AbortSignal): Promise<BmcIdentity>;
  readPower(signal?: AbortSignal): Promise<Power | 'unknown'>;
  /** Sends no command where the BMC already shows the wanted state. Off is immediate (the host's system is not asked). */
  setPower(wanted: Power, signal?: AbortSignal): Promise<Outcome<Power>>;
  /** The next boot comes from the network, later ones by the permanent order. `firmware` undefined keeps the BMC's boot mode. */
  bootOnceFromNetwork(firmware: 'bios' | 'uefi' | undefined, signal?: AbortSignal): Promise<Outcome<'network'>>;
  /** Ends the session on the BMC; never throws. A later verb opens a new one. */
  close(): Promise<void>;
}
