/** Import: what comes in, what is refused, and that nothing is left of what failed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import { decodeChunk } from '../../src/image/chunk.ts';
import { sha256Of } from '../../src/image/digest.ts';
import type { ImportOptions } from '../../src/image/import.ts';
import { isZeroChunk } from '../../src/image/manifest.ts';
import type { Progress } from '../../src/image/read.ts';
import { openImageStore } from '../../src/image/store.ts';
import { diskImage, imageWorld, limits, place, seededImage, types } from './disk.ts';
import type { TestWorld } from './disk.ts';

const chunkPaths = (world: TestWorld): string[] =>
  [...world.files.disk].filter(([path, node]) => path.startsWith('/images/') && node.kind === 'file').map(([path]) => path);
const storeOf = (world: TestWorld) => openImageStore(world, '/images', limits);
const importing = async (bytes: Uint8Array, options: Partial<ImportOptions> = {}, world = imageWorld()) =>
  storeOf(world).import(await place(world, '/in/image', bytes), { name: 'tiny', ...options });
const refused = (code: Code, what: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RemudaError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, what);
  return true;
};
/** The image as an agent would write it: from the manifest and the chunk files alone. */
const reassemble = async (world: TestWorld, digest: string): Promise<Buffer> => {
  const store = storeOf(world);
  const parts: Uint8Array[] = [];
  for (const chunk of (await store.manifest(digest)).chunks) {
    if (isZeroChunk(chunk)) {
      parts.push(new Uint8Array(chunk.sizeBytes));
      continue;
    }
    const body = await store.chunkFile(chunk.sha256);
    assert.ok(body !== undefined && body.offset === 0 && body.length === chunk.storedBytes);
    parts.push(decodeChunk(chunk, await world.files.read(body.file, body)));
  }
  return Buffer.concat(parts);
};

test('a raw image and its zstd stream are the same image', async () => {
  const image = seededImage(randomBytes(20_000));
  const world = imageWorld();
  const entry = await importing(image, {}, world);
  assert.deepEqual(entry, {
    name: 'tiny',
    digest: `sha256:${sha256Of(image)}`,
    sizeBytes: 65_536,
    storedBytes: entry.storedBytes,
    importedAt: 1_000,
    seed: { offsetBytes: 64 * 512, sizeBytes: 32 * 512 },
    firmware: ['uefi'],
    phoneHome: 'cloud-init',
    signedBy: [],
  });
  assert.ok(entry.storedBytes > 20_000 && entry.storedBytes < 30_000);
  assert.deepEqual(await reassemble(world, entry.digest), Buffer.from(image));
  const before = chunkPaths(world);
  const again = await importing(zstdCompressSync(image), { name: 'packed' }, world);
  assert.equal(again.digest, entry.digest);
  assert.deepEqual(chunkPaths(world), [...before, '/images/names/packed']);
});

test('any image of whole sectors comes back byte for byte', async () => {
  const sectors = fc.array(fc.oneof(fc.constant(new Uint8Array(512)), fc.uint8Array({ minLength: 512, maxLength: 512 })), {
    minLength: 1,
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(sectors, fc.boolean(), async (list, packed) => {
      const image = Buffer.concat([Buffer.alloc(512), ...list]);
      const world = imageWorld();
      const { digest } = await importing(packed ? zstdCompressSync(image) : image, {}, world);
      assert.equal(digest, `sha256:${sha256Of(image)}`);
      assert.deepEqual(await reassemble(world, digest), image);
    }),
    { numRuns: 50 },
  );
});

test('zeros take no room', async () => {
  const world = imageWorld();
  const entry = await importing(new Uint8Array(limits.imageBytesMax), {}, world);
  assert.equal(entry.storedBytes, 0);
  assert.equal(entry.phoneHome, 'none');
  assert.equal(entry.seed, null);
});

test('the source is read once through in bounded pieces, and others get their turn', async () => {
  const image = diskImage(512 * 1024, [], randomBytes(400_000));
  const reads: number[] = [];
  let turns = 0;
  const plain = imageWorld({ beforeRead: (path, range) => void (path === '/in/image' && reads.push(range?.length ?? Infinity)) });
  const clock = {
    ...plain.clock,
    soon: (run: () => void): void => {
      turns++;
      setImmediate(run);
    },
  };
  const steps: Progress[] = [];
  await importing(image, { onProgress: (step) => void steps.push(step) }, { ...plain, clock });
  assert.ok(Math.max(...reads) <= 1024 * 1024);
  assert.equal(turns, 128);
  assert.deepEqual(steps[0], { doneBytes: 4096, totalBytes: 524_288 });
  assert.deepEqual(steps.at(-1), { doneBytes: 524_288, totalBytes: 524_288 });
  assert.equal(steps.length, 128);
});

test('who phones home: the word of the import, then what was said before, then what the image can', async () => {
  const world = imageWorld();
  const image = seededImage();
  assert.equal((await importing(image, {}, world)).phoneHome, 'cloud-init');
  assert.equal((await importing(image, { phoneHome: 'image' }, world)).phoneHome, 'image');
  assert.equal((await importing(image, { name: 'other' }, world)).phoneHome, 'image');
  assert.equal((await importing(image, { phoneHome: 'none' }, world)).phoneHome, 'none');
  for (const phoneHome of ['image', 'cloud-init'] as const)
    await assert.rejects(
      importing(diskImage(65_536, []), { phoneHome }),
      refused('bad-request', /no seed partition.*partition named CIDATA.*phone home "none"/),
    );
  assert.equal((await importing(diskImage(65_536, []), { phoneHome: 'none' })).phoneHome, 'none');
});

const image = seededImage(randomBytes(20_000));
const packed = zstdCompressSync(image);
const checked = zstdCompressSync(image, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const flipped = Buffer.from(checked);
flipped[9_000] = flipped.readUInt8(9_000) ^ 1;
const refusals: readonly { name: string; bytes: Uint8Array; options?: Partial<ImportOptions>; code: Code; what: RegExp }[] = [
  { name: 'an empty file', bytes: new Uint8Array(), code: 'image-invalid', what: /is empty/ },
  { name: 'a zstd stream of nothing', bytes: zstdCompressSync(new Uint8Array()), code: 'image-invalid', what: /is empty/ },
  { name: 'half a sector', bytes: new Uint8Array(768), code: 'image-invalid', what: /768 bytes.*no multiple of 512/ },
  { name: 'half a sector in zstd', bytes: zstdCompressSync(new Uint8Array(768)), code: 'image-invalid', what: /no multiple of 512/ },
  { name: 'a raw image above the limit', bytes: new Uint8Array(limits.imageBytesMax + 512), code: 'too-large', what: /at most 1048576/ },
  { name: 'a zstd bomb', bytes: zstdCompressSync(new Uint8Array(256 * 1024 * 1024)), code: 'too-large', what: /larger than 1048576/ },
  {
    name: 'a zstd stream that was cut off',
    bytes: packed.subarray(0, packed.length - 10),
    code: 'image-invalid',
    what: /ends too early; it was cut off/,
  },
  { name: 'a zstd stream of four bytes', bytes: packed.subarray(0, 4), code: 'image-invalid', what: /ends too early/ },
  { name: 'a zstd stream with a flipped bit', bytes: flipped, code: 'image-invalid', what: /zstd stream in \/in\/image is damaged/ },
  {
    name: 'something behind the zstd stream',
    bytes: Buffer.concat([packed, Buffer.from('and more')]),
    code: 'image-invalid',
    what: /ends at byte/,
  },
  { name: 'a raw image that was cut off', bytes: image.subarray(0, 40_960), code: 'image-invalid', what: /"cidata" reaches to byte 49152/ },
  { name: 'four bytes of QCOW2', bytes: Buffer.from('QFI\xfb', 'latin1'), code: 'image-invalid', what: /QCOW2.*ends in its header/ },
  {
    name: 'a gzip stream of four bytes',
    bytes: Buffer.from('1f8b0800', 'hex'),
    code: 'image-invalid',
    what: /gzip stream.*ends too early/,
  },
  { name: 'bzip2', bytes: Buffer.from('BZh9'), code: 'image-invalid', what: /bzip2.*bunzip2/ },
  { name: 'a name with a slash', bytes: image, options: { name: '../tiny' }, code: 'bad-request', what: /cannot name an image/ },
  { name: 'a name like a digest', bytes: image, options: { name: 'deadbeefcafe' }, code: 'bad-request', what: /cannot name an image/ },
  { name: 'a hidden name', bytes: image, options: { name: '.tiny' }, code: 'bad-request', what: /cannot name an image/ },
  {
    name: 'another digest than expected',
    bytes: image,
    options: { expectDigest: 'a'.repeat(64) },
    code: 'image-invalid',
    what: /not the expected sha256:aaaa/,
  },
  { name: 'an expected digest that is none', bytes: image, options: { expectDigest: 'md5:1' }, code: 'bad-request', what: /no SHA-256/ },
];
for (const { name, bytes, options, code, what } of refusals)
  test(`refuses ${name} and leaves nothing behind`, async () => {
    const world = imageWorld();
    await assert.rejects(importing(bytes, options, world), refused(code, what));
    assert.deepEqual(chunkPaths(world), []);
    assert.deepEqual(await storeOf(world).list(), []);
  });

test('takes the expected digest with and without its prefix', async () => {
  await importing(image, { expectDigest: sha256Of(image) });
  await importing(image, { expectDigest: `sha256:${sha256Of(image)}` });
});

test('several zstd frames and a skippable one are one stream', async () => {
  const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0]), Buffer.from('pzst')]);
  const stream = Buffer.concat([skippable, zstdCompressSync(image.subarray(0, 10_000)), zstdCompressSync(image.subarray(10_000))]);
  assert.equal((await importing(stream)).digest, `sha256:${sha256Of(image)}`);
});

test('refuses what is no file', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  await world.files.makeFolder('/in');
  await assert.rejects(store.import({ file: '/in' }, { name: 'a' }), refused('bad-request', /no plain file/));
  await assert.rejects(store.import({ file: '/in/none' }, { name: 'a' }), refused('not-found', /no file \/in\/none/));
});

test('a source that shrinks while it is read is refused', async () => {
  const world = imageWorld({
    beforeRead: (path, range) => {
      if (path !== '/in/image' || range?.offset !== 0 || range.length < 1000) return;
      const node = world.files.disk.get(path);
      if (node !== undefined) node.bytes = node.bytes.subarray(0, 1024);
    },
  });
  await assert.rejects(importing(image, {}, world), refused('image-invalid', /became shorter/));
});

test('an import that is called off leaves nothing and says why', async () => {
  const world = imageWorld();
  const ends = new AbortController();
  const why = new RemudaError('conflict', 'the operator changed his mind');
  const onProgress = ({ doneBytes }: Progress): void => {
    if (doneBytes >= 16_384) ends.abort(why);
  };
  await assert.rejects(importing(image, { onProgress, signal: ends.signal }, world), why);
  assert.deepEqual(chunkPaths(world), []);
});

test('hostile sources throw nothing but a RemudaError', async () => {
  const magic = fc.constantFrom('', '28b52ffd', '502a4d18').map((hex) => Buffer.from(hex, 'hex'));
  const hostile = fc.oneof(
    fc.tuple(magic, fc.uint8Array({ maxLength: 2048 })).map(([start, rest]) => Buffer.concat([start, rest])),
    fc.tuple(fc.integer({ min: 4, max: packed.length - 1 }), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
      const bytes = Buffer.from(packed);
      bytes[at] = bytes.readUInt8(at) ^ flip;
      return bytes;
    }),
  );
  await fc.assert(
    fc.asyncProperty(hostile, async (bytes) => {
      const world = imageWorld();
      try {
        await importing(bytes, {}, world);
      } catch (error) {
        assert.ok(error instanceof RemudaError && error.code !== 'internal', String(error));
        assert.deepEqual(chunkPaths(world), []);
      }
    }),
    { numRuns: 200 },
  );
});

test('two partitions of firmware are both told', async () => {
  const both = diskImage(65_536, [
    { name: '', type: types.biosBoot, first: 40, last: 41 },
    { name: '', type: types.esp, first: 42, last: 43 },
  ]);
  assert.deepEqual((await importing(both)).firmware, ['bios', 'uefi']);
});
