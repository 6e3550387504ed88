/** `remuda claim …`: an owner's right to one host with an image on it. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { z } from 'zod';
import { claimJson, hostJson } from '../api/types.ts';
import type { ClaimBody } from '../api/types.ts';
import { renderClaim, renderClaims } from './claim-view.ts';
import type { Answer } from './client.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { parseDisk } from './disk-option.ts';
import { seconds } from './duration.ts';
import { exits, usage } from './failure.ts';
import { waitProvisioned } from './follow.ts';
import { renderChanged } from './host-view.ts';
import { dryRuns, intentOf, intentOptions, releaseText, reprovisionAt, showDryRun } from './intent.ts';
import type { IntentOptions } from './intent.ts';
import { placementOf, placementOptions } from './placement-option.ts';
import type { PlacementOptions } from './placement-option.ts';
import { selectorOf, selectorOptions } from './selector-option.ts';
import type { SelectorOptions } from './selector-option.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';
import { showOrWatch, withWatch } from './watch.ts';
import type { WatchOptions } from './watch.ts';

interface CreateOptions extends IntentOptions, SelectorOptions, PlacementOptions {
  readonly host?: string;
  readonly disk?: readonly string[];
  readonly owner?: string;
  readonly id?: string;
  readonly waitForHost?: number;
  readonly provisionTimeout?: number;
}

const bodyOf = async (context: Context, options: CreateOptions): Promise<ClaimBody> => {
  const disk = parseDisk(options.disk ?? []);
  const selector = selectorOf(options);
  return {
    ...(await intentOf(context, options)),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(selector === undefined ? {} : { selector }),
    ...(disk === undefined ? {} : { disk }),
    ...placementOf(options),
    ...(options.waitForHost === undefined ? {} : { waitSeconds: options.waitForHost }),
    ...(options.provisionTimeout === undefined ? {} : { provisionTimeoutSeconds: options.provisionTimeout }),
    ...(options.dryRun === true ? { dryRun: true } : {}),
  };
};

const createCommand = (session: Session, claim: Command): void => {
  const create = placementOptions(selectorOptions(intentOptions(leaf(claim, 'create', 'take a host and put an image on one of its disks'))))
    .option('--host <host>', 'which host; without it the best of those that fit')
    .addOption(
      new Option(
        '--disk <rule>',
        'serial=…, wwn=…, size=480GB (within 1 %; bare bytes are exact), min-size=…, max-size=…, only (the default), smallest, largest; several narrow it',
      ).argParser(collect),
    )
    .option('--owner <name>', 'whose it is')
    .option('--id <id>', 'the claim\u2019s ID: the same command again gets the same claim')
    .option('--wait-for-host <time>', 'where none fits, wait so long until one does (90s, 5m; at most 10m)', seconds)
    .option('--provision-timeout <time>', 'the host counts as failed where it is not provisioned by then', seconds);
  does<CreateOptions>(session, create, async (context, _args, options) => {
    const body = await bodyOf(context, options);
    // With an ID of the client's own the question may be asked twice, and a broken connection does no harm.
    const send = <T extends z.ZodType>(schema: T): Promise<Answer<z.output<T>>> => {
      const waitMs = (options.waitForHost ?? 0) * 1000;
      return options.id === undefined
        ? context.client.post('/v1/claims', body, schema, waitMs)
        : context.client.put(`/v1/claims/${segment(options.id)}`, body, schema, waitMs);
    };
    if (options.dryRun === true) return showDryRun(context, await send(dryRuns));
    const answer = await send(hostJson);
    context.show(options.wait === true ? await waitProvisioned(context, answer.value, options.timeout) : answer, (host, look) =>
      [`claim ${host.claim?.id ?? ''} holds host ${host.name}\n`, renderChanged(host, look)].join(''),
    );
    return exits.ok;
  });
};

interface ReleaseOptions extends ConfirmOptions {
  readonly dryRun?: boolean;
  readonly reserveFor?: string;
  readonly reserveForSeconds?: number;
}
/** The query of the release. */
const releaseQuery = ({ reserveFor, reserveForSeconds }: ReleaseOptions): string => {
  if ((reserveFor === undefined) !== (reserveForSeconds === undefined))
    throw usage('--reserve-for and --reserve-for-seconds belong together', 'say for which word, and for how long once it is clean');
  if (reserveFor === undefined) return '';
  return `?${new URLSearchParams({ reserveFor, reserveSeconds: String(reserveForSeconds) }).toString()}`;
};
const releaseCommand = (session: Session, claim: Command): void => {
  const release = withConfirmation(leaf(claim, 'release <claim>', 'end it; the disk that it wrote is cleaned'))
    .alias('remove')
    .alias('rm')
    .option('--dry-run', 'show every disk and what would become of it; change nothing')
    .option('--reserve-for <word>', 'once it is clean, keep the host for claims with --reuse of this word')
    .option('--reserve-for-seconds <time>', 'how long (600, 10m, 2h)', seconds);
  does<ReleaseOptions>(session, release, async (context, [id], options) => {
    const path = `/v1/claims/${segment(id)}`;
    const query = releaseQuery(options);
    if (options.dryRun === true) return showDryRun(context, await context.client.delete(`${path}?dryRun=true`, dryRuns));
    if (options.yes !== true && context.terminal.canAsk) {
      const { value } = await context.client.get(path, claimJson);
      await confirm(context, releaseText(value, value.host.name), options);
    }
    context.show(await context.client.delete(`${path}${query}`, hostJson), renderChanged);
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
  releaseCommand(session, claim);
};
