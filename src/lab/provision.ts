/** The main job, once through: enrol every server, claim each when it was inspected, follow until all phoned home. */
import type { HostJson } from '../api/types.ts';
import type { LabWorld } from '../world/lab-world.ts';
import type { Admin } from './admin.ts';
import type { Crew } from './crew.ts';
import type { Place } from './place.ts';
import type { HostResult } from './show.ts';
import { followHosts, screenOf } from './news.ts';
import type { Show } from './news.ts';
import { hostBar, resultOf } from './show.ts';

const pollMs = 250;
export interface ProvisionOptions {
  /** Names, one for each host of the rack. */
  readonly images: readonly string[];
  readonly withinMs: number;
  readonly show: Show;
  readonly since: number;
  readonly interrupt: AbortSignal;
}

/** The name in a host's user data, which nothing else tells it. */
const wantedName = (host: string): string => `${host}-lab`;
/** Also plain YAML: no colon. */
const readLine = (host: string): string => `${wantedName(host)} has read the user data that the laboratory gave it`;
/**
 * cloud-init phones home with the name of its meta-data, so a debian host shows on its console that it read its user data; tiny phones home
 * with the name of the user data.
 */
const userDataOf = (host: string, image: string | undefined): string =>
  [
    '#cloud-config',
    `hostname: ${wantedName(host)}`,
    ...(image === 'debian' ? ['runcmd:', `  - echo "${readLine(host)}" >/dev/ttyS0`] : []),
    '',
  ].join('\n');

/** The hosts that wait for a claim are given one; `claimed` remembers which. */
const claimAll = async (
  { admin, rack }: Crew,
  hosts: readonly HostJson[],
  images: readonly string[],
  claimed: Set<string>,
): Promise<void> => {
  for (const { name, state } of hosts) {
    if (state !== 'available' || claimed.has(name)) continue;
    const image = images[rack.hosts.findIndex((one) => one.name === name)];
    await admin.claim({
      id: `lab-${name}`,
      owner: 'lab',
      host: name,
      image,
      disk: { serial: `REMUDA-${name}-d0` },
      hostName: image === 'debian' ? wantedName(name) : name,
      userData: userDataOf(name, image),
    });
    claimed.add(name);
  }
};

const isOver = ({ state, facts, failed, held }: HostJson): boolean =>
  (state === 'provisioned' && facts.phonedHome !== null) || failed !== null || held !== null;

/** Resolves with the hosts as they are when all have phoned home, when one has failed for good, or when the time is over. */
export const provisionAll = async (lab: LabWorld, crew: Crew, options: ProvisionOptions): Promise<readonly HostJson[]> => {
  const { admin, rack } = crew;
  const { since, show } = options;
  for (const { name, mac, firmware, bmc } of rack.hosts) await admin.enrol({ name, macs: [mac], firmware, bmc });
  const claimed = new Set<string>();
  const draw = screenOf(show);
  const look = followHosts(lab, admin, { since, show, isOver });
  const until = lab.clock.now() + options.withinMs;
  for (;;) {
    const { hosts, lines } = await look();
    await claimAll(crew, hosts, options.images, claimed);
    draw(
      lines,
      hosts.map((host) => hostBar(host, show?.columns)),
    );
    if (hosts.every(isOver) || lab.clock.now() > until || options.interrupt.aborted) return hosts;
    await lab.clock.sleep(pollMs);
  }
};

/** What was observed of each, also whether it read its user data. */
export const resultsOf = async (
  lab: LabWorld,
  admin: Admin,
  { folder }: Place,
  hosts: readonly HostJson[],
): Promise<readonly HostResult[]> => {
  const leases = await admin.leases();
  const results: HostResult[] = [];
  for (const host of hosts) {
    const log = `${folder}/${host.name}/serial.log`;
    const console = (await lab.files.stat(log)) === undefined ? '' : Buffer.from(await lab.files.read(log)).toString('latin1');
    const wanted = wantedName(host.name);
    const named = host.facts.phonedHome?.hostName === wanted && host.claim?.hostName !== wanted;
    results.push(resultOf(host, leases, named || console.includes(readLine(host.name))));
  }
  return results;
};
