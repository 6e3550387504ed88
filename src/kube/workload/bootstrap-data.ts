/** Bootstrap data of the kubeadm provider with another join token: pure, and everything but the token stays byte for byte. */
import { parseAllDocuments, parse } from 'yaml';
import { z } from 'zod';
import { RemudaError } from '../../errors.ts';

/** `data.format` of a bootstrap Secret; absent means cloud-config. */
export const bootstrapFormats = ['cloud-config', 'ignition'] as const;
export type BootstrapFormat = (typeof bootstrapFormats)[number];

// Where CABPK writes kubeadm's configuration (bootstrap/kubeadm/internal/cloudinit/*.go, internal/ignition/clc/clc.go).
const joinPaths = ['/run/kubeadm/kubeadm-join-config.yaml', '/etc/kubeadm.yml'];
const initPaths = ['/run/kubeadm/kubeadm.yaml'];
/** kubeadm: `BootstrapTokenPattern`. */
const tokenPattern = /^[a-z0-9]{6}\.[a-z0-9]{16}$/;

const refuse = (why: string, cause?: unknown): RemudaError =>
  new RemudaError('bad-request', `put a fresh join token into the bootstrap data: ${why}`, cause === undefined ? {} : { cause });

const cloudConfig = z.object({ write_files: z.array(z.object({ path: z.string(), content: z.string().optional() })).default([]) });
const ignition = z.object({
  storage: z.object({
    files: z.array(z.object({ path: z.string(), contents: z.object({ source: z.string().optional() }).optional() })).default([]),
  }),
});
interface WrittenFile {
  readonly path: string;
  readonly text: string;
}
const read = <T>(schema: z.ZodType<T>, parsed: () => unknown, what: string): T => {
  try {
    return schema.parse(parsed());
  } catch (error) {
    // Without the parser's words: they quote what stands there, and there stand secrets.
    throw refuse(`it is no ${what}`, error instanceof z.ZodError ? error : undefined);
  }
};
/** RFC 2397, as the config transpiler of Container Linux writes it. */
const dataUrl = (source: string): string => {
  const [, isBase64, data = ''] = /^data:[^,]*?(;base64)?,(.*)$/s.exec(source) ?? [];
  return isBase64 === undefined ? decodeURIComponent(data) : Buffer.from(data, 'base64').toString('utf8');
};
const filesOf = (data: string, format: BootstrapFormat): readonly WrittenFile[] => {
  if (format === 'cloud-config')
    return read(cloudConfig, () => parse(data), 'cloud-config').write_files.map(({ path, content = '' }) => ({ path, text: content }));
  const { files } = read(ignition, () => JSON.parse(data), 'Ignition configuration').storage;
  return files.map(({ path, contents }) => ({ path, text: dataUrl(contents?.source ?? 'data:,') }));
};

const joinShape = z.object({
  kind: z.literal('JoinConfiguration'),
  controlPlane: z.unknown().optional(),
  discovery: z.object({
    tlsBootstrapToken: z.string().optional(),
    bootstrapToken: z.object({ token: z.string() }).optional(),
  }),
});
const kindShape = z.object({ kind: z.string() });
/** The tokens of the JoinConfiguration; one, as a rule. */
const tokensIn = (data: string, format: BootstrapFormat): readonly string[] => {
  const files = filesOf(data, format);
  if (files.some(({ path }) => initPaths.includes(path))) throw refuse('it starts a control plane; only workers can join again');
  const file = files.find(({ path }) => joinPaths.includes(path));
  if (file === undefined)
    throw refuse(`none of the files that it writes is ${joinPaths.join(' or ')}; is it of another bootstrap provider?`);
  const documents = parseAllDocuments(file.text);
  const said = (Array.isArray(documents) ? documents : []).map((document): unknown => document.toJS());
  const kindsThere = said.map((one) => kindShape.safeParse(one).data?.kind);
  if (kindsThere.includes('InitConfiguration') || kindsThere.includes('ClusterConfiguration'))
    throw refuse('it starts a control plane; only workers can join again');
  const joins = said.filter((one) => kindShape.safeParse(one).data?.kind === 'JoinConfiguration').map((one) => joinShape.safeParse(one));
  const join = joins[0];
  if (joins.length !== 1 || join?.success !== true) throw refuse(`${file.path} holds no JoinConfiguration that is understood`);
  if (join.data.controlPlane !== undefined) throw refuse('it joins a control plane; only workers can join again');
  const { bootstrapToken, tlsBootstrapToken } = join.data.discovery;
  if (bootstrapToken === undefined) throw refuse('its JoinConfiguration has no discovery.bootstrapToken; discovery by file has no token');
  const tokens = [bootstrapToken.token, ...(tlsBootstrapToken === undefined ? [] : [tlsBootstrapToken])];
  if (!tokens.every((token) => tokenPattern.test(token))) throw refuse('what stands there as token is none');
  return [...new Set(tokens)];
};
const tokensOf = (data: string, format: BootstrapFormat): readonly string[] => {
  try {
    return tokensIn(data, format);
  } catch (error) {
    if (error instanceof RemudaError) throw error;
    // Bytes that no provider writes: a broken data URL, aliases without end. Their error would quote them.
    throw refuse('it is not understood');
  }
};
/**
 * The same bootstrap data with `token` in place of the JoinConfiguration's own (discovery.bootstrapToken.token, tlsBootstrapToken).
 * A token is 22 letters that stand nowhere else by chance, so its text is replaced wherever it is: formatting, comments and jinja
 * templates stay. Throws `bad-request`, without a word of the data, where it is not a worker's join with a token.
 */
export const withJoinToken = (data: string, format: BootstrapFormat, token: string): string => {
  if (!tokenPattern.test(token)) throw refuse('the fresh token is none');
  const rewritten = tokensOf(data, format).reduce((text, old) => text.replaceAll(old, token), data);
  const now = tokensOf(rewritten, format);
  if (now.length !== 1 || now[0] !== token) throw refuse('its token is written in a way that is not understood');
  return rewritten;
};
