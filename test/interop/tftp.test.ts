/** The judges of TFTP: tftp-hpa, curl and BusyBox fetch files from our real server, byte for byte. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cable } from './dhcp-tftp-cable.ts';

const timeout = 60_000;
/** Blocks of 512: less than one, whole ones, a boot file, and more blocks than 16 bits count. */
const files: Readonly<Record<string, Buffer>> = {
  'empty.bin': Buffer.alloc(0),
  'small.bin': randomBytes(100),
  'whole.bin': randomBytes(512 * 6),
  'snponly.efi': randomBytes(850_001),
  'wrap.bin': randomBytes(512 * 65_600 + 7),
};
const rack = async (name: string): Promise<Cable> => {
  const cable = new Cable(name);
  const folder = join(cable.folder, 'files');
  mkdirSync(folder);
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(folder, file), bytes);
  cable.giveClientAddress('10.77.0.50');
  await cable.serve({ leaseSeconds: 60, folder });
  return cable;
};
const fetched = (path: string, file: string): void =>
  assert.ok(readFileSync(path).equals(files[file] ?? Buffer.alloc(1)), `${file} is not what was served`);

test('tftp-hpa', { timeout }, async () => {
  await using cable = await rack('hpa');
  const got = join(cable.folder, 'got');
  for (const file of Object.keys(files)) {
    // oxlint-disable-next-line no-await-in-loop -- one client after the other
    await cable.run('tftp', '-m', 'binary', '10.77.0.1', '-c', 'get', file, got);
    fetched(got, file);
  }
  const refused = await cable.run('tftp', '-m', 'binary', '10.77.0.1', '-c', 'get', 'nosuch', join(cable.folder, 'not-got'));
  assert.match(refused, /Error code 1: no such file/);
  const { tftp } = await cable.counters();
  assert.deepEqual(
    { done: tftp['done'], notFound: tftp['notFound'], timeout: tftp['timeout'], failed: tftp['failed'] },
    { done: 5, notFound: 1, timeout: 0, failed: 0 },
  );
});

test('curl, with blksize, tsize and timeout', { timeout }, async () => {
  await using cable = await rack('curl');
  const got = join(cable.folder, 'got');
  for (const blockBytes of [512, 1468, 8192]) {
    for (const file of ['small.bin', 'whole.bin', 'snponly.efi', ...(blockBytes === 512 ? [] : ['wrap.bin'])]) {
      // oxlint-disable-next-line no-await-in-loop -- one client after the other
      await cable.run(
        'curl',
        '--silent',
        '--show-error',
        '--tftp-blksize',
        String(blockBytes),
        '--output',
        got,
        `tftp://10.77.0.1//${file}`,
      );
      fetched(got, file);
    }
  }
  const { tftp } = await cable.counters();
  assert.deepEqual({ done: tftp['done'], failed: tftp['failed'], malformed: tftp['malformed'] }, { done: 11, failed: 0, malformed: 0 });
});

test('BusyBox, in blocks of its own size, four at once', { timeout }, async () => {
  await using cable = await rack('bbtftp');
  await Promise.all(
    [1000, 1428, 1468, 16_384].map(async (blockBytes) => {
      const got = join(cable.folder, `got-${blockBytes}`);
      await cable.run('busybox', 'tftp', '-g', '-b', String(blockBytes), '-r', '/snponly.efi', '-l', got, '10.77.0.1');
      fetched(got, 'snponly.efi');
    }),
  );
});
