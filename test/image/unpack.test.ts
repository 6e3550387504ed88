/** Packed images: gzip and xz beside zstd, what they may hold, and bombs. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import type { ByteSource } from '../../src/image/bytes.ts';
import { sha256Of } from '../../src/image/digest.ts';
import { openSource } from '../../src/image/source.ts';
import { openImageStore } from '../../src/image/store.ts';
import { imageWorld, limits, place, seededImage } from './disk.ts';
import { qcow2Image } from './qcow2-writer.ts';

const sourceOf = (bytes: Uint8Array): ByteSource => ({
  name: 'in',
  sizeBytes: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
});
const unpackAll = async (bytes: Uint8Array, more: Partial<typeof limits> = {}): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync((await openSource(sourceOf(bytes), { ...limits, ...more })).pieces()));
const refused = (code: Code, what: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RemudaError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, what);
  return true;
};

/** Made by liblzma: 32 KiB of zeros, then 32 KiB of a text that repeats. */
const xz = Buffer.from(
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4P//AGZdAABv/f//o7f/Rz5IFXI5YVG4kijmo4YH+e7kHoLTL8U6PAFLsX7JiopNL6MN2X+m44wjEVPgWRjFdYrid/dFAK+QZ7NAJN8qFv7RPStRGJhGN94ojcJek8FNLv41FJO+e2nuViSNAAAAAJ6/lREc37WlAAGCAYCABAABIE3FscRn+wIAAAAABFla',
  'base64',
);
const text = 'all work and no play ';
const inXz = Buffer.concat([Buffer.alloc(32_768), Buffer.from(text.repeat(1600)).subarray(0, 32_768)]);

test('xz, with its length known before', async () => {
  assert.equal((await openSource(sourceOf(xz), limits)).totalBytes, inXz.length);
  assert.deepEqual(await unpackAll(xz), inXz);
});
test('two xz streams at once, one of them left in the middle', async () => {
  const left = (await openSource(sourceOf(xz), limits)).pieces()[Symbol.asyncIterator]();
  await left.next();
  const both = Promise.all([unpackAll(xz), unpackAll(xz)]);
  await left.return?.();
  assert.deepEqual(await both, [inXz, inXz]);
});
test('gzip, in one member and in several', async () => {
  const image = seededImage(randomBytes(20_000));
  assert.deepEqual(await unpackAll(gzipSync(image)), Buffer.from(image));
  assert.deepEqual(await unpackAll(Buffer.concat([gzipSync(image.subarray(0, 99)), gzipSync(image.subarray(99))])), Buffer.from(image));
});

const xzWith = (change: (bytes: Buffer) => void): Buffer => {
  const bytes = Buffer.from(xz);
  change(bytes);
  return bytes;
};
const gz = gzipSync(inXz);
const damages: readonly { readonly name: string; readonly bytes: Uint8Array; readonly says: RegExp }[] = [
  { name: 'xz, cut off', bytes: xz.subarray(0, -4), says: /xz stream in in has no end/ },
  { name: 'xz, its magic alone', bytes: xz.subarray(0, 8), says: /ends too early/ },
  { name: 'xz, something behind it', bytes: Buffer.concat([xz, Buffer.alloc(4)]), says: /something else follows it/ },
  { name: 'xz, twice', bytes: Buffer.concat([xz, xz]), says: /not one stream but several.*xz -dc/ },
  {
    name: 'xz, a flipped bit in the data',
    bytes: xzWith((bytes) => (bytes[60] = (bytes[60] ?? 0) ^ 4)),
    says: /xz stream in in (is damaged|uses)/,
  },
  {
    name: 'xz, a flipped bit in the index',
    bytes: xzWith((bytes) => (bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 4)),
    says: /is damaged: its index/,
  },
  {
    name: 'xz, an index as long as the file says',
    bytes: xzWith((bytes) => {
      bytes.writeUInt32LE(0x3fff_ffff, bytes.length - 8);
      bytes.writeUInt32LE(crc32(bytes.subarray(-8, -2)), bytes.length - 12);
    }),
    says: /index has 4294967296 bytes/,
  },
  { name: 'gzip, cut off', bytes: gz.subarray(0, -3), says: /gzip stream in in ends too early/ },
  {
    name: 'gzip, a wrong checksum',
    bytes: Buffer.concat([gz.subarray(0, -8), Buffer.alloc(4), gz.subarray(-4)]),
    says: /gzip stream in in is damaged/,
  },
  {
    name: 'gzip, something behind it',
    bytes: Buffer.concat([gz, Buffer.from('and more')]),
    says: /gzip stream in in (ends at byte|is damaged)/,
  },
];
for (const { name, bytes, says } of damages)
  test(`refuses ${name}`, () => assert.rejects(unpackAll(bytes), refused('image-invalid', says)));

const inside: readonly (readonly [name: string, what: Uint8Array, says: RegExp])[] = [
  ['a QCOW2 image', qcow2Image(seededImage()), /holds is a QCOW2 image.*unpack it first/],
  [
    'a tar archive',
    Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\u000000'), Buffer.alloc(2000)]),
    /holds is a tar archive.*tar -xf/,
  ],
  ['another gzip stream', gzipSync(seededImage()), /compressed by gzip once more/],
  ['a VMDK image', Buffer.concat([Buffer.from('KDMV'), Buffer.alloc(1020)]), /holds is a VMDK image/],
];
for (const [name, what, says] of inside)
  for (const pack of [gzipSync, zstdCompressSync])
    test(`refuses ${name} in ${pack.name}`, async () => {
      const world = imageWorld();
      const store = openImageStore(world, '/images', limits);
      await assert.rejects(store.import(await place(world, '/in/a', pack(what)), { name: 'a' }), refused('image-invalid', says));
    });

const big = 288 * 1024 * 1024;
test('a bomb below the size limit is refused by its ratio, and no piece of it is larger than a piece', async () => {
  for (const [pack, imageRatioMax] of [
    [zstdCompressSync, 10_000],
    [gzipSync, 500],
  ] as const) {
    const bomb = pack(Buffer.alloc(big));
    let bytes = 0;
    const opened = await openSource(sourceOf(bomb), { imageBytesMax: 2 * big, imageRatioMax });
    await assert.rejects(
      async () => {
        for await (const piece of opened.pieces()) {
          assert.ok(piece.length <= 1024 * 1024);
          bytes += piece.length;
        }
      },
      refused('too-large', /unpacks to more than \d+, which no honest image does.*limits\.imageRatioMax/),
    );
    assert.ok(bytes <= 256 * 1024 * 1024, String(bytes));
  }
});
test('an xz bomb and a QCOW2 bomb are seen before they are unpacked', async () => {
  await assert.rejects(unpackAll(xz, { imageBytesMax: 65_535 }), refused('too-large', /has 65536 bytes; at most 65535/));
  await assert.rejects(
    unpackAll(qcow2Image(new Uint8Array(512), { sizeBytes: 1024 ** 3, clusterBits: 21 })),
    refused('too-large', /holds a disk of 1073741824 bytes/),
  );
});
test('a QCOW2 image of holes only is bounded by its ratio too', async () => {
  const empty = qcow2Image(new Uint8Array(512), { sizeBytes: big, clusterBits: 12 });
  const opened = await openSource(sourceOf(empty), { imageBytesMax: big, imageRatioMax: 10 });
  await assert.rejects(
    async () => {
      for await (const piece of opened.pieces()) assert.ok(piece.length <= 1024 * 1024);
    },
    refused('too-large', /no honest image/),
  );
});

test('any packed bytes come back, and the hash of the file is checked before they are read', async () => {
  const image = Buffer.from(seededImage(randomBytes(9_000)));
  const world = imageWorld();
  const store = openImageStore(world, '/images', limits);
  const file = gzipSync(image);
  const source = await place(world, '/in/a.gz', file);
  const sha256 = createHash('sha256').update(file).digest('hex');
  assert.equal((await store.import({ ...source, sha256 }, { name: 'a' })).digest, `sha256:${sha256Of(image)}`);
  await assert.rejects(
    store.import({ ...source, sha256: sha256Of(image) }, { name: 'b' }),
    refused('image-invalid', /has the SHA-256 .* not the expected/),
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3000 }), async (bytes) => {
      assert.deepEqual(await unpackAll(gzipSync(bytes)), Buffer.from(bytes));
    }),
    { numRuns: 50 },
  );
});

test('hostile xz and gzip throw nothing but a RemudaError', async () => {
  const hostile = fc
    .tuple(fc.constantFrom(xz, gz), fc.array(fc.tuple(fc.nat(1000), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.option(fc.nat(200)))
    .map(([from, edits, cut]) => {
      const bytes = Buffer.from(cut === null ? from : from.subarray(0, cut));
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });
  await fc.assert(
    fc.asyncProperty(hostile, async (bytes) => {
      try {
        assert.ok((await unpackAll(bytes)).length <= 1024 * 1024 * 2);
      } catch (error) {
        assert.ok(error instanceof RemudaError && error.code !== 'internal', String(error));
      }
    }),
    { numRuns: 300 },
  );
});
