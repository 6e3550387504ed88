/** `remuda host …`: servers of the rack. */
import { Argument, Option } from 'commander';
import type { Command } from 'commander';
import { z } from 'zod';
import { hostJson, powerJson } from '../api/types.ts';
import type { EnrolBody, HostJson, ReprovisionBody } from '../api/types.ts';
import { CommandFailure, exits, usage } from './failure.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { waitProvisioned } from './follow.ts';
import { lookCommands } from './host-look.ts';
import { diskText } from './host-view.ts';
import type { Look } from './host-view.ts';
import { plainText } from './human.ts';
import { bmcOf, readUserData } from './input.ts';
import type { BmcOptions } from './input.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';

const pathOf = (host: string | undefined): string => `/v1/hosts/${segment(host)}`;
/** After a change: its name, its state, what it does now. */
export const renderChanged = (host: HostJson, { style }: Look): string =>
  `${style('bold', plainText(host.name))} is ${host.state}: ${plainText(host.doing)}\n`;

const bmcOptions = (command: Command): Command =>
  command
    .option('--bmc-url <url>', 'where its management controller is, like https://10.0.0.5')
    .option('--bmc-username <name>', 'a user who may switch the power')
    .option('--bmc-password-file <file>', 'its password; else REMUDA_BMC_PASSWORD, else asked')
    .option('--bmc-fingerprint <sha256>', 'accept exactly this certificate')
    .option('--bmc-insecure', 'accept any certificate')
    .option('--bmc-system <id>', 'which system, where the controller has several');

export interface IntentOptions {
  readonly image: string;
  readonly hostname?: string;
  readonly userData?: string;
  readonly wait?: boolean;
}
export const intentOptions = (command: Command): Command =>
  command
    .requiredOption('--image <name>', 'the image, by name or digest')
    .option('--hostname <name>', 'what the installed system calls itself')
    .option('--user-data <file>', 'cloud-init user data for it')
    .option('--wait', 'follow it until it is provisioned or has failed');
export const intentOf = async (context: Context, options: IntentOptions): Promise<ReprovisionBody> => ({
  image: options.image,
  ...(options.hostname === undefined ? {} : { hostName: options.hostname }),
  ...(options.userData === undefined ? {} : { userData: await readUserData(context, options.userData) }),
});

/** POST to a path that answers with a host; waits for it where asked. */
export const reprovisionAt = async (context: Context, path: string, options: IntentOptions): Promise<void> => {
  const answer = await context.client.post(path, await intentOf(context, options), hostJson);
  context.show(options.wait === true ? await waitProvisioned(context, answer.value) : answer, renderChanged);
};

const arrivalCommands = (session: Session, host: Command): void => {
  const enrol = bmcOptions(
    leaf(host, 'enrol <name>', 'declare a host: it is accepted at once and inspected')
      .option('--mac <mac>', 'a MAC address it boots from; several times for several', collect)
      .addOption(new Option('--firmware <kind>', 'how it boots').choices(['bios', 'uefi'])),
  );
  does<BmcOptions & { mac?: readonly string[]; firmware?: 'bios' | 'uefi' }>(session, enrol, async (context, [name = ''], options) => {
    const bmc = await bmcOf(context, options);
    if (bmc === undefined && options.mac === undefined) throw usage('a host is known by its --mac or its --bmc-url: give one of them');
    const body: EnrolBody = {
      name,
      macs: [...(options.mac ?? [])],
      ...(options.firmware === undefined ? {} : { firmware: options.firmware }),
      ...(bmc === undefined ? {} : { bmc }),
    };
    context.show(await context.client.post('/v1/hosts', body, hostJson), renderChanged);
  });

  const accept = bmcOptions(leaf(host, 'accept <host>', 'accept a discovered host: it is inspected, and may then be claimed'));
  does<BmcOptions>(session, accept, async (context, [name], options) => {
    const bmc = await bmcOf(context, options);
    context.show(await context.client.post(`${pathOf(name)}/accept`, bmc === undefined ? {} : { bmc }, hostJson), renderChanged);
  });

  const forget = withConfirmation(leaf(host, 'forget <host>', 'strike a host that no claim holds, with its timeline'));
  does<ConfirmOptions>(session, forget.alias('remove').alias('rm'), async (context, [name], options) => {
    await confirm(context, `Host ${name ?? ''} is struck, with its timeline and the credentials of its BMC.`, options);
    await context.client.delete(pathOf(name), z.undefined());
    context.show({ raw: { forgotten: name }, value: name }, (value) => `${value ?? ''} is forgotten\n`);
  });
};

const stepCommands = (session: Session, host: Command): void => {
  const power = leaf(host, 'power <host>', 'switch its power').addArgument(new Argument('<wanted>').choices(['on', 'off']));
  does(session, power, async (context, [name, wanted]) => {
    const answer = await context.client.post(`${pathOf(name)}/power`, { power: wanted }, powerJson);
    context.show(answer, ({ observed, settled, note }) => {
      const said = settled ? '' : ` (asked for ${wanted ?? ''}; the BMC has not got there yet)`;
      return `power is ${observed}${said}${note === null ? '' : `: ${plainText(note)}`}\n`;
    });
    return answer.value.settled ? exits.ok : exits.failed;
  });

  const hold = leaf(host, 'hold <host>', 'stop all steps on it').requiredOption('--why <reason>', 'what the next person should know');
  does<{ why: string }>(session, hold, async (context, [name], { why }) =>
    context.show(await context.client.post(`${pathOf(name)}/hold`, { why }, hostJson), renderChanged),
  );
  for (const [verb, description] of [
    ['unhold', 'let the steps go on'],
    ['retry', 'try again what failed'],
  ] as const)
    does(session, leaf(host, `${verb} <host>`, description), async (context, [name]) =>
      context.show(await context.client.post(`${pathOf(name)}/${verb}`, {}, hostJson), renderChanged),
    );
};

/** What a release takes away. */
export const releaseText = (claim: NonNullable<HostJson['claim']>, host: string): string =>
  `Claim ${claim.id} of ${claim.owner} ends. Host ${host} (${claim.hostName}, ${claim.image.name}) is switched off, and everything on this disk is lost:\n  ${diskText(claim.disk)}`;

const ownerCommands = (session: Session, host: Command): void => {
  const reprovision = intentOptions(leaf(host, 'reprovision <host>', 'put an image on its claim\u2019s disk again: the next generation'));
  does<IntentOptions>(session, reprovision, (context, [name], options) => reprovisionAt(context, `${pathOf(name)}/reprovision`, options));

  const release = withConfirmation(leaf(host, 'release <host>', 'end its claim; the disk that the claim wrote is cleaned'));
  does<ConfirmOptions>(session, release, async (context, [name], options) => {
    const { value } = await context.client.get(pathOf(name), hostJson);
    if (value.claim === null)
      throw new CommandFailure(exits.failed, `no claim holds host ${value.name}: it is ${value.state}`, {
        next: `see it: remuda host show ${value.name}`,
      });
    await confirm(context, releaseText(value.claim, value.name), options);
    context.show(await context.client.delete(`/v1/claims/${segment(value.claim.id)}`, hostJson), renderChanged);
  });
};

export const hostCommands = (session: Session, program: Command): void => {
  const host = program.command('host').alias('hosts').description('servers of the rack');
  lookCommands(session, host);
  arrivalCommands(session, host);
  stepCommands(session, host);
  ownerCommands(session, host);
};
