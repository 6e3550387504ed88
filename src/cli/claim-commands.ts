/** `remuda claim …`: an owner's right to one host with an image on it. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { z } from 'zod';
import { claimJson, hostJson } from '../api/types.ts';
import type { ClaimBody } from '../api/types.ts';
import { renderClaim, renderClaims } from './claim-view.ts';
import type { Answer } from './client.ts';
import { parseDisk } from './disk-option.ts';
import { seconds } from './duration.ts';
import { CommandFailure, exits } from './failure.ts';
import { renderChanged } from './host-view.ts';
import { dryRuns, intentOf, intentOptions, reprovisionAt, showDryRun } from './intent.ts';
import type { IntentOptions } from './intent.ts';
import { placementOf, placementOptions } from './placement-option.ts';
import type { PlacementOptions } from './placement-option.ts';
import { checkRelease, releaseClaim, releaseOptions } from './release.ts';
import type { ReleaseOptions } from './release.ts';
import { selectorOf, selectorOptions } from './selector-option.ts';
import type { SelectorOptions } from './selector-option.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';
import { waitProvisioned } from './wait.ts';
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

const releaseCommand = (session: Session, claim: Command): void => {
  const release = releaseOptions(leaf(claim, 'release <claim>', 'end it; the disk that it wrote is cleaned'))
    .alias('remove')
    .alias('rm');
  does<ReleaseOptions>(session, release, (context, [id], options) => {
    checkRelease(options);
    const look = async () => {
      try {
        const { value } = await context.client.get(`/v1/claims/${segment(id)}`, claimJson);
        return { claim: value, host: value.host.name };
      } catch (error) {
        // Released before, perhaps, and its host is being cleaned: whoever asks again loses nothing more, and may wait for the end.
        if (error instanceof CommandFailure && error.code === 'claim-not-found') return undefined;
        throw error;
      }
    };
    return releaseClaim(context, id, { options, look });
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
