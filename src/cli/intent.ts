/** What a claim asks for on its host: image, name, user data, network. */
import type { Command } from 'commander';
import { parse } from 'yaml';
import { dryRunJson, hostJson, itemsOf } from '../api/types.ts';
import type { ReprovisionBody } from '../api/types.ts';
import { reasonOf } from '../errors.ts';
import { renderDryRun } from './claim-view.ts';
import type { Answer } from './client.ts';
import { exits, usage } from './failure.ts';
import type { Exit } from './failure.ts';
import { renderChanged } from './host-view.ts';
import { readText, readUserData } from './input.ts';
import type { Context } from './session.ts';
import { checkWait, waitOptions, waitProvisioned } from './wait.ts';
import type { WaitOptions } from './wait.ts';

export interface IntentOptions extends WaitOptions {
  readonly image: string;
  readonly hostname?: string;
  readonly userData?: string;
  readonly metaData?: string;
  readonly network?: string;
  readonly dryRun?: boolean;
}
export const intentOptions = (command: Command): Command =>
  waitOptions(
    command
      .requiredOption('--image <name>', 'the image, by name or digest')
      .option('--hostname <name>', 'what the installed system calls itself')
      .option('--user-data <file>', 'cloud-init user data for it')
      .option('--meta-data <file>', 'more for its cloud-init meta-data (YAML), such as `public-keys`')
      .option('--network <file>', 'what it is told of its network (YAML, as `host describe --network`), instead of what the host says')
      .option('--dry-run', 'show every disk and what would become of it; change nothing'),
    'it is provisioned or has failed',
  );

const documentBytesMax = 256 * 1024;
/** A YAML or JSON file with one mapping; what it may say is checked by the daemon. */
export const readDocument = async (context: Context, path: string): Promise<Record<string, unknown>> => {
  const text = await readText(context, path, documentBytesMax);
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw usage(`${path} is no YAML: ${reasonOf(error).split('\n')[0] ?? ''}`, 'mend the file');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw usage(`${path} holds no mapping`, 'mend the file');
  return value as Record<string, unknown>;
};
export const intentOf = async (context: Context, options: IntentOptions): Promise<ReprovisionBody> => {
  checkWait(options);
  return {
    image: options.image,
    ...(options.hostname === undefined ? {} : { hostName: options.hostname }),
    ...(options.userData === undefined ? {} : { userData: await readUserData(context, options.userData) }),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the daemon judges it, and says what is wrong
    ...(options.metaData === undefined ? {} : { metaData: (await readDocument(context, options.metaData)) as ReprovisionBody['metaData'] }),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the daemon judges it, and says what is wrong
    ...(options.network === undefined ? {} : { network: (await readDocument(context, options.network)) as ReprovisionBody['network'] }),
  };
};

/** Shows what would become of each disk; 1 where no host could be taken. */
export const showDryRun = (context: Context, answer: Answer<{ items: Parameters<typeof renderDryRun>[0] }>): Exit => {
  context.show(answer, ({ items }, look) => renderDryRun(items, look));
  return answer.value.items.some((run) => run.allowed) ? exits.ok : exits.failed;
};
export const dryRuns = itemsOf(dryRunJson);

/** POST to a path that answers with a host; waits for it where asked. */
export const reprovisionAt = async (context: Context, path: string, options: IntentOptions): Promise<Exit> => {
  const body = await intentOf(context, options);
  if (options.dryRun === true) return showDryRun(context, await context.client.post(path, { ...body, dryRun: true }, dryRuns));
  const answer = await context.client.post(path, body, hostJson);
  context.show(options.wait === true ? await waitProvisioned(context, answer.value, options.timeout) : answer, renderChanged);
  return exits.ok;
};
