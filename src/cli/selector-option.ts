/** What a host must be and have to be claimed, from the words of a command line to the selector that the API takes. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { ClaimBody } from '../api/types.ts';
import { parseSize } from './disk-option.ts';
import { usage } from './failure.ts';
import { parseSelectors } from './labels.ts';
import { collect, number } from './session.ts';

type Selector = NonNullable<ClaimBody['selector']>;
export interface SelectorOptions {
  readonly selector?: readonly string[];
  readonly pool?: readonly string[];
  readonly failureDomain?: string;
  readonly cores?: number;
  readonly memory?: string;
  readonly diskSize?: string;
  readonly disks?: number;
  readonly nics?: number;
  readonly gpus?: number;
  readonly arch?: string;
  readonly firmware?: 'bios' | 'uefi';
  readonly vendor?: string;
  readonly model?: string;
}
export const selectorOptions = (command: Command): Command =>
  command
    .option('-l, --selector <labels>', 'only hosts with these labels: tier=web,disk!=hdd,"zone in (a,b)",gpu,!old', collect)
    .option('--pool <name>', 'only hosts of this pool, or of one of several; else of the pool default', collect)
    .option('--failure-domain <name>', 'only hosts there')
    .option('--cores <count>', 'at least so many processor cores', number)
    .option('--memory <size>', 'at least so much memory: 64GiB')
    .option('--disk-size <size>', 'a disk of at least this size: 480GB')
    .option('--disks <count>', 'at least so many disks that may be written', number)
    .option('--nics <count>', 'at least so many network interfaces', number)
    .option('--gpus <count>', 'at least so many GPUs', number)
    .option('--arch <name>', 'this architecture: x86_64')
    .addOption(new Option('--firmware <kind>', 'only hosts that boot so').choices(['bios', 'uefi']))
    .option('--vendor <name>', 'only hosts of this maker')
    .option('--model <name>', 'only hosts of this model');

const sizeOf = (flag: string, text: string): number => {
  const bytes = parseSize(text);
  if (bytes === undefined) throw usage(`${flag} ${text}: not a size; write a number with MB, GB, TB, MiB, GiB or TiB`);
  return bytes;
};
const poolsOf = (said: readonly string[] = []): Selector =>
  said.length > 1 ? { pools: [...said] } : said[0] === undefined ? {} : { pool: said[0] };
/** undefined where nothing was asked of the host. */
export const selectorOf = (options: SelectorOptions): Selector | undefined => {
  const { pool, failureDomain, cores, disks, nics, gpus, arch, firmware, vendor, model, memory, diskSize } = options;
  const labels = parseSelectors(options.selector ?? []);
  const said = Object.entries({ ...poolsOf(pool), failureDomain, cores, disks, nics, gpus, arch, firmware, vendor, model }).filter(
    ([, value]) => value !== undefined,
  );
  const selector: Record<string, unknown> = {
    ...Object.fromEntries(said),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(memory === undefined ? {} : { memoryBytes: sizeOf('--memory', memory) }),
    ...(diskSize === undefined ? {} : { diskBytes: sizeOf('--disk-size', diskSize) }),
  };
  return Object.keys(selector).length === 0 ? undefined : selector;
};
