/** `remuda host enrol|accept|forget`: how servers come into the rack, one or a whole file of them, and leave it. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { z } from 'zod';
import { enrolmentsJson, hostJson } from '../api/types.ts';
import type { EnrolBody, EnrolmentsJson } from '../api/types.ts';
import { bmcOf, bmcOptions, saidBmcPassword } from './bmc-option.ts';
import type { BmcOptions } from './bmc-option.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { columns, rackReader } from './enrol-file.ts';
import type { EnrolRow } from './enrol-file.ts';
import { CommandFailure, exits, usage } from './failure.ts';
import type { Exit } from './failure.ts';
import { renderChanged } from './host-view.ts';
import { plural } from './human.ts';
import type { Look } from './host-view.ts';
import { readText } from './input.ts';
import { profileOf, profileOptions } from './profile-option.ts';
import type { ProfileOptions } from './profile-option.ts';
import { collect, does, leaf, segment } from './session.ts';
import type { Context, Session } from './session.ts';
import { renderTable } from './table.ts';
import type { Cell } from './table.ts';

interface EnrolOptions extends BmcOptions, ProfileOptions {
  readonly mac?: readonly string[];
  readonly firmware?: 'bios' | 'uefi';
  readonly file?: string;
  readonly dryRun?: boolean;
  readonly partial?: boolean;
}

const fileBytesMax = 8 * 1024 * 1024;
const tones = { new: 'good', same: 'dim', changed: 'warn', error: 'bad' } as const;
const words = {
  new: ['enrolled', 'would be enrolled'],
  same: ['as it was', 'as it is'],
  changed: ['changed', 'would be changed'],
  error: ['refused', 'would be refused'],
} as const;
const nameIn = (row: EnrolRow | undefined): string => (typeof row?.host['name'] === 'string' ? row.host['name'] : '-');
const renderRows = (report: EnrolmentsJson, rows: readonly EnrolRow[], { style }: Look): string => {
  const counts = (['new', 'changed', 'same', 'error'] as const)
    .map((outcome) => [outcome, report.rows.filter((row) => row.outcome === outcome).length] as const)
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `${count} ${words[outcome][report.written ? 0 : 1]}`);
  const table = renderTable(
    ['line', 'name', 'outcome', 'why'],
    report.rows.map(({ row, name, outcome, reasons }): Cell[] => [
      String(rows[row]?.line ?? '?'),
      name ?? nameIn(rows[row]),
      { text: words[outcome][report.written ? 0 : 1], tone: tones[outcome] },
      reasons.join('; '),
    ]),
    style,
  );
  return `${table}\n${counts.join(', ')}${report.written ? '' : '. Nothing was changed.'}\n`;
};

/** Rows without a password of their own get the one that was said for all. */
const withPassword = ({ host }: EnrolRow, password: string | undefined): Readonly<Record<string, unknown>> => {
  const { bmc } = host;
  if (password === undefined || typeof bmc !== 'object' || bmc === null || 'password' in bmc) return host;
  return { ...host, bmc: { ...bmc, password } };
};
const protocolOf = (host: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const { bmc } = host;
  const isIpmi = typeof bmc === 'object' && bmc !== null && 'url' in bmc && typeof bmc.url === 'string' && bmc.url.startsWith('ipmi:');
  return isIpmi && !('protocol' in bmc) ? { ...host, bmc: { ...bmc, protocol: 'ipmi' } } : host;
};

/** All rows or none, unless `--partial`; the second time nothing changes. */
const enrolFile = async (context: Context, path: string, options: EnrolOptions): Promise<Exit> => {
  const read = rackReader(path);
  if (read === undefined) throw usage(`${path}: its name must end in .csv, .yaml, .yml or .json`);
  const { rows, faults } = read(await readText(context, path, fileBytesMax));
  if (faults.length > 0)
    throw new CommandFailure(exits.usage, faults.map(({ line, message }) => `${path}:${line}: ${message}`).join('\n'), {
      next: `mend the file; nothing was sent. Columns of a CSV file: ${columns.join(', ')}`,
    });
  if (rows.length === 0) throw usage(`${path} names no host`);
  const password = await saidBmcPassword(context, options);
  const body = {
    dryRun: options.dryRun === true,
    partial: options.partial === true,
    hosts: rows.map((row) => protocolOf(withPassword(row, password))),
  };
  if (context.terminal.errorIsTty) context.terminal.error(`${plural(rows.length, 'host')} of ${path} …\r`);
  const answer = await context.client.post('/v1/enrolments', body, enrolmentsJson);
  if (context.terminal.errorIsTty) context.terminal.error('\u001b[K');
  // Lines of the file beside the rows of the request: that is where a person mends it.
  const raw = { ...answer.value, rows: answer.value.rows.map((row) => ({ ...row, line: rows[row.row]?.line ?? null })) };
  context.show({ raw, value: answer.value }, (report, look) => renderRows(report, rows, look));
  return answer.value.rows.some(({ outcome }) => outcome === 'error') ? exits.failed : exits.ok;
};

const enrolOne = async (context: Context, name: string, options: EnrolOptions): Promise<Exit> => {
  if (options.dryRun === true || options.partial === true) throw usage('--dry-run and --partial are for --file');
  const bmc = await bmcOf(context, options);
  if (bmc === undefined && options.mac === undefined && options.serial === undefined && options.uuid === undefined)
    throw usage('a host is known by its --mac or its --bmc-url: give one of them');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no field is cleared here, as nothing was said before
  const profile = (await profileOf(context, options)) as Partial<EnrolBody>;
  const body: EnrolBody = {
    name,
    macs: [...(options.mac ?? [])],
    ...(options.firmware === undefined ? {} : { firmware: options.firmware }),
    ...(bmc === undefined ? {} : { bmc }),
    ...profile,
  };
  context.show(await context.client.post('/v1/hosts', body, hostJson), renderChanged);
  return exits.ok;
};

const pathOf = (host: string | undefined): string => `/v1/hosts/${segment(host)}`;
export const arrivalCommands = (session: Session, host: Command): void => {
  const enrol = profileOptions(bmcOptions(leaf(host, 'enrol [name]', 'declare a host: it is accepted at once and inspected')))
    .alias('enroll')
    .alias('add')
    .option('--mac <mac>', 'a MAC address it boots from; several times for several', collect)
    .addOption(new Option('--firmware <kind>', 'how it boots').choices(['bios', 'uefi']))
    .option(
      '--file <file>',
      'many hosts: a .csv with a line of column names, or a .yaml with a list; a BMC password may stand in it, or come from --bmc-password-file, --bmc-password-stdin or REMUDA_BMC_PASSWORD',
    )
    .option('--dry-run', 'with --file: check every row against the rack; change nothing')
    .option('--partial', 'with --file: enrol the rows that are right, also where others are wrong');
  does<EnrolOptions>(session, enrol, async (context, [name], options) => {
    if ((name === undefined) === (options.file === undefined)) throw usage('name one host, or many by --file FILE');
    return options.file === undefined ? enrolOne(context, name ?? '', options) : enrolFile(context, options.file, options);
  });

  const accept = bmcOptions(leaf(host, 'accept <host>', 'accept a discovered host: it is inspected, and may then be claimed'));
  does<BmcOptions>(session, accept, async (context, [name], options) => {
    const bmc = await bmcOf(context, options);
    context.show(await context.client.post(`${pathOf(name)}/accept`, bmc === undefined ? {} : { bmc }, hostJson), renderChanged);
  });

  const forget = withConfirmation(leaf(host, 'forget <host>', 'strike a host that no claim holds, with its timeline'));
  does<ConfirmOptions>(session, forget.alias('remove').alias('rm'), async (context, [name], options) => {
    await confirm(context, `Host ${name ?? ''} is struck, with its timeline and the credentials of its BMC.`, options);
    await context.client.delete(pathOf(name), z.undefined());
    context.show({ raw: { forgotten: name }, value: name }, (value) => `${value ?? ''} is forgotten\n`);
  });
};
