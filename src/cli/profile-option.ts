/** What people say of a host, from the words of a command line: its pool, its place, its labels, its network. */
import type { Command } from 'commander';
import type { DescribeBody } from '../api/types.ts';
import { readDocument } from './intent.ts';
import { parseLabelEdits } from './labels.ts';
import { collect, number } from './session.ts';
import type { Context } from './session.ts';

export interface ProfileOptions {
  readonly pool?: string;
  readonly rack?: string;
  readonly unit?: number;
  readonly failureDomain?: string;
  readonly label?: readonly string[];
  readonly note?: string;
  readonly serial?: string;
  readonly uuid?: string;
  readonly network?: string;
  readonly dhcp?: string;
}
export const profileOptions = (command: Command): Command =>
  command
    .option('--pool <name>', 'claims ask for hosts of one pool')
    .option('--rack <name>', 'where it stands')
    .option('--unit <number>', 'at which height of the rack', number)
    .option('--failure-domain <name>', 'what fails together with it: a room, a feed')
    .option('--label <key=value>', 'to select it by; several times for several', collect)
    .option('--note <text>', 'what the next person should know')
    .option('--serial <number>', 'its serial number')
    .option('--uuid <uuid>', 'its system UUID')
    .option('--network <file>', 'YAML: ethernets, bonds, VLANs and addresses that its OS is told')
    .option('--dhcp <file>', 'YAML: DHCP options of its own (router, dns, domain, ntp, mtu, raw)');

export const profileOf = async (context: Context, options: ProfileOptions): Promise<DescribeBody> => {
  const { pool, rack, unit, failureDomain, label, note, serial, uuid, network, dhcp } = options;
  const said = { pool, rack, unit, failureDomain, note, serial, uuid };
  return {
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
    ...(label === undefined ? {} : { labels: parseLabelEdits(label) }),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the daemon judges it, and says what is wrong
    ...(network === undefined ? {} : { network: (await readDocument(context, network)) as DescribeBody['network'] }),
    ...(dhcp === undefined ? {} : { dhcp: await readDocument(context, dhcp) }),
  };
};
