/** `remuda lab`: a rack of virtual servers in a network namespace of its own, provisioned before the reader's eyes. */
import { Command } from 'commander';
import { RemudaError, reasonOf } from '../errors.ts';
import { adminOf } from './admin.ts';
import { cacheOf, clear } from './bench.ts';
import type { Bench } from './bench.ts';
import { removeRackNet } from './net.ts';
import { withUpOptions } from './options.ts';
import type { UpOptions } from './options.ts';
import { placeOf, rackSpec, readNote } from './place.ts';
import { planeUp, withPlaneOptions } from './plane/up.ts';
import type { PlaneCommandOptions } from './plane/up.ts';
import { startRack } from './rack.ts';
import type { RackQuirks } from './rack.ts';
import { resultsOf } from './provision.ts';
import { hostBar } from './show.ts';
import { up } from './up.ts';
import { ended } from '../world/ending.ts';

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
  const admin = adminOf(lab, place.socket);
  const hosts = await admin.hosts();
  if (options.json) {
    const results = await resultsOf(lab, admin, place, hosts);
    terminal.write(`${JSON.stringify({ up: true, ...note, socket: place.socket, hosts: results })}\n`);
  } else
    terminal.write(
      `${hosts.map((host) => hostBar(host, terminal.isTty ? terminal.columns : undefined)).join('\n')}\nAPI ${note.api}, socket ${place.socket}\n`,
    );
  return 0;
};

/** Inside the namespace: the servers and their BMCs, until the world ends or whoever started this is gone. */
const rackProcess = async ({ lab, terminal, interrupt }: Bench, path: string): Promise<number> => {
  const spec = rackSpec.parse(JSON.parse(new TextDecoder().decode(await lab.files.read(path))));
  const { quirks, foreignDiskMiB, bmc, subnets, cpus, ...rest } = spec;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the names of the quirks are the laboratory's own
  const faults = quirks as RackQuirks | undefined;
  const rack = await startRack(lab, {
    ...rest,
    ...(bmc === undefined ? {} : { bmc }),
    ...(subnets === undefined ? {} : { subnets }),
    ...(cpus === undefined ? {} : { cpus }),
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

const named = (command: Command): Command => command.option('--name <name>', 'of the laboratory, when there are several', 'lab');

/** Runs the subcommand that `args` name; the exit code. Errors are one plain sentence. */
export const labCommand = async (args: readonly string[], bench: Bench): Promise<number> => {
  const { terminal } = bench;
  let code = 0;
  const program = new Command('lab')
    .description(
      'A rack of virtual servers in a network namespace of its own, provisioned before your eyes.\nNeeds root, QEMU, and what builds images; in a clone of the repository `npm run lab` installs them.',
    )
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.write(text), writeErr: (text) => terminal.error(text) });
  const act =
    <O>(run: (options: O) => Promise<number>) =>
    async (options: O): Promise<void> => {
      code = await run(options);
    };
  const upCommand = withUpOptions(
    named(program.command('up').description('start the rack, provision every server, stay up until Ctrl-C')),
  ).action(act((options: UpOptions) => up(bench, options)));
  program.addHelpText('after', () => `\nWithout a command it is \`up\`:\n\n${upCommand.helpInformation()}`);
  named(program.command('down').description('end a laboratory and remove what is left of it')).action(
    act(({ name }: { name: string }) => down(bench, name)),
  );
  named(program.command('status').description('what a running laboratory does'))
    .option('--json', 'as JSON', false)
    .action(act((options: { name: string; json: boolean }) => status(bench, options)));
  withPlaneOptions(
    program.command('plane').description('a Kubernetes management cluster with Cluster API and no nodes, until Ctrl-C'),
  ).action(act((options: PlaneCommandOptions) => planeUp(bench, options)));
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
