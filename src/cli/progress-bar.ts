/** A progress bar on standard error: one line that is rewritten, and gone when the work is done. Nothing where nobody watches. */
import type { Terminal } from '../world/terminal.ts';
import { plainText, sizeText } from './human.ts';

export interface Progress {
  readonly label: string;
  readonly done: number;
  /** Unknown where it is not said. */
  readonly total?: number | undefined;
  readonly unit: 'bytes' | 'steps';
}

const amount = ({ done, total, unit }: Progress): string => {
  const text = (value: number): string => (unit === 'bytes' ? sizeText(value) : String(value));
  return total === undefined ? text(done) : `${text(done)} of ${text(total)}`;
};

/** One line of at most `columns` characters. */
export const barLine = (progress: Progress, columns: number): string => {
  const { label, done, total } = progress;
  const share = total === undefined || total <= 0 ? undefined : Math.min(1, Math.max(0, done / total));
  const right = share === undefined ? amount(progress) : `${String(Math.floor(share * 100)).padStart(3)} %  ${amount(progress)}`;
  const width = Math.min(30, columns - label.length - right.length - 6);
  const bar = share === undefined || width < 5 ? '' : `[${'#'.repeat(Math.round(share * width)).padEnd(width, '-')}] `;
  return `${plainText(label)} ${bar}${right}`.slice(0, Math.max(0, columns - 1));
};

export class ProgressBar implements Disposable {
  readonly #terminal: Terminal;
  #shown = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(progress: Progress): void {
    this.#draw(barLine(progress, this.#terminal.columns));
  }
  /** Words in the bar's place, where no amount is known. */
  say(text: string): void {
    this.#draw(plainText(text).slice(0, Math.max(0, this.#terminal.columns - 1)));
  }
  /** Takes the line away, so that something else can be written; the next `show` brings it back. */
  clear(): void {
    if (this.#shown !== '') this.#terminal.error('\r\u001b[K');
    this.#shown = '';
  }
  [Symbol.dispose](): void {
    this.clear();
  }

  #draw(line: string): void {
    if (!this.#terminal.errorIsTty || line === this.#shown) return;
    this.#terminal.error(`\r${line}\u001b[K`);
    this.#shown = line;
  }
}
