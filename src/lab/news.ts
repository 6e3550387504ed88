/** What happens at the hosts of a rack, before people's eyes: their timelines as lines, their states as bars below. */
import type { HostJson } from '../api/types.ts';
import type { World } from '../world/world.ts';
import type { Terminal } from '../world/terminal.ts';
import type { Admin } from './admin.ts';
import { cut, timelineLine, waitingLine } from './show.ts';

/** Where lines are all that is seen, a host of which nothing is heard for so long is said to wait, and for what. */
const quietMs = 15_000;

/** Lines and bars; nothing where the output is for machines. */
export type Show = Pick<Terminal, 'error' | 'errorIsTty' | 'columns'> | undefined;

/** Lines above, bars below: the bars are drawn anew after each batch of lines. */
export const screenOf = (show: Show): ((lines: readonly string[], bars: readonly string[]) => void) => {
  let drawn = 0;
  return (lines, bars) => {
    if (show === undefined) return;
    if (!show.errorIsTty) return show.error(lines.map((line) => `${line}\n`).join(''));
    const up = drawn === 0 ? '' : `\u001B[${drawn}A\u001B[J`;
    show.error(up + [...lines, ...bars].map((line) => `${cut(line, show.columns)}\n`).join(''));
    drawn = bars.length;
  };
};

export interface Following {
  /** What times are counted from. */
  readonly since: number;
  readonly show: Show;
  /** Nothing more is to be expected of it. */
  readonly isOver: (host: HostJson) => boolean;
}
/** Each call looks once more: the hosts, and what is new in their timelines. */
export const followHosts = (
  { clock }: Pick<World, 'clock'>,
  admin: Admin,
  { since, show, isOver }: Following,
): (() => Promise<{ readonly hosts: readonly HostJson[]; readonly lines: readonly string[] }>) => {
  const after = new Map<string, number>();
  const saidAt = new Map<string, number>();
  return async () => {
    const hosts = await admin.hosts();
    const now = clock.now();
    const lines: string[] = [];
    for (const host of hosts) {
      const { items, next } = await admin.timeline(host.name, after.get(host.name) ?? 0);
      after.set(host.name, next);
      const news = items.map((row) => timelineLine(host.name, row, since));
      if (news.length === 0 && !isOver(host) && now - (saidAt.get(host.name) ?? now) >= quietMs && show !== undefined && !show.errorIsTty)
        news.push(waitingLine(host, now - since));
      if (news.length > 0 || !saidAt.has(host.name)) saidAt.set(host.name, now);
      lines.push(...news);
    }
    return { hosts, lines };
  };
};
