/** `npm run sim`: random days by the thousand, spread over processes; a failure says its seed and the command that shows it again. */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reasonOf } from '../../src/errors.ts';
import { poison } from './scheduler.ts';
import { lifeEvents, sights, tryCrash, tryDay, tryStop } from './seeds.ts';
import type { Seen, TrialOptions } from './seeds.ts';

const usage = `usage: npm run sim -- [OPTIONS]
  --seeds N      random days, from seed 1 (1000)
  --seed K       only this one
  --crashes      instead of days: the life of two servers, with a crash of the daemon at each event in turn
  --stops        the same with SIGTERM
  --stride N     only at every n-th event
  --crash K      only at this event
  --stop K       only at this event
  --runs N       how often each day is run, to compare the traces (2)
  --processes N  how many at once
  --trace        one line for each event, of the first run`;
/** Fewer seeds than this need not have seen everything. */
const sightsFrom = 60;

interface Settings {
  readonly what: 'day' | 'crash' | 'stop';
  /** Which days, or events. */
  readonly first: number;
  readonly last: number;
  readonly stride: number;
  readonly runs: number;
  readonly processes: number;
  readonly trace: boolean;
}
/** What a process tells of one of them. */
interface Told {
  readonly number: number;
  readonly seen: readonly (readonly [string, number])[];
  readonly failure?: string;
}

const flag = { type: 'boolean', default: false } as const;
const digits = { type: 'string' } as const;
const settings = async (): Promise<Settings> => {
  const { values } = parseArgs({
    options: {
      seeds: digits,
      seed: digits,
      crashes: flag,
      crash: digits,
      stops: flag,
      stop: digits,
      stride: digits,
      runs: digits,
      processes: digits,
      trace: flag,
    },
  });
  const read = (name: 'seeds' | 'seed' | 'stride' | 'crash' | 'stop' | 'runs' | 'processes', otherwise: number): number => {
    const text = values[name] ?? String(otherwise);
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name} ${text} is not a number from 1`);
    return Number(text);
  };
  const what = values.crashes || values.crash !== undefined ? 'crash' : values.stops || values.stop !== undefined ? 'stop' : 'day';
  const single = (['seed', 'crash', 'stop'] as const).find((name) => values[name] !== undefined);
  const only = single === undefined ? undefined : read(single, 1);
  const all = what === 'day' ? { first: 1, last: read('seeds', 1000) } : await lifeEvents();
  return {
    what,
    ...(only === undefined ? all : { first: only, last: only }),
    stride: read('stride', 1),
    runs: read('runs', 2),
    processes: only === undefined ? read('processes', Math.min(4, availableParallelism())) : 1,
    trace: values.trace,
  };
};

/** The share of one process: every n-th, so that all have as many long ones. */
const share = ({ first, last, stride, processes }: Settings, index: number): readonly number[] =>
  Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, at) => first + at * stride).filter(
    (_, at) => at % processes === index,
  );

const tries: Readonly<Record<Settings['what'], (number: number, options: TrialOptions) => Promise<Seen>>> = {
  day: tryDay,
  crash: (number, { trace }) => tryCrash(number, trace),
  stop: (number, { trace }) => tryStop(number, trace),
};
/** One after the other, until one fails. */
const work = async (numbers: readonly number[], given: Settings, tell: (told: Told) => void): Promise<boolean> => {
  poison();
  let isOver = false;
  // The day at hand is lived to its end, so that its folder goes with it.
  for (const end of ['SIGTERM', 'SIGINT', 'disconnect'])
    process.once(end, () => {
      isOver = true;
    });
  // Listening for the parent's end would keep this process from its own.
  process.channel?.unref();
  const trace = given.trace ? (line: string): void => console.log(line) : undefined;
  for (const number of numbers) {
    if (isOver) return false;
    try {
      tell({ number, seen: [...(await tries[given.what](number, { runs: given.runs, trace }))] });
    } catch (error) {
      tell({ number, seen: [], failure: reasonOf(error) });
      return false;
    }
  }
  return true;
};

const spread = async (processes: number, tell: (told: Told) => void): Promise<boolean> => {
  const children = Array.from({ length: processes }, (_, index) => {
    const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), { env: { ...process.env, SIM_SHARE: String(index) } });
    child.on('message', (message) => tell(message as Told));
    return child;
  });
  const ends = children.map(
    (child) =>
      new Promise<boolean>((resolve) =>
        child.once('exit', (code) => {
          // The first failure ends the others: one is enough to look at.
          if (code !== 0) for (const other of children) other.kill();
          resolve(code === 0);
        }),
      ),
  );
  return (await Promise.all(ends)).every(Boolean);
};

const main = async (): Promise<boolean> => {
  const given = await settings();
  const index = process.env['SIM_SHARE'];
  if (index !== undefined)
    return work(share(given, Number(index)), given, (told) => {
      if (process.connected) process.send?.(told);
    });
  const seen = new Map<string, number>();
  const count = share({ ...given, processes: 1 }, 0).length;
  let done = 0;
  const tell = ({ number, seen: more, failure }: Told): void => {
    for (const [place, times] of more) seen.set(place, (seen.get(place) ?? 0) + times);
    if (failure === undefined && ++done % 100 === 0) console.log(`${done} of ${count}`);
    if (failure === undefined) return;
    const [again, what] =
      given.what === 'day' ? [`--seed ${number}`, `seed ${number}`] : [`--${given.what} ${number}`, `a ${given.what} at event ${number}`];
    console.error(`${what} failed: ${failure}\nnpm run sim -- ${again} --trace`);
  };
  if (!(await (given.processes === 1 ? work(share(given, 0), given, tell) : spread(given.processes, tell)))) return false;
  for (const [place, times] of [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1))) console.log(`${String(times).padStart(8)} × ${place}`);
  const missing = given.what !== 'day' || count < sightsFrom ? [] : sights.filter((place) => !seen.has(place));
  if (missing.length > 0) console.error(`never reached: ${missing.join(', ')}`);
  console.log(
    given.what !== 'day'
      ? `${done} lives with a ${given.what}: each came to the same end, nothing was forbidden`
      : `${done} days${given.runs > 1 ? `, ${given.runs} times each with the same trace` : ''}: nothing was forbidden, all came to rest`,
  );
  return missing.length === 0;
};

const isWell = await main().catch((error: unknown) => {
  console.error(`${reasonOf(error)}\n${usage}`);
  return false;
});
// Not process.exit(): what was told to the parent is still on its way.
process.exitCode = isWell ? 0 : 1;
