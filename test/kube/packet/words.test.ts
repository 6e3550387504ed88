/** What a PacketMachine asks of the rack, field by field, and what is refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askedBy } from '../../../src/kube/packet/words.ts';
import type { Place } from '../../../src/kube/packet/words.ts';
import type { MachineSpec } from '../../../src/kube/schema/bare-metal.ts';

const key = `ssh-ed25519 ${'A'.repeat(68)} me@there`;
const plain = { os: 'ubuntu_20_04', machineType: 'm3.small.x86' };
const free = { key: 'reservation', operator: 'DoesNotExist' as const };
const kept = { key: 'reservation', operator: 'Exists' as const };
const on = (labels: Record<string, string>, ...matchExpressions: object[]) => ({
  image: 'ubuntu_20_04',
  hostSelector: { matchLabels: { plan: 'm3.small.x86', ...labels }, matchExpressions },
});

const table: readonly { name: string; spec: object; cluster?: Place; wanted: readonly object[] }[] = [
  { name: 'plan and image', spec: {}, wanted: [on({}, free)] },
  { name: "the cluster's metro", spec: {}, cluster: { metro: 'da' }, wanted: [on({ metro: 'da' }, free)] },
  { name: 'its own metro', spec: { metro: 'am' }, cluster: { metro: 'da' }, wanted: [on({ metro: 'am' }, free)] },
  {
    name: 'a facility instead of the metro',
    spec: { facility: 'da11' },
    cluster: { metro: 'da' },
    wanted: [on({ facility: 'da11' }, free)],
  },
  { name: 'an empty metro is none', spec: { metro: '' }, cluster: { facility: 'da11' }, wanted: [on({ facility: 'da11' }, free)] },
  { name: 'another image', spec: { image: 'jammy' }, wanted: [{ ...on({}, free), image: 'jammy' }] },
  { name: 'custom_ipxe with an image', spec: { os: 'custom_ipxe', image: 'jammy' }, wanted: [{ ...on({}, free), image: 'jammy' }] },
  { name: 'without effect', spec: { billingCycle: 'hourly', tags: ['a'], sshKeys: [key, ''] }, wanted: [on({}, free)] },
  {
    name: 'what our own kinds have',
    spec: { hostName: 'n1', disk: { pick: 'Smallest' }, nodeReuse: 'Prefer', provisionTimeoutSeconds: 60, claimID: 'c1' },
    wanted: [
      { ...on({}, free), hostName: 'n1', disk: { pick: 'Smallest' }, nodeReuse: 'Prefer', provisionTimeoutSeconds: 60, claimID: 'c1' },
    ],
  },
  {
    name: 'a host by name asks for no label',
    spec: { host: 'h1' },
    cluster: { metro: 'da' },
    wanted: [{ image: 'ubuntu_20_04', host: 'h1' }],
  },
  {
    name: "the user's own words on a label count alone",
    spec: { hostSelector: { cores: 8, matchLabels: { metro: 'xx' }, matchExpressions: [{ key: 'plan', operator: 'Exists' }, kept] } },
    cluster: { metro: 'da' },
    wanted: [
      {
        image: 'ubuntu_20_04',
        hostSelector: { cores: 8, matchLabels: { metro: 'xx' }, matchExpressions: [{ key: 'plan', operator: 'Exists' }, kept] },
      },
    ],
  },
  { name: 'next-available', spec: { hardwareReservationID: 'next-available' }, wanted: [on({}, kept)] },
  {
    name: 'a list of reservations, in order and each once',
    spec: { hardwareReservationID: 'r1-u07, b537c5aa-2ef3-11ed-a261-0242ac120002,r1-u07,,next-available' },
    cluster: { metro: 'da' },
    wanted: [
      { image: 'ubuntu_20_04', host: 'r1-u07' },
      { image: 'ubuntu_20_04', hostSelector: { matchLabels: { reservation: 'r1-u07' }, matchExpressions: [] } },
      { image: 'ubuntu_20_04', host: 'b537c5aa-2ef3-11ed-a261-0242ac120002' },
      {
        image: 'ubuntu_20_04',
        hostSelector: { matchLabels: { reservation: 'b537c5aa-2ef3-11ed-a261-0242ac120002' }, matchExpressions: [] },
      },
      on({ metro: 'da' }, kept),
    ],
  },
  { name: 'commas alone are no reservation', spec: { hardwareReservationID: ' , ' }, wanted: [on({}, free)] },
];
describe('asks for', () => {
  for (const { name, spec, cluster, wanted } of table)
    test(name, () => {
      const asked = askedBy({ ...plain, ...spec }, cluster);
      assert.ok('spec' in asked, JSON.stringify(asked));
      const all: readonly MachineSpec[] = [asked.spec, ...(asked.otherwise ?? [])];
      assert.deepEqual(JSON.parse(JSON.stringify(all)), wanted);
    });
});
describe('is refused', () => {
  for (const { name, spec, wrong } of [
    {
      name: 'a script from elsewhere',
      spec: { ipxeURL: 'http://x/y.ipxe', os: 'custom_ipxe' },
      wrong: /spec\.ipxeURL: hosts run images of the rack/,
    },
    { name: 'a script even beside an image', spec: { ipxeURL: 'http://x/y.ipxe', image: 'a' }, wrong: /spec\.ipxeURL/ },
    { name: 'custom_ipxe', spec: { os: 'custom_ipxe' }, wrong: /spec\.os custom_ipxe.*spec\.image/ },
    { name: 'no key', spec: { sshKeys: ['', key, 'your-sshkey-here'] }, wrong: /sshKeys: the 2\..*no public key/ },
    { name: 'two keys in one', spec: { sshKeys: [`${key}\n${key}`] }, wrong: /sshKeys/ },
    { name: 'a private key', spec: { sshKeys: ['-----BEGIN OPENSSH PRIVATE KEY-----'] }, wrong: /sshKeys/ },
    { name: 'a host twice', spec: { host: 'h1', hardwareReservationID: 'h2' }, wrong: /both name a host/ },
    { name: 'a reservation that nothing can be called', spec: { hardwareReservationID: 'ä'.repeat(65) }, wrong: /names no host/ },
    {
      name: 'more reservations than are tried',
      spec: { hardwareReservationID: Array.from({ length: 17 }, (_, at) => `h${at}`).join() },
      wrong: /at most 16/,
    },
    { name: 'no machineType', spec: { machineType: undefined }, wrong: /spec\.machineType/ },
  ])
    test(name, () => {
      const asked = askedBy({ ...plain, ...spec }, undefined);
      assert.ok('wrong' in asked, JSON.stringify(asked));
      assert.match(asked.wrong, wrong);
      assert.ok(!asked.wrong.includes('your-sshkey-here') && !asked.wrong.includes('PRIVATE'));
    });
  test('keys of all kinds are taken', () => {
    for (const sshKey of [
      `ssh-rsa ${'A'.repeat(372)}== x`,
      `ecdsa-sha2-nistp256 ${'A'.repeat(140)}=`,
      `sk-ssh-ed25519@openssh.com ${'A'.repeat(90)}== y z`,
      `from="10.0.0.0/8",no-pty ${key}`,
    ])
      assert.ok('spec' in askedBy({ ...plain, sshKeys: [sshKey] }, undefined), sshKey);
  });
});
