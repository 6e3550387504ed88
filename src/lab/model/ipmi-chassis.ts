/** The chassis commands of a virtual IPMI BMC (IPMI 2.0 §28): what the power is, what changes it, the light that finds the server. */
import { ChassisAction } from '../../bmc/ipmi/commands.ts';
import { Completion } from '../../bmc/ipmi/message.ts';
import type { Clock } from '../../world/world.ts';
import type { HostControl, ResetType } from './host-control.ts';
import type { BootOptions } from './ipmi-boot.ts';
import type { IpmiQuirks } from './ipmi-quirks.ts';
import { Refusal } from './replies.ts';

/** Table 28-4. Virtual hosts have no diagnostic interrupt. */
const resets: Readonly<Record<number, ResetType>> = {
  [ChassisAction.off]: 'ForceOff',
  [ChassisAction.on]: 'On',
  [ChassisAction.cycle]: 'PowerCycle',
  [ChassisAction.reset]: 'ForceRestart',
  [ChassisAction.soft]: 'GracefulShutdown',
};
const needsPower: readonly ResetType[] = ['PowerCycle', 'ForceRestart', 'GracefulShutdown'];
/** §28.5, where no time is told. */
const identifySeconds = 15;

export interface ChassisOptions {
  readonly control: HostControl;
  readonly boot: BootOptions;
  readonly quirks: IpmiQuirks;
  readonly clock: Clock;
}

export class Chassis {
  readonly #options: ChassisOptions;
  /** When the light goes out, ms since 1970. */
  #litUntil = Number.NEGATIVE_INFINITY;
  /** The last chassis control command, ms since 1970. */
  #controlledAt = Number.NEGATIVE_INFINITY;

  constructor(options: ChassisOptions) {
    this.#options = options;
  }

  /** `deadAfterControlMs` at work. */
  get isDead(): boolean {
    return this.#options.clock.now() < this.#controlledAt + this.#options.quirks.deadAfterControlMs;
  }

  get wasControlled(): boolean {
    return this.#controlledAt > Number.NEGATIVE_INFINITY;
  }

  /** As Get Chassis Status tells it: 0 dark, 1 for a time, 2 until told otherwise. */
  get light(): 0 | 1 | 2 {
    if (this.#litUntil === Number.POSITIVE_INFINITY) return 2;
    return this.#options.clock.now() < this.#litUntil ? 1 : 0;
  }

  /** Get Chassis Status (§28.2): a reading, which `powerLag` counts. */
  isOn(): boolean {
    const { control } = this.#options;
    const on = control.power === 'On';
    control.wasRead();
    return on;
  }

  /**
   * Chassis Control (§28.3): the completion code. It is told before the power has changed, as real BMCs do: whoever wants to know reads it.
   * What the machine then refuses stands in the control's commands.
   */
  command(action: number): number {
    const { control, boot, quirks, clock } = this.#options;
    const type = resets[action];
    if (type === undefined) return Completion.invalidField;
    const off = control.power === 'Off';
    if (off && (needsPower.includes(type) || (type === 'ForceOff' && quirks.refusesOffWhileOff))) return Completion.notInThisState;
    boot.expire();
    boot.used();
    this.#controlledAt = clock.now();
    control.reset(type).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
    });
    return Completion.ok;
  }

  /** Chassis Identify (§28.5). */
  identify(seconds = identifySeconds, force = false): void {
    this.#litUntil = force ? Number.POSITIVE_INFINITY : this.#options.clock.now() + seconds * 1000;
  }
}
