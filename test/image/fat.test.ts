/** The FAT image: whatever goes in comes out of a reader that shares no line with the writer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import { fatImage } from '../../src/image/fat.ts';
import { readFat } from './fat-reader.ts';

const refused = (code: Code) => (error: unknown) => error instanceof RemudaError && error.code === code;
const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,63}$/);
const files = fc
  .dictionary(name, fc.uint8Array({ maxLength: 20_000 }), { maxKeys: 12, noNullPrototype: true })
  .map((record) => new Map(Object.entries(record)));

test('any files that fit come back byte for byte, at any size', () => {
  let held = 0;
  fc.assert(
    fc.property(files, fc.integer({ min: 40, max: 12_000 }), (given, sectors) => {
      let image: Uint8Array;
      try {
        image = fatImage(given, sectors * 512, 'CIDATA');
      } catch (error) {
        const bytes = [...given.values()].reduce((sum, content) => sum + content.length, 0);
        assert.ok(error instanceof RemudaError && error.code === 'too-large', String(error));
        assert.ok(bytes > (sectors - 80) * 512 - given.size * 1024, 'only what does not fit is refused');
        return;
      }
      held++;
      const read = readFat(image);
      assert.equal(read.label, 'CIDATA');
      assert.deepEqual(read.files, new Map([...given].map(([key, bytes]) => [key, Buffer.from(bytes)])));
      assert.deepEqual(fatImage(given, sectors * 512, 'CIDATA'), image, 'the same files give the same bytes');
    }),
    { numRuns: 200 },
  );
  assert.ok(held > 100, `${held} of 200 fitted`);
});

test('every size near the border of FAT12 and FAT16 is one or the other', () => {
  const seen = new Set<number>();
  for (let sectors = 4_080; sectors <= 4_240; sectors++)
    seen.add(readFat(fatImage(new Map([['a', Uint8Array.of(1)]]), sectors * 512, 'CIDATA')).bits);
  assert.deepEqual(seen, new Set([12, 16]));
  for (const sectors of [8_192, 32_768, 65_535, 65_536, 131_072])
    readFat(fatImage(new Map([['a', Uint8Array.of(1)]]), sectors * 512, 'CIDATA'));
});

test('a file may fill the last cluster, and not one byte more', () => {
  const size = 256 * 1024;
  const room = size - 512 - 2 * 2 * 512 - 16 * 1024;
  const full = new Map([['user-data', new Uint8Array(room).fill(7)]]);
  assert.equal(readFat(fatImage(full, size, 'CIDATA')).files.get('user-data')?.length, room);
  assert.throws(() => fatImage(new Map([['user-data', new Uint8Array(room + 1)]]), size, 'CIDATA'), refused('too-large'));
  assert.throws(() => fatImage(new Map([...full, ['meta-data', Uint8Array.of(1)]]), size, 'CIDATA'), refused('too-large'));
});

test('names of one kind get short names that differ', () => {
  const many = new Map(Array.from({ length: 120 }, (_, i) => [`vendor-data-${i}`, Uint8Array.of(i)] as const));
  const { files: back, aliases } = readFat(fatImage(many, 1024 * 1024, 'CIDATA'));
  assert.equal(back.size, 120);
  assert.equal(aliases.get('vendor-data-0'), 'VENDOR~1   ');
  assert.equal(aliases.get('vendor-data-119'), 'VEND~120   ');
});

test('refuses names, sizes and numbers of files that a root directory cannot hold', () => {
  for (const bad of ['', 'META', 'a/b', 'a.b', '-a', 'a'.repeat(65), 'ä'])
    assert.throws(() => fatImage(new Map([[bad, Uint8Array.of(1)]]), 65_536, 'CIDATA'), refused('bad-request'), bad);
  for (const size of [0, -512, 511, 513, 1.5, Number.NaN])
    assert.throws(() => fatImage(new Map(), size, 'CIDATA'), refused('bad-request'), `${size}`);
  for (const size of [512, 16 * 1024, 4 * 1024 ** 3])
    assert.throws(() => fatImage(new Map(), size, 'CIDATA'), refused('too-large'), `${size}`);
  const many = new Map(Array.from({ length: 256 }, (_, i) => [`file-${i}`, new Uint8Array()] as const));
  assert.throws(() => fatImage(many, 1024 * 1024, 'CIDATA'), refused('too-large'));
});
