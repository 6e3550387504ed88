/** What the daemon tells of itself: a port is a fact of its socket, and each warning says what to do. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statusJson, warningCodes } from '../src/api/access-types.ts';
import type { WarningJson } from '../src/api/access-types.ts';
import { configSchema } from '../src/config/config.ts';
import type { Daemon } from '../src/daemon.ts';
import type { OtherServer } from '../src/dhcp/others.ts';
import type { HostPort } from '../src/host-ports.ts';
import { statusOf, unreadyOf } from '../src/status.ts';
import type { StatusParts } from '../src/status.ts';
import type { TokenView } from '../src/api/tokens.ts';
import type { LocalAddress } from '../src/world/world.ts';
import { fakeWorld, ip } from './world/fake.ts';
import { MemoryFiles } from './world/memory-files.ts';

const GiB = 1024 ** 3;
const day = 24 * 3600_000;
const ours: LocalAddress = { interface: 'rack0', address: ip('10.77.0.1'), prefix: 24 };
interface Setting {
  /** What is wrong with the Cluster API provider. */
  readonly provider?: string;
  readonly addresses?: readonly LocalAddress[];
  /** Names of ports whose sockets are closed. */
  readonly closed?: readonly HostPort['name'][];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly daemon?: Partial<Daemon>;
  readonly admin?: StatusParts['admin'];
  readonly tokens?: readonly TokenView[];
  /** Of the file system with images and store. */
  readonly space?: { readonly free: number; readonly total: number };
  readonly missing?: string;
}
const programs = ['undionly.kpxe', 'snponly.efi', 'autoexec.ipxe'];
const bytes = new Uint8Array(4);

const partsOf = async (setting: Setting): Promise<StatusParts> => {
  const world = fakeWorld();
  world.addresses = setting.addresses ?? [ours];
  const files = new MemoryFiles();
  await files.makeFolder('/data');
  await files.makeFolder('/agent');
  for (const name of ['vmlinuz', 'initrd.zst']) await files.write(`/agent/${name}`, bytes);
  const { free, total } = setting.space ?? { free: 50 * GiB, total: 100 * GiB };
  files.freeBytes = async () => free;
  files.totalBytes = async () => total;
  const config = configSchema.parse({
    data: '/data',
    keyFile: '/run/credentials/key',
    boot: { agent: '/agent', firmware: '/firmware' },
    subnets: [{ interface: 'rack0', cidr: '10.77.0.0/24', serverAddress: '10.77.0.1', pool: { from: '10.77.0.50', to: '10.77.0.99' } }],
    images: {
      trust: [{ name: 'builders', publicKey: 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=' }],
      requireSignature: true,
    },
    ...setting.config,
  });
  const port = (name: HostPort['name'], number: number): HostPort => ({
    name,
    interface: 'rack0',
    ...(name === 'dhcp' ? {} : { address: ours.address }),
    port: number,
    isOpen: () => !(setting.closed ?? []).includes(name),
  });
  const daemon: Partial<Daemon> = {
    startedAt: world.clock.now(),
    leases: () => [],
    otherServers: () => [],
    ports: () => [port('dhcp', 67), port('tftp', 69), port('boot', 7480), port('agent', 7443)],
    writeFailure: () => undefined,
    programs: new Map(programs.filter((name) => name !== setting.missing).map((name) => [name, bytes])),
    bootFiles: {
      kernel: { sha256: '', name: 'vmlinuz', path: '/agent/vmlinuz', sizeBytes: 4 },
      initrd: { sha256: '', name: 'initrd.zst', path: '/agent/initrd.zst', sizeBytes: 4 },
    },
    records: { newestEntry: async () => 0 } as unknown as Daemon['records'],
    ...setting.daemon,
  };
  const admin = setting.admin ?? [{ at: '/run/r.sock', isListening: () => true }];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the status reads of a daemon
  return {
    world: { ...world, files },
    config,
    daemon: daemon as Daemon,
    version: '0',
    tokens: { list: () => setting.tokens ?? [] },
    admin,
    provider: { problem: () => setting.provider, reading: () => [] },
  };
};

describe('where it listens', () => {
  const all = ['dhcp', 'tftp', 'boot', 'agent', 'admin'];
  const cases: readonly { name: string; setting: Setting; bound: readonly string[]; says?: RegExp }[] = [
    { name: 'all is well', setting: {}, bound: all },
    { name: 'a pulled cable closes nothing', setting: { addresses: [{ ...ours, link: 'no carrier' }] }, bound: all },
    {
      name: 'an interface that was switched off',
      setting: { addresses: [{ ...ours, link: 'down' }] },
      bound: ['admin'],
      says: /rack0 is switched off: ip link set rack0 up/,
    },
    {
      name: 'an address that was taken away',
      setting: { addresses: [] },
      bound: ['dhcp', 'admin'],
      says: /has the address 10\.77\.0\.1 no more/,
    },
    {
      name: 'a socket that is closed',
      setting: { closed: ['tftp'] },
      bound: ['dhcp', 'boot', 'agent', 'admin'],
      says: /restart the daemon/,
    },
  ];
  for (const { name, setting, bound, says } of cases)
    test(name, async () => {
      const parts = await partsOf(setting);
      const { listeners, networks } = statusJson.parse(await statusOf(parts));
      assert.deepEqual(
        listeners.filter((one) => one.bound).map((one) => one.name),
        bound,
      );
      const reasons = (await unreadyOf(parts)).join('\n');
      assert.equal(reasons === '', says === undefined, reasons);
      if (says !== undefined) assert.match(reasons, says);
      assert.equal(networks[0]?.address, setting.addresses?.length === 0 ? null : '10.77.0.1');
    });
});

const token: TokenView = { id: 'a', name: 'ci', role: 'viewer', createdAt: 0, expiresAt: null, revokedAt: null, lastUsedAt: null };
const other: OtherServer = { address: ip('10.77.0.9'), interface: 'rack0', how: 'offered to us', firstAt: 0, lastAt: 0 };
const tcp = (certificateUntil?: number): StatusParts['admin'] => [
  { at: '/run/r.sock', isListening: () => true },
  { at: '10.77.0.1:7471', isListening: () => true, ...(certificateUntil === undefined ? {} : { certificateUntil }) },
];
describe('what it warns of', () => {
  const soon = fakeWorld().clock.now() + 20 * day;
  const cases: readonly { code: WarningJson['code']; level?: WarningJson['level']; setting: Setting; next: RegExp }[] = [
    { code: 'write-failed', setting: { daemon: { writeFailure: () => 'no room' } }, next: /no room; make room/ },
    { code: 'certificate-ends', setting: { admin: tcp(soon), tokens: [token] }, next: /ends on 2026-01-21: renew its file/ },
    { code: 'no-token', setting: { admin: tcp(), tokens: [{ ...token, revokedAt: 1 }] }, next: /remuda token create/ },
    {
      code: 'provider-not-working',
      setting: { provider: 'the kubeconfig /k is not there' },
      next: /does nothing now: the kubeconfig \/k is not there; hosts are served/,
    },
    {
      code: 'clock-set-back',
      setting: {
        daemon: {
          records: {
            newestEntry: async () => 1,
            journal: async () => [{ seq: 1, hostId: 'h', kind: 'state', boot: 0, text: '', at: fakeWorld().clock.now() + day }],
          } as unknown as Daemon['records'],
        },
      },
      next: /set back by 86400 s: .* NTP/,
    },
    { code: 'no-carrier', setting: { addresses: [{ ...ours, link: 'no carrier' }] }, next: /rack0 has no carrier: plug its cable in/ },
    {
      code: 'boot-program-missing',
      setting: { missing: 'snponly.efi' },
      next: /snponly\.efi is missing at \/firmware\/snponly\.efi: .*put it there/,
    },
    {
      code: 'other-dhcp-server',
      setting: { daemon: { otherServers: () => [other] } },
      next: /10\.77\.0\.9, answers at rack0: .*switch it off/,
    },
    {
      code: 'disk-nearly-full',
      setting: { space: { free: 9 * GiB, total: 100 * GiB } },
      next: /only 9\.0 GiB of 100\.0 GiB .*remuda image gc/,
    },
    { code: 'disk-nearly-full', setting: { space: { free: 1.5 * GiB, total: 4 * GiB } }, next: /only 1\.5 GiB of 4\.0 GiB/ },
    {
      code: 'unsigned-images',
      level: 'information',
      setting: { config: { images: {} } },
      next: /set images\.trust and images\.requireSignature/,
    },
    {
      code: 'key-beside-database',
      level: 'information',
      setting: { config: { keyFile: '/data/keys/one' } },
      next: /at \/data\/keys\/one.*keyFile/,
    },
  ];
  test('of nothing where all is well', async () => {
    assert.deepEqual((await statusOf(await partsOf({ admin: tcp(soon + 11 * day), tokens: [token] }))).warnings, []);
  });
  test('each of its codes is tried here', () => {
    assert.deepEqual([...new Set(cases.map(({ code }) => code))].toSorted(), [...warningCodes].toSorted());
  });
  for (const { code, level = 'warning', setting, next } of cases)
    test(`${code}: ${next.source}`, async () => {
      const { warnings } = statusJson.parse(await statusOf(await partsOf(setting)));
      assert.deepEqual(
        warnings.map((one) => [one.code, one.level]),
        [[code, level]],
      );
      assert.match(warnings[0]?.text ?? '', next);
    });
});
