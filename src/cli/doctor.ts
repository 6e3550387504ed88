/** What usually goes wrong, looked at in one go: pure from what the daemon says to findings, each with what to do. */
import type { HostJson, ImageJson } from '../api/types.ts';
import type { StatusJson } from '../api/access-types.ts';
import { ageText, durationText, plainText, plural, sizeText } from './human.ts';
import type { Style, Tone } from './style.ts';

export interface Finding {
  readonly level: 'ok' | 'warn' | 'bad';
  readonly what: string;
  /** What to do about it. */
  readonly next?: string;
}
export interface Seen {
  readonly status: StatusJson;
  readonly hosts: readonly HostJson[];
  readonly images: readonly ImageJson[];
  /** The clock of the person's machine, ms since 1970. */
  readonly now: number;
}

const ok = (what: string): Finding => ({ level: 'ok', what });
const warn = (what: string, next: string): Finding => ({ level: 'warn', what, next });
const bad = (what: string, next: string): Finding => ({ level: 'bad', what, next });

/** Before this the clock was never set: no such daemon existed. */
const firstYearAt = Date.UTC(2025, 0, 1);
const clockOffMs = 60_000;
const clock = ({ status, now }: Seen): readonly Finding[] => {
  if (status.now < firstYearAt)
    return [
      bad(
        `the daemon\u2019s clock says ${new Date(status.now).toISOString()}`,
        'set the clock of its machine (NTP): leases and tickets end by it',
      ),
    ];
  const off = Math.abs(status.now - now);
  return off > clockOffMs
    ? [
        warn(
          `the daemon\u2019s clock and this one are ${durationText(off)} apart`,
          'set both by NTP, or the times you read are not the times you think',
        ),
      ]
    : [ok('the clock is right')];
};

const listeners = ({ status }: Seen): readonly Finding[] => {
  const missing = status.listeners.filter((one) => !one.bound);
  if (missing.length === 0 && status.listeners.length > 0)
    return [ok(`listens: ${status.listeners.map((one) => `${one.name} ${one.at}`).join(', ')}`)];
  if (status.listeners.length === 0)
    return [bad('the daemon listens on nothing', 'look at the interfaces and addresses in its configuration')];
  return missing.map((one) =>
    bad(
      `${one.name} is not bound to ${one.at}${one.reason === undefined ? '' : `: ${one.reason}`}`,
      'see who has that port (ss -lunpt), and that the daemon may bind it (CAP_NET_BIND_SERVICE)',
    ),
  );
};

/** Above this share a pool is about to refuse the next host. */
const poolFullShare = 0.9;
type Network = StatusJson['networks'][number];
const servedNetwork = ({ interface: name, subnet, address, relayed, poolAddresses, leasedAddresses }: Network): Finding => {
  if (address === null)
    return bad(
      relayed === true ? `${name} has not the address by which hosts of ${subnet} reach us` : `${name} has no address in ${subnet}`,
      `give it one (ip address add … dev ${name}), or mend the subnet in the configuration`,
    );
  if (leasedAddresses >= poolAddresses * poolFullShare)
    return warn(
      `${leasedAddresses} of ${poolAddresses} addresses of ${subnet} are leased`,
      'make the pool larger before the next host finds none: remuda lease list',
    );
  const through = relayed === true ? ' through relays' : '';
  return ok(`${name} serves ${subnet}${through} as ${address}, ${leasedAddresses} of ${poolAddresses} addresses leased`);
};
/** The commonest reason why a server boots something else: somebody answered first. */
const otherServers = ({ interface: name, otherServers: others = [] }: Network, now: number): readonly Finding[] =>
  others.map(({ address, mac, how, lastAt, bootFile }) =>
    warn(
      `another DHCP server, ${address}${mac === undefined ? '' : ` (${mac})`}, is heard at ${name}: ${how} ${ageText(lastAt, now)}${bootFile === undefined ? '' : `, boot file ${bootFile}`}`,
      `switch it off or keep it out of this network: hosts that take its answer do not boot from us${mac === undefined ? '' : `; find its port by its MAC: ${mac}`}`,
    ),
  );
const networks = ({ status }: Seen): readonly Finding[] => {
  if (status.networks.length === 0) return [bad('no network is served', 'name an interface and a subnet in the configuration')];
  return status.networks.flatMap((network) => [servedNetwork(network), ...otherServers(network, status.now)]);
};

const purposes = { boot: 'boot files', agent: 'kernel and ramdisk of the agent' } as const;
const files = ({ status }: Seen): readonly Finding[] =>
  (['boot', 'agent'] as const).flatMap((purpose) => {
    const wanted = status.files.filter((file) => file.purpose === purpose);
    const missing = wanted.filter((file) => !file.present || file.sizeBytes === 0);
    if (wanted.length > 0 && missing.length === 0) return [ok(`${purposes[purpose]}: ${wanted.map((file) => file.name).join(', ')}`)];
    const next =
      purpose === 'boot'
        ? 'no server gets past its firmware: see firmware/README.md'
        : 'no host can be inspected or installed: images/build.sh ramdisk';
    if (wanted.length === 0) return [bad(`the daemon names no ${purposes[purpose]}`, next)];
    return missing.map((file) => bad(`${file.path} is ${file.present ? 'empty' : 'missing'}`, next));
  });

const freeBytesMin = 2 * 1024 ** 3;
const images = ({ images: all, status }: Seen): readonly Finding[] => [
  all.length === 0 ? warn('there is no image yet', 'remuda image import FILE --name NAME') : ok(plural(all.length, 'image')),
  ...all
    .filter((image) => image.firmware.length === 0)
    .map((image) =>
      warn(
        `image ${image.name} has neither a BIOS boot sector nor an EFI partition`,
        'it will probably not boot: look at how it was built',
      ),
    ),
  ...(status.freeBytes < freeBytesMin
    ? [warn(`only ${sizeText(status.freeBytes)} are free where images and the store live`, 'make room: remuda image remove NAME')]
    : []),
];

const states = (hosts: readonly HostJson[]): string =>
  [...new Set(hosts.map((host) => host.state))]
    .map((state) => `${hosts.filter((host) => host.state === state).length} ${state}`)
    .join(', ');
const hosts = ({ hosts: all, status }: Seen): readonly Finding[] => {
  if (all.length === 0)
    return [warn('no host was ever seen', 'power a server on and let it boot from the network, or: remuda host enrol NAME --mac MAC')];
  return [
    ok(`${plural(all.length, 'host')}: ${states(all)}`),
    ...all.flatMap((host): Finding[] => {
      const { name, held, failed, bmc } = host;
      const found: Finding[] = [];
      if (failed !== null)
        found.push(
          bad(
            `host ${name} failed at ${failed.step} ${ageText(failed.at, status.now)}: ${failed.reason}`,
            `mend the cause, then: remuda host retry ${name}`,
          ),
        );
      if (held !== null)
        found.push(
          warn(`host ${name} is held by ${held.by} since ${durationText(status.now - held.at)}: ${held.why}`, `remuda host unhold ${name}`),
        );
      if (bmc === null && host.state !== 'discovered')
        found.push(
          warn(`host ${name} has no BMC`, 'somebody must press its power button for each step: forget it and enrol it with --bmc-url'),
        );
      if (bmc !== null && bmc.insecure)
        found.push(
          warn(
            `the BMC of host ${name} may show any certificate`,
            'enrol it with --bmc-fingerprint: whoever answers there gets its password',
          ),
        );
      if (bmc !== null && bmc.url.startsWith('http:'))
        found.push(warn(`the password of host ${name}\u2019s BMC goes over the network in plain text`, 'use https:// for it'));
      return found;
    }),
  ];
};

/** All findings, in the order in which a boot needs what they look at. */
export const diagnose = (seen: Seen): readonly Finding[] => [
  ok(`the daemon answers: version ${seen.status.version}, up for ${durationText(seen.status.now - seen.status.startedAt)}`),
  ...clock(seen),
  ...listeners(seen),
  ...networks(seen),
  ...files(seen),
  ...images(seen),
  ...hosts(seen),
  ...seen.status.warnings.map((text) => warn(text, 'the daemon\u2019s log says more')),
];

const marks: Readonly<Record<Finding['level'], readonly [text: string, tone: Tone]>> = {
  ok: ['ok  ', 'good'],
  warn: ['warn', 'warn'],
  bad: ['BAD ', 'bad'],
};
export const renderFindings = (findings: readonly Finding[], style: Style): string => {
  const lines = findings.map(({ level, what, next }) => {
    const [text, tone] = marks[level];
    return `${style(tone, text)}  ${plainText(what)}\n${next === undefined ? '' : `      ${style('bold', plainText(next))}\n`}`;
  });
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const [wrong, doubtful] = [count('bad'), count('warn')];
  const verdict = wrong + doubtful === 0 ? style('good', 'nothing is wrong') : `${wrong} wrong, ${plural(doubtful, 'warning')}`;
  return `${lines.join('')}\n${verdict}\n`;
};
