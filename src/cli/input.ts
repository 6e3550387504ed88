/** What a command reads besides its words: files, and a BMC's password, which never stands on a command line. */
import { isAbsolute, resolve } from 'node:path';
import type { AcceptBody } from '../api/types.ts';
import { RemudaError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Terminal } from '../world/terminal.ts';
import type { Files } from '../world/world.ts';
import { usage } from './failure.ts';
import type { Context } from './session.ts';

export const absolute = (path: string, cwd: string): string => (isAbsolute(path) ? path : resolve(cwd, path));

interface Reading {
  readonly files: Pick<Files, 'read'>;
  readonly terminal: Pick<Terminal, 'cwd'>;
}
/** The text of a file of this machine, at most `bytesMax`; anything else is a usage failure. */
export const textOf = async ({ files, terminal }: Reading, path: string, bytesMax: number): Promise<string> => {
  const file = absolute(path, terminal.cwd);
  try {
    const bytes = await files.read(file, { offset: 0, length: bytesMax + 1 });
    if (bytes.length > bytesMax) throw usage(`${path} is larger than ${bytesMax} bytes`, 'give a smaller file');
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof RemudaError) throw usage(`${path} cannot be read: ${error.message}`, 'check the path');
    if (error instanceof TypeError) throw usage(`${path} is not UTF-8 text`, 'check the file');
    throw error;
  }
};
export const readText = ({ world, terminal }: Context, path: string, bytesMax: number): Promise<string> =>
  textOf({ files: world.files, terminal }, path, bytesMax);
export const readUserData = (context: Context, path: string): Promise<string> => readText(context, path, limits.userDataBytes);

export interface BmcOptions {
  readonly bmcUrl?: string;
  readonly bmcUsername?: string;
  readonly bmcPasswordFile?: string;
  readonly bmcFingerprint?: string;
  readonly bmcInsecure?: boolean;
  readonly bmcSystem?: string;
}

/** From the file, else from REMUDA_BMC_PASSWORD, else asked on the terminal. */
const bmcPassword = async (context: Context, options: BmcOptions): Promise<string> => {
  const { terminal } = context;
  if (options.bmcPasswordFile !== undefined) return (await readText(context, options.bmcPasswordFile, 4096)).replace(/\r?\n$/, '');
  const fromEnv = terminal.env['REMUDA_BMC_PASSWORD'];
  if (fromEnv !== undefined) return fromEnv;
  const answer = terminal.canAsk
    ? await terminal.readSecret(`Password of ${options.bmcUsername ?? ''} at ${options.bmcUrl ?? ''}: `)
    : undefined;
  if (answer !== undefined) return answer;
  throw usage(
    'the BMC needs a password',
    'give it by --bmc-password-file FILE or in REMUDA_BMC_PASSWORD; an argument would be seen by every user of the machine',
  );
};

/** undefined where no BMC was named. */
export const bmcOf = async (context: Context, options: BmcOptions): Promise<AcceptBody['bmc']> => {
  const { bmcUrl: url, bmcUsername: username, bmcFingerprint: fingerprint, bmcInsecure: insecure, bmcSystem: system } = options;
  if (url === undefined) {
    if (Object.keys(options).some((name) => name.startsWith('bmc'))) throw usage('a BMC needs --bmc-url');
    return undefined;
  }
  if (URL.parse(url) === null) throw usage(`--bmc-url ${url}: no URL; write it like https://10.0.0.5`);
  if (username === undefined) throw usage('a BMC needs --bmc-username');
  return {
    protocol: 'redfish',
    url,
    username,
    password: await bmcPassword(context, options),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(insecure === true ? { insecure } : {}),
    ...(system === undefined ? {} : { system }),
  };
};
