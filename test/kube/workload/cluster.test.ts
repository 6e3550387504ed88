/** What is done inside a workload cluster: Nodes found and adopted, drains that respect budgets, tokens that live as long as they must. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeError } from '../../../src/kube/api.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { KubeObject, Meta } from '../../../src/kube/objects.ts';
import { workloadByKubeconfig } from '../../../src/kube/workload/access.ts';
import { drainStep, podFate } from '../../../src/kube/workload/drain.ts';
import { dropToken, ensureToken, newTokenId } from '../../../src/kube/workload/join-token.ts';
import { adoptNode, cordon, dropNode, findNode } from '../../../src/kube/workload/node.ts';
import { limits } from '../../../src/limits.ts';
import { FakeApi } from '../fake-api.ts';
import type { Request } from '../fake-api.ts';
import { Hands, random } from '../update/lab.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const node = (name: string, providerID?: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: providerID === undefined ? {} : { providerID },
  status: { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: 'v1.34.4', bootID: 'b' } },
});
const aCluster = (...nodes: readonly KubeObject[]): FakeApi => {
  const api = new FakeApi({ clock: new Hands() });
  for (const one of nodes) api.seed(kinds.node, one);
  return api;
};
const wanted = { providerId: 'remuda://c-1', names: ['w1', 'host-w1'] };

test('a Node is found by its provider ID, whatever it is called; by name only where it has none', async () => {
  assert.equal((await findNode(aCluster(node('w1', 'remuda://c-1')), wanted))?.name, 'w1');
  assert.equal((await findNode(aCluster(node('other', 'remuda://c-1'), node('w1')), wanted))?.name, 'other');
  assert.equal((await findNode(aCluster(node('host-w1')), wanted))?.name, 'host-w1');
  assert.equal(await findNode(aCluster(node('w2'), node('w3', 'remuda://c-3')), wanted), undefined);
});
test('two Nodes with one provider ID, and a name of another machine, are said and not touched', async () => {
  await assert.rejects(findNode(aCluster(node('a', 'remuda://c-1'), node('b', 'remuda://c-1')), wanted), /a and b both have it/);
  await assert.rejects(findNode(aCluster(node('w1', 'remuda://c-9')), wanted), /Node w1 has remuda:\/\/c-9/);
});
test('a Node without provider ID is adopted once; cordon and delete mean this very Node', async () => {
  const api = aCluster(node('w1'));
  const found = await findNode(api, wanted);
  assert.ok(found);
  const adopted = await adoptNode(api, found, wanted.providerId);
  assert.equal(adopted.providerId, wanted.providerId);
  await adoptNode(api, adopted, wanted.providerId);
  assert.equal(api.count('patch'), 1);
  await assert.rejects(adoptNode(api, { ...found, uid: 'another' }, wanted.providerId), { code: 'version-conflict' });
  await cordon(api, adopted, true);
  await cordon(api, { ...adopted, unschedulable: true }, true);
  assert.equal(api.count('patch'), 3);
  await assert.rejects(dropNode(api, adopted), { code: 'version-conflict' }, 'it changed since');
  const now = await findNode(api, wanted);
  assert.ok(now?.unschedulable);
  await dropNode(api, now);
  assert.equal(api.peek(kinds.node, '/w1'), undefined);
});

const now = Date.UTC(2026, 0, 1);
const pod = (name: string, meta: Partial<Meta> = {}, phase = 'Running'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', ...meta },
  spec: { nodeName: 'w1' },
  status: { phase },
});
const owner = (kind: string, controller: boolean) => [{ apiVersion: 'apps/v1', kind, name: 'x', uid: 'x', controller }];
const dying = (ms: number): Partial<Meta> => ({ deletionTimestamp: new Date(now - ms).toISOString() });
const fates: readonly [string, KubeObject, boolean, ReturnType<typeof podFate>][] = [
  ['plain', pod('a'), true, 'evict'],
  ['of a ReplicaSet', pod('a', { ownerReferences: owner('ReplicaSet', true) }), true, 'evict'],
  ['of a DaemonSet', pod('a', { ownerReferences: owner('DaemonSet', true) }), true, 'stays'],
  ['beside a DaemonSet', pod('a', { ownerReferences: owner('DaemonSet', false) }), true, 'evict'],
  ['mirror', pod('a', { annotations: { 'kubernetes.io/config.mirror': 'x' } }), true, 'stays'],
  ['told to skip', pod('a', { labels: { 'cluster.x-k8s.io/drain': 'skip' } }), true, 'stays'],
  ['completed', pod('a', {}, 'Succeeded'), true, 'stays'],
  ['failed', pod('a', {}, 'Failed'), true, 'stays'],
  ['going', pod('a', dying(limits.kubeUnreachablePodMs * 2)), true, 'going'],
  ['going, out of reach', pod('a', dying(1_000)), false, 'going'],
  ['gone for nobody to see', pod('a', dying(limits.kubeUnreachablePodMs + 1)), false, 'stays'],
];
test('which pods a drain means', () => {
  for (const [name, one, isReachable, fate] of fates) assert.equal(podFate(one, { isReachable, now }), fate, name);
});
test('a step evicts, counts what budgets keep, forgets what is gone, and is bounded', async () => {
  const api = aCluster(node('w1'));
  for (const name of ['free', 'kept', 'gone']) api.seed(kinds.pod, pod(name));
  api.seed(kinds.pod, { ...pod('elsewhere'), spec: { nodeName: 'w2' } });
  const answers: Readonly<Record<string, number>> = { 'default/kept': 429, 'default/gone': 404 };
  api.fault = ({ key, subresource }: Request) =>
    subresource === 'eviction' && answers[key] !== undefined ? { fail: new KubeError('no', { status: answers[key] }) } : undefined;
  assert.deepEqual(await drainStep(api, 'w1', { isReachable: true, now }), { going: ['default/free'], kept: ['default/kept'] });
  const bodies = api.requests.filter(({ subresource }) => subresource === 'eviction').map(({ body }) => JSON.stringify(body));
  assert.ok(bodies.every((body) => body.includes('"preconditions":{"uid":"') && !body.includes('gracePeriodSeconds')));
  assert.ok(api.peek(kinds.pod, 'default/elsewhere'));

  const many = aCluster(node('w1'));
  for (let count = 0; count < limits.kubeEvictionsMax + 5; count++) many.seed(kinds.pod, pod(`p${count}`));
  const first = await drainStep(many, 'w1', { isReachable: false, now });
  assert.equal(many.count('post'), limits.kubeEvictionsMax);
  assert.equal(first.going.length, limits.kubeEvictionsMax + 5);
  assert.ok(JSON.stringify(many.requests.at(-1)?.body).includes('"gracePeriodSeconds":1'));
  assert.equal((await drainStep(many, 'w1', { isReachable: false, now })).going.length, 5);
  assert.deepEqual(await drainStep(many, 'w1', { isReachable: false, now }), { going: [], kept: [] });
});
test('an eviction that fails for another reason is thrown', async () => {
  const api = aCluster(node('w1'));
  api.seed(kinds.pod, pod('a'));
  api.fault = ({ subresource }: Request) => (subresource === 'eviction' ? { fail: new KubeError('no', { status: 500 }) } : undefined);
  await assert.rejects(drainStep(api, 'w1', { isReachable: true, now }), { code: 'kube-failed' });
});

const token = (api: FakeApi, id: string) => {
  const data = api.peek(kinds.secret, `kube-system/bootstrap-token-${id}`)?.data ?? {};
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'base64').toString()]));
};
test('a token is made once, renewed at half of its life, dropped without complaint', async () => {
  const clock = new Hands();
  const api = new FakeApi({ clock });
  const id = newTokenId(random);
  assert.match(id, /^[a-z0-9]{6}$/);
  const made = await ensureToken({ clock, random }, api, id, 'for w1');
  assert.match(made, new RegExp(`^${id}\\.[a-z0-9]{16}$`));
  assert.equal(token(api, id)['description'], 'for w1');
  const { writes } = api;
  assert.equal(await ensureToken({ clock, random }, api, id, 'for w1'), made);
  assert.equal(api.writes, writes);
  clock.pass(limits.kubeTokenMs / 2);
  assert.equal(await ensureToken({ clock, random }, api, id, 'for w1'), made);
  assert.equal(Date.parse(token(api, id)['expiration'] ?? ''), clock.now() + limits.kubeTokenMs);
  await dropToken(api, id);
  await dropToken(api, id);
  assert.deepEqual(api.all(kinds.secret), []);
});
test('a token whose answer was lost is the one that stands there', async () => {
  const clock = new Hands();
  const api = new FakeApi({ clock });
  let lost = 0;
  api.fault = ({ verb }: Request) => (verb === 'create' && lost++ === 0 ? { failAfter: new KubeError('cut', { status: 0 }) } : undefined);
  await assert.rejects(ensureToken({ clock, random }, api, 'aaaaaa', 'x'), { code: 'kube-failed' });
  const known = token(api, 'aaaaaa')['token-secret'];
  assert.equal(await ensureToken({ clock, random }, api, 'aaaaaa', 'x'), `aaaaaa.${known}`);
});

test('a kubeconfig is connected to once, and anew when it was rotated; without one the message says who writes it', async () => {
  const api = new FakeApi({ clock: new Hands() });
  const made: string[] = [];
  const workload = workloadByKubeconfig(api, (text, of) => {
    made.push(`${of}: ${text}`);
    return new FakeApi({ clock: new Hands() });
  });
  await assert.rejects(workload('ns/c1'), /there is no Secret ns\/c1-kubeconfig with a key "value"; its control plane writes it/);
  const seed = (text: string) =>
    api.seed(kinds.secret, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'c1-kubeconfig', namespace: 'ns' },
      data: { value: base64(text) },
    });
  seed('one');
  const first = await workload('ns/c1');
  assert.equal(await workload('ns/c1'), first);
  seed('two');
  assert.notEqual(await workload('ns/c1'), first);
  assert.deepEqual(made, ['Secret ns/c1-kubeconfig: one', 'Secret ns/c1-kubeconfig: two']);
});
