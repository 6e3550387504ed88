/** What the outside may ask of the rack. The API, the CLI and the cluster provider know metal only through this. */
import { z } from 'zod';
import { diskRuleSchema } from '../host/disk.ts';
import type { DiskIdentity } from '../host/disk.ts';
import type { Host } from '../host/host.ts';
import type { JournalRow } from '../store/store.ts';

/** RFC 1123 §2.1: a host name of one or more labels. */
export const hostName = z
  .string()
  .max(253)
  .regex(/^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/, 'a host name: lower-case letters, digits, hyphens and dots');
const name = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, 'a name: lower-case letters, digits, dots and hyphens, at most 63');
const mac = z.string().regex(/^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/, 'a MAC address like 52:54:00:12:34:56');

export const bmcSchema = z.strictObject({
  protocol: z.literal('redfish').default('redfish'),
  url: z.url({ protocol: /^https?$/ }),
  username: z.string().min(1).max(64),
  password: z.string().max(128),
  fingerprint: z
    .string()
    .transform((text) => text.toLowerCase().replaceAll(':', ''))
    .pipe(z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 fingerprint: 64 hex digits'))
    .optional(),
  insecure: z.boolean().optional(),
  system: z.string().max(64).optional(),
});
export const enrolSchema = z.strictObject({
  name,
  macs: z.array(mac).max(16).default([]),
  firmware: z.enum(['bios', 'uefi']).optional(),
  bmc: bmcSchema.optional(),
});
export const acceptSchema = z.strictObject({ bmc: bmcSchema.optional() });
export const holdSchema = z.strictObject({ why: z.string().min(1).max(500) });
export const powerSchema = z.strictObject({ power: z.enum(['on', 'off']) });
const intentFields = {
  /** Name or digest. */
  image: z.string().min(1).max(128),
  hostName: hostName.optional(),
  userData: z.string().optional(),
};
export const claimSchema = z.strictObject({
  /** Chosen by the client where it must be able to ask twice; else the daemon makes one. */
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
    .optional(),
  owner: z.string().min(1).max(128).default('operator'),
  /** Name or ID of the host; without it any available host whose disks fit. */
  host: z.string().max(64).optional(),
  disk: diskRuleSchema.default({ only: true }),
  dryRun: z.boolean().default(false),
  ...intentFields,
});
export const reprovisionSchema = z.strictObject({ ...intentFields /** Keep the user data of the generation before when absent. */ });
export type Enrol = z.infer<typeof enrolSchema>;
export type ClaimRequest = z.infer<typeof claimSchema>;
export type Reprovision = z.infer<typeof reprovisionSchema>;

/** What a claim would do to one disk. */
export interface DiskFate {
  readonly disk: DiskIdentity;
  readonly fate: 'overwritten' | 'untouched';
  readonly why: string;
}
export interface DryRun {
  readonly host: string;
  readonly hostId: string;
  readonly allowed: boolean;
  readonly reason: string;
  readonly image: string;
  readonly disks: readonly DiskFate[];
}
/** A host as the outside sees it, with what it waits for in one plain sentence. */
export interface HostView {
  readonly host: Host;
  /** `waiting for the first packet`, `failed at boot: …`. */
  readonly doing: string;
  /** Of the work at hand, 0 to 1; undefined where there is none. */
  readonly progress?: { readonly step: string; readonly done: number; readonly total: number };
}

/** Who asks for a change, and of which version of the host: another one is refused with `precondition-failed`. */
export interface Asker {
  readonly by: string;
  /** The version that the asker saw; absent where any will do. */
  readonly ifVersion?: number;
}

export interface Rack {
  hosts(): Promise<readonly HostView[]>;
  /** By ID or name; `host-not-found`. */
  host(idOrName: string): Promise<HostView>;
  enrol(spec: Enrol, as: Asker): Promise<Host>;
  accept(idOrName: string, spec: z.infer<typeof acceptSchema>, as: Asker): Promise<Host>;
  power(
    idOrName: string,
    wanted: 'on' | 'off',
    as: Asker,
  ): Promise<{ readonly observed: string; readonly settled: boolean; readonly note?: string }>;
  hold(idOrName: string, why: string, as: Asker): Promise<Host>;
  unhold(idOrName: string, as: Asker): Promise<Host>;
  retry(idOrName: string, as: Asker): Promise<Host>;
  forget(idOrName: string, as: Asker): Promise<void>;
  /** Idempotent by claim ID. Refuses with the list of disks (`disk-missing`, `disk-ambiguous`) before anything is touched. */
  claim(request: ClaimRequest, as: Asker): Promise<Host>;
  /** Every disk of the host, or of each host that might be taken, and what would happen to it. Changes nothing. */
  dryRun(request: ClaimRequest): Promise<readonly DryRun[]>;
  reprovision(claimId: string, wanted: Reprovision, as: Asker): Promise<Host>;
  release(claimId: string, as: Asker): Promise<Host>;
  timeline(idOrName: string, options: { readonly after?: number; readonly most: number }): Promise<readonly JournalRow[]>;
  /** Resolves when something of the host (or of any host) changed since the call, or after `ms`. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
}
