/** What usually goes wrong, looked at in one go: pure from what the daemon says to findings, each with what to do. */
import type { HostJson, ImageJson } from '../api/types.ts';
import type { StatusJson } from '../api/access-types.ts';
import { ageText, durationText, plainText, plural, sizeText } from './human.ts';
import { bad, ok, warn } from './finding.ts';
import type { Finding } from './finding.ts';
import { hostFindings } from './doctor-hosts.ts';
import type { Style, Tone } from './style.ts';

export interface Seen {
  readonly status: StatusJson;
  readonly hosts: readonly HostJson[];
  readonly images: readonly ImageJson[];
  /** The clock of the person's machine, ms since 1970. */
  readonly now: number;
}

/** Before this the clock was never set: no such daemon existed. */
const firstYearAt = Date.UTC(2025, 0, 1);
const clockOffMs = 60_000;
const clock = ({ status, now }: Seen): readonly Finding[] => {
  if (status.now < firstYearAt)
    return [
      bad(
        `the daemon\u2019s clock says ${new Date(status.now).toISOString()}`,
        'leases, tickets, tokens and certificates end by it',
        'set the clock of its machine by NTP',
      ),
    ];
  const off = Math.abs(status.now - now);
  return off > clockOffMs
    ? [
        warn(
          `the daemon\u2019s clock and this one are ${durationText(off)} apart`,
          'the times that you read are not the times that you think',
          'set both by NTP',
        ),
      ]
    : [ok('the clock is right')];
};

const listeners = ({ status }: Seen): readonly Finding[] => {
  const missing = status.listeners.filter((one) => !one.bound);
  if (missing.length === 0 && status.listeners.length > 0)
    return [ok(`listens: ${status.listeners.map((one) => `${one.name} ${one.at}`).join(', ')}`)];
  if (status.listeners.length === 0)
    return [
      bad('the daemon listens on nothing', 'no host and no person reaches it', 'look at the interfaces and addresses in its configuration'),
    ];
  return missing.map((one) =>
    bad(
      `${one.name} is not bound to ${one.at}${one.reason === undefined ? '' : `: ${one.reason}`}`,
      one.name === 'api' || one.name === 'admin'
        ? 'people and programs do not reach the API there'
        : 'hosts that boot from there get no answer',
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
      'hosts there are told to come to an address where nobody is',
      `give it one (ip address add … dev ${name}), or mend the subnet in the configuration`,
    );
  if (leasedAddresses >= poolAddresses * poolFullShare)
    return warn(
      `${leasedAddresses} of ${poolAddresses} addresses of ${subnet} are leased`,
      'the next host will find no address, and does not boot',
      'make the pool larger (subnets[].pool, then: remuda reload); see who has them: remuda lease list',
    );
  const through = relayed === true ? ' through relays' : '';
  return ok(`${name} serves ${subnet}${through} as ${address}, ${leasedAddresses} of ${poolAddresses} addresses leased`);
};
/** The commonest reason why a server boots something else: somebody answered first. */
const otherServers = ({ interface: name, otherServers: others = [] }: Network, now: number): readonly Finding[] =>
  others.map(({ address, mac, how, lastAt, bootFile }) =>
    warn(
      `another DHCP server, ${address}${mac === undefined ? '' : ` (${mac})`}, is heard at ${name}: ${how} ${ageText(lastAt, now)}${bootFile === undefined ? '' : `, boot file ${bootFile}`}`,
      'hosts that take its answer do not boot from us',
      `switch it off or keep it out of this network${mac === undefined ? '' : `; find its port by its MAC: ${mac}`}`,
    ),
  );
const networks = ({ status }: Seen): readonly Finding[] => {
  if (status.networks.length === 0)
    return [bad('no network is served', 'nothing can boot', 'name an interface and a subnet in the configuration')];
  return status.networks.flatMap((network) => [servedNetwork(network), ...otherServers(network, status.now)]);
};

const purposes = { boot: 'boot files', agent: 'kernel and ramdisk of the agent' } as const;
const files = ({ status }: Seen): readonly Finding[] =>
  (['boot', 'agent'] as const).flatMap((purpose) => {
    const wanted = status.files.filter((file) => file.purpose === purpose);
    const missing = wanted.filter((file) => !file.present || file.sizeBytes === 0);
    if (wanted.length > 0 && missing.length === 0) return [ok(`${purposes[purpose]}: ${wanted.map((file) => file.name).join(', ')}`)];
    const [why, next] =
      purpose === 'boot'
        ? ['no server gets past its firmware', 'see firmware/README.md']
        : ['no host can be inspected or installed', 'images/build.sh ramdisk'];
    if (wanted.length === 0) return [bad(`the daemon names no ${purposes[purpose]}`, why, next)];
    return missing.map((file) => bad(`${file.path} is ${file.present ? 'empty' : 'missing'}`, why, next));
  });

const freeBytesMin = 2 * 1024 ** 3;
const images = ({ images: all, status }: Seen): readonly Finding[] => [
  all.length === 0
    ? warn('there is no image yet', 'a claim needs one', 'remuda image import FILE --name NAME')
    : ok(plural(all.length, 'image')),
  ...all
    .filter((image) => image.firmware.length === 0)
    .map((image) =>
      warn(
        `image ${image.name} has neither a BIOS boot sector nor an EFI partition`,
        'it will probably not boot',
        'look at how it was built',
      ),
    ),
  ...(status.freeBytes < freeBytesMin
    ? [
        warn(
          `only ${sizeText(status.freeBytes)} are free where images and the store live`,
          'without room no state of a host can be kept, and steps stop',
          'make room: remuda image remove NAME, remuda image gc',
        ),
      ]
    : []),
];

/** The daemon's own words, but for what was said of them above, and better. */
const own = ({ status }: Seen): readonly Finding[] =>
  status.warnings
    .filter(
      ({ code }) =>
        code !== 'boot-program-missing' &&
        code !== 'other-dhcp-server' &&
        !(code === 'disk-nearly-full' && status.freeBytes < freeBytesMin),
    )
    .map(({ level, text }) => ({ level: level === 'warning' ? 'warn' : 'note', what: text }));

/** All findings, in the order in which a boot needs what they look at. */
export const diagnose = (seen: Seen): readonly Finding[] => [
  ok(`the daemon answers: version ${seen.status.version}, up for ${durationText(seen.status.now - seen.status.startedAt)}`),
  ...clock(seen),
  ...listeners(seen),
  ...networks(seen),
  ...files(seen),
  ...images(seen),
  ...hostFindings(seen),
  ...own(seen),
];

const marks: Readonly<Record<Finding['level'], readonly [text: string, tone: Tone]>> = {
  ok: ['ok  ', 'good'],
  note: ['note', 'dim'],
  warn: ['warn', 'warn'],
  bad: ['BAD ', 'bad'],
};
export const renderFindings = (findings: readonly Finding[], style: Style): string => {
  const lines = findings.map(({ level, what, why, next }) => {
    const [text, tone] = marks[level];
    const reason = why === undefined ? '' : `      ${plainText(why)}\n`;
    return `${style(tone, text)}  ${plainText(what)}\n${reason}${next === undefined ? '' : `      ${style('bold', plainText(next))}\n`}`;
  });
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const [wrong, doubtful] = [count('bad'), count('warn')];
  const verdict = wrong + doubtful === 0 ? style('good', 'nothing is wrong') : `${wrong} wrong, ${plural(doubtful, 'warning')}`;
  return `${lines.join('')}\n${verdict}\n`;
};
