/** What to do where no host could be taken for a claim: by the reason that keeps most of them away, not by the refusal's code. */
import { z } from 'zod';
import { misfitsJson } from '../api/types.ts';
import type { MisfitsJson, ProblemJson } from '../api/types.ts';

type MisfitClass = MisfitsJson['classes'][number]['class'];
const less = (host: string): string => `ask for less, or for another host; what this one has: remuda host show ${host}`;
const disks = 'see the disks, and what would become of each: remuda claim create \u2026 --dry-run; then name one by --disk serial=\u2026';
const advice: Readonly<Record<MisfitClass, (host: string) => string>> = {
  discovered: (host) => `if it is yours, accept it: remuda host accept ${host}`,
  pool: (host) =>
    `name a pool that has hosts: --pool NAME (remuda host list -o wide); or move one: remuda host describe ${host} --pool NAME`,
  'failure-domain': () => 'see where the hosts stand: remuda host list -o wide',
  labels: (host) => `see their labels: remuda host list -o wide; or set one: remuda host label ${host} KEY=VALUE`,
  uninspected: (host) => `see what its inspection waits for: remuda host show ${host}`,
  arch: less,
  firmware: less,
  vendor: less,
  model: less,
  cores: less,
  memory: less,
  'disk-size': less,
  disks: less,
  nics: less,
  gpus: less,
  'disk-rule': () => disks,
  'image-size': () => disks,
  held: (host) => `when the reason is gone: remuda host unhold ${host}`,
  failed: (host) => `see what failed: remuda host show ${host}; when the cause is mended: remuda host retry ${host}`,
  claimed: () => 'see who has which host: remuda claim list; wait for one with --wait-for-host TIME, or release a claim',
  placement: () => 'see where the hosts stand: remuda host list -o wide; or ask for a looser placement',
  reserved: (host) => `take it with the word that it is kept for: --reuse WORD; or keep it no longer: remuda host unreserve ${host}`,
  cleaning: () => 'wait for it: the same command with --wait-for-host TIME',
  busy: (host) => `wait for it: the same command with --wait-for-host TIME; what it does: remuda host show ${host}`,
};
/** `values` of a refusal that is about one named host. */
const namedJson = z.object({ host: z.string(), class: z.enum(Object.keys(advice) as [MisfitClass]) });

/** undefined where the refusal is not about hosts that do not fit. */
export const misfitAdvice = ({ values }: Pick<ProblemJson, 'values'>): string | undefined => {
  const named = namedJson.safeParse(values);
  if (named.success) return advice[named.data.class](named.data.host);
  const misfits = misfitsJson.safeParse(values);
  if (!misfits.success) return undefined;
  // The daemon names the largest class first.
  const [most] = misfits.data.classes;
  if (most === undefined) return 'enrol one: remuda host enrol NAME --mac MAC; or see who was discovered: remuda host list';
  return advice[most.class](most.hosts[0] ?? 'HOST');
};
