/** The real world: Node's clock, sockets, files and log behind the interfaces of world.ts. */
import { realClock } from './clock.ts';
import { selfSigned } from './certificate.ts';
import { realFiles } from './files.ts';
import { httpCall, httpStream } from './http-client.ts';
import { httpGet } from './http-get.ts';
import { httpListen } from './http-server.ts';
import { realLog } from './log.ts';
import type { LogOptions } from './log.ts';
import { realRandom } from './random.ts';
import { realNet } from './udp.ts';
import type { World } from './world.ts';

export interface RealWorldOptions {
  /** Ends everything this world started. */
  readonly signal: AbortSignal;
  readonly log: LogOptions;
}

/** One world per process; its sockets, listeners and sleeps end with `signal`. */
export const realWorld = ({ signal, log: logOptions }: RealWorldOptions): World => {
  const log = realLog(logOptions);
  const clock = realClock(signal);
  return {
    signal,
    clock,
    random: realRandom,
    net: realNet(signal, log),
    http: {
      listen: (options) => httpListen({ ...options, signal, log }),
      call: (call) => httpCall(call, signal),
      stream: (call) => httpStream(call, signal),
      get: (request) => httpGet(request, signal),
      selfSigned: (commonName) => selfSigned(commonName, clock.now()),
    },
    files: realFiles,
    log,
  };
};
