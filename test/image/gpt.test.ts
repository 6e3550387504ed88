/** The partition table: one that sfdisk wrote, ones that were damaged, and bytes that never were one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import { layoutOf, readGpt, refuseCutOff } from '../../src/image/gpt.ts';
import { diskImage, sealGpt, seededImage, types } from './disk.ts';

/** The first 34 sectors of an 8 MiB disk by sfdisk of util-linux 2.38.1: a BIOS boot partition, an ESP and CIDATA. */
const sfdiskHead = zstdDecompressSync(
  Buffer.from(
    'KLUv/QRoHQYA0ookKnDPObT46r+/x3NB6YDA6DshV8KIFvg1FYHUfY0IXFObi+vOmoJs2FbKFOPq44zPF4Zvgetjsi6hZ2RuQiBO' +
      'FZ7QI5Me4ADCTbikHahuFfNSBQ449/7/dneW5Mqyj05Gs54DS6VxwLwm7f+vZf/fKv7U9P8vtv5/+8/+ISIC+FPOXk1H9DtLsiRZ' +
      'fP/sfV/Y2gEQIDBn4rYN+hx40GtU1SXjOjoA0FeKcIcBdkuYKdnuboV6IUWw3HKGyx09r7rYYBtCNw==',
    'base64',
  ),
);
const seedMax = 16 * 1024 * 1024;
const refused = (code: string, what: RegExp) => (error: unknown) =>
  error instanceof RemudaError && error.code === code && what.test(error.message);

test('reads what sfdisk writes', () => {
  const { partitions, firmware, seed } = layoutOf(sfdiskHead, seedMax);
  assert.deepEqual(partitions, [
    { name: '', typeGuid: '21686148-6449-6e6f-744e-656564454649', firstLba: 2048, lastLba: 4095 },
    { name: 'ESP', typeGuid: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b', firstLba: 4096, lastLba: 8191 },
    { name: 'CIDATA', typeGuid: '0fc63daf-8483-4772-8e79-3d69d8477de4', firstLba: 8192, lastLba: 12_287 },
  ]);
  assert.deepEqual(firmware, ['bios', 'uefi']);
  assert.deepEqual(seed, { offsetBytes: 4 * 1024 * 1024, sizeBytes: 2 * 1024 * 1024 });
});

test('a flipped byte anywhere in header or entries is found', () => {
  fc.assert(
    fc.property(fc.integer({ min: 512, max: 512 + 91 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const head = Buffer.from(sfdiskHead);
      head[at] = head.readUInt8(at) ^ flip;
      assert.throws(() => readGpt(head), refused('image-invalid', /./));
    }),
  );
  const head = Buffer.from(sfdiskHead);
  head[1024 + 200] = head.readUInt8(1024 + 200) ^ 1;
  assert.throws(() => readGpt(head), refused('image-invalid', /checksum of the entries/));
});

const damaged: readonly { name: string; damage: (image: Buffer) => void; what: RegExp }[] = [
  { name: 'entries beyond the head', damage: (image) => image.writeBigUInt64LE(2n ** 60n, 584), what: /lie outside/ },
  { name: 'entries over the header', damage: (image) => image.writeBigUInt64LE(1n, 584), what: /lie outside/ },
  { name: 'four thousand million entries', damage: (image) => image.writeUInt32LE(0xffffffff, 592), what: /4294967295 entries/ },
  { name: 'entries of 129 bytes', damage: (image) => image.writeUInt32LE(129, 596), what: /entries of 129/ },
  { name: 'a header of 4 GiB', damage: (image) => image.writeUInt32LE(0xffffffff, 524), what: /header of 4294967295/ },
  { name: 'the backup header', damage: (image) => image.writeBigUInt64LE(127n, 536), what: /another sector/ },
  { name: 'a partition that ends before it starts', damage: (image) => image.writeBigUInt64LE(1n, 1024 + 40), what: /from sector 40 to 1/ },
  { name: 'a partition beyond all disks', damage: (image) => image.writeBigUInt64LE(2n ** 63n, 1024 + 40), what: /from sector 40/ },
];
for (const { name, damage, what } of damaged)
  test(`refuses ${name}`, () => {
    const image = Buffer.from(seededImage());
    damage(image);
    sealGpt(image);
    assert.throws(() => readGpt(image), refused('image-invalid', what));
  });

test('an MBR that announces a GPT where there is none is refused; no table at all is not', () => {
  const image = Buffer.from(seededImage());
  image.fill(0, 512, 1024);
  assert.throws(() => readGpt(image), refused('image-invalid', /there is none/));
  assert.deepEqual(layoutOf(new Uint8Array(4096), seedMax), { partitions: [], firmware: [], seed: null });
  const mbrOnly = Buffer.alloc(4096, 0x90, undefined);
  mbrOnly.fill(0, 446, 510);
  mbrOnly.writeUInt16LE(0xaa55, 510);
  assert.deepEqual(layoutOf(mbrOnly, seedMax), { partitions: [], firmware: ['bios'], seed: null });
});

test('firmware and seed follow from the partitions', () => {
  const at = { first: 40, last: 47 };
  const firmwareOf = (...list: string[]) =>
    layoutOf(
      diskImage(
        64 * 1024,
        list.map((type, i) => ({ name: `p${i}`, type, ...at })),
      ),
      seedMax,
    ).firmware;
  assert.deepEqual(firmwareOf(), []);
  assert.deepEqual(firmwareOf(types.linux), []);
  assert.deepEqual(firmwareOf(types.biosBoot), ['bios']);
  assert.deepEqual(firmwareOf(types.linux, types.esp), ['uefi']);
  for (const name of ['CIDATA', 'cidata', 'CiData'])
    assert.deepEqual(layoutOf(diskImage(64 * 1024, [{ name, type: types.linux, ...at }]), 2048).seed, {
      offsetBytes: 40 * 512,
      sizeBytes: 2048,
    });
  assert.equal(layoutOf(diskImage(64 * 1024, [{ name: 'CIDATA2', type: types.linux, ...at }]), seedMax).seed, null);
  const twice = diskImage(64 * 1024, [
    { name: 'CIDATA', type: types.linux, ...at },
    { name: 'cidata', type: types.linux, first: 50, last: 59 },
  ]);
  assert.throws(() => layoutOf(twice, seedMax), refused('image-invalid', /2 partitions named CIDATA/));
});

test('a partition that reaches to the last byte is whole, one byte less is cut off', () => {
  const { partitions } = layoutOf(seededImage(), seedMax);
  refuseCutOff(partitions, 96 * 512);
  assert.throws(() => refuseCutOff(partitions, 96 * 512 - 512), refused('image-invalid', /"cidata" reaches to byte 49152: it was cut off/));
});

test('hostile bytes throw nothing but a RemudaError', () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 4096 }),
    // Bytes over a sound table, with sound checksums, so that the reader gets beyond them.
    fc.tuple(fc.integer({ min: 520, max: 2000 }), fc.uint8Array({ minLength: 1, maxLength: 24 })).map(([at, bytes]) => {
      const image = Buffer.from(seededImage());
      image.set(bytes, at);
      sealGpt(image);
      return image;
    }),
    fc.integer({ min: 0, max: 17_408 }).map((length) => sfdiskHead.subarray(0, length)),
  );
  fc.assert(
    fc.property(hostile, (bytes) => {
      try {
        layoutOf(bytes, seedMax);
      } catch (error) {
        assert.ok(error instanceof RemudaError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
