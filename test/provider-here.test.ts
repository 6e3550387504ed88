/** The provider inside the daemon: what is told of it to the doctor. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { kubernetesSchema } from '../src/config/kubernetes.ts';
import { provideHere } from '../src/provider-here.ts';
import { silentMeter } from '../src/metering.ts';
import { eventually, freePort, kubeconfigOf, managementCluster, worldFor } from './provider-ground.ts';

type Parts = Parameters<typeof provideHere>[0];
const problemOf = (t: TestContext, kubeconfig: string, more: object = {}): (() => string | undefined) => {
  const config = kubernetesSchema.parse({ kubeconfig, leaderElection: { namespace: 'ns' }, ...more });
  // Its reconcilers never begin, so that nobody asks it for anything.
  const daemon = {} as unknown as Parts['daemon'];
  const here = provideHere({ world: worldFor(t), config, daemon, meter: silentMeter, version: '0.0.0' });
  t.after(() => here.stop());
  return () => here.problem();
};

for (const leaderElection of [{ namespace: 'ns' }, false] as const)
  test(`an API server that is not reached is told, ${leaderElection === false ? 'without' : 'with'} a Lease`, async (t) => {
    const port = await freePort();
    const problem = problemOf(t, kubeconfigOf(t, `http://127.0.0.1:${port}`), { leaderElection });
    const said = await eventually(problem, (text) => text?.includes('ECONNREFUSED') === true);
    assert.match(said ?? '', new RegExp(`127\\.0\\.0\\.1:${port}: .*ECONNREFUSED.*; check that the server runs`));
    assert.doesNotMatch(said ?? '', /another/);
  });

test('a kubeconfig that is not there is told', async (t) => {
  const said = await eventually(problemOf(t, '/nowhere/kubeconfig'), (text) => text !== 'it starts');
  assert.match(said ?? '', /the kubeconfig \/nowhere\/kubeconfig cannot be read: ENOENT/);
});

test('waiting in line behind another is as it should be', async (t) => {
  const problem = problemOf(t, await managementCluster(t, 'another-one'));
  assert.equal(await eventually(problem, (text) => text === undefined), undefined);
});
