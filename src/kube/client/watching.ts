/** A watch as the server streams it: one JSON object a line, over whatever chunks come. */
import { limits } from '../../limits.ts';
import type { WatchEvent } from '../api.ts';
import type { KubeObject } from '../objects.ts';
import { refused, refusedEvent } from './refusal.ts';
import type { Asked } from './refusal.ts';

/** Lines of UTF-8 over chunk borders, without empty ones; one may have `mostBytes`. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, mostBytes: number, tooLong: () => Error): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > mostBytes) throw tooLong();
    const [first = '', ...rest] = decoder.decode(chunk, { stream: true }).split('\n');
    pieces.push(first);
    for (const next of rest) {
      const line = pieces.join('');
      if (line.trim() !== '') yield line;
      pieces = [next];
      size = next.length;
    }
  }
  // A connection that was cut in the middle of a line: what came of it is not an event.
}

/** One line as an event; an ERROR throws with its own code. What we do not know is `undefined`. */
export const eventOf = (line: string, asked: Asked): WatchEvent | undefined => {
  let event: { readonly type?: unknown; readonly object?: unknown };
  try {
    event = JSON.parse(line) as typeof event;
  } catch (error) {
    throw refused(asked, { status: 0, why: `the watch brought a line that is no JSON: ${line.slice(0, 80)}`, cause: error });
  }
  const object = event.object as KubeObject;
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event.type, object };
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: object.metadata.resourceVersion ?? '' };
    case 'ERROR':
      throw refusedEvent(asked, object);
    default:
      return undefined;
  }
};
/** The events of a watch; `heard` is called for every chunk. */
export async function* eventsOf(
  chunks: AsyncIterable<Uint8Array>,
  asked: Asked,
  most: number = limits.kubeReplyBytes,
): AsyncGenerator<WatchEvent> {
  const tooLong = (): Error => refused(asked, { status: 0, why: `one event is larger than ${most} bytes` });
  for await (const line of linesOf(chunks, most, tooLong)) {
    const event = eventOf(line, asked);
    if (event !== undefined) yield event;
  }
}
