/** What may be asked of a laboratory, and which host gets which of two when they are mixed. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { BmcProtocol } from '../wire/words.ts';

export const imageKinds = ['tiny', 'debian'] as const;
export type ImageKind = (typeof imageKinds)[number];
export interface UpOptions {
  readonly hosts: number;
  readonly firmware: 'bios' | 'uefi' | 'mixed';
  readonly bmc: BmcProtocol | 'mixed';
  readonly image: ImageKind | 'mixed';
  readonly subnets: 1 | 2;
  /** A Kubernetes cluster instead of an image: the first host is its control plane, the others its workers. */
  readonly cluster: boolean;
  readonly memory?: number;
  readonly once: boolean;
  readonly json: boolean;
  readonly name: string;
}

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 16) throw new InvalidArgumentError('a number from 1 to 16');
  return value;
};
const mebibytes = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 256) throw new InvalidArgumentError('MiB, at least 256');
  return value;
};
const oneOrTwo = (text: string): 1 | 2 => {
  if (text === '1' || text === '2') return text === '1' ? 1 : 2;
  throw new InvalidArgumentError('1 or 2');
};

/** Adds them to a command. */
export const withUpOptions = (command: Command): Command =>
  command
    .option('--hosts <n>', 'virtual servers', count, 2)
    .addOption(new Option('--firmware <kind>', 'of the servers').choices(['bios', 'uefi', 'mixed']).default('mixed'))
    .addOption(new Option('--bmc <kind>', 'what their BMCs speak').choices(['redfish', 'ipmi', 'mixed']).default('mixed'))
    .addOption(new Option('--image <kind>', 'what they become').choices([...imageKinds, 'mixed']).default('tiny'))
    .option('--subnets <n>', '2: the second half of the servers is behind a DHCP relay', oneOrTwo, 1)
    .addOption(
      new Option('--cluster', 'they become a Kubernetes cluster: the first its control plane, the others its workers')
        .default(false)
        .conflicts(['image', 'subnets']),
    )
    .option('--memory <mib>', 'of each server (default: 512, with debian 768; of each worker of a cluster 768)', mebibytes)
    .option('--once', 'provision, clean everything up, exit 0 only if every server phoned home', false)
    .option('--json', 'the result as one line of JSON, the last one', false);

const second = (index: number): boolean => index % 2 === 1;
const inner = (index: number): boolean => index % 4 === 1 || index % 4 === 2;
/**
 * For each host in turn. Four hosts show each firmware with each kind of BMC, on each of two subnets (whose border lies in the middle), and
 * each image on each firmware: firmware changes as 0 1 1 0, BMC and image as 0 1 0 1.
 */
export const mixOf = ({ hosts, firmware, bmc, image }: Pick<UpOptions, 'hosts' | 'firmware' | 'bmc' | 'image'>) => {
  const each = <T>(pick: (index: number) => T): T[] => Array.from({ length: hosts }, (_, index) => pick(index));
  return {
    firmware: each((index) => (firmware === 'mixed' ? (inner(index) ? ('uefi' as const) : ('bios' as const)) : firmware)),
    bmc: each((index): BmcProtocol => (bmc === 'mixed' ? (second(index) ? 'ipmi' : 'redfish') : bmc)),
    images: each((index): ImageKind => (image === 'mixed' ? (second(index) ? 'debian' : 'tiny') : image)),
  };
};
