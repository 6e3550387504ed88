/** A management cluster in memory behind real HTTP, with its kubeconfig, and ports where nobody listens. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { apiVersionOf, kinds } from '../src/kube/objects.ts';
import { realWorld } from '../src/world/real.ts';
import { FakeApi } from './kube/fake-api.ts';
import { serveFake } from './kube/client/serve-fake.ts';
import { fakeWorld } from './world/fake.ts';

/** Closed again, and given to nobody else for a while. */
export const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};
/** A kubeconfig for that server. */
export const kubeconfigOf = (t: TestContext, server: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'remuda-provider-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'kubeconfig');
  const contexts = [{ name: 'here', context: { cluster: 'c', user: 'u' } }];
  const users = [{ name: 'u', user: { token: 'a-token' } }];
  const clusters = [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }];
  writeFileSync(file, JSON.stringify({ 'current-context': 'here', clusters, contexts, users }));
  return file;
};
/** `holder`: who has the Lease in `ns` and keeps it for as long as the test runs. */
export const managementCluster = async (t: TestContext, holder?: string): Promise<string> => {
  const api = new FakeApi(fakeWorld());
  const spec = { holderIdentity: holder, leaseDurationSeconds: 3_600 };
  const metadata = { name: 'remuda', namespace: 'ns' };
  if (holder !== undefined) api.seed(kinds.lease, { apiVersion: apiVersionOf(kinds.lease), kind: 'Lease', metadata, spec });
  const served = await serveFake(api, (plural) => Object.values(kinds).find((kind) => kind.plural === plural));
  t.after(() => served.close());
  return kubeconfigOf(t, served.url);
};
export const worldFor = (t: TestContext): ReturnType<typeof realWorld> => {
  const life = new AbortController();
  t.after(() => life.abort(new DOMException('the test is over', 'AbortError')));
  return realWorld({ signal: life.signal, log: { level: 'silent' } });
};
/** Asks until it is so, for at most 20 s; the last answer. */
export const eventually = async <T>(look: () => Promise<T> | T, isSo: (seen: T) => boolean): Promise<T> => {
  for (let tries = 0; ; tries++) {
    const seen = await look();
    if (isSo(seen) || tries >= 200) return seen;
    await sleep(100);
  }
};
