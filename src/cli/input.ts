/** What a command reads besides its words: files of the person's machine. */
import { isAbsolute, resolve } from 'node:path';
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
