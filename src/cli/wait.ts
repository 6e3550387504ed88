/** `--wait`: until a claim is provisioned, or until the host of a released one is available again. */
import type { Command } from 'commander';
import type { HostJson } from '../api/types.ts';
import type { Answer } from './client.ts';
import { seconds } from './duration.ts';
import { CommandFailure, exits, usage } from './failure.ts';
import { waitAt } from './follow.ts';
import type { Context } from './session.ts';

export interface WaitOptions {
  readonly wait?: boolean;
  /** Seconds. */
  readonly timeout?: number;
}
/** `until` is what `--wait` waits for. */
export const waitOptions = (command: Command, until: string): Command =>
  command
    .option('--wait', `follow it until ${until}`)
    .option('--timeout <time>', 'with --wait: stop waiting after so long (30m, 2h); the work goes on', seconds);
/** Throws where the words contradict each other, before anything is asked of the daemon. */
export const checkWait = ({ wait, timeout, dryRun }: WaitOptions & { readonly dryRun?: boolean }): void => {
  if (dryRun === true && wait === true) throw usage('--dry-run and --wait: there is nothing to wait for', 'say one of them');
  if (timeout !== undefined && wait !== true) throw usage('--timeout is for --wait', 'add --wait');
};

const failedOf = ({ name, failed }: HostJson): CommandFailure | undefined =>
  failed === null
    ? undefined
    : new CommandFailure(exits.failed, `host ${name} failed at ${failed.step}: ${failed.reason}`, {
        next: `see all of it: remuda host show ${name}; when the cause is mended: remuda host retry ${name}`,
      });

/** Waits until the host runs what its claim's generation asks for. Throws where it failed, was overtaken, or took too long. */
export const waitProvisioned = async (context: Context, began: HostJson, timeoutSeconds?: number): Promise<Answer<HostJson>> => {
  if (began.claim === null) throw new CommandFailure(exits.failed, `no claim holds host ${began.name}`);
  const { id, generation } = began.claim;
  return waitAt(context, began, {
    timeoutSeconds,
    lacks: 'is not provisioned',
    judge: (host) => {
      const { claim, state, name } = host;
      if (claim?.id !== id) return new CommandFailure(exits.failed, `claim ${id} was released while host ${name} was being provisioned`);
      if (claim.generation !== generation)
        return new CommandFailure(exits.failed, `host ${name} was asked for something else meanwhile: generation ${claim.generation}`, {
          next: `see what it does: remuda host show ${name}`,
        });
      return failedOf(host) ?? (state === 'provisioned' ? 'there' : undefined);
    },
  });
};

/** Waits until the host that a claim was released from is available again. Throws where its cleaning failed, somebody holds it, or it took too long. */
export const waitAvailable = (context: Context, began: HostJson, timeoutSeconds?: number): Promise<Answer<HostJson>> =>
  waitAt(context, began, {
    timeoutSeconds,
    lacks: 'is not available',
    judge: (host) => {
      const { claim, held, state, name } = host;
      // Somebody has taken it meanwhile: it was available.
      if (claim !== null) return 'there';
      if (held !== null)
        return new CommandFailure(
          exits.failed,
          `the claim is released, but host ${name} is ${state} and held by ${held.by}: ${held.why}; no step is done on it`,
          { next: `when the reason is gone: remuda host unhold ${name}; then see it: remuda host show ${name} --watch` },
        );
      return failedOf(host) ?? (state === 'cleaning' ? undefined : 'there');
    },
  });
