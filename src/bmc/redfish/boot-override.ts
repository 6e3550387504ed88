/** The boot override, as Redfish says it: what to send, with which ETag, and how to read the result. Pure. */
import { RemudaError } from '../../errors.ts';
import type { BootDevice, BootWish, Outcome } from '../driver.ts';
import type { Boot } from './messages.ts';

export interface BootChange {
  readonly BootSourceOverrideTarget: 'Pxe' | 'Hdd' | 'None';
  readonly BootSourceOverrideEnabled: 'Once' | 'Continuous' | 'Disabled';
  readonly BootSourceOverrideMode?: string;
}

/** DSP0268 BootSource; and how each is called in a sentence. */
const targetNames = { network: 'Pxe', disk: 'Hdd', none: 'None' } as const;
const deviceWords = { network: 'the network', disk: 'the disk', none: 'the permanent order' } as const;
const modeNames = { bios: 'Legacy', uefi: 'UEFI' } as const;

/** An empty list says nothing: some BMCs send one instead of leaving the annotation out. */
const permits = (allowed: readonly string[] | undefined, value: string): boolean =>
  allowed === undefined || allowed.length === 0 || allowed.includes(value);

/**
 * The Boot object to PATCH (DSP0268 "ComputerSystem" Boot). Always with Enabled, which Supermicro needs; and with the mode wherever the BMC
 * has one, because AMI and ASRockRack take only target, mode and enabled together; without it where there is none (HPE Gen9).
 * Throws `bmc-refused` where the BMC's own lists exclude it.
 */
export const bootChange = (shown: Boot, { device, persistent, firmware }: BootWish): BootChange => {
  const target = targetNames[device];
  const targets = shown['BootSourceOverrideTarget@Redfish.AllowableValues'];
  if (!permits(targets, target))
    throw new RemudaError('bmc-refused', `the BMC permits no boot override to ${deviceWords[device]}, only: ${targets?.join(', ') ?? ''}`, {
      values: { permitted: targets },
    });
  const enabled = device === 'none' ? 'Disabled' : persistent ? 'Continuous' : 'Once';
  const change = { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled } as const;
  const current = shown.BootSourceOverrideMode;
  if (current === undefined) return change;
  const mode = firmware === undefined ? current : modeNames[firmware];
  const modes = shown['BootSourceOverrideMode@Redfish.AllowableValues'];
  if (!permits(modes, mode))
    throw new RemudaError('bmc-refused', `the BMC permits no boot in mode ${mode}, only: ${modes?.join(', ') ?? ''}`, {
      values: { permitted: modes },
    });
  return { ...change, BootSourceOverrideMode: mode };
};

/** The Boot of a system whose settings resource may know better: iDRAC10 lists the allowable values only there. */
export const mergedBoot = (own: Boot | undefined, pending: Boot | undefined): Boot => {
  const known = Object.entries(pending ?? {}).filter(([, value]) => value !== undefined);
  return { ...own, ...Object.fromEntries(known) };
};

/**
 * The If-Match values to try in turn, one step after each 412 or 428; undefined sends no header (DSP0266 §7.5.2 "ETags").
 * The weak ETag as given; then its strong form, because BMCs that compress make ETags weak and then refuse them; then none; at last `*`,
 * for those that demand a header and gave no usable ETag. An empty ETag is never echoed.
 */
export const ifMatchLadder = (etag: string | undefined): readonly (string | undefined)[] => {
  const given = etag?.trim() ?? '';
  if (given === '' || given === '""') return [undefined, '*'];
  const strong = given.startsWith('W/') ? [given.slice(2)] : [];
  return [given, ...strong, undefined, '*'];
};

const overrides = (enabled: string | undefined): boolean => enabled === 'Once' || enabled === 'Continuous';
/** True where the BMC shows what was asked; Continuous boots from there next too, and is told in the note. */
const shows = ({ BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled }: Boot, change: BootChange): boolean => {
  if (change.BootSourceOverrideTarget === 'None') return !overrides(enabled) || target === 'None';
  if (target !== change.BootSourceOverrideTarget) return false;
  return change.BootSourceOverrideEnabled === 'Continuous' ? enabled === 'Continuous' : overrides(enabled);
};

/** What one reading after the change says. */
export const bootOutcome = <D extends BootDevice>(asked: D, shown: Boot, change: BootChange): Outcome<D> => {
  const {
    BootSourceOverrideTarget: target = 'no target',
    BootSourceOverrideEnabled: enabled = 'nothing',
    BootSourceOverrideMode: mode,
  } = shown;
  if (!shows(shown, change))
    return { asked, observed: 'unknown', settled: false, note: `the BMC took the boot override and shows ${target}, ${enabled}` };
  const wanted = change.BootSourceOverrideMode;
  if (wanted !== undefined && mode !== undefined && mode !== wanted)
    return { asked, observed: 'unknown', settled: false, note: `the BMC took mode ${wanted} and shows ${mode}` };
  const continuous =
    enabled === 'Continuous' && change.BootSourceOverrideEnabled === 'Once'
      ? { note: 'the BMC shows the override as continuous: every boot, not only the next' }
      : {};
  return { asked, observed: asked, settled: true, ...continuous };
};
