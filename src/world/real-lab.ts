/** The real world of the laboratory: the real one, with processes and streams. */
import { env as processEnv } from 'node:process';
import { realFrames } from './frames.ts';
import type { LabWorld } from './lab-world.ts';
import { realProcesses } from './processes.ts';
import { realWorld } from './real.ts';
import type { RealWorldOptions } from './real.ts';
import { realStreams } from './streams.ts';

export interface RealLabWorldOptions extends RealWorldOptions {
  /** What started processes inherit; default the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Everything started here ends with `signal`, except processes that were asked to outlive it. */
export const realLabWorld = (options: RealLabWorldOptions): LabWorld => ({
  ...realWorld(options),
  processes: realProcesses(options.signal, options.env ?? processEnv),
  streams: realStreams(options.signal),
  frames: realFrames(options.signal),
});
