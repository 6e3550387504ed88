/** Processes with an owner and an end: QEMU, and the tools that build what it boots. */
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { RemudaError, reasonOf } from '../errors.ts';
import { errnoOf } from './files.ts';
import { lineSplitter } from './lines.ts';
import type { LabProcess, ProcessEnd, ProcessOutput, Processes, RunOptions, RunResult, SpawnOptions } from './lab-world.ts';

/** Between SIGTERM and SIGKILL, when the world ends. */
const graceMs = 2000;
const outputBytesDefault = 1024 * 1024;

type Environment = Readonly<Record<string, string | undefined>>;

/** Field 22 of /proc/PID/stat (proc(5)); the command in field 2 may hold spaces and brackets, so fields are counted after its last `)`. */
export const startTimeOf = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
};
const alive = (pid: number, startTime: number): boolean => startTimeOf(pid) === startTime;

const signalTo = (pid: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
};

const openLog = (file: string): number => {
  try {
    return openSync(file, 'a', 0o640);
  } catch (cause) {
    throw new RemudaError('internal', `cannot write the output of a process to ${file}: ${reasonOf(cause)}`, { cause, values: { file } });
  }
};

/** Descriptors for the streams that go to files; the child has its own copies once it runs. */
const outputs = (options: SpawnOptions): { stdio: StdioOptions; opened: readonly number[] } => {
  const opened: number[] = [];
  const target = (output: ProcessOutput | undefined): 'ignore' | 'pipe' | number => {
    if (output === undefined || output === 'ignore') return 'ignore';
    if (output === 'lines') return 'pipe';
    const fd = openLog(output.file);
    opened.push(fd);
    return fd;
  };
  return { stdio: [options.outlives === true ? 'ignore' : 'pipe', target(options.stdout), target(options.stderr)], opened };
};

/** Resolves when the program runs; throws `not-found` or `internal` where it cannot be started. */
const started = (child: ChildProcess, command: string): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      const missing = errnoOf(cause) === 'ENOENT';
      const reason = missing ? 'there is no such command (or folder to run it in)' : reasonOf(cause);
      reject(new RemudaError(missing ? 'not-found' : 'internal', `cannot start ${command}: ${reason}`, { cause, values: { command } }));
    });
  });

const endOf = (child: ChildProcess): Promise<ProcessEnd> =>
  new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
    // A pipe that nobody reads would never close.
    child.once('exit', () => {
      child.stdout?.resume();
      child.stderr?.resume();
    });
  });

const readLines = (stream: Readable | null, handler: (line: string) => void): void => {
  if (stream === null) return;
  const splitter = lineSplitter(handler);
  stream.on('data', (chunk: Uint8Array) => splitter.push(chunk));
  stream.once('end', () => splitter.end());
};

/** SIGTERM when the world ends, SIGKILL where that is not enough. */
const endWith = (world: AbortSignal, child: ChildProcess, kill: (signal: NodeJS.Signals) => boolean): void => {
  const stop = (): void => {
    kill('SIGTERM');
    const timer = setTimeout(() => kill('SIGKILL'), graceMs);
    child.once('exit', () => clearTimeout(timer));
  };
  if (world.aborted) return stop();
  world.addEventListener('abort', stop, { once: true });
  child.once('exit', () => world.removeEventListener('abort', stop));
};

const spawnOne = async (
  world: AbortSignal,
  base: Environment,
  [command, args]: readonly [string, readonly string[]],
  options: SpawnOptions,
): Promise<LabProcess> => {
  world.throwIfAborted();
  const { stdio, opened } = outputs(options);
  const env = { ...base, ...options.env };
  const place = options.cwd === undefined ? {} : { cwd: options.cwd };
  const child = spawn(command, args, { ...place, env, stdio, detached: options.outlives === true || options.group === true });
  for (const fd of opened) closeSync(fd);
  child.stdin?.on('error', () => {});
  await started(child, command);
  const ended = endOf(child);
  const kill = (signal: NodeJS.Signals): boolean =>
    options.group === true && child.pid !== undefined ? signalTo(-child.pid, signal) : child.kill(signal);
  if (options.outlives === true) child.unref();
  else endWith(world, child, kill);
  return {
    pid: child.pid ?? 0,
    wait: () => ended,
    lines: (handler) => {
      readLines(child.stdout, (line) => handler(line, 'stdout'));
      readLines(child.stderr, (line) => handler(line, 'stderr'));
    },
    write: (bytes) => {
      if (child.stdin?.writable === true) child.stdin.write(bytes);
    },
    closeInput: () => child.stdin?.end(),
    kill,
  };
};

const collect = (stream: Readable | null, bytesMax: number): (() => string) => {
  const chunks: Uint8Array[] = [];
  let left = bytesMax;
  stream?.on('data', (chunk: Uint8Array) => {
    if (left > 0) chunks.push(chunk.subarray(0, left));
    left -= chunk.length;
  });
  return () => Buffer.concat(chunks).toString();
};

const runOne = async (
  world: AbortSignal,
  base: Environment,
  [command, args]: readonly [string, readonly string[]],
  options: RunOptions,
): Promise<RunResult> => {
  world.throwIfAborted();
  const place = options.cwd === undefined ? {} : { cwd: options.cwd };
  // A group of its own, so that at the time limit its children end with it.
  const child = spawn(command, args, { ...place, env: { ...base, ...options.env }, stdio: 'pipe', detached: true });
  child.stdin.on('error', () => {});
  const bytesMax = options.outputBytesMax ?? outputBytesDefault;
  const [stdout, stderr] = [collect(child.stdout, bytesMax), collect(child.stderr, bytesMax)];
  const ended = endOf(child);
  await started(child, command);
  const stop = (): void => void (child.pid !== undefined && signalTo(-child.pid, 'SIGKILL'));
  const timer = setTimeout(stop, options.timeoutMs);
  world.addEventListener('abort', stop, { once: true });
  if (world.aborted) stop();
  child.stdin.end(options.input ?? '');
  const { code } = await ended;
  clearTimeout(timer);
  world.removeEventListener('abort', stop);
  return { code, stdout: stdout(), stderr: stderr() };
};

/** Processes that end with `world`; `env` is what they inherit. */
export const realProcesses = (world: AbortSignal, env: Environment): Processes => ({
  spawn: (command, args, options = {}) => spawnOne(world, env, [command, args], options),
  run: (command, args, options) => runOne(world, env, [command, args], options),
  startTimeOf,
  alive,
  signal: (pid, startTime, signal) => alive(pid, startTime) && signalTo(pid, signal),
});
