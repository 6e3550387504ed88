/** What the outside may ask of the rack. The API, the CLI and the cluster provider know metal only through this. */
import { z } from 'zod';
import { diskRuleSchema } from '../host/disk.ts';
import type { DiskIdentity } from '../host/disk.ts';
import type { Host } from '../host/host.ts';
import { tellingMac } from '../host/identity.ts';
import type { IdentityConflict } from '../host/identity.ts';
import { metaDataSchema } from '../host/meta-data.ts';
import { hostNetworkSchema } from '../host/network.ts';
import { profilePatchSchema, profileShape } from '../host/profile.ts';
import { selectorSchema } from '../host/select.ts';
import { limits } from '../limits.ts';
import type { JournalRow } from '../store/store.ts';
import { noBmcAt } from '../wire/bmc-place.ts';

/** RFC 1123 §2.1: a host name of one or more labels. */
export const hostName = z
  .string()
  .max(253)
  .regex(/^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/, 'a host name: lower-case letters, digits, hyphens and dots');
const name = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, 'a name: lower-case letters, digits, dots and hyphens, at most 63');
const mac = z.string().regex(/^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/, 'a MAC address like 52:54:00:12:34:56');

const bmcShape = {
  protocol: z.enum(['redfish', 'ipmi']).default('redfish'),
  /** Redfish: `https://10.0.0.5`. IPMI: `ipmi://10.0.0.6`. */
  url: z.url({ protocol: /^(https?|ipmi)$/ }).max(512),
  username: z.string().min(1).max(64),
  fingerprint: z
    .string()
    .transform((text) => text.toLowerCase().replaceAll(':', ''))
    .pipe(z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 fingerprint: 64 hex digits'))
    .optional(),
  /** PEM of the authorities that the BMC's certificate must come from. */
  ca: z
    .string()
    .max(64 * 1024)
    .includes('-----BEGIN CERTIFICATE-----')
    .optional(),
  insecure: z.boolean().optional(),
  system: z.string().max(64).optional(),
  /** IPMI cipher suites beside 17 and 3, by number; 0 has no authentication and is never used. */
  suites: z.array(z.number().int().min(1).max(255)).max(16).optional(),
};
interface BmcSaid {
  readonly protocol: 'redfish' | 'ipmi';
  readonly url: string;
  readonly fingerprint?: string | undefined;
  readonly ca?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly system?: string | undefined;
  readonly suites?: readonly number[] | undefined;
}
const tlsWords = ['fingerprint', 'ca', 'insecure', 'system'] as const;
/** What one protocol has and the other has not. */
const checkBmc = (bmc: BmcSaid, context: z.RefinementCtx): void => {
  const url = URL.parse(bmc.url);
  const fault = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  if (url === null || url.hostname === '') return fault('url', 'the address of the BMC, like https://10.0.0.5 or ipmi://10.0.0.6');
  const why = noBmcAt(url.hostname);
  if (why !== undefined) fault('url', why);
  if (url.username !== '' || url.password !== '') fault('url', 'say the user and the password in their own fields, not in the URL');
  if ((url.protocol === 'ipmi:') !== (bmc.protocol === 'ipmi'))
    fault('url', bmc.protocol === 'ipmi' ? 'IPMI wants a URL like ipmi://10.0.0.6' : 'Redfish wants a URL like https://10.0.0.5');
  if (bmc.protocol === 'ipmi') {
    for (const word of tlsWords) if (bmc[word] !== undefined) fault(word, 'IPMI has no certificate and one system: leave it out');
  } else if (bmc.suites !== undefined) fault('suites', 'cipher suites are of IPMI: leave them out');
};
export const bmcSchema = z.strictObject({ ...bmcShape, password: z.string().max(128) }).superRefine(checkBmc);
/** The BMC of a host, as it is to be from now on. */
export const bmcPutSchema = z
  .strictObject({
    ...bmcShape,
    /** Absent: the one that is known stays, where protocol and URL stay. */
    password: z.string().max(128).optional(),
    /** false: is not asked whether it answers. */
    check: z.boolean().default(true),
  })
  .superRefine(checkBmc);
const serial = z.string().min(1).max(128);
const uuid = z.string().regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/, 'a UUID like 4c4c4544-0042-3510-8052-b4c04f564a32');
export const enrolSchema = z.strictObject({
  name,
  macs: z.array(mac).max(16).default([]),
  firmware: z.enum(['bios', 'uefi']).optional(),
  bmc: bmcSchema.optional(),
  serial: serial.optional(),
  uuid: uuid.optional(),
  ...profileShape,
});
/** Many hosts at once: all or none, unless `partial`. A row that stands already as it says is no error. */
export const enrolmentsSchema = z.strictObject({
  dryRun: z.boolean().default(false),
  partial: z.boolean().default(false),
  /** Rows are checked one by one, so that one broken row does not hide the others. */
  hosts: z.array(z.unknown()).min(1).max(limits.enrolmentHostsMax),
});
/** What is absent stays, null clears, labels are changed one by one. */
export const describeSchema = profilePatchSchema.extend({ serial: serial.nullable().optional(), uuid: uuid.nullable().optional() });
const plainMac = mac.refine((text) => tellingMac(text) !== undefined, 'a MAC address that one machine can have');
/** One MAC of a host: from now on its own, no longer its own, or another machine's. */
export const macsSchema = z.union([
  z.strictObject({ adopt: plainMac }),
  z.strictObject({ remove: plainMac }),
  z.strictObject({ refuse: plainMac }),
]);
export const acceptSchema = z.strictObject({ bmc: bmcSchema.optional() });
export const holdSchema = z.strictObject({ why: z.string().min(1).max(500) });
/** `on` and `off` where it is not so already; `soft` asks the OS to end; `cycle` and `reset` interrupt whatever runs. */
export const powerSchema = z.strictObject({ power: z.enum(['on', 'off', 'soft', 'cycle', 'reset']) });
/** The identify light at the chassis, so that somebody in front of the rack finds the host. */
export const locateSchema = z.strictObject({ on: z.boolean(), seconds: z.number().int().min(1).max(255).default(60) });
export type PowerVerb = z.infer<typeof powerSchema>['power'];
const intentFields = {
  /** Name or digest. */
  image: z.string().min(1).max(128),
  hostName: hostName.optional(),
  userData: z.string().optional(),
  /** More for the OS's `meta-data`, such as `public-keys`. */
  metaData: metaDataSchema.optional(),
  /** What the OS is told of its network, instead of what the host's profile says. */
  network: hostNetworkSchema.optional(),
};
const provisionTimeoutSeconds = z.number().int().min(60).max(limits.provisionTimeoutSecondsMax);
/** Chosen by the client where it must be able to ask twice. */
export const claimIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'a claim ID: letters, digits, dots, hyphens and underscores, at most 128');
/** A short text by which machines of one owner find each other's hosts, e.g. `ns/MachineDeployment/md-0`. */
const word = z.string().min(1).max(253);
const claimShape = {
  owner: z.string().min(1).max(128).default('operator'),
  /** Name or ID of the host; without it the best of those that fit. */
  host: z.string().max(64).optional(),
  selector: selectorSchema.optional(),
  disk: diskRuleSchema.default({ only: true }),
  /**
   * Hosts that a release kept for this word are taken first. `wait`: while one of them is being cleaned no other is taken
   * (`no-host-fits`, class `reserved`).
   */
  reuse: z.strictObject({ of: word, mode: z.enum(['prefer', 'wait']) }).optional(),
  /**
   * Where hosts of one group come to stand as seen from each other, by `failureDomain`, `rack` or a label. `spread`: where the fewest
   * are; `require-spread`: only where none is; `together`: only where one is, if there is one.
   */
  placement: z
    .strictObject({ group: word, by: z.string().min(1).max(317), mode: z.enum(['spread', 'require-spread', 'together']) })
    .optional(),
  /** A generation that is not provisioned by then has failed with `timed-out`. */
  provisionTimeoutSeconds: provisionTimeoutSeconds.optional(),
  /** Wait so long until a host fits. */
  waitSeconds: z.number().int().min(0).max(limits.claimWaitSecondsMax).default(0),
  dryRun: z.boolean().default(false),
  ...intentFields,
};
export const claimSchema = z.strictObject({ id: claimIdSchema.optional(), ...claimShape });
/** PUT: the ID stands in the path. */
export const claimPutSchema = z.strictObject(claimShape);
export const reprovisionSchema = z.strictObject({
  /** User data and meta-data of the generation before stay when absent. */
  ...intentFields,
  dryRun: z.boolean().default(false),
});
export const releaseSchema = z.strictObject({
  /** The host, once it is clean, is kept for so long for a claim with `reuse.of` this word; no other claim gets it meanwhile. */
  reserve: z.strictObject({ for: word, seconds: z.number().int().min(1).max(limits.reserveSecondsMax) }).optional(),
});
export type ReleaseWish = z.infer<typeof releaseSchema>;
export type Enrol = z.infer<typeof enrolSchema>;
export type Accept = z.infer<typeof acceptSchema>;
export type Enrolments = z.infer<typeof enrolmentsSchema>;
export type Describe = z.infer<typeof describeSchema>;
export type BmcPut = z.infer<typeof bmcPutSchema>;
export type Locate = z.infer<typeof locateSchema>;
export type MacChange = z.infer<typeof macsSchema>;
export type ClaimRequest = z.infer<typeof claimSchema>;
export type Reprovision = Omit<z.infer<typeof reprovisionSchema>, 'dryRun'>;

/** What became of one row of many, or would become of it. */
export interface EnrolmentRow {
  /** As it stands in the request, from 0. */
  readonly row: number;
  readonly name: string | null;
  /** `new`: enrolled, or would be; `same`: stands already as the row says; `changed`: its description differs and is, or would be, changed. */
  readonly outcome: 'new' | 'same' | 'changed' | 'error';
  /** What is wrong, or what differs: one sentence each. */
  readonly reasons: readonly string[];
}
export interface EnrolmentReport {
  /** Something was written. */
  readonly written: boolean;
  readonly rows: readonly EnrolmentRow[];
}

/** What a claim, its next generation or its release would do to one disk. */
export interface DiskFate {
  readonly disk: DiskIdentity;
  readonly fate: 'overwritten' | 'cleaned' | 'untouched';
  readonly why: string;
}
export interface DryRun {
  readonly host: string;
  readonly hostId: string;
  readonly allowed: boolean;
  readonly reason: string;
  /** null where no image is written. */
  readonly image: string | null;
  readonly disks: readonly DiskFate[];
}
/** A host as the outside sees it, with what it waits for in one plain sentence. */
export interface HostView {
  readonly host: Host;
  /** `waiting for the first packet`, `failed at boot: …`. */
  readonly doing: string;
  /** Of the work at hand, 0 to 1; undefined where there is none. */
  readonly progress?: { readonly step: string; readonly done: number; readonly total: number };
  /** Other hosts of which the same UUID, serial number or MAC is said. */
  readonly conflicts?: readonly IdentityConflict[];
}

/** What became of a claim. */
export type ClaimStanding =
  /** No claim of this ID was ever made. */
  | { readonly is: 'unknown' }
  | { readonly is: 'held'; readonly view: HostView }
  /** It was released and its host is being cleaned; `offAt`: when its OS was first known to be off since, null until then. */
  | { readonly is: 'leaving'; readonly view: HostView; readonly offAt: number | null }
  /** It was released, and its host is clean. */
  | { readonly is: 'over' };

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
  /** Every row is checked against the schema, the other rows and the rack. Unless `partial`, nothing is written where one row is wrong. */
  enrolMany(wanted: Enrolments, as: Asker): Promise<EnrolmentReport>;
  /** Changes what people say of a host. */
  describe(idOrName: string, patch: Describe, as: Asker): Promise<Host>;
  macs(idOrName: string, change: MacChange, as: Asker): Promise<Host>;
  /** Address and credentials of its BMC; null takes it away. Asked first whether it answers, unless `check` is false. */
  setBmc(idOrName: string, bmc: BmcPut | null, as: Asker): Promise<Host>;
  accept(idOrName: string, spec: Accept, as: Asker): Promise<Host>;
  power(
    idOrName: string,
    wanted: PowerVerb,
    as: Asker,
  ): Promise<{ readonly observed: string; readonly settled: boolean; readonly note?: string }>;
  locate(idOrName: string, wanted: Locate, as: Asker): ReturnType<Rack['power']>;
  hold(idOrName: string, why: string, as: Asker): Promise<Host>;
  unhold(idOrName: string, as: Asker): Promise<Host>;
  retry(idOrName: string, as: Asker): Promise<Host>;
  /** Lifts what a release kept the host for. */
  unreserve(idOrName: string, as: Asker): Promise<Host>;
  forget(idOrName: string, as: Asker): Promise<void>;
  /**
   * Idempotent by claim ID: the same request gets the same host, another one under the same ID `claim-exists` with the field that differs.
   * Refuses before anything is touched: `no-host-fits` with the classes of hosts and why, or for a named host its disks (`disk-missing`, `disk-ambiguous`).
   * `signal` ends the wait of `waitSeconds`.
   */
  claim(request: ClaimRequest, as: Asker, signal?: AbortSignal): Promise<{ readonly host: Host; readonly isNew: boolean }>;
  /** Every disk of the host, or of each host that might be taken, and what would happen to it. Changes nothing. */
  dryRun(request: ClaimRequest): Promise<readonly DryRun[]>;
  reprovision(claimId: string, wanted: Reprovision, as: Asker): Promise<Host>;
  dryReprovision(claimId: string, wanted: Reprovision): Promise<DryRun>;
  /** A claim that was released before is no error, and its first wish stands. */
  release(claimId: string, as: Asker, wish?: ReleaseWish): Promise<Host>;
  dryRelease(claimId: string): Promise<DryRun>;
  /** What became of a claim, however old. */
  standing(claimId: string): Promise<ClaimStanding>;
  timeline(idOrName: string, options: { readonly after?: number; readonly most: number }): Promise<readonly JournalRow[]>;
  /** Resolves when something of the host (or of any host) changed since the call, or after `ms`. */
  changed(ms: number, signal: AbortSignal, hostId?: string): Promise<void>;
}
