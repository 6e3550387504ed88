/** The server behind a virtual BMC: QEMU in the laboratory, simulated physics in test/sim. */
import type { Mac, Uuid } from '../../wire/address.ts';

export interface Machine {
  readonly uuid: Uuid;
  readonly serial: string;
  readonly macs: readonly Mac[];
  readonly firmware: 'bios' | 'uefi';
  readonly memoryMiB: number;
  readonly cpus: number;
  power(): 'on' | 'off';
  /** Boots by the override once, else by the permanent order, disk first. */
  turnOn(override: 'network' | 'disk' | undefined): Promise<void>;
  turnOff(): Promise<void>;
  /** The ACPI power button: the system that runs decides what follows. */
  pressButton(): Promise<void>;
}
