/** From what the daemon knows to what the admin API tells: field by field, so that a new secret is not shown because nobody thought of it. */
import type { ClaimStanding, HostView } from '../control/rack.ts';
import type { DiskIdentity } from '../host/disk.ts';
import { nothingNoted } from '../host/host.ts';
import type { Boot, Claim, Host, HostBmc, Intent } from '../host/host.ts';
import type { VerifyReport } from '../image/verify.ts';
import type { Manifest } from '../image/manifest.ts';
import { isZeroChunk } from '../image/manifest.ts';
import type { ImageEntry } from '../image/store.ts';
import type { JournalRow } from '../store/store.ts';
import type { Lease } from '../wire/words.ts';
import type {
  ClaimJson,
  DiskJson,
  HostJson,
  ImageDetailJson,
  ImageJson,
  LeaseJson,
  StandingJson,
  TimelineRowJson,
  VerifyJson,
} from './types.ts';

const disk = ({ path, sizeBytes, serial, wwn, model }: DiskIdentity): DiskJson => ({ path, sizeBytes, serial, wwn, model });

/** A password may also stand inside the URL. */
const withoutUser = (text: string): string => {
  const url = URL.parse(text);
  if (url === null) return '(not a URL)';
  if (url.username === '' && url.password === '') return text;
  url.username = '';
  url.password = '';
  return url.href;
};
const bmc = (of: HostBmc): HostJson['bmc'] => ({
  protocol: of.protocol,
  url: withoutUser(of.url),
  username: of.username,
  fingerprint: of.fingerprint ?? null,
  insecure: of.insecure ?? false,
  system: of.system ?? null,
  ca: of.ca ?? null,
  suites: [...(of.suites ?? [])],
});

const metaDataOf = ({ metaData }: Intent): Pick<NonNullable<HostJson['claim']>, 'metaData'> => {
  if (metaData === undefined) return {};
  const fields = Object.entries(metaData).map(([key, value]) => [key, typeof value === 'string' ? value : Array.from(value)] as const);
  return { metaData: Object.fromEntries(fields) };
};
const claim = (of: Claim): NonNullable<HostJson['claim']> => ({
  id: of.id,
  owner: of.owner,
  generation: of.generation,
  image: { name: of.intent.imageName, digest: of.intent.image, sizeBytes: of.intent.imageSizeBytes },
  hostName: of.intent.hostName,
  rule: of.rule,
  disk: disk(of.disk),
  phoneHome: of.intent.phoneHome,
  hasUserData: of.intent.userData !== undefined,
  ...metaDataOf(of.intent),
  network: of.intent.network === undefined ? null : { ...of.intent.network },
  provisionTimeoutSeconds: of.provisionTimeoutSeconds ?? null,
  createdAt: of.createdAt,
});

const boot = (of: Boot): HostJson['boot'] => ({
  number: of.number,
  generation: of.generation,
  openedAt: of.openedAt,
  armedAt: of.armedAt ?? null,
  poweredOnAt: of.poweredOnAt ?? null,
  agentArrivedAt: of.redeemed?.at ?? null,
  inventoryAt: of.inventoryAt ?? null,
  contestedAt: of.contestedAt ?? null,
  closedAt: of.closedAt ?? null,
});

const facts = (of: Host['facts']): HostJson['facts'] => ({
  power: of.power,
  powerAt: of.powerAt,
  bootCount: of.bootCount,
  installCount: of.installCount,
  wipeCount: of.wipeCount,
  dirty: of.dirty && disk(of.dirty),
  installed: of.installed && {
    claimId: of.installed.claimId,
    generation: of.installed.generation,
    digest: of.installed.digest,
    disk: disk(of.installed.disk),
    at: of.installed.at,
  },
  phonedHome: of.phonedHome && { generation: of.phonedHome.generation, hostName: of.phonedHome.hostName, at: of.phonedHome.at },
  availableSince: of.availableSince,
});

const held = ({ held: of }: Host): HostJson['held'] => of && { by: of.by, why: of.why, at: of.at };
const failed = ({ failed: of }: Host): HostJson['failed'] =>
  of && { step: of.step, code: of.code, reason: of.reason, at: of.at, tries: of.tries };
const progress = ({ progress: of }: HostView): HostJson['progress'] =>
  of === undefined ? null : { step: of.step, done: of.done, total: of.total };

const profile = ({ labels, pool, rack, unit, failureDomain, note, network, dhcp }: Host['profile']): HostJson['profile'] => ({
  labels: { ...labels },
  pool,
  rack,
  unit,
  failureDomain,
  note,
  network: network && { ...network },
  dhcp: dhcp && { ...dhcp },
});
const identity = ({ host, conflicts = [] }: HostView): HostJson['identity'] => {
  const { proposals, refused, retired } = host.identity ?? nothingNoted;
  return {
    proposals: proposals.map(({ mac, uuid, at, asked }) => ({ mac, uuid, at, asked })),
    conflicts: conflicts.map(({ what, value, host: { id, name } }) => ({ what, value, host: { id, name } })),
    refused: [...refused],
    retired: retired.map(({ mac, at, why }) => ({ mac, at, why })),
  };
};

export const toHostJson = (view: HostView): HostJson => {
  const { host } = view;
  return {
    id: host.id,
    name: host.name,
    version: host.version,
    state: host.state,
    held: held(host),
    failed: failed(host),
    doing: view.doing,
    progress: progress(view),
    attempt: host.attempt && {
      step: host.attempt.step,
      since: host.attempt.since,
      tries: host.attempt.tries,
      notBefore: host.attempt.notBefore,
      reason: host.attempt.reason,
    },
    macs: [...host.macs],
    uuid: host.uuid,
    serial: host.serial,
    profile: profile(host.profile),
    identity: identity(view),
    firmware: host.firmware,
    bmc: host.bmc && bmc(host.bmc),
    identified: host.identified && {
      vendor: host.identified.vendor,
      model: host.identified.model,
      serial: host.identified.serial,
      at: host.identified.at,
    },
    inventory: host.inventory,
    claim: host.claim && claim(host.claim),
    release: host.release && {
      claimId: host.release.claimId,
      generation: host.release.generation,
      disk: disk(host.release.disk),
      at: host.release.at,
      offAt: host.release.offAt ?? null,
    },
    reservation: host.reservation ? { for: host.reservation.for, until: host.reservation.until } : null,
    boot: host.boot && boot(host.boot),
    job: host.job && {
      id: host.job.id,
      kind: host.job.kind,
      disk: disk(host.job.disk),
      givenAt: host.job.givenAt,
      startedAt: host.job.startedAt ?? null,
    },
    bootTries: host.bootTries,
    facts: facts(host.facts),
    createdAt: host.createdAt,
  };
};

/** undefined where no claim holds the host. */
export const toClaimJson = (view: HostView): ClaimJson | undefined => {
  const { host } = view;
  if (host.claim === null) return undefined;
  return {
    ...claim(host.claim),
    host: {
      id: host.id,
      name: host.name,
      state: host.state,
      held: held(host),
      failed: failed(host),
      doing: view.doing,
      progress: progress(view),
    },
  };
};

export const toStandingJson = (of: ClaimStanding): StandingJson => {
  if (of.is === 'held') return { is: 'held', host: toHostJson(of.view) };
  if (of.is === 'leaving') return { is: 'leaving', host: toHostJson(of.view), offAt: of.offAt };
  return { is: of.is };
};

/** Names under which the values of a timeline entry are never shown, whatever wrote them there. */
const secretNames: ReadonlySet<string> = new Set(['password', 'userdata', 'credential', 'token', 'ticket', 'secret', 'authorization']);
const withoutSecrets = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, secretNames.has(name.toLowerCase()) ? '[secret]' : withoutSecrets(inner)]),
  );
};
export const toTimelineRow = (row: JournalRow): TimelineRowJson => ({
  seq: row.seq,
  at: row.at,
  kind: row.kind,
  boot: row.boot,
  text: row.text,
  ...(row.data === undefined ? {} : { data: withoutSecrets(row.data) as Record<string, unknown> }),
});

export const toImageJson = (entry: ImageEntry): ImageJson => ({
  name: entry.name,
  digest: entry.digest,
  sizeBytes: entry.sizeBytes,
  storedBytes: entry.storedBytes,
  seed: entry.seed,
  firmware: [...entry.firmware],
  phoneHome: entry.phoneHome,
  importedAt: entry.importedAt,
  signedBy: [...entry.signedBy],
  refused: entry.refused ?? null,
});
export const toImageDetail = (entry: ImageEntry, manifest: Manifest): ImageDetailJson => ({
  ...toImageJson(entry),
  arch: manifest.arch,
  chunkBytes: manifest.chunkBytes,
  chunks: manifest.chunks.length,
  zeroChunks: manifest.chunks.filter(isZeroChunk).length,
});
export const toVerifyJson = (report: VerifyReport): VerifyJson => ({
  digest: report.digest,
  ok: report.ok,
  chunks: report.chunks,
  sizeBytes: report.sizeBytes,
  faults: report.faults.map((fault) => ({ ...fault, sha256: fault.sha256 ?? null })),
});

export const toLeaseJson = (lease: Lease, host: Host | undefined): LeaseJson => ({
  address: lease.address,
  mac: lease.mac,
  clientId: lease.clientId ?? null,
  hostName: lease.hostName ?? null,
  startsAt: lease.startsAt,
  endsAt: lease.endsAt,
  host: host === undefined ? null : { id: host.id, name: host.name },
});
