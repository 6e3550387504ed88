/** A rack for tests of the API: a few hosts in memory that answers what it is told and remembers what it was asked. */
import type { ImageDesk } from '../../src/api/admin-images.ts';
import type { Probed } from '../../src/api/admin-bmc.ts';
import type { AdminDeps } from '../../src/api/admin-routes.ts';
import type { StatusJson } from '../../src/api/access-types.ts';
import type { DryRun, HostView, Rack } from '../../src/control/rack.ts';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import { newHost } from '../../src/host/host.ts';
import type { Claim, Host } from '../../src/host/host.ts';
import { patched } from '../../src/host/profile.ts';
import type { Manifest } from '../../src/image/manifest.ts';
import type { ImageEntry } from '../../src/image/store.ts';
import type { JournalRow } from '../../src/store/store.ts';
import type { Limits } from '../../src/limits.ts';
import { parseIpv4, parseMac } from '../../src/wire/address.ts';
import type { Ipv4, Mac } from '../../src/wire/address.ts';
import type { Lease } from '../../src/wire/words.ts';
import { fakeAccess } from './access-parts.ts';

export const now = Date.UTC(2026, 10, 21, 2, 14, 5);
export const minute = 60_000;
export const macOf = (text: string): Mac => {
  const mac = parseMac(text);
  if (mac === undefined) throw new Error(`${text} is no MAC`);
  return mac;
};
export const ipOf = (text: string): Ipv4 => {
  const address = parseIpv4(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
};

export const digest = `sha256:${'ab'.repeat(32)}`;
const disks = [
  { path: '/dev/vda', name: 'vda', sizeBytes: 256 * 1024 ** 2, serial: 'h1-d0', rotational: false, removable: false, readOnly: false },
  { path: '/dev/vdb', name: 'vdb', sizeBytes: 1024 ** 3, serial: 'h1-data', rotational: true, removable: false, readOnly: false },
];
const fullBmc = {
  protocol: 'redfish' as const,
  url: 'https://10.0.0.5',
  username: 'admin',
  password: 'hunter2',
  fingerprint: 'cd'.repeat(32),
};
export const bareHost = (name: string, state: 'discovered' | 'enrolled' = 'enrolled'): Host => ({
  ...newHost({ id: `h-${name}`, name, state, macs: [macOf('52:54:00:00:00:01')] }, now - 60 * minute),
  version: 1,
});
export const claimOn = (host: Host, part: Partial<Claim> = {}, userData = 'secret: user-data'): Host => ({
  ...host,
  state: 'provisioning',
  claim: {
    id: `c-${host.name}`,
    owner: 'operator',
    generation: 1,
    intent: { image: digest, imageName: 'debian', imageSizeBytes: 1024 ** 2, phoneHome: 'cloud-init', hostName: host.name, userData },
    rule: { serial: 'h1-d0' },
    disk: { path: '/dev/vda', sizeBytes: 256 * 1024 ** 2, serial: 'h1-d0' },
    createdAt: now - 5 * minute,
    ...part,
  },
});
/** An available host with a BMC, two disks and an inventory. */
export const readyHost = (name: string, password = 'hunter2'): Host => ({
  ...bareHost(name),
  state: 'available',
  firmware: 'uefi',
  bmc: { ...fullBmc, password },
  identified: { vendor: 'Remuda', model: 'Lab', serial: 'R1', at: now - 50 * minute },
  inventory: {
    firmware: 'uefi',
    arch: 'x86_64',
    vendor: 'QEMU',
    cpu: { model: 'Fast', cores: 2, threads: 4 },
    memoryBytes: 4 * 1024 ** 3,
    disks,
    nics: [{ name: 'eth0', mac: '52:54:00:00:00:01', linkUp: true }],
  },
  facts: { ...bareHost(name).facts, power: 'on', powerAt: now - minute, bootCount: 1, availableSince: now - 10 * minute },
});

export const image = (name: string, part: Partial<ImageEntry> = {}): ImageEntry => ({
  name,
  digest,
  sizeBytes: 8 * 1024 ** 2,
  storedBytes: 3 * 1024 ** 2,
  seed: { offsetBytes: 1024 ** 2, sizeBytes: 2 * 1024 ** 2 },
  firmware: ['bios', 'uefi'],
  phoneHome: 'cloud-init',
  importedAt: now - 120 * minute,
  signedBy: [],
  ...part,
});
export const manifest: Manifest = {
  format: 1,
  digest,
  sizeBytes: 8 * 1024 ** 2,
  chunkBytes: 4 * 1024 ** 2,
  chunks: [
    { sha256: 'ef'.repeat(32), sizeBytes: 4 * 1024 ** 2, storedBytes: 3 * 1024 ** 2, encoding: 'zstd' },
    { zero: true, sizeBytes: 4 * 1024 ** 2 },
  ],
  arch: 'x86_64',
  firmware: ['bios', 'uefi'],
  seed: { offsetBytes: 1024 ** 2, sizeBytes: 2 * 1024 ** 2 },
  phoneHome: 'cloud-init',
};

export const dryRun: DryRun = {
  host: 'h1',
  hostId: 'h-h1',
  allowed: true,
  reason: 'one disk matches',
  image: 'debian',
  disks: [
    { disk: { path: '/dev/vda', sizeBytes: 256 * 1024 ** 2, serial: 'h1-d0' }, fate: 'overwritten', why: 'named by its serial' },
    { disk: { path: '/dev/vdb', sizeBytes: 1024 ** 3, serial: 'h1-data' }, fate: 'untouched', why: 'not named' },
  ],
};

export interface Asked {
  readonly verb: string;
  readonly args: readonly unknown[];
}
/** What tests set and read. */
export class FakeRack {
  readonly hosts = new Map<string, HostView>();
  readonly asked: Asked[] = [];
  readonly timelineRows: JournalRow[] = [];
  /** What the next change is refused with. */
  refuse:
    | { readonly code: Code; readonly message: string; readonly values?: Readonly<Record<string, unknown>>; readonly next?: string }
    | undefined;
  /** Runs when somebody waits for a change; the wait ends when it resolves. */
  onWait: () => Promise<void> = () => Promise.resolve();
  /** Runs at each look at one host. */
  onLook: (host: string) => void = () => {};
  #seq = 0;

  put(host: Host, part: Partial<HostView> = {}): Host {
    this.hosts.set(host.id, { host, doing: host.state, ...part });
    return host;
  }
  view(idOrName: string): HostView {
    const found = [...this.hosts.values()].find(({ host }) => host.id === idOrName || host.name === idOrName);
    if (found === undefined) throw new RemudaError('host-not-found', `there is no host ${idOrName}`);
    return found;
  }
  happen(hostId: string, text: string, part: Partial<JournalRow> = {}): JournalRow {
    this.#seq += 1;
    const row: JournalRow = { hostId, at: now + this.#seq * 1000, kind: 'state', boot: 1, text, seq: this.#seq, ...part };
    this.timelineRows.push(row);
    return row;
  }

  #note(verb: string, ...args: readonly unknown[]): void {
    this.asked.push({ verb, args });
    const refused = this.refuse;
    this.refuse = undefined;
    if (refused === undefined) return;
    const { code, message, ...more } = refused;
    throw new RemudaError(code, message, more);
  }
  #claimed(claimId: string): Host {
    const found = [...this.hosts.values()].find(({ host }) => host.claim?.id === claimId);
    if (found === undefined) throw new RemudaError('claim-not-found', `there is no claim ${claimId}`);
    return found.host;
  }

  /** The port that the routes are given. */
  readonly port: Rack = {
    hosts: async () => [...this.hosts.values()],
    host: async (idOrName) => {
      this.onLook(idOrName);
      return this.view(idOrName);
    },
    enrol: async (spec, { by }) => {
      this.#note('enrol', spec, by);
      return this.put({ ...bareHost(spec.name), ...(spec.bmc === undefined ? {} : { bmc: { ...fullBmc, password: spec.bmc.password } }) });
    },
    accept: async (idOrName, spec, { by }) => {
      this.#note('accept', idOrName, spec, by);
      return this.put({ ...this.view(idOrName).host, state: 'enrolled' });
    },
    power: async (idOrName, wanted, { by }) => {
      this.#note('power', idOrName, wanted, by);
      this.view(idOrName);
      return { observed: wanted === 'off' ? 'off' : 'on', settled: true };
    },
    locate: async (idOrName, wanted, { by }) => {
      this.#note('locate', idOrName, wanted, by);
      this.view(idOrName);
      return { observed: wanted.on ? 'on' : 'off', settled: true };
    },
    hold: async (idOrName, why, { by }) => {
      this.#note('hold', idOrName, why, by);
      return this.put({ ...this.view(idOrName).host, held: { by, why, at: now } });
    },
    unhold: async (idOrName, { by }) => {
      this.#note('unhold', idOrName, by);
      return this.put({ ...this.view(idOrName).host, held: null });
    },
    retry: async (idOrName, { by }) => {
      this.#note('retry', idOrName, by);
      return this.put({ ...this.view(idOrName).host, failed: null });
    },
    unreserve: async (idOrName, { by }) => {
      this.#note('unreserve', idOrName, by);
      return this.put({ ...this.view(idOrName).host, reservation: null });
    },
    standing: async (claimId) => {
      const view = [...this.hosts.values()].find(({ host }) => host.claim?.id === claimId || host.release?.claimId === claimId);
      if (view === undefined) return { is: 'unknown' };
      return view.host.claim?.id === claimId ? { is: 'held', view } : { is: 'leaving', view, offAt: view.host.release?.offAt ?? null };
    },
    forget: async (idOrName, { by }) => {
      this.#note('forget', idOrName, by);
      this.hosts.delete(this.view(idOrName).host.id);
    },
    claim: async (request, { by }) => {
      this.#note('claim', request, by);
      const host = this.view(request.host ?? 'h1').host;
      const part = request.id === undefined ? {} : { id: request.id };
      this.happen(host.id, `claimed by ${request.owner}`);
      const claimed = claimOn(host, { owner: request.owner, ...part }, request.userData);
      return { host: this.put(claimed, { doing: 'waiting for the first packet' }), isNew: host.claim?.id !== claimed.claim?.id };
    },
    dryRun: async (request) => {
      this.#note('dryRun', request);
      return [dryRun];
    },
    reprovision: async (claimId, wanted, { by }) => {
      this.#note('reprovision', claimId, wanted, by);
      const host = this.#claimed(claimId);
      return this.put(claimOn(host, { id: claimId, generation: (host.claim?.generation ?? 0) + 1 }, wanted.userData));
    },
    enrolMany: async (wanted, { by }) => {
      this.#note('enrolMany', wanted, by);
      return { written: !wanted.dryRun, rows: wanted.hosts.map((_, row) => ({ row, name: null, outcome: 'new', reasons: [] })) };
    },
    describe: async (idOrName, patch, { by }) => {
      this.#note('describe', idOrName, patch, by);
      const { host } = this.view(idOrName);
      return this.put({ ...host, profile: patched(host.profile, patch) });
    },
    macs: async (idOrName, change, { by }) => {
      this.#note('macs', idOrName, change, by);
      return this.put(this.view(idOrName).host);
    },
    setBmc: async (idOrName, bmc, { by }) => {
      this.#note('setBmc', idOrName, bmc, by);
      return this.put({ ...this.view(idOrName).host, ...(bmc === null ? { bmc: null } : {}) });
    },
    dryReprovision: async (claimId, wanted) => {
      this.#note('dryReprovision', claimId, wanted);
      return dryRun;
    },
    dryRelease: async (claimId) => {
      this.#note('dryRelease', claimId);
      return { ...dryRun, image: null };
    },
    release: async (claimId, { by }, wish = {}) => {
      this.#note('release', claimId, by, ...(wish.reserve === undefined ? [] : [wish]));
      const host = this.#claimed(claimId);
      const disk = { path: '/dev/vda', sizeBytes: 1 };
      return this.put({ ...host, state: 'cleaning', claim: null, release: { claimId, generation: 1, disk, at: now } });
    },
    timeline: async (idOrName, { after, most }) => {
      const { id } = this.view(idOrName).host;
      const rows = this.timelineRows.filter((row) => row.hostId === id && row.seq > (after ?? 0));
      return after === undefined ? rows.slice(-most) : rows.slice(0, most);
    },
    changed: async (ms, signal) => {
      this.asked.push({ verb: 'changed', args: [ms] });
      const ended = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => ended.resolve(), { once: true });
      await Promise.race([this.onWait(), ended.promise]);
    },
  };
}

/** An image desk that keeps a list. */
export class FakeDesk {
  readonly entries: ImageEntry[] = [];
  readonly asked: Asked[] = [];
  /** What an import or a verification does before its result. */
  work: (onProgress: (progress: { step?: 'download'; doneBytes: number; totalBytes?: number }) => void) => Promise<void> = async (
    onProgress,
  ) => onProgress({ doneBytes: 1, totalBytes: 2 });
  damaged = false;

  readonly port: ImageDesk = {
    list: async () => this.entries,
    find: async (wanted) => {
      const found = this.entries.find((entry) => entry.name === wanted || entry.digest === wanted);
      if (found === undefined) throw new RemudaError('image-not-found', `there is no image ${wanted}`);
      return found;
    },
    manifest: async () => manifest,
    import: async (source, wish, onProgress) => {
      this.asked.push({ verb: 'import', args: [source, wish] });
      await this.work(onProgress);
      const entry = image(wish.name, wish.phoneHome === undefined ? {} : { phoneHome: wish.phoneHome });
      this.entries.push(entry);
      return entry;
    },
    verify: async (of, onProgress) => {
      this.asked.push({ verb: 'verify', args: [of] });
      await this.work(onProgress);
      const faults = this.damaged ? [{ index: 1, sha256: undefined, offsetBytes: 4096, reason: 'its hash is another' }] : [];
      return { digest: of, ok: !this.damaged, chunks: 2, sizeBytes: 8, faults };
    },
    collect: async ({ wanted, dryRun: isDry = false }) => {
      const kept = (await wanted?.()) ?? new Set<string>();
      this.asked.push({ verb: 'collect', args: [[...kept], isDry] });
      return { images: [{ digest, sizeBytes: 8 }], files: 3, bytes: 4096 };
    },
    remove: async (name) => {
      this.asked.push({ verb: 'remove', args: [name] });
      this.entries.splice(
        this.entries.findIndex((entry) => entry.name === name),
        1,
      );
    },
  };
}

export const status: StatusJson = {
  version: '0.1.0',
  startedAt: now - 3 * 60 * minute,
  now,
  listeners: [{ name: 'dhcp', at: 'eth1:67', bound: true }],
  networks: [{ interface: 'eth1', subnet: '10.77.0.0/24', address: '10.77.0.1', poolAddresses: 100, leasedAddresses: 3 }],
  files: [
    { name: 'snponly.efi', purpose: 'boot', path: '/f/snponly.efi', present: true, sizeBytes: 1 },
    { name: 'vmlinuz', purpose: 'agent', path: '/a/vmlinuz', present: true, sizeBytes: 1 },
  ],
  freeBytes: 100 * 1024 ** 3,
  warnings: [],
};
export const lease: Lease = {
  address: ipOf('10.77.0.50'),
  mac: macOf('52:54:00:00:00:01'),
  hostName: 'h1',
  startsAt: now - minute,
  endsAt: now + 59 * minute,
};

/** Backups that were begun, and those that were cleared away again. */
export const backups = { begun: 0, cleared: 0 };
async function* fakeBackup({ images }: { readonly images: boolean }): AsyncGenerator<Uint8Array> {
  backups.begun += 1;
  try {
    yield new TextEncoder().encode(`a backup ${images ? 'with' : 'without'} images, `);
    yield new TextEncoder().encode('SHA256SUMS');
  } finally {
    backups.cleared += 1;
  }
}

/** What the probe of 10.0.0.5 finds; 10.0.0.8 tells at which ports it was asked, and there is nothing anywhere else. */
export const probed: Probed = {
  protocol: 'redfish',
  redfish: { url: 'https://10.0.0.5', vendor: 'Remuda', fingerprint: 'cd'.repeat(32), distrust: 'it vouches for itself' },
  ipmi: { url: 'ipmi://10.0.0.5', v20: true, suites: [3, 17], usable: true },
};
const fakeProbe: AdminDeps['probeBmc'] = async ({ host, redfishPort, ipmiPort }) => {
  if (host === '10.0.0.8')
    return {
      protocol: 'redfish',
      redfish: { url: `https://${host}:${redfishPort ?? 'usual'}` },
      ipmi: { url: `ipmi://${host}:${ipmiPort ?? 'usual'}`, v20: true, suites: [17], usable: true },
    };
  if (host === '10.0.0.5') return probed;
  if (host === '10.0.0.6')
    return { protocol: 'ipmi', ipmi: { url: 'ipmi://10.0.0.6', v20: true, suites: [1, 2], usable: false }, note: 'no web' };
  throw new RemudaError('bmc-unreachable', `nothing at ${host} answers as a BMC`);
};

/** A rack with one available host h1, one image, one lease; behind a door with no tokens yet. */
export const fakeDeps = (
  more: Partial<Limits> = {},
): { readonly deps: AdminDeps; readonly rack: FakeRack; readonly desk: FakeDesk; readonly access: ReturnType<typeof fakeAccess> } => {
  const rack = new FakeRack();
  const desk = new FakeDesk();
  const access = fakeAccess(more);
  access.records.entries = () => rack.timelineRows;
  rack.put(readyHost('h1'));
  desk.entries.push(image('debian'));
  return {
    rack,
    desk,
    access,
    deps: {
      ...access.deps,
      rack: rack.port,
      images: desk.port,
      backup: fakeBackup,
      probeBmc: fakeProbe,
      leases: () => [lease],
      status: async () => status,
    },
  };
};
