/** The end of a claim, asked by its ID (`claim release`) or by its host (`host release`): what it takes away, and what becomes of the host. */
import type { Command } from 'commander';
import { hostJson } from '../api/types.ts';
import type { HostJson } from '../api/types.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { seconds } from './duration.ts';
import { exits, usage } from './failure.ts';
import type { Exit } from './failure.ts';
import { diskText, renderChanged } from './host-view.ts';
import { dryRuns, showDryRun } from './intent.ts';
import { segment } from './session.ts';
import type { Context } from './session.ts';
import { checkWait, waitAvailable, waitOptions } from './wait.ts';
import type { WaitOptions } from './wait.ts';

export interface ReleaseOptions extends ConfirmOptions, WaitOptions {
  readonly dryRun?: boolean;
  readonly reserveFor?: string;
  readonly reserveForSeconds?: number;
}
export const releaseOptions = (command: Command): Command =>
  waitOptions(
    withConfirmation(command)
      .option('--dry-run', 'show every disk and what would become of it; change nothing')
      .option('--reserve-for <word>', 'once it is clean, keep the host for claims with --reuse of this word')
      .option('--reserve-for-seconds <time>', 'how long (600, 10m, 2h)', seconds),
    'the host is available again, or its cleaning has failed, or somebody holds it',
  );

/** What a release takes away. */
const releaseText = (claim: Pick<NonNullable<HostJson['claim']>, 'id' | 'owner' | 'hostName' | 'image' | 'disk'>, host: string): string =>
  `Claim ${claim.id} of ${claim.owner} ends. Host ${host} (${claim.hostName}, ${claim.image.name}) is switched off, and everything on this disk is lost:\n  ${diskText(claim.disk)}`;

/** Throws where the words contradict each other. */
export const checkRelease = (options: ReleaseOptions): void => {
  checkWait(options);
  if ((options.reserveFor === undefined) !== (options.reserveForSeconds === undefined))
    throw usage('--reserve-for and --reserve-for-seconds belong together', 'say for which word, and for how long once it is clean');
};
/** The query of the release. */
const queryOf = ({ reserveFor, reserveForSeconds }: ReleaseOptions): string =>
  reserveFor === undefined ? '' : `?${new URLSearchParams({ reserveFor, reserveSeconds: String(reserveForSeconds) }).toString()}`;

/** The claim and its host, as the person is told of them before they say yes. */
export interface Ended {
  readonly claim: Parameters<typeof releaseText>[0];
  readonly host: string;
}
export const releaseClaim = async (
  context: Context,
  id: string | undefined,
  { options, look }: { readonly options: ReleaseOptions; readonly look: () => Promise<Ended | undefined> },
): Promise<Exit> => {
  const path = `/v1/claims/${segment(id)}`;
  if (options.dryRun === true) return showDryRun(context, await context.client.delete(`${path}?dryRun=true`, dryRuns));
  if (options.yes !== true && context.terminal.canAsk) {
    const ended = await look();
    if (ended !== undefined) await confirm(context, releaseText(ended.claim, ended.host), options);
  }
  const answer = await context.client.delete(`${path}${queryOf(options)}`, hostJson);
  context.show(options.wait === true ? await waitAvailable(context, answer.value, options.timeout) : answer, renderChanged);
  return exits.ok;
};
