/** Lengths of time as people write them: `90s`, `30m`, `2h`, `7d`; a bare number is seconds. */
import { InvalidArgumentError } from 'commander';

const unitSeconds: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, min: 60, h: 3600, d: 86_400 };
/** Seconds, for an option of a command. */
export const seconds = (text: string): number => {
  const [, digits = '', unit = ''] = /^(\d{1,9})\s*([a-z]{0,3})$/i.exec(text.trim()) ?? [];
  const factor = Object.hasOwn(unitSeconds, unit.toLowerCase()) ? unitSeconds[unit.toLowerCase()] : undefined;
  if (digits === '' || factor === undefined) throw new InvalidArgumentError('not a length of time; write 90s, 30m, 2h or 7d.');
  return Number(digits) * factor;
};
