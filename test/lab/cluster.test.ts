/**
 * The whole way: a Cluster and a MachineDeployment are applied, and empty servers become its nodes; they get another image, one is killed and
 * helped, the Cluster is deleted and every server is clean.
 *
 * Real: the management cluster, Cluster API's controllers, our own, the daemon, firmware, the agent, the kubernetes image, kubelet, kubeadm and
 * containerd, the workload's kube-apiserver with the loops that sign and tend nodes. Stand-ins: the workload's control plane runs beside the
 * rack (src/lab/plane/workload.ts), its Node is written by it, and the server of its Machine boots the tiny image; no network add-on is there,
 * pods are in a network of their node alone.
 */
import assert from 'node:assert/strict';
import { closeSync, copyFileSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { runController } from '../../src/controller.ts';
import { plugIn } from '../../src/lab/plane/cable.ts';
import type { Cable } from '../../src/lab/plane/cable.ts';
import { field, items, textField } from '../../src/lab/plane/door.ts';
import type { WorkloadPlane } from '../../src/lab/plane/workload.ts';
import { rackNet } from '../../src/lab/net.ts';
import { realWorld } from '../../src/world/real.ts';
import { providerObjects } from '../interop/kubernetes/provider.ts';
import { eventually, ground, plane } from '../interop/kubernetes/with-plane.ts';
import type { TestPlane } from '../interop/kubernetes/with-plane.ts';
import { clusterObjects, workerTemplate } from './cluster-objects.ts';
import type { ClusterWish } from './cluster-objects.ts';
import { images, Lab, sha256 } from './crew.ts';

const minute = 60_000;
const settled = { timeout: 25 * minute };
const rackName = 'test-cluster';
const version = 'v1.34.4';
const name = 'c1';
const [controlHost, workerHost] = ['h1', 'h2'];

/** The same system with another digest: the end of its root's partition, which no file system reads, says something. */
const otherEdition = (image: string, to: string): string => {
  copyFileSync(image, to);
  const file = openSync(to, 'r+');
  // Behind the root are one MiB and the second GPT.
  writeSync(file, 'edition 2', statSync(to).size - 1024 * 1024 - 512);
  closeSync(file);
  return to;
};

const addressOf = (machine: unknown): string => {
  const addresses = field(machine, 'status', 'addresses');
  const found = Array.isArray(addresses) ? addresses.find((one) => textField(one, 'type') === 'InternalIP') : undefined;
  return textField(found, 'address') ?? assert.fail(`no address: ${JSON.stringify(addresses)}`);
};
/** `open`, or why nobody is let in. */
const answerOf = (host: string, port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 10_000 });
    const end = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end('open'));
    socket.once('timeout', () => end('silent'));
    socket.once('error', (error) => end('code' in error ? String(error.code) : error.message));
  });

interface Scene {
  readonly here: TestPlane;
  readonly lab: Lab;
  readonly workload: WorkloadPlane;
  readonly wish: ClusterWish;
  readonly digests: readonly string[];
}

describe('from kubectl apply to clean servers', { ...ground, timeout: 60 * minute }, () => {
  let scene: Scene;
  const ends: (() => Promise<unknown> | void)[] = [];
  const since = { start: 0 };
  const note = (what: string): void => console.log(`${((Date.now() - since.start) / 1000).toFixed(0).padStart(5)} s  ${what}`);

  before(async () => {
    since.start = Date.now();
    scene = await setUp(ends);
    note('the rack, both API servers and the controllers are up');
  }, settled);
  after(async () => {
    for (const end of ends.toReversed()) await end();
  }, settled);

  const machine = async (prefix: string): Promise<unknown> =>
    items(await scene.here.door.get(`/apis/cluster.x-k8s.io/v1beta2/namespaces/${scene.wish.namespace}/machines`)).find(
      (one) => textField(one, 'metadata', 'name')?.startsWith(prefix) === true && field(one, 'metadata', 'deletionTimestamp') === undefined,
    );
  const infra = async (of: string, plural = 'baremetalmachines'): Promise<unknown> =>
    scene.here.door.get(`/apis/infrastructure.cluster.x-k8s.io/v1beta2/namespaces/${scene.wish.namespace}/${plural}/${of}`);
  const provisioned = async (prefix: string): Promise<string | undefined> => {
    const of = textField(await machine(prefix), 'metadata', 'name');
    const found = of === undefined ? undefined : await infra(of);
    return field(found, 'status', 'initialization', 'provisioned') === true ? textField(found, 'spec', 'providerID') : undefined;
  };
  const runs = async (prefix: string): Promise<string | undefined> => {
    const found = await machine(prefix);
    return textField(found, 'status', 'phase') === 'Running' ? textField(found, 'status', 'nodeRef', 'name') : undefined;
  };
  const readiness = async (node: string): Promise<string | undefined> => {
    const conditions = field(await scene.workload.door.get(`/api/v1/nodes/${node}`), 'status', 'conditions');
    return Array.isArray(conditions)
      ? textField(
          conditions.find((one) => textField(one, 'type') === 'Ready'),
          'status',
        )
      : undefined;
  };
  /** With what the host and its console say, where it does not come. */
  const comes = async <T>(what: string, seen: () => Promise<T | undefined | false>, withinMs = 10 * minute): Promise<T> => {
    try {
      const value = await eventually(what, seen, withinMs);
      note(what);
      return value;
    } catch (error) {
      const machines = JSON.stringify([await machine(`${name}-cp`), await machine(`${name}-md`)], undefined, 1);
      throw new Error(`${String(error)}\n${await scene.lab.story(workerHost)}\n${machines}`, { cause: error });
    }
  };

  test('applied: the servers are claimed and installed, and the worker is a Node', settled, async () => {
    const { here, workload, wish, lab, digests } = scene;
    await here.apply(...clusterObjects(wish));
    const providerId = await comes('the control plane\u2019s server is provisioned', () => provisioned(`${name}-cp`));
    await workload.nodes.put({ name: 'cp-0', providerId, isControlPlane: true });
    assert.equal(await comes('the control plane\u2019s Machine is Running', () => runs(`${name}-cp`)), 'cp-0');
    const workerId = await comes('the worker\u2019s server is provisioned', () => provisioned(`${name}-md`));
    const node = await comes('the worker\u2019s Machine is Running', () => runs(`${name}-md`));
    await comes('the worker\u2019s Node is Ready', async () => (await readiness(node)) === 'True');
    const found = await workload.door.get(`/api/v1/nodes/${node}`);
    assert.equal(textField(found, 'spec', 'providerID'), workerId);
    assert.equal(textField(found, 'status', 'nodeInfo', 'kubeletVersion'), version);
    assert.match(textField(found, 'status', 'nodeInfo', 'containerRuntimeVersion') ?? '', /^containerd:/);
    const host = await lab.host(workerHost);
    assert.equal(host.facts.installed?.digest, digests[0]);
    const address = addressOf(await machine(`${name}-md`));
    assert.deepEqual(await Promise.all([22, 5355, 10_250].map((port) => answerOf(address, port))), [
      'ECONNREFUSED',
      'ECONNREFUSED',
      'open',
    ]);
    // What lets a host in stands in no timeline.
    assert.doesNotMatch(JSON.stringify(await lab.timeline(workerHost)), /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/);
  });

  test('another image: the same server is written anew and joins again, as another Machine', settled, async () => {
    const { here, wish, lab, digests } = scene;
    const old = textField(await machine(`${name}-md`), 'metadata', 'name');
    const second = { ...wish, worker: { ...wish.worker, image: 'kubernetes-second' } };
    await here.apply(workerTemplate(second, 2));
    const path = `/apis/cluster.x-k8s.io/v1beta2/namespaces/${wish.namespace}/machinedeployments/${name}-md`;
    const patch = { spec: { template: { spec: { infrastructureRef: { name: `${name}-md-2` } } } } };
    assert.equal((await here.door.call('PATCH', path, patch, 'application/merge-patch+json')).status, 200);
    const node = await comes('the new Machine is Running', async () => {
      const now = textField(await machine(`${name}-md`), 'metadata', 'name');
      return now !== old && (await runs(`${name}-md`));
    });
    await comes('its Node is Ready', async () => (await readiness(node)) === 'True');
    const host = await lab.host(workerHost);
    assert.deepEqual([host.facts.installed?.digest, host.facts.installCount], [digests[1], 2]);
  });

  test('killed: the server is rebooted, and its Machine is what it was', settled, async () => {
    const { lab } = scene;
    const old = textField(await machine(`${name}-md`), 'metadata', 'name') ?? '';
    const node = (await runs(`${name}-md`)) ?? '';
    const { pid } = JSON.parse(readFileSync(`${lab.place.folder}/${workerHost}/pid.json`, 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await comes('the Node is not heard any more', async () => (await readiness(node)) === 'Unknown');
    await comes('the Node is Ready again', async () => (await readiness(node)) === 'True');
    await comes('nothing is left of the remediation', async () => (await infra(old, 'baremetalremediations')) === undefined);
    assert.equal(textField(await machine(`${name}-md`), 'metadata', 'name'), old);
    assert.equal((await lab.host(workerHost)).facts.installCount, 2);
  });

  test('deleted: every server is clean and available', settled, async () => {
    const { here, wish, lab } = scene;
    const path = `/apis/cluster.x-k8s.io/v1beta2/namespaces/${wish.namespace}/clusters/${name}`;
    assert.equal((await here.door.call('DELETE', path)).status, 200);
    await comes('the Cluster is gone', async () => (await here.door.get(path)) === undefined);
    for (const host of [controlHost, workerHost]) {
      await comes(`${host} is available`, async () => (await lab.host(host)).state === 'available');
      assert.equal((await lab.host(host)).claim, null);
      assert.ok(lab.isZero(lab.disk(host)), `${host}'s disk is not clean`);
    }
  });
});

/** Raises everything; what ends it is put into `ends`, to be called in reverse. */
async function setUp(ends: (() => Promise<unknown> | void)[]): Promise<Scene> {
  const here = plane();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a suite's own ends, where a test's are asked for
  const t = { after: (end: () => Promise<unknown>) => void ends.push(end) } as unknown as TestContext;
  const [tiny, first] = [images.tiny(), images.kubernetes()];
  const lab = await Lab.up({ name: rackName, firmware: ['bios', 'bios'], memoryMiB: 640, diskMiB: 2048 });
  ends.push(() => lab.down());
  const second = otherEdition(first, `${lab.place.folder}/second.raw`);
  const digests = [`sha256:${await sha256(first)}`, `sha256:${await sha256(second)}`];
  assert.notEqual(digests[0], digests[1]);
  for (const [image, called] of [
    [tiny, 'tiny'],
    [first, `kubernetes-${version}`],
    [second, 'kubernetes-second'],
  ] as const)
    await lab.crew.admin.importImage(image, called);
  rmSync(second);
  await lab.enrol();
  const cable: Cable = await plugIn(lab.lab, rackNet(rackName, { taps: 2 }));
  ends.push(() => cable.unplug());

  const namespace = await here.newNamespace(t);
  await here.apply(...providerObjects());
  const workload = await here.workload(t, { namespace, name, address: cable.address, nodeGraceSeconds: 20 });

  const life = new AbortController();
  const until = new AbortController();
  const world = realWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });
  const wish = {
    rack: { socket: lab.place.socket },
    kubeconfig: here.kubeconfig,
    pools: { '*': ['default'] },
    reuseSeconds: 3600,
    logLevel: 'warn',
  };
  const controller = runController(world, wish, { version: '0.0.0', until: until.signal });
  ends.push(async () => {
    until.abort();
    await controller;
    life.abort(new DOMException('the tests are over', 'AbortError'));
  });
  for (const host of [controlHost, workerHost]) await lab.until(host, 'inspected', ({ state }) => state === 'available');
  return {
    here,
    lab,
    workload,
    digests,
    wish: {
      namespace,
      name,
      version,
      endpoint: workload.endpoint,
      controlPlane: { host: controlHost, image: 'tiny' },
      worker: { host: workerHost, image: `kubernetes-${version}` },
    },
  };
}
