/** `remuda claim …`: an owner's right to one host with an image on it. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { claimJson, dryRunJson, hostJson, itemsOf } from '../api/types.ts';
import type { ClaimBody } from '../api/types.ts';
import { renderClaim, renderClaims, renderDryRun } from './claim-view.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { parseDisk } from './disk-option.ts';
import { exits, usage } from './failure.ts';
import { waitProvisioned } from './follow.ts';
import { intentOf, intentOptions, releaseText, renderChanged, reprovisionAt } from './host-commands.ts';
import type { IntentOptions } from './host-commands.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';
import { showOrWatch, withWatch } from './watch.ts';
import type { WatchOptions } from './watch.ts';

interface CreateOptions extends IntentOptions {
  readonly host?: string;
  readonly disk?: readonly string[];
  readonly owner?: string;
  readonly id?: string;
  readonly dryRun?: boolean;
}

const bodyOf = async (context: Context, options: CreateOptions): Promise<ClaimBody> => {
  const disk = parseDisk(options.disk ?? []);
  return {
    ...(await intentOf(context, options)),
    ...(options.id === undefined ? {} : { id: options.id }),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(disk === undefined ? {} : { disk }),
    ...(options.dryRun === true ? { dryRun: true } : {}),
  };
};

const createCommand = (session: Session, claim: Command): void => {
  const create = intentOptions(leaf(claim, 'create', 'take a host and put an image on one of its disks'))
    .option('--host <host>', 'which host; without it any available one whose disks fit')
    .addOption(
      new Option(
        '--disk <rule>',
        'serial=…, wwn=…, size=480GB (within 1 %; bare bytes are exact), min-size=…, max-size=…, only (the default), smallest, largest; several narrow it',
      ).argParser(collect),
    )
    .option('--owner <name>', 'whose it is')
    .option('--id <id>', 'the claim\u2019s ID, where the same question may be asked twice')
    .option('--dry-run', 'show every disk and what would become of it; change nothing');
  does<CreateOptions>(session, create, async (context, _args, options) => {
    if (options.dryRun === true && options.wait === true) throw usage('--dry-run and --wait: there is nothing to wait for');
    const body = await bodyOf(context, options);
    if (options.dryRun === true) {
      const answer = await context.client.post('/v1/claims', body, itemsOf(dryRunJson));
      context.show(answer, ({ items }, look) => renderDryRun(items, look));
      return answer.value.items.some((run) => run.allowed) ? exits.ok : exits.failed;
    }
    const answer = await context.client.post('/v1/claims', body, hostJson);
    context.show(options.wait === true ? await waitProvisioned(context, answer.value) : answer, (host, look) =>
      [`claim ${host.claim?.id ?? ''} holds host ${host.name}\n`, renderChanged(host, look)].join(''),
    );
    return exits.ok;
  });
};

export const claimCommands = (session: Session, program: Command): void => {
  const claim = program.command('claim').alias('claims').description('an owner\u2019s right to one host, with an image on it');
  createCommand(session, claim);
  does<WatchOptions>(session, withWatch(leaf(claim, 'list', 'all claims, and how far each is')).alias('ls'), (context, _args, options) =>
    showOrWatch(
      context,
      { ask: () => context.client.list('/v1/claims', claimJson), render: ({ items }, look) => renderClaims(items, look) },
      options,
    ),
  );
  does<WatchOptions>(session, withWatch(leaf(claim, 'show <claim>', 'one claim')).alias('get'), (context, [id], options) =>
    showOrWatch(context, { ask: () => context.client.get(`/v1/claims/${segment(id)}`, claimJson), render: renderClaim }, options),
  );
  does<IntentOptions>(
    session,
    intentOptions(leaf(claim, 'reprovision <claim>', 'put an image on the claim\u2019s disk again: the next generation')),
    (context, [id], options) => reprovisionAt(context, `/v1/claims/${segment(id)}/reprovision`, options),
  );
  const release = withConfirmation(leaf(claim, 'release <claim>', 'end it; the disk that it wrote is cleaned'))
    .alias('remove')
    .alias('rm');
  does<ConfirmOptions>(session, release, async (context, [id], options) => {
    const path = `/v1/claims/${segment(id)}`;
    if (options.yes !== true && context.terminal.canAsk) {
      const { value } = await context.client.get(path, claimJson);
      await confirm(context, releaseText(value, value.host.name), options);
    }
    context.show(await context.client.delete(path, hostJson), renderChanged);
  });
};
