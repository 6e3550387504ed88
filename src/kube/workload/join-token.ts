/** Bootstrap tokens of kubeadm: made for one join, renewed while it is on the way, dropped when it is done. */
import { limits } from '../../limits.ts';
import type { World } from '../../world/world.ts';
import { isConflict } from '../api.ts';
import type { KubeApi } from '../api.ts';
import { fieldManager } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';
import { kubeTime } from '../runtime/conditions.ts';

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** `count` letters, each equally likely: bytes that would favour the first of them are thrown away. */
const drawn = (random: World['random'], count: number): string => {
  let text = '';
  while (text.length < count)
    for (const byte of random.bytes(count * 2)) if (byte < 252 && text.length < count) text += letters[byte % letters.length] ?? '';
  return text;
};
/** The public half of a token (6 letters); it stands in the name of the token's Secret. */
export const newTokenId = (random: World['random']): string => drawn(random, 6);

const keyOfToken = (id: string): Key => `kube-system/bootstrap-token-${id}`;
const encoded = (fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, Buffer.from(value).toString('base64')]));
const field = (secret: KubeObject, name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');

/** As CABPK makes it (bootstrap/kubeadm/internal/controllers/token.go), so that kubeadm's own cluster roles let it in. */
const tokenSecret = (id: string, secret: string, more: { readonly until: string; readonly description: string }): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
  type: 'bootstrap.kubernetes.io/token',
  data: encoded({
    'token-id': id,
    'token-secret': secret,
    expiration: more.until,
    'usage-bootstrap-signing': 'true',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
    description: more.description,
  }),
});
const renewed = async (api: KubeApi, id: string, secret: KubeObject, now: number): Promise<void> => {
  const left = Date.parse(field(secret, 'expiration')) - now;
  if (left > limits.kubeTokenMs / 2) return;
  const data = encoded({ expiration: kubeTime(now + limits.kubeTokenMs) });
  await api.patch(kinds.secret, keyOfToken(id), { data }, { fieldManager });
};
/**
 * The token of this ID as `<id>.<secret>`: the one that is there, renewed where less than half of its life is left, or a new one.
 * `description` says to people what it is for.
 */
export const ensureToken = async (
  { clock, random }: Pick<World, 'clock' | 'random'>,
  api: KubeApi,
  id: string,
  description: string,
): Promise<string> => {
  const known = await api.get(kinds.secret, keyOfToken(id));
  if (known !== undefined) {
    await renewed(api, id, known, clock.now());
    return `${id}.${field(known, 'token-secret')}`;
  }
  const secret = drawn(random, 16);
  try {
    await api.create(
      kinds.secret,
      tokenSecret(id, secret, { until: kubeTime(clock.now() + limits.kubeTokenMs), description }),
      fieldManager,
    );
    return `${id}.${secret}`;
  } catch (error) {
    // Another of us made it in this moment, or our own answer was lost: what stands there counts.
    if (!isConflict(error)) throw error;
    const made = await api.get(kinds.secret, keyOfToken(id));
    if (made === undefined) throw error;
    return `${id}.${field(made, 'token-secret')}`;
  }
};
/** No error where there is none. */
export const dropToken = async (api: KubeApi, id: string): Promise<void> => await api.delete(kinds.secret, keyOfToken(id));
