/** The JSON of the admin API, as schemas: what the daemon says, so that a client may check what it hears. Times are ms since 1970. */
import { z } from 'zod';
import type {
  acceptSchema,
  bmcPutSchema,
  claimPutSchema,
  claimSchema,
  describeSchema,
  enrolmentsSchema,
  enrolSchema,
  locateSchema,
  macsSchema,
  powerSchema,
  reprovisionSchema,
} from '../control/rack.ts';
import { diskRuleSchema } from '../host/disk.ts';
import { hostStates } from '../host/host.ts';
import { inventorySchema } from '../host/inventory.ts';
import { misfitClasses } from '../host/select.ts';

/** What clients send; the defaults may be left out. */
export type EnrolBody = z.input<typeof enrolSchema>;
export type AcceptBody = z.input<typeof acceptSchema>;
export type ClaimBody = z.input<typeof claimSchema>;
/** PUT /v1/claims/:id */
export type ClaimPutBody = z.input<typeof claimPutSchema>;
/** PATCH /v1/hosts/:host */
export type DescribeBody = z.input<typeof describeSchema>;
/** POST /v1/enrolments; each of `hosts` is an EnrolBody. */
export type EnrolmentsBody = z.input<typeof enrolmentsSchema>;
/** PUT /v1/hosts/:host/bmc */
export type BmcBody = z.input<typeof bmcPutSchema>;
/** POST /v1/hosts/:host/macs */
export type MacsBody = z.input<typeof macsSchema>;
export type PowerBody = z.input<typeof powerSchema>;
export type LocateBody = z.input<typeof locateSchema>;
export type ReprovisionBody = z.input<typeof reprovisionSchema>;
export type DiskRuleBody = z.input<typeof diskRuleSchema>;

const time = z.number();

export const diskJson = z.object({
  path: z.string(),
  sizeBytes: z.number(),
  serial: z.string().optional(),
  wwn: z.string().optional(),
  model: z.string().optional(),
});
export type DiskJson = z.infer<typeof diskJson>;

/** Without the password: it never leaves the daemon. */
export const bmcJson = z.object({
  protocol: z.string(),
  url: z.string(),
  username: z.string(),
  fingerprint: z.string().nullable(),
  insecure: z.boolean(),
  system: z.string().nullable(),
  /** PEM of the authorities that are believed; they are public. */
  ca: z.string().nullable(),
  /** IPMI: cipher suites allowed beside 17 and 3. */
  suites: z.array(z.number()),
});

/** Without the user data: it often carries credentials of the owner. */
export const hostClaimJson = z.object({
  id: z.string(),
  owner: z.string(),
  generation: z.number(),
  image: z.object({ name: z.string(), digest: z.string(), sizeBytes: z.number() }),
  hostName: z.string(),
  rule: diskRuleSchema,
  disk: diskJson,
  phoneHome: z.enum(['image', 'cloud-init', 'none']),
  hasUserData: z.boolean(),
  /** What the owner has the OS told in its meta-data; absent: nothing beside what the daemon says. */
  metaData: z.record(z.string(), z.union([z.string(), z.array(z.string())])).optional(),
  /** What the OS is told of its network; null: it asks DHCP. */
  network: z.record(z.string(), z.unknown()).nullable(),
  provisionTimeoutSeconds: z.number().nullable(),
  createdAt: time,
});
export const profileJson = z.object({
  labels: z.record(z.string(), z.string()),
  pool: z.string(),
  rack: z.string().nullable(),
  unit: z.number().nullable(),
  failureDomain: z.string().nullable(),
  note: z.string().nullable(),
  network: z.record(z.string(), z.unknown()).nullable(),
  dhcp: z.record(z.string(), z.unknown()).nullable(),
});
/** How the host is known again, beside `macs`, `uuid` and `serial`. */
export const identityJson = z.object({
  /** MACs seen with its UUID that wait for its BMC, or for POST /v1/hosts/:host/macs. */
  proposals: z.array(z.object({ mac: z.string(), uuid: z.string(), at: time, asked: z.number() })),
  /** Other hosts that are said to have the same. */
  conflicts: z.array(
    z.object({ what: z.enum(['uuid', 'serial', 'mac']), value: z.string(), host: z.object({ id: z.string(), name: z.string() }) }),
  ),
  refused: z.array(z.string()),
  retired: z.array(z.object({ mac: z.string(), at: time, why: z.string() })),
});

export const hostJson = z.object({
  id: z.string(),
  name: z.string(),
  version: z.number(),
  state: z.enum(hostStates),
  held: z.object({ by: z.string(), why: z.string(), at: time }).nullable(),
  failed: z.object({ step: z.string(), code: z.string(), reason: z.string(), at: time, tries: z.number() }).nullable(),
  /** What the host does or waits for, in one plain sentence. */
  doing: z.string(),
  progress: z.object({ step: z.string(), done: z.number(), total: z.number() }).nullable(),
  /** A step that has not succeeded yet. */
  attempt: z.object({ step: z.string(), since: time, tries: z.number(), notBefore: time, reason: z.string() }).nullable(),
  macs: z.array(z.string()),
  uuid: z.string().nullable(),
  serial: z.string().nullable(),
  profile: profileJson,
  identity: identityJson,
  firmware: z.enum(['bios', 'uefi']).nullable(),
  bmc: bmcJson.nullable(),
  /** What the BMC says of itself. */
  identified: z.object({ vendor: z.string().optional(), model: z.string().optional(), serial: z.string().optional(), at: time }).nullable(),
  inventory: inventorySchema.nullable(),
  claim: hostClaimJson.nullable(),
  /** What must be clean before the host may be claimed again. */
  release: z
    .object({
      claimId: z.string(),
      generation: z.number(),
      disk: diskJson,
      at: time,
      /** When the owner's OS was first known to be off since the release; null until then. */
      offAt: time.nullable(),
    })
    .nullable(),
  /** Kept by a release for claims with `reuse.of` this word; `until` null: counted from when it is clean. null when it is over. */
  reservation: z.object({ for: z.string(), until: time.nullable() }).nullable(),
  boot: z
    .object({
      number: z.number(),
      generation: z.number(),
      openedAt: time,
      armedAt: time.nullable(),
      poweredOnAt: time.nullable(),
      agentArrivedAt: time.nullable(),
      inventoryAt: time.nullable(),
      contestedAt: time.nullable(),
      closedAt: time.nullable(),
    })
    .nullable(),
  job: z
    .object({ id: z.string(), kind: z.enum(['install', 'clean']), disk: diskJson, givenAt: time, startedAt: time.nullable() })
    .nullable(),
  /** Boots of the present purpose that came to nothing. */
  bootTries: z.number(),
  facts: z.object({
    power: z.enum(['on', 'off', 'unknown']),
    powerAt: time,
    bootCount: z.number(),
    installCount: z.number(),
    wipeCount: z.number(),
    dirty: diskJson.nullable(),
    installed: z.object({ claimId: z.string(), generation: z.number(), digest: z.string(), disk: diskJson, at: time }).nullable(),
    phonedHome: z.object({ generation: z.number(), hostName: z.string(), at: time }).nullable(),
    availableSince: time.nullable(),
  }),
  createdAt: time,
});
export type HostJson = z.infer<typeof hostJson>;

export const powerJson = z.object({ observed: z.string(), settled: z.boolean(), note: z.string().nullable() });

/** A claim and the host that it holds. */
export const claimJson = hostClaimJson.extend({
  host: hostJson.pick({ id: true, name: true, state: true, held: true, failed: true, doing: true, progress: true }),
});
export type ClaimJson = z.infer<typeof claimJson>;

/** GET /v1/claims/:claim/standing */
export const standingJson = z.discriminatedUnion('is', [
  /** No claim of this ID was ever made. */
  z.object({ is: z.literal('unknown') }),
  z.object({ is: z.literal('held'), host: hostJson }),
  /** Released, and its host is being cleaned; `offAt`: when its OS was first known to be off since, null until then. */
  z.object({ is: z.literal('leaving'), host: hostJson, offAt: time.nullable() }),
  /** Released, and its host is clean. */
  z.object({ is: z.literal('over') }),
]);
export type StandingJson = z.infer<typeof standingJson>;

export const dryRunJson = z.object({
  host: z.string(),
  hostId: z.string(),
  allowed: z.boolean(),
  reason: z.string(),
  /** null where no image is written. */
  image: z.string().nullable(),
  disks: z.array(z.object({ disk: diskJson, fate: z.enum(['overwritten', 'cleaned', 'untouched']), why: z.string() })),
});
export type DryRunJson = z.infer<typeof dryRunJson>;

/** POST /v1/enrolments */
export const enrolmentsJson = z.object({
  written: z.boolean(),
  rows: z.array(
    z.object({
      row: z.number(),
      name: z.string().nullable(),
      outcome: z.enum(['new', 'same', 'changed', 'error']),
      reasons: z.array(z.string()),
    }),
  ),
});
export type EnrolmentsJson = z.infer<typeof enrolmentsJson>;
/** `values` of the refusal `no-host-fits`. */
export const misfitsJson = z.object({
  lookedAt: z.number(),
  classes: z.array(z.object({ class: z.enum(misfitClasses), count: z.number(), hosts: z.array(z.string()), detail: z.string() })),
});
export type MisfitsJson = z.infer<typeof misfitsJson>;

export const timelineRowJson = z.object({
  seq: z.number(),
  at: time,
  kind: z.enum(['state', 'packet']),
  boot: z.number(),
  text: z.string(),
  data: z.record(z.string(), z.unknown()).optional(),
});
export type TimelineRowJson = z.infer<typeof timelineRowJson>;
/** `next` is the `after` of the next question. */
export const timelineJson = z.object({ items: z.array(timelineRowJson), next: z.number() });

export const phoneHomeKinds = ['image', 'cloud-init', 'none'] as const;
/** From a file on the daemon's machine (`path`), or from where the daemon fetches it (`url`). */
export const importSchema = z
  .strictObject({
    path: z.string().max(4096).startsWith('/', 'an absolute path on the machine of the daemon').optional(),
    /** `http:` or `https:`. */
    url: z.string().max(4096).optional(),
    /** SHA-256 of the file as it lies there, in hex. */
    sha256: z.string().max(128).optional(),
    /** The text of a signature (`remuda image sign`); without it `FILE.sig` beside a file counts. */
    signature: z.string().max(65_536).optional(),
    name: z.string().min(1).max(128),
    /** Who tells that the OS is up; without it the image's own seed partition decides. */
    phoneHome: z.enum(phoneHomeKinds).optional(),
    /** Refuse any other image. */
    expectDigest: z.string().max(128).optional(),
  })
  .refine(({ path, url }) => (path === undefined) !== (url === undefined), 'say one of path and url');
export type ImportBody = z.input<typeof importSchema>;

export const imageJson = z.object({
  name: z.string(),
  digest: z.string(),
  sizeBytes: z.number(),
  storedBytes: z.number(),
  /** Where a NoCloud file system is written for each host; null where the image has no place for it. */
  seed: z.object({ offsetBytes: z.number(), sizeBytes: z.number() }).nullable(),
  firmware: z.array(z.enum(['bios', 'uefi'])),
  phoneHome: z.enum(phoneHomeKinds),
  importedAt: time,
  /** The trusted keys that have signed it, by the names that the configuration gives them. */
  signedBy: z.array(z.string()),
  /** Why no host may be given it; null where one may. */
  refused: z.object({ code: z.string(), reason: z.string() }).nullable(),
});
export type ImageJson = z.infer<typeof imageJson>;
export const imageDetailJson = imageJson.extend({
  arch: z.string(),
  chunkBytes: z.number(),
  chunks: z.number(),
  /** Of them, all zeros: neither stored nor sent. */
  zeroChunks: z.number(),
});
export type ImageDetailJson = z.infer<typeof imageDetailJson>;
export const verifyJson = z.object({
  digest: z.string(),
  ok: z.boolean(),
  chunks: z.number(),
  sizeBytes: z.number(),
  faults: z.array(z.object({ index: z.number(), sha256: z.string().nullable(), offsetBytes: z.number(), reason: z.string() })),
});
export type VerifyJson = z.infer<typeof verifyJson>;

export const collectSchema = z.strictObject({
  /** Say what would go, and take nothing away. */
  dryRun: z.boolean().default(false),
});
export type CollectBody = z.input<typeof collectSchema>;
export const collectJson = z.object({
  dryRun: z.boolean(),
  /** Images without a name that no claim wants. */
  images: z.array(z.object({ digest: z.string(), sizeBytes: z.number() })),
  /** Files that went: chunks, and what killed imports left. */
  files: z.number(),
  bytes: z.number(),
});
export type CollectJson = z.infer<typeof collectJson>;

/** The body of every refusal (RFC 9457). */
export const problemJson = z.object({
  type: z.string().optional(),
  title: z.string().optional(),
  status: z.number(),
  /** Stable; clients decide by it. */
  code: z.string(),
  detail: z.string(),
  /** `urn:remuda:request:<id>`: the same ID stands in the log and the audit log. */
  instance: z.string().optional(),
  /** What to do about it, for people. */
  next: z.string().optional(),
  /** What explains it, for programs. */
  values: z.record(z.string(), z.unknown()).optional(),
});
export type ProblemJson = z.infer<typeof problemJson>;
/** `step` is absent while the work itself is done. */
export const progressJson = z.object({ step: z.literal('download').optional(), doneBytes: z.number(), totalBytes: z.number().optional() });
export type ProgressJson = z.infer<typeof progressJson>;
/** A line of an `application/x-ndjson` answer to long work: progress, then one result or one error. */
export const workLineJson = z.union([
  z.object({ progress: progressJson }),
  z.object({ result: z.unknown() }),
  z.object({ error: problemJson }),
]);

/** What a BMC tells a stranger. */
export const probeJson = z.object({
  host: z.string(),
  /** Redfish where both answer. */
  protocol: z.enum(['redfish', 'ipmi']),
  redfish: z
    .object({
      url: z.string(),
      vendor: z.string().nullable(),
      product: z.string().nullable(),
      /** SHA-256 of its certificate, to be compared and pinned; null where the system's authorities vouch for it. */
      fingerprint: z.string().nullable(),
      /** Why the system does not believe the certificate. */
      distrust: z.string().nullable(),
    })
    .nullable(),
  ipmi: z
    .object({
      url: z.string(),
      v20: z.boolean(),
      /** Cipher suites that it tells; empty where it tells none. */
      suites: z.array(z.number()),
      /** One of them is 17 or 3; null where none are told. */
      usable: z.boolean().nullable(),
    })
    .nullable(),
  /** Why the other protocol did not answer. */
  note: z.string().nullable(),
});
export type ProbeJson = z.infer<typeof probeJson>;

export const leaseJson = z.object({
  address: z.string(),
  mac: z.string(),
  clientId: z.string().nullable(),
  hostName: z.string().nullable(),
  startsAt: time,
  endsAt: time,
  /** The host of the rack that has this MAC. */
  host: z.object({ id: z.string(), name: z.string() }).nullable(),
});
export type LeaseJson = z.infer<typeof leaseJson>;

/** A list as every path answers it. */
export const itemsOf = <T extends z.ZodType>(item: T): z.ZodObject<{ items: z.ZodArray<T> }> => z.object({ items: z.array(item) });
