/** What a person sees of the laboratory: a bar for each host, and every line of every timeline. Pure. */
import type { HostJson, LeaseJson, TimelineRowJson } from '../api/types.ts';

const barCells = 24;
/** How far along the whole way a host is, 0 to 1; the agent's own progress fills its part. */
const share = (host: HostJson): number => {
  if (host.state === 'provisioned') return 1;
  const inspected = host.claim !== null || host.state === 'available';
  if (!inspected) return host.boot?.agentArrivedAt != null ? 0.3 : host.boot?.poweredOnAt != null ? 0.1 : 0.02;
  if (host.facts.installed !== null) return 0.8;
  const done = host.progress === null || host.progress.total === 0 ? 0 : host.progress.done / host.progress.total;
  return 0.35 + 0.35 * (host.progress?.step === 'write' ? done * 0.7 : host.progress === null ? 0 : 0.7 + done * 0.3);
};

/** To the width of the terminal, where there is one that tells. */
export const cut = (line: string, columns: number | undefined): string =>
  columns === undefined || columns < 20 ? line : line.slice(0, columns - 1);

/** `h1  bios  [########----------------]  33 %  provisioning: write 40 %`, cut to the terminal. */
export const hostBar = (host: HostJson, columns: number | undefined): string => {
  const cells = Math.round(share(host) * barCells);
  const { progress, failed } = host;
  const detail =
    failed !== null
      ? `FAILED: ${failed.reason}`
      : progress !== null && progress.total > 0
        ? `${progress.step} ${Math.floor((100 * progress.done) / progress.total)} %`
        : host.doing;
  const firmware = (host.firmware ?? '?').padEnd(4);
  const line = `${host.name.padEnd(4)} ${firmware} [${'#'.repeat(cells)}${'-'.repeat(barCells - cells)}] ${String(Math.round(share(host) * 100)).padStart(3)} %  ${host.state}: ${detail}`;
  return cut(line, columns);
};

/** `   4.2 s  h1  boot 1 opened` */
export const timelineLine = (host: string, row: TimelineRowJson, since: number): string =>
  `${((row.at - since) / 1000).toFixed(1).padStart(7)} s  ${host.padEnd(4)} ${row.text}`;

/** `  45.0 s  h2   waits: provisioning: waiting for the agent`: no news since long. */
export const waitingLine = (host: HostJson, ms: number): string =>
  `${(ms / 1000).toFixed(1).padStart(7)} s  ${host.name.padEnd(4)} (no news; ${host.state}: ${host.doing})`;

export interface HostResult {
  readonly name: string;
  readonly bmc: string;
  readonly firmware: string;
  readonly address: string | null;
  readonly state: string;
  readonly imageDigest: string | null;
  readonly hostname: string | null;
  /** The OS showed what stands in its user data and nowhere else. */
  readonly userDataRead: boolean;
  /** Why it stopped. */
  readonly failed: string | null;
  readonly seconds: number | null;
}
/** What was observed: the address it was given, the digest that the agent read back, the name that the OS phoned home with, the time from enrolment to that call. */
export const resultOf = (host: HostJson, leases: readonly LeaseJson[], userDataRead: boolean): HostResult => ({
  name: host.name,
  bmc: host.bmc?.protocol ?? 'none',
  firmware: host.inventory?.firmware ?? 'unknown',
  address: leases.find((lease) => lease.host?.name === host.name)?.address ?? null,
  state: host.state,
  imageDigest: host.facts.installed?.digest ?? null,
  hostname: host.facts.phonedHome?.hostName ?? null,
  userDataRead,
  failed: host.failed?.reason ?? null,
  seconds: host.facts.phonedHome === null ? null : Math.round((host.facts.phonedHome.at - host.createdAt) / 100) / 10,
});

/** All that was asked for is there. */
export const isWhole = ({ state, hostname, userDataRead }: HostResult): boolean =>
  state === 'provisioned' && hostname !== null && userDataRead;

export const summary = (results: readonly HostResult[], seconds: number): string =>
  [
    ...results.map(
      (one) =>
        `${one.name.padEnd(4)} ${one.bmc.padEnd(7)} ${one.firmware.padEnd(4)} ${(one.address ?? '-').padEnd(12)} ${one.state.padEnd(12)} ${(one.hostname ?? '-').padEnd(12)} ${(one.imageDigest ?? '-').slice(0, 19)}  ${one.seconds === null ? '' : `${one.seconds} s`}`,
    ),
    ...results.flatMap(({ name, failed }) => (failed === null ? [] : [`${name} failed: ${failed}`])),
    `total ${seconds.toFixed(1)} s`,
    '',
  ].join('\n');
