/**
 * `clusterctl move` of a running cluster to another management cluster, as people do it who bootstrap: into the cluster itself. Both API
 * servers, Cluster API's core behind each of them, and clusterctl are real. No host is touched on the way; the controller on the other side
 * finds each by its claim; and deleted there, the cluster gives them back clean.
 *
 * Stand-ins: the servers are simulated (test/kube/living-rack.ts) behind the real daemon; kubelets are played when an OS comes up. The other
 * API server has no webhooks, and asks those of the first for the conversion of its objects.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { KubeClient } from '../../../src/kube/client/kube-client.ts';
import { capi } from '../../../src/kube/names.ts';
import { keyOf, kinds } from '../../../src/kube/objects.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { planeBinaries } from '../../../src/lab/plane/binaries.ts';
import { field, items, textField } from '../../../src/lab/plane/door.ts';
import type { Door, PlaneObject } from '../../../src/lab/plane/door.ts';
import { kubeconfigText } from '../../../src/lab/plane/kubeconfig.ts';
import type { Kubeconfig } from '../../../src/lab/plane/kubeconfig.ts';
import { freePorts } from '../../../src/lab/plane/ports.ts';
import type { WorkloadPlane } from '../../../src/lab/plane/workload.ts';
import { realLabWorld } from '../../../src/world/real-lab.ts';
import { realWorld } from '../../../src/world/real.ts';
import { livingRack } from '../../kube/living-rack.ts';
import type { LivingRack } from '../../kube/living-rack.ts';
import { comes, herd, images, machinesOf, paths, readyOf, startLife, watched } from './herd.ts';
import { providerObjects } from './provider.ts';
import { eventually, ground, plane } from './with-plane.ts';
import type { TestPlane } from './with-plane.ts';

const execute = promisify(execFile);
const clusterctlLabel = 'clusterctl.cluster.x-k8s.io';
const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const name = 'pivot';
const workers = 2;
const log = { level: 'error', destination: 'stderr', pretty: false } as const;

/** As `clusterctl init` labels what it installs, so that `move` knows what is Cluster API's. Ours have the label of themselves. */
const labelled = async (t: TestContext, here: TestPlane): Promise<readonly PlaneObject[]> => {
  const { items: listed } = (await here.door.get(crdPath)) as { readonly items: readonly PlaneObject[] };
  const crds = listed.filter(({ metadata }) => metadata.labels?.['cluster.x-k8s.io/provider'] !== undefined);
  const others = crds.filter(({ metadata }) => metadata.labels?.[clusterctlLabel] === undefined);
  assert.ok(others.every(({ spec }) => field(spec, 'group') !== kinds.bareMetalMachine.group));
  const label = async (value: string | null): Promise<void> => {
    for (const { metadata } of others)
      await here.door.call(
        'PATCH',
        `${crdPath}/${metadata.name}`,
        { metadata: { labels: { [clusterctlLabel]: value } } },
        'application/merge-patch+json',
      );
  };
  await label('');
  t.after(() => label(null));
  // clusterctl brings its own inventory.
  t.after(async () => void (await here.door.call('DELETE', `${crdPath}/providers.${clusterctlLabel}`)));
  return crds.map(({ apiVersion, kind, metadata, spec }) => ({
    apiVersion: apiVersion ?? 'apiextensions.k8s.io/v1',
    kind: kind ?? 'CustomResourceDefinition',
    metadata: { name: metadata.name, labels: { ...metadata.labels, [clusterctlLabel]: '' } },
    spec,
  }));
};
/** Cluster API's core for the other API server. Ends with the test. */
const startCore = (
  t: TestContext,
  here: TestPlane,
  workload: WorkloadPlane,
  place: { readonly folder: string; readonly port: number },
): void => {
  const out = openSync(join(place.folder, 'capi-core.log'), 'w');
  const flags = {
    kubeconfig: workload.kubeconfig,
    'webhook-port': String(place.port),
    'webhook-cert-dir': `${here.folder}/webhook`,
    'health-addr': '127.0.0.1:0',
    'diagnostics-address': '0',
    'feature-gates': 'ClusterTopology=true,RuntimeSDK=true,InPlaceUpdates=true,MachinePool=true',
    v: '2',
  };
  const child = spawn(
    `${here.binaries}/capi-core`,
    Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
    { stdio: ['ignore', out, out], env: { ...process.env, POD_NAMESPACE: 'capi-system', POD_NAME: 'capi-core', POD_UID: 'capi-core' } },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
};
/** A cluster of one control plane machine and some workers, whose API server is the stand-in. */
const cluster = (namespace: string, endpoint: WorkloadPlane['endpoint']): readonly PlaneObject[] => {
  const parts = herd({ namespace, name, workers }).map((one) =>
    one.kind === 'BareMetalCluster' ? { ...one, spec: { controlPlaneEndpoint: endpoint } } : one,
  );
  const labels = { 'cluster.x-k8s.io/cluster-name': name, 'cluster.x-k8s.io/control-plane': '' };
  const metadata = { name: `${name}-cp`, namespace, labels };
  const infrastructureRef = { apiGroup: kinds.bareMetalMachine.group, kind: 'BareMetalMachine', name: `${name}-cp` };
  return [
    ...parts,
    {
      apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2',
      kind: 'BareMetalRemediationTemplate',
      metadata: { name, namespace },
      spec: { template: { spec: { strategy: 'Reboot' } } },
    },
    {
      apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2',
      kind: 'BareMetalMachine',
      metadata,
      spec: { image: images[0] },
    },
    {
      apiVersion: 'cluster.x-k8s.io/v1beta2',
      kind: 'Machine',
      metadata,
      spec: { clusterName: name, version: 'v1.34.4', bootstrap: { dataSecretName: `${name}-boot` }, infrastructureRef },
    },
  ];
};
const runKubelets = (rack: LivingRack, workload: WorkloadPlane): void => {
  const nodes = new Map<string, string>();
  rack.onOs((host, running) => {
    const before = nodes.get(host);
    if (running === undefined) {
      if (before !== undefined) workload.nodes.silence(before);
      return;
    }
    const isControlPlane = running.hostName === `${name}-cp`;
    const node = isControlPlane ? 'cp-0' : running.hostName;
    nodes.set(host, node);
    workload.nodes.put({ name: node, providerId: running.providerId, address: running.address, isControlPlane }).catch((error: unknown) => {
      console.error(`the kubelet of ${node}: ${String(error)}`);
    });
  });
};
/** Each host with what it holds and runs. */
const metalNow = (rack: LivingRack): readonly string[] =>
  rack.daemon
    .hosts()
    .filter(({ claim }) => claim !== null)
    .map(({ name: host, state, claim }) =>
      JSON.stringify([host, state, claim?.id, claim?.owner, claim?.generation, rack.whatRuns(host)?.providerId]),
    )
    .toSorted();
const idsOf = (objects: readonly unknown[]): readonly string[] =>
  objects
    .map((one) =>
      JSON.stringify([textField(one, 'metadata', 'name'), textField(one, 'spec', 'claimID'), textField(one, 'spec', 'providerID')]),
    )
    .toSorted();
/** Every object of ours in the namespace, as it was last seen when it went. */
const lastWords = (t: TestContext, to: Kubeconfig, namespace: string): Map<string, KubeObject> => {
  const life = new AbortController();
  const world = realWorld({ signal: life.signal, log });
  const api = new KubeClient({ world, version: '1', source: { is: 'text', text: kubeconfigText(to, 'plane'), of: 'the test' } });
  const gone = new Map<string, KubeObject>();
  const watch = async (): Promise<void> => {
    const { resourceVersion } = await api.list(kinds.bareMetalMachine, { namespace });
    for await (const event of api.watch(kinds.bareMetalMachine, { namespace, resourceVersion }, life.signal))
      if (event.type === 'DELETED') gone.set(keyOf(event.object), event.object);
  };
  const watching = watch().catch((error: unknown) => {
    if (!life.signal.aborted) console.error(`the watch of the move ended: ${String(error)}`);
  });
  t.after(async () => {
    life.abort(new DOMException('the test is over', 'AbortError'));
    await watching;
  });
  return gone;
};

void test('clusterctl move: no host is touched, and each is found again', { ...ground, timeout: 900_000 }, async (t) => {
  const here = plane();
  const namespace = await here.newNamespace(t);
  await here.apply(...providerObjects());
  const folder = mkdtempSync(join(tmpdir(), 'remuda-move-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const life = new AbortController();
  const lab = realLabWorld({ signal: life.signal, log });
  const program = join(await planeBinaries(lab, { names: ['clusterctl'], say: (line) => console.error(line) }), 'clusterctl');
  const [port = 0] = await freePorts(lab, '127.0.0.1', 1);
  life.abort(new DOMException('it is built', 'AbortError'));
  const crds = await labelled(t, here);
  const rack = await livingRack({ hosts: 4, speed: 40, images });
  t.after(() => rack.stop());
  const workload = await here.workload(t, { namespace, name });
  const there: TestPlane = { ...here, door: workload.door };
  await workload.door.apply(crds);
  startCore(t, here, workload, { folder, port });
  runKubelets(rack, workload);
  await rack.allAvailable(240_000);

  const calls: string[] = [];
  const metal = watched(rack.metal, { after: (verb, claimId) => void calls.push(`${verb} ${claimId}`) });
  await startLife(t, { to: { ...here.access, token: await here.door.tokenFor('remuda-system', 'remuda-controller') }, metal });
  await startLife(t, { to: workload.access, metal });
  writeFileSync(join(folder, 'clusterctl.yaml'), '{}');
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, XDG_CONFIG_HOME: folder, CLUSTERCTL_DISABLE_VERSIONCHECK: 'true' };
  const move = (): Promise<unknown> => {
    const both = ['--kubeconfig', here.kubeconfig, '--to-kubeconfig', workload.kubeconfig];
    const args = ['move', '--namespace', namespace, ...both, '--config', join(folder, 'clusterctl.yaml'), '-v', '3'];
    return execute(program, args, { env, timeout: 300_000, maxBuffer: 64 * 1024 * 1024 });
  };
  const rackHosts = async (door: Door): Promise<number> =>
    items(await door.get('/apis/infrastructure.cluster.x-k8s.io/v1beta2/rackhosts')).length;

  for (const { name: host } of rack.hosts) rack.failInstall(host, Infinity);
  await here.apply(...cluster(namespace, workload.endpoint));
  await t.test('while a host is on its way, its machine cannot be moved', async () => {
    const onTheWay = await comes(here, namespace, 'all hosts are claimed', async () => {
      const all = await machinesOf(here, namespace);
      return metalNow(rack).length === 1 + workers && all.length === 1 + workers && all;
    });
    for (const one of onTheWay) {
      assert.equal(field(one, 'spec', 'providerID'), undefined);
      assert.notEqual(field(one, 'metadata', 'annotations', capi.blockMove), undefined);
    }
    await assert.rejects(move(), /cannot start the move operation while/);
    assert.deepEqual(await machinesOf(there, namespace), []);
  });

  for (const { name: host } of rack.hosts) rack.failInstall(host, 0);
  const retried = async (): Promise<void> => {
    for (const { name: host, failed } of rack.daemon.hosts()) if (failed !== null) await rack.metal.retry(host);
  };
  await comes(here, namespace, 'every Machine has its Node', async () => {
    await retried();
    const all = items(await here.door.get(paths(namespace).machines));
    return all.length === 1 + workers && all.every((one) => textField(one, 'status', 'nodeRef', 'name') !== undefined);
  });
  const before = await comes(here, namespace, 'every machine of ours may be moved', async () => {
    const all = await machinesOf(here, namespace);
    const isFree = (one: unknown): boolean => field(one, 'metadata', 'annotations', capi.blockMove) === undefined;
    return all.every((one) => isFree(one) && readyOf(one).word === 'True Ready') && all;
  });
  await comes(here, namespace, 'the control plane is initialized', async () => {
    const found = field(await here.door.get(`${paths(namespace).clusters}/${name}`), 'status', 'conditions');
    return Array.isArray(found) && found.some((one) => field(one, 'type') === 'ControlPlaneInitialized' && field(one, 'status') === 'True');
  });
  await eventually('the mirror is whole', async () => (await rackHosts(here.door)) === rack.hosts.length);
  const held = metalNow(rack);
  calls.length = 0;

  await t.test('moved: the source goes without a word to the metal', async (inner) => {
    const gone = lastWords(inner, here.access, namespace);
    await move();
    assert.deepEqual(await machinesOf(here, namespace), []);
    await eventually('the watch has heard of it', async () => gone.size === 1 + workers);
    for (const [key, { metadata }] of gone) assert.ok(metadata.annotations?.[capi.deleteForMove] !== undefined, `${key} went otherwise`);
    assert.equal(await rackHosts(here.door), rack.hosts.length);
    // A MachineHealthCheck that comes along would look for it in vain.
    const template = `/apis/infrastructure.cluster.x-k8s.io/v1beta2/namespaces/${namespace}/baremetalremediationtemplates/${name}`;
    assert.equal(textField(await there.door.get(template), 'spec', 'template', 'spec', 'strategy'), 'Reboot');
  });

  await t.test('on the other side every host is found by its claim, and the status told anew', async () => {
    await comes(there, namespace, 'all machines Ready over there', async () => {
      const all = await machinesOf(there, namespace);
      const isWhole = (one: unknown): boolean =>
        readyOf(one).word === 'True Ready' && field(one, 'status', 'initialization', 'provisioned') === true;
      return all.length === 1 + workers && all.every(isWhole);
    });
    await comes(there, namespace, 'every Machine has its Node again', async () => {
      const all = items(await there.door.get(paths(namespace).machines));
      return all.length === 1 + workers && all.every((one) => textField(one, 'status', 'phase') === 'Running');
    });
    assert.deepEqual(idsOf(await machinesOf(there, namespace)), idsOf(before));
    assert.deepEqual(metalNow(rack), held);
    assert.deepEqual(calls, []);
    await eventually('its own mirror is whole', async () => (await rackHosts(there.door)) === rack.hosts.length);
  });

  await t.test('deleted over there, it gives its hosts back clean', async () => {
    const path = `${paths(namespace).clusters}/${name}`;
    assert.equal((await there.door.call('DELETE', path)).status, 200);
    await comes(there, namespace, 'the Cluster is gone', async () => (await there.door.get(path)) === undefined);
    await rack.allAvailable(240_000);
    for (const { disk } of rack.hosts) assert.ok(disk.isZero());
    assert.deepEqual([...new Set(calls.map((call) => call.split(' ')[0]))], ['release']);
  });
});
