/** Hosts on the screen: the list, and one host as somebody needs it who was woken because it does not boot. */
import type { DiskJson, HostJson, TimelineRowJson } from '../api/types.ts';
import { labelsText } from './labels.ts';
import { ageText, momentText, plainText, plural, sizeText } from './human.ts';
import type { Style, Tone } from './style.ts';
import { renderDetails, renderTable } from './table.ts';
import type { Cell, Detail } from './table.ts';
import { renderTimeline } from './timeline-view.ts';

/** What a renderer needs besides the data. */
export interface Look {
  readonly style: Style;
  /** ms since 1970 */
  readonly now: number;
  /** There is room for more columns. */
  readonly wide?: boolean;
}

const stateTones: Readonly<Record<HostJson['state'], Tone>> = {
  discovered: 'dim',
  enrolled: 'warn',
  inspecting: 'warn',
  available: 'good',
  provisioning: 'warn',
  provisioned: 'good',
  cleaning: 'warn',
};
type Stated = Pick<HostJson, 'state' | 'held' | 'failed'>;
/** The state with its overlays: `provisioning, failed`. */
export const stateCell = ({ state, held, failed }: Stated): Cell => {
  if (failed !== null) return { text: `${state}, failed${held === null ? '' : ', held'}`, tone: 'bad' };
  if (held !== null) return { text: `${state}, held`, tone: 'warn' };
  return { text: state, tone: stateTones[state] };
};
const powerCell = ({ bmc, facts }: HostJson): Cell => (bmc === null ? { text: 'no BMC', tone: 'dim' } : facts.power);

/** One line per disk: what tells it from its neighbours. */
export const diskText = (disk: DiskJson): string =>
  [
    disk.path,
    sizeText(disk.sizeBytes),
    disk.serial === undefined ? 'no serial' : `serial ${disk.serial}`,
    ...(disk.wwn === undefined ? [] : [`wwn ${disk.wwn}`]),
    ...(disk.model === undefined ? [] : [disk.model]),
  ].join(', ');

/** After a change: its name, its state, what it does now. */
export const renderChanged = (host: HostJson, { style }: Look): string =>
  `${style('bold', plainText(host.name))} is ${host.state}: ${plainText(host.doing)}\n`;

const placeText = ({ rack, unit }: HostJson['profile']): string => (rack === null ? '-' : unit === null ? rack : `${rack}/${unit}`);
const networkText = (network: HostJson['profile']['network']): string => (network === null ? 'by DHCP' : JSON.stringify(network));
const profileDetails = ({ profile }: HostJson): readonly Detail[] => [
  ['pool', profile.pool],
  ...(profile.rack === null ? [] : [['rack', `${profile.rack}${profile.unit === null ? '' : `, unit ${profile.unit}`}`] as const]),
  ...(profile.failureDomain === null ? [] : [['failure domain', profile.failureDomain] as const]),
  ...(Object.keys(profile.labels).length === 0 ? [] : [['labels', labelsText(profile.labels)] as const]),
  ...(profile.note === null ? [] : [['note', profile.note] as const]),
  ...(profile.network === null ? [] : [['network', networkText(profile.network)] as const]),
  ...(profile.dhcp === null ? [] : [['dhcp', JSON.stringify(profile.dhcp)] as const]),
];
/** After a change of what is said of it: all of that. */
export const renderProfile = (host: HostJson, { style }: Look): string =>
  `${style('bold', plainText(host.name))}\n${renderDetails(profileDetails(host), style)}`;

const percent = ({ progress }: Pick<HostJson, 'progress'>): string =>
  progress === null || progress.total <= 0 ? '' : ` (${Math.floor((100 * progress.done) / progress.total)} %)`;

const wideCells = ({ profile, bmc, inventory, macs }: HostJson): readonly Cell[] => [
  profile.pool,
  placeText(profile),
  inventory === null ? '-' : `${inventory.cpu.threads} thr, ${sizeText(inventory.memoryBytes)}`,
  bmc?.protocol ?? '-',
  macs[0] ?? '-',
  Object.keys(profile.labels).length === 0 ? '-' : labelsText(profile.labels),
];
export const renderHosts = (hosts: readonly HostJson[], { style, wide = false }: Look): string =>
  hosts.length === 0
    ? 'No hosts here. A server that asks for an address by DHCP appears by itself; or: remuda host enrol NAME --mac MAC\n'
    : renderTable(
        [
          'name',
          'state',
          'power',
          ...(wide ? ['pool', 'place', 'hardware', 'bmc', 'mac', 'labels'] : []),
          'image',
          'hostname',
          'owner',
          'doing',
        ],
        hosts.map((host): Cell[] => [
          host.name,
          stateCell(host),
          powerCell(host),
          ...(wide ? wideCells(host) : []),
          host.claim === null ? '-' : `${host.claim.image.name} #${host.claim.generation}`,
          host.claim?.hostName ?? '-',
          host.claim?.owner ?? '-',
          `${host.doing}${percent(host)}`,
        ]),
        style,
      );

/** Since when the host does what it does now. */
export const since = (host: HostJson): number => {
  if (host.held !== null) return host.held.at;
  if (host.failed !== null) return host.failed.at;
  if (host.attempt !== null) return host.attempt.since;
  if (host.state === 'available' && host.facts.availableSince !== null) return host.facts.availableSince;
  if (host.state === 'provisioned') return host.facts.phonedHome?.at ?? host.facts.installed?.at ?? host.createdAt;
  const { boot, job } = host;
  const moments = [job?.startedAt, job?.givenAt, boot?.inventoryAt, boot?.agentArrivedAt, boot?.poweredOnAt, boot?.armedAt, boot?.openedAt];
  const known = moments.filter((at): at is number => typeof at === 'number');
  return known.length > 0 ? Math.max(...known) : (host.claim?.createdAt ?? host.release?.at ?? host.createdAt);
};

/** What the person can do now; empty where the host needs nobody. */
export const adviceFor = (host: HostJson): readonly string[] => [
  ...host.identity.proposals.map(({ mac }) => `if it is its own: remuda host mac adopt ${host.name} ${mac}; if not: … mac refuse …`),
  ...stepAdvice(host),
];
const stepAdvice = (host: HostJson): readonly string[] => {
  const { name } = host;
  if (host.held !== null) return [`when the reason is gone: remuda host unhold ${name}`];
  if (host.failed !== null)
    return [
      `when the cause is mended: remuda host retry ${name}`,
      ...(host.claim === null ? [] : [`or give the host back: remuda host release ${name}`]),
    ];
  if (host.boot !== null && host.boot.contestedAt !== null && host.boot.closedAt === null)
    return ['two machines used the ticket of this boot: look for a second server with this MAC'];
  if (host.state === 'discovered') return [`if it is yours: remuda host accept ${name} --bmc-url URL --bmc-username USER`];
  if (host.state === 'available')
    return [
      `it is free: remuda claim create --host ${name} --image NAME`,
      ...(host.reservation === null ? [] : [`while it is kept: … --reuse ${host.reservation.for}; or: remuda host unreserve ${name}`]),
    ];
  if (host.bmc === null && host.state !== 'provisioned' && host.boot?.agentArrivedAt == null)
    return ['it has no BMC: press its power button and let it boot from the network'];
  return [];
};

const bmcDetails = ({ bmc, identified }: HostJson, now: number): readonly Detail[] => {
  if (bmc === null) return [['bmc', { text: 'none: power is yours to press', tone: 'warn' }]];
  const trust = bmc.fingerprint !== null ? `pinned ${bmc.fingerprint.slice(0, 16)}…` : bmc.insecure ? 'ANY certificate accepted' : 'by CA';
  return [
    ['bmc', `${bmc.protocol} ${bmc.url} as ${bmc.username}${bmc.url.startsWith('https:') ? `, ${trust}` : ', not encrypted'}`],
    identified === null
      ? ['', { text: 'it has not answered yet', tone: 'warn' }]
      : [
          '',
          `${[identified.vendor, identified.model, identified.serial].filter((part) => part !== undefined).join(' ')}, ${ageText(identified.at, now)}`,
        ],
  ];
};

const stamp = (at: number | null, now: number): string => (at === null ? 'no' : `${momentText(at)}, ${ageText(at, now)}`);
const bootDetails = ({ boot, bootTries, bmc }: HostJson, now: number): readonly Detail[] => {
  if (boot === null) return [];
  const tries = bootTries === 0 ? '' : `, after ${plural(bootTries, 'boot')} that came to nothing`;
  const details: Detail[] = [['boot', `number ${boot.number}, generation ${boot.generation}${tries}`]];
  details.push(['  opened', stamp(boot.openedAt, now)]);
  if (bmc !== null) details.push(['  boot once set', stamp(boot.armedAt, now)], ['  power on', stamp(boot.poweredOnAt, now)]);
  details.push(['  agent came', stamp(boot.agentArrivedAt, now)], ['  hardware read', stamp(boot.inventoryAt, now)]);
  if (boot.contestedAt !== null) details.push(['  contested', { text: stamp(boot.contestedAt, now), tone: 'bad' }]);
  if (boot.closedAt !== null) details.push(['  closed', stamp(boot.closedAt, now)]);
  return details;
};

const reservationText = ({ for: word, until }: NonNullable<HostJson['reservation']>): string =>
  until === null ? `${word}, from when it is clean` : `${word}, until ${momentText(until)}`;
const claimDetails = ({ claim, release, reservation, facts, job }: HostJson, now: number): readonly Detail[] => {
  const details: Detail[] = [];
  if (claim !== null)
    details.push(
      ['claim', `${claim.id} of ${claim.owner}, ${ageText(claim.createdAt, now)}`],
      ['  image', `${claim.image.name} (${claim.image.digest.slice(0, 19)}…), generation ${claim.generation}`],
      ['  hostname', claim.hostName],
      ['  disk', diskText(claim.disk)],
      ['  user data', claim.hasUserData ? 'yes' : 'no'],
      ['  phone home', claim.phoneHome],
    );
  if (release !== null)
    details.push(
      ['release', `of claim ${release.claimId}, ${ageText(release.at, now)}; to clean: ${diskText(release.disk)}`],
      ['  seen off', release.offAt === null ? { text: 'not yet since the release', tone: 'warn' } : stamp(release.offAt, now)],
    );
  if (reservation !== null) details.push(['kept for', reservationText(reservation)]);
  if (job !== null)
    details.push(['job', `${job.kind} ${job.id}, ${job.startedAt === null ? 'not started' : `started ${ageText(job.startedAt, now)}`}`]);
  const { installed, phonedHome, dirty } = facts;
  if (installed !== null)
    details.push([
      'installed',
      `${installed.digest.slice(0, 19)}…, generation ${installed.generation}, read back ${ageText(installed.at, now)}`,
    ]);
  if (phonedHome !== null)
    details.push(['phoned home', `as ${phonedHome.hostName}, generation ${phonedHome.generation}, ${ageText(phonedHome.at, now)}`]);
  if (dirty !== null) details.push(['written disk', diskText(dirty)]);
  return details;
};

const hardwareDetails = ({ inventory }: HostJson): readonly Detail[] => {
  if (inventory === null) return [['hardware', 'not inspected yet']];
  const { cpu, memoryBytes, disks, nics, gpus = [] } = inventory;
  const what = [inventory.vendor, inventory.product, inventory.serial].filter((part) => part !== undefined);
  return [
    ['hardware', what.length === 0 ? inventory.arch : `${what.join(' ')}, ${inventory.arch}`],
    ['  processor', `${cpu.model}, ${plural(cpu.cores, 'core')}, ${plural(cpu.threads, 'thread')}`],
    ['  memory', sizeText(memoryBytes)],
    ...disks.map((disk): Detail => [
      '  disk',
      `${diskText(disk)}${disk.removable ? ', removable' : ''}${disk.readOnly ? ', read-only' : ''}`,
    ]),
    ...gpus.map(({ address, vendor, device }): Detail => ['  gpu', `${address}, PCI ID ${vendor}:${device}`]),
    ...nics.map((nic): Detail => ['  nic', `${nic.name} ${nic.mac}, link ${nic.linkUp ? 'up' : 'DOWN'}`]),
  ];
};

const why = (host: HostJson, { now }: Look): readonly Detail[] => {
  const { held, failed, attempt } = host;
  const details: Detail[] = [
    ['state', stateCell(host)],
    ['doing', `${host.doing}${percent(host)}`],
    ['since', stamp(since(host), now)],
  ];
  if (failed !== null)
    details.push(['failed', { text: `at ${failed.step} after ${plural(failed.tries, 'try', 'tries')}: ${failed.reason}`, tone: 'bad' }]);
  if (held !== null) details.push(['held', { text: `by ${held.by}: ${held.why}`, tone: 'warn' }]);
  if (attempt !== null && failed === null)
    details.push(['trying', { text: `${attempt.step}, ${plural(attempt.tries, 'try', 'tries')} so far: ${attempt.reason}`, tone: 'warn' }]);
  for (const { mac, uuid, at } of host.identity.proposals)
    details.push(['new nic?', { text: `${mac} was seen with its UUID ${uuid}, ${ageText(at, now)}`, tone: 'warn' }]);
  for (const { what, value, host: other } of host.identity.conflicts)
    details.push(['conflict', { text: `host ${other.name} is said to have the same ${what} ${value}`, tone: 'bad' }]);
  for (const advice of adviceFor(host)) details.push(['next', { text: advice, tone: 'bold' }]);
  return details;
};

/** Why it stands where it stands comes first, then what happened last, then what the host is. */
export const renderHost = (host: HostJson, timeline: readonly TimelineRowJson[], look: Look): string => {
  const { style, now } = look;
  const { facts } = host;
  const about: Detail[] = [
    ['id', host.id],
    ...profileDetails(host),
    ['macs', host.macs.length === 0 ? 'none known' : host.macs.join(', ')],
    ...(host.uuid === null ? [] : [['uuid', host.uuid] as const]),
    ...(host.serial === null ? [] : [['serial', host.serial] as const]),
    ['firmware', host.firmware ?? 'not known yet'],
    ['power', facts.powerAt === 0 ? facts.power : `${facts.power}, seen ${ageText(facts.powerAt, now)}`],
    ...bmcDetails(host, now),
    ...bootDetails(host, now),
    ...claimDetails(host, now),
    ...hardwareDetails(host),
    ['so far', `${plural(facts.bootCount, 'boot')}, ${plural(facts.installCount, 'install')}, ${plural(facts.wipeCount, 'wipe')}`],
  ];
  const last =
    timeline.length === 0 ? '  nothing was seen of this host yet\n' : renderTimeline(timeline, look).replaceAll(/^(?=.)/gm, '  ');
  return [
    `${style('bold', plainText(host.name))}\n`,
    renderDetails(why(host, look), style),
    `\n${style('bold', 'last seen')}  (all of it: remuda host timeline ${plainText(host.name)})\n`,
    last,
    `\n${style('bold', 'the host')}\n`,
    renderDetails(about, style),
  ].join('');
};
