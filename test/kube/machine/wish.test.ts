/** What a spec becomes for the rack: selectors, disks, places, owners, amounts, and how each refusal is told. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RemudaError } from '../../../src/errors.ts';
import { bootstrapOf } from '../../../src/kube/machine/bootstrap.ts';
import { refusalOf } from '../../../src/kube/machine/hands.ts';
import { networkOf } from '../../../src/kube/machine/ipam.ts';
import { bytesOf, quantityOf } from '../../../src/kube/machine/quantity.ts';
import { groupOfMachine, ownerOf, planOf, poolsOf } from '../../../src/kube/machine/wish.ts';
import type { WishWords } from '../../../src/kube/machine/wish.ts';
import { capi } from '../../../src/kube/names.ts';
import type { MachineSpec } from '../../../src/kube/schema/bare-metal.ts';
import { mergePatchBetween } from '../../../src/kube/patch.ts';
import { limits } from '../../../src/limits.ts';
import { mergePatch } from '../fake-fields.ts';

const words = (spec: Partial<MachineSpec>, more: Partial<WishWords> = {}): WishWords => ({
  claimId: 'c1',
  owner: 'ns/m1',
  spec: { image: 'alpha', ...spec },
  namespace: 'ns',
  name: 'm1',
  labels: { [capi.deploymentName]: 'md-0' },
  failureDomain: undefined,
  failureDomainBy: 'failureDomain',
  poolsAllowed: ['default', 'gold'],
  userData: '#cloud-config\n',
  ...more,
});
const asked = (spec: Partial<MachineSpec>, more: Partial<WishWords> = {}) => {
  const plan = planOf(words(spec, more));
  assert.ok(plan.is === 'ready', JSON.stringify(plan));
  return plan.request;
};
const table: readonly {
  readonly name: string;
  readonly spec: Partial<MachineSpec>;
  readonly more?: Partial<WishWords>;
  readonly gives: object;
}[] = [
  {
    name: 'nothing said',
    spec: {},
    gives: { selector: { pools: ['default', 'gold'] }, disk: { only: true }, hostName: 'm1', owner: 'ns/m1' },
  },
  { name: 'an empty list of pools is none', spec: { hostSelector: { pools: [] } }, gives: { selector: { pools: ['default', 'gold'] } } },
  {
    name: 'hardware and labels',
    spec: {
      hostSelector: {
        pools: ['gold'],
        cores: 8,
        memory: '64Gi',
        diskSize: '1T',
        disks: 2,
        gpus: 1,
        nics: 2,
        arch: 'x86_64',
        matchLabels: { a: 'b' },
        matchExpressions: [
          { key: 'c', operator: 'In', values: ['d', 'e'] },
          { key: 'f', operator: 'DoesNotExist' },
          { key: 'g', operator: 'NotIn', values: ['h'] },
        ],
      },
    },
    gives: {
      selector: {
        pools: ['gold'],
        cores: 8,
        memoryBytes: 64 * 1024 ** 3,
        diskBytes: 1e12,
        disks: 2,
        gpus: 1,
        nics: 2,
        arch: 'x86_64',
        labels: { a: 'b', c: { in: ['d', 'e'] }, f: { exists: false }, g: { notIn: ['h'] } },
      },
    },
  },
  { name: 'a disk', spec: { disk: { minSize: '100G', pick: 'Smallest' } }, gives: { disk: { minSizeBytes: 1e11, pick: 'smallest' } } },
  {
    name: 'reuse and place',
    spec: { nodeReuse: 'Wait', placement: { by: 'rack', mode: 'RequireSpread' } },
    gives: {
      reuse: { of: 'ns/MachineDeployment/md-0', mode: 'wait' },
      placement: { group: 'ns/MachineDeployment/md-0', by: 'rack', mode: 'require-spread' },
    },
  },
  {
    name: 'a failure domain',
    spec: {},
    more: { failureDomain: 'b' },
    gives: { selector: { pools: ['default', 'gold'], failureDomain: 'b' } },
  },
  {
    name: 'a rack',
    spec: {},
    more: { failureDomain: 'b', failureDomainBy: 'rack' },
    gives: { selector: { pools: ['default', 'gold'], rack: 'b' } },
  },
  {
    name: 'no domains',
    spec: {},
    more: { failureDomain: 'b', failureDomainBy: 'None' },
    gives: { selector: { pools: ['default', 'gold'] } },
  },
];
describe('a spec becomes a request', () => {
  for (const { name, spec, more, gives } of table)
    test(name, () => {
      const request: Readonly<Record<string, unknown>> = { ...asked(spec, more) };
      for (const [field, value] of Object.entries(gives)) assert.deepEqual(request[field], value, field);
    });
});
test('owners and groups', () => {
  assert.equal(ownerOf('ns', 'm'), 'ns/m');
  const long = ownerOf('n'.repeat(63), 'm'.repeat(200));
  assert.equal(long.length, 128);
  assert.notEqual(long, ownerOf('n'.repeat(63), `${'m'.repeat(199)}x`));
  assert.equal(groupOfMachine('ns', { [capi.controlPlaneName]: 'cp', [capi.setName]: 's' }), 'ns/ControlPlane/cp');
  assert.equal(groupOfMachine('ns', { [capi.setName]: 's' }), 'ns/MachineSet/s');
  assert.equal(groupOfMachine('ns', {}), undefined);
  assert.deepEqual(poolsOf({ '*': ['a'], b: ['c'] }, 'b'), ['c']);
  assert.deepEqual(poolsOf({ '*': ['a'], b: ['c'] }, 'x'), ['a']);
  assert.deepEqual(poolsOf({ b: ['c'] }, 'x'), []);
});
test('amounts of bytes', () => {
  const facts = { '1024': 1024, '1k': 1000, '1.5Gi': 1.5 * 1024 ** 3, '2T': 2e12, '1Pi': 1024 ** 5 };
  for (const [text, bytes] of Object.entries(facts)) assert.equal(bytesOf(text), bytes);
  for (const text of ['', 'x', '-1', '1Gb', '1 Gi', '99999999P']) assert.equal(bytesOf(text), undefined, text);
  fc.assert(fc.property(fc.nat(), (bytes) => assert.equal(bytesOf(quantityOf(bytes)), bytes)));
});
test('what the rack refuses, in our reasons', () => {
  const reason = (code: ConstructorParameters<typeof RemudaError>[0], values = {}): string =>
    refusalOf(new RemudaError(code, 'why', { values })).reason;
  assert.equal(reason('no-host-fits'), 'NoHostFits');
  assert.equal(reason('no-host-fits', { classes: [{ class: 'reserved', count: 1 }] }), 'WaitingForReservedHost');
  assert.equal(reason('image-not-found'), 'ImageNotFound');
  assert.equal(reason('disk-ambiguous'), 'InvalidSpec');
  assert.equal(reason('host-claimed'), 'NoHostFits');
  assert.equal(reason('timed-out'), 'RackUnreachable');
  assert.equal(refusalOf(new Error('socket hang up')).reason, 'RackUnreachable');
});
test('bootstrap data: what is refused is told without a word of them', () => {
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const secret = (data: Record<string, string>) => bootstrapOf('s', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data });
  assert.deepEqual(secret({ value: encode('hush') }), { is: 'ready', userData: 'hush', format: 'cloud-config' });
  const ignition = secret({ value: encode('hush'), format: encode('ignition') });
  assert.deepEqual(ignition, { is: 'ready', userData: 'hush', format: 'ignition' });
  for (const data of [{}, { value: encode('hush'), format: encode('other') }, { value: encode('hush'.repeat(limits.userDataBytes)) }]) {
    const said = secret(data);
    assert.equal(said.is, 'refused');
    assert.ok(!JSON.stringify(said).includes('hush'));
  }
});
test('addresses of two pools on one interface are one ethernet', () => {
  const pool = { apiGroup: 'g', kind: 'k', name: 'p' };
  const wanted = { interface: 'lan0', mac: '52:54:00:00:00:01', pool };
  assert.deepEqual(
    networkOf([
      { wanted, granted: { address: '2001:db8::5', prefix: 64, gateway: '2001:db8::1' } },
      { wanted, granted: { address: '10.0.0.5', prefix: 24, gateway: '10.0.0.1' } },
    ]),
    { ethernets: [{ name: 'lan0', mac: '52:54:00:00:00:01', addresses: ['2001:db8::5/64', '10.0.0.5/24'], gateway4: '10.0.0.1' }] },
  );
});
test('a merge patch makes one value into the other, and there is none between equal ones', () => {
  const json = fc.dictionary(
    fc.string({ maxLength: 3 }),
    fc.jsonValue({ maxDepth: 2 }).map((value) => value ?? 0),
  );
  // The API server drops a field `__proto__`, and assigning one makes no field.
  const plain = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (name, one: unknown) => (name === '__proto__' ? undefined : (one ?? 0))));
  fc.assert(
    fc.property(json, json, (a, b) => {
      const [before, after] = [plain(a), plain(b)] as [Record<string, unknown>, Record<string, unknown>];
      const patch = mergePatchBetween(before, after);
      assert.deepEqual(patch === undefined ? before : mergePatch(before, patch), after);
      assert.equal(mergePatchBetween(after, after), undefined);
    }),
  );
});
