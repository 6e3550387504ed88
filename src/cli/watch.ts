/** `--watch`: an answer again whenever something changed at the daemon; redrawn on a terminal, the changed lines into a pipe. */
import type { Command } from 'commander';
import type { Answer } from './client.ts';
import { CommandFailure, exits } from './failure.ts';
import { patiently } from './follow.ts';
import type { Look } from './host-view.ts';
import { momentText } from './human.ts';
import type { Context } from './session.ts';

/** Where the daemon sends no events it is asked so often. */
const pollMs = 2_000;
/** Ages and progress grow also where nothing happens. */
const refreshMs = 15_000;
/** What happens together is shown together. */
const gatherMs = 250;

export interface WatchOptions {
  readonly watch?: boolean;
}
export const withWatch = (command: Command): Command => command.option('-w, --watch', 'go on as it changes, until Ctrl-C');

/** Wakes whoever waits when the daemon tells of something; owned by one watch and ended with it. */
class Wakes implements AsyncDisposable {
  readonly #context: Context;
  readonly #ending = new AbortController();
  readonly #pump: Promise<void>;
  #news = Promise.withResolvers<void>();
  #hears = false;

  constructor(context: Context, path: string) {
    this.#context = context;
    this.#pump = this.#listen(path);
  }

  async #listen(path: string): Promise<void> {
    const signal = AbortSignal.any([this.#ending.signal, this.#context.world.signal]);
    while (!signal.aborted)
      try {
        const events = this.#context.client.events(path, signal);
        while ((await events.next()).done !== true) {
          this.#hears = true;
          this.#news.resolve();
        }
        // The daemon closed it: it restarts, or this reader was too slow. What was missed is asked for.
        this.#news.resolve();
        await this.#context.world.clock.sleep(pollMs, signal);
      } catch (error) {
        this.#hears = false;
        if (signal.aborted) return;
        // An older daemon, or one that gives this caller no events: polling does.
        if (!(error instanceof CommandFailure) || error.exit === exits.failed || error.exit === exits.denied) return;
        await this.#context.world.clock.sleep(pollMs, signal).catch(() => {});
      }
  }
  /** Until something changed, or so long passed that the answer may have aged. */
  async next(): Promise<void> {
    const { clock, signal } = this.#context.world;
    const ended = new AbortController();
    const aged = clock.sleep(this.#hears ? refreshMs : pollMs, AbortSignal.any([signal, ended.signal])).catch(() => {});
    await Promise.race([this.#news.promise, aged]);
    ended.abort();
    signal.throwIfAborted();
    await clock.sleep(gatherMs, signal);
    this.#news = Promise.withResolvers<void>();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new DOMException('the watch ended', 'AbortError'));
    await this.#pump;
  }
}

export interface Watched<T> {
  readonly ask: () => Promise<Answer<T>>;
  readonly render: (value: T, look: Look) => string;
  /** Only what concerns this host is worth a new look. */
  readonly host?: string;
}

const rawItems = (raw: unknown): readonly unknown[] =>
  typeof raw === 'object' && raw !== null && 'items' in raw && Array.isArray(raw.items) ? (raw.items as readonly unknown[]) : [raw];
/** What a pipe is told: each line, or each thing as one line of JSON, that was not said the last time. */
const linesFor = <T>(context: Context, watched: Watched<T>, answer: Answer<T>): readonly string[] =>
  context.json
    ? rawItems(answer.raw).map((item) => JSON.stringify(item))
    : watched
        .render(answer.value, context.look())
        .split('\n')
        .filter((line) => line !== '');

/** The answer once, or with `--watch` again and again; that ends only with the person or a daemon that stays away. */
export const showOrWatch = async <T>(context: Context, watched: Watched<T>, options: WatchOptions): Promise<void> => {
  if (options.watch !== true) return context.show(await watched.ask(), watched.render);
  const query = watched.host === undefined ? '' : `?${new URLSearchParams({ host: watched.host }).toString()}`;
  await using wakes = new Wakes(context, `/v1/events${query}`);
  const redraws = context.terminal.isTty && !context.json;
  let said: ReadonlySet<string> = new Set();
  for (;;) {
    const answer = await patiently(context, watched.ask);
    if (redraws) {
      const { style, now } = context.look();
      // ECMA-48: cursor home, erase to the end; the screen does not flash as it would if it were erased first.
      const lines = `${style('dim', momentText(now))}\n${watched.render(answer.value, context.look())}`.replaceAll('\n', '\u001b[K\n');
      context.terminal.write(`\u001b[H${lines}\u001b[J`);
    } else {
      const lines = linesFor(context, watched, answer);
      for (const line of lines) if (!said.has(line)) context.terminal.write(`${line}\n`);
      said = new Set(lines);
    }
    await wakes.next();
  }
};
