/** A network namespace of the test's own with one interface, and a daemon's configuration for it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
export const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 });

export const subnet = {
  interface: 'boot0',
  cidr: '10.91.0.0/24',
  serverAddress: '10.91.0.1',
  pool: { from: '10.91.0.100', to: '10.91.0.199' },
};

export interface Place {
  readonly namespace: string;
  readonly folder: string;
  /** Writes remuda.yaml into the folder; paths are those that the daemon sees, `more` are further settings, or others. */
  config(paths: { readonly data: string; readonly run: string; readonly share: string }, more?: Readonly<Record<string, unknown>>): string;
  [Symbol.dispose](): void;
}
export const makePlace = (name: string): Place => {
  const namespace = `${name}-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  run('ip', 'netns', 'add', namespace);
  const ip = (...args: readonly string[]): string => run('ip', '-n', namespace, ...args);
  ip('link', 'set', 'lo', 'up');
  // A pair, so that the daemon's end has a carrier.
  ip('link', 'add', 'boot0', 'type', 'veth', 'peer', 'name', 'rack0');
  ip('addr', 'add', '10.91.0.1/24', 'dev', 'boot0');
  ip('link', 'set', 'boot0', 'up');
  ip('link', 'set', 'rack0', 'up');
  return {
    namespace,
    folder,
    config: ({ data, run: runFolder, share }, more = {}) => {
      const path = join(folder, 'remuda.yaml');
      const boot = { agent: `${share}/agent`, firmware: `${share}/firmware` };
      const settings = { data, socket: `${runFolder}/remuda.sock`, boot, subnets: [subnet], ...more };
      // JSON is YAML; a line for each setting, so that a fault is told with its own.
      const lines = Object.entries(settings).map(([setting, value]) => `${setting}: ${JSON.stringify(value)}\n`);
      writeFileSync(path, lines.join(''));
      return path;
    },
    [Symbol.dispose]: () => {
      run('ip', 'netns', 'del', namespace);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
