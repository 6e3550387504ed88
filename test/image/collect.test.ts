/** Garbage collection: what goes, what stays, what a dry run says, and that no death, full disk or import beside it harms an image. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { generateKey, signFile } from '../../src/image/sign.ts';
import { closedSources } from '../../src/image/source-policy.ts';
import { openImageStore } from '../../src/image/store.ts';
import type { ImageStore } from '../../src/image/store.ts';
import { parsePublicKey } from '../../src/wire/signing-key.ts';
import { memoryDisk } from '../world/memory-files.ts';
import type { MemoryDisk, MemoryFilesOptions } from '../world/memory-files.ts';
import { imageWorld, limits, place, seededImage } from './disk.ts';
import type { TestWorld } from './disk.ts';

/** A store whose clock goes on by itself: what was looked at is soon no longer new. */
const open = (options: MemoryFilesOptions = {}): { world: TestWorld; store: ImageStore; later: () => void } => {
  let now = 1_000;
  const plain = imageWorld(options);
  const world = { ...plain, clock: { ...plain.clock, now: () => now } };
  return { world, store: openImageStore(world, '/images', limits), later: () => void (now += 120_000) };
};
const files = (disk: MemoryDisk): string[] =>
  [...disk].filter(([path, node]) => path.startsWith('/images/') && node.kind === 'file').map(([path]) => path);
const noise = randomBytes(50_000);
const one = seededImage(noise);
/** Shares all but the last chunks with `one`. */
const two = Uint8Array.from(one);
two.set(randomBytes(5_000), 60_000);
const nobody = async (): Promise<ReadonlySet<string>> => new Set();
const sources = async (world: TestWorld) => ({ one: await place(world, '/in/one', one), two: await place(world, '/in/two', two) });

test('an image without a name goes when no claim wants it and nobody has just asked for it; the rest stays', async () => {
  const { world, store, later } = open();
  const from = await sources(world);
  const old = await store.import(from.one, { name: 'tiny' });
  const young = await store.import(from.two, { name: 'tiny' });
  assert.deepEqual((await store.collect()).images, [], 'without a word about claims only files go');
  assert.deepEqual((await store.collect({ wanted: nobody })).images, [], 'just imported: a claim may be on its way');
  later();
  assert.deepEqual((await store.collect({ wanted: async () => new Set([old.digest]) })).images, []);
  await store.find(old.digest);
  assert.deepEqual((await store.collect({ wanted: nobody })).images, [], 'just looked up: a claim may be on its way');
  later();
  const before = files(world.files.disk);
  const said = await store.collect({ wanted: nobody, dryRun: true });
  assert.deepEqual(said.images, [{ digest: old.digest, sizeBytes: one.length }]);
  assert.ok(said.files > 0 && said.bytes > 4_000);
  assert.deepEqual(files(world.files.disk), before, 'a dry run takes nothing');
  assert.deepEqual(await store.collect({ wanted: nobody }), said, 'and says what will be');
  assert.deepEqual(
    (await store.list()).map(({ digest }) => digest),
    [young.digest],
  );
  assert.equal((await store.verify(young.digest)).ok, true);
  assert.deepEqual(await store.collect({ wanted: nobody }), { images: [], files: 0, bytes: 0 });
});

test('it waits for the import that runs, and asks for the claims only then', async () => {
  const { world, store } = open();
  const from = await sources(world);
  let then: readonly string[] = [];
  const importing = store.import(from.one, { name: 'one' });
  const collecting = store.collect({
    wanted: async () => {
      then = (await store.list()).map(({ name }) => name);
      return new Set();
    },
  });
  const again = store.import(from.one, { name: 'same' });
  assert.equal((await store.verify((await importing).digest)).ok, true);
  assert.deepEqual(await collecting, { images: [], files: 0, bytes: 0 });
  assert.deepEqual(then, ['one']);
  assert.equal((await again).digest, (await importing).digest);
  assert.deepEqual(
    (await store.list()).map(({ name }) => name),
    ['one', 'same'],
  );
});

test('two imports of the same image at once are one image, also when one of them fails', async () => {
  const { world, store } = open();
  const from = await sources(world);
  const [good, bad] = await Promise.allSettled([
    store.import(from.one, { name: 'a' }),
    store.import(from.one, { name: 'b', expectDigest: 'f'.repeat(64) }),
  ]);
  assert.equal(bad.status, 'rejected');
  assert.ok(good.status === 'fulfilled');
  assert.equal((await store.verify(good.value.digest)).ok, true);
  assert.deepEqual(await store.collect(), { images: [], files: 0, bytes: 0 });
});

test('an image that cannot be read keeps all chunks, and is not collected itself', async () => {
  const { world, store, later } = open();
  const from = await sources(world);
  const { digest } = await store.import(from.one, { name: 'tiny' });
  await store.import(from.two, { name: 'tiny' });
  later();
  await world.files.write(`/images/manifests/${digest.slice(7)}.json`, '{');
  const before = files(world.files.disk);
  assert.deepEqual(await store.collect({ wanted: nobody }), { images: [], files: 0, bytes: 0 });
  assert.deepEqual(files(world.files.disk), before);
  assert.match(world.warnings.join(), /chunks are kept because an image cannot be read/);
});

const wholeAfter = async (disk: MemoryDisk, digests: readonly string[]): Promise<void> => {
  const { store, world } = open({ disk });
  const listed = (await store.list()).map(({ digest }) => digest);
  for (const digest of digests) assert.ok(listed.includes(digest), digest);
  for (const digest of listed) assert.deepEqual((await store.verify(digest)).faults, []);
  assert.deepEqual(world.warnings, []);
};

test('a death at any step of a collection leaves a whole store, and the next one finishes it', async () => {
  let deaths = 0;
  for (let n = 1; ; n++) {
    const disk = memoryDisk();
    const before = open({ disk });
    const from = await sources(before.world);
    await before.store.import(from.one, { name: 'tiny' });
    const kept = await before.store.import(from.two, { name: 'tiny' });
    let changes = 0;
    const dying = open({
      disk,
      beforeWrite: () => {
        if (++changes >= n) throw new Error('the process was killed');
      },
    });
    const ended = await dying.store.collect({ wanted: nobody }).catch(() => undefined);
    if (ended !== undefined) break;
    deaths++;
    await wholeAfter(disk, [kept.digest]);
    const after = open({ disk });
    await after.store.collect({ wanted: nobody });
    const manifest = await after.store.manifest(kept.digest);
    const wanted = new Set(manifest.chunks.flatMap((chunk) => ('sha256' in chunk ? [chunk.sha256] : [])));
    assert.equal(files(disk).filter((path) => path.startsWith('/images/chunks/')).length, wanted.size);
    assert.equal(files(disk).length, wanted.size + 2, 'a manifest, a name, and the chunks');
  }
  assert.ok(deaths >= 3, `${deaths} deaths`);
});

/** A signed image: chunks, signature, manifest and name are all written. */
const signed = async (disk: MemoryDisk, options: MemoryFilesOptions = {}): Promise<ImageStore> => {
  const { world } = open({ disk });
  await sources(world);
  await world.files.makeFolder('/keys');
  if ((await world.files.stat('/keys/k')) === undefined)
    await generateKey({ files: world.files, random: { next: () => 0, bytes: (count) => Buffer.alloc(count, 7) } }, '/keys/k');
  await signFile(world, { file: '/in/one', keyFile: '/keys/k', chunkBytes: limits.chunkBytes });
  const key = parsePublicKey(new TextDecoder().decode(await world.files.read('/keys/k.pub')));
  assert.ok(key !== undefined);
  const trust = { keys: [{ ...key, name: 'k' }], required: true };
  return openImageStore(imageWorld({ disk, ...options }), '/images', limits, () => ({ trust, sources: closedSources }));
};
for (const fault of ['the disk is full', 'the process dies'] as const)
  test(`${fault} at any write of a signed import: the store is whole, and the next import succeeds`, async () => {
    let faults = 0;
    for (let n = 1; ; n++) {
      const disk = memoryDisk();
      let changes = 0;
      const isFull = fault === 'the disk is full';
      const failing = await signed(disk, {
        beforeWrite: (path, change) => {
          if (!path.startsWith('/images/') || (isFull && change === 'remove')) return;
          changes++;
          // A disk that is full lets one take away; a dead process does nothing any more.
          if (isFull ? changes === n : changes >= n) throw new RemudaError('disk-full', `no room for ${path}`);
        },
      });
      const ended = await failing.import({ file: '/in/one' }, { name: 'tiny' }).catch((error: unknown) => error);
      if (!(ended instanceof Error)) break;
      faults++;
      assert.equal((ended as RemudaError).code, 'disk-full');
      if (isFull) assert.deepEqual(files(disk), [], `full at write ${n}`);
      const again = await signed(disk);
      for (const { digest, refused } of await again.list()) {
        assert.equal(refused, undefined, 'no image is there without the signature that it needs');
        assert.equal((await again.verify(digest)).ok, true);
      }
      const entry = await again.import({ file: '/in/one' }, { name: 'tiny' });
      assert.deepEqual(entry.signedBy, ['k']);
      assert.equal((await again.verify(entry.digest)).ok, true);
      await again.remove('tiny');
      assert.deepEqual(files(disk), []);
    }
    assert.ok(faults > 15, `${faults} faults`);
  });
