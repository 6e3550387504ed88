/** The laboratory as a client of the daemon: what a person would type, over the Unix socket. */
import { z } from 'zod';
import { hostJson, leaseJson, problemJson, timelineJson } from '../api/types.ts';
import type { HostJson, LeaseJson, TimelineRowJson } from '../api/types.ts';
import { RemudaError, reasonOf } from '../errors.ts';
import type { HttpAnswer, World } from '../world/world.ts';

const replyBytesMax = 16 * 1024 * 1024;
const items = z.object({ items: z.array(hostJson) });
const leases = z.object({ items: z.array(leaseJson) });

export interface Admin {
  /** Does anybody answer? */
  isReady(): Promise<boolean>;
  hosts(): Promise<readonly HostJson[]>;
  leases(): Promise<readonly LeaseJson[]>;
  timeline(host: string, after: number | undefined): Promise<{ readonly items: readonly TimelineRowJson[]; readonly next: number }>;
  enrol(body: unknown): Promise<void>;
  claim(body: unknown): Promise<void>;
  reprovision(claimId: string, body: unknown): Promise<void>;
  release(claimId: string): Promise<void>;
  /** Whatever else the API offers, as `POST`. */
  post(path: string, body: unknown): Promise<void>;
  /** A raw image on this machine; who will tell that it is up. */
  importImage(path: string, name: string, phoneHome?: 'image' | 'cloud-init'): Promise<void>;
}

export const adminOf = (world: Pick<World, 'http'>, socket: string): Admin => {
  const call = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<HttpAnswer> => {
    const answer = await world.http.call({
      method,
      url: `http://remuda${path}`,
      socket,
      headers: { 'x-remuda-user': 'lab', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeoutMs: 120_000,
      replyBytesMax,
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    const text = Buffer.from(answer.body).toString('utf8');
    const problem = problemJson.safeParse(parse(text));
    throw new RemudaError(
      'conflict',
      `${method} ${path}: ${problem.success ? problem.data.detail : `${answer.status} ${text.slice(0, 200)}`}`,
    );
  };
  return {
    isReady: async () => {
      try {
        return (await call('GET', '/healthz')).status === 200;
      } catch (error) {
        if (error instanceof RemudaError) return false;
        throw error;
      }
    },
    hosts: async () => items.parse(textOf(await call('GET', '/v1/hosts'))).items,
    leases: async () => leases.parse(textOf(await call('GET', '/v1/leases'))).items,
    timeline: async (host, after) =>
      timelineJson.parse(textOf(await call('GET', `/v1/hosts/${host}/timeline?most=1000${after === undefined ? '' : `&after=${after}`}`))),
    enrol: async (body) => void (await call('POST', '/v1/hosts', body)),
    claim: async (body) => void (await call('POST', '/v1/claims', body)),
    reprovision: async (claimId, body) => void (await call('POST', `/v1/claims/${claimId}/reprovision`, body)),
    release: async (claimId) => void (await call('DELETE', `/v1/claims/${claimId}`)),
    post: async (path, body) => void (await call('POST', path, body)),
    importImage: async (path, name, phoneHome = 'image') => {
      const answer = await call('POST', '/v1/images', { path, name, phoneHome });
      const last = Buffer.from(answer.body).toString('utf8').trim().split('\n').at(-1) ?? '';
      if (!last.includes('"result"')) throw new RemudaError('image-invalid', `image ${name} was not imported: ${last.slice(0, 300)}`);
    },
  };
};
const textOf = (answer: HttpAnswer): unknown => parse(Buffer.from(answer.body).toString('utf8'));
const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    return { notJson: reasonOf(error) };
  }
};
