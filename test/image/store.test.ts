/** The store: names, digests, removal, verification, and a death at every single write. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import { sha256Of } from '../../src/image/digest.ts';
import { openImageStore } from '../../src/image/store.ts';
import { memoryDisk } from '../world/memory-files.ts';
import type { MemoryDisk } from '../world/memory-files.ts';
import { diskImage, imageWorld, limits, place, seededImage } from './disk.ts';
import type { TestWorld } from './disk.ts';

const storeOf = (world: TestWorld) => openImageStore(world, '/images', limits);
const refused =
  (code: Code, what = /./) =>
  (error: unknown) =>
    error instanceof RemudaError && error.code === code && what.test(error.message);
const filesUnder = (disk: MemoryDisk, folder: string): string[] =>
  [...disk].filter(([path, node]) => path.startsWith(folder) && node.kind === 'file').map(([path]) => path);
const noise = randomBytes(50_000);
const one = seededImage(noise);
/** Shares all but the last chunks with `one`. */
const two = Uint8Array.from(one);
two.set(randomBytes(5_000), 60_000);
const sources = async (world: TestWorld) => ({ one: await place(world, '/in/one', one), two: await place(world, '/in/two', two) });

test('an image is found by name, by digest and by the start of it', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  await assert.rejects(store.find('tiny'), refused('image-not-found', /there are no images/));
  const { digest } = await store.import((await sources(world)).one, { name: 'tiny' });
  const hex = digest.slice(7);
  assert.equal((await store.find('tiny')).digest, digest);
  for (const wanted of [digest, hex, hex.slice(0, 12), `sha256:${hex.slice(0, 12)}`])
    assert.equal((await store.find(wanted)).digest, digest, wanted);
  for (const wanted of [hex.slice(0, 11), 'other', '', '../names/tiny', `${hex}0`, 'sha256:', hex.toUpperCase()])
    await assert.rejects(store.find(wanted), refused('image-not-found', /there are: tiny/), wanted);
});

test('the start of two digests is ambiguous', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const { digest } = await store.import((await sources(world)).one, { name: 'tiny' });
  await world.files.write(`/images/manifests/${digest.slice(7, 30)}${'0'.repeat(41)}.json`, '{}');
  await assert.rejects(store.find(digest.slice(7, 20)), refused('bad-request', /start of 2 digests/));
  assert.equal((await store.find(digest)).digest, digest);
});

test('a name moves to the new image and the old one stays until it is removed by its digest', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const from = await sources(world);
  const old = await store.import(from.one, { name: 'tiny' });
  const young = await store.import(from.two, { name: 'tiny' });
  assert.equal((await store.find('tiny')).digest, young.digest);
  assert.deepEqual(
    (await store.list()).map(({ name, digest }) => [name, digest]),
    [
      ['tiny', young.digest],
      [old.digest.slice(7, 19), old.digest],
    ],
  );
  assert.equal((await store.verify(old.digest)).ok, true);
  await assert.rejects(store.remove(young.digest), refused('conflict', /still named tiny/));
  await store.remove(old.digest.slice(7, 19));
  await assert.rejects(store.find(old.digest), refused('image-not-found'));
  assert.equal((await store.verify(young.digest)).ok, true, 'chunks they shared stay');
});

test('the last name takes the image with it, and only its own chunks', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const from = await sources(world);
  const kept = await store.import(from.two, { name: 'kept' });
  const before = filesUnder(world.files.disk, '/images/');
  await store.import(from.one, { name: 'a' });
  await store.import(from.one, { name: 'b' });
  await store.remove('a');
  assert.equal((await store.verify((await store.find('b')).digest)).ok, true);
  await store.remove('b');
  assert.deepEqual(filesUnder(world.files.disk, '/images/').toSorted(), before.toSorted());
  assert.equal((await store.verify(kept.digest)).ok, true);
  await assert.rejects(store.remove('b'), refused('image-not-found'));
  await store.remove('kept');
  assert.deepEqual(filesUnder(world.files.disk, '/images/'), []);
});

test('importing again writes nothing', async () => {
  const changes: string[] = [];
  const world = imageWorld({ beforeWrite: (path) => void changes.push(path) });
  const store = storeOf(world);
  const from = await sources(world);
  const first = await store.import(from.one, { name: 'tiny' });
  changes.length = 0;
  assert.deepEqual(await store.import(from.one, { name: 'tiny' }), first);
  assert.deepEqual(changes, []);
});

test('chunks come before the manifest, the manifest before the name', async () => {
  const changes: string[] = [];
  const world = imageWorld({ beforeWrite: (path, change) => void (change === 'write' && changes.push(path.split('/')[2] ?? '')) });
  await storeOf(world).import((await sources(world)).one, { name: 'tiny' });
  const order = changes.filter((kind) => ['chunks', 'manifests', 'names'].includes(kind));
  assert.equal(order.lastIndexOf('chunks'), order.length - 3);
  assert.deepEqual(order.slice(-2), ['manifests', 'names']);
});

test('imports and removals at the same time come one after another', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const from = await sources(world);
  await store.import(from.two, { name: 'two' });
  const [entry] = await Promise.all([
    store.import(from.one, { name: 'one' }),
    store.remove('two'),
    store.collect(),
    assert.rejects(store.remove('none')),
  ]);
  assert.equal((await store.verify(entry.digest)).ok, true);
  assert.deepEqual(
    (await store.list()).map(({ name }) => name),
    ['one'],
  );
});

test('chunkFile answers to hashes only', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const { digest } = await store.import((await sources(world)).one, { name: 'tiny' });
  const chunk = (await store.manifest(digest)).chunks.find((candidate) => 'sha256' in candidate);
  assert.ok(chunk !== undefined && 'sha256' in chunk);
  assert.deepEqual(await store.chunkFile(chunk.sha256), {
    file: `/images/chunks/${chunk.sha256.slice(0, 2)}/${chunk.sha256}`,
    offset: 0,
    length: chunk.storedBytes,
  });
  for (const wanted of [
    '',
    '../names/tiny',
    `${chunk.sha256}/`,
    chunk.sha256.toUpperCase(),
    chunk.sha256.slice(1),
    `${chunk.sha256}\n`,
    'f'.repeat(64),
  ])
    assert.equal(await store.chunkFile(wanted), undefined, wanted);
});

test('verify finds a flipped byte in any chunk, a missing chunk and a changed manifest; importing again mends them', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const from = await sources(world);
  const { digest } = await store.import(from.one, { name: 'tiny' });
  const chunks = filesUnder(world.files.disk, '/images/chunks/');
  assert.ok(chunks.length > 10);
  for (const path of chunks) {
    const node = world.files.disk.get(path);
    assert.ok(node !== undefined);
    const at = node.bytes.length >> 1;
    node.bytes[at] = (node.bytes[at] ?? 0) ^ 0x10;
    const report = await store.verify(digest);
    assert.equal(report.ok, false);
    assert.deepEqual(
      report.faults.map(({ sha256 }) => sha256),
      [path.slice(-64)],
    );
    assert.match(report.faults[0]?.reason ?? '', /is damaged/);
    await store.import(from.one, { name: 'tiny' });
    assert.equal((await store.verify(digest)).ok, true);
  }
  await world.files.remove(chunks[3] ?? '');
  assert.match((await store.verify(digest)).faults[0]?.reason ?? '', /is missing/);
  await store.import(from.one, { name: 'tiny' });
  const steps: number[] = [];
  assert.deepEqual(await store.verify(digest, ({ doneBytes }) => void steps.push(doneBytes)), {
    digest,
    ok: true,
    chunks: 16,
    sizeBytes: 65_536,
    faults: [],
  });
  assert.equal(steps.at(-1), 65_536);

  const path = `/images/manifests/${digest.slice(7)}.json`;
  const text = new TextDecoder().decode(await world.files.read(path));
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith('    {"sha256"'));
  [lines[at], lines[at + 1]] = [lines[at + 1] ?? '', lines[at] ?? ''];
  await world.files.write(path, lines.join('\n'));
  assert.match((await store.verify(digest)).faults[0]?.reason ?? '', /the manifest was changed/);
  await store.import(from.one, { name: 'tiny' });
  assert.equal((await store.verify(digest)).ok, true);
});

test('a damaged manifest hides only its own image, keeps all chunks, and is mended by importing again', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const from = await sources(world);
  const bad = await store.import(from.one, { name: 'bad' });
  await store.import(from.two, { name: 'good' });
  await store.import(from.two, { name: 'old' });
  await world.files.write(`/images/manifests/${bad.digest.slice(7)}.json`, '{"format":1}');
  assert.deepEqual(
    (await store.list()).map(({ name }) => name),
    ['good', 'old'],
  );
  assert.ok(world.warnings.length > 0);
  await assert.rejects(store.find('bad'), refused('image-invalid', /Import it again/));
  const before = filesUnder(world.files.disk, '/images/chunks/');
  await store.remove('old');
  await store.remove('good');
  assert.deepEqual(filesUnder(world.files.disk, '/images/chunks/'), before);
  await store.import(from.one, { name: 'bad' });
  assert.equal((await store.verify(bad.digest)).ok, true);
  assert.ok((await store.collect()).files > 0);
  await store.remove('bad');
  assert.deepEqual(filesUnder(world.files.disk, '/images/'), []);
});

test('a name that points nowhere is logged and can be given anew', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const from = await sources(world);
  await store.import(from.one, { name: 'tiny' });
  await world.files.write('/images/names/tiny', 'nonsense');
  await world.files.write('/images/names/.tiny.0011.new', 'what a killed write leaves');
  assert.deepEqual(
    (await store.list()).map(({ name }) => name),
    [sha256Of(one).slice(0, 12)],
  );
  assert.equal(world.warnings.length, 1);
  await store.import(from.one, { name: 'tiny' });
  assert.equal((await store.list())[0]?.name, 'tiny');
});

test('a full disk refuses the image, at whatever write it is full, and is as empty as before', async () => {
  const inputs = one.length + two.length;
  const needed = async (): Promise<number> => {
    const world = imageWorld();
    await storeOf(world).import((await sources(world)).one, { name: 'tiny' });
    return filesUnder(world.files.disk, '/images/').reduce((sum, path) => sum + (world.files.disk.get(path)?.bytes.length ?? 0), 0);
  };
  const all = await needed();
  for (const room of [0, 100, 5_000, 20_000, all - 2_000, all - 80, all - 1]) {
    const world = imageWorld({ capacityBytes: inputs + room });
    const store = storeOf(world);
    const from = await sources(world);
    await assert.rejects(store.import(from.one, { name: 'tiny' }), refused('disk-full'), `with room for ${room} bytes`);
    assert.deepEqual(await store.list(), []);
    assert.deepEqual(filesUnder(world.files.disk, '/images/'), [], `with room for ${room} bytes`);
  }
  const world = imageWorld({ capacityBytes: inputs + all });
  await storeOf(world).import((await sources(world)).one, { name: 'tiny' });
});

/** Runs `work` on a process that dies before its n-th change of the disk: nothing after that reaches the disk. */
const dying = async (disk: MemoryDisk, n: number, work: (world: TestWorld) => Promise<unknown>): Promise<boolean> => {
  let changes = 0;
  const world = imageWorld({
    disk,
    beforeWrite: () => {
      if (++changes >= n) throw new Error('the process was killed');
    },
  });
  try {
    await work(world);
  } catch {
    return changes >= n;
  }
  return false;
};
/** What must hold whatever happened: every image that can be found is whole, and every name points to one. */
const wholeStore = async (disk: MemoryDisk): Promise<void> => {
  const world = imageWorld({ disk });
  const store = storeOf(world);
  for (const { digest, name } of await store.list()) assert.deepEqual((await store.verify(digest)).faults, [], name);
  assert.deepEqual(world.warnings, []);
};

test('a death at any write of an import leaves a whole store, and the next import succeeds', async () => {
  let deaths = 0;
  for (let n = 1; ; n++) {
    const disk = memoryDisk();
    const before = imageWorld({ disk });
    const from = await sources(before);
    const old = await storeOf(before).import(from.two, { name: 'tiny' });
    if (!(await dying(disk, n, (world) => storeOf(world).import(from.one, { name: 'tiny' })))) break;
    deaths++;
    await wholeStore(disk);
    const after = imageWorld({ disk });
    assert.equal((await storeOf(after).find('tiny')).digest, old.digest, 'the name moves last');
    const young = await storeOf(after).import(from.one, { name: 'tiny' });
    assert.equal((await storeOf(after).verify(young.digest)).ok, true);
    await storeOf(after).remove('tiny');
    await storeOf(after).remove(old.digest);
    assert.deepEqual(filesUnder(disk, '/images/'), [], 'nothing of the dead process stays for ever');
  }
  assert.ok(deaths >= 3, `${deaths} deaths`);
  for (let n = 1; ; n++) {
    const disk = memoryDisk();
    const from = await sources(imageWorld({ disk }));
    if (!(await dying(disk, n, (world) => storeOf(world).import(from.one, { name: 'tiny' })))) break;
    deaths++;
    await wholeStore(disk);
    const after = imageWorld({ disk });
    assert.deepEqual(
      (await storeOf(after).list()).filter(({ name }) => name === 'tiny'),
      [],
    );
    await storeOf(after).import(from.one, { name: 'tiny' });
    await wholeStore(disk);
  }
  assert.ok(deaths > 25, `${deaths} deaths`);
});

test('a death at any step of a removal leaves a whole store, and removing again finishes it', async () => {
  let deaths = 0;
  for (let n = 1; ; n++) {
    const disk = memoryDisk();
    const before = imageWorld({ disk });
    const from = await sources(before);
    const kept = await storeOf(before).import(from.two, { name: 'kept' });
    const gone = await storeOf(before).import(from.one, { name: 'gone' });
    if (!(await dying(disk, n, (world) => storeOf(world).remove('gone')))) break;
    deaths++;
    await wholeStore(disk);
    const after = storeOf(imageWorld({ disk }));
    if ((await after.list()).some(({ digest }) => digest === gone.digest)) await after.remove(n === 1 ? 'gone' : gone.digest);
    await after.collect();
    assert.deepEqual(
      (await after.list()).map(({ digest }) => digest),
      [kept.digest],
    );
    const manifest = await after.manifest(kept.digest);
    const wanted = new Set(manifest.chunks.flatMap((chunk) => ('sha256' in chunk ? [chunk.sha256] : [])));
    assert.equal(filesUnder(disk, '/images/chunks/').length, wanted.size);
  }
  assert.ok(deaths >= 3, `${deaths} deaths`);
});

test('what a killed write left beside a chunk is swept', async () => {
  const world = imageWorld();
  const store = storeOf(world);
  const { digest } = await store.import(await place(world, '/in/plain', diskImage(65_536, [], noise)), { name: 'tiny' });
  const [chunk = ''] = filesUnder(world.files.disk, '/images/chunks/');
  const left = `${chunk.slice(0, -64)}.${chunk.slice(-64)}.0a0b0c0d0e0f.new`;
  await world.files.write(left, 'half');
  assert.deepEqual(await store.collect(), { images: [], files: 1, bytes: 4 });
  assert.equal(await world.files.stat(left), undefined);
  assert.equal((await store.verify(digest)).ok, true);
});
