/** Before something is lost: a person at a terminal is told what, and asked; a script has said what it wants. */
import type { Command } from 'commander';
import { CommandFailure, exits } from './failure.ts';
import { plainText } from './human.ts';
import type { Context } from './session.ts';

export interface ConfirmOptions {
  readonly yes?: boolean;
}
export const withConfirmation = (command: Command): Command => command.option('-y, --yes', 'do not ask');

/** Throws where the person does not say yes. Where nobody can be asked (no terminal), the command itself is the word. */
export const confirm = async ({ terminal }: Context, what: string, options: ConfirmOptions): Promise<void> => {
  if (options.yes === true || !terminal.canAsk) return;
  terminal.error(`${what.split('\n').map(plainText).join('\n')}\n`);
  const said = await terminal.ask('Go on? [y/N] ');
  if (said === undefined || !/^\s*y(es)?\s*$/i.test(said)) throw new CommandFailure(exits.failed, 'nothing was changed');
};
