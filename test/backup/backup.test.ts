/** A backup made while the store is written, read by GNU tar and by us, and restored; whatever is not a whole backup is refused and leaves nothing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { backupOf, clearBackups } from '../../src/backup/make.ts';
import { restoreBackup } from '../../src/backup/restore.ts';
import type { Restored } from '../../src/backup/restore.ts';
import { tarOf, untar } from '../../src/backup/tar.ts';
import type { TarEntry } from '../../src/backup/tar.ts';
import { newHost } from '../../src/host/host.ts';
import { schemaVersion } from '../../src/store/schema.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { realFiles } from '../../src/world/files.ts';
import { complianceLimits, entry } from '../compliance/store.ts';
import { sealerOf, testSealer } from '../store/sealer.ts';

const inFolder = async (run: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'backup-'));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
};
const world = {
  files: realFiles,
  clock: { now: () => Date.UTC(2026, 10, 21), sleep: () => Promise.resolve(), after: () => () => undefined, soon: setImmediate },
  random: { next: () => 0.5, bytes: (count: number) => new Uint8Array(count).fill(7) },
};
const about = { version: '1.2.3', schema: schemaVersion, sealedWith: testSealer.keyId };
const chunk = 'c'.repeat(64);
const dataFolder = async (folder: string): Promise<Store> => {
  const data = join(folder, 'data');
  for (const below of ['images/chunks/cc', 'images/manifests', 'images/names']) await realFiles.makeFolder(join(data, below));
  await writeFile(join(data, `images/chunks/cc/${chunk}`), Buffer.alloc(3_000_000, 'x'));
  await writeFile(join(data, 'images/chunks/cc/.half.new'), 'left by a killed write');
  await writeFile(join(data, 'images/names/tiny'), `sha256:${'d'.repeat(64)}\n`);
  await writeFile(join(data, `images/manifests/${'d'.repeat(64)}.json`), '{}');
  const store = await openSqliteStore(join(data, 'remuda.db'), complianceLimits, { sealer: testSealer });
  const bmc = { protocol: 'redfish', url: 'https://10.0.0.1', username: 'admin', password: 'backup-secret' } as const;
  await store.create({ ...newHost({ id: 'h1', name: 'one', state: 'enrolled', macs: [], bmc }, 1) }, [entry('h1', 'enrolled')]);
  return store;
};
const archiveOf = (folder: string, store: Store): AsyncGenerator<Uint8Array> =>
  backupOf({ world, store, data: join(folder, 'data'), about }, { images: true });
const pieces = (bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> =>
  (async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  })();
const restore = (folder: string, bytes: Uint8Array, sealer = testSealer): Promise<Restored> =>
  restoreBackup({
    files: realFiles,
    archive: pieces(bytes, 10_007),
    into: join(folder, 'restored'),
    schemaVersion,
    tryDatabase: async (path) => {
      const store = await openSqliteStore(path, complianceLimits, { sealer });
      await store.hosts();
      await store.close();
    },
  });

test('a backup made while the store is written holds one state of it, and is a data folder again', () =>
  inFolder(async (folder) => {
    const store = await dataFolder(folder);
    let host = await store.host('h1');
    const writing = (async () => {
      for (let turn = 0; turn < 50 && host !== undefined; turn += 1) host = await store.save(host, [entry('h1', `turn ${turn}`)]);
    })();
    const bytes = Buffer.concat(await Array.fromAsync(archiveOf(folder, store)));
    await writing;
    await store.close();
    assert.ok(!bytes.includes('backup-secret'), 'no secret stands in clear in a backup');
    assert.deepEqual(
      (await readdir(join(folder, 'data'))).filter((name) => name.startsWith('backup-')),
      [],
    );

    await writeFile(join(folder, 'b.tar'), bytes);
    execFileSync('tar', ['-xf', join(folder, 'b.tar'), '-C', folder]);
    execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: folder });

    const restored = await restore(folder, bytes);
    assert.deepEqual(restored.about, { format: 1, ...about, madeAt: world.clock.now(), images: true });
    assert.equal((await readFile(join(folder, 'restored', `images/chunks/cc/${chunk}`))).length, 3_000_000);
    assert.deepEqual(await readdir(join(folder, 'restored', 'images/chunks/cc')), [chunk]);
    const again = await openSqliteStore(join(folder, 'restored', 'remuda.db'), complianceLimits, { sealer: testSealer });
    const found = await again.host('h1');
    assert.equal(found?.bmc?.password, 'backup-secret');
    // State and journal are of the same moment.
    assert.equal((await again.timeline('h1', { most: 100 })).length, found?.version);
    await again.close();
  }));

test('what is not a whole backup is refused, and nothing of it stays', () =>
  inFolder(async (folder) => {
    const store = await dataFolder(folder);
    const bytes = Buffer.concat(await Array.fromAsync(archiveOf(folder, store)));
    await store.close();
    const refuse = async (bad: Uint8Array, why: RegExp, sealer = testSealer): Promise<void> => {
      await assert.rejects(restore(folder, bad, sealer), why);
      assert.equal(await realFiles.stat(join(folder, 'restored')), undefined);
    };
    for (const cut of [0, 100, 512, 5_000, bytes.length - 5_000]) await refuse(bytes.subarray(0, cut), /no whole backup/);
    const damaged = Buffer.from(bytes);
    const at = damaged.lastIndexOf('xxxxxxxx');
    damaged[at] = 'y'.charCodeAt(0);
    await refuse(damaged, /images\/chunks\/cc\/c+ is damaged/);
    await refuse(Buffer.from('hello '.repeat(1000)), /not a tar archive/);
    await refuse(bytes, /sealed with key/, sealerOf('9'));
    const evil = async function* (): AsyncGenerator<TarEntry> {
      const text = (name: string, said: string): TarEntry => ({ name, sizeBytes: said.length, bytes: pieces(Buffer.from(said), 100) });
      yield text('about.json', JSON.stringify({ format: 1, ...about, madeAt: 1, images: true }));
      yield text('images/../../outside', 'x');
    };
    await refuse(Buffer.concat(await Array.fromAsync(tarOf(evil(), 0))), /does not belong into a backup/);
    await assert.rejects(readFile(join(folder, 'outside')), /ENOENT/);
  }));

test('a newer schema is refused by name', () =>
  inFolder(async (folder) => {
    const store = await dataFolder(folder);
    const newer = backupOf({ world, store, data: join(folder, 'data'), about: { ...about, schema: 99 } }, { images: false });
    const bytes = Buffer.concat(await Array.fromAsync(newer));
    await store.close();
    await assert.rejects(restore(folder, bytes), /newer Remuda \(1\.2\.3, schema 99/);
  }));

test('a copy that a killed daemon left behind goes at the next start', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'backup-070707070707.db'), 'x');
    await writeFile(join(folder, 'remuda.db'), 'x');
    await clearBackups(realFiles, folder);
    assert.deepEqual(await readdir(folder), ['remuda.db']);
  }));

test('GNU tar makes what we read', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'one'), 'first');
    await writeFile(join(folder, 'two'), Buffer.alloc(1025, 'z'));
    execFileSync('tar', ['--format=ustar', '-cf', 'x.tar', 'one', 'two'], { cwd: folder });
    const found: (readonly [string, number])[] = [];
    for await (const { name, bytes } of untar(pieces(await readFile(join(folder, 'x.tar')), 333)))
      found.push([name, Buffer.concat(await Array.fromAsync(bytes)).length]);
    assert.deepEqual(found, [
      ['one', 5],
      ['two', 1025],
    ]);
  }));
