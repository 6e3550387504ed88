/** `--bmc-…`: a management controller from the words of a command line; its password never stands there. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { AcceptBody } from '../api/types.ts';
import { readBmcPlace } from '../wire/bmc-place.ts';
import type { BmcPlace } from '../wire/bmc-place.ts';
import { usage } from './failure.ts';
import { readText } from './input.ts';
import { number } from './session.ts';
import type { Context } from './session.ts';

export interface BmcOptions {
  readonly bmcUrl?: string;
  readonly bmcUsername?: string;
  readonly bmcPasswordFile?: string;
  readonly bmcPasswordStdin?: boolean;
  readonly bmcFingerprint?: string;
  readonly bmcCa?: string;
  readonly bmcInsecure?: boolean;
  readonly bmcSystem?: string;
  readonly bmcSuite?: readonly number[];
}
export const bmcOptions = (command: Command): Command =>
  bmcPasswordOptions(command)
    .option('--bmc-url <url>', 'where its management controller is: https://10.0.0.5 for Redfish, ipmi://10.0.0.6 for IPMI')
    .option('--bmc-username <name>', 'a user who may switch the power')
    .option('--bmc-fingerprint <sha256>', 'accept exactly this certificate')
    .option('--bmc-ca <file>', 'PEM of the authorities that may have signed its certificate')
    .option('--bmc-insecure', 'accept any certificate')
    .option('--bmc-system <id>', 'which system, where the controller has several')
    .addOption(
      new Option('--bmc-suite <id>', 'IPMI: allow this cipher suite beside 17 and 3; several times for several').argParser(suites),
    );
export const bmcPasswordOptions = (command: Command): Command =>
  command
    .option('--bmc-password-file <file>', 'its password; else REMUDA_BMC_PASSWORD, else asked')
    .option('--bmc-password-stdin', 'read its password from standard input');
const suites = (text: string, before: readonly number[] | undefined): readonly number[] => [...(before ?? []), number(text)];

const passwordBytesMax = 4096;
const asPassword = (text: string): string => text.replace(/\r?\n$/, '');
/** From the file, from standard input, else from REMUDA_BMC_PASSWORD; undefined where none of them was said. Never an argument. */
export const saidBmcPassword = async (context: Context, options: BmcOptions): Promise<string | undefined> => {
  const { terminal } = context;
  if (options.bmcPasswordFile !== undefined && options.bmcPasswordStdin === true)
    throw usage('--bmc-password-file and --bmc-password-stdin: say one of them');
  if (options.bmcPasswordFile !== undefined) return asPassword(await readText(context, options.bmcPasswordFile, passwordBytesMax));
  if (options.bmcPasswordStdin !== true) return terminal.env['REMUDA_BMC_PASSWORD'];
  const given = await terminal.readInput(passwordBytesMax);
  if (given === undefined || given === '') throw usage('standard input has no password in it, or too much');
  return asPassword(given);
};
const bmcPassword = async (context: Context, options: BmcOptions): Promise<string> => {
  const { terminal } = context;
  const said = await saidBmcPassword(context, options);
  if (said !== undefined) return said;
  const answer = terminal.canAsk
    ? await terminal.readSecret(`Password of ${options.bmcUsername ?? ''} at ${options.bmcUrl ?? ''}: `)
    : undefined;
  if (answer !== undefined) return answer;
  throw usage(
    'the BMC needs a password',
    'give it by --bmc-password-file FILE, --bmc-password-stdin or in REMUDA_BMC_PASSWORD; an argument would be seen by every user of the machine',
  );
};

/** A place as a person wrote it; `what` is where. */
export const placeIn = (what: string, text: string): BmcPlace => {
  const place = readBmcPlace(text);
  if (place !== undefined) return place;
  throw usage(
    `${what} ${JSON.stringify(text)}: a BMC is not called like that`,
    'write its address or name, with or without protocol and port: 10.0.0.5, bmc1.example:8443, https://10.0.0.5, ipmi://10.0.0.6; its user by --bmc-username',
  );
};

const caBytesMax = 64 * 1024;
/** undefined where no BMC was named. */
export const bmcOf = async (context: Context, options: BmcOptions): Promise<AcceptBody['bmc']> => {
  const { bmcUrl: url, bmcUsername: username, bmcFingerprint: fingerprint, bmcInsecure: insecure, bmcSystem: system, bmcSuite } = options;
  if (url === undefined) {
    if (Object.keys(options).some((name) => name.startsWith('bmc'))) throw usage('a BMC needs --bmc-url');
    return undefined;
  }
  const { scheme } = placeIn('--bmc-url', url);
  if (scheme === undefined)
    throw usage(
      `--bmc-url ${url} does not say which protocol is spoken there`,
      `write https://${url} for Redfish or ipmi://${url} for IPMI; which of them answers: remuda bmc probe ${url}`,
    );
  if (username === undefined) throw usage('a BMC needs --bmc-username');
  return {
    protocol: scheme === 'ipmi' ? 'ipmi' : 'redfish',
    url,
    username,
    password: await bmcPassword(context, options),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(options.bmcCa === undefined ? {} : { ca: await readText(context, options.bmcCa, caBytesMax) }),
    ...(insecure === true ? { insecure } : {}),
    ...(system === undefined ? {} : { system }),
    ...(bmcSuite === undefined ? {} : { suites: [...bmcSuite] }),
  };
};
