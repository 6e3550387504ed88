/** Colour, where a person looks at a terminal and did not ask for none. */
import type { Terminal } from '../world/terminal.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'bold';
export type Style = (tone: Tone, text: string) => string;

/** ECMA-48 §8.3.117, Select Graphic Rendition. */
const codes: Readonly<Record<Tone, number>> = { good: 32, warn: 33, bad: 31, dim: 2, bold: 1 };
export const plainStyle: Style = (_tone, text) => text;
export const colourStyle: Style = (tone, text) => `\u001b[${codes[tone]}m${text}\u001b[0m`;
/** No colour into a file or a pipe, nor where NO_COLOR is set (no-color.org). */
export const styleFor = (terminal: Pick<Terminal, 'isTty' | 'env'>): Style =>
  terminal.isTty && (terminal.env['NO_COLOR'] ?? '') === '' && terminal.env['TERM'] !== 'dumb' ? colourStyle : plainStyle;
