/** Bootstrap data of the kubeadm provider with another join token: pure, and everything but the token stays byte for byte. */
import { parseAllDocuments, parse } from 'yaml';
import { z } from 'zod';
import { RemudaError } from '../../errors.ts';

// Where CABPK writes kubeadm's configuration (bootstrap/kubeadm/internal/cloudinit/node.go, controlplane_init.go).
const joinPath = '/run/kubeadm/kubeadm-join-config.yaml';
const initPath = '/run/kubeadm/kubeadm.yaml';
/** kubeadm: `BootstrapTokenPattern`. */
const tokenPattern = /^[a-z0-9]{6}\.[a-z0-9]{16}$/;

const refuse = (why: string): RemudaError => new RemudaError('bad-request', `put a fresh join token into the bootstrap data: ${why}`);

const cloudConfig = z.object({ write_files: z.array(z.object({ path: z.string(), content: z.string().optional() })).default([]) });
type Files = z.infer<typeof cloudConfig>['write_files'];
const filesOf = (data: string): Files => {
  const read = cloudConfig.safeParse(parse(data, { logLevel: 'error' }));
  if (!read.success) throw refuse('it is no cloud-config');
  return read.data.write_files;
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
const tokensIn = (data: string): readonly string[] => {
  const files = filesOf(data);
  if (files.some(({ path }) => path === initPath)) throw refuse('it starts a control plane; only workers can join again');
  const file = files.find(({ path }) => path === joinPath);
  if (file === undefined) throw refuse(`none of the files that it writes is ${joinPath}; is it of another bootstrap provider?`);
  const documents = parseAllDocuments(file.content ?? '', { logLevel: 'error' });
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
const tokensOf = (data: string): readonly string[] => {
  try {
    return tokensIn(data);
  } catch (error) {
    if (error instanceof RemudaError) throw error;
    // Bytes that no provider writes: YAML that is broken, aliases without end. Their error would quote them.
    throw refuse('it is not understood');
  }
};
/**
 * The same bootstrap data with `token` in place of the JoinConfiguration's own (discovery.bootstrapToken.token, tlsBootstrapToken).
 * A token is 22 letters that stand nowhere else by chance, so its text is replaced wherever it is: formatting, comments and jinja
 * templates stay. Throws `bad-request`, without a word of the data, where it is not a worker's join with a token.
 */
export const withJoinToken = (data: string, token: string): string => {
  if (!tokenPattern.test(token)) throw refuse('the fresh token is none');
  const rewritten = tokensOf(data).reduce((text, old) => text.replaceAll(old, token), data);
  const now = tokensOf(rewritten);
  if (now.length !== 1 || now[0] !== token) throw refuse('its token is written in a way that is not understood');
  return rewritten;
};
