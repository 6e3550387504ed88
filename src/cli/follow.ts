/** Following a host: its timeline as it grows, and waiting until its claim is provisioned or has failed. */
import { hostJson, timelineJson } from '../api/types.ts';
import type { HostJson } from '../api/types.ts';
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

/** Why there is nothing more to wait for; undefined while there is. */
const settled = (
  host: HostJson,
  wanted: { readonly claimId: string; readonly generation: number },
): CommandFailure | 'provisioned' | undefined => {
  const { claim, failed, state, name } = host;
  if (claim?.id !== wanted.claimId)
    return new CommandFailure(exits.failed, `claim ${wanted.claimId} was released while host ${name} was being provisioned`);
  if (claim.generation !== wanted.generation)
    return new CommandFailure(exits.failed, `host ${name} was asked for something else meanwhile: generation ${claim.generation}`, {
      next: `see what it does: remuda host show ${name}`,
    });
  if (failed !== null)
    return new CommandFailure(exits.failed, `host ${name} failed at ${failed.step}: ${failed.reason}`, {
      next: `see all of it: remuda host show ${name}; when the cause is mended: remuda host retry ${name}`,
    });
  return state === 'provisioned' ? 'provisioned' : undefined;
};

const late = ({ name, doing }: HostJson, timeoutSeconds: number): CommandFailure =>
  new CommandFailure(exits.late, `host ${name} is not provisioned within ${durationText(timeoutSeconds * 1000)}: ${doing}`, {
    next: `it goes on without you; see how: remuda host show ${name} --watch`,
  });
const drawProgress = (bar: ProgressBar, { name, doing, progress }: HostJson): void => {
  if (progress === null) bar.say(`${name}: ${doing}`);
  else bar.show({ label: `${name}: ${progress.step}`, done: progress.done, total: progress.total, unit: 'bytes' });
};

/**
 * Waits until the host runs what its claim's generation asks for and shows how it gets there: timeline on standard output (not with
 * `--json`), a bar on standard error. Throws where it failed, was overtaken, or took longer than `timeoutSeconds`. Ending the wait ends nothing at the daemon.
 */
export const waitProvisioned = async (
  context: Context,
  began: HostJson,
  timeoutSeconds = Infinity,
): Promise<{ raw: unknown; value: HostJson }> => {
  const until = context.world.clock.now() + timeoutSeconds * 1000;
  if (began.claim === null) throw new CommandFailure(exits.failed, `no claim holds host ${began.name}`);
  const wanted = { claimId: began.claim.id, generation: began.claim.generation };
  using bar = new ProgressBar(context.terminal);
  const quiet: Context = context.json ? { ...context, terminal: { ...context.terminal, write: () => {} } } : context;
  const newest = await context.client.get(timelinePath(began.id, { most: 1 }), timelineJson);
  const cursor: Cursor = { after: Math.max(0, newest.value.next - 1) };
  for (let waitMs = 0; ; waitMs = progressMs) {
    await patiently(context, () => printNew(quiet, began.id, cursor, { waitMs, bar }));
    const answer = await patiently(context, () => context.client.get(`/v1/hosts/${segment(began.id)}`, hostJson));
    const end = settled(answer.value, wanted);
    if (end !== undefined) {
      // What was journalled between the two questions, the last step of all.
      await printNew(quiet, began.id, cursor, { waitMs: 0, bar });
      if (end === 'provisioned') return answer;
      throw end;
    }
    if (context.world.clock.now() >= until) throw late(answer.value, timeoutSeconds);
    drawProgress(bar, answer.value);
    await context.world.clock.sleep(pauseMs, context.world.signal);
  }
};
