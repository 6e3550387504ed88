/** The manifest as text: it comes back as it went, and what contradicts itself is refused with its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import { encodeManifest, parseManifest, storedBytesOf } from '../../src/image/manifest.ts';
import type { Chunk, Manifest } from '../../src/image/manifest.ts';

const hash = (digit: string): string => digit.repeat(64);
const sound: Manifest = {
  format: 1,
  digest: `sha256:${hash('a')}`,
  sizeBytes: 10_240,
  chunkBytes: 4096,
  chunks: [
    { sha256: hash('b'), sizeBytes: 4096, storedBytes: 100, encoding: 'zstd' },
    { zero: true, sizeBytes: 4096 },
    { sha256: hash('c'), sizeBytes: 2048, storedBytes: 2048, encoding: 'raw' },
  ],
  arch: 'x86_64',
  firmware: ['bios', 'uefi'],
  seed: { offsetBytes: 8192, sizeBytes: 2048 },
  phoneHome: 'image',
};

test('is read as it was written, one chunk per line', () => {
  const text = encodeManifest(sound);
  assert.deepEqual(parseManifest(text), sound);
  assert.deepEqual(JSON.parse(text), sound);
  assert.equal(text.split('\n').filter((line) => line.includes('sizeBytes') && line.startsWith('    {')).length, 3);
});

test('any sound manifest is read as it was written', () => {
  const chunkBytes = 512;
  const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
  const chunk: fc.Arbitrary<Chunk> = fc.oneof(
    fc.constant<Chunk>({ zero: true, sizeBytes: chunkBytes }),
    hex.map<Chunk>((sha256) => ({ sha256, sizeBytes: chunkBytes, storedBytes: chunkBytes, encoding: 'raw' })),
    fc
      .tuple(hex, fc.integer({ min: 1, max: chunkBytes - 1 }))
      .map<Chunk>(([sha256, storedBytes]) => ({ sha256, sizeBytes: chunkBytes, storedBytes, encoding: 'zstd' })),
  );
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 9 }), hex, (chunks, digest) => {
      const manifest: Manifest = {
        ...sound,
        digest: `sha256:${digest}`,
        chunkBytes,
        chunks,
        sizeBytes: chunkBytes * chunks.length,
        seed: null,
        phoneHome: 'none',
      };
      assert.deepEqual(parseManifest(encodeManifest(manifest)), manifest);
    }),
  );
});

test('a chunk that occurs twice is stored once', () => {
  assert.equal(storedBytesOf(sound), 2148);
  assert.equal(storedBytesOf({ ...sound, chunks: [...sound.chunks, ...sound.chunks] }), 2148);
});

const [first, zero, last] = sound.chunks;
const refusals: readonly { name: string; change: Record<string, unknown>; what: RegExp }[] = [
  { name: 'another format', change: { format: 2 }, what: /format/ },
  { name: 'a digest in capitals', change: { digest: `sha256:${hash('A')}` }, what: /digest: is no sha256: digest/ },
  { name: 'a path for a hash', change: { chunks: [{ ...first, sha256: '../../etc/passwd' }, zero, last] }, what: /chunks\.0/ },
  { name: 'a size that is not the sum', change: { sizeBytes: 10_752 }, what: /hold 10240 bytes, sizeBytes says 10752/ },
  { name: 'a short chunk in the middle', change: { chunks: [last, zero, first] }, what: /chunks\.0\.sizeBytes/ },
  { name: 'a chunk larger than chunkBytes', change: { chunkBytes: 1024 }, what: /chunks\.0\.sizeBytes/ },
  {
    name: 'a raw chunk of another length',
    change: { chunks: [{ ...first, encoding: 'raw' }, zero, last] },
    what: /contradicts its encoding/,
  },
  { name: 'a chunk stored larger', change: { chunks: [{ ...first, storedBytes: 4097 }, zero, last] }, what: /stored larger/ },
  { name: 'a seed outside', change: { seed: { offsetBytes: 8192, sizeBytes: 4096 } }, what: /seed lies outside/ },
  { name: 'no chunks', change: { chunks: [] }, what: /chunks/ },
  { name: 'a negative size', change: { sizeBytes: -1 }, what: /sizeBytes/ },
  { name: 'an unknown architecture', change: { arch: 'vax' }, what: /arch/ },
  { name: 'a field of a later format', change: { signature: 'x' }, what: /signature/ },
];
for (const { name, change, what } of refusals)
  test(`refuses ${name}`, () => {
    assert.throws(
      () => parseManifest(JSON.stringify({ ...sound, ...change })),
      (error) => error instanceof RemudaError && error.code === 'image-invalid' && what.test(error.message),
    );
  });

test('hostile text throws nothing but a RemudaError', () => {
  const hostile = fc.oneof(
    fc.string(),
    fc.json(),
    fc.tuple(fc.constantFrom(...Object.keys(sound)), fc.jsonValue()).map(([key, value]) => JSON.stringify({ ...sound, [key]: value })),
    fc.integer({ min: 0, max: 700 }).map((length) => encodeManifest(sound).slice(0, length)),
  );
  fc.assert(
    fc.property(hostile, (text) => {
      try {
        parseManifest(text);
      } catch (error) {
        assert.ok(error instanceof RemudaError && error.code === 'image-invalid', String(error));
      }
    }),
    { numRuns: 500 },
  );
});
