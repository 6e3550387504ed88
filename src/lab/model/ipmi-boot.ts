/** The boot options of a virtual IPMI BMC (IPMI 2.0 §28.12 to §28.14): parameters 0 to 7, and what the flags mean for the next start of the host. */
import { BootDevice, BootParameter, bootFlags } from '../../bmc/ipmi/commands.ts';
import { Completion } from '../../bmc/ipmi/message.ts';
import { decode } from '../../wire/codec.ts';
import type { Clock } from '../../world/world.ts';
import type { BootOverride, HostControl } from './host-control.ts';
import type { IpmiQuirks } from './ipmi-quirks.ts';
import type { Machine } from './machine.ts';
import { Refusal } from './replies.ts';

/** §28.13: flags that no chassis control command used in time are void. */
const flagsMs = 60_000;
/** Table 28-14: bytes of set in progress, service partition selector and scan, valid bit clearing, acknowledge, flags, initiator info, mailbox. */
const lengths: readonly number[] = [1, 1, 1, 1, 2, 5, 9, 17];
const mailbox = 7;
const mailboxBytes = 16;
const mailboxBlocks = 5;
/** Of parameter 3: the flags stay valid without a chassis control command. */
const keepsFlags = 0x08;
/** Of the first byte of parameter 5. */
const validBit = 0x80;
const efiBit = 0x20;
/** What FreeIPMI saw behind the flags. */
const extraBytes = 12;
/** 9 is what some boards want for their UEFI disk (24h on the wire, Supermicro FAQ 25559). */
const targets: Readonly<Record<number, BootOverride['target']>> = {
  [BootDevice.network]: 'Pxe',
  [BootDevice.disk]: 'Hdd',
  [BootDevice.remoteDisk]: 'Hdd',
};

export interface BootOptionsOptions {
  readonly control: HostControl;
  readonly machine: Machine;
  readonly quirks: IpmiQuirks;
  readonly clock: Clock;
}

export class BootOptions {
  readonly #options: BootOptionsOptions;
  readonly #values = lengths.map((length) => new Uint8Array(length));
  readonly #blocks = Array.from({ length: mailboxBlocks }, () => new Uint8Array(mailboxBytes));
  /** Parameters that somebody marked as not valid. */
  readonly #invalid = new Set<number>();
  /** ms since 1970; undefined where no time runs. */
  #flagsSetAt: number | undefined;

  constructor(options: BootOptionsOptions) {
    this.#options = options;
  }

  /** Set System Boot Options: without data only the validity changes. The completion code. */
  set({ number, invalid }: { readonly number: number; readonly invalid: boolean }, data: Uint8Array): number {
    if (!this.#has(number)) return Completion.parameterUnsupported;
    const code = data.length === 0 ? Completion.ok : this.#write(number, data);
    if (code !== Completion.ok) return code;
    if (invalid) this.#invalid.add(number);
    else this.#invalid.delete(number);
    return Completion.ok;
  }

  /** Get System Boot Options: the parameter's bytes, or the completion code of the refusal. `set` is the mailbox's block. */
  get(number: number, set: number): { readonly invalid: boolean; readonly data: Uint8Array } | number {
    this.expire();
    if (!this.#has(number)) return Completion.parameterUnsupported;
    const invalid = this.#invalid.has(number);
    if (number === mailbox) {
      const block = this.#blocks[set];
      return block === undefined ? Completion.parameterOutOfRange : { invalid, data: Uint8Array.of(set, ...block) };
    }
    return { invalid, data: number === BootParameter.flags ? this.#shownFlags() : (this.#values[number] ?? new Uint8Array()) };
  }

  /** Ends flags that nobody used in time; called before whatever reads or uses them. */
  expire(): void {
    const { control, clock } = this.#options;
    if (((this.#values[BootParameter.validBitClearing]?.[0] ?? 0) & keepsFlags) !== 0) return;
    if (this.#flagsSetAt === undefined || clock.now() - this.#flagsSetAt <= flagsMs) return;
    this.#flagsSetAt = undefined;
    control.endOverride();
  }

  /** A chassis control command came in time: the flags wait for the boot, however long it takes. */
  used(): void {
    this.#flagsSetAt = undefined;
  }

  #has(number: number): boolean {
    return number < lengths.length && !(number === BootParameter.validBitClearing && this.#options.quirks.refusesBootTimeout);
  }

  #write(number: number, data: Uint8Array): number {
    if (number === mailbox) {
      const block = this.#blocks[data[0] ?? 0];
      if (block === undefined || data.length > 1 + mailboxBytes) return Completion.parameterOutOfRange;
      block.set(data.subarray(1));
      return Completion.ok;
    }
    if (data.length !== lengths[number]) return Completion.requestLength;
    if (number === BootParameter.flags) return this.#writeFlags(data);
    this.#values[number] = data.slice();
    return Completion.ok;
  }

  #writeFlags(data: Uint8Array): number {
    const { control, quirks, clock } = this.#options;
    const kept = data.slice();
    if (quirks.ignoresEfiBit) kept[0] = (kept[0] ?? 0) & ~efiBit;
    try {
      control.changeBoot(this.#overrideOf(kept));
    } catch (error) {
      if (error instanceof Refusal) return Completion.notInThisState;
      throw error;
    }
    this.#values[BootParameter.flags] = kept;
    this.#flagsSetAt = clock.now();
    return Completion.ok;
  }

  #overrideOf(data: Uint8Array): BootOverride {
    const { machine, quirks } = this.#options;
    const { how, device } = decode(bootFlags, data);
    const mode = how.efi ? 'UEFI' : 'Legacy';
    if (!how.valid) return { target: 'None', enabled: 'Disabled', mode };
    const lost = quirks.needsEfiBit && machine.firmware === 'uefi' && !how.efi;
    return { target: lost ? 'None' : (targets[device.selector] ?? 'None'), enabled: how.persistent ? 'Continuous' : 'Once', mode };
  }

  /** Once used or void they are told as they were, without the valid bit, as real BMCs do (openSUSE #17794). */
  #shownFlags(): Uint8Array {
    const { control, quirks } = this.#options;
    const [first = 0, ...others] = this.#values[BootParameter.flags] ?? [];
    const shown = control.override.enabled === 'Disabled' ? first & ~validBit : first;
    return Uint8Array.from([shown, ...others, ...new Uint8Array(quirks.extraBootBytes ? extraBytes : 0)]);
  }
}
