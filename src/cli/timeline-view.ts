/** The timeline on the screen: one line per thing that happened, a rule between two boots. */
import type { TimelineRowJson } from '../api/types.ts';
import { momentText, plainText } from './human.ts';
import type { Style } from './style.ts';

/** `2026-11-21 02:14:05Z  #3  * claimed by …`; `*` marks what changed the host, `.` what was only seen on the wire. */
export const timelineLine = (row: TimelineRowJson, style: Style): string => {
  const text = plainText(row.text);
  const failed = /\b(failed|refused|never|expired|contested)\b/i.test(text);
  const shown = row.kind === 'packet' ? style('dim', text) : failed ? style('bad', text) : text;
  return `${style('dim', momentText(row.at))}  ${`#${row.boot}`.padEnd(4)} ${row.kind === 'state' ? '*' : '.'} ${shown}\n`;
};

export const renderTimeline = (rows: readonly TimelineRowJson[], { style }: { readonly style: Style }): string =>
  rows
    .map((row, at) => {
      const before = rows[at - 1];
      const rule = before !== undefined && before.boot !== row.boot ? `${style('dim', `-- boot ${row.boot} --`)}\n` : '';
      return rule + timelineLine(row, style);
    })
    .join('');
