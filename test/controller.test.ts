/** `remuda controller` is ready when it would do its work: every reason why it would not is told at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { readinessOf, runController } from '../src/controller.ts';
import { benchWith, hostNumber } from './control/bench.ts';
import { daemonOver } from './kube/daemon-over.ts';
import { eventually, freePort, kubeconfigOf, managementCluster, worldFor } from './provider-ground.ts';
import { ipv4 } from './world/memory-http.ts';

const inLine = { ready: false, isInLine: true, why: 'another controller, first, holds the lease ns/remuda' } as const;
const unheard = { ready: false, why: 'the lease ns/remuda could not be read or taken: connection refused' } as const;
const problem = 'the token’s role is viewer; operator is needed';
for (const [name, told, missing, isReady, lines] of [
  ['it leads, and the rack is heard', { ready: true }, undefined, true, ['ok']],
  ['it waits behind another, so that a Deployment of two is rolled out', inLine, undefined, true, [`ok: ${inLine.why}`]],
  ['it waits behind another, and could not take over', inLine, problem, false, [problem]],
  ['it leads nothing: the rack is not heard', { ready: true }, problem, false, [problem]],
  ['the API server is not heard', unheard, undefined, false, [unheard.why]],
  ['nothing is heard', unheard, problem, false, [unheard.why, problem]],
  ['it has not begun', undefined, undefined, false, ['it starts']],
] as const)
  test(name, () => assert.deepEqual(readinessOf(told, missing), { isReady, lines }));

const readyzOf = async (t: TestContext, kubeconfig: string, rack: { url: string; token?: string }) => {
  const port = await freePort();
  const until = new AbortController();
  const health = { address: '127.0.0.1', port };
  const wish = { rack, kubeconfig, pools: {}, reuseSeconds: 0, leaderNamespace: 'ns', health, logLevel: 'error' };
  const running = runController(worldFor(t), wish, { version: '0.0.0', until: until.signal });
  t.after(async () => {
    until.abort();
    await running;
  });
  const look = async (): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    return answer === undefined ? 'not yet' : `${answer.status} ${await answer.text()}`;
  };
  return async (isSo: RegExp): Promise<string> => eventually(look, (text) => isSo.test(text));
};
const rackOf = async (t: TestContext) => {
  const daemon = await daemonOver(await benchWith([hostNumber(0)]));
  const listener = await worldFor(t).http.listen({ at: { address: ipv4('127.0.0.1'), port: 0 }, routes: daemon.routes });
  t.after(() => listener.close());
  return { ...daemon, url: `http://127.0.0.1:${listener.port}` };
};

test('alone: a token of the role viewer is told, one of the role operator is ready behind another', async (t) => {
  const kubeconfig = await managementCluster(t, 'another-one');
  const { url, tokenOf } = await rackOf(t);
  const viewer = await readyzOf(t, kubeconfig, { url, token: await tokenOf('viewer') });
  assert.match(await viewer(/^503 the token/), /^503 the token’s role is viewer; operator is needed; remuda token create/);
  const operator = await readyzOf(t, kubeconfig, { url, token: await tokenOf('operator') });
  assert.match(await operator(/^200/), /^200 ok: another controller, another-one, holds the lease ns\/remuda/);
});
test('alone: neither the API server nor the daemon is reached, and nobody is said to hold the lease', async (t) => {
  const nobody = `http://127.0.0.1:${await freePort()}`;
  const readyz = await readyzOf(t, kubeconfigOf(t, nobody), { url: nobody });
  const said = await readyz(/^503 the lease ns\/remuda could not .*\nthe daemon at /);
  assert.match(said, /^503 the lease ns\/remuda could not be read or taken: .*\nthe daemon at .* was not reached: .*; check --url/);
});
