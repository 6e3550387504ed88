/** A claim names one disk for sure, or the refusal lists what was found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseDisk, diskRuleSchema } from '../../src/host/disk.ts';
import type { Disk } from '../../src/host/inventory.ts';

const disk = (path: string, more: Partial<Disk>): Disk => ({
  path,
  name: path.slice(5),
  sizeBytes: 100,
  rotational: false,
  removable: false,
  readOnly: false,
  ...more,
});
const a = disk('/dev/sda', { serial: 'A', wwn: '0xa', sizeBytes: 100 });
const b = disk('/dev/sdb', { serial: 'B', sizeBytes: 200 });
const stick = disk('/dev/sdc', { serial: 'USB', removable: true });
const nameless = disk('/dev/vda', {});

const cases = [
  { name: 'by serial', rule: { serial: 'b' }, disks: [a, b], chosen: '/dev/sdb' },
  { name: 'by WWN', rule: { wwn: '0xA' }, disks: [a, b], chosen: '/dev/sda' },
  { name: 'by exact size', rule: { sizeBytes: 200 }, disks: [a, b], chosen: '/dev/sdb' },
  { name: 'by a range of sizes', rule: { minSizeBytes: 150 }, disks: [a, b], chosen: '/dev/sdb' },
  { name: 'the only one', rule: { only: true }, disks: [a, stick], chosen: '/dev/sda' },
  { name: 'the smallest', rule: { pick: 'smallest' }, disks: [a, b], chosen: '/dev/sda' },
  { name: 'the largest', rule: { pick: 'largest' }, disks: [a, b], chosen: '/dev/sdb' },
  { name: 'a disk without serial, alone', rule: { only: true }, disks: [nameless], chosen: '/dev/vda' },
  { name: 'absent', rule: { serial: 'Z' }, disks: [a, b], refused: 'disk-missing' },
  { name: 'no disk at all', rule: { only: true }, disks: [], refused: 'disk-missing' },
  { name: 'only, but two', rule: { only: true }, disks: [a, b], refused: 'disk-ambiguous' },
  { name: 'only with a serial, but two', rule: { only: true, serial: 'A' }, disks: [a, b], refused: 'disk-ambiguous' },
  { name: 'two of one size', rule: { sizeBytes: 100 }, disks: [a, { ...b, sizeBytes: 100 }], refused: 'disk-ambiguous' },
  { name: 'smallest of two equals', rule: { pick: 'smallest' }, disks: [a, { ...b, sizeBytes: 100 }], refused: 'disk-ambiguous' },
  { name: 'removable, even by serial', rule: { serial: 'USB' }, disks: [a, stick], refused: 'disk-missing' },
  {
    name: 'two disks that nothing tells apart',
    rule: { pick: 'largest' },
    disks: [nameless, disk('/dev/vdb', {})],
    refused: 'disk-ambiguous',
  },
  { name: 'two disks with one serial', rule: { serial: 'A' }, disks: [a, { ...a, path: '/dev/sdz' }], refused: 'disk-ambiguous' },
] as const;
for (const { name, rule, disks, ...wanted } of cases)
  test(name, () => {
    const choice = chooseDisk(diskRuleSchema.parse(rule), disks);
    if ('chosen' in wanted) assert.equal('chosen' in choice ? choice.chosen.path : choice.reason, wanted.chosen);
    else {
      assert.ok('refused' in choice);
      assert.equal(choice.refused, wanted.refused);
      for (const found of disks) if (!found.removable) assert.ok(choice.reason.includes(found.path), choice.reason);
    }
  });
test('an empty rule names nothing', () => assert.equal(diskRuleSchema.safeParse({}).success, false));
