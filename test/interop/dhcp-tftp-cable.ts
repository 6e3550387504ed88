/** Small racks made of network namespaces and cables, with our real DHCP and TFTP servers on one of the machines. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { OtherServer } from '../../src/dhcp/others.ts';
import type { SubnetConfig } from '../../src/dhcp/subnet.ts';
import type { Observation } from '../../src/wire/words.ts';

/** What the serving process tells, one JSON line each; see dhcp-tftp-serve.ts. */
export type Told =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'saved';
      readonly leases: readonly { readonly address: string; readonly endsAt: number }[];
      readonly freed: readonly string[];
    }
  | { readonly kind: 'observed'; readonly observation: Pick<Observation, 'text'> }
  | {
      readonly kind: 'counters';
      readonly dhcp: Readonly<Record<string, number>>;
      readonly tftp: Readonly<Record<string, number>>;
      readonly leases: number;
      readonly others: readonly OtherServer[];
    };

export interface ServeOptions {
  readonly leaseSeconds: number;
  /** Served by TFTP. */
  readonly folder: string;
  /** MACs that are hosts of ours. */
  readonly known?: readonly string[];
  /** Instead of 10.77.0.0/24 at rack0. */
  readonly subnets?: readonly Omit<SubnetConfig, 'leaseSeconds'>[];
}

/** Which machines there are besides `server` and `client`, and what `ip` is told to join them: `@place` stands for a namespace. */
export interface Wiring {
  readonly places: readonly string[];
  readonly commands: readonly string[];
}
const oneCable: Wiring = {
  places: [],
  commands: [
    '-n @server link add rack0 type veth peer name nic0 netns @client',
    '-n @server addr add 10.77.0.1/24 dev rack0',
    '-n @server link set rack0 up',
    '-n @client link set nic0 address 52:54:00:00:00:01 up',
  ],
};

/** Longer than any step here takes on a busy machine, shorter than the test may. */
const toldMs = 25_000;
/** Ends what hangs before the test runs out of time, so that the cable is taken away. */
const childMs = 50_000;

/** One rack; `await using` takes it away with everything that runs in it. */
export class Cable implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'remuda-cable-'));
  readonly #names: ReadonlyMap<string, string>;
  readonly #children: ChildProcess[] = [];
  readonly #told: Told[] = [];
  /** What the clients wrote, for the message of a failure. */
  readonly #heard: string[] = [];
  readonly #waiting = new Set<() => void>();
  #serving: ChildProcess | undefined;

  constructor(name: string, wiring: Wiring = oneCable) {
    assert.equal(process.getuid?.(), 0, 'network namespaces need root');
    this.#names = new Map(['server', 'client', ...wiring.places].map((place) => [place, `${name}-${place}-${process.pid}`]));
    for (const namespace of this.#names.values()) {
      ip('netns', 'add', namespace);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
    }
    for (const command of wiring.commands)
      ip(...command.split(' ').map((word) => (word.startsWith('@') ? this.#namespace(word.slice(1)) : word)));
  }
  #namespace(place: string): string {
    const namespace = this.#names.get(place);
    assert.ok(namespace, place);
    return namespace;
  }

  /** Starts a program on the client's side; it ends with the cable. */
  inClient(program: string, ...args: readonly string[]): ChildProcess {
    return this.at('client', program, ...args);
  }
  /** The same on any machine. */
  at(place: string, program: string, ...args: readonly string[]): ChildProcess {
    const child = this.#spawn(this.#namespace(place), [program, ...args]);
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => this.#heard.push(chunk.toString()));
    return child;
  }
  /** Runs a program on the client's side to its end, which must be a good one; returns what it wrote. */
  run(program: string, ...args: readonly string[]): Promise<string> {
    return this.runAt('client', program, ...args);
  }
  async runAt(place: string, program: string, ...args: readonly string[]): Promise<string> {
    const child = this.at(place, program, ...args);
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 0, `${program} ${args.join(' ')}: ${output.join('')}`);
    return output.join('');
  }
  /** For clients of TFTP, which have an address already. */
  giveClientAddress(address: string): void {
    ip('-n', this.#namespace('client'), 'addr', 'add', `${address}/24`, 'dev', 'nic0');
  }
  clientAddresses(): string {
    return ip('-n', this.#namespace('client'), '-4', '-o', 'addr', 'show', 'dev', 'nic0');
  }

  async serve(options: ServeOptions): Promise<void> {
    const child = this.#spawn(this.#namespace('server'), [
      process.execPath,
      join(import.meta.dirname, 'dhcp-tftp-serve.ts'),
      JSON.stringify(options),
    ]);
    this.#serving = child;
    assert.ok(child.stdout && child.stderr);
    createInterface(child.stdout).on('line', (line) => {
      this.#told.push(JSON.parse(line) as Told);
      for (const wake of this.#waiting) wake();
    });
    child.stderr.pipe(process.stderr);
    await this.told('ready');
  }
  /** Our servers do nothing until `awake`, as on a machine that is busy with other things. */
  asleep(): void {
    this.#serving?.kill('SIGSTOP');
  }
  awake(): void {
    this.#serving?.kill('SIGCONT');
  }
  /** Everything of a kind that was told so far. */
  all<K extends Told['kind']>(kind: K): readonly Extract<Told, { readonly kind: K }>[] {
    return this.#told.filter((one): one is Extract<Told, { readonly kind: K }> => one.kind === kind);
  }
  /** Waits until so many of a kind were told, and returns the last of them. */
  async told<K extends Told['kind']>(kind: K, count = 1): Promise<Extract<Told, { readonly kind: K }>> {
    const deadline = performance.now() + toldMs;
    let one = this.all(kind)[count - 1];
    while (one === undefined && performance.now() < deadline) {
      // oxlint-disable-next-line no-await-in-loop -- woken by each line that comes
      await this.#woken(deadline - performance.now());
      one = this.all(kind)[count - 1];
    }
    assert.ok(one, `waited for ${kind} number ${count}; the clients said: ${this.#heard.join('')}; we said: ${JSON.stringify(this.#told)}`);
    return one;
  }
  #woken(mostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, mostMs);
      this.#waiting.add(wake);
    });
  }
  /** Waits until an observation says this. */
  async observed(text: RegExp): Promise<void> {
    for (let count = 1; ; count++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as they come
      const { observation } = await this.told('observed', count);
      if (text.test(observation.text)) return;
    }
  }
  /** The counters as they are now; also proof that the process lives. */
  async counters(): Promise<Extract<Told, { readonly kind: 'counters' }>> {
    const count = this.all('counters').length;
    this.#serving?.kill('SIGUSR2');
    return this.told('counters', count + 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
      child.kill('SIGKILL');
      // oxlint-disable-next-line no-await-in-loop -- a namespace goes only when its processes are gone
      await once(child, 'exit');
    }
    for (const name of this.#names.values()) ip('netns', 'del', name);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(namespace: string, command: readonly string[]): ChildProcess {
    const PATH = `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    // `ip netns exec` becomes the program, so that its process is the one we can end.
    const child = spawn('ip', ['netns', 'exec', namespace, ...command], {
      cwd: join(import.meta.dirname, '../..'),
      env: { PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: childMs,
      killSignal: 'SIGKILL',
    });
    this.#children.push(child);
    return child;
  }
}

const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
