/** `remuda host …`: servers of the rack. */
import { Argument, InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { z } from 'zod';
import { hostJson, itemsOf, powerJson } from '../api/types.ts';
import type { EnrolBody, HostJson, ReprovisionBody } from '../api/types.ts';
import { limits } from '../limits.ts';
import { CommandFailure, exits, usage } from './failure.ts';
import { followTimeline, readTimeline, waitProvisioned } from './follow.ts';
import { renderHost, renderHosts } from './host-view.ts';
import type { Look } from './host-view.ts';
import { plainText } from './human.ts';
import { bmcOf, readUserData } from './input.ts';
import type { BmcOptions } from './input.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';
import { renderTimeline } from './timeline-view.ts';

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

export const number = (text: string): number => {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('not a number.');
  return Number(text);
};

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

const lookCommands = (session: Session, host: Command): void => {
  const list = leaf(host, 'list', 'all hosts, and what each does').addOption(
    new Option('--state <state>', 'only hosts in this state').choices(hostJson.shape.state.options),
  );
  does<{ state?: string }>(session, list, async (context, _args, { state }) => {
    const answer = await context.client.get('/v1/hosts', itemsOf(hostJson));
    const kept = answer.value.items.filter((one) => state === undefined || one.state === state);
    context.show(state === undefined ? answer : { raw: { items: kept }, value: { items: kept } }, (_value, look) =>
      renderHosts(kept, look),
    );
  });

  const show = leaf(host, 'show <host>', 'one host: why it stands where it stands, what was last seen, what it is');
  does(session, show, async (context, [name]) => {
    const answer = await context.client.get(pathOf(name), hostJson);
    const timeline = await readTimeline(context, { host: answer.value.id, most: 12, after: undefined });
    context.show(answer, (value, look) => renderHost(value, timeline.value.items, look));
  });

  const timeline = leaf(host, 'timeline <host>', 'what happened to it, step by step')
    .option('-f, --follow', 'go on as it happens (with --json one object a line)')
    .option('--most <count>', `at most so many entries, up to ${limits.timelineAnswerMax}`, number, 200)
    .option('--after <seq>', 'only what came after this entry', number);
  does<{ follow?: boolean; most: number; after?: number }>(session, timeline, async (context, [name = ''], { follow, most, after }) => {
    if (follow === true) return followTimeline(context, { host: name, most, after });
    return context.show(await readTimeline(context, { host: name, most, after }), (value, look) =>
      value.items.length === 0 ? 'Nothing was seen of this host yet.\n' : renderTimeline(value.items, look),
    );
  });
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

  const forget = leaf(host, 'forget <host>', 'strike a host that no claim holds, with its timeline');
  does(session, forget, async (context, [name]) => {
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

const ownerCommands = (session: Session, host: Command): void => {
  const reprovision = intentOptions(leaf(host, 'reprovision <host>', 'put an image on its claim\u2019s disk again: the next generation'));
  does<IntentOptions>(session, reprovision, (context, [name], options) => reprovisionAt(context, `${pathOf(name)}/reprovision`, options));

  const release = leaf(host, 'release <host>', 'end its claim; the disk that the claim wrote is cleaned');
  does(session, release, async (context, [name]) => {
    const { value } = await context.client.get(pathOf(name), hostJson);
    if (value.claim === null)
      throw new CommandFailure(exits.failed, `no claim holds host ${value.name}: it is ${value.state}`, {
        next: `see it: remuda host show ${value.name}`,
      });
    context.show(await context.client.delete(`/v1/claims/${segment(value.claim.id)}`, hostJson), renderChanged);
  });
};

export const hostCommands = (session: Session, program: Command): void => {
  const host = program.command('host').description('servers of the rack');
  lookCommands(session, host);
  arrivalCommands(session, host);
  stepCommands(session, host);
  ownerCommands(session, host);
};
