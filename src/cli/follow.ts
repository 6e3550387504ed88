/** Following a host: its timeline as it grows, and waiting at it until something is there. */
import { hostJson, timelineJson } from '../api/types.ts';
import type { HostJson } from '../api/types.ts';
import type { Answer } from './client.ts';
import { CommandFailure, exits } from './failure.ts';
import { durationText } from './human.ts';
import { ProgressBar } from './progress-bar.ts';
import { segment } from './session.ts';
import type { Context } from './session.ts';
import { timelineLine } from './timeline-view.ts';

/** One question waits at the daemon for so long. */
const followMs = 20_000;
const progressMs = 2_000;
/** Between two questions, however much happens. */
const pauseMs = 200;
/** How long a daemon may be away (it is restarted, say) before following gives up. */
const awayMs = 60_000;
const awayPauseMs = 1_000;

interface Cursor {
  after: number | undefined;
}
const timelinePath = (host: string, query: Readonly<Record<string, number | undefined>>): string => {
  const known = Object.entries(query).filter(([, value]) => value !== undefined);
  return `/v1/hosts/${segment(host)}/timeline?${new URLSearchParams(known.map(([name, value]) => [name, String(value)])).toString()}`;
};

/** Once it has answered, a daemon may be away for a while: what it journals is not lost. */
export const patiently = async <T>(context: Context, ask: () => Promise<T>): Promise<T> => {
  const { clock, signal } = context.world;
  const began = clock.now();
  for (let told = false; ;) {
    try {
      return await ask();
    } catch (error) {
      const away = error instanceof CommandFailure && error.exit === exits.unreachable;
      if (!away || signal.aborted || clock.now() - began >= awayMs) throw error;
      if (!told) context.terminal.error(`${error.message}; trying again\n`);
      told = true;
      await clock.sleep(awayPauseMs, signal);
    }
  }
};

/** Prints what is new and moves the cursor. */
const printNew = async (context: Context, host: string, cursor: Cursor, options: { waitMs: number; bar?: ProgressBar }): Promise<void> => {
  const { value } = await context.client.get(timelinePath(host, { after: cursor.after, waitMs: options.waitMs }), timelineJson);
  cursor.after = value.next;
  if (value.items.length > 0) options.bar?.clear();
  const { style } = context.look();
  for (const row of value.items) context.terminal.write(context.json ? `${JSON.stringify(row)}\n` : timelineLine(row, style));
};

export interface TimelineWish {
  readonly host: string;
  readonly most: number;
  readonly after: number | undefined;
}
/** Prints the newest entries, then each as it comes, until the person ends it. */
export const followTimeline = async (context: Context, wish: TimelineWish): Promise<never> => {
  const { value } = await context.client.get(timelinePath(wish.host, { most: wish.most, after: wish.after }), timelineJson);
  const { style } = context.look();
  for (const row of value.items) context.terminal.write(context.json ? `${JSON.stringify(row)}\n` : timelineLine(row, style));
  const cursor: Cursor = { after: value.next };
  for (;;) {
    await patiently(context, () => printNew(context, wish.host, cursor, { waitMs: followMs }));
    await context.world.clock.sleep(pauseMs, context.world.signal);
  }
};
/** The newest entries once. */
export const readTimeline = (context: Context, wish: TimelineWish) =>
  context.client.get(timelinePath(wish.host, { most: wish.most, after: wish.after }), timelineJson);

const drawProgress = (bar: ProgressBar, { name, doing, progress }: HostJson): void => {
  if (progress === null) bar.say(`${name}: ${doing}`);
  else bar.show({ label: `${name}: ${progress.step}`, done: progress.done, total: progress.total, unit: 'bytes' });
};

/** What somebody waits for at a host. */
export interface Awaited {
  /** Is it there, or why will it never be? undefined while there is something to wait for. */
  readonly judge: (host: HostJson) => 'there' | CommandFailure | undefined;
  /** What is said where `timeoutSeconds` passed: `is not clean`. */
  readonly lacks: string;
  readonly timeoutSeconds?: number | undefined;
}
const late = ({ name, doing }: HostJson, { lacks }: Awaited, timeoutSeconds: number): CommandFailure =>
  new CommandFailure(exits.late, `host ${name} ${lacks} within ${durationText(timeoutSeconds * 1000)}: ${doing}`, {
    next: `it goes on without you; see how: remuda host show ${name} --watch`,
  });

/**
 * Waits at a host and shows what happens to it: timeline on standard output (only where a person reads), a bar on standard error. Throws
 * the judge's refusal, and where it took longer than `timeoutSeconds`. Ending the wait ends nothing at the daemon.
 */
export const waitAt = async (context: Context, began: HostJson, awaited: Awaited): Promise<Answer<HostJson>> => {
  const { timeoutSeconds = Infinity } = awaited;
  const until = context.world.clock.now() + timeoutSeconds * 1000;
  using bar = new ProgressBar(context.terminal);
  const isRead = context.format === 'text' || context.format === 'wide';
  const quiet: Context = isRead ? context : { ...context, terminal: { ...context.terminal, write: () => {} } };
  const newest = await context.client.get(timelinePath(began.id, { most: 1 }), timelineJson);
  const cursor: Cursor = { after: Math.max(0, newest.value.next - 1) };
  for (let waitMs = 0; ; waitMs = progressMs) {
    await patiently(context, () => printNew(quiet, began.id, cursor, { waitMs, bar }));
    const answer = await patiently(context, () => context.client.get(`/v1/hosts/${segment(began.id)}`, hostJson));
    const end = awaited.judge(answer.value);
    if (end !== undefined) {
      // What was journalled between the two questions, the last step of all.
      await printNew(quiet, began.id, cursor, { waitMs: 0, bar });
      if (end === 'there') return answer;
      throw end;
    }
    if (context.world.clock.now() >= until) throw late(answer.value, awaited, timeoutSeconds);
    drawProgress(bar, answer.value);
    await context.world.clock.sleep(pauseMs, context.world.signal);
  }
};
