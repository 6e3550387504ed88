/** `remuda host …`: servers of the rack; what is done to them. */
import { Argument } from 'commander';
import type { Command } from 'commander';
import { hostJson, powerJson } from '../api/types.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { CommandFailure, exits } from './failure.ts';
import { arrivalCommands } from './host-arrival.ts';
import { holdCommands } from './host-hold.ts';
import { lookCommands } from './host-look.ts';
import { recordCommands } from './host-record.ts';
import { renderChanged } from './host-view.ts';
import { plainText } from './human.ts';
import { intentOptions, reprovisionAt } from './intent.ts';
import type { IntentOptions } from './intent.ts';
import { checkRelease, releaseClaim, releaseOptions } from './release.ts';
import type { ReleaseOptions } from './release.ts';
import { does, leaf, segment } from './session.ts';
import type { Session } from './session.ts';

const pathOf = (host: string | undefined): string => `/v1/hosts/${segment(host)}`;

const verbs = ['on', 'off', 'soft', 'cycle', 'reset', 'status'] as const;
/** What a verb that cuts the power takes from a system that runs. */
const cuts: Readonly<Record<string, string>> = { off: 'is switched off', cycle: 'is switched off and on', reset: 'is reset' };
interface PowerOptions extends ConfirmOptions {
  readonly wait?: boolean;
}
const powerCommand = (session: Session, host: Command): void => {
  const power = withConfirmation(
    leaf(host, 'power <host>', 'switch its power: soft asks its OS to shut down; status is what the BMC last showed'),
  ).addArgument(new Argument('<wanted>').choices(verbs));
  does<PowerOptions>(session, power, async (context, [name, wanted = ''], options) => {
    if (wanted === 'status') {
      const { value } = await context.client.get(pathOf(name), hostJson);
      const { power: observed, powerAt } = value.facts;
      context.show({ raw: { power: observed, powerAt }, value: observed }, (said) => `power is ${said}\n`);
      return exits.ok;
    }
    const cut = cuts[wanted];
    if (cut !== undefined && options.yes !== true && context.terminal.canAsk) {
      const { value } = await context.client.get(pathOf(name), hostJson);
      // Nobody loses anything where nothing of an owner runs.
      if (value.state === 'provisioned')
        await confirm(
          context,
          `Host ${value.name} runs ${value.claim?.image.name ?? ''} of ${value.claim?.owner ?? ''}. It ${cut} without being asked to end.`,
          options,
        );
    }
    const answer = await context.client.post(`${pathOf(name)}/power`, { power: wanted }, powerJson);
    context.show(answer, ({ observed, settled, note }) => {
      const said = settled ? '' : ` (asked for ${wanted}; the BMC has not got there yet)`;
      return `power is ${observed}${said}${note === null ? '' : `: ${plainText(note)}`}\n`;
    });
    return answer.value.settled ? exits.ok : exits.failed;
  });
};

const retryCommand = (session: Session, host: Command): void =>
  does(session, leaf(host, 'retry <host>', 'try again what failed'), async (context, [name]) =>
    context.show(await context.client.post(`${pathOf(name)}/retry`, {}, hostJson), renderChanged),
  );

const ownerCommands = (session: Session, host: Command): void => {
  const reprovision = intentOptions(leaf(host, 'reprovision <host>', 'put an image on its claim\u2019s disk again: the next generation'));
  does<IntentOptions>(session, reprovision, (context, [name], options) => reprovisionAt(context, `${pathOf(name)}/reprovision`, options));

  const release = releaseOptions(leaf(host, 'release <host>', 'end its claim; the disk that the claim wrote is cleaned'));
  does<ReleaseOptions>(session, release, async (context, [name], options) => {
    checkRelease(options);
    const { value } = await context.client.get(pathOf(name), hostJson);
    const { claim } = value;
    if (claim === null)
      throw new CommandFailure(exits.failed, `no claim holds host ${value.name}: it is ${value.state}`, {
        next: `see it: remuda host show ${value.name}`,
      });
    return releaseClaim(context, claim.id, { options, look: async () => ({ claim, host: value.name }) });
  });
};

export const hostCommands = (session: Session, program: Command): void => {
  const host = program.command('host').alias('hosts').description('servers of the rack');
  lookCommands(session, host);
  arrivalCommands(session, host);
  recordCommands(session, host);
  powerCommand(session, host);
  holdCommands(session, host);
  retryCommand(session, host);
  ownerCommands(session, host);
};
