/**
 * `npm run bench -- rack`: a daemon that keeps watch over many hosts, each with a virtual BMC that it asks: its memory, its CPU at rest, and
 * how long a list takes, beside a bare node:http server that sends the same bytes to the same client.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../../src/limits.ts';
import { sealerFor } from '../../src/store/key.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { realWorld } from '../../src/world/real.ts';
import { makePlace, root, run } from '../deploy/place.ts';
import { modelHost } from './model-host.ts';
import { lessIsBetter, median, withinBudget } from './row.ts';
import type { Row } from './row.ts';

const asks = 100;
const restSeconds = 60;
/** A thousand hosts on a small machine; and a person does not wait for a page. */
const budgets = { rssMiB: 300, cpuShare: 0.25, pageMs: 50, allMs: 400, startSeconds: 30 };

const fill = async (data: string, hosts: number): Promise<void> => {
  const world = realWorld({ signal: new AbortController().signal, log: { level: 'silent' } });
  const store = await openSqliteStore(join(data, 'remuda.db'), limits, { sealer: await sealerFor(world, { data }) });
  for (let index = 0; index < hosts; index += 1) {
    const host = modelHost(index, Date.now());
    const entries = Array.from({ length: 40 }, (_, line) => ({
      hostId: host.id,
      at: Date.now(),
      kind: 'state' as const,
      boot: 1,
      text: `line ${line} of its life`,
    }));
    await store.create(host, entries);
  }
  await store.close();
};

interface Got {
  readonly ms: number;
  readonly bytes: Buffer;
}
const get = (agent: Agent, socketPath: string, path: string): Promise<Got> =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    request({ agent, socketPath, path, headers: { host: 'remuda' } }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('end', () =>
        reply.statusCode === 200
          ? resolve({ ms: performance.now() - began, bytes: Buffer.concat(chunks) })
          : reject(new Error(`${path}: ${reply.statusCode} ${Buffer.concat(chunks).toString()}`)),
      );
    })
      .on('error', reject)
      .end();
  });
const times = async (count: number, act: () => Promise<Got>): Promise<readonly number[]> => {
  const found: number[] = [];
  for (let index = 0; index < count; index += 1) found.push((await act()).ms);
  return found;
};

interface Page {
  readonly items: readonly { readonly facts: { readonly power: string } }[];
  readonly next?: string | null;
}
/** Every page, as a client asks for them. */
const all = async (
  ask: (path: string) => Promise<Got>,
): Promise<{ readonly ms: number; readonly hosts: Page['items']; readonly bytes: Buffer }> => {
  const hosts: Page['items'][number][] = [];
  const bodies: Buffer[] = [];
  let ms = 0;
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const got: Got = await ask(`/v1/hosts?limit=500${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
    const page = JSON.parse(got.bytes.toString()) as Page;
    hosts.push(...page.items);
    bodies.push(got.bytes);
    ms += got.ms;
    cursor = page.next ?? undefined;
  }
  return { ms, hosts, bytes: Buffer.concat(bodies) };
};

const fieldsOf = (pid: number): readonly string[] => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
};
const cpuSeconds = (pid: number): number => (Number(fieldsOf(pid)[11]) + Number(fieldsOf(pid)[12])) / 100;
const memoryMiB = (pid: number, field: string): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;

const inside = (namespace: string, ...args: readonly string[]): ChildProcess =>
  spawn('ip', ['netns', 'exec', namespace, process.execPath, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
};

/** The same bytes by nothing but node:http. */
const bare = async (socketPath: string, bytes: Buffer): Promise<readonly number[]> => {
  const server = createServer((_, reply) => reply.setHeader('content-type', 'application/json').end(bytes)).listen(socketPath);
  await once(server, 'listening');
  const agent = new Agent({ keepAlive: true });
  const found = await times(asks, () => get(agent, socketPath, '/'));
  agent.destroy();
  server.close();
  rmSync(socketPath, { force: true });
  return found;
};

export const rack = async ({ hosts, say }: { readonly hosts: number; readonly say: (line: string) => void }): Promise<readonly Row[]> => {
  using place = makePlace('bench-rack');
  const [data, runFolder] = [join(place.folder, 'data'), join(place.folder, 'run')];
  for (const folder of [data, runFolder]) mkdirSync(folder, { mode: 0o700 });
  say(`filling a database with ${hosts} hosts`);
  await fill(data, hosts);
  const last = (text: string): string => text.trim().split('\n').at(-1) ?? '';
  run('mkdir', '-p', join(place.folder, 'share'));
  run('ln', '-s', last(run('bash', join(root, 'images/build.sh'), 'ramdisk')), join(place.folder, 'share/agent'));
  run('ln', '-s', last(run('sh', join(root, 'firmware/build.sh'))), join(place.folder, 'share/firmware'));
  const config = place.config({ data, run: runFolder, share: join(place.folder, 'share') });
  const bmcs = inside(place.namespace, join(root, 'test/bench/model-rack.ts'), String(hosts));
  const agent = new Agent({ keepAlive: true });
  let daemon: ChildProcess | undefined;
  try {
    await once(bmcs.stdout ?? bmcs, 'data');
    const began = performance.now();
    daemon = inside(place.namespace, '--max-semi-space-size=2', join(root, 'src/main.ts'), 'serve', '--config', config);
    const { pid } = daemon;
    if (pid === undefined) throw new Error('the daemon did not start');
    const socket = join(runFolder, 'remuda.sock');
    const ask = (path: string): Promise<Got> => get(agent, socket, path);
    const isSeen = async (): Promise<boolean> => (await all(ask)).hosts.every(({ facts }) => facts.power !== 'unknown');
    while (!(await isSeen().catch(() => false))) {
      if (daemon.exitCode !== null || performance.now() - began > 300_000) throw new Error('the daemon never saw every host');
      await sleep(250);
    }
    const startSeconds = (performance.now() - began) / 1000;
    say(`every BMC answered ${startSeconds.toFixed(1)} s after the start; now ${restSeconds} s at rest`);
    const cpu = cpuSeconds(pid);
    await sleep(restSeconds * 1000);
    const cpuShare = (cpuSeconds(pid) - cpu) / restSeconds;
    const pages = await times(asks, () => ask('/v1/hosts?limit=100'));
    const page = (await ask('/v1/hosts?limit=100')).bytes;
    const wholes: number[] = [];
    for (let index = 0; index < 10; index += 1) wholes.push((await all(ask)).ms);
    const floor = await bare(join(place.folder, 'bare.sock'), page);
    say(`a page has ${Math.round(page.length / 1024)} KiB, all of them ${Math.round((await all(ask)).bytes.length / 1024)} KiB`);
    const what = { bench: 'rack', case: `hosts=${hosts}` };
    return [
      withinBudget({ ...what, metric: 'daemon RSS', unit: 'MiB' }, [memoryMiB(pid, 'VmRSS')], budgets.rssMiB),
      withinBudget({ ...what, metric: 'daemon peak RSS', unit: 'MiB' }, [memoryMiB(pid, 'VmHWM')], budgets.rssMiB),
      withinBudget({ ...what, metric: 'start until every BMC was read', unit: 's' }, [startSeconds], budgets.startSeconds),
      withinBudget({ ...what, metric: 'CPU at rest, of one core', unit: 'share' }, [cpuShare], budgets.cpuShare),
      withinBudget({ ...what, metric: 'list, 100 hosts, median', unit: 'ms' }, pages, budgets.pageMs),
      withinBudget({ ...what, metric: 'list, all hosts, median', unit: 'ms' }, wholes, budgets.allMs),
      // A tenth of what costs nothing but sending it.
      lessIsBetter({ ...what, metric: 'list, 100 hosts, median', unit: 'ms', peerName: 'bare node:http', goal: 0.1 }, pages, floor),
      withinBudget({ ...what, metric: 'list, 100 hosts, p95', unit: 'ms' }, [percentile(pages, 0.95)], budgets.pageMs),
    ];
  } finally {
    agent.destroy();
    if (daemon !== undefined) await ended(daemon);
    await ended(bmcs);
  }
};
const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? median(values);
