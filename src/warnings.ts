/** What the daemon finds wrong with itself and its surroundings, or worth knowing: each a plain sentence with what to do. */
import type { StatusJson, WarningJson } from './api/access-types.ts';
import type { StatusParts } from './status.ts';

const dayMs = 24 * 3600_000;
const certificateWarningMs = 30 * dayMs;
/** A clock may be set by so much without anybody minding. */
const clockBackMs = 60_000;
/** Images are large: below one of these the next import may not fit. */
const freeBytesMin = 2 * 1024 ** 3;
const freeShareMin = 0.1;

const dateText = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const gibText = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
const wrong = (code: WarningJson['code'], text: string): WarningJson => ({ level: 'warning', code, text });
const known = (code: WarningJson['code'], text: string): WarningJson => ({ level: 'information', code, text });

type Warnings = readonly WarningJson[];
const writing = ({ daemon }: StatusParts): Warnings => {
  const failure = daemon.writeFailure();
  return failure === undefined
    ? []
    : [wrong('write-failed', `the last change could not be kept: ${failure}; make room or mend the disk of the store, steps wait for it`)];
};
const certificates = ({ world, admin }: StatusParts): Warnings =>
  admin.flatMap(({ at, certificateUntil }) => {
    if (certificateUntil === undefined || certificateUntil - world.clock.now() > certificateWarningMs) return [];
    const ends = certificateUntil <= world.clock.now() ? 'ended on' : 'ends on';
    const text = `the certificate of the API at ${at} ${ends} ${dateText(certificateUntil)}: renew its file and restart the daemon`;
    return [wrong('certificate-ends', text)];
  });
const tokens = ({ world, admin, tokens: book }: StatusParts): Warnings => {
  const good = book.list().filter(({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt ?? Infinity) > world.clock.now());
  if (admin.length < 2 || good.length > 0) return [];
  return [
    wrong(
      'no-token',
      'the API listens on TCP, and no token is good: nobody can come in there. Make one over the socket: remuda token create',
    ),
  ];
};
/** Entries of the journal that are younger than now: somebody set the clock back, and leases and tickets live longer than they should. */
const clock = async ({ world, daemon }: StatusParts): Promise<Warnings> => {
  const newest = await daemon.records.newestEntry();
  const [entry] = newest === 0 ? [] : await daemon.records.journal({ after: newest - 1, most: 1 });
  if (entry === undefined || entry.at - world.clock.now() < clockBackMs) return [];
  const seconds = Math.round((entry.at - world.clock.now()) / 1000);
  return [
    wrong(
      'clock-set-back',
      `the clock was set back by ${seconds} s: leases and tickets seem younger than they are; keep it right by NTP, and restart the daemon where it stays so`,
    ),
  ];
};
const links = ({ world, config }: StatusParts): Warnings => {
  const served = new Set(config.subnets.map((subnet) => subnet.interface));
  const dark = world.net.localAddresses().filter(({ interface: name, link }) => served.has(name) && link === 'no carrier');
  return [...new Set(dark.map((one) => one.interface))].map((name) =>
    wrong(
      'no-carrier',
      `${name} has no carrier: plug its cable in, or switch on what is at its other end; no host there can boot meanwhile`,
    ),
  );
};
const programs = (files: StatusJson['files']): Warnings =>
  files
    .filter(({ purpose, present }) => purpose === 'boot' && !present)
    .map(({ name, path }) =>
      wrong(
        'boot-program-missing',
        `the boot program ${name} is missing at ${path}: hosts that load it first do not boot from us; put it there (firmware/README.md) and restart the daemon`,
      ),
    );
const others = ({ daemon }: StatusParts): Warnings =>
  daemon
    .otherServers()
    .map(({ address, mac, interface: name }) =>
      wrong(
        'other-dhcp-server',
        `another DHCP server, ${address}${mac === undefined ? '' : ` (${mac})`}, answers at ${name}: hosts that believe it do not boot from us; switch it off, or keep it out of this network`,
      ),
    );
const room = async ({ world, config }: StatusParts, freeBytes: number): Promise<Warnings> => {
  const totalBytes = await world.files.totalBytes(config.data);
  if (freeBytes >= freeBytesMin && freeBytes >= totalBytes * freeShareMin) return [];
  const text = `only ${gibText(freeBytes)} of ${gibText(totalBytes)} are free for images and the store at ${config.data}: make room by remuda image gc, remuda image remove NAME, or a larger disk`;
  return [wrong('disk-nearly-full', text)];
};
const choices = ({ config }: StatusParts): Warnings => [
  ...(config.images.requireSignature
    ? []
    : [
        known(
          'unsigned-images',
          'images need no signature, so that whoever may import one decides what hosts run; to require one, set images.trust and images.requireSignature (remuda image key generate makes a key)',
        ),
      ]),
  ...(config.keyFile !== undefined && !config.keyFile.startsWith(`${config.data}/`)
    ? []
    : [
        known(
          'key-beside-database',
          `the key that seals the secrets lies beside the database, at ${config.keyFile ?? `${config.data}/key`}, so that who takes the disk has both; to part them, move it elsewhere and name it as keyFile`,
        ),
      ]),
];

/** `seen`: what was read for the same status. */
const provider = ({ provider: here }: StatusParts): Warnings => {
  const problem = here?.problem();
  return problem === undefined
    ? []
    : [
        wrong(
          'provider-not-working',
          `the Cluster API provider does nothing now: ${problem}; hosts are served meanwhile, and it goes on by itself`,
        ),
      ];
};

export const warningsOf = async (parts: StatusParts, seen: Pick<StatusJson, 'files' | 'freeBytes'>): Promise<WarningJson[]> => [
  ...writing(parts),
  ...certificates(parts),
  ...tokens(parts),
  ...provider(parts),
  ...(await clock(parts)),
  ...links(parts),
  ...programs(seen.files),
  ...others(parts),
  ...(await room(parts, seen.freeBytes)),
  ...choices(parts),
];
