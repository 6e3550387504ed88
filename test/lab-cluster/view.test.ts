/** What is seen of a cluster that comes up, what of it is news, and when what was reached. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostJson } from '../../src/api/types.ts';
import { reached } from '../../src/lab/cluster/milestones.ts';
import { clusterSummary, complaint, machineBar, newsLine, waitLine } from '../../src/lab/cluster/show.ts';
import { changes, isUp, nothingSeen, viewOf } from '../../src/lab/cluster/view.ts';
import type { ClusterView, MachineView } from '../../src/lab/cluster/view.ts';

const condition = (type: string, status: string, message = ''): object => ({ type, status, message });
const machine = (name: string, labels: object, status: object): object => ({
  metadata: { name, labels },
  spec: { infrastructureRef: { name: `${name}-infra` } },
  status,
});
const controlPlaneLabel = { 'cluster.x-k8s.io/control-plane': '' };
const seen = {
  cluster: { status: { conditions: [condition('Available', 'False', 'workers are missing')] } },
  controlPlane: { status: { initialization: { controlPlaneInitialized: true }, conditions: [condition('Available', 'True')] } },
  machines: {
    items: [
      machine('cp', controlPlaneLabel, { phase: 'Running', nodeRef: { name: 'cp' }, conditions: [condition('NodeReady', 'True')] }),
      machine('w', {}, { phase: 'Provisioning', conditions: [condition('NodeReady', 'Unknown'), condition('Ready', 'False', 'waits')] }),
      machine('late', {}, {}),
    ],
  },
  infra: {
    items: [
      { metadata: { name: 'w-infra' }, status: { host: { name: 'h2' }, conditions: [condition('Ready', 'False', 'writes the image')] } },
      { metadata: { name: 'cp-infra' }, status: { host: { name: 'h1' } } },
    ],
  },
};
const view = viewOf(seen);

test('the view: machines by their hosts, the most telling reason, and nothing invented', () => {
  const [cp, worker, late] = view.machines;
  assert.deepEqual(cp, { name: 'cp', host: 'h1', isControlPlane: true, phase: 'Running', node: 'cp', nodeReady: true, why: '' });
  assert.deepEqual([worker?.host, worker?.nodeReady, worker?.why], ['h2', false, 'writes the image']);
  assert.deepEqual([late?.host, late?.phase, late?.node], [undefined, 'Pending', undefined]);
  assert.deepEqual([view.initialized, view.controlPlaneAvailable, view.available], [true, true, false]);
  assert.deepEqual(viewOf({ cluster: undefined, controlPlane: undefined, machines: undefined, infra: undefined }), nothingSeen);
});

test('news: what is otherwise than at the last look, once', () => {
  const texts = (before: ClusterView, now: ClusterView): readonly string[] => changes(before, now).map(({ text }) => text);
  assert.deepEqual(texts(nothingSeen, view), [
    'Machine cp: Running',
    'Machine cp is the Node cp',
    'Node cp is Ready',
    'Machine w: Provisioning',
    'Machine late: Pending',
    'the control plane is initialized',
    'the control plane is available',
  ]);
  assert.deepEqual(texts(view, view), []);
  const lost = { ...view, machines: view.machines.map((one) => ({ ...one, nodeReady: false })) };
  assert.deepEqual(texts(view, lost), ['Node cp is not Ready any more']);
  assert.equal(newsLine({ host: 'h1', text: 'Node cp is Ready' }, 62_100), '   62.1 s  h1   Node cp is Ready');
});

test('up: every machine that was asked for is Running with a Ready Node, and the Cluster says Available', () => {
  const ready: MachineView = { name: 'm', host: 'h1', isControlPlane: false, phase: 'Running', node: 'm', nodeReady: true, why: '' };
  const whole = { ...view, available: true, machines: [ready, { ...ready, name: 'n' }] };
  assert.ok(isUp(whole, 2));
  assert.ok(!isUp(whole, 3));
  assert.ok(!isUp({ ...whole, available: false }, 2));
  assert.ok(!isUp({ ...whole, machines: [ready, { ...ready, nodeReady: false }] }, 2));
  assert.ok(!isUp({ ...whole, machines: [ready, { ...ready, phase: 'Deleting' }] }, 2));
});

const host = (name: string, claimedAt: number | undefined, writtenAt: number | undefined): HostJson =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what milestones read of a host
  ({
    name,
    failed: null,
    claim: claimedAt === undefined ? null : { id: name, createdAt: claimedAt },
    facts: { installed: writtenAt === undefined ? null : { claimId: name, at: writtenAt } },
  }) as HostJson;

test('milestones: the daemon knows since when, of several workers the last one counts, and one that has no host yet is missing', () => {
  const workers = { ...view, machines: view.machines.filter(({ name }) => name !== 'late') };
  const found = reached(workers, [host('h1', 10, 20), host('h2', 30, undefined)], 99);
  assert.deepEqual(Object.fromEntries(found), {
    controlPlaneClaimed: 10,
    controlPlaneWritten: 20,
    controlPlaneInitialized: 99,
    controlPlaneReady: 99,
    controlPlaneAvailable: 99,
    workersClaimed: 30,
  });
  assert.equal(reached(view, [host('h1', 10, 20), host('h2', 30, 40)], 99).get('workersWritten'), undefined);
  // What an earlier claim wrote is not this one's.
  const before = host('h1', 10, 20);
  assert.equal(
    reached(view, [{ ...before, claim: before.claim && { ...before.claim, id: 'another' } }], 99).get('controlPlaneWritten'),
    undefined,
  );
});

test('what people read: a bar below each host, the times, and what is missing where it is not up', () => {
  assert.equal(machineBar('h1', view, undefined).trim(), 'Machine cp: Running, Node Ready');
  assert.equal(machineBar('h2', view, undefined).trim(), 'Machine w: Provisioning, no Node');
  assert.equal(machineBar('h3', view, undefined).trim(), 'no Machine');
  const memory = { daemon: 100, management: 800, hosts: { h1: 2000, h2: 700 } };
  const text = clusterSummary({ controlPlaneReady: 154.8 }, 300, memory);
  assert.match(text, /154\.8 s {2}the control plane's Node is Ready\ntotal 300\.0 s\n/);
  assert.match(text, /h1 2000 MiB, h2 700 MiB, together 3600 MiB/);
  assert.equal(
    waitLine({ controlPlaneClaimed: 3, controlPlaneWritten: 25 }, 360_000),
    '  360.0 s  *    waits until kubeadm init has succeeded',
  );
  const failed = { reason: 'the OS said:\nnode 7\n[preflight] x\nerror execution phase preflight: refused\nTo see the stack', at: 0 };
  assert.match(complaint(view, [{ name: 'h2', failed } as HostJson]), /^ {2}h2 failed: error execution phase preflight: refused$/m);
  assert.match(
    complaint(view, []),
    /Machine w: Provisioning: writes the image\n {2}Machine late: Pending\n {2}Cluster: workers are missing/,
  );
});
