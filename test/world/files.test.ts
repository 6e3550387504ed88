/** Files: whole or not there, also when the disk is full. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { realFiles as files } from '../../src/world/files.ts';
import { isolated } from './isolated.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-files-'));
after(() => rmSync(folder, { recursive: true }));
const refused = (code: string) => (error: unknown) => error instanceof RemudaError && error.code === code;

test('write replaces the whole file, with the mode asked for, and leaves nothing beside it', async () => {
  const path = join(folder, 'whole', 'lease.json');
  await files.makeFolder(join(folder, 'whole'));
  await files.write(path, 'a much longer first text', 0o600);
  await files.write(path, Buffer.from('second'), 0o640);
  assert.equal(readFileSync(path, 'utf8'), 'second');
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(join(folder, 'whole')), ['lease.json']);
});

test('a write that cannot be renamed into place leaves the old and no rest', async () => {
  const path = join(folder, 'taken');
  mkdirSync(join(path, 'inside'), { recursive: true });
  await assert.rejects(files.write(path, 'x'), refused('internal'));
  assert.deepEqual(readdirSync(path), ['inside']);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.new')),
    [],
  );
});

test('a full disk: disk-full, the old file as it was, no rest', () => {
  const script = `
    import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
    import { execFileSync } from 'node:child_process';
    import { realFiles as files } from ${JSON.stringify(new URL('../../src/world/files.ts', import.meta.url).href)};
    const at = ${JSON.stringify(join(folder, 'small'))};
    mkdirSync(at);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', at]);
    await files.write(at + '/state', 'old');
    const code = await files.write(at + '/state', Buffer.alloc(1024 * 1024)).then(() => 'written', (error) => error.code);
    console.log(JSON.stringify({ code, left: readdirSync(at), text: readFileSync(at + '/state', 'utf8') }));`;
  const [command, ...args] = isolated('mount', [process.execPath, '--input-type=module', '-e', script]);
  const said = JSON.parse(execFileSync(command, args, { encoding: 'utf8' })) as unknown;
  assert.deepEqual(said, { code: 'disk-full', left: ['state'], text: 'old' });
});

test('read: whole, a range, a range over the end, nothing there', async () => {
  const path = join(folder, 'text');
  writeFileSync(path, '0123456789');
  const text = async (range?: { offset: number; length: number }) => Buffer.from(await files.read(path, range)).toString();
  assert.equal(await text(), '0123456789');
  assert.equal(await text({ offset: 3, length: 4 }), '3456');
  assert.equal(await text({ offset: 8, length: 100 }), '89');
  assert.equal(await text({ offset: 20, length: 1 }), '');
  await assert.rejects(files.read(join(folder, 'none')), refused('not-found'));
  await assert.rejects(files.read(join(path, 'below-a-file'), { offset: 0, length: 1 }), refused('not-found'));
});

test('stat, list, makeFolder and remove take what is not there', async () => {
  const path = join(folder, 'deep', 'er');
  assert.equal(await files.stat(path), undefined);
  assert.deepEqual(await files.list(path), []);
  await files.remove(path);
  await files.makeFolder(path);
  await files.makeFolder(path);
  await files.write(join(path, 'b'), 'b');
  await files.write(join(path, 'a'), 'aa');
  assert.deepEqual(await files.list(path), ['a', 'b']);
  assert.deepEqual((await files.stat(path))?.kind, 'directory');
  assert.equal((await files.stat(join(path, 'a')))?.sizeBytes, 2);
  assert.equal((await files.stat('/dev/null'))?.kind, 'other');
  await assert.rejects(files.remove(path), RemudaError, 'a folder with files in it is not removed by accident');
  await files.remove(join(path, 'a'));
  await files.remove(join(path, 'b'));
  await files.remove(path);
  assert.equal(await files.stat(path), undefined);
});
