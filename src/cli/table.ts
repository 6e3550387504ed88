/** Tables and lists of details in plain text: pure functions from cells to lines. */
import { plainText } from './human.ts';
import { plainStyle } from './style.ts';
import type { Style, Tone } from './style.ts';

export type Cell = string | { readonly text: string; readonly tone: Tone };
const textOf = (cell: Cell): string => plainText(typeof cell === 'string' ? cell : cell.text);
const toned = (cell: Cell, padded: string, style: Style): string => (typeof cell === 'string' ? padded : style(cell.tone, padded));

/** Left-aligned columns two spaces apart; the last one is as long as it is. */
export const renderTable = (head: readonly string[], rows: readonly (readonly Cell[])[], style: Style = plainStyle): string => {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => textOf(row[at] ?? '').length)));
  const line = (cells: readonly Cell[]): string =>
    cells
      .map((cell, at) => {
        const text = textOf(cell);
        return toned(cell, at === cells.length - 1 ? text : text.padEnd(widths[at] ?? 0), style);
      })
      .join('  ')
      .trimEnd();
  const titles = head.map((title): Cell => ({ text: title.toUpperCase(), tone: 'dim' }));
  return `${[titles, ...rows].map(line).join('\n')}\n`;
};

export type Detail = readonly [label: string, value: Cell];
/** `label  value` lines, the values under each other. */
export const renderDetails = (details: readonly Detail[], style: Style = plainStyle): string => {
  const width = Math.max(0, ...details.map(([label]) => label.length));
  return details.map(([label, value]) => `  ${style('dim', label.padEnd(width))}  ${toned(value, textOf(value), style)}\n`).join('');
};
