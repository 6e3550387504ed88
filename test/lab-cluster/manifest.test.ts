/** What is applied for a cluster: every reference leads somewhere, and it names what the images really hold. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { clusterObjects, etcdImageTag, images, otherImageObjects, pools, yamlOf } from '../../src/lab/cluster/manifest.ts';
import { field, textField } from '../../src/lab/plane/door.ts';
import type { PlaneObject } from '../../src/lab/plane/door.ts';
import { objectsOf } from '../../src/lab/plane/manifests.ts';
import { kubernetesVersion } from '../../src/lab/plane/pki.ts';

const wish = { name: 'c1', workers: 3, endpoint: { host: '10.77.0.10', port: 6443 } };
const objects = clusterObjects(wish);
const of = (kind: string, among: readonly PlaneObject[] = objects): PlaneObject => {
  const found = among.find((one) => one.kind === kind);
  assert.ok(found !== undefined, `no ${kind}`);
  return found;
};
/** Every `{ apiGroup, kind, name }` in it. */
const refsOf = (value: unknown): readonly unknown[] => {
  if (typeof value !== 'object' || value === null) return [];
  const own = textField(value, 'apiGroup') === undefined ? [] : [value];
  return [...own, ...Object.values(value).flatMap(refsOf)];
};

test('every reference leads to an object of the manifest', () => {
  const known = objects.map(({ apiVersion, kind, metadata }) => `${apiVersion.split('/')[0]}/${kind}/${metadata.name}`);
  const refs = objects.flatMap((object) => refsOf(object));
  assert.equal(refs.length, 5);
  for (const ref of refs)
    assert.ok(known.includes(`${textField(ref, 'apiGroup')}/${textField(ref, 'kind')}/${textField(ref, 'name')}`), JSON.stringify(ref));
});

test('the versions are those that the images are built from', () => {
  const pins = readFileSync(new URL('../../images/kubernetes/module/go.mod', import.meta.url), 'utf8');
  const pinned = (module: string): string | undefined => new RegExp(`^\\s*${module} (v\\S+)`, 'm').exec(pins)?.[1];
  assert.equal(pinned('k8s.io/kubernetes'), kubernetesVersion);
  assert.equal(`${pinned('go.etcd.io/etcd/server/v3')}-0`, `v${etcdImageTag}`);
  const plane = of('KubeadmControlPlane')['spec'];
  assert.equal(field(plane, 'version'), kubernetesVersion);
  assert.equal(field(plane, 'kubeadmConfigSpec', 'clusterConfiguration', 'etcd', 'local', 'imageTag'), etcdImageTag);
});

test('nothing is pulled: no add-on whose image is not there, and no pull of those that are', () => {
  const init = field(of('KubeadmControlPlane'), 'spec', 'kubeadmConfigSpec', 'initConfiguration');
  assert.deepEqual(field(init, 'skipPhases'), ['addon/coredns', 'addon/kube-proxy']);
  assert.equal(field(init, 'nodeRegistration', 'imagePullPolicy'), 'Never');
});

test('control plane and workers take servers of their own pools, and the endpoint is the one that was given', () => {
  const templates = objects.filter(({ kind }) => kind === 'BareMetalMachineTemplate').map((one) => field(one, 'spec', 'template', 'spec'));
  assert.deepEqual(
    templates.map((spec) => [field(spec, 'image'), field(spec, 'hostSelector', 'pools')]),
    [
      [images.controlPlane, [pools.controlPlane]],
      [images.worker, [pools.workers]],
    ],
  );
  assert.deepEqual(field(of('BareMetalCluster'), 'spec', 'controlPlaneEndpoint'), wish.endpoint);
  assert.equal(field(of('MachineDeployment'), 'spec', 'replicas'), wish.workers);
});

test('another image is another template, and the same deployment that names it', () => {
  const others = otherImageObjects(wish);
  const template = of('BareMetalMachineTemplate', others);
  const deployment = of('MachineDeployment', others);
  assert.notEqual(field(template, 'spec', 'template', 'spec', 'image'), images.worker);
  assert.deepEqual(deployment.metadata, of('MachineDeployment').metadata);
  assert.equal(textField(deployment, 'spec', 'template', 'spec', 'infrastructureRef', 'name'), template.metadata.name);
  assert.ok(objects.every(({ kind, metadata }) => kind !== template.kind || metadata.name !== template.metadata.name));
});

test('the file says what the objects say', () => {
  const text = yamlOf('A cluster.', objects);
  assert.match(text, /^# A cluster\.\n/);
  assert.deepEqual(objectsOf(text), objects);
});
