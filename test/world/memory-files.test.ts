/** The files in memory keep the contract of the real ones: one suite, run on both. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import { realFiles } from '../../src/world/files.ts';
import { MemoryFiles } from './memory-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-files-'));
after(() => rmSync(folder, { recursive: true }));
const refused = (code: Code) => (error: unknown) => error instanceof RemudaError && error.code === code;

for (const [name, files] of [
  ['real', realFiles],
  ['memory', new MemoryFiles()],
] as const) {
  test(`${name}: what is written is read, whole and in ranges`, async () => {
    await files.makeFolder(`${folder}/a/b`);
    await files.makeFolder(`${folder}/a/b`);
    const bytes = Buffer.from('0123456789');
    await files.write(`${folder}/a/b/file`, bytes);
    bytes.fill(0);
    const text = async (range?: { offset: number; length: number }): Promise<string> =>
      Buffer.from(await files.read(`${folder}/a/b/file`, range)).toString();
    assert.equal(await text(), '0123456789');
    assert.equal(await text({ offset: 2, length: 3 }), '234');
    assert.equal(await text({ offset: 8, length: 100 }), '89');
    assert.equal(await text({ offset: 20, length: 1 }), '');
    const read = await files.read(`${folder}/a/b/file`);
    read.fill(0);
    await files.write(`${folder}/a/b/other`, 'räksmörgås');
    assert.equal(await text(), '0123456789');
    assert.deepEqual(await files.list(`${folder}/a/b`), ['file', 'other']);
    assert.deepEqual(await files.list(`${folder}/a`), ['b']);
    assert.equal((await files.stat(`${folder}/a/b/other`))?.sizeBytes, 13);
    assert.equal((await files.stat(`${folder}/a/b`))?.kind, 'directory');
  });

  test(`${name}: what is not there is said so`, async () => {
    await files.makeFolder(folder);
    assert.equal(await files.stat(`${folder}/none`), undefined);
    assert.deepEqual(await files.list(`${folder}/none`), []);
    await files.remove(`${folder}/none`);
    await assert.rejects(files.read(`${folder}/none`), refused('not-found'));
    await assert.rejects(files.write(`${folder}/none/file`, 'x'), refused('not-found'));
    await assert.rejects(files.freeBytes(`${folder}/none`), refused('not-found'));
    assert.ok((await files.freeBytes(folder)) > 0);
  });

  test(`${name}: a folder goes when it is empty`, async () => {
    await files.makeFolder(`${folder}/c`);
    await files.write(`${folder}/c/file`, 'x');
    await assert.rejects(files.remove(`${folder}/c`), refused('internal'));
    await files.remove(`${folder}/c/file`);
    await files.remove(`${folder}/c`);
    assert.equal(await files.stat(`${folder}/c`), undefined);
  });
}

test('a fault before a write leaves the disk as it was, and the disk outlives its process', async () => {
  const first = new MemoryFiles({ now: () => 7 });
  await first.write('/file', 'old');
  const faulty = new MemoryFiles({
    disk: first.disk,
    beforeWrite: (path, change) => {
      throw new RemudaError('disk-full', `${change} ${path}`);
    },
  });
  await assert.rejects(faulty.write('/file', 'new'), /write \/file/);
  await assert.rejects(faulty.remove('/file'), /remove \/file/);
  await assert.rejects(faulty.makeFolder('/x'), /makeFolder \/x/);
  const next = new MemoryFiles({ disk: first.disk, capacityBytes: 5 });
  assert.equal(Buffer.from(await next.read('/file')).toString(), 'old');
  assert.equal((await next.stat('/file'))?.modifiedMs, 7);
  await assert.rejects(next.write('/other', 'abc'), refused('disk-full'));
  await next.write('/file', 'abcde');
});
