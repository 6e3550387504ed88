/** The bootstrap data of a Machine: from its Secret to the rack and nowhere else. */
import type { ImageJson } from '../../api/types.ts';
import { reasons } from '../names.ts';
import { kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import { limits } from '../../limits.ts';

export type Bootstrap =
  | { readonly is: 'ready'; readonly userData: string; readonly format: 'cloud-config' | 'ignition' }
  | { readonly is: 'waiting' | 'refused'; readonly reason: string; readonly message: string };

const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');
/** What the Secret (`data.value`, `data.format`) says; no message quotes a word of it. */
export const bootstrapOf = (name: string, secret: KubeObject | undefined): Bootstrap => {
  if (secret === undefined) return { is: 'waiting', reason: reasons.waitingForBootstrap, message: `Secret ${name} is not there yet` };
  const refused = (message: string): Bootstrap => ({ is: 'refused', reason: reasons.invalid, message: `Secret ${name}: ${message}` });
  const { value, format } = secret.data ?? {};
  const said = format === undefined ? 'cloud-config' : text(format);
  if (value === undefined) return refused('it has no `value`');
  if (said !== 'cloud-config' && said !== 'ignition') return refused('its `format` is neither cloud-config nor ignition');
  const userData = text(value);
  const bytes = Buffer.byteLength(userData);
  if (bytes > limits.userDataBytes) return refused(`it has ${bytes} bytes, and a host can be given ${limits.userDataBytes}`);
  return { is: 'ready', userData, format: said };
};
/** Why this image would not read bootstrap data of this format; what the rack does not know is its own to refuse. */
export const unreadBy = (image: string, format: 'cloud-config' | 'ignition', catalogue: readonly ImageJson[]): string | undefined => {
  const entry = catalogue.find(({ name, digest }) => name === image || digest === image);
  // An image whose cloud-init phones home reads its seed by cloud-init.
  if (format === 'cloud-config' || entry === undefined || entry.phoneHome !== 'cloud-init') return undefined;
  return `the bootstrap data are Ignition, and image ${image} reads its seed by cloud-init: take an image that was imported with --phone-home image or none, or let the bootstrap provider write cloud-config`;
};
/** Reads it where the Machine names one. Secrets are not cached: each is read when its machine is claimed. */
export const readBootstrap = async (
  get: (kind: typeof kinds.secret, key: `${string}/${string}`) => Promise<KubeObject | undefined>,
  namespace: string,
  name: string | undefined,
): Promise<Bootstrap> => {
  if (name === undefined || name === '')
    return { is: 'waiting', reason: reasons.waitingForBootstrap, message: 'the Machine has no bootstrap data yet' };
  return bootstrapOf(name, await get(kinds.secret, `${namespace}/${name}`));
};
