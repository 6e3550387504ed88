/** The door to the API server with a counter and a lock: every request is counted, and nothing is written under a lease that is lost. */
import type { Meter } from '../../world/world.ts';
import { KubeError } from '../api.ts';
import type { KubeApi } from '../api.ts';
import type { Kind } from '../objects.ts';

const statusOf = (error: unknown): string => (error instanceof KubeError ? String(error.httpStatus) : 'cut');

/** `mayWrite` is asked before each write: another controller may be at work by now, and would be crossed. */
export const meteredApi = (api: KubeApi, meter: Meter, mayWrite: () => boolean): KubeApi => {
  const counted = async <T>(verb: string, kind: Kind, ask: () => Promise<T>): Promise<T> => {
    try {
      const answer = await ask();
      meter.count('kube_requests', { verb, kind: kind.kind, status: '200' });
      return answer;
    } catch (error) {
      meter.count('kube_requests', { verb, kind: kind.kind, status: statusOf(error) });
      throw error;
    }
  };
  const write = async <T>(verb: string, kind: Kind, ask: () => Promise<T>): Promise<T> => {
    if (!mayWrite())
      throw new KubeError(
        `could not ${verb} ${kind.kind} at ${api.server}: the lease of this controller is lost; whoever holds it goes on`,
        {
          status: 0,
          reason: 'NotLeading',
        },
      );
    return await counted(verb, kind, ask);
  };
  return {
    server: api.server,
    get: (kind, key) => counted('get', kind, () => api.get(kind, key)),
    list: (kind, options) => counted('list', kind, () => api.list(kind, options)),
    watch: (kind, options, signal) => {
      meter.count('kube_requests', { verb: 'watch', kind: kind.kind, status: '' });
      return api.watch(kind, options, signal);
    },
    create: (kind, object, manager) => write('create', kind, () => api.create(kind, object, manager)),
    apply: (kind, object, options) => write('apply', kind, () => api.apply(kind, object, options)),
    patch: (kind, key, patch, options) => write('patch', kind, () => api.patch(kind, key, patch, options)),
    replace: (kind, object, manager) => write('replace', kind, () => api.replace(kind, object, manager)),
    delete: (kind, key, options) => write('delete', kind, () => api.delete(kind, key, options)),
    post: (kind, key, subresource, body) => write('post', kind, () => api.post(kind, key, subresource, body)),
  };
};
