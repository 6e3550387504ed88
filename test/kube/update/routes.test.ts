/** The extension as Cluster API calls it: paths, bodies and answers to the letter, always status 200, always in time. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { EventSink } from '../../../src/kube/controller.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { updateRoutes } from '../../../src/kube/update/routes.ts';
import { limits } from '../../../src/limits.ts';
import { aLab } from './lab.ts';
import type { Lab } from './lab.ts';

const hookApi = 'hooks.runtime.cluster.x-k8s.io/v1alpha1';
interface Vector {
  readonly path: string;
  readonly request: object;
  readonly response: object;
}
const call = async (lab: Lab, path: string, body: string): Promise<{ readonly status: number; readonly text: string }> => {
  const route = updateRoutes(lab.parts).find((one) => one.path === path && one.method === 'POST');
  assert.ok(route, `no route ${path}`);
  return await send(route, body);
};
const send = async (route: ReturnType<typeof updateRoutes>[number], body: string) => {
  const reply = await route.handle({
    method: 'POST',
    path: route.path,
    params: {},
    query: new URLSearchParams('timeout=15s'),
    headers: {},
    body: Buffer.from(body),
    peer: undefined,
    signal: new AbortController().signal,
  });
  assert.equal(typeof reply.body, 'string');
  return { status: reply.status, text: reply.body as string };
};

const folder = new URL('../../vectors/runtime-sdk/', import.meta.url);
const names = globSync('*.json', { cwd: folder }).toSorted();
test('there are vectors', () => assert.ok(names.length >= 9));
for (const name of names)
  test(`answers to the letter: ${name}`, async () => {
    const { path, request, response } = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Vector;
    const answer = await call(aLab(), path, JSON.stringify(request));
    assert.equal(answer.status, 200);
    assert.equal(answer.text, JSON.stringify(response));
  });

test('what our answers stop is told where people look, and nothing else is', async () => {
  const lab = aLab();
  const meta = { name: 'md', namespace: 'ns' };
  lab.api.seed(kinds.machineDeployment, { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'MachineDeployment', metadata: meta });
  const notes: string[] = [];
  const events: EventSink = {
    record: ({ kind, metadata: { name } }, { reason, note }) => void notes.push(`${kind} ${name} ${reason}: ${note}`),
  };
  const routes = updateRoutes({ ...lab.parts, events });
  for (const vector of ['can-update-machineset-stop', 'can-update-machineset-no', 'upgrade-plan', 'upgrade-plan-no-image']) {
    const { path, request } = JSON.parse(readFileSync(new URL(`${vector}.json`, folder), 'utf8')) as Vector;
    const cluster = { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'Cluster', metadata: { name: 'c1', namespace: 'ns' }, spec: {} };
    const sent = path.includes('upgradeplan') ? { ...request, cluster } : request;
    const text = JSON.stringify(sent).replaceAll('"labels":{', '"labels":{"cluster.x-k8s.io/deployment-name":"md",');
    const route = routes.find((one) => one.path === path);
    assert.ok(route);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await send(route, text);
  }
  assert.equal(notes.length, 2);
  assert.match(notes[0] ?? '', /^MachineDeployment md RolloutStopped: in-place update not possible, and the rollout is stopped: \S/);
  assert.match(notes[1] ?? '', /^Cluster c1 NoUpgradePlan: \S/);
});

const updatePath = `/${hookApi}/updatemachine/remuda-update-machine`;
const updateBody = JSON.stringify({
  apiVersion: hookApi,
  kind: 'UpdateMachineRequest',
  desired: { machine: { metadata: { name: 'w1', namespace: 'ns' } }, infrastructureMachine: {} },
});
test('what is no request is a Failure with status 200', async () => {
  for (const body of ['', '{', '[]', '{}', JSON.stringify({ apiVersion: hookApi, kind: 'DiscoveryRequest' })]) {
    // oxlint-disable-next-line no-await-in-loop -- one body after the other
    const { status, text } = await call(aLab(), updatePath, body);
    assert.equal(status, 200);
    const said = JSON.parse(text) as { status: string; message: string; retryAfterSeconds: number };
    assert.equal(said.status, 'Failure');
    assert.equal(said.retryAfterSeconds, 0);
    assert.ok(said.message.length > 0);
  }
});
test('a rack that does not answer is a Failure: nothing is decided on half the facts', async () => {
  const lab = aLab();
  const { path, request } = JSON.parse(readFileSync(new URL('can-update-machineset.json', folder), 'utf8')) as Vector;
  lab.metal.images = () => Promise.reject(new Error('the daemon does not answer'));
  const said = JSON.parse((await call(lab, path, JSON.stringify(request))).text) as { status: string; message: string };
  assert.deepEqual([said.status, said.message], ['Failure', 'the daemon does not answer']);
});
test('an API server that fails is told as progress, and asked again', async () => {
  const lab = aLab();
  lab.api.fault = () => ({ fail: new Error('no route to host') });
  const { text } = await call(lab, updatePath, updateBody);
  assert.equal(
    text,
    JSON.stringify({
      apiVersion: hookApi,
      kind: 'UpdateMachineResponse',
      status: 'Success',
      message: 'will be tried again: no route to host',
      retryAfterSeconds: 15,
    }),
  );
});
test('a step that takes long is answered in time, runs once, and goes on behind the answer', async () => {
  const lab = aLab();
  const asked: number[] = [];
  let release = (): void => {};
  lab.metal.images = async () => {
    asked.push(1);
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return [];
  };
  const route = updateRoutes(lab.parts).find(({ path }) => path === updatePath);
  assert.ok(route);
  const first = send(route, updateBody);
  while (asked.length === 0) {
    // oxlint-disable-next-line no-await-in-loop -- until the step is at the rack
    await new Promise((resolve) => setImmediate(resolve));
  }
  lab.clock.pass(limits.kubeHookMs);
  assert.match((await first).text, /still at work","retryAfterSeconds":15/);
  assert.match((await send(route, updateBody)).text, /still at work/);
  assert.equal(asked.length, 1);
  release();
  await new Promise((resolve) => setImmediate(resolve));
  const again = send(route, updateBody);
  while (asked.length === 1) {
    // oxlint-disable-next-line no-await-in-loop -- until the step is at the rack
    await new Promise((resolve) => setImmediate(resolve));
  }
  release();
  assert.match((await again).text, /"status":"Failure","message":"image kubernetes-v1\.35\.0 is not in the catalogue/);
});
test('bodies are bounded', () => {
  for (const route of updateRoutes(aLab().parts)) assert.equal(route.bodyBytesMax, limits.kubeHookBytes);
});
