/** What a restore refuses before it touches anything: which file it was, and what to do in that case. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RemudaError } from '../src/errors.ts';
import { restore } from '../src/restore.ts';
import type { RestoreWish } from '../src/restore.ts';
import { realWorld } from '../src/world/real.ts';

const ending = new AbortController();
const world = realWorld({ signal: ending.signal, log: { level: 'silent' } });
let folder = '';
const at = (name: string): string => join(folder, name);
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'remuda-restore-'));
  await writeFile(at('key'), `${'1'.repeat(64)}\n`);
  await writeFile(at('nokey'), 'zz');
  await writeFile(at('x.tar'), 'no archive');
  await mkdir(at('there'));
  await writeFile(at('there/remuda.db'), '');
});
after(async () => {
  ending.abort();
  await rm(folder, { recursive: true });
});

describe('a restore', () => {
  const cases: readonly { name: string; wish: Partial<Record<'file' | 'data' | 'keyFile', string>>; code: string; says: RegExp }[] = [
    { name: 'without any key', wish: {}, code: 'bad-config', says: /^there is no key: [^]*\n.*--key-file FILE$/ },
    {
      name: 'with a key that is not there',
      wish: { keyFile: 'none' },
      code: 'bad-config',
      says: /^there is no key at \S+\/none, [^]*\n.*--key-file FILE$/,
    },
    { name: 'with what is no key', wish: { keyFile: 'nokey' }, code: 'bad-config', says: /\/nokey holds no key: [^]*\n.*as it was made/ },
    {
      name: 'of nothing',
      wish: { keyFile: 'key', file: 'none.tar' },
      code: 'not-found',
      says: /no backup at \S+\/none\.tar: no such file\n.*remuda backup/,
    },
    {
      name: 'of a folder',
      wish: { keyFile: 'key', file: 'there' },
      code: 'not-found',
      says: /no backup at \S+\/there: that is a folder\n/,
    },
    {
      name: 'of what is no backup',
      wish: { keyFile: 'key' },
      code: 'bad-request',
      says: /^\S+\/x\.tar: this is no whole backup[^]*\n.*--check$/,
    },
    {
      name: 'over a folder with data',
      wish: { keyFile: 'key', data: 'there' },
      code: 'conflict',
      says: /holds data already: say --replace/,
    },
  ];
  for (const { name, wish, code, says } of cases)
    test(`${name} says what to do, and leaves everything as it was`, async () => {
      const found = await readdir(folder);
      const whole: RestoreWish = {
        file: at(wish.file ?? 'x.tar'),
        data: at(wish.data ?? 'data'),
        ...(wish.keyFile === undefined ? {} : { keyFile: at(wish.keyFile) }),
        replace: false,
        check: false,
        hold: true,
        onProgress: () => {},
      };
      await assert.rejects(restore(world, whole), (error: unknown) => {
        assert.ok(error instanceof RemudaError, String(error));
        assert.equal(error.code, code);
        assert.match(`${error.message}\n${error.next ?? ''}`, says);
        assert.doesNotMatch(error.next ?? '', /configuration file|openssl/, 'a new key, or another setting, would not help');
        return true;
      });
      assert.deepEqual(await readdir(folder), found);
    });
});
