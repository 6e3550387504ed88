/** One measured comparison, as a line of JSON and as a row of a table. */
export interface Row {
  readonly bench: string;
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  readonly peerName: string;
  readonly peer: number;
  /** Above 1: we are better. */
  readonly ratio: number;
  readonly goal: number;
  readonly met: boolean;
}
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
};
const rounded = (value: number): number => Math.round(value * 100) / 100;
/** Less is better: seconds, CPU, bytes. `goal` is the least ratio. */
export const lessIsBetter = (
  what: Pick<Row, 'bench' | 'case' | 'metric' | 'unit' | 'peerName' | 'goal'>,
  ours: readonly number[],
  peer: readonly number[],
): Row => {
  const ratio = median(peer) / median(ours);
  return { ...what, ours: rounded(median(ours)), peer: rounded(median(peer)), ratio: rounded(ratio), met: ratio >= what.goal };
};
/** Where there is no peer, only what we allow ourselves. */
export const withinBudget = (what: Pick<Row, 'bench' | 'case' | 'metric' | 'unit'>, ours: readonly number[], budget: number): Row =>
  lessIsBetter({ ...what, peerName: 'budget', goal: 1 }, ours, [budget]);
export const table = (rows: readonly Row[]): string => {
  const head = ['case', 'metric', 'ours', 'peer', '', 'ratio', 'goal', ''];
  const cells = rows.map((row) => [
    row.case,
    row.metric,
    `${row.ours} ${row.unit}`,
    `${row.peer} ${row.unit}`,
    row.peerName,
    `${row.ratio}`,
    `>= ${row.goal}`,
    row.met ? 'met' : 'NOT MET',
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
};
