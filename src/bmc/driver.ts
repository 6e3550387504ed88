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

/** What people may ask beside on and off. The plan never does: none of them has an end state that one reading could show. */
export type PowerCommand = 'soft' | 'cycle' | 'reset';
/** A command that was taken, and the power that one reading afterwards showed. */
export interface Commanded {
  readonly asked: PowerCommand;
  readonly power: Power | 'unknown';
  /** What an operator should know. */
  readonly note?: string;
}

/** Where the host boots from; `none`: by its permanent order. */
export type BootDevice = 'network' | 'disk' | 'none';
export interface BootWish {
  readonly device: BootDevice;
  /** Every boot from now on, instead of the next one only. */
  readonly persistent: boolean;
  /** undefined keeps the BMC's boot mode. */
  readonly firmware: 'bios' | 'uefi' | undefined;
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
 * in its own words), `bad-config` (the address is unusable). Credentials that were refused are not sent again for a while: login.ts. No
 * error and no log line carries a password or a token.
 */
export interface BmcDriver {
  identify(signal?: AbortSignal): Promise<BmcIdentity>;
  readPower(signal?: AbortSignal): Promise<Power | 'unknown'>;
  /** Sends no command where the BMC already shows the wanted state. Off is immediate (the host's system is not asked). */
  setPower(wanted: Power, signal?: AbortSignal): Promise<Outcome<Power>>;
  /** The next boot comes from the network, later ones by the permanent order. `firmware` undefined keeps the BMC's boot mode. */
  bootOnceFromNetwork(firmware: 'bios' | 'uefi' | undefined, signal?: AbortSignal): Promise<Outcome<'network'>>;
  /**
   * For people: `soft` asks the running system to shut down, `cycle` and `reset` are immediate. Sent once, never again by itself. Soft of a
   * host that is off sends nothing; cycle and reset of one throw `state-conflict`.
   */
  command(action: PowerCommand, signal?: AbortSignal): Promise<Commanded>;
  /** The boot override as people want it; the plan's verb is bootOnceFromNetwork. */
  setBoot(wish: BootWish, signal?: AbortSignal): Promise<Outcome<BootDevice>>;
  /** Lets the host be seen in the rack (its identify light) for so many seconds, at most 255, or ends that. A BMC that knows no seconds notes it. */
  locate(seconds: number | 'off', signal?: AbortSignal): Promise<Outcome<'on' | 'off'>>;
  /** Ends the session on the BMC; never throws. A later verb opens a new one. */
  close(): Promise<void>;
}
