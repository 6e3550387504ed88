/** `remuda config …`: the daemon's configuration looked at before it is used; and `remuda reload`, which uses it. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { CommandFailure, exits } from './failure.ts';
import { plainText, plural } from './human.ts';
import { absolute } from './input.ts';
import { formatOf } from './output.ts';
import type { OutputOptions } from './output.ts';
import type { Session } from './session.ts';
import { withOutput } from './session.ts';
import { styleFor } from './style.ts';

export const defaultConfig = '/etc/remuda/remuda.yaml';

const checkCommand = (session: Session, config: Command): void => {
  const { local, terminal } = session.deps;
  const check = withOutput(
    config.command('check [file]').description(`every fault of it with its line; ${defaultConfig} where none is named`),
  );
  check.action(async () => {
    const path = absolute(check.args[0] ?? defaultConfig, terminal.cwd);
    const { faults, warnings } = await local.config.check(path);
    const format = formatOf(check.optsWithGlobals<OutputOptions>());
    const style = styleFor(terminal);
    session.outcome.exit = faults.length > 0 ? exits.failed : exits.ok;
    if (format === 'json') return terminal.write(`${JSON.stringify({ file: path, faults, warnings }, null, 2)}\n`);
    if (format === 'yaml') return terminal.write(stringify({ file: path, faults, warnings }));
    const lines = [
      ...faults.map(
        ({ line, path: at, message }) =>
          `${path}:${line}: ${style('bad', 'error')}: ${plainText(at === '' ? message : `${at}: ${message}`)}\n`,
      ),
      ...warnings.map((text) => `${path}: ${style('warn', 'warning')}: ${plainText(text)}\n`),
    ];
    const verdict = faults.length > 0 ? plural(faults.length, 'error') : style('good', 'the configuration is right');
    return terminal.write(`${lines.join('')}${verdict}${warnings.length === 0 ? '' : `, ${plural(warnings.length, 'warning')}`}\n`);
  });
};

export const configCommands = (session: Session, program: Command): void => {
  const { local, terminal } = session.deps;
  const config = program.command('config').description('the daemon\u2019s configuration');
  checkCommand(session, config);
  const example = config
    .command('example')
    .description('one with every setting, to begin from: remuda config example > remuda.yaml')
    .option('--minimal', 'the least that serves one network');
  example.action(() => terminal.write(local.config.example(example.opts<{ minimal?: boolean }>().minimal === true)));
  const show = withOutput(config.command('show [file]').description('as the daemon reads it, with every default in its place'));
  show.action(async () => {
    const path = absolute(show.args[0] ?? defaultConfig, terminal.cwd);
    const { faults, config: effective } = await local.config.check(path);
    if (effective === undefined)
      throw new CommandFailure(exits.failed, faults.map(({ line, path: at, message }) => `${path}:${line}: ${at}: ${message}`).join('\n'), {
        next: `mend the configuration file; to see whether all is right: remuda config check ${path}`,
      });
    const asJson = formatOf(show.optsWithGlobals<OutputOptions>()) === 'json';
    terminal.write(asJson ? `${JSON.stringify(effective, null, 2)}\n` : stringify(effective));
  });
};
