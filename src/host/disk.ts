/** Which disk a claim names: one disk for sure, or a refusal that lists what was found. */
import { z } from 'zod';
import type { Disk } from './inventory.ts';

/**
 * How a claim names its disk. All given fields must match; `only` demands that the server has exactly one disk that could be written;
 * `pick` is the operator's explicit word for choosing among several matches. Without `pick` two matches are ambiguous.
 */
export const diskRuleSchema = z
  .strictObject({
    serial: z.string().min(1).max(256).optional(),
    wwn: z.string().min(1).max(256).optional(),
    sizeBytes: z.number().int().positive().optional(),
    minSizeBytes: z.number().int().positive().optional(),
    maxSizeBytes: z.number().int().positive().optional(),
    only: z.literal(true).optional(),
    pick: z.enum(['smallest', 'largest']).optional(),
  })
  .refine((rule) => Object.keys(rule).length > 0, 'name the disk by serial, wwn, size, only or pick');
export type DiskRule = z.infer<typeof diskRuleSchema>;

/** The identity by which the agent finds the disk again before it writes. */
export interface DiskIdentity {
  readonly path: string;
  readonly sizeBytes: number;
  readonly serial?: string | undefined;
  readonly wwn?: string | undefined;
  readonly model?: string | undefined;
}
export type DiskChoice =
  | { readonly chosen: DiskIdentity }
  | { readonly refused: 'disk-missing' | 'disk-ambiguous'; readonly reason: string; readonly found: readonly Disk[] };

const sameText = (a: string, b: string | undefined): boolean => b !== undefined && a.trim().toLowerCase() === b.trim().toLowerCase();

const matches = (rule: DiskRule, disk: Disk): boolean =>
  (rule.serial === undefined || sameText(rule.serial, disk.serial)) &&
  (rule.wwn === undefined || sameText(rule.wwn, disk.wwn)) &&
  (rule.sizeBytes === undefined || rule.sizeBytes === disk.sizeBytes) &&
  (rule.minSizeBytes === undefined || disk.sizeBytes >= rule.minSizeBytes) &&
  (rule.maxSizeBytes === undefined || disk.sizeBytes <= rule.maxSizeBytes);

export const identityOf = (disk: Disk): DiskIdentity => ({
  path: disk.path,
  sizeBytes: disk.sizeBytes,
  ...(disk.serial === undefined ? {} : { serial: disk.serial }),
  ...(disk.wwn === undefined ? {} : { wwn: disk.wwn }),
  ...(disk.model === undefined ? {} : { model: disk.model }),
});
/** The same physical disk: by serial and WWN where it has them, else by size and path; the path may change between boots only where a serial or WWN tells. */
export const isSameDisk = (a: DiskIdentity, b: DiskIdentity): boolean => {
  if (a.sizeBytes !== b.sizeBytes || (a.serial ?? '') !== (b.serial ?? '') || (a.wwn ?? '') !== (b.wwn ?? '')) return false;
  return a.serial !== undefined || a.wwn !== undefined ? true : a.path === b.path;
};

/** One line a disk, for errors and dry runs: `/dev/vda 256.0 MiB serial h1-d0`. */
export const describeDisk = (disk: DiskIdentity): string =>
  [
    disk.path,
    `${(disk.sizeBytes / 1024 / 1024).toFixed(1)} MiB`,
    disk.serial === undefined ? 'no serial' : `serial ${disk.serial}`,
    ...(disk.wwn === undefined ? [] : [`wwn ${disk.wwn}`]),
    ...(disk.model === undefined ? [] : [disk.model]),
  ].join(' ');
const listing = (disks: readonly Disk[]): string => (disks.length === 0 ? 'no disk at all' : disks.map(describeDisk).join('; '));

const choose = (rule: DiskRule, fitting: readonly Disk[]): Disk | undefined => {
  if (fitting.length === 1) return fitting[0];
  if (rule.pick === undefined) return undefined;
  const bySize = fitting.toSorted((a, b) => (rule.pick === 'smallest' ? a.sizeBytes - b.sizeBytes : b.sizeBytes - a.sizeBytes));
  return bySize[0]?.sizeBytes === bySize[1]?.sizeBytes ? undefined : bySize[0];
};

/** Applies a rule to what the agent found. Removable and read-only disks are never candidates. */
export const chooseDisk = (rule: DiskRule, disks: readonly Disk[]): DiskChoice => {
  const candidates = disks.filter((disk) => !disk.removable && !disk.readOnly);
  const fitting = candidates.filter((disk) => matches(rule, disk));
  const said = JSON.stringify(rule);
  if (fitting.length === 0) return { refused: 'disk-missing', reason: `no disk matches ${said}; found: ${listing(disks)}`, found: disks };
  if (rule.only === true && candidates.length > 1)
    return {
      refused: 'disk-ambiguous',
      reason: `the rule says "only", but there are ${candidates.length} disks: ${listing(candidates)}; name one by its serial`,
      found: disks,
    };
  const one = choose(rule, fitting);
  if (one === undefined)
    return {
      refused: 'disk-ambiguous',
      reason: `${fitting.length} disks match ${said}: ${listing(fitting)}; name one by its serial`,
      found: disks,
    };
  if (one.serial === undefined && one.wwn === undefined && candidates.some((other) => other !== one && other.sizeBytes === one.sizeBytes))
    return {
      refused: 'disk-ambiguous',
      reason: `${describeDisk(one)} has neither serial nor WWN and another disk has its size: ${listing(candidates)}`,
      found: disks,
    };
  const identity = identityOf(one);
  const twin = candidates.find((other) => other !== one && isSameDisk(identityOf(other), identity));
  if (twin !== undefined)
    return { refused: 'disk-ambiguous', reason: `${describeDisk(identity)} cannot be told from ${describeDisk(twin)}`, found: disks };
  return { chosen: identity };
};
