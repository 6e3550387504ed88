/** What the laboratory needs beyond the world: processes it owns, and lines over a Unix socket (QMP). */
import type { Ipv4, Mac } from '../wire/address.ts';
import type { Listener, World } from './world.ts';

/** Where a stream of a process goes; the file is appended to. */
export type ProcessOutput = 'ignore' | 'lines' | { readonly file: string };
export interface SpawnOptions {
  readonly cwd?: string;
  /** Default `ignore`. */
  readonly stdout?: ProcessOutput;
  /** Default `ignore`. */
  readonly stderr?: ProcessOutput;
  /** Added to the environment of this process; undefined takes a name away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Lives on when this world ends, in a process group of its own and without stdin. */
  readonly outlives?: boolean;
  /** In a process group of its own: `kill`, and the end of the world, reach all that it started. */
  readonly group?: boolean;
}
export interface ProcessEnd {
  /** undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
}
export interface LabProcess {
  readonly pid: number;
  /** Resolves when it has ended and its lines were delivered; the same end however often it is asked. */
  wait(): Promise<ProcessEnd>;
  /** Lines of the streams that were asked for as `lines`, without the line end; to be called once, before the next await. */
  lines(handler: (line: string, from: 'stdout' | 'stderr') => void): void;
  /** Best effort: nothing where its stdin is closed. */
  write(stdin: string | Uint8Array): void;
  /** Closes its stdin. */
  closeInput(): void;
  /** false where it has ended already. */
  kill(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT' | 'SIGCONT' | 'SIGSTOP'): boolean;
}
export interface RunOptions {
  readonly timeoutMs: number;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Of each stream; default 1 MiB. What is more is cut off. */
  readonly outputBytesMax?: number;
}
export interface RunResult {
  /** undefined where a signal ended it, also ours at the time limit. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}
export interface Processes {
  /** Throws `not-found` where there is no such command. It ends with the world: SIGTERM, then SIGKILL. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): Promise<LabProcess>;
  /** Runs to the end; throws `not-found` where there is no such command, never for its code. At the time limit it is killed with what it started. */
  run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult>;
  /** Whether the process that began at `startTime` still runs: a pid alone is given again to strangers. */
  alive(pid: number, startTime: number): boolean;
  /** Clock ticks since boot, `/proc/PID/stat` field 22; undefined where there is no such process or it is a zombie. */
  startTimeOf(pid: number): number | undefined;
  /** To a process that an earlier run of ours left; nothing where `startTime` says it is another one. */
  signal(pid: number, startTime: number, signal: 'SIGTERM' | 'SIGKILL'): boolean;
}

export interface LineStream {
  send(line: string): void;
  /** Lines without their end; to be called once. What came before is delivered then. */
  lines(handler: (line: string) => void): void;
  /** Resolves when either side has closed. */
  readonly closed: Promise<void>;
  close(): void;
}
export interface Streams {
  /** Connects to a Unix socket; throws `bmc-unreachable`. */
  connectLines(path: string): Promise<LineStream>;
  /** A TCP port whose connections are carried to a Unix socket, byte for byte. */
  forward(options: { readonly address: Ipv4; readonly port: number; readonly socket: string }): Promise<Listener>;
}

export interface FrameSocket {
  /** Sends a whole IPv6 packet to a hardware address; throws `internal`. */
  send(packet: Uint8Array, to: Mac): void;
  close(): void;
}
export interface Frames {
  /** On one interface of this network namespace; throws `not-found` where there is no such interface. */
  openIpv6(interfaceName: string): FrameSocket;
}

export interface LabWorld extends World {
  readonly processes: Processes;
  readonly streams: Streams;
  readonly frames: Frames;
}
