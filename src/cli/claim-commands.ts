/** `remuda claim …`: an owner's right to one host with an image on it. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { claimJson, dryRunJson, hostJson, itemsOf } from '../api/types.ts';
import type { ClaimBody } from '../api/types.ts';
import { renderClaim, renderClaims, renderDryRun } from './claim-view.ts';
import { parseDisk } from './disk-option.ts';
import { exits, usage } from './failure.ts';
import { waitProvisioned } from './follow.ts';
import { intentOf, intentOptions, renderChanged, reprovisionAt } from './host-commands.ts';
import type { IntentOptions } from './host-commands.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';

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
  const claim = program.command('claim').description('an owner\u2019s right to one host, with an image on it');
  createCommand(session, claim);
  does(session, leaf(claim, 'list', 'all claims, and how far each is'), async (context) =>
    context.show(await context.client.get('/v1/claims', itemsOf(claimJson)), ({ items }, look) => renderClaims(items, look)),
  );
  does(session, leaf(claim, 'show <claim>', 'one claim'), async (context, [id]) =>
    context.show(await context.client.get(`/v1/claims/${segment(id)}`, claimJson), renderClaim),
  );
  does<IntentOptions>(
    session,
    intentOptions(leaf(claim, 'reprovision <claim>', 'put an image on the claim\u2019s disk again: the next generation')),
    (context, [id], options) => reprovisionAt(context, `/v1/claims/${segment(id)}/reprovision`, options),
  );
  does(session, leaf(claim, 'release <claim>', 'end it; the disk that it wrote is cleaned'), async (context, [id]) =>
    context.show(await context.client.delete(`/v1/claims/${segment(id)}`, hostJson), renderChanged),
  );
};
