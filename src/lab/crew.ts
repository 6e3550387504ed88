/** The parts of a running laboratory: the network namespace, the rack, the daemon, the forwarder; started in order, ended in reverse. */
import { fileURLToPath } from 'node:url';
import { RemudaError } from '../errors.ts';
import { parseIpv4 } from '../wire/address.ts';
import type { LabProcess, LabWorld } from '../world/lab-world.ts';
import type { Listener } from '../world/world.ts';
import { adminOf } from './admin.ts';
import type { Admin } from './admin.ts';
import { makeRackNet, removeRackNet } from './net.ts';
import type { RackNet } from './net.ts';
import { startRelay, subnetsOf } from './relay.ts';
import type { Place, RackLine, RackSpec } from './place.ts';
import { rackLine } from './place.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const readyMs = 30_000;
const lastLinesMax = 20;

export interface CrewOptions {
  readonly place: Place;
  readonly rack: RackSpec;
  /** Folder with vmlinuz, initrd.zst, ramdisk.json. */
  readonly agent: string;
  /** Folder with the first-stage boot programs. */
  readonly firmware: string;
  /** Further settings of the daemon, under their names in remuda.yaml. */
  readonly settings?: Readonly<Record<string, unknown>> & { readonly limits?: Readonly<Record<string, number>> };
  /** Likewise, of the subnet that the daemon is in. */
  readonly subnet?: Readonly<Record<string, unknown>>;
  /** Puts up what the daemon leans on, before it starts; what it returns takes that away, after the daemon has ended. */
  readonly before?: (net: RackNet) => Promise<() => Promise<void>>;
}
export interface Crew {
  readonly admin: Admin;
  readonly rack: RackLine;
  /** `http://127.0.0.1:PORT`, carried to the daemon's Unix socket. */
  readonly api: string;
  /** The daemon's process, for tests that end it; `startDaemon` puts another in its place. */
  daemon(): LabProcess;
  startDaemon(): Promise<void>;
  stop(): Promise<void>;
}

/** As the daemon runs everywhere: compiled code is kept, and memory is given back; a third less of it is resident. */
const frugal = {
  flags: ['--max-semi-space-size=2'],
  env: { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576', MALLOC_TRIM_THRESHOLD_: '262144' },
};

/** A subcommand of this very program inside the namespace. */
const inside = (
  lab: LabWorld,
  where: { readonly namespace: string; readonly compiled: string },
  args: readonly string[],
  log?: string,
): Promise<LabProcess> =>
  lab.processes.spawn('ip', ['netns', 'exec', where.namespace, process.execPath, ...frugal.flags, main, ...args], {
    env: { ...frugal.env, NODE_COMPILE_CACHE: where.compiled },
    stdout: log === undefined ? 'lines' : { file: log },
    stderr: log === undefined ? 'lines' : { file: log },
  });

/** The first line of output that reads as the rack; its last words where it ends before. */
const rackReady = (lab: LabWorld, child: LabProcess): Promise<RackLine> =>
  new Promise((resolve, reject) => {
    const said: string[] = [];
    const cancel = lab.clock.after(readyMs, () =>
      reject(new RemudaError('internal', `the virtual servers did not get ready in ${readyMs / 1000} s: ${said.join('\n')}`)),
    );
    child.lines((line) => {
      said.push(line);
      if (said.length > lastLinesMax) said.shift();
      if (!line.startsWith('{"hosts"')) return;
      cancel();
      resolve(rackLine.parse(JSON.parse(line)));
    });
    void child.wait().then(() => {
      cancel();
      reject(new RemudaError('internal', `the virtual servers did not start: ${said.join('\n')}`));
    });
  });

/** A virtual server sends its first packet within seconds, or (an emulator that hangs, which is rare) never; a real one needs minutes. */
const virtual = { firstPacketMs: 120_000 };

const configOf = ({ place, agent, firmware, settings, subnet }: CrewOptions, net: RackNet): string =>
  // YAML is a superset of JSON, and JSON quotes everything.
  JSON.stringify(
    {
      data: `${place.folder}/data`,
      socket: place.socket,
      boot: { agent, firmware, kernelArguments: 'net.ifnames=0 panic=5 quiet' },
      subnets: subnetsOf(net, subnet),
      ...settings,
      limits: { ...virtual, ...settings?.limits },
    },
    undefined,
    2,
  );

const awaitReady = async (lab: LabWorld, admin: Admin, child: LabProcess, log: string): Promise<void> => {
  let ended = false;
  void child.wait().then(() => {
    ended = true;
  });
  for (const until = lab.clock.now() + readyMs; lab.clock.now() < until;) {
    if (await admin.isReady()) return;
    if (ended) break;
    await lab.clock.sleep(50);
  }
  const text = new TextDecoder()
    .decode(await lab.files.read(log))
    .trim()
    .split('\n')
    .slice(-lastLinesMax)
    .join('\n');
  throw new RemudaError('internal', `the daemon did not start; its log ends so:\n${text}`);
};

/** Everything up and the API answering, or nothing left behind. Needs root. */
export const startCrew = async (lab: LabWorld, options: CrewOptions): Promise<Crew> => {
  const { place } = options;
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ends.toReversed()) await end();
    ends.length = 0;
  };
  try {
    for (const folder of [place.folder, `${place.folder}/data`]) await lab.files.makeFolder(folder, 0o700);
    const { hosts: taps, subnets = 1 } = options.rack;
    const net = await makeRackNet(lab, options.rack.name, { taps, subnets });
    ends.push(() => removeRackNet(lab, options.rack.name));
    const where = { namespace: net.namespace, compiled: place.compiled };
    await lab.files.write(place.rackSpec, JSON.stringify(options.rack), 0o600);
    await lab.files.write(place.config, configOf(options, net), 0o600);

    const end = (child: LabProcess) => async (): Promise<void> => {
      child.kill('SIGTERM');
      const cancel = lab.clock.after(8000, () => child.kill('SIGKILL'));
      await child.wait();
      cancel();
    };
    const log = `${place.folder}/daemon.log`;
    const admin = adminOf(lab, place.socket);
    let daemon: LabProcess | undefined;
    const startDaemon = async (): Promise<void> => {
      daemon = await inside(lab, where, ['serve', '--config', place.config], log);
      await awaitReady(lab, admin, daemon, log);
    };
    if (net.far !== undefined) ends.push(end(await startRelay(lab, net, net.far, `${place.folder}/relay.log`)));
    if (options.before !== undefined) ends.push(await options.before(net));
    const rackProcess = await inside(lab, where, ['lab', 'rack', '--spec', place.rackSpec]);
    ends.push(end(rackProcess));
    ends.push(async () => (daemon === undefined ? undefined : end(daemon)()));
    const [rack] = await Promise.all([rackReady(lab, rackProcess), startDaemon()]);
    const address = parseIpv4('127.0.0.1');
    if (address === undefined) throw new RemudaError('internal', 'loopback has no address');
    const forwarder: Listener = await lab.streams.forward({ address, port: 0, socket: place.socket });
    ends.push(() => forwarder.close());
    return {
      admin,
      rack,
      api: `http://127.0.0.1:${forwarder.port ?? 0}`,
      daemon: () => {
        if (daemon === undefined) throw new RemudaError('internal', 'the daemon was never started');
        return daemon;
      },
      startDaemon,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
