/** `remuda host describe|label|note|mac|bmc`: what is kept of a server besides its state. */
import { Argument, Option } from 'commander';
import type { Command } from 'commander';
import { hostJson, powerJson } from '../api/types.ts';
import type { DescribeBody } from '../api/types.ts';
import { bmcOf, bmcOptions } from './bmc-option.ts';
import type { BmcOptions } from './bmc-option.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { usage } from './failure.ts';
import { renderChanged, renderProfile } from './host-view.ts';
import { parseLabelEdits } from './labels.ts';
import { profileOf, profileOptions } from './profile-option.ts';
import type { ProfileOptions } from './profile-option.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';

const pathOf = (host: string | undefined): string => `/v1/hosts/${segment(host)}`;
const describe = async (context: Context, host: string | undefined, patch: DescribeBody): Promise<void> =>
  context.show(await context.client.patch(pathOf(host), patch, hostJson), renderProfile);

const clearable = ['rack', 'unit', 'failureDomain', 'note', 'serial', 'uuid', 'network', 'dhcp'] as const;
const describeCommands = (session: Session, host: Command): void => {
  const command = profileOptions(leaf(host, 'describe <host>', 'change what is said of it; what is not named stays'))
    .alias('edit')
    .addOption(new Option('--clear <field>', 'take away what was said; several times for several').choices(clearable).argParser(collect));
  does<ProfileOptions & { clear?: readonly string[] }>(session, command, async (context, [name], { clear = [], ...options }) => {
    const stranger = clear.find((field) => !(clearable as readonly string[]).includes(field));
    if (stranger !== undefined) throw usage(`--clear ${stranger}: it can clear ${clearable.join(', ')}`);
    const patch = { ...(await profileOf(context, options)), ...Object.fromEntries(clear.map((field) => [field, null])) };
    if (Object.keys(patch).length === 0) throw usage('nothing is changed: name what is to be said of the host');
    await describe(context, name, patch);
  });
  const label = leaf(host, 'label <host> <change...>', 'change its labels: key=value sets one, key- takes it away').alias('annotate');
  does(session, label, (context, [name, ...changes]) => describe(context, name, { labels: parseLabelEdits(changes.flat()) }));
  const note = leaf(host, 'note <host> [text...]', 'what the next person should know; without text the note is taken away');
  does(session, note, (context, [name, ...words]) => {
    const text = words.flat().join(' ').trim();
    return describe(context, name, { note: text === '' ? null : text });
  });
};

const macCommands = (session: Session, host: Command): void => {
  const mac = host.command('mac').description('the MAC addresses by which it is known');
  for (const [verb, description] of [
    ['adopt', 'from now on the host is known by this MAC: its network card was replaced'],
    ['remove', 'the host is no longer known by this MAC'],
    ['refuse', 'a MAC that was seen with its UUID is another machine\u2019s'],
  ] as const)
    does(session, leaf(mac, `${verb} <host> <mac>`, description), async (context, [name, address = '']) =>
      context.show(await context.client.post(`${pathOf(name)}/macs`, { [verb]: address }, hostJson), renderChanged),
    );
};

const bmcCommands = (session: Session, host: Command): void => {
  const bmc = host.command('bmc').description('its management controller');
  const set = bmcOptions(leaf(bmc, 'set <host>', 'address and credentials; it is asked first whether it answers')).option(
    '--no-check',
    'do not ask it',
  );
  does<BmcOptions & { check: boolean }>(session, set, async (context, [name], { check, ...options }) => {
    const wanted = await bmcOf(context, options);
    if (wanted === undefined) throw usage('a BMC needs --bmc-url');
    context.show(await context.client.put(`${pathOf(name)}/bmc`, { ...wanted, check }, hostJson), renderChanged);
  });
  const remove = withConfirmation(leaf(bmc, 'remove <host>', 'from now on the power button is pressed by hand')).alias('rm');
  does<ConfirmOptions>(session, remove, async (context, [name], options) => {
    await confirm(context, `The address and the credentials of the BMC of host ${name ?? ''} are struck.`, options);
    context.show(await context.client.delete(`${pathOf(name)}/bmc`, hostJson), renderChanged);
  });
};

const locateCommand = (session: Session, host: Command): void => {
  const locate = leaf(host, 'locate <host>', 'light the lamp at its chassis, so that it is found in the rack')
    .addArgument(new Argument('[wanted]').choices(['on', 'off']))
    .option('--seconds <count>', 'for so long, up to 255', (text) => Number(text), 60);
  does<{ seconds: number }>(session, locate, async (context, [name, wanted = 'on'], options) => {
    const body = { on: wanted === 'on', seconds: options.seconds };
    context.show(await context.client.post(`${pathOf(name)}/locate`, body, powerJson), () => `the light is ${wanted}\n`);
  });
};

export const recordCommands = (session: Session, host: Command): void => {
  describeCommands(session, host);
  macCommands(session, host);
  bmcCommands(session, host);
  locateCommand(session, host);
};
