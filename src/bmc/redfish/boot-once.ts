/** Boot once from the network, as Redfish says it: what to send, with which ETag, and how to read the result. Pure. */
import { RemudaError } from '../../errors.ts';
import type { Outcome } from '../driver.ts';
import type { Boot } from './messages.ts';

export interface BootChange {
  readonly BootSourceOverrideTarget: 'Pxe';
  readonly BootSourceOverrideEnabled: 'Once';
  readonly BootSourceOverrideMode?: string;
}

const modeNames = { bios: 'Legacy', uefi: 'UEFI' } as const;

/** An empty list says nothing: some BMCs send one instead of leaving the annotation out. */
const permits = (allowed: readonly string[] | undefined, value: string): boolean =>
  allowed === undefined || allowed.length === 0 || allowed.includes(value);

/**
 * The Boot object to PATCH (DSP0268 "ComputerSystem" Boot). Always with Enabled, which Supermicro needs; and with the mode wherever the BMC
 * has one, because AMI and ASRockRack take only target, mode and enabled together; without it where there is none (HPE Gen9).
 * Throws `bmc-refused` where the BMC's own lists exclude it.
 */
export const bootChange = (shown: Boot, firmware: 'bios' | 'uefi' | undefined): BootChange => {
  const targets = shown['BootSourceOverrideTarget@Redfish.AllowableValues'];
  if (!permits(targets, 'Pxe'))
    throw new RemudaError('bmc-refused', `the BMC permits no boot override to the network, only: ${targets?.join(', ') ?? ''}`, {
      values: { permitted: targets },
    });
  const change = { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' } as const;
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

/** True where the BMC shows that the next boot comes from the network; Continuous does so too, and is told in the note. */
const showsNetwork = (shown: Boot): boolean =>
  shown.BootSourceOverrideTarget === 'Pxe' &&
  (shown.BootSourceOverrideEnabled === 'Once' || shown.BootSourceOverrideEnabled === 'Continuous');

/** What one reading after the change says. */
export const bootOutcome = (shown: Boot, change: BootChange): Outcome<'network'> => {
  const {
    BootSourceOverrideTarget: target = 'no target',
    BootSourceOverrideEnabled: enabled = 'nothing',
    BootSourceOverrideMode: mode,
  } = shown;
  if (!showsNetwork(shown))
    return {
      asked: 'network',
      observed: 'unknown',
      settled: false,
      note: `the BMC took the boot override and shows ${target}, ${enabled}`,
    };
  const wanted = change.BootSourceOverrideMode;
  if (wanted !== undefined && mode !== undefined && mode !== wanted)
    return { asked: 'network', observed: 'unknown', settled: false, note: `the BMC took mode ${wanted} and shows ${mode}` };
  const continuous = enabled === 'Continuous' ? { note: 'the BMC shows the override as continuous: every boot, not only the next' } : {};
  return { asked: 'network', observed: 'network', settled: true, ...continuous };
};
