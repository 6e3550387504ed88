/** Chunks: any stream, cut and put together again, is the same stream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import { chunksOf, decodeChunk, encodeChunk } from '../../src/image/chunk.ts';
import { isZero, sha256Of } from '../../src/image/digest.ts';

async function* stream(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece);
}
/** Bytes as images have them: noise, repetition and long runs of zeros. */
const content = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.integer({ min: 0, max: 300 }).map((length) => new Uint8Array(length)),
    fc.tuple(fc.integer({ min: 1, max: 255 }), fc.integer({ min: 0, max: 300 })).map(([byte, length]) => new Uint8Array(length).fill(byte)),
  ),
  { maxLength: 8 },
);

test('the chunks of any stream, stored and read back, are the stream', async () => {
  await fc.assert(
    fc.asyncProperty(content, fc.integer({ min: 1, max: 128 }), async (pieces, chunkBytes) => {
      const whole = Buffer.concat(pieces);
      const back: Uint8Array[] = [];
      const lengths: number[] = [];
      for await (const bytes of chunksOf(stream(pieces), chunkBytes, whole.length)) {
        lengths.push(bytes.length);
        const { chunk, stored } = encodeChunk(bytes);
        assert.equal(chunk.sizeBytes, bytes.length);
        if ('zero' in chunk) {
          assert.ok(
            bytes.every((byte) => byte === 0),
            'only zeros are left out',
          );
          back.push(new Uint8Array(chunk.sizeBytes));
        } else {
          assert.ok(
            bytes.some((byte) => byte !== 0),
            'zeros are never stored',
          );
          assert.ok(stored !== undefined && stored.length === chunk.storedBytes && stored.length <= bytes.length);
          // What was not packed is the buffer itself, which the next chunk reuses.
          back.push(Buffer.from(decodeChunk(chunk, stored)));
        }
      }
      assert.deepEqual(Buffer.concat(back), whole);
      assert.equal(sha256Of(Buffer.concat(back)), sha256Of(whole));
      assert.ok(lengths.slice(0, -1).every((length) => length === chunkBytes));
      assert.equal(lengths.length, Math.ceil(whole.length / chunkBytes));
    }),
  );
});

test('a stream that is one byte too long is refused before it ends', async () => {
  let asked = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      asked++;
      yield await Promise.resolve(new Uint8Array(10));
    }
  }
  await assert.rejects(
    async () => {
      for await (const chunk of chunksOf(endless(), 16, 99)) assert.equal(chunk.length, 16);
    },
    (error) => error instanceof RemudaError && error.code === 'too-large',
  );
  assert.equal(asked, 10);
});

test('zeros are told from everything else at any length and place', () => {
  for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    assert.equal(isZero(new Uint8Array(length)), true);
    for (const at of [0, length >> 1, length - 1]) {
      if (at < 0 || length === 0) continue;
      const bytes = new Uint8Array(length);
      bytes[at] = 1;
      assert.equal(isZero(bytes), false, `byte ${at} of ${length}`);
    }
  }
});

test('noise is stored raw, text packed', () => {
  const noise = Uint8Array.from({ length: 512 }, (_, i) => Number.parseInt(sha256Of(Buffer.from(`${i}`)).slice(0, 2), 16));
  const raw = encodeChunk(noise);
  assert.ok('sha256' in raw.chunk && raw.chunk.encoding === 'raw' && raw.chunk.storedBytes === 512);
  const packed = encodeChunk(new Uint8Array(4096).fill(7));
  assert.ok('sha256' in packed.chunk && packed.chunk.encoding === 'zstd' && packed.chunk.storedBytes < 100);
});

const invalid = (error: unknown): boolean => error instanceof RemudaError && error.code === 'image-invalid';

test('a stored chunk that is not what it is named by is refused, whatever its bytes', () => {
  const { chunk, stored } = encodeChunk(new Uint8Array(4096).fill(7));
  assert.ok('sha256' in chunk && stored !== undefined);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => assert.throws(() => decodeChunk(chunk, bytes), invalid)));
  // A bomb: 64 MiB of zeros where 4096 bytes are expected.
  assert.throws(() => decodeChunk(chunk, zstdCompressSync(new Uint8Array(64 * 1024 * 1024))), invalid);
  assert.throws(() => decodeChunk(chunk, stored.subarray(0, stored.length - 1)), invalid);
});
