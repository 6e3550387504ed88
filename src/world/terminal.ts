/** The terminal of a person: what a command reads and writes besides the network, as an interface and once for real. */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';

export interface Terminal {
  /** To standard output. */
  write(text: string): void;
  /** To standard error: what is not the answer itself. */
  error(text: string): void;
  /** Standard output is a terminal. */
  readonly isTty: boolean;
  /** Standard error is a terminal: a progress bar may move. */
  readonly errorIsTty: boolean;
  /** Standard input and error are a terminal: a question can be asked. */
  readonly canAsk: boolean;
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin. */
  readonly cwd: string;
  /** Asks without showing what is typed; undefined where the person gave up (Ctrl-C, Ctrl-D). */
  readSecret(prompt: string): Promise<string | undefined>;
  /** Asks and shows what is typed; undefined where the person gave up. */
  ask(prompt: string): Promise<string | undefined>;
  /** All of standard input as UTF-8 text; undefined where it has more than `bytesMax`. */
  readInput(bytesMax: number): Promise<string | undefined>;
}

/** Whole and in order; EAGAIN means a slow pipe, EPIPE that nobody reads any more. */
const writeAll = (fd: number, text: string): void => {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const errno = error instanceof Error && 'code' in error ? error.code : undefined;
      if (errno !== 'EAGAIN') return;
      // A pipe that is full has a reader; there is nothing else to do in a command line than to wait for it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
};

const readLine = (prompt: string, shown: boolean): Promise<string | undefined> =>
  new Promise((resolve) => {
    // readline edits the line; the echo of a secret goes where nobody sees it, and the terminal's own echo ends here, before anybody is
    // asked to type.
    const output = shown ? process.stderr : new PassThrough();
    const lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
    if (shown) {
      lines.setPrompt(prompt);
      lines.prompt();
    } else writeAll(2, prompt);
    let answer: string | undefined;
    lines.once('line', (line) => {
      answer = line;
      lines.close();
    });
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      if (!shown || answer === undefined) writeAll(2, '\n');
      process.stdin.pause();
      resolve(answer);
    });
  });

const readInput = async (bytesMax: number): Promise<string | undefined> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** The terminal of this process. */
export const realTerminal = (): Terminal => ({
  write: (text) => writeAll(1, text),
  error: (text) => writeAll(2, text),
  isTty: process.stdout.isTTY,
  errorIsTty: process.stderr.isTTY,
  canAsk: process.stdin.isTTY && process.stderr.isTTY,
  columns: process.stdout.isTTY ? process.stdout.columns : 80,
  env: process.env,
  cwd: process.cwd(),
  readSecret: (prompt) => readLine(prompt, false),
  ask: (prompt) => readLine(prompt, true),
  readInput,
});
