/** What a virtual BMC does to its machine and what it says about it: power, and the boot override that is used once. */
import { turns } from '../../bmc/turns.ts';
import { reasonOf } from '../../errors.ts';
import type { Clock } from '../../world/world.ts';
import type { Machine } from './machine.ts';
import type { HostQuirks } from './quirks.ts';
import { Refusal } from './replies.ts';

/** DSP0268 ResetType, those that this BMC offers. */
export const resetTypes = ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'PowerCycle', 'PushPowerButton'] as const;
export type ResetType = (typeof resetTypes)[number];
export const bootTargets = ['None', 'Pxe', 'Hdd'] as const;
export const bootEnabled = ['Disabled', 'Once', 'Continuous'] as const;
export const bootModes = ['Legacy', 'UEFI'] as const;

export interface BootOverride {
  readonly target: (typeof bootTargets)[number];
  readonly enabled: (typeof bootEnabled)[number];
  readonly mode: (typeof bootModes)[number];
}
/** A command that was taken, for tests and for the one who watches the laboratory. */
export interface Command {
  /** ms since 1970 */
  readonly at: number;
  /** `On`, `ForceOff`, `Boot Pxe Once UEFI` */
  readonly what: string;
}

/** The oldest commands are forgotten beyond so many. */
const commandsMax = 1000;

const overrideNames = { None: undefined, Pxe: 'network', Hdd: 'disk' } as const;

/** Where there is no boot mode, none is recorded. */
type ControlQuirks = HostQuirks & { readonly noBootMode?: boolean };

export class HostControl {
  readonly commands: Command[] = [];
  readonly #machine: Machine;
  readonly #quirks: ControlQuirks;
  readonly #clock: Clock;
  readonly #turn = turns();
  #override: BootOverride;
  /** `saysOnStaysOff` at work: the power LED is lit, the machine is not. */
  #pretendsOn = false;
  #starting = false;
  /** `powerLag` at work: what is still shown, for so many reads. */
  #stale: { readonly shown: 'On' | 'Off'; reads: number } | undefined;

  constructor(machine: Machine, quirks: ControlQuirks, clock: Clock) {
    this.#machine = machine;
    this.#quirks = quirks;
    this.#clock = clock;
    this.#override = { target: 'None', enabled: 'Disabled', mode: machine.firmware === 'uefi' ? 'UEFI' : 'Legacy' };
  }

  get override(): BootOverride {
    return this.#override;
  }

  /** PowerState as a reading shows it now. */
  get power(): 'On' | 'Off' {
    return this.#stale?.shown ?? this.#shown();
  }

  /** A reading of the system took place. */
  wasRead(): void {
    if (this.#stale === undefined) return;
    this.#stale.reads -= 1;
    if (this.#stale.reads <= 0) this.#stale = undefined;
  }

  /** Throws a Refusal where it does not fit the state of the host. */
  async reset(type: ResetType): Promise<void> {
    await this.#turn(async () => {
      const before = this.#shown();
      if (before === 'Off' && (type === 'ForceRestart' || type === 'PowerCycle' || type === 'GracefulShutdown'))
        throw new Refusal('ResourceInStandby');
      this.#record(type);
      if (this.#quirks.ignoresPower) return;
      try {
        await this.#do(type);
      } catch (error) {
        this.#record(`${type} failed: ${reasonOf(error)}`);
        throw new Refusal('InternalError');
      }
      if (this.#quirks.powerLag > 0 && this.#shown() !== before) this.#stale = { shown: before, reads: this.#quirks.powerLag };
    });
  }

  /** Throws a Refusal where the BMC does not take changes now. */
  changeBoot(change: Partial<BootOverride>): void {
    if (this.#quirks.refusesBootChangeWhileOn && this.#shown() === 'On') throw new Refusal('ResourceInUse', 'Boot');
    const wanted = { ...this.#override, ...change };
    this.#record(`Boot ${wanted.target} ${wanted.enabled}${this.#quirks.noBootMode === true ? '' : ` ${wanted.mode}`}`);
    if (!this.#quirks.acceptsAndForgetsBootOverride) this.#override = wanted;
  }

  /** The override ends without having been used: the BMC's own time-out (IPMI 2.0 §28.13, parameter 3). */
  endOverride(): void {
    this.#override = { ...this.#override, target: 'None', enabled: 'Disabled' };
  }

  async #do(type: ResetType): Promise<void> {
    const on = this.#shown() === 'On';
    if (type === 'GracefulShutdown' || (type === 'PushPowerButton' && on)) return this.#machine.pressButton();
    if (type === 'ForceOff' || type === 'ForceRestart' || type === 'PowerCycle') await this.#turnOff();
    if (type === 'ForceOff') return;
    if (type === 'ForceRestart' || type === 'PowerCycle' || !on) await this.#turnOn();
  }

  async #turnOff(): Promise<void> {
    this.#pretendsOn = false;
    if (this.#machine.power() === 'on') await this.#machine.turnOff();
  }

  async #turnOn(): Promise<void> {
    if (this.#quirks.saysOnStaysOff) {
      this.#pretendsOn = true;
      return;
    }
    const { target, enabled } = this.#override;
    // DSP0268 BootSourceOverrideEnabled: after one boot, Once becomes Disabled.
    if (enabled === 'Once' && !this.#quirks.bootOnceStays) this.#override = { ...this.#override, target: 'None', enabled: 'Disabled' };
    // The supply is on as soon as the BMC has switched it, before the machine runs; off is off only when it is.
    this.#starting = true;
    try {
      await this.#machine.turnOn(enabled === 'Disabled' ? undefined : overrideNames[target]);
    } finally {
      this.#starting = false;
    }
  }

  #shown(): 'On' | 'Off' {
    return this.#pretendsOn || this.#starting || this.#machine.power() === 'on' ? 'On' : 'Off';
  }

  #record(what: string): void {
    this.commands.push({ at: this.#clock.now(), what });
    if (this.commands.length > commandsMax) this.commands.shift();
  }
}
