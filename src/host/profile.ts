/** What people say of a host: labels, pool, place, note, network; how it is checked, changed and told. */
import { z } from 'zod';
import { dhcpExtrasSchema } from '../wire/dhcp-extras.ts';
import { plainProfile } from './host.ts';
import type { Profile } from './host.ts';
import { hostNetworkSchema } from './network.ts';

export const labelsMax = 64;
/** Highest rack unit that anybody builds. */
const unitMost = 99;

const labelName = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const labelPrefix = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
const isLabelKey = (key: string): boolean => {
  const [name = '', prefix, ...rest] = key.split('/').toReversed();
  return rest.length === 0 && labelName.test(name) && (prefix === undefined || labelPrefix.test(prefix));
};
/** As Kubernetes has them ("Labels and Selectors"): `disk`, `example.org/tier`. */
export const labelKeySchema = z
  .string()
  .max(317)
  .refine(isLabelKey, 'a label key: letters, digits, dots, hyphens and underscores, at most 63, perhaps behind a domain and a slash');
export const labelValueSchema = z
  .string()
  .regex(/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/, 'a label value: letters, digits, dots, hyphens and underscores, at most 63');
const fewLabels = (labels: object): boolean => Object.keys(labels).length <= labelsMax;
const tooMany = `at most ${labelsMax} labels`;

/** `pool`, `rack`, `failureDomain` */
export const placeNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/, 'letters, digits, dots, hyphens and underscores, at most 63');
const unit = z.number().int().min(1).max(unitMost);
const note = z.string().min(1).max(2000);

/** What a host may be enrolled with. */
export const profileShape = {
  labels: z.record(labelKeySchema, labelValueSchema).refine(fewLabels, tooMany).optional(),
  pool: placeNameSchema.optional(),
  rack: placeNameSchema.optional(),
  unit: unit.optional(),
  failureDomain: placeNameSchema.optional(),
  note: note.optional(),
  network: hostNetworkSchema.optional(),
  dhcp: dhcpExtrasSchema.optional(),
} as const;
/** A change: what is absent stays, null clears, a label is changed alone (RFC 7396). */
export const profilePatchSchema = z.strictObject({
  labels: z.record(labelKeySchema, labelValueSchema.nullable()).refine(fewLabels, tooMany).optional(),
  pool: placeNameSchema.nullable().optional(),
  rack: placeNameSchema.nullable().optional(),
  unit: unit.nullable().optional(),
  failureDomain: placeNameSchema.nullable().optional(),
  note: note.nullable().optional(),
  network: hostNetworkSchema.nullable().optional(),
  dhcp: dhcpExtrasSchema.nullable().optional(),
});
export type ProfilePatch = z.infer<typeof profilePatchSchema>;

const labelsAfter = (before: Profile['labels'], patch: NonNullable<ProfilePatch['labels']>): Profile['labels'] => {
  const next: Record<string, string> = {};
  for (const [key, value] of Object.entries({ ...before, ...patch })) if (value !== null) next[key] = value;
  return next;
};
/** The profile after the patch. */
export const patched = (before: Profile, patch: ProfilePatch): Profile => {
  const { labels, pool, ...rest } = patch;
  const said = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return {
    ...before,
    ...said,
    ...(labels === undefined ? {} : { labels: labelsAfter(before.labels, labels) }),
    ...(pool === undefined ? {} : { pool: pool ?? plainProfile.pool }),
  };
};
/** The profile of a host that is enrolled with these words. */
export const profileOf = (said: { readonly [K in keyof typeof profileShape]?: z.infer<(typeof profileShape)[K]> }): Profile => {
  const { labels, pool, rack, unit: height, failureDomain, note: words, network, dhcp } = said;
  return patched(plainProfile, { labels, pool, rack, unit: height, failureDomain, note: words, network, dhcp });
};

const inWords = (value: unknown): string =>
  value === null || value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value);
const differences = (before: Readonly<Record<string, unknown>>, after: Readonly<Record<string, unknown>>): readonly string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => `${key}: ${inWords(before[key])} → ${inWords(after[key])}`);
/** What differs, one phrase each: `pool: default → gpu`, `label tier: none → web`. */
export const changesBetween = (before: Profile, after: Profile): readonly string[] => {
  const { labels: oldLabels, ...old } = before;
  const { labels: newLabels, ...now } = after;
  return [...differences(old, now), ...differences(oldLabels, newLabels).map((said) => `label ${said}`)];
};
