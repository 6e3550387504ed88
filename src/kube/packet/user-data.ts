/** The user data of cluster-api-provider-packet were Go templates: what of them is safe is filled in, what asks for secrets is refused. */

export interface TemplateValues {
  /** The Machine's, such as `v1.34.4`. */
  readonly kubernetesVersion: string;
  /** Host of the cluster's endpoint; undefined while nobody knows it. */
  readonly controlPlaneEndpoint: string | undefined;
}
export type Filled = { readonly userData: string } | { readonly wrong: string };

/**
 * One action of Go's text/template, as far as it is understood: a raw or quoted string, a field, or anything else; and an opening
 * without an end. The lengths are bounded, so that hostile data cost no more than long ones.
 */
const action = /\{\{(?:\s*(?:`([^`]{0,1024})`|"([^"\\\n]{0,1024})"|\.([A-Za-z_]\w{0,63}))\s*\}\}|((?:(?!\}\})[^\n]){0,1024})\}\})?/g;
/** Words that begin an expression of Go's own (text/template, "Actions" and "Functions"); any other word there begins one of cloud-init's. */
const goWords: ReadonlySet<string> = new Set(
  (
    'if else end range with define template block break continue nil true false ' +
    'and call html index slice js len not or print printf println urlquery eq ne lt le gt ge'
  ).split(' '),
);
const secrets: Readonly<Record<string, string>> = {
  apiKey: 'there is no API of Equinix Metal to have a key for',
  cpemConfig: 'its cloud controller (CPEM) has no API any more that it could ask',
  emlbID: 'its load balancer is gone',
};
class Refused extends Error {}
/** Where it stands, and of what is said only a field's name: the rest may be a secret. */
const refuse = (userData: string, at: number, name: string | undefined, why: string): never => {
  const line = userData.slice(0, at).split('\n').length;
  throw new Refused(`line ${line} of the bootstrap data, {{ ${name === undefined ? '…' : `.${name}`} }}: ${why}`);
};
const adviceOnSecrets = 'take the lines that use it out of the KubeadmConfig';
const adviceOnOthers =
  'of Go templates only .kubernetesVersion, .controlPlaneEndpoint and strings in back quotes or quotes are filled in; write it out';

/** The text as a host is given it. What is cloud-init's own (`{{ v1.instance_id }}`, `{{ ds.meta_data.x }}`) stays as it is. */
export const fillTemplate = (userData: string, { kubernetesVersion, controlPlaneEndpoint }: TemplateValues): Filled => {
  const fieldOf = (name: string, at: number): string => {
    if (name === 'kubernetesVersion') return kubernetesVersion;
    if (name === 'controlPlaneEndpoint')
      return controlPlaneEndpoint ?? refuse(userData, at, name, 'the cluster has no endpoint yet: say spec.controlPlaneEndpoint');
    const secret = secrets[name];
    return refuse(userData, at, name, secret === undefined ? adviceOnOthers : `${secret}; ${adviceOnSecrets}`);
  };
  const replaced = (whole: string, ...found: readonly unknown[]): string => {
    const [raw, quoted, field, other, at] = found as [string?, string?, string?, string?, number?];
    if (raw !== undefined || quoted !== undefined) return raw ?? quoted ?? '';
    if (field !== undefined) return fieldOf(field, at ?? 0);
    const word = /^-?\s*([a-z_]\w*)/.exec(other ?? '')?.[1];
    return word === undefined || goWords.has(word) ? refuse(userData, at ?? 0, undefined, adviceOnOthers) : whole;
  };
  try {
    return { userData: userData.replaceAll(action, replaced) };
  } catch (error) {
    if (error instanceof Refused) return { wrong: error.message };
    throw error;
  }
};
