/** The stand-in control plane before its judges: Cluster API takes it for the cluster's own, and a kubelet's request by the bootstrap data is signed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { field, items, openDoor, textField } from '../../../src/lab/plane/door.ts';
import { realWorld } from '../../../src/world/real.ts';
import { toyCluster, toyPath, toyProvider } from './toy.ts';
import { eventually, ground, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const life = new AbortController();
test.after(() => life.abort(new DOMException('the tests are over', 'AbortError')));
const world = realWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });

const merge = async ({ door }: TestPlane, path: string, patch: unknown): Promise<void> => {
  const { status, body } = await door.call('PATCH', path, patch, 'application/merge-patch+json');
  assert.equal(status, 200, JSON.stringify(body));
};
/** What an infrastructure provider does when its machine runs. */
const provide = async (here: TestPlane, path: string, providerId: string): Promise<void> => {
  await merge(here, path, { spec: { providerID: providerId } });
  const addresses = [{ type: 'InternalIP', address: '127.0.0.1' }];
  await merge(here, `${path}/status`, { status: { initialization: { provisioned: true }, addresses } });
};
const toyMachine = async ({ door }: TestPlane, namespace: string, prefix: string): Promise<string | undefined> =>
  items(await door.get(toyPath(namespace, 'toymachines')))
    .map((one) => textField(one, 'metadata', 'name') ?? '')
    .find((name) => name.startsWith(prefix));
const machine = async ({ door }: TestPlane, namespace: string, prefix: string): Promise<unknown> =>
  items(await door.get(`/apis/cluster.x-k8s.io/v1beta2/namespaces/${namespace}/machines`)).find((one) =>
    textField(one, 'metadata', 'name')?.startsWith(prefix),
  );
const runsOn = async (here: TestPlane, namespace: string, prefix: string): Promise<string | undefined> => {
  const found = await machine(here, namespace, prefix);
  return textField(found, 'status', 'phase') === 'Running' ? textField(found, 'status', 'nodeRef', 'name') : undefined;
};

/** As kubelet asks for its client certificate. */
const signingRequest = (node: string): string => {
  const subject = `/O=system:nodes/CN=system:node:${node}`;
  const args = ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', '/dev/null', '-subj', subject];
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: 20_000 }).toString('base64');
};

test('a Cluster comes up on it: machines run, and a worker is let in by its bootstrap data', ground, async (t) => {
  const here = plane();
  const namespace = await here.newNamespace(t);
  await here.apply(...toyProvider);
  const workload = await here.workload(t, { namespace, name: 'c1' });
  await here.apply(...toyCluster({ namespace, name: 'c1', endpoint: workload.endpoint, workers: 1 }));
  await merge(here, `${toyPath(namespace, 'toyclusters')}/c1/status`, { status: { initialization: { provisioned: true } } });

  const first = await eventually('the control plane machine is cloned', () => toyMachine(here, namespace, 'c1-cp'));
  await provide(here, `${toyPath(namespace, 'toymachines')}/${first}`, 'toy://cp-0');
  await workload.nodes.put({ name: 'cp-0', providerId: 'toy://cp-0', isControlPlane: true });
  assert.equal(await eventually('the control plane machine runs', () => runsOn(here, namespace, 'c1-cp'), 120_000), 'cp-0');

  const worker = await eventually('the worker is cloned', () => toyMachine(here, namespace, 'c1-md'), 120_000);
  const secretName = await eventually('its bootstrap data', async () =>
    textField(await machine(here, namespace, 'c1-md'), 'spec', 'bootstrap', 'dataSecretName'),
  );
  const secret = await here.door.get(`/api/v1/namespaces/${namespace}/secrets/${secretName}`);
  const userData = Buffer.from(textField(secret, 'data', 'value') ?? '', 'base64').toString();
  const token = /token: (\w{6}\.\w{16})/.exec(userData)?.[1];
  assert.ok(token, 'the bootstrap data hold a token');
  assert.ok(userData.includes(`${workload.endpoint.host}:${workload.endpoint.port}`), 'and the endpoint');

  const joining = openDoor(world, { ...workload.access, token });
  const config = await joining.get('/api/v1/namespaces/kube-system/configmaps/kubeadm-config');
  assert.match(textField(config, 'data', 'ClusterConfiguration') ?? '', /kubernetesVersion: v1\.34\.4/);
  const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const asked = await joining.call('POST', requests, {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'w-0' },
    spec: {
      request: signingRequest('w-0'),
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['digital signature', 'client auth'],
    },
  });
  assert.equal(asked.status, 201, JSON.stringify(asked.body));
  await eventually('the request is approved and signed', async () =>
    textField(await workload.door.get(`${requests}/w-0`), 'status', 'certificate'),
  );

  await provide(here, `${toyPath(namespace, 'toymachines')}/${worker}`, 'toy://w-0');
  await workload.nodes.put({ name: 'w-0', providerId: 'toy://w-0' });
  assert.equal(await eventually('the worker runs', () => runsOn(here, namespace, 'c1-md'), 120_000), 'w-0');
  const controlPlane = await here.door.get(
    `/apis/controlplane.cluster.x-k8s.io/v1beta2/namespaces/${namespace}/kubeadmcontrolplanes/c1-cp`,
  );
  assert.equal(field(controlPlane, 'status', 'initialization', 'controlPlaneInitialized'), true);
});
