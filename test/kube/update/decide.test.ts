/** What may be updated in place, field by field; releases of Kubernetes and the way from one to another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { changedPaths, decide } from '../../../src/kube/update/decide.ts';
import type { Question } from '../../../src/kube/update/decide.ts';
import { compareReleases, parseRelease, releaseOfImage, releaseOfName } from '../../../src/kube/update/release.ts';
import { upgradePlan } from '../../../src/kube/update/upgrade-plan.ts';
import { imageOf } from './lab.ts';

const catalogue = [
  imageOf('kubernetes-v1.34.4'),
  imageOf('kubernetes-v1.35.0'),
  imageOf('worker'),
  imageOf('plain', 'sha256:9'),
  { ...imageOf('unsigned', 'sha256:8'), refused: { code: 'image-unsigned', reason: 'nobody signed it' } },
];
const group = 'infrastructure.cluster.x-k8s.io';
const question = (more: Partial<Question>): Question => ({
  current: { machine: { version: 'v1.34.4' }, infra: { image: 'kubernetes-v1.34.4' }, bootstrap: {} },
  desired: { machine: { version: 'v1.35.0' }, infra: { image: 'kubernetes-v1.35.0' }, bootstrap: {} },
  infraKind: { kind: 'BareMetalMachine', group },
  isControlPlane: false,
  catalogue,
  ...more,
});
const desired = (machine: object, infra: object, bootstrap: object = {}): Partial<Question> => ({
  desired: { machine: { version: 'v1.34.4', ...machine }, infra: { image: 'kubernetes-v1.34.4', ...infra }, bootstrap },
});
const cannot: readonly [string, Partial<Question>, RegExp][] = [
  ['host name', desired({}, { hostName: 'other' }), /infrastructure hostName/],
  ['host', desired({}, { host: 'h2' }), /infrastructure host$/],
  ['disk', desired({}, { disk: { pick: 'Largest' } }), /infrastructure disk/],
  ['placement', desired({}, { placement: { by: 'rack' } }), /infrastructure placement/],
  ['provider ID', desired({}, { providerID: 'remuda://x' }), /infrastructure providerID/],
  ['addresses', desired({}, { addressesFromPools: [] }), /infrastructure addressesFromPools/],
  ['failure domain', desired({ failureDomain: 'r2' }, {}), /machine failureDomain/],
  ['kubelet arguments', desired({}, {}, { joinConfiguration: { nodeRegistration: { name: 'x' } } }), /bootstrap joinConfiguration/],
  ['files', desired({}, {}, { files: [{ path: '/etc/x' }] }), /bootstrap files/],
  ['a control plane', { isControlPlane: true }, /control planes/],
  ['another kind', { infraKind: { kind: 'PacketMachine', group } }, /PacketMachine is not updated in place/],
  [
    'an image of another version',
    desired({ version: 'v1.35.0' }, {}),
    /holds Kubernetes v1\.34\.4, and the machine's version is v1\.35\.0/,
  ],
];
for (const [name, more, why] of cannot)
  test(`not in place: ${name}; and with Stop the rollout stops`, () => {
    const asked = question(more);
    const said = decide(asked);
    assert.ok(!said.can);
    assert.match(said.why, why);
    assert.equal(said.stops, false);
    const stop = { whenNotInPlace: 'Stop' };
    const then = decide({ ...asked, current: { ...asked.current, infra: { ...(asked.current.infra as object), ...stop } } });
    assert.ok(!then.can && then.stops);
    const later = decide({ ...asked, desired: { ...asked.desired, infra: { ...(asked.desired.infra as object), ...stop } } });
    assert.ok(!later.can && later.stops);
  });
test('an image that no host is given stops a rollout, whatever the policy', () => {
  const missing = decide(question(desired({}, { image: 'nowhere' })));
  assert.ok(!missing.can && missing.stops && /not in the catalogue/.test(missing.why));
  const refused = decide(question(desired({}, { image: 'unsigned' })));
  assert.ok(!refused.can && refused.stops && /nobody signed it/.test(refused.why));
});
test('in place: image, version, policy, reuse; what Cluster API never compares is left alone', () => {
  assert.deepEqual(decide(question({})), {
    can: true,
    patches: { machine: { version: 'v1.35.0' }, infra: { image: 'kubernetes-v1.35.0' } },
  });
  assert.deepEqual(decide(question(desired({}, { image: 'sha256:9', whenNotInPlace: 'Stop' }))), {
    can: true,
    patches: { infra: { image: 'sha256:9', whenNotInPlace: 'Stop' } },
  });
  const aside = {
    minReadySeconds: 3,
    taints: [{ key: 'x' }],
    deletion: { nodeDrainTimeoutSeconds: 4 },
    bootstrap: { dataSecretName: 'y' },
  };
  assert.deepEqual(decide(question(desired(aside, {}))), { can: true, patches: {} });
});
test('changed places: equal values none, lists whole, names sorted', () => {
  assert.deepEqual(changedPaths({ a: { b: 1, c: [1] }, d: 1 }, { a: { b: 2, c: [2] } }), ['a.b', 'a.c', 'd']);
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.deepEqual(changedPaths(value, structuredClone(value)), [])));
});

test('versions in the names of images', () => {
  const cases: readonly [string, string | undefined][] = [
    ['kubernetes-v1.34.4', 'v1.34.4'],
    ['kubernetes-v1.34.4-amd64', 'v1.34.4'],
    ['kubernetes-v1.35.0-rc.1', 'v1.35.0-rc.1'],
    ['our-kubernetes-v1.34.4', 'v1.34.4'],
    ['kubernetes-v1.34', undefined],
    ['kubernetes-v1.34.4.1', undefined],
    ['debian-12', undefined],
  ];
  for (const [name, version] of cases) assert.equal(releaseOfName(name)?.text, version, name);
  assert.equal(releaseOfImage('worker', catalogue)?.text, 'v1.34.4', 'by another name of the same image');
  assert.equal(releaseOfImage('plain', catalogue), undefined);
});
test('releases are ordered as Semantic Versioning orders them', () => {
  const ordered = ['v1.34.0-alpha.1', 'v1.34.0-alpha.beta', 'v1.34.0-rc.2', 'v1.34.0-rc.10', 'v1.34.0', 'v1.34.1', 'v1.35.0'];
  const parsed = ordered.map((text) => parseRelease(text)).filter((one) => one !== undefined);
  assert.deepEqual(
    parsed
      .toReversed()
      .toSorted(compareReleases)
      .map(({ text }) => text),
    ordered,
  );
  assert.equal(parseRelease('latest'), undefined);
  assert.equal(parseRelease('1.34.4+k3s1')?.text, 'v1.34.4');
});
test('upgrade plans: one step a minor, the newest of it, the target last', () => {
  const all = ['1.33.1', '1.33.9', '1.33.10', '1.34.0-rc.1', '1.34.4', '1.35.0-rc.1', '1.35.0', '1.35.2'].map((version) =>
    imageOf(`kubernetes-v${version}`),
  );
  assert.deepEqual(upgradePlan('v1.32.0', 'v1.35.0', all), { steps: ['v1.33.10', 'v1.34.4', 'v1.35.0'] });
  assert.deepEqual(upgradePlan('v1.35.0', 'v1.35.2', all), { steps: ['v1.35.2'] });
  assert.deepEqual(upgradePlan('v1.35.0', 'v1.35.0', all), { steps: [] });
  const refused: readonly [string, string, RegExp][] = [
    ['v1.35.2', 'v1.35.0', /older/],
    ['v1.35.0', 'v1.36.0', /no image of Kubernetes v1\.36\.0/],
    ['v1.31.0', 'v1.33.1', /needs an image of Kubernetes v1\.32/],
    ['v1.35.0', 'v2.0.0', /different major/],
    ['latest', 'v1.35.0', /latest is no Kubernetes version/],
  ];
  for (const [from, to, why] of refused) {
    const plan = upgradePlan(from, to, all);
    assert.ok('refused' in plan && why.test(plan.refused), `${from} ${to}`);
  }
});
