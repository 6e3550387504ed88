/** A kubeconfig that somebody else wrote: only what carries its credentials itself, built anew from the fields that we know. */
import { parse } from 'yaml';
import { z } from 'zod';
import { RemudaError } from '../../errors.ts';

/**
 * Whoever may write a Secret must not thereby run programs here, or have files of ours sent to a server of theirs: fields that start
 * programs or name files are refused by name, and of the others only these are handed on. Client-node would read `token-file` while it
 * parses, so it never sees the text.
 */
const kubeConfig = z.object({
  'current-context': z.string().optional(),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({
        server: z.string(),
        'certificate-authority-data': z.string().optional(),
        'tls-server-name': z.string().optional(),
        'insecure-skip-tls-verify': z.boolean().optional(),
      }),
    }),
  ),
  contexts: z.array(
    z.object({
      name: z.string(),
      context: z.object({ cluster: z.string(), user: z.string().optional(), namespace: z.string().optional() }),
    }),
  ),
  users: z
    .array(
      z.object({
        name: z.string(),
        user: z.object({
          token: z.string().optional(),
          'client-certificate-data': z.string().optional(),
          'client-key-data': z.string().optional(),
          username: z.string().optional(),
          password: z.string().optional(),
        }),
      }),
    )
    .default([]),
});
const reaching = [
  'exec',
  'auth-provider',
  'client-certificate',
  'client-key',
  'token-file',
  'tokenFile',
  'certificate-authority',
  'proxy-url',
];

const namesIn = (value: unknown): readonly string[] => {
  if (Array.isArray(value)) return value.flatMap(namesIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [name, ...namesIn(inner)]);
};

/** Throws `bad-config` where it is no kubeconfig, or reaches for what is ours; `of` is for messages. */
export const foreignKubeConfig = (text: string, of: string): z.infer<typeof kubeConfig> => {
  const bad = (why: string): RemudaError => new RemudaError('bad-config', `the kubeconfig of ${of} ${why}`);
  let raw: unknown;
  try {
    raw = parse(text);
  } catch {
    // The parser's message shows the line that it does not understand, which may be a token.
    throw bad('is no YAML');
  }
  const found = namesIn(raw).find((name) => reaching.includes(name));
  if (found !== undefined)
    throw bad(`has "${found}", which starts a program or names a file or a proxy of ours; it must carry its credentials itself`);
  const read = kubeConfig.safeParse(raw);
  if (!read.success) throw bad(`is none: ${z.prettifyError(read.error)}`);
  return read.data;
};
