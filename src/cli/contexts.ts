/** Daemons that a person works with, by name, in their own configuration file; tokens stand there, so nobody else may read it. */
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { Files } from '../world/world.ts';
import { CommandFailure, exits, usage } from './failure.ts';

export const contextName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name: letters, digits, dots, hyphens, underscores, at most 64');
const contextSchema = z.strictObject({
  /** One of both says where the daemon is. */
  url: z.url({ protocol: /^https?$/ }).optional(),
  socket: z.string().startsWith('/').optional(),
  token: z.string().min(1).optional(),
  /** SHA-256 of the daemon's certificate, 64 hex digits: trusted once, believed from then on. */
  fingerprint: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** PEM file with the authorities to believe. */
  ca: z.string().startsWith('/').optional(),
});
const contextsSchema = z.strictObject({
  current: contextName.optional(),
  contexts: z.record(contextName, contextSchema).default({}),
});
export type SavedContext = z.output<typeof contextSchema>;
export type Contexts = z.output<typeof contextsSchema>;
type Env = Readonly<Record<string, string | undefined>>;

/** `$XDG_CONFIG_HOME/remuda/config.yaml` (XDG Base Directory Specification); undefined where the person has no home. */
export const contextsPath = (env: Env): string | undefined => {
  const { XDG_CONFIG_HOME: config = '', HOME: home = '' } = env as { XDG_CONFIG_HOME?: string; HOME?: string };
  // A relative path there is invalid and ignored, says the specification.
  const folder = config.startsWith('/') ? config : home.startsWith('/') ? join(home, '.config') : undefined;
  return folder === undefined ? undefined : join(folder, 'remuda', 'config.yaml');
};

/** What stands in the file; empty where there is none. Throws a usage failure where it is not ours. */
export const readContexts = async (files: Pick<Files, 'read'>, env: Env): Promise<Contexts> => {
  const path = contextsPath(env);
  if (path === undefined) return { contexts: {} };
  let text: string;
  try {
    text = new TextDecoder().decode(await files.read(path));
  } catch (error) {
    if (codeOf(error) === 'not-found') return { contexts: {} };
    throw usage(`${path}: ${reasonOf(error)}`, 'mend the rights of the file');
  }
  try {
    const parsed = contextsSchema.safeParse(parse(text) ?? {});
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new RemudaError('bad-config', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  } catch (error) {
    throw usage(`${path} is not a list of contexts: ${reasonOf(error)}`, 'mend the file, or remove it and say `remuda login URL` again');
  }
};

/** Writes the file whole, readable by its owner alone. */
export const writeContexts = async (files: Pick<Files, 'write' | 'makeFolder'>, env: Env, contexts: Contexts): Promise<void> => {
  const path = contextsPath(env);
  if (path === undefined) throw usage('there is no home to keep contexts in', 'set HOME or XDG_CONFIG_HOME');
  await files.makeFolder(dirname(path), 0o700);
  await files.write(path, stringify(contexts), 0o600);
};

/** The context of this name; a failure names those that there are. */
export const contextCalled = ({ contexts }: Contexts, name: string): SavedContext => {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(contexts);
  throw new CommandFailure(exits.usage, `there is no context ${JSON.stringify(name)}`, {
    next: names.length === 0 ? 'make one: remuda login URL' : `there are: ${names.join(', ')}`,
  });
};

/** A token as it may be shown: `remuda_<id>_…`, which tells it from another one and opens nothing. */
export const maskedToken = (token: string): string => {
  const [, open = ''] = /^(remuda_[A-Za-z0-9]+_)./.exec(token) ?? [];
  return `${open}\u2026`;
};
export const masked = (context: SavedContext): SavedContext =>
  context.token === undefined ? context : { ...context, token: maskedToken(context.token) };
