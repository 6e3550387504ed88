/** The world of one party of the simulation: virtual time, the simulated network, files in memory, a log that is part of the trace. */
import type { World } from '../../src/world/world.ts';
import type { MemoryFiles } from '../world/memory-files.ts';
import type { Chance } from './chance.ts';
import type { Network, Party } from './network.ts';
import type { Scheduler } from './scheduler.ts';

/** The world of one party: for the daemon, for a BMC, for a host's firmware and agent. */
export const worldOf = (of: {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly party: Party;
  readonly chance: Chance;
  readonly files: MemoryFiles;
  readonly interfaceName?: string;
}): World => {
  const { scheduler, network, party, chance, files } = of;
  const { signal } = party;
  const quiet = (run: () => void) => () => {
    if (!signal.aborted) run();
  };
  const line = (level: string) => (message: string, fields?: object) => {
    // The folder of a run has a name of its own, and is no part of what happened.
    const said = fields === undefined ? '' : JSON.stringify(fields).replaceAll(/remuda-sim-\w+/g, 'remuda-sim');
    if (signal.aborted) return;
    network.onSpeak(party, `${level}: ${message} ${said}`);
    scheduler.log(`${party.name} ${level}: ${message} ${said}`);
  };
  const log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error'), with: () => log };
  return {
    signal,
    clock: {
      now: () => scheduler.now,
      sleep: (ms, stop) =>
        new Promise((wake, reject) => {
          if (signal.aborted) return;
          if (stop?.aborted === true) return reject(stop.reason);
          // What ends with the process itself never settles.
          const ended = quiet(() => {
            cancel();
            reject(stop?.reason);
          });
          const cancel = scheduler.at(
            ms,
            quiet(() => {
              stop?.removeEventListener('abort', ended);
              wake();
            }),
          );
          stop?.addEventListener('abort', ended, { once: true });
        }),
      after: (ms, run) => scheduler.at(ms, quiet(run)),
      soon: (run) => void scheduler.at(0, quiet(run)),
    },
    random: { next: () => chance.next(), bytes: (count) => chance.bytes(count) },
    net: {
      udp: ({ port }) => Promise.resolve(network.udp(party, port)),
      localAddresses: () => (signal.aborted ? [] : [{ interface: 'br0', address: party.address, prefix: 24 }]),
    },
    http: {
      listen: (options) => Promise.resolve(network.listen(party, options)),
      call: (call) => network.call(party, call),
      stream: () => {
        throw new Error('no streams here');
      },
      get: () => Promise.reject(new Error('no images are fetched here')),
      selfSigned: () => Promise.resolve({ key: 'key', certificate: 'certificate', fingerprint: 'f'.repeat(64) }),
    },
    files,
    log,
  };
};
