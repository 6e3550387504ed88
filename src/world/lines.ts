/** Bytes into lines, for QMP and the output of processes. */
import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is delivered in pieces, so that a process without line ends cannot fill the memory. */
const lineCharactersMax = 1024 * 1024;

export interface LineSplitter {
  push(chunk: Uint8Array): void;
  /** Delivers what stands after the last line end. */
  end(): void;
}

export const lineSplitter = (handler: (line: string) => void): LineSplitter => {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string): void => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) handler(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (rest.length < lineCharactersMax) return;
    const piece = rest;
    rest = '';
    handler(piece);
  };
  return {
    push: (chunk) => take(decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))),
    end: () => {
      take(decoder.end());
      if (rest === '') return;
      const last = rest;
      rest = '';
      handler(last);
    },
  };
};
