/** Runs groups of test files, one after the other but what only computes beside what mostly waits, with one report and one summary at the end. */
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';
import type { TestEvent } from 'node:test/reporters';
import { run } from 'node:test';
import { planeNoteName, raisePlane } from './interop/kubernetes/raise.ts';

interface Group {
  readonly files: string;
  readonly without?: readonly string[];
  /** Files at the same time: those that start servers, namespaces or QEMU run alone. */
  readonly atOnce: number;
  /** Runs beside the groups after it: as long as none of them needs the machine, or to the end, yielding to all of them. */
  readonly aside?: 'until-alone' | 'to-the-end';
  /** Servers in QEMU, whose firmware counts the seconds: nothing runs beside it but what yields. */
  readonly isAlone?: true;
}
const apart = ['sim', 'images', 'interop', 'deploy', 'appliance', 'lab', 'lab-qemu', 'bench'];
/** In the order in which `all` runs them: what is quick and tells most first. */
const groups: Readonly<Record<string, Group>> = {
  unit: { files: 'test/**/*.test.ts', without: apart.map((folder) => `test/${folder}/**`), atOnce: Math.min(4, availableParallelism()) },
  sim: { files: 'test/sim/**/*.test.ts', atOnce: Math.max(1, availableParallelism() - 1), aside: 'to-the-end' },
  images: { files: 'test/images/**/*.test.ts', atOnce: 1 },
  interop: { files: 'test/interop/**/*.test.ts', without: ['test/interop/kubernetes/**'], atOnce: 1 },
  // With a plane of its own: it mostly waits for two servers in QEMU, as the next one does for its controllers.
  cluster: { files: 'test/lab/cluster.test.ts', atOnce: 1, aside: 'until-alone' },
  kubernetes: { files: 'test/interop/kubernetes/**/*.test.ts', atOnce: 1 },
  deploy: { files: 'test/deploy/**/*.test.ts', atOnce: 1 },
  appliance: { files: 'test/appliance/**/*.test.ts', atOnce: 1 },
  lab: { files: 'test/lab{,-qemu}/**/*.test.ts', without: ['test/lab/cluster.test.ts'], atOnce: 1, isAlone: true },
  bench: { files: 'test/bench/**/*.test.ts', atOnce: 1 },
};
const all = Object.keys(groups).filter((name) => name !== 'bench');

const filesOf = ({ files, without = [] }: Group): readonly string[] => globSync(files, { exclude: [...without] }).toSorted();

/** The closing lines of each run, like `tests 12`, added up into one set for all. */
const closing = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;
const totals = new Map<string, number>();

/** What hangs is a failure, not a wait without end; the longest file that yields to none needs about twelve minutes on a busy machine. */
const fileMsMost = 45 * 60_000;

/** Test processes end with this one, also when it is interrupted. */
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    process.exitCode = 1;
    ending.abort();
  });

/** One for all files of the run that ask for it: started before the first of them, and ended after the last one, however it ends. */
const needsPlane = ({ files }: { readonly files: readonly string[] }): boolean =>
  files.some((file) => resolve(file).startsWith(resolve('test/interop/kubernetes')));
const withPlane = async (): Promise<() => Promise<void>> => {
  const raised = await raisePlane(ending.signal);
  // Each file then says itself why it is skipped.
  if ('skip' in raised) return async () => {};
  process.env[planeNoteName] = raised.note;
  return async () => {
    delete process.env[planeNoteName];
    await raised.stop();
  };
};

interface Step extends Pick<Group, 'atOnce' | 'aside' | 'isAlone'> {
  readonly files: readonly string[];
}
async function* eventsOf({ files, atOnce }: Step): AsyncGenerator<TestEvent> {
  if (ending.signal.aborted) return;
  const lower = needsPlane({ files }) ? await withPlane() : undefined;
  try {
    for await (const event of run({
      files: [...files],
      concurrency: atOnce,
      signal: ending.signal,
      timeout: fileMsMost,
    }) as AsyncIterable<TestEvent>) {
      if (event.type === 'test:summary') continue;
      const [, name, value] = (event.type === 'test:diagnostic' && event.data.nesting === 0 && closing.exec(event.data.message)) || [];
      if (name === undefined) yield event;
      else totals.set(name, (totals.get(name) ?? 0) + Number(value));
    }
  } finally {
    await lower?.();
  }
}
async function* events(plan: readonly Step[]): AsyncGenerator<TestEvent> {
  // Two reports at once would be one that nobody can read: what ran aside is told whole.
  const aside = { 'until-alone': [] as Promise<readonly TestEvent[]>[], 'to-the-end': [] as Promise<readonly TestEvent[]>[] };
  const tell = async function* (until: keyof typeof aside): AsyncGenerator<TestEvent> {
    for (const told of await Promise.all(aside[until].splice(0))) yield* told;
  };
  for (const step of plan) {
    if (step.isAlone === true) yield* tell('until-alone');
    if (step.aside === undefined) yield* eventsOf(step);
    else aside[step.aside].push(Array.fromAsync(eventsOf(step)));
  }
  yield* tell('until-alone');
  yield* tell('to-the-end');
  for (const [name, value] of totals) yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${value}`, level: 'info' } };
}

const words = process.argv.slice(2);
const chosen = words.flatMap((word) => (word === 'all' ? all : word in groups ? [word] : []));
const named = words.filter((word) => word !== 'all' && !(word in groups));
const plan =
  named.length > 0
    ? [{ files: named, atOnce: 1 } satisfies Step]
    : chosen.flatMap((name) => {
        const group = groups[name];
        const files = group === undefined ? [] : filesOf(group);
        return group === undefined || files.length === 0 ? [] : [{ ...group, files }];
      });
if (plan.length === 0) {
  console.error(`no test files for: ${words.join(' ') || '(nothing)'}; groups are all, ${Object.keys(groups).join(', ')}`);
  process.exit(2);
}
Readable.from(events(plan))
  .compose(new spec())
  .on('end', () => {
    if ((totals.get('fail') ?? 0) + (totals.get('cancelled') ?? 0) > 0 || !totals.has('tests')) process.exitCode = 1;
  })
  .pipe(process.stdout);
