/** Which hosts a claim may take: what it asks for, why a host does not fit, and which of those that fit is taken. */
import { z } from 'zod';
import { chooseDisk } from './disk.ts';
import type { DiskRule } from './disk.ts';
import { plainProfile, reservationOf } from './host.ts';
import type { Host, PlacementRule } from './host.ts';
import type { Disk } from './inventory.ts';
import { crowd, misplaced, placesOf } from './placement.ts';
import { labelKeySchema, labelValueSchema, placeNameSchema } from './profile.ts';

const words = z.array(labelValueSchema).min(1).max(64);
/** One label: equal to this text, in this list, not in it, or there at all. A host without the label is in `notIn`, as in Kubernetes. */
const labelTestSchema = z.union([
  labelValueSchema,
  z.strictObject({ in: words }),
  z.strictObject({ notIn: words }),
  z.strictObject({ exists: z.boolean() }),
]);
type LabelTest = z.infer<typeof labelTestSchema>;
const least = z.number().int().positive();
/** What a host must be and have; numbers are minimums. Hardware is what the agent found. */
export const selectorSchema = z.strictObject({
  /** `default` where neither this nor `pools` is said and no host is named. */
  pool: placeNameSchema.optional(),
  /** Any of these pools. */
  pools: z.array(placeNameSchema).min(1).max(64).optional(),
  labels: z.record(labelKeySchema, labelTestSchema).optional(),
  failureDomain: placeNameSchema.optional(),
  rack: placeNameSchema.optional(),
  cores: least.optional(),
  memoryBytes: least.optional(),
  /** Of the largest disk that may be written. */
  diskBytes: least.optional(),
  /** Disks that may be written. */
  disks: least.optional(),
  nics: least.optional(),
  gpus: least.optional(),
  arch: z.string().min(1).max(32).optional(),
  firmware: z.enum(['bios', 'uefi']).optional(),
  /** As the BMC or the agent says them, in any case of letters. */
  vendor: z.string().min(1).max(256).optional(),
  model: z.string().min(1).max(256).optional(),
});
export type Selector = z.infer<typeof selectorSchema>;

/** Everything that one claim asks of its host. */
export interface Wish {
  readonly selector: Selector;
  readonly rule: DiskRule;
  readonly imageBytes: number;
  /** The owner named this very host: its pool is not asked for unless the selector says one. */
  readonly isNamed: boolean;
  readonly reuse?: { readonly of: string; readonly mode: 'prefer' | 'wait' };
  readonly placement?: PlacementRule;
}
/** What the rest of the rack means for one wish, looked at once for all hosts. */
export interface Around {
  readonly now: number;
  /** Kept for this wish and still being cleaned: where the wish waits for it, nothing else is taken. */
  readonly awaited: Host | undefined;
  readonly places: ReadonlyMap<string, number>;
}
/** In the order in which they are looked for: first what stays so, then what passes. */
export const misfitClasses = [
  'discovered',
  'pool',
  'failure-domain',
  'labels',
  'uninspected',
  'arch',
  'firmware',
  'vendor',
  'model',
  'cores',
  'memory',
  'disk-size',
  'disks',
  'nics',
  'gpus',
  'disk-rule',
  'image-size',
  'held',
  'failed',
  'claimed',
  'placement',
  'reserved',
  'cleaning',
  'busy',
] as const;
export type MisfitClass = (typeof misfitClasses)[number];
/** Why one host does not fit. */
export interface Misfit {
  readonly class: MisfitClass;
  readonly host: Host;
  /** One phrase about this host. */
  readonly reason: string;
  /** What the host has of a minimum that it misses. */
  readonly has?: number;
}

const passes = (test: LabelTest, value: string | undefined): boolean => {
  if (typeof test === 'string') return value === test;
  if ('in' in test) return value !== undefined && test.in.includes(value);
  if ('notIn' in test) return value === undefined || !test.notIn.includes(value);
  return (value !== undefined) === test.exists;
};
const wantedLabel = (test: LabelTest): string => {
  if (typeof test === 'string') return JSON.stringify(test);
  if ('in' in test) return `one of ${test.in.join(', ')}`;
  if ('notIn' in test) return `none of ${test.notIn.join(', ')}`;
  return test.exists ? 'any' : 'none';
};
const sameText = (a: string | undefined, b: string): boolean => a?.trim().toLowerCase() === b.trim().toLowerCase();
const mayBeWritten = (disk: Disk): boolean => !disk.removable && !disk.readOnly;
const diskBytesOf = (host: Host): number =>
  Math.max(0, ...(host.inventory?.disks ?? []).filter(mayBeWritten).map((disk) => disk.sizeBytes));

type Test = (host: Host, wish: Wish, around: Around) => { readonly reason: string; readonly has?: number } | undefined;
const unlike = (wanted: string | undefined, found: readonly (string | null | undefined)[]): { readonly reason: string } | undefined => {
  const said = found.filter((word) => typeof word === 'string');
  if (wanted === undefined || said.some((word) => sameText(word, wanted))) return undefined;
  return { reason: `${said.join(' or ') || 'not known'}, not ${wanted}` };
};
const below = (has: number, wanted: number | undefined): { readonly reason: string; readonly has: number } | undefined =>
  wanted === undefined || has >= wanted ? undefined : { reason: `has ${has}, wanted ${wanted}`, has };

const tests: { readonly [K in MisfitClass]: Test } = {
  discovered: (host) => (host.state === 'discovered' ? { reason: 'it is discovered: nobody has accepted it yet' } : undefined),
  pool: (host, { selector, isNamed }) => {
    const said = [selector.pool === undefined ? undefined : [selector.pool], selector.pools].filter((one) => one !== undefined);
    const wanted = said.length === 0 && !isNamed ? [[plainProfile.pool]] : said;
    const missed = wanted.find((pools) => !pools.includes(host.profile.pool));
    return missed === undefined ? undefined : { reason: `it is in pool ${host.profile.pool}, not ${missed.join(' or ')}` };
  },
  'failure-domain': ({ profile }, { selector }) =>
    unlike(selector.failureDomain, [profile.failureDomain]) ?? unlike(selector.rack, [profile.rack]),
  labels: (host, { selector }) => {
    const missed = Object.entries(selector.labels ?? {}).find(([key, test]) => !passes(test, host.profile.labels[key]));
    if (missed === undefined) return undefined;
    const [key, test] = missed;
    const has = host.profile.labels[key];
    return {
      reason: `${has === undefined ? `it has no label ${key}` : `label ${key} is ${JSON.stringify(has)}`}, wanted ${wantedLabel(test)}`,
    };
  },
  uninspected: (host) => (host.inventory === null ? { reason: 'it was never inspected' } : undefined),
  arch: (host, { selector }) => unlike(selector.arch, [host.inventory?.arch]),
  firmware: (host, { selector }) => unlike(selector.firmware, [host.firmware]),
  vendor: (host, { selector }) => unlike(selector.vendor, [host.identified?.vendor, host.inventory?.vendor]),
  model: (host, { selector }) => unlike(selector.model, [host.identified?.model, host.inventory?.product]),
  cores: (host, { selector }) => below(host.inventory?.cpu.cores ?? 0, selector.cores),
  memory: (host, { selector }) => below(host.inventory?.memoryBytes ?? 0, selector.memoryBytes),
  'disk-size': (host, { selector }) => below(diskBytesOf(host), selector.diskBytes),
  disks: (host, { selector }) => below((host.inventory?.disks ?? []).filter(mayBeWritten).length, selector.disks),
  nics: (host, { selector }) => below(host.inventory?.nics.length ?? 0, selector.nics),
  // Inventories of earlier agents do not tell them: such a host is inspected anew at its next boot.
  gpus: (host, { selector }) => below(host.inventory?.gpus?.length ?? 0, selector.gpus),
  'disk-rule': (host, { rule }) => {
    const choice = chooseDisk(rule, host.inventory?.disks ?? []);
    return 'refused' in choice ? { reason: choice.reason } : undefined;
  },
  'image-size': (host, { rule, imageBytes }) => {
    const choice = chooseDisk(rule, host.inventory?.disks ?? []);
    return 'chosen' in choice ? below(choice.chosen.sizeBytes, imageBytes) : undefined;
  },
  held: ({ held }) => (held === null ? undefined : { reason: `held by ${held.by}: ${held.why}` }),
  failed: ({ failed }) => (failed === null ? undefined : { reason: `failed at ${failed.step}: ${failed.reason}` }),
  claimed: ({ claim }) => (claim === null ? undefined : { reason: `claimed by ${claim.owner} (${claim.id})` }),
  placement: (host, { placement }, { places }) => {
    const reason = placement === undefined ? undefined : misplaced(host, placement, places);
    return reason === undefined ? undefined : { reason };
  },
  reserved: (host, { reuse }, { now, awaited }) => {
    const reserved = reservationOf(host, now);
    if (reserved !== undefined && reserved.for !== reuse?.of) return { reason: `it is kept for ${JSON.stringify(reserved.for)}` };
    if (awaited === undefined) return undefined;
    if (awaited.id === host.id) return { reason: 'it is kept for this claim and is being cleaned' };
    return reserved === undefined ? { reason: `the claim waits for host ${awaited.name}, which is being cleaned` } : undefined;
  },
  cleaning: ({ state }) => (state === 'cleaning' ? { reason: 'it is cleaning: its last disk is not clean yet' } : undefined),
  busy: ({ state }) => (state === 'available' ? undefined : { reason: `it is ${state}` }),
};

/** Why the host cannot be taken for this wish now; undefined where it can. */
export const misfit = (host: Host, wish: Wish, around: Around): Misfit | undefined => {
  for (const name of misfitClasses) {
    const missed = tests[name](host, wish, around);
    if (missed !== undefined) return { class: name, host, ...missed };
  }
  return undefined;
};
/**
 * Kept for this wish and being cleaned, with nothing else against it. One that failed at it or is held is not waited for: nobody knows
 * how long. Where another of its reserved hosts is free already, that one is taken.
 */
const awaitedBy = (hosts: readonly Host[], wish: Wish, now: number): Host | undefined => {
  const { placement: _later, ...alone } = wish;
  const { reuse } = wish;
  if (reuse?.mode !== 'wait' || wish.isNamed) return undefined;
  const around = { now, awaited: undefined, places: new Map<string, number>() };
  const kept = hosts.filter((host) => host.state === 'cleaning' && reservationOf(host, now)?.for === reuse.of);
  return kept.find((host) => misfit(host, alone, around)?.class === 'cleaning');
};
export const aroundOf = (hosts: readonly Host[], wish: Wish, now: number): Around => ({
  now,
  awaited: awaitedBy(hosts, wish, now),
  places: wish.placement === undefined ? new Map<string, number>() : placesOf(hosts, wish.placement),
});

/**
 * Which of several fitting hosts comes first: least memory, then fewest cores (large hosts are left for those who need them),
 * then longest available (wear is shared), then by name. The same hosts give the same choice.
 */
export const byPreference = (a: Host, b: Host): number =>
  (a.inventory?.memoryBytes ?? 0) - (b.inventory?.memoryBytes ?? 0) ||
  (a.inventory?.cpu.cores ?? 0) - (b.inventory?.cpu.cores ?? 0) ||
  (a.facts.availableSince ?? 0) - (b.facts.availableSince ?? 0) ||
  (a.name < b.name ? -1 : 1);
/** As `byPreference`, but first what is kept for this wish, then where its group is least. */
export const preferenceOf = ({ placement, reuse }: Wish, { now, places }: Around): ((a: Host, b: Host) => number) => {
  const kept = (host: Host): number => (reuse !== undefined && reservationOf(host, now)?.for === reuse.of ? 0 : 1);
  const crowded = (host: Host): number => (placement === undefined ? 0 : crowd(host, placement, places));
  return (a, b) => kept(a) - kept(b) || crowded(a) - crowded(b) || byPreference(a, b);
};

const gib = (bytes: number): string => {
  const [size, unit] = bytes >= 1024 ** 3 ? [1024 ** 3, 'GiB'] : [1024 ** 2, 'MiB'];
  return `${Number((bytes / size).toFixed(1))} ${unit}`;
};
const counted: ReadonlySet<MisfitClass> = new Set(['cores', 'disks', 'nics', 'gpus']);
const amount = (name: MisfitClass, value: number): string => (counted.has(name) ? `${value}` : gib(value));
const sentences: { readonly [K in MisfitClass]: string } = {
  discovered: 'discovered and not accepted',
  pool: 'in another pool',
  'failure-domain': 'in another failure domain',
  labels: 'with other labels',
  uninspected: 'never inspected',
  arch: 'of another architecture',
  firmware: 'with other firmware',
  vendor: 'of another vendor',
  model: 'of another model',
  cores: 'with too few cores',
  memory: 'with too little memory',
  'disk-size': 'with too small disks',
  disks: 'with too few disks',
  nics: 'with too few NICs',
  gpus: 'with too few GPUs',
  'disk-rule': 'whose disks do not fit the rule',
  'image-size': 'whose disk is smaller than the image',
  held: 'held',
  failed: 'failed',
  claimed: 'held by other claims',
  placement: 'where the group must not stand',
  reserved: 'kept back',
  cleaning: 'being cleaned',
  busy: 'not ready yet',
};
const wantedOf = (name: MisfitClass, { selector, imageBytes }: Wish): number | undefined => {
  if (name === 'image-size') return imageBytes;
  if (name === 'disk-size') return selector.diskBytes;
  if (name === 'memory') return selector.memoryBytes;
  return name === 'cores' || name === 'disks' || name === 'nics' || name === 'gpus' ? selector[name] : undefined;
};

/** One class of hosts that do not fit, for the answer to a claim. */
export interface MisfitCount {
  readonly class: MisfitClass;
  readonly count: number;
  /** Names of the first five. */
  readonly hosts: readonly string[];
  /** `with too little memory (largest 64 GiB, wanted 128 GiB)` */
  readonly detail: string;
}
/** Their sentence says all there is to say. */
const tellAll: ReadonlySet<MisfitClass> = new Set(['discovered', 'uninspected', 'cleaning']);
/** The misfits by class, the largest class first. */
export const countMisfits = (misfits: readonly Misfit[], wish: Wish): readonly MisfitCount[] =>
  misfitClasses
    .map((name) => {
      const of = misfits.filter((one) => one.class === name);
      const has = of.map((one) => one.has).filter((one) => one !== undefined);
      const wanted = wantedOf(name, wish);
      const most =
        has.length === 0 || wanted === undefined ? '' : ` (largest ${amount(name, Math.max(...has))}, wanted ${amount(name, wanted)})`;
      const only = of.length === 1 && most === '' && !tellAll.has(name) ? `: ${of[0]?.reason ?? ''}` : '';
      return {
        class: name,
        count: of.length,
        hosts: of.slice(0, 5).map(({ host }) => host.name),
        detail: `${sentences[name]}${most}${only}`,
      };
    })
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count);
/** `12 hosts looked at, none fits: 5 held by other claims; 1 never inspected`. */
export const tellMisfits = (counts: readonly MisfitCount[], lookedAt: number): string =>
  lookedAt === 0
    ? 'there is no host in this rack: enrol one, or accept one that was discovered'
    : `${lookedAt} ${lookedAt === 1 ? 'host' : 'hosts'} looked at, none fits: ${counts.map(({ count, detail }) => `${count} ${detail}`).join('; ')}`;
