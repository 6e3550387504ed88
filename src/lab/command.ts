/** `remuda lab`: a rack of virtual servers in a network namespace of its own, provisioned before the reader's eyes. */
import { Command, InvalidArgumentError } from 'commander';
import { fileURLToPath } from 'node:url';
import { RemudaError, reasonOf } from '../errors.ts';
import type { LabWorld } from '../world/lab-world.ts';
import type { Terminal } from '../world/terminal.ts';
import { adminOf } from './admin.ts';
import { startCrew } from './crew.ts';
import type { Crew } from './crew.ts';
import { probeKvm } from './kvm.ts';
import { removeRackNet } from './net.ts';
import { placeOf, rackSpec, readNote, writeNote } from './place.ts';
import type { Place } from './place.ts';
import { provisionAll } from './provision.ts';
import { startRack } from './rack.ts';
import type { RackQuirks } from './rack.ts';
import { hostBar, resultOf, summary } from './show.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const buildMs = 30 * 60_000;
const minute = 60_000;
/** 128 and SIGINT, as shells count. */
const interrupted = 130;

interface UpOptions {
  readonly hosts: number;
  readonly firmware?: 'bios' | 'uefi';
  readonly once: boolean;
  readonly json: boolean;
  readonly name: string;
  readonly memory: number;
}
export interface Bench {
  /** Goes on until everything is cleaned up, whatever signal came. */
  readonly lab: LabWorld;
  readonly terminal: Terminal;
  /** The person wants it to end. */
  readonly interrupt: AbortSignal;
}
const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
const cacheOf = (env: Terminal['env']): string => env['REMUDA_CACHE'] ?? `${env['HOME'] ?? '/root'}/.cache/remuda`;

/** Runs a recipe; its folder is the last line it prints. Quick when it was built before. */
const build = async (lab: LabWorld, say: (line: string) => void, script: string, args: readonly string[]): Promise<string> => {
  const child = await lab.processes.spawn('bash', [`${root}/${script}`, ...args], { stdout: 'lines', stderr: 'lines' });
  let last = '';
  const said: string[] = [];
  child.lines((line, from) => {
    if (from === 'stdout') last = line;
    else {
      said.push(line);
      say(`  ${line}`);
    }
  });
  const cancel = lab.clock.after(buildMs, () => child.kill('SIGKILL'));
  const { code } = await child.wait();
  cancel();
  if (code !== 0) throw new RemudaError('internal', `${script} ${args.join(' ')} failed:\n${said.slice(-20).join('\n')}`);
  return last;
};

const hints = (place: Place, crew: Crew): string => `
The rack stays up. Try, in another terminal:

  export REMUDA_SOCKET=${place.socket}
  npm run -s remuda -- host list
  npm run -s remuda -- host show h1
  npm run -s remuda -- host timeline h1
  npm run -s remuda -- claim list
  npm run -s remuda -- host reprovision h1 --image tiny-2 --wait
  npm run -s remuda -- claim release lab-h1
  npm run -s remuda -- doctor

The API: ${crew.api}/v1/hosts   consoles: ${place.folder}/h1/serial.log   daemon: ${place.folder}/daemon.log
Stop: Ctrl-C here, or npm run lab -- down
`;

const up = async ({ lab, terminal, interrupt }: Bench, options: UpOptions): Promise<number> => {
  const began = lab.clock.now();
  const cache = cacheOf(terminal.env);
  const place = placeOf(cache, options.name);
  if ((await readNote(lab, place)) !== undefined)
    throw new RemudaError('conflict', `a laboratory is up already: npm run lab -- status shows it, npm run lab -- down ends it`);
  const say = (text: string): void => (options.json ? undefined : terminal.error(`${text}\n`));
  say('building what hosts boot (quick when it was built before)');
  const agent = await build(lab, say, 'images/build.sh', ['ramdisk']);
  const tiny = await build(lab, say, 'images/build.sh', ['tiny']);
  const tiny2 = await build(lab, say, 'images/build.sh', ['tiny', '--release', '2']);
  const firmware = await build(lab, say, 'firmware/build.sh', []);
  const accel = (await probeKvm(lab, cache)) ? 'kvm' : 'tcg';
  await clear(lab, place);
  say(
    `starting ${options.hosts} virtual servers (${accel === 'kvm' ? 'KVM' : 'QEMU TCG: no working KVM here'}) and the daemon in the network namespace remuda-${options.name}`,
  );
  const firmwares = options.firmware === undefined ? (['bios', 'uefi'] as const) : ([options.firmware] as const);
  const rack = {
    name: options.name,
    hosts: options.hosts,
    firmware: Array.from({ length: options.hosts }, (_, index) => firmwares[index % firmwares.length] ?? 'bios'),
    folder: place.folder,
    accel,
    memoryMiB: options.memory,
    diskMiB: 256,
  } as const;
  const crew = await startCrew(lab, { place, rack, agent, firmware });
  try {
    await giveBack(lab, terminal.env, cache);
    await writeNote(lab, place, {
      pid: process.pid,
      startTime: lab.processes.startTimeOf(process.pid) ?? 0,
      api: crew.api,
      startedAt: began,
    });
    await crew.admin.importImage(`${tiny}/tiny.raw`, 'tiny');
    const since = lab.clock.now();
    say(`ready after ${((since - began) / 1000).toFixed(1)} s; provisioning image tiny\n`);
    // The second image is for trying things; the first hosts need not wait for it.
    const second = crew.admin.importImage(`${tiny2}/tiny.raw`, 'tiny-2');
    const hosts = await provisionAll(lab, crew, {
      image: 'tiny',
      withinMs: 15 * minute,
      since,
      interrupt,
      show: options.json ? undefined : terminal,
    });
    await second;
    const results = hosts.map(resultOf);
    say(`\n${summary(results, (lab.clock.now() - began) / 1000)}`);
    if (options.json) terminal.write(`${JSON.stringify({ hosts: results })}\n`);
    const whole = results.length === options.hosts && results.every(({ state, hostname }) => state === 'provisioned' && hostname !== null);
    if (!options.once && !interrupt.aborted) {
      say(hints(place, crew));
      await ended(interrupt);
    }
    if (interrupt.aborted) return interrupted;
    return whole ? 0 : 1;
  } catch (error) {
    // Ctrl-C reaches the daemon and the servers as well: what was being asked of them fails, and that is no news.
    if (interrupt.aborted) return interrupted;
    throw error;
  } finally {
    say('\ncleaning up');
    await crew.stop();
    await clear(lab, place);
    await giveBack(lab, terminal.env, cache);
  }
};

/** Under sudo everything made belongs to root; the person who asked must be able to use and remove it, the API's socket above all. */
const giveBack = async (lab: LabWorld, env: Terminal['env'], path: string): Promise<void> => {
  const [user, group] = [env['SUDO_UID'], env['SUDO_GID']];
  if (user === undefined || group === undefined || !/^\d+$/.test(user + group)) return;
  await lab.processes.run('chown', ['-R', '--no-dereference', `${user}:${group}`, path], { timeoutMs: minute });
};

/** Disks, database and notes of an earlier run. The folder is the laboratory's own. */
const clear = async (lab: LabWorld, place: Place): Promise<void> => {
  await lab.processes.run('rm', ['-rf', '--one-file-system', place.folder], { timeoutMs: minute });
};

const down = async ({ lab, terminal }: Bench, name: string): Promise<number> => {
  const place = placeOf(cacheOf(terminal.env), name);
  const note = await readNote(lab, place);
  if (note !== undefined) {
    lab.processes.signal(note.pid, note.startTime, 'SIGTERM');
    for (let waited = 0; waited < 30_000 && lab.processes.alive(note.pid, note.startTime); waited += 100) await lab.clock.sleep(100);
  }
  await removeRackNet(lab, name);
  await clear(lab, place);
  terminal.error(note === undefined ? 'no laboratory was up; nothing is left of an earlier one\n' : 'the laboratory is down\n');
  return 0;
};

const status = async ({ lab, terminal }: Bench, options: { readonly name: string; readonly json: boolean }): Promise<number> => {
  const place = placeOf(cacheOf(terminal.env), options.name);
  const note = await readNote(lab, place);
  if (note === undefined) {
    terminal[options.json ? 'write' : 'error'](options.json ? '{"up":false}\n' : 'no laboratory is up; npm run lab starts one\n');
    return 1;
  }
  const hosts = await adminOf(lab, place.socket).hosts();
  if (options.json) terminal.write(`${JSON.stringify({ up: true, ...note, socket: place.socket, hosts: hosts.map(resultOf) })}\n`);
  else
    terminal.write(
      `${hosts.map((host) => hostBar(host, terminal.isTty ? terminal.columns : undefined)).join('\n')}\nAPI ${note.api}, socket ${place.socket}\n`,
    );
  return 0;
};

/** Inside the namespace: the servers and their BMCs, until the world ends or whoever started this is gone. */
const rackProcess = async ({ lab, terminal, interrupt }: Bench, path: string): Promise<number> => {
  const spec = rackSpec.parse(JSON.parse(new TextDecoder().decode(await lab.files.read(path))));
  const { quirks, foreignDiskMiB, bmc, subnets, ...rest } = spec;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the names of the quirks are the laboratory's own
  const faults = quirks as RackQuirks | undefined;
  const rack = await startRack(lab, {
    ...rest,
    ...(bmc === undefined ? {} : { bmc }),
    ...(subnets === undefined ? {} : { subnets }),
    ...(foreignDiskMiB === undefined ? {} : { foreignDiskMiB }),
    ...(faults === undefined ? {} : { quirks: faults }),
  });
  try {
    const hosts = rack.hosts.map(({ name, mac, firmware, address, serialLog }) => ({ name, mac, firmware, serialLog, bmc: address }));
    terminal.write(`${JSON.stringify({ hosts })}\n`);
    await ended(interrupt);
  } finally {
    await rack.stop();
  }
  return 0;
};

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 16) throw new InvalidArgumentError('a number from 1 to 16');
  return value;
};
const mebibytes = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 256) throw new InvalidArgumentError('MiB, at least 256');
  return value;
};
const firmwareOf = (text: string): 'bios' | 'uefi' => {
  if (text === 'bios' || text === 'uefi') return text;
  throw new InvalidArgumentError('bios or uefi');
};

const named = (command: Command): Command => command.option('--name <name>', 'of the laboratory, when there are several', 'lab');

/** Runs the subcommand that `args` name; the exit code. Errors are one plain sentence. */
export const labCommand = async (args: readonly string[], bench: Bench): Promise<number> => {
  const { terminal } = bench;
  let code = 0;
  const program = new Command('lab')
    .description('A rack of virtual servers in a network namespace of its own, provisioned before your eyes (needs root)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.write(text), writeErr: (text) => terminal.error(text) });
  const act =
    <O>(run: (options: O) => Promise<number>) =>
    async (options: O): Promise<void> => {
      code = await run(options);
    };
  const upCommand = named(program.command('up').description('start the rack, provision every server, stay up until Ctrl-C'))
    .option('--hosts <n>', 'virtual servers', count, 2)
    .option('--firmware <kind>', 'bios or uefi; without it they alternate', firmwareOf)
    .option('--memory <mib>', 'of each server', mebibytes, 512)
    .option('--once', 'provision, clean everything up, exit 0 only if every server phoned home', false)
    .option('--json', 'the result as one line of JSON, the last one', false)
    .action(act((options: UpOptions) => up(bench, options)));
  program.addHelpText('after', () => `\nWithout a command it is \`up\`:\n\n${upCommand.helpInformation()}`);
  named(program.command('down').description('end a laboratory and remove what is left of it')).action(
    act(({ name }: { name: string }) => down(bench, name)),
  );
  named(program.command('status').description('what a running laboratory does'))
    .option('--json', 'as JSON', false)
    .action(act((options: { name: string; json: boolean }) => status(bench, options)));
  program
    .command('rack', { hidden: true })
    .requiredOption('--spec <file>')
    .action(act(({ spec }: { spec: string }) => rackProcess(bench, spec)));
  try {
    // Without a verb it is `up`.
    const verb = program.commands.some((command) => command.name() === args[0]) || ['help', '--help', '-h'].includes(args[0] ?? '');
    await program.parseAsync(verb ? [...args] : ['up', ...args], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof Error && 'exitCode' in error) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof RemudaError)) throw error;
    terminal.error(`remuda lab: ${reasonOf(error)}\n`);
    return 1;
  }
};
