/** The plane itself: what is said to be real of it is real. Webhooks refuse, roles refuse, owners take what they own with them, namespaces end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { items, openDoor, textField } from '../../../src/lab/plane/door.ts';
import { realWorld } from '../../../src/world/real.ts';
import { toyProvider } from './toy.ts';
import { eventually, ground, plane } from './with-plane.ts';

const life = new AbortController();
test.after(() => life.abort(new DOMException('the tests are over', 'AbortError')));
const world = realWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });

const cluster = (namespace: string, name: string, spec: unknown = {}) => ({
  apiVersion: 'cluster.x-k8s.io/v1beta2',
  kind: 'Cluster',
  metadata: { name, namespace },
  spec,
});
const waiting = {
  clusterNetwork: { pods: { cidrBlocks: ['192.168.0.0/16'] } },
  infrastructureRef: { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'ToyCluster', name: 'none' },
};

test('every process runs, and the API server tells its version', ground, async () => {
  const { members, kubectl } = plane();
  assert.deepEqual(members.map(({ name }) => name).toSorted(), [
    'capi-core',
    'capi-kubeadm-bootstrap',
    'capi-kubeadm-controlplane',
    'etcd',
    'kube-apiserver',
    'kube-controller-manager',
  ]);
  for (const { pid } of members) assert.equal(process.kill(pid, 0), true);
  assert.match(await kubectl('version'), /Server Version: v1\.34\.4/);
});

test('the validating webhook of Cluster API refuses what the schema would let pass', ground, async (t) => {
  const { newNamespace, door } = plane();
  const namespace = await newNamespace(t);
  const path = `/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/clusters`;
  const wrong = cluster(namespace, 'c1', { ...waiting, clusterNetwork: { pods: { cidrBlocks: ['not-a-network'] } } });
  const { status, body } = await door.call('POST', path, wrong);
  assert.equal(status >= 400 && status < 500, true, JSON.stringify(body));
  assert.match(textField(body, 'message') ?? '', /admission webhook "validation\.cluster\.cluster\.x-k8s\.io" denied the request/);
});

test('what is stored as v1beta2 is read as v1beta1: the conversion webhook answers', ground, async (t) => {
  const { newNamespace, apply, door } = plane();
  const namespace = await newNamespace(t);
  await apply(...toyProvider, cluster(namespace, 'c1', waiting));
  const old = await door.get(`/apis/cluster.x-k8s.io/v1beta1/namespaces/${namespace}/clusters/c1`);
  assert.equal(textField(old, 'spec', 'infrastructureRef', 'apiVersion'), 'infrastructure.cluster.x-k8s.io/v1alpha1');
});

test('roles really refuse: a service account without any may not read what the managers may', ground, async (t) => {
  const { newNamespace, apply, door, access } = plane();
  const namespace = await newNamespace(t);
  await apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody', namespace } });
  const asNobody = openDoor(world, { ...access, token: await door.tokenFor(namespace, 'nobody') });
  const path = `/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/clusters`;
  const { status, body } = await asNobody.call('GET', path);
  assert.equal(status, 403);
  assert.match(textField(body, 'message') ?? '', /clusters\.cluster\.x-k8s\.io is forbidden/);
  const asManager = openDoor(world, { ...access, token: await door.tokenFor('capi-system', 'capi-manager') });
  assert.equal((await asManager.call('GET', path)).status, 200);
  // The manager is no administrator either.
  assert.equal((await asManager.call('GET', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings')).status, 403);
});

test('who is not let in at all is told so', ground, async () => {
  const { access } = plane();
  assert.equal((await openDoor(world, { ...access, token: 'wrong' }).call('GET', '/api/v1/secrets')).status, 401);
});

test('the garbage collector takes what a deleted owner owned', ground, async (t) => {
  const { newNamespace, apply, door } = plane();
  const namespace = await newNamespace(t);
  const maps = `/api/v1/namespaces/${namespace}/configmaps`;
  await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owner', namespace } });
  const uid = textField(await door.get(`${maps}/owner`), 'metadata', 'uid') ?? '';
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }];
  const owned = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owned', namespace, ownerReferences } };
  await apply(owned);
  assert.notEqual(await door.get(`${maps}/owned`), undefined);
  assert.equal((await door.call('DELETE', `${maps}/owner`)).status, 200);
  await eventually('the owned ConfigMap is collected', async () => (await door.get(`${maps}/owned`)) === undefined);
});

test('a namespace ends with all that is in it, objects of Cluster API too', ground, async (t) => {
  const { newNamespace, apply, door } = plane();
  const namespace = await newNamespace(t);
  await apply(...toyProvider, cluster(namespace, 'c1', waiting));
  await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace } });
  assert.equal((await door.call('DELETE', `/api/v1/namespaces/${namespace}`)).status, 200);
  await eventually('the namespace is gone', async () => (await door.get(`/api/v1/namespaces/${namespace}`)) === undefined);
  const left = items(await door.get('/apis/cluster.x-k8s.io/v1beta2/clusters'));
  assert.ok(left.every((one) => textField(one, 'metadata', 'namespace') !== namespace));
});
