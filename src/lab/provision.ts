/** The main job, once through: enrol every server, claim each when it was inspected, follow until all phoned home. */
import type { HostJson } from '../api/types.ts';
import type { LabWorld } from '../world/lab-world.ts';
import type { Terminal } from '../world/terminal.ts';
import type { Crew } from './crew.ts';
import { cut, hostBar, timelineLine } from './show.ts';

const pollMs = 250;
export interface ProvisionOptions {
  /** Names, one for each host of the rack. */
  readonly images: readonly string[];
  readonly withinMs: number;
  /** Timeline lines and bars; nothing where the output is for machines. */
  readonly show: Pick<Terminal, 'error' | 'errorIsTty' | 'columns'> | undefined;
  readonly since: number;
  readonly interrupt: AbortSignal;
}

/** Lines above, bars below: the bars are drawn anew after each batch of lines. */
const screenOf = (show: ProvisionOptions['show']): ((lines: readonly string[], bars: readonly string[]) => void) => {
  let drawn = 0;
  return (lines, bars) => {
    if (show === undefined) return;
    if (!show.errorIsTty) return show.error(lines.map((line) => `${line}\n`).join(''));
    const up = drawn === 0 ? '' : `\u001B[${drawn}A\u001B[J`;
    show.error(up + [...lines, ...bars].map((line) => `${cut(line, show.columns)}\n`).join(''));
    drawn = bars.length;
  };
};

/** Resolves with the hosts as they are when all have phoned home, when one has failed for good, or when the time is over. */
export const provisionAll = async (lab: LabWorld, crew: Crew, options: ProvisionOptions): Promise<readonly HostJson[]> => {
  const { admin, rack } = crew;
  for (const { name, mac, firmware, bmc } of rack.hosts) await admin.enrol({ name, macs: [mac], firmware, bmc });
  const after = new Map<string, number>();
  const claimed = new Set<string>();
  const draw = screenOf(options.show);
  const until = lab.clock.now() + options.withinMs;
  for (;;) {
    const hosts = await admin.hosts();
    const lines: string[] = [];
    for (const host of hosts) {
      const { items, next } = await admin.timeline(host.name, after.get(host.name) ?? 0);
      after.set(host.name, next);
      lines.push(...items.map((row) => timelineLine(host.name, row, options.since)));
      if (host.state !== 'available' || claimed.has(host.name)) continue;
      const image = options.images[rack.hosts.findIndex(({ name }) => name === host.name)];
      const wanted = `${host.name}-lab`;
      await admin.claim({
        id: `lab-${host.name}`,
        owner: 'lab',
        host: host.name,
        image,
        disk: { serial: `REMUDA-${host.name}-d0` },
        // cloud-init phones home with the name of its meta-data; tiny with the one of the user data, and so shows that it read them.
        hostName: image === 'debian' ? wanted : host.name,
        userData: `#cloud-config\nhostname: ${wanted}\n`,
      });
      claimed.add(host.name);
    }
    draw(
      lines,
      hosts.map((host) => hostBar(host, options.show?.columns)),
    );
    const over = hosts.every(
      (host) => (host.state === 'provisioned' && host.facts.phonedHome !== null) || host.failed !== null || host.held !== null,
    );
    if (over || lab.clock.now() > until || options.interrupt.aborted) return hosts;
    await lab.clock.sleep(pollMs);
  }
};
