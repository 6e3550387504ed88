/** The appliance as an operator has it: the daemon as a process in a network namespace of its own, and the command line beside it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { realWorld } from '../../src/world/real.ts';
import type { HttpAnswer } from '../../src/world/world.ts';
import { makePlace, root, run } from '../deploy/place.ts';
import type { Place } from '../deploy/place.ts';

const main = join(root, 'src/main.ts');
/** What a hung process costs at most: a command, and what serves. */
const commandMs = 60_000;
const servingMs = 10 * 60_000;
const untilMs = 60_000;

/** Until it is so; the processes under test decide how long that takes. */
export const until = async <T>(look: () => T | undefined | false | Promise<T | undefined | false>, what: string): Promise<T> => {
  for (const end = Date.now() + untilMs; ;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    assert.ok(Date.now() < end, `not within ${untilMs / 1000} s: ${what}`);
    await sleep(50);
  }
};

export interface Said {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}
/** A process with what it says. */
export interface Running {
  readonly child: ChildProcess;
  /** Both streams, as they came. */
  said(): string;
  readonly ended: Promise<Said & { readonly signal: NodeJS.Signals | null }>;
}
const start = (command: string, args: readonly string[], env: NodeJS.ProcessEnv, mostMs = commandMs): Running => {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: mostMs });
  let [out, err, all] = ['', '', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => ((out += text), (all += text)));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => ((err += text), (all += text)));
  const ended = once(child, 'close').then(([exit, signal]: (number | NodeJS.Signals | null)[]) => ({
    exit: exit as number | null,
    signal: signal as NodeJS.Signals | null,
    out,
    err,
  }));
  return { child, said: () => all, ended };
};

/** Nothing of whoever runs the tests: neither a daemon of theirs nor their contexts. */
const environment = (home: string): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(REMUDA_|NODE_(?!COMPILE)|XDG_|NO_COLOR|FORCE_COLOR|SUDO_)/.test(name)),
  ),
  HOME: home,
  USER: 'ann',
  NO_COLOR: '1',
  TERM: 'dumb',
});

/** Of the card at the other end of the cable. */
export const wireMac = '52:54:00:77:00:01';
export const address = '10.91.0.1';
export const apiPort = 7471;
export const url = `https://${address}:${apiPort}`;
/** With it the daemon is asked over the network as well, by TLS. */
export const onTcp = { api: { listen: [{ address, port: apiPort }] } };

/** All plain files below a folder, by their paths from it. */
export const filesBelow = (folder: string, below = ''): readonly string[] =>
  readdirSync(join(folder, below), { withFileTypes: true })
    .flatMap((one) => (one.isDirectory() ? filesBelow(folder, join(below, one.name)) : [join(below, one.name)]))
    .toSorted();

interface Remote {
  readonly token?: string;
  readonly fingerprint?: string;
}
export class Appliance implements AsyncDisposable {
  readonly place: Place;
  readonly data: string;
  readonly socket: string;
  readonly config: string;
  readonly #home: string;
  /** Of the lives before this one. */
  #log = '';
  readonly #ending = new AbortController();
  readonly #http = realWorld({ signal: this.#ending.signal, log: { level: 'silent' } }).http;
  #hasRack = false;
  #settings: Readonly<Record<string, unknown>> = {};
  #daemon: Running | undefined;

  constructor(name: string, settings: Readonly<Record<string, unknown>> = {}) {
    this.place = makePlace(name);
    this.data = this.at('data');
    this.socket = this.at('run/remuda.sock');
    this.#home = this.at('home');
    mkdirSync(this.#home);
    shareIn(this.at('share'));
    this.config = this.configure(settings);
  }
  /** A path in the test's own folder. */
  at(path: string): string {
    return join(this.place.folder, path);
  }
  /** Writes a file there; returns its path. */
  put(path: string, bytes: string | Uint8Array, mode = 0o644): string {
    writeFileSync(this.at(path), bytes, { mode });
    return this.at(path);
  }
  configure(settings: Readonly<Record<string, unknown>>): string {
    this.#settings = settings;
    return this.place.config({ data: this.data, run: this.at('run'), share: this.at('share') }, settings);
  }
  ip(...args: readonly string[]): void {
    run('ip', '-n', this.place.namespace, ...args);
  }
  /** A program at the other end of the appliance's cable, in a namespace of its own; the first one plugs it in. */
  onWire(own: string, command: string, ...args: readonly string[]): Running {
    const rack = `${this.place.namespace}-rack`;
    if (!this.#hasRack) {
      run('ip', 'netns', 'add', rack);
      this.#hasRack = true;
      this.ip('link', 'set', 'rack0', 'netns', rack);
      run('ip', '-n', rack, 'link', 'set', 'rack0', 'address', wireMac, 'up');
    }
    run('ip', '-n', rack, 'addr', 'replace', `${own}/24`, 'dev', 'rack0');
    return this.inside('ip', 'netns', 'exec', rack, command, ...args);
  }
  /** A program in the appliance's network. */
  inside(command: string, ...args: readonly string[]): Running {
    return start('ip', ['netns', 'exec', this.place.namespace, command, ...args], environment(this.#home), servingMs);
  }

  /** Starts the daemon and waits until every listener of the API answers. `before` are words in front of its command. */
  async start(before: readonly string[] = []): Promise<Running> {
    const [command, ...args] = [...before, 'ip', 'netns', 'exec', this.place.namespace];
    const serve = [...args, process.execPath, main, 'serve', '--config', this.config];
    const daemon = start(command, serve, environment(this.#home), servingMs);
    this.#daemon = daemon;
    const listeners = 1 + ((this.#settings['api'] as typeof onTcp.api | undefined)?.listen.length ?? 0);
    const isUp = (): boolean => daemon.said().split('"the API answers"').length > listeners;
    let gone = false;
    void daemon.ended.then(() => (gone = true));
    await until(() => isUp() || gone, 'the daemon answers');
    assert.ok(!gone, `the daemon ended at once: ${daemon.said()}`);
    return daemon;
  }
  /** Ends the daemon and returns how it ended. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ readonly exit: number | null; readonly signal: NodeJS.Signals | null }> {
    assert.ok(this.#daemon !== undefined, 'a daemon runs');
    this.#daemon.child.kill(signal);
    const { exit, signal: by } = await this.#daemon.ended;
    this.#log += this.#daemon.said();
    this.#daemon = undefined;
    return { exit, signal: by };
  }
  /** Asks it to read its configuration again. */
  hangUp(): void {
    this.#daemon?.child.kill('SIGHUP');
  }
  /** Everything it said, over all its lives. */
  said(): string {
    return this.#log + (this.#daemon?.said() ?? '');
  }
  /** SHA-256 of the certificate that the API shows, as the log tells it. */
  fingerprint(): string {
    const [, found] = /"fingerprint":"([0-9a-f]{64})"/.exec(this.said()) ?? [];
    assert.ok(found !== undefined, 'the log tells the fingerprint');
    return found;
  }
  /** The token of the first start. */
  firstToken(): string {
    const [found] = /remuda_[a-z0-9]{8}_[\w-]{43}/.exec(this.said()) ?? [];
    assert.ok(found !== undefined, 'the first start shows a token');
    return found;
  }

  /** The command line on the daemon's machine. */
  remuda(...args: readonly string[]): Promise<Said> {
    return start(process.execPath, [main, ...args], { ...environment(this.#home), REMUDA_SOCKET: this.socket }).ended;
  }
  /** The command line elsewhere: only the network leads to the daemon. */
  remote(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    return start('ip', ['netns', 'exec', this.place.namespace, process.execPath, main, ...args], { ...environment(this.#home), ...env });
  }
  /** The same with a token and the certificate pinned. */
  async asked(args: readonly string[], { token, fingerprint = this.fingerprint() }: Remote): Promise<Said> {
    const trust = ['--url', url, '--fingerprint', fingerprint, ...(token === undefined ? [] : ['--token', token])];
    return this.remote([...args, ...trust]).ended;
  }
  /** What the command line prints as JSON; it must succeed. */
  async json<T>(...args: readonly string[]): Promise<T> {
    const { exit, out, err } = await this.remuda(...args, '--json');
    assert.equal(exit, 0, `remuda ${args.join(' ')}: ${err}`);
    return JSON.parse(out) as T;
  }
  /** One request over the socket, without a process of its own. */
  api(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<HttpAnswer> {
    return this.#http.call({
      method,
      url: `http://remuda${path}`,
      socket: this.socket,
      timeoutMs: 10_000,
      replyBytesMax: 64 * 1024 * 1024,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  }
  /** What a path of the API answers. */
  async read<T>(path: string): Promise<T> {
    const { status, body } = await this.api('GET', path);
    assert.equal(status, 200, `${path}: ${Buffer.from(body).toString()}`);
    return JSON.parse(Buffer.from(body).toString()) as T;
  }
  /** What the neighbours behind this socket have seen. */
  async neighbour<T>(socket: string): Promise<T> {
    const { body } = await this.#http.call({ method: 'GET', url: 'http://neighbours/', socket, timeoutMs: 10_000, replyBytesMax: 65_536 });
    return JSON.parse(new TextDecoder().decode(body)) as T;
  }

  /** What the store of images holds. */
  imageFiles(data = this.data): readonly string[] {
    try {
      return filesBelow(join(data, 'images'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
  /** All bytes of the data folder but for the key. */
  dataBytes(): Buffer {
    return Buffer.concat(
      filesBelow(this.data)
        .filter((name) => name !== 'key')
        .map((name) => readFileSync(join(this.data, name))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemon !== undefined) await this.end('SIGKILL');
    this.#ending.abort();
    if (this.#hasRack) run('ip', 'netns', 'del', `${this.place.namespace}-rack`);
    this.place[Symbol.dispose]();
  }
}

/** What hosts would load first, with nothing in it that could boot. */
const shareIn = (share: string): void => {
  const file = { sha256: 'ab'.repeat(32), sizeBytes: 4 };
  const files = {
    'agent/vmlinuz': 'boot',
    'agent/initrd.zst': 'boot',
    'agent/ramdisk.json': JSON.stringify({ vmlinuz: file, initrd: file }),
    'firmware/undionly.kpxe': 'boot',
    'firmware/snponly.efi': 'boot',
    'firmware/autoexec.ipxe': 'boot',
  };
  for (const folder of ['agent', 'firmware']) mkdirSync(join(share, folder), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(share, name), text);
};

/** Refused: the exit code, both lines of the answer, and no secret among them. */
export const refused = (said: Said, exit: number, says: RegExp, secrets: readonly string[] = []): void => {
  assert.equal(said.exit, exit, said.out + said.err);
  assert.match(said.err, says);
  assert.match(said.err, /^(error: |\{"error":)/m);
  silent(said.out + said.err, secrets);
};
/** None of the secrets stands in the text. */
export const silent = (text: string, secrets: readonly string[]): void => {
  for (const secret of secrets) assert.ok(!text.includes(secret), `a secret was told: ${text}`);
};
/** A refusal as a program reads it (`--json`). */
export const problem = (said: Said): { readonly code: string; readonly detail: string; readonly next: string | null } => {
  const [, line] = /^(\{"error":.*\})$/m.exec(said.err) ?? [];
  assert.ok(line !== undefined, `no refusal as JSON: ${said.err}`);
  return (JSON.parse(line) as { error: { code: string; detail: string; next: string | null } }).error;
};
