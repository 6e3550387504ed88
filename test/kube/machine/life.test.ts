/** Lives of machines under the real runtime: from nothing to a node's provider ID, what stands in the way, and back to a clean host. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { capi, finalizers, ours } from '../../../src/kube/names.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { limits } from '../../../src/limits.ts';
import { Bench, objectOf, userData } from './bench.ts';

const kind = kinds.bareMetalMachine;
const spec = (bench: Bench, key: `${string}/${string}`) =>
  bench.look(key).spec as { readonly claimID?: string; readonly providerID?: string };
const status = (bench: Bench, key: `${string}/${string}`) => bench.look(key).status as Record<string, unknown>;

describe('a machine', () => {
  test('lives from its object to a clean host in few writes, and its secret stays nowhere', async () => {
    const bench = new Bench();
    bench.metal.add('h1', {}, { failureDomain: 'fd-a' });
    bench.cluster();
    const key = bench.machine('m1', { nodeReuse: 'Prefer', provisionTimeoutSeconds: 600 });
    const { uid } = bench.look(key).metadata;
    const started = bench.start();
    await bench.world.advance(2_000);
    assert.equal(spec(bench, key).claimID, `capi-${uid}`);
    assert.equal(bench.word(key), 'False Provisioning');
    assert.equal(bench.said(key, 'Ready').message, 'host h1: waiting for the first packet');
    assert.equal(bench.word(key, 'HostClaimed'), 'True Claimed');
    assert.equal(bench.word(key, 'Paused'), 'False NotPaused');
    assert.ok(bench.look(key).metadata.annotations?.[capi.blockMove] !== undefined, 'a move waits');
    const claim = bench.metal.of('h1').claim;
    assert.equal(claim?.owner, 'ns/m1');
    assert.equal(claim?.intent.userData, userData);
    assert.equal(claim?.intent.hostName, 'm1');
    for (const doing of ['waiting for the agent', 'the agent works', 'waiting for the OS to phone home']) {
      bench.metal.doing = doing;
      for (let tick = 0; tick < 20; tick++) {
        bench.metal.apply('h1', { type: 'power-seen', power: tick % 2 === 0 ? 'on' : 'unknown' });
        await bench.world.advance(500);
      }
    }
    bench.metal.doing = 'runs its image';
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    assert.equal(bench.word(key), 'True Ready');
    assert.equal(spec(bench, key).providerID, `remuda://capi-${uid}`);
    const { metadata } = bench.look(key);
    assert.equal(metadata.annotations?.[capi.blockMove], undefined);
    assert.equal(metadata.annotations?.[ours.host], 'h1');
    assert.deepEqual(metadata.finalizers, [finalizers.machine]);
    assert.deepEqual(status(bench, key)['initialization'], { provisioned: true });
    assert.deepEqual(status(bench, key)['addresses'], [
      { type: 'Hostname', address: 'm1' },
      { type: 'InternalIP', address: '10.0.2.1' },
    ]);
    assert.equal(status(bench, key)['failureDomain'], 'fd-a');
    assert.deepEqual(bench.api.ownersOf(kind, key, ['spec', 'providerID']), ['remuda']);
    await bench.api.delete(kind, key);
    await bench.world.advance(2_000);
    assert.equal(bench.word(key, 'HostReleased'), 'False PoweringOff');
    assert.equal(bench.metal.of('h1').reservation?.for, 'ns/MachineDeployment/md-0');
    bench.metal.off('h1');
    await bench.world.advance(2_000);
    assert.equal(bench.api.peek(kind, key), undefined);
    bench.metal.clean('h1');
    assert.deepEqual(
      bench.metal.calls.map(({ verb }) => verb),
      ['claim', 'release'],
    );
    const writes = bench.writesTo(kind, key).length + bench.api.count('create', kinds.event);
    assert.ok(writes <= 25, `${writes} writes in one life`);
    const told = JSON.stringify([bench.api.requests, bench.world.logged]);
    assert.ok(!told.includes('hush') && !told.includes('abcdef.0123456789abcdef'), 'the user data stand in no request and no log');
    await started.stop();
  });

  test('waits in the order of the contract: cluster, bootstrap data, host', async () => {
    const bench = new Bench();
    bench.cluster('c1', { isReady: false });
    const key = bench.machine('m1', {}, { hasSecret: false });
    const started = bench.start();
    await bench.world.advance(2_000);
    assert.equal(bench.word(key), 'False WaitingForClusterInfrastructure');
    await bench.api.patch(
      kinds.cluster,
      'ns/c1',
      { status: { initialization: { infrastructureProvisioned: true } } },
      { fieldManager: 'capi', subresource: 'status' },
    );
    await bench.world.advance(2_000);
    assert.equal(bench.word(key), 'False WaitingForBootstrapData');
    await bench.change(kinds.machine, 'ns/m1', { spec: { bootstrap: { dataSecretName: 'late' } } });
    // The reason is the same: its words may wait a little.
    await bench.world.advance(limits.kubeQuietMs + 2_000);
    assert.equal(bench.said(key, 'Ready').message, 'Secret late is not there yet');
    assert.equal(spec(bench, key).claimID, undefined);
    bench.api.seed(kinds.secret, objectOf(kinds.secret, 'late', { data: { value: Buffer.from('x').toString('base64') } }));
    await bench.world.advance(limits.kubeLookAgainMs + 2_000);
    assert.equal(bench.word(key, 'HostClaimed'), 'False NoHostFits');
    assert.match(bench.said(key, 'Ready').message, /there is no host in this rack/);
    bench.metal.add('h1', { memoryBytes: 1 });
    await bench.world.advance(3_000);
    assert.equal(bench.word(key), 'False Provisioning', 'a host that comes wakes those that wait');
    await started.stop();
  });

  test('the rack is full: how many hosts were looked at, and why', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.metal.add('h2', {}, { pool: 'other' });
    bench.cluster();
    const [first, second] = [bench.machine('m1'), bench.machine('m2')];
    const started = bench.start();
    await bench.world.advance(3_000);
    const waits = [first, second].find((key) => bench.word(key) === 'False NoHostFits');
    assert.ok(waits !== undefined);
    assert.match(bench.said(waits, 'HostClaimed').message, /2 hosts looked at, none fits: 1 in another pool.*1 held by other claims/);
    await started.stop();
  });

  for (const { name, part, settings, reason, message } of [
    {
      name: 'a pool of others',
      part: { hostSelector: { pools: ['gold'] } },
      settings: {},
      reason: 'PoolNotAllowed',
      message: /namespace ns may claim hosts of default, not of gold/,
    },
    { name: 'no pool at all', part: {}, settings: { pools: { other: ['default'] } }, reason: 'PoolNotAllowed', message: /no pool/ },
    { name: 'an image that is not there', part: { image: 'missing' }, settings: {}, reason: 'ImageNotFound', message: /no image missing/ },
    { name: 'no quantity', part: { hostSelector: { memory: '0' } }, settings: {}, reason: 'InvalidSpec', message: /amount of bytes/ },
    {
      name: 'a label asked twice',
      part: { hostSelector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'a', operator: 'Exists' as const }] } },
      settings: {},
      reason: 'InvalidSpec',
      message: /asked for twice/,
    },
    { name: 'no host name', part: { hostName: 'Not A Name' }, settings: {}, reason: 'InvalidSpec', message: /hostName/ },
  ])
    test(`asks for ${name}: ${reason}`, async () => {
      const bench = new Bench(settings);
      bench.metal.add('h1', {}, { pool: 'gold' });
      bench.cluster();
      const key = bench.machine('m1', part);
      const started = bench.start();
      await bench.world.advance(3_000);
      assert.equal(bench.word(key), `False ${reason}`);
      assert.match(bench.said(key, 'HostClaimed').message, message);
      await started.stop();
    });
  for (const phoneHome of ['cloud-init', 'image'] as const)
    test(`Ignition for an image that phones home by ${phoneHome}`, async () => {
      const bench = new Bench();
      bench.metal.add('h1');
      bench.cluster();
      const key = bench.machine('m1');
      const { image } = bench.look(key).spec as { readonly image: string };
      bench.metal.catalogue = [
        {
          name: image,
          digest: `sha256:${'a'.repeat(64)}`,
          sizeBytes: 1,
          storedBytes: 1,
          seed: null,
          firmware: ['bios'],
          phoneHome,
          importedAt: 0,
          signedBy: [],
          refused: null,
        },
      ];
      const format = Buffer.from('ignition').toString('base64');
      bench.api.seed(kinds.secret, objectOf(kinds.secret, 'm1-boot', { data: { value: 'e30=', format } }));
      const started = bench.start();
      await bench.world.advance(3_000);
      if (phoneHome === 'image') assert.equal(bench.metal.requests[0]?.userData, '{}');
      else {
        assert.equal(bench.word(key), 'False InvalidSpec');
        assert.match(bench.said(key, 'Ready').message, /Ignition, and image .* reads its seed by cloud-init/);
        assert.equal(bench.metal.calls.length, 0);
      }
      await started.stop();
    });

  test('paused before it began, nothing is touched; unpaused, it goes on', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.cluster('c1', { spec: { paused: true } });
    const key = bench.machine('m1');
    const started = bench.start();
    await bench.world.advance(5_000);
    assert.deepEqual(bench.said(key, 'Paused'), { status: 'True', reason: 'Paused', message: 'the Cluster is paused' });
    assert.equal(bench.look(key).metadata.finalizers, undefined);
    assert.equal(bench.metal.calls.length, 0);
    await bench.change(kinds.cluster, 'ns/c1', { spec: { paused: false } });
    await bench.world.advance(3_000);
    assert.equal(bench.word(key, 'Paused'), 'False NotPaused');
    assert.equal(bench.word(key, 'HostClaimed'), 'True Claimed');
    await started.stop();
  });

  test('moved to another cluster and back: one claim, one host, nothing released', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.metal.add('h2');
    bench.cluster();
    const key = bench.machine('m1');
    let started = bench.start();
    await bench.world.advance(2_000);
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    const before = bench.look(key);
    await bench.change(kinds.cluster, 'ns/c1', { spec: { paused: true } });
    await bench.world.advance(1_000);
    // As clusterctl does it: all annotations go, this one comes, then the object is deleted and its finalizers are taken away.
    await bench.change(kind, key, { metadata: { annotations: { [ours.host]: null, [capi.deleteForMove]: '' } } });
    await bench.change(kinds.cluster, 'ns/c1', { spec: { paused: false } });
    await bench.api.delete(kind, key);
    await bench.world.advance(60_000);
    assert.equal(bench.metal.of('h1').state, 'provisioned');
    await started.stop();
    bench.api.purge(kind, key);
    // The target: status is gone, the uid is another, the spec is as it was.
    const { metadata, status: _status, ...rest } = before;
    const { uid: _uid, resourceVersion: _version, generation: _generation, ...meta } = metadata;
    bench.api.seed(kind, { ...rest, metadata: meta });
    started = bench.start();
    await bench.world.advance(3_000);
    assert.equal(bench.word(key), 'True Ready');
    assert.deepEqual(status(bench, key)['initialization'], { provisioned: true });
    assert.deepEqual(
      bench.metal.calls.map(({ verb }) => verb),
      ['claim'],
    );
    await started.stop();
  });

  test('off is not verified: the condition says what to do, and only this claim can be abandoned', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.cluster();
    const key = bench.machine('m1');
    const started = bench.start();
    await bench.world.advance(2_000);
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    await bench.api.delete(kind, key);
    await bench.world.advance(limits.kubeOffVerifiedMs + 20_000);
    assert.equal(bench.word(key, 'HostReleased'), 'False OffNotVerified');
    await bench.change(kind, key, { metadata: { annotations: { [ours.abandon]: 'yes' } } });
    await bench.world.advance(20_000);
    assert.equal(bench.word(key, 'HostReleased'), 'False OffNotVerified');
    await bench.change(kind, key, { metadata: { annotations: { [ours.abandon]: spec(bench, key).claimID } } });
    await bench.world.advance(2_000);
    assert.equal(bench.api.peek(kind, key), undefined);
    const events = bench.api.all(kinds.event).map((event) => (event as unknown as { readonly reason: string }).reason);
    assert.ok(events.includes('Abandoned') && events.includes('OffNotVerified'), events.join());
    await started.stop();
  });

  test('released behind its back: HostGone, and no other host is taken', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.metal.add('h2');
    bench.cluster();
    const key = bench.machine('m1');
    const started = bench.start();
    await bench.world.advance(2_000);
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    bench.metal.apply('h1', { type: 'release', claimId: spec(bench, key).claimID ?? '', by: 'eve' });
    await bench.world.advance(2_000);
    assert.equal(bench.word(key), 'False HostGone');
    bench.metal.off('h1');
    bench.metal.clean('h1');
    await bench.world.advance(limits.kubeResyncMs * 2);
    assert.equal(bench.word(key), 'False HostGone');
    assert.deepEqual(
      bench.metal.all.map(({ claim }) => claim),
      [null, null],
    );
    await started.stop();
  });

  test('a copied claim ID gives nobody the host of another, and takes it from nobody', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.cluster();
    const key = bench.machine('m1');
    const started = bench.start();
    await bench.world.advance(2_000);
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    const thief = bench.machine('m2', { claimID: spec(bench, key).claimID ?? '' });
    await bench.world.advance(2_000);
    assert.equal(bench.word(thief), 'False InvalidSpec');
    await bench.api.delete(kind, thief);
    await bench.world.advance(2_000);
    assert.equal(bench.api.peek(kind, thief), undefined);
    assert.equal(bench.metal.of('h1').state, 'provisioned');
    await started.stop();
  });

  test('the rack goes away: what runs stays ready, what waits says so, what is deleted waits', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.cluster();
    const key = bench.machine('m1');
    const started = bench.start();
    await bench.world.advance(2_000);
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    bench.metal.isAway = true;
    const late = bench.machine('m2');
    await bench.world.advance(30_000);
    assert.equal(bench.word(key), 'True Ready');
    assert.equal(bench.word(late), 'False RackUnreachable');
    await bench.api.delete(kind, key);
    await bench.world.advance(30_000);
    assert.equal(bench.word(key, 'HostReleased'), 'Unknown RackUnreachable');
    bench.metal.isAway = false;
    await bench.world.advance(30_000);
    assert.equal(bench.word(key, 'HostReleased'), 'False PoweringOff');
    await started.stop();
  });

  test('a bootstrap that fails on the host, and an in-place update, are told', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.cluster();
    const key = bench.machine('m1');
    const started = bench.start();
    await bench.world.advance(2_000);
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    await bench.change(kind, key, { metadata: { annotations: { [capi.updateInProgress]: '' } }, spec: { image: 'beta' } });
    await bench.metal.reprovision(spec(bench, key).claimID ?? '', { image: 'beta' });
    await bench.world.advance(2_000);
    assert.equal(bench.word(key), 'False InPlaceUpdate');
    assert.deepEqual(status(bench, key)['initialization'], { provisioned: true }, 'that never goes back');
    await bench.change(kind, key, { metadata: { annotations: { [capi.updateInProgress]: null } } });
    bench.metal.apply('h1', { type: 'step-failed', step: 'bootstrap', code: 'internal', reason: 'kubeadm join: connection refused' });
    await bench.world.advance(2_000);
    assert.equal(bench.word(key), 'False BootstrapFailed');
    assert.match(bench.said(key, 'Ready').message, /kubeadm join: connection refused/);
    assert.equal(bench.metal.calls.filter(({ verb }) => verb === 'reprovision').length, 1, 'we ourselves never act on a changed spec');
    await started.stop();
  });

  test('static addresses of a pool: asked for once, waited for, told to the OS', async () => {
    const bench = new Bench();
    bench.metal.add('h1');
    bench.cluster();
    const pool = { apiGroup: 'ipam.cluster.x-k8s.io', kind: 'InClusterIPPool', name: 'p' };
    const key = bench.machine('m1', { addressesFromPools: [{ interface: 'lan0', pool, nameservers: ['10.1.0.1'] }] });
    const started = bench.start();
    await bench.world.advance(3_000);
    assert.equal(bench.word(key), 'False WaitingForIPAddress');
    const claim = bench.look('ns/m1-0', kinds.ipAddressClaim);
    assert.deepEqual(claim.spec, { clusterName: 'c1', poolRef: pool });
    assert.equal(claim.metadata.ownerReferences?.[0]?.uid, bench.look(key).metadata.uid);
    bench.api.seed(kinds.ipAddress, objectOf(kinds.ipAddress, 'm1-0', { spec: { address: '10.1.0.7', prefix: 24, gateway: '10.1.0.1' } }));
    await bench.api.patch(
      kinds.ipAddressClaim,
      'ns/m1-0',
      { status: { addressRef: { name: 'm1-0' } } },
      { fieldManager: 'ipam', subresource: 'status' },
    );
    await bench.world.advance(limits.kubeLookAgainMs + 2_000);
    assert.deepEqual(bench.metal.of('h1').claim?.intent.network, {
      ethernets: [{ name: 'lan0', addresses: ['10.1.0.7/24'], gateway4: '10.1.0.1', nameservers: ['10.1.0.1'] }],
    });
    bench.metal.boot('h1');
    await bench.world.advance(2_000);
    assert.deepEqual(status(bench, key)['addresses'], [
      { type: 'Hostname', address: 'm1' },
      { type: 'InternalIP', address: '10.1.0.7' },
    ]);
    assert.equal(bench.api.count('create', kinds.ipAddressClaim), 1);
    await started.stop();
  });

  test('the failure domain of the Machine, by what the cluster tells it by', async () => {
    for (const { by, profile } of [
      { by: undefined, profile: { failureDomain: 'b' } },
      { by: 'rack', profile: { rack: 'b' } },
      { by: 'example.org/row', profile: { labels: { 'example.org/row': 'b' } } },
    ]) {
      const bench = new Bench();
      bench.metal.add('h1', {}, {});
      bench.metal.add('h2', {}, profile);
      bench.cluster('c1', { infra: by === undefined ? {} : { failureDomainBy: by } });
      const key = bench.machine('m1', {}, { failureDomain: 'b' });
      const started = bench.start();
      await bench.world.advance(3_000);
      assert.notEqual(bench.metal.of('h2').claim, null, `by ${by}`);
      assert.equal(status(bench, key)['failureDomain'], 'b');
      assert.equal((bench.look(key).spec as { failureDomain?: string }).failureDomain, undefined);
      await started.stop();
    }
  });
});
