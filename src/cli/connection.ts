/** Which daemon a command asks, and how it is trusted: flags before the environment before the person's contexts before the local socket. */
import type { Files } from '../world/world.ts';
import type { Terminal } from '../world/terminal.ts';
import type { Where } from './client.ts';
import { contextCalled, readContexts } from './contexts.ts';
import type { SavedContext } from './contexts.ts';
import { usage } from './failure.ts';
import { absolute, textOf } from './input.ts';

export const defaultSocket = '/run/remuda/remuda.sock';
/** Options of every command that asks the daemon. */
export interface ConnectionOptions {
  readonly socket?: string;
  readonly url?: string;
  readonly context?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly fingerprint?: string;
}
interface Asking {
  readonly files: Pick<Files, 'read'>;
  readonly terminal: Pick<Terminal, 'env' | 'cwd'>;
}

const tokenBytesMax = 4096;
const caBytesMax = 1024 * 1024;

export const checkedUrl = (text: string): URL => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw usage(`${text} is no URL; write it like https://remuda.example:7471`);
  if (url.username !== '' || url.password !== '')
    throw usage('a user or password in the URL is not taken', 'give a token: --token-file FILE');
  return url;
};
/** Colons and capitals as people copy them. */
export const checkedFingerprint = (text: string): string => {
  const hex = text
    .toLowerCase()
    .replace(/^sha256:/, '')
    .replaceAll(':', '');
  if (!/^[0-9a-f]{64}$/.test(hex))
    throw usage(`${text} is no SHA-256 fingerprint`, 'it has 64 hex digits; the daemon\u2019s log says it at its start');
  return hex;
};
/** Nobody else hears what is said to this machine itself. */
export const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);

/** From the flag, the file, the environment; undefined where none says one. */
export const tokenOf = async (asking: Asking, options: ConnectionOptions): Promise<string | undefined> => {
  if (options.token !== undefined && options.tokenFile !== undefined) throw usage('--token and --token-file: say one of them');
  const { REMUDA_TOKEN: fromEnv = '', REMUDA_TOKEN_FILE: fileInEnv = '' } = asking.terminal.env as Readonly<Record<string, string>>;
  const file = options.tokenFile ?? (options.token === undefined && fromEnv === '' && fileInEnv !== '' ? fileInEnv : undefined);
  const token = options.token ?? (file === undefined ? fromEnv : (await textOf(asking, file, tokenBytesMax)).trim());
  if (token === '') {
    if (file !== undefined) throw usage(`${file} has no token in it`);
    return undefined;
  }
  // What stands in a header must not end it.
  if (!/^[\x21-\x7e]{1,1024}$/.test(token)) throw usage('the token has characters that no token has', 'copy it again');
  return token;
};

/** A URL with what makes it trusted; refuses to say a token where others could hear it. */
export const remoteOf = async (asking: Asking, saved: SavedContext & { readonly url: string }): Promise<Where> => {
  const url = checkedUrl(saved.url);
  if (url.protocol === 'http:') {
    if (saved.ca !== undefined || saved.fingerprint !== undefined)
      throw usage(`${saved.url} has no certificate to check`, 'write https://');
    if (saved.token !== undefined && !isLoopback(url))
      throw usage(`the token would go to ${url.host} in plain text: everybody on the way could use it`, 'write https://');
  }
  if (saved.ca !== undefined && saved.fingerprint !== undefined) throw usage('--ca and --fingerprint: say one of them');
  return {
    url: saved.url,
    ...(saved.token === undefined ? {} : { token: saved.token }),
    ...(saved.fingerprint === undefined ? {} : { fingerprint: checkedFingerprint(saved.fingerprint) }),
    ...(saved.ca === undefined ? {} : { ca: await textOf(asking, saved.ca, caBytesMax) }),
  };
};

/** What flags and environment name; undefined where they leave it to the contexts. */
const named = (options: ConnectionOptions, env: Terminal['env']): { readonly url: string } | { readonly socket: string } | undefined => {
  const said = [options.socket, options.url, options.context].filter((one) => one !== undefined);
  if (said.length > 1) throw usage('--socket, --url and --context: say one of them');
  if (options.socket !== undefined) return { socket: options.socket };
  if (options.url !== undefined) return { url: options.url };
  if (options.context !== undefined) return undefined;
  const { REMUDA_URL: url = '', REMUDA_SOCKET: socket = '' } = env as Readonly<Record<string, string>>;
  if (url !== '') return { url };
  return socket === '' ? undefined : { socket };
};

/**
 * Flags, else REMUDA_URL or REMUDA_SOCKET, else the context (`--context`, REMUDA_CONTEXT, the current one), else the local socket. The
 * token and the trust of a context go to that context's daemon only, never to another URL.
 */
export const whereOf = async (asking: Asking, options: ConnectionOptions): Promise<Where> => {
  const { env, cwd } = asking.terminal;
  const place = named(options, env);
  const token = await tokenOf(asking, options);
  const given: SavedContext = {
    ...(token === undefined ? {} : { token }),
    ...(options.ca === undefined ? {} : { ca: absolute(options.ca, cwd) }),
    ...(options.fingerprint === undefined ? {} : { fingerprint: checkedFingerprint(options.fingerprint) }),
  };
  if (place !== undefined) return 'url' in place ? remoteOf(asking, { ...given, url: place.url }) : { socket: place.socket };
  const contexts = await readContexts(asking.files, env);
  const name = options.context ?? ((env['REMUDA_CONTEXT'] ?? '') === '' ? contexts.current : env['REMUDA_CONTEXT']);
  if (name === undefined) return { socket: defaultSocket };
  const saved = contextCalled(contexts, name);
  if (saved.url === undefined) return { socket: saved.socket ?? defaultSocket };
  const { ca, fingerprint, ...rest } = saved;
  const trust = given.ca === undefined && given.fingerprint === undefined ? { ...(ca && { ca }), ...(fingerprint && { fingerprint }) } : {};
  return remoteOf(asking, { ...rest, ...trust, ...given, url: saved.url });
};
