/** UpdateMachine: one machine, many calls; at most one reprovision for a desired state, whatever breaks between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { kinds } from '../../../src/kube/objects.ts';
import type { Key, Kind, KubeObject } from '../../../src/kube/objects.ts';
import type { Tools } from '../../../src/kube/controller.ts';
import { updateReconcilers } from '../../../src/kube/update/reconcile.ts';
import type { Progress } from '../../../src/kube/update/reimage.ts';
import { updateMachine } from '../../../src/kube/update/update-machine.ts';
import type { Request } from '../fake-api.ts';
import { aLab, digests, imageOf, joinData, machineKey } from './lab.ts';
import type { Lab } from './lab.ts';

const step = async (lab: Lab): Promise<Progress> => await updateMachine(lab.parts, machineKey);
const steps = async (lab: Lab, count: number): Promise<Progress> => {
  let last = await step(lab);
  // oxlint-disable-next-line no-await-in-loop -- one call after the other
  for (let done = 1; done < count; done++) last = await step(lab);
  return last;
};
const annotations = (lab: Lab, kind: Kind = kinds.machine) => lab.api.peek(kind, machineKey)?.metadata.annotations ?? {};
const skip = 'cluster.x-k8s.io/skip-remediation';
const record = 'baremetal.infrastructure.cluster.x-k8s.io/reimage';
const tokens = (lab: Lab) => lab.workloadApi.all(kinds.secret).filter(({ type }) => type === 'bootstrap.kubernetes.io/token');
const evictions = (lab: Lab) => lab.workloadApi.requests.filter(({ subresource }) => subresource === 'eviction');
const isCordoned = (node: KubeObject | undefined): boolean =>
  (node?.spec as { readonly unschedulable?: boolean } | undefined)?.unschedulable === true;
const pod = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', ...more },
  spec: { nodeName: 'w1' },
  status: { phase: 'Running' },
});

test('from the first call to the last: remediation off, cordon, drain, one new image with a fresh token, Node again, all tidied up', async () => {
  const lab = aLab();
  lab.workloadApi.seed(kinds.pod, pod('web'));
  assert.match((await step(lab)).message, /is to be written with image kubernetes-v1\.35\.0/);
  assert.equal(annotations(lab)[skip], 'remuda-in-place-update');
  assert.ok(annotations(lab, kinds.bareMetalMachine)[record]);
  assert.equal((await step(lab)).message, 'draining Node w1: 1 pods are going');
  assert.equal(isCordoned(lab.node()), true);
  assert.equal(lab.metal.told.length, 0);
  assert.match((await step(lab)).message, /is told to write/);
  assert.equal(lab.metal.told.length, 1);
  const [told] = lab.metal.told;
  const [secret] = tokens(lab);
  const plain = (name: string) => Buffer.from(secret?.data?.[name] ?? '', 'base64').toString();
  const token = `${plain('token-id')}.${plain('token-secret')}`;
  assert.match(token, /^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  assert.equal(told?.image, digests['kubernetes-v1.35.0']);
  assert.equal(told?.userData, joinData(token));
  assert.equal(plain('auth-extra-groups'), 'system:bootstrappers:kubeadm:default-node-token');
  assert.equal(plain('expiration'), '2026-11-21T02:00:00Z');
  assert.match((await step(lab)).message, /is being provisioned/);
  assert.ok(lab.node(), 'while the old system runs its Node stays');
  lab.install();
  await step(lab);
  assert.equal(lab.node(), undefined);
  await lab.join('v1.35.0', 'False');
  assert.deepEqual(await step(lab), { is: 'going', message: 'waiting for Node w1 to be Ready' });
  await lab.join('v1.35.0');
  assert.equal((await step(lab)).is, 'done');
  assert.equal(annotations(lab)[skip], undefined);
  assert.equal(annotations(lab, kinds.bareMetalMachine)[record], undefined);
  assert.deepEqual(tokens(lab), []);
  // The answer was lost, and the Node is NotReady for a moment: asked again, nothing is done again.
  await lab.join('v1.35.0', 'Unknown');
  assert.equal((await step(lab)).is, 'going');
  assert.equal(lab.metal.told.length, 1);
});
test('a Node that came back before the old one could be deleted stays, and is uncordoned', async () => {
  const lab = aLab();
  await steps(lab, 2);
  const old = lab.node();
  const uid = old?.metadata.uid;
  assert.equal(isCordoned(old), true);
  await lab.join('v1.35.0');
  assert.equal((await step(lab)).is, 'done');
  assert.equal(lab.node()?.metadata.uid, uid);
  assert.equal(isCordoned(lab.node()), false);
});
test('a drain that a budget stops waits, and not longer than nodeDrainTimeoutSeconds', async () => {
  const lab = aLab({ drainTimeoutSeconds: 60 });
  lab.workloadApi.seed(kinds.pod, pod('db'));
  const { KubeError } = await import('../../../src/kube/api.ts');
  lab.workloadApi.fault = ({ subresource }: Request) =>
    subresource === 'eviction' ? { fail: new KubeError('budget', { status: 429, reason: 'TooManyRequests' }) } : undefined;
  const said = await steps(lab, 3);
  assert.equal(said.message, 'draining Node w1: 0 pods are going; kept by their disruption budgets: default/db');
  assert.equal(lab.metal.told.length, 0);
  assert.equal(evictions(lab).length, 2);
  lab.clock.pass(60_000);
  await step(lab);
  assert.equal(lab.metal.told.length, 1);
});
test('nothing is touched while paused, deleted, moved, not marked, or of a control plane', async () => {
  const cases: readonly [string, (lab: Lab) => void, RegExp, Progress['is']][] = [
    ['cluster paused', (lab) => seedSpec(lab, 'cluster', { paused: true }), /Cluster ns\/c1 is paused/, 'going'],
    ['machine paused', (lab) => seedMeta(lab, 'machine', { 'cluster.x-k8s.io/paused': '' }), /Machine ns\/w1 is paused/, 'going'],
    ['moved', (lab) => seedMeta(lab, 'bareMetalMachine', { 'clusterctl.cluster.x-k8s.io/delete-for-move': '' }), /is being moved/, 'going'],
    ['not marked', (lab) => seedMeta(lab, 'machine', {}, true), /not marked for an in-place update/, 'failed'],
  ];
  for (const [name, change, says, is] of cases) {
    const lab = aLab();
    change(lab);
    // oxlint-disable-next-line no-await-in-loop -- one case after the other
    const said = await steps(lab, 3);
    assert.match(said.message, says, name);
    assert.equal(said.is, is, name);
    assert.equal(lab.api.writes + lab.workloadApi.writes + lab.metal.told.length, 0, name);
  }
  const plane = aLab({ labels: { 'cluster.x-k8s.io/control-plane': '' } });
  const said = await steps(plane, 3);
  assert.equal(said.is, 'failed');
  assert.match(said.message, /control plane/);
  assert.equal(plane.api.writes + plane.metal.told.length, 0);
});
const seedSpec = (lab: Lab, which: 'cluster', spec: object): void => {
  const known = lab.api.peek(kinds[which], 'ns/c1')!;
  lab.api.seed(kinds[which], { ...known, spec: { ...(known.spec as object), ...spec } });
};
const seedMeta = (lab: Lab, which: 'machine' | 'bareMetalMachine', more: Readonly<Record<string, string>>, only = false): void => {
  const known = lab.api.peek(kinds[which], machineKey)!;
  const annotationsNow = only ? more : { ...known.metadata.annotations, ...more };
  lab.api.seed(kinds[which], { ...known, metadata: { ...known.metadata, annotations: annotationsNow } });
};
test('what cannot work is said before any pod goes', async () => {
  const missing = aLab({ image: 'kubernetes-v9.9.9' });
  assert.match((await steps(missing, 2)).message, /not in the catalogue/);
  const foreign = aLab();
  foreign.api.seed(kinds.secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'w1-boot', namespace: 'ns' },
    data: { value: Buffer.from('#cloud-config\nruncmd: [true]\n').toString('base64') },
  });
  await assert.rejects(steps(foreign, 2), /put a fresh join token into the bootstrap data/);
  const other = aLab();
  other.metal.change({ claim: { ...other.metal.host.claim, owner: 'ns/other' } });
  assert.match((await steps(other, 3)).message, /belongs to ns\/other/);
  for (const lab of [missing, foreign, other]) {
    assert.equal(lab.metal.told.length, 0);
    assert.equal(isCordoned(lab.node()), false);
  }
});
test('a kubelet of another version than asked for is a failure that names both', async () => {
  const lab = aLab();
  await steps(lab, 3);
  await lab.join('v1.34.9');
  const said = await step(lab);
  assert.equal(said.is, 'failed');
  assert.match(said.message, /runs kubelet v1\.34\.9 .* version is v1\.35\.0/);
});
test("a user's own skip-remediation stays", async () => {
  const lab = aLab();
  seedMeta(lab, 'machine', { [skip]: 'mine' });
  await steps(lab, 3);
  await lab.join('v1.35.0');
  assert.equal((await step(lab)).is, 'done');
  assert.equal(annotations(lab)[skip], 'mine');
});
test('a name that is moved to another image in between is another desired state: one more reprovision, no two of the same', async () => {
  const lab = aLab({ image: 'worker', version: 'v1.34.4' });
  const first = `sha256:${'d'.repeat(64)}`;
  lab.metal.catalogue = [imageOf('worker', first)];
  await steps(lab, 4);
  lab.metal.catalogue = [imageOf('worker')];
  await steps(lab, 4);
  assert.deepEqual(
    lab.metal.told.map(({ image }) => image),
    [first, imageOf('worker').digest],
  );
});

/** One life of an update in which single requests fail, before or after they were done. */
const lifeWith = async (faults: ReadonlyMap<number, 'fail' | 'failAfter'>): Promise<Lab> => {
  const lab = aLab();
  lab.workloadApi.seed(kinds.pod, pod('web'));
  let count = 0;
  const crash = new Error('crashed');
  const fault = (): { fail: Error } | { failAfter: Error } | undefined => {
    const how = faults.get(count++);
    return how === 'fail' ? { fail: crash } : how === 'failAfter' ? { failAfter: crash } : undefined;
  };
  lab.api.fault = fault;
  lab.workloadApi.fault = fault;
  lab.metal.crash = (when) => {
    const how = faults.get(count);
    if ((when === 'before' && how === 'fail') || (when === 'after' && how === 'failAfter')) {
      count++;
      throw crash;
    }
    if (when === 'after') count++;
  };
  for (let call = 0; call < 60; call++) {
    if (lab.metal.told.length > 0 && call % 3 === 0 && lab.metal.host.state === 'provisioning') {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (lab.node() === undefined || lab.metal.host.facts.power === 'off') await lab.join('v1.35.0');
      else lab.install();
    }
    // oxlint-disable-next-line no-await-in-loop -- one call after the other
    const said = await step(lab).catch((error: unknown) => error);
    if (said !== crash && !(said instanceof Error) && (said as Progress).is === 'done') break;
    lab.clock.pass(15_000);
  }
  return lab;
};
test('crashed anywhere, before or after any request: it ends, tidied up, with exactly one reprovision', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 90 }), fc.constantFrom('fail' as const, 'failAfter' as const)), { maxLength: 12 }),
      async (faults) => {
        const lab = await lifeWith(new Map(faults));
        assert.equal(lab.metal.told.length, 1);
        assert.deepEqual(tokens(lab), []);
        assert.equal(annotations(lab)[skip], undefined);
        assert.equal(annotations(lab, kinds.bareMetalMachine)[record], undefined);
      },
    ),
    { numRuns: 200 },
  );
});
test('two controllers at once start one generation', async () => {
  const lab = aLab();
  await step(lab);
  await Promise.allSettled([step(lab), step(lab), step(lab)]);
  await Promise.allSettled([step(lab), step(lab)]);
  assert.equal(lab.metal.told.length, 1);
  assert.equal(tokens(lab).length, 1);
});

test('an update that is called off leaves nothing behind, and an unfinished image is waited for', async () => {
  for (const stepsBefore of [2, 4]) {
    const lab = aLab();
    if (stepsBefore === 2) lab.workloadApi.seed(kinds.pod, pod('web'));
    // oxlint-disable-next-line no-await-in-loop -- one case after the other
    await steps(lab, stepsBefore);
    const machine = lab.api.peek(kinds.machine, machineKey);
    const infra = lab.api.peek(kinds.bareMetalMachine, machineKey);
    assert.ok(machine !== undefined && infra !== undefined);
    const owner = { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'Machine', name: 'w1', uid: machine.metadata.uid ?? '' };
    const mark = 'in-place-updates.internal.cluster.x-k8s.io/update-in-progress';
    const unmarked = ({ metadata }: KubeObject) => ({
      ...metadata,
      annotations: Object.fromEntries(Object.entries(metadata.annotations ?? {}).filter(([name]) => name !== mark)),
    });
    const tools = { ...lab.parts, cache: { get: (kind: Kind, key: Key) => lab.api.peek(kind, key) } } as unknown as Tools;
    const [reconciler] = updateReconcilers(tools, { workload: lab.parts.workload });
    const look = async () => await reconciler?.reconcile(machineKey, new AbortController().signal);
    lab.api.seed(kinds.bareMetalMachine, { ...infra, metadata: { ...infra.metadata, ownerReferences: [owner] } });
    // oxlint-disable-next-line no-await-in-loop -- one case after the other
    assert.deepEqual(await look(), {});
    assert.equal(annotations(lab)[skip], 'remuda-in-place-update', 'still wanted');
    lab.api.seed(kinds.machine, { ...machine, metadata: unmarked(machine) });
    lab.api.seed(kinds.bareMetalMachine, { ...infra, metadata: { ...unmarked(infra), ownerReferences: [owner] } });
    if (stepsBefore === 4) {
      // oxlint-disable-next-line no-await-in-loop -- one case after the other
      assert.deepEqual(await look(), { requeueAfterMs: 15_000 });
      assert.equal(tokens(lab).length, 1);
      // oxlint-disable-next-line no-await-in-loop -- one case after the other
      await lab.join('v1.35.0');
    }
    // oxlint-disable-next-line no-await-in-loop -- one case after the other
    assert.deepEqual(await look(), {});
    assert.equal(isCordoned(lab.node()), false);
    assert.equal(annotations(lab)[skip], undefined);
    assert.equal(annotations(lab, kinds.bareMetalMachine)[record], undefined);
    assert.deepEqual(tokens(lab), []);
    assert.equal(lab.metal.told.length, stepsBefore === 2 ? 0 : 1);
  }
});
