/** `remuda backup` and `remuda restore`: what the daemon knows, in one file, and back again. */
import type { Command } from 'commander';
import { CommandFailure, exits } from './failure.ts';
import { plural, sizeText } from './human.ts';
import { absolute } from './input.ts';
import { formatOf, printed } from './output.ts';
import type { OutputOptions } from './output.ts';
import { ProgressBar } from './progress-bar.ts';
import { does, leaf, withOutput } from './session.ts';
import type { Context, Session } from './session.ts';

/** The last entry of a whole backup lies within its last bytes. */
const tailBytes = 64 * 1024;

/** `remuda-2026-11-21T15-04-05Z.tar` */
const defaultName = (now: number): string => `remuda-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '-')}Z.tar`;

async function* watched(
  context: Context,
  pieces: AsyncIterable<Uint8Array>,
  seen: { bytes: number; tail: Buffer },
): AsyncGenerator<Uint8Array> {
  using bar = new ProgressBar(context.terminal);
  for await (const piece of pieces) {
    seen.bytes += piece.length;
    seen.tail = Buffer.from(Buffer.concat([seen.tail, piece]).subarray(-tailBytes));
    bar.show({ label: 'backing up', done: seen.bytes, unit: 'bytes' });
    yield piece;
  }
  // A daemon that died in the middle closes the stream as one that is done.
  if (!seen.tail.includes('SHA256SUMS'))
    throw new CommandFailure(exits.failed, 'the backup was cut off; nothing was kept', {
      next: 'see what the daemon says (its log, remuda doctor), and make it again',
    });
}

const backupCommand = (session: Session, program: Command): void => {
  const backup = leaf(
    program,
    'backup [file]',
    'all that the daemon knows into one file, while it serves; the key of its secrets is not in it',
  ).option('--no-images', 'leave the images out: they can be imported again');
  does<{ images: boolean }>(session, backup, async (context, [file], { images }) => {
    const { terminal, world, client } = context;
    const path = absolute(file ?? defaultName(world.clock.now()), terminal.cwd);
    if ((await world.files.stat(path)) !== undefined)
      throw new CommandFailure(exits.usage, `${path} is there already`, {
        next: 'name a file that is not: a backup never replaces another',
      });
    const seen = { bytes: 0, tail: Buffer.alloc(0) };
    await world.files.write(path, watched(context, client.download(`/v1/backup?images=${images}`), seen), 0o600);
    const value = { file: path, bytes: seen.bytes, images };
    context.show(
      { raw: value, value },
      () => `${path}: ${sizeText(seen.bytes)}\nKeep the key too, elsewhere: without it the secrets in the backup cannot be read.\n`,
    );
  });
};

const restoreCommand = (session: Session, program: Command): void => {
  const { local, terminal, world } = session.deps;
  const restore = withOutput(program.command('restore <file>'))
    .description('a backup into a data folder; the daemon must not be running')
    .option('--config <path>', 'the configuration that names the data folder and the key (/etc/remuda/remuda.yaml)')
    .option('--data <folder>', 'the data folder, instead of the configuration\u2019s')
    .option('--key-file <path>', 'the key that the secrets are sealed with, instead of the configuration\u2019s')
    .option('--replace', 'a data folder that is there is kept beside it, under another name')
    .option('--no-hold', 'let the daemon go on at once: nothing was done to any host since the backup')
    .option('--check', 'unpack and prove it, and leave everything as it is');
  restore.action(async () => {
    const options = restore.opts<{ config?: string; data?: string; keyFile?: string; replace?: boolean; check?: boolean; hold: boolean }>();
    const format = formatOf(restore.optsWithGlobals<OutputOptions>());
    using bar = new ProgressBar(terminal);
    const path = absolute(restore.args[0] ?? '', terminal.cwd);
    const totalBytes = (await world.files.stat(path))?.sizeBytes;
    const said = await local.restore({
      file: path,
      ...(options.config === undefined ? {} : { config: absolute(options.config, terminal.cwd) }),
      ...(options.data === undefined ? {} : { data: absolute(options.data, terminal.cwd) }),
      ...(options.keyFile === undefined ? {} : { keyFile: absolute(options.keyFile, terminal.cwd) }),
      replace: options.replace === true,
      check: options.check === true,
      hold: options.hold,
      onProgress: (done) => bar.show({ label: 'restoring', done, total: totalBytes, unit: 'bytes' }),
    });
    bar.clear();
    const { about, data, kept, key, files, bytes, held } = said;
    const text = (): string =>
      `${options.check === true ? 'a whole backup' : `restored into ${data}`}: ${plural(files, 'file')}, ${sizeText(bytes)}, made ${new Date(about.madeAt).toISOString()} by Remuda ${about.version}\n` +
      (kept === undefined ? '' : `what was there before: ${kept}\n`) +
      (key === undefined ? '' : `the key is where the daemon looks for it: ${key}\n`) +
      (held === 0 || options.check === true
        ? ''
        : `Every host is held, as what happened since the backup is not known here. Compare, then: remuda host unhold HOST, or for all: remuda host unhold --all --by restore\n`) +
      (about.images || options.check === true ? '' : 'It holds no images: import them again before a host is installed.\n');
    return terminal.write(printed(format, said, text));
  });
};

export const backupCommands = (session: Session, program: Command): void => {
  backupCommand(session, program);
  restoreCommand(session, program);
};
