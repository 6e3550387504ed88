/** QCOW2: what is read, what is refused and with which words, and that no file of it makes us crash, hang or take memory. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import type { ByteSource } from '../../src/image/bytes.ts';
import { zstdFrameBytes } from '../../src/image/qcow2-cluster.ts';
import { openQcow2 } from '../../src/image/qcow2.ts';
import { qcow2Image } from './qcow2-writer.ts';
import type { Qcow2Wish } from './qcow2-writer.ts';

const bytesMax = 4 * 1024 * 1024;
const sourceOf = (file: Uint8Array, reads: number[] = []): ByteSource => ({
  name: 'disk.qcow2',
  sizeBytes: file.length,
  read: async (offset, length) => {
    assert.ok(offset >= 0 && length >= 0 && offset + length <= file.length, `read ${length} at ${offset} of ${file.length}`);
    reads.push(length);
    return file.subarray(offset, offset + length);
  },
});
const read = async (file: Uint8Array, reads: number[] = []): Promise<Buffer> => {
  const disk = await openQcow2(sourceOf(file, reads), bytesMax);
  const parts: Uint8Array[] = [];
  // What is read may be a view of something that is used again.
  for await (const piece of disk.pieces()) parts.push(Uint8Array.from(piece));
  return Buffer.concat(parts);
};
const data = Buffer.alloc(40_000);
data.set(randomBytes(3_000), 512);
data.fill('squeeze me ', 8_192, 30_000);

const wishes: readonly Qcow2Wish[] = [9, 12, 16].flatMap((clusterBits) => [
  { clusterBits, version: 2 },
  ...(['none', 'deflate', 'zstd'] as const).map((packing) => ({ clusterBits, packing })),
]);
for (const wish of wishes)
  test(`reads ${JSON.stringify(wish)}`, async () => {
    assert.deepEqual(await read(qcow2Image(data, wish)), data);
    const longer = Buffer.concat([data, Buffer.alloc(100_000)]);
    assert.deepEqual(await read(qcow2Image(data, { ...wish, sizeBytes: longer.length })), longer);
  });

test('any disk comes back byte for byte', async () => {
  const sectors = fc.array(fc.oneof(fc.constant(new Uint8Array(512)), fc.uint8Array({ minLength: 512, maxLength: 512 })), {
    minLength: 1,
    maxLength: 200,
  });
  const packing = fc.constantFrom('none', 'deflate', 'zstd');
  await fc.assert(
    fc.asyncProperty(sectors, packing, fc.integer({ min: 9, max: 13 }), async (list, how, clusterBits) => {
      const disk = Buffer.concat(list);
      assert.deepEqual(await read(qcow2Image(disk, { clusterBits, packing: how as 'none' })), disk);
    }),
    { numRuns: 100 },
  );
});

test('clusters that follow each other are read together', async () => {
  const reads: number[] = [];
  const noise = randomBytes(3 * 1024 * 1024);
  assert.deepEqual(await read(qcow2Image(noise, { clusterBits: 16 }), reads), noise);
  assert.deepEqual(reads.slice(-3), [1024 * 1024, 1024 * 1024, 1024 * 1024]);
});

const good = qcow2Image(data);
const patched = (change: (image: Buffer) => void, from = good): Buffer => {
  const image = Buffer.from(from);
  change(image);
  return image;
};
const features = (bits: bigint) => patched((image) => image.writeBigUInt64BE(bits, 72));
const l2 = 512 * (1 + Math.ceil((good.readUInt32BE(36) * 8) / 512));
const refusals: readonly { readonly name: string; readonly image: Uint8Array; readonly says: RegExp }[] = [
  { name: 'four bytes', image: good.subarray(0, 4), says: /ends in its header.*qemu-img check/ },
  { name: 'a version 3 header that is cut off', image: good.subarray(0, 90), says: /ends in its header/ },
  { name: 'version 1', image: patched((image) => image.writeUInt32BE(1, 4)), says: /is of version 1/ },
  { name: 'version 4', image: patched((image) => image.writeUInt32BE(4, 4)), says: /is of version 4.*qemu-img convert/ },
  { name: 'a backing file', image: patched((image) => image.writeBigUInt64BE(200n, 8)), says: /backing file.*qemu-img convert/ },
  { name: 'AES', image: patched((image) => image.writeUInt32BE(1, 32)), says: /is encrypted/ },
  { name: 'LUKS', image: patched((image) => image.writeUInt32BE(2, 32)), says: /is encrypted/ },
  { name: 'dirty', image: features(1n), says: /not closed in good order.*qemu-img check -r all/ },
  { name: 'corrupt', image: features(2n), says: /marked as corrupt/ },
  { name: 'external data', image: features(4n), says: /external data file/ },
  { name: 'a compression bit without a type', image: features(8n), says: /compression type contradicts/ },
  { name: 'a compression type without its bit', image: patched((image) => image.writeUInt8(1, 104)), says: /compression type contradicts/ },
  {
    name: 'an unknown compression',
    image: patched((image) => {
      image.writeBigUInt64BE(8n, 72);
      image.writeUInt8(2, 104);
    }),
    says: /type 2/,
  },
  { name: 'extended L2', image: features(16n), says: /extended_l2=off/ },
  { name: 'an unknown feature', image: features(1n << 40n), says: /not known here \(0x10000000000\)/ },
  { name: 'clusters of 256 bytes', image: patched((image) => image.writeUInt32BE(8, 20)), says: /2\^8 bytes/ },
  { name: 'clusters of 4 GiB', image: patched((image) => image.writeUInt32BE(32, 20)), says: /2\^32 bytes/ },
  { name: 'a short header', image: patched((image) => image.writeUInt32BE(96, 100)), says: /header says that it is 96/ },
  {
    name: 'an L1 table that is too short',
    image: patched((image) => image.writeUInt32BE(0, 36)),
    says: /L1 table has 0 entries instead of 2/,
  },
  { name: 'an L1 table behind the end', image: patched((image) => image.writeBigUInt64BE(1n << 50n, 40)), says: /behind its end/ },
  { name: 'an L1 table at an odd place', image: patched((image) => image.writeBigUInt64BE(520n, 40)), says: /no beginning of a cluster/ },
  { name: 'an L1 entry with unknown bits', image: patched((image) => image.writeUInt8(1, 519)), says: /L1 entry has bits/ },
  {
    name: 'an L2 table behind the end',
    image: patched((image) => image.writeUInt32BE(0x7f, 512)),
    says: /L1 entry has bits|behind its end/,
  },
  { name: 'an L2 entry with unknown bits', image: patched((image) => image.writeUInt8(2, l2 + 15)), says: /L2 entry has bits/ },
  { name: 'a cluster behind the end', image: patched((image) => image.writeUInt8(0x7f, l2 + 8 + 2)), says: /behind its end/ },
  {
    name: 'a compressed cluster behind the end',
    image: patched((image) => image.writeBigUInt64BE((1n << 62n) | 0xffff_ffffn, l2)),
    says: /behind its end/,
  },
  {
    name: 'a compressed cluster of rubbish',
    image: patched((image) => image.writeBigUInt64BE((1n << 62n) | 4n, l2)),
    says: /compressed cluster.*damaged/,
  },
  {
    name: 'a zero flag in version 2',
    image: patched((image) => image.writeUInt8(1, l2 + 7), qcow2Image(data, { version: 2 })),
    says: /L2 entry has bits/,
  },
];
for (const { name, image, says } of refusals)
  test(`refuses ${name}`, async () => {
    await assert.rejects(read(image), (error) => {
      assert.ok(error instanceof RemudaError);
      assert.equal(error.code, 'image-invalid', error.message);
      assert.match(error.message, says);
      return true;
    });
  });
test('refuses a disk above the limit before anything is read of it', async () => {
  const reads: number[] = [];
  await assert.rejects(
    read(
      patched((image) => image.writeBigUInt64BE(1n << 60n, 24)),
      reads,
    ),
    { code: 'too-large' },
  );
  assert.deepEqual(reads, [112]);
});
test('a cluster that holds more than a cluster is refused', async () => {
  const bomb = qcow2Image(Buffer.alloc(4096, 'a'), { clusterBits: 12, packing: 'zstd' });
  const packed = zstdCompressSync(Buffer.alloc(8192, 'a'));
  await assert.rejects(read(Buffer.concat([bomb.subarray(0, 3 * 4096), packed])), /compressed cluster.*damaged/);
});

test('the length of a zstd frame is that of the frame, whatever follows', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.uint8Array({ maxLength: 40 }), (content, rest) => {
      const frame = zstdCompressSync(content);
      assert.equal(zstdFrameBytes(Buffer.concat([frame, rest])), frame.length);
      for (const end of [0, 3, 5, frame.length - 1]) assert.throws(() => zstdFrameBytes(frame.subarray(0, end)), RangeError);
    }),
  );
});

test('a file that was tampered with is refused or read, in bounded time and memory', async () => {
  const files = (['none', 'deflate', 'zstd'] as const).map((packing) => qcow2Image(data, { packing }));
  const edit = fc.record({ at: fc.oneof(fc.nat(111), fc.nat(2047), fc.nat(20_000)), value: fc.nat(255) });
  const cut = fc.option(fc.nat(20_000), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...files), fc.array(edit, { minLength: 1, maxLength: 6 }), cut, async (file, edits, end) => {
      const hostile = Buffer.from(file.subarray(0, end));
      for (const { at, value } of edits) if (at < hostile.length) hostile[at] = value;
      const reads: number[] = [];
      try {
        const { length } = await read(hostile, reads);
        assert.ok(length <= bytesMax);
      } catch (error) {
        assert.ok(error instanceof RemudaError && error.code !== 'internal', String(error));
      }
      assert.ok(Math.max(0, ...reads) <= 2 * 1024 * 1024);
    }),
    { numRuns: 400 },
  );
});
