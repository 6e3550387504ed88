/** The way into a workload cluster: the kubeconfig that Cluster API keeps in the Secret `<cluster>-kubeconfig`. */
import { RemudaError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { KubeApi } from '../api.ts';
import { kinds, splitKey } from '../objects.ts';
import type { Key } from '../objects.ts';

/** The API server of a Cluster (`namespace/name`). Throws `not-found` while it has no kubeconfig yet. */
export type Workload = (cluster: Key) => Promise<KubeApi>;

/**
 * Reads `<cluster>-kubeconfig` (key `value`) each time and connects anew where it was rotated.
 * `connect` makes a client of a kubeconfig's text; `of` says for people where it stands.
 */
export const workloadByKubeconfig = (api: KubeApi, connect: (kubeconfig: string, of: string) => KubeApi | Promise<KubeApi>): Workload => {
  const known = new Map<Key, { readonly text: string; readonly api: KubeApi }>();
  return async (cluster) => {
    const { namespace, name } = splitKey(cluster);
    const secret = await api.get(kinds.secret, `${namespace}/${name}-kubeconfig`);
    const value = secret?.data?.['value'];
    if (value === undefined)
      throw new RemudaError(
        'not-found',
        `reach the workload cluster ${cluster}: there is no Secret ${namespace}/${name}-kubeconfig with a key "value"; its control plane writes it`,
      );
    const text = Buffer.from(value, 'base64').toString('utf8');
    const before = known.get(cluster);
    if (before?.text === text) return before.api;
    const made = await connect(text, `Secret ${namespace}/${name}-kubeconfig`);
    known.delete(cluster);
    for (const oldest of known.keys()) {
      if (known.size < limits.kubeClustersMax) break;
      known.delete(oldest);
    }
    known.set(cluster, { text, api: made });
    return made;
  };
};
