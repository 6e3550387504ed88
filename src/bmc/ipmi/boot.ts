/** The boot override by IPMI (§28.12, parameter 5): all flags in one command, and one reading that looks at the valid bit. */
import { RemudaError } from '../../errors.ts';
import { decode, encode } from '../../wire/codec.ts';
import type { ValueOf } from '../../wire/codec.ts';
import { DecodeError } from '../../wire/reader.ts';
import type { BootDevice, BootWish, Outcome } from '../driver.ts';
import { BootDevice as Selector, BootParameter, bootFlags, getBootOptions, setBootOptions } from './commands.ts';
import type { Connection } from './connection.ts';
import { manufacturerOf, supermicro } from './identity.ts';
import { Completion } from './message.ts';

type Signal = AbortSignal | undefined;
type Flags = ValueOf<typeof bootFlags>;

/** Of parameter 3: the flags stay valid though no chassis command comes within 60 s (table 28-14). */
const keepsFlags = 0x08;
/** Of parameter 0: nobody is in the middle of a change. */
const setComplete = 0x00;

const write = async (connection: Connection, number: number, data: Uint8Array, signal: Signal): Promise<void> => {
  await connection.ask(setBootOptions, { parameter: { number, invalid: false }, data }, { signal });
};
const completionOf = (error: unknown): number | undefined =>
  error instanceof RemudaError && error.code === 'bmc-refused' ? (error.values['completion'] as number | undefined) : undefined;

/** Plans take longer than 60 s. A BMC that does not know the parameter (OpenBMC) boots by its flags all the same: no refusal ends the verb. */
const keepFlags = async (connection: Connection, signal: Signal): Promise<void> => {
  try {
    await write(connection, BootParameter.validBitClearing, Uint8Array.of(keepsFlags), signal);
  } catch (error) {
    if (completionOf(error) === undefined) throw error;
  }
};
/** "Set in progress" that another console left behind would refuse every change for ever. */
const writeFlags = async (connection: Connection, data: Uint8Array, signal: Signal): Promise<void> => {
  try {
    await write(connection, BootParameter.flags, data, signal);
  } catch (error) {
    if (completionOf(error) !== Completion.privilegeLimited) throw error;
    await write(connection, BootParameter.setInProgress, Uint8Array.of(setComplete), signal);
    await write(connection, BootParameter.flags, data, signal);
  }
};
const readFlags = async (connection: Connection, signal: Signal): Promise<Flags> => {
  const { data } = await connection.ask(getBootOptions, { parameter: { number: BootParameter.flags }, set: 0, block: 0 }, { signal });
  try {
    return decode(bootFlags, data);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new RemudaError('bmc-unreachable', `the BMC gives broken boot flags: ${cause.message}`, { cause });
  }
};

/** Supermicro's UEFI disk is not the disk of the book but 24h (its FAQ 25559, Ironic). */
const selectorOf = async (connection: Connection, { device, firmware }: BootWish, signal: Signal): Promise<number> => {
  if (device !== 'disk' || firmware !== 'uefi') return Selector[device];
  return (await manufacturerOf(connection, signal)) === supermicro ? Selector.remoteDisk : Selector.disk;
};
/** `none` clears: "no override" with the valid bit would be an override to nothing (ipmitool #304). */
const flagsFor = (wish: BootWish, selector: number, efi: boolean): Flags => ({
  how: wish.device === 'none' ? { valid: false, persistent: false, efi: false } : { valid: true, persistent: wish.persistent, efi },
  device: {
    selector: wish.device === 'none' ? Selector.none : selector,
    lockReset: false,
    blankScreen: false,
    lockKeyboard: false,
    clearCmos: false,
  },
  byte3: 0,
  byte4: 0,
  byte5: 0,
  more: new Uint8Array(),
});

const words = ({ how, device }: Flags): string => {
  if (!how.valid) return 'none (the valid bit is not set)';
  const names: Readonly<Record<number, string>> = { [Selector.none]: 'none', [Selector.network]: 'network', [Selector.disk]: 'disk' };
  const name = names[device.selector] ?? `device ${device.selector}`;
  return `${name}, ${how.persistent ? 'every boot' : 'once'}, ${how.efi ? 'UEFI' : 'legacy'}`;
};
/** What one reading says. Flags with the valid bit off are left over from earlier and mean nothing (openSUSE #17794). */
const outcomeOf = <D extends BootDevice>(asked: D, wanted: Flags, shown: Flags): Outcome<D> => {
  const missed: Outcome<D> = { asked, observed: 'unknown', settled: false, note: `the BMC took the boot flags and shows ${words(shown)}` };
  if (!wanted.how.valid) return shown.how.valid ? missed : { asked, observed: asked, settled: true };
  if (!shown.how.valid || shown.device.selector !== wanted.device.selector || shown.how.efi !== wanted.how.efi) return missed;
  if (wanted.how.persistent && !shown.how.persistent) return missed;
  const stays =
    shown.how.persistent && !wanted.how.persistent ? { note: 'the BMC shows the override for every boot, not only the next' } : {};
  return { asked, observed: asked, settled: true, ...stays };
};

/** The verb of driver.ts. Without a firmware the EFI bit stays as the BMC shows it: IPMI knows no other boot mode. */
export const setBoot = async <D extends BootDevice>(
  connection: Connection,
  wish: BootWish & { readonly device: D },
  signal: Signal,
): Promise<Outcome<D>> => {
  const keepsMode = wish.firmware === undefined && wish.device !== 'none';
  const efi = keepsMode ? (await readFlags(connection, signal)).how.efi : wish.firmware === 'uefi';
  const wanted = flagsFor(wish, await selectorOf(connection, wish, signal), efi);
  if (wanted.how.valid) await keepFlags(connection, signal);
  await writeFlags(connection, encode(bootFlags, wanted), signal);
  try {
    return outcomeOf(wish.device, wanted, await readFlags(connection, signal));
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof RemudaError)) throw error;
    const note = `the BMC took the boot flags, then: ${error.message}`;
    return { asked: wish.device, observed: 'unknown', settled: false, note };
  }
};
