/** The Packet kinds take what users of the old provider have, and lose none of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { crdOf } from '../../../src/kube/schema/crd.ts';
import { definitions } from '../../../src/kube/schema/definitions.ts';
import { packetClusterSpec, packetMachineSpec } from '../../../src/kube/schema/packet.ts';
import { oldManifests } from './packet-manifests.ts';

interface Old {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
  readonly status?: object;
}
const objects = oldManifests.flatMap(({ origin, text }) =>
  parseAllDocuments(text).map((document) => ({ origin, object: (document as { toJS: () => unknown }).toJS() as Old })),
);
/** Everything that `given` says stands in `taken` as it was said; defaults may have come to it. */
const contains = (taken: unknown, given: unknown, path: string): void => {
  if (typeof given !== 'object' || given === null) return assert.deepEqual(taken, given, path);
  for (const [key, value] of Object.entries(given)) contains((taken as Record<string, unknown>)[key], value, `${path}.${key}`);
};

for (const { origin, object } of objects)
  void test(`${object.kind} ${object.metadata.name} of ${origin}`, () => {
    const definition = definitions.find(({ kind }) => kind.kind === object.kind);
    assert.ok(definition !== undefined);
    const crd = crdOf(definition);
    assert.equal(object.apiVersion, `${crd.spec.group}/${crd.spec.versions[0].name}`);
    contains(definition.spec?.parse(object.spec), object.spec, 'spec');
    if (object.status !== undefined) contains(definition.status?.parse(object.status), object.status, 'status');
  });

void test('all kinds of the old provider are among them', () => {
  assert.deepEqual([...new Set(objects.map(({ object }) => object.kind))].toSorted(), [
    'PacketCluster',
    'PacketMachine',
    'PacketMachineTemplate',
  ]);
});

void test('the old fields are there under their old names, the required ones required', () => {
  const old = [
    'os',
    'machineType',
    'billingCycle',
    'sshKeys',
    'facility',
    'metro',
    'ipxeURL',
    'hardwareReservationID',
    'providerID',
    'tags',
  ];
  for (const field of old) assert.ok(field in packetMachineSpec.shape, field);
  assert.deepEqual(
    packetMachineSpec.safeParse({}).error?.issues.map(({ path }) => path[0]),
    ['os', 'machineType'],
  );
  assert.deepEqual(packetClusterSpec.parse({ projectID: 'p' }), { projectID: 'p', vipManager: 'CPEM' });
  // The old provider wanted both or none, so an endpoint with a host alone was refused.
  assert.equal(packetClusterSpec.safeParse({ projectID: 'p', controlPlaneEndpoint: { host: '192.0.2.1' } }).success, true);
});
