/** Image formats before their own makers: what qemu-img, xz and gzip write is read as what they say it is, and what we refuse they made. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openFile } from '../../src/image/bytes.ts';
import { openSource } from '../../src/image/source.ts';
import { limits } from '../../src/limits.ts';
import { realFiles } from '../../src/world/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-formats-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const run = (command: string, ...args: string[]): Buffer =>
  execFileSync(command, args, { timeout: 60_000, stdio: ['ignore', 'pipe', 'pipe'], cwd: folder, maxBuffer: 64 * 1024 * 1024 });
const image = (...args: string[]): Buffer => run('qemu-img', ...args);
const digestOf = async (name: string): Promise<string> => {
  const hash = createHash('sha256');
  const source = await openSource(await openFile(realFiles, at(name)), limits);
  for await (const piece of source.pieces()) hash.update(piece);
  return hash.digest('hex');
};
const sha256 = (name: string): string =>
  createHash('sha256')
    .update(readFileSync(at(name)))
    .digest('hex');

// Text packs well, noise does not, zeros are holes; the length is no multiple of a large cluster.
const disk = Buffer.alloc(9 * 1024 * 1024 + 1536);
disk.set(randomBytes(700_000), 1_000_000);
disk.fill('all work and no play makes jack a dull boy\n', 3_000_000, 5_000_000);
disk.set(randomBytes(1536), disk.length - 1536);
writeFileSync(at('disk.raw'), disk);

const makes: readonly { readonly name: string; readonly options: readonly string[] }[] = [
  ...['512', '4k', '64k', '2M'].flatMap((size) => [
    { name: `clusters of ${size}`, options: ['-o', `cluster_size=${size}`] },
    { name: `clusters of ${size}, deflate`, options: ['-c', '-o', `cluster_size=${size}`] },
    { name: `clusters of ${size}, zstd`, options: ['-c', '-o', `cluster_size=${size},compression_type=zstd`] },
  ]),
  { name: 'version 2', options: ['-o', 'compat=0.10'] },
  { name: 'version 2, deflate', options: ['-c', '-o', 'compat=0.10'] },
  { name: 'allocated before it is written', options: ['-o', 'preallocation=metadata'] },
  { name: 'zeros written out', options: ['-S', '0'] },
  { name: 'references counted lazily', options: ['-o', 'lazy_refcounts=on'] },
];
for (const { name, options } of makes)
  test(`qemu-img convert, ${name}`, async () => {
    image('convert', '-f', 'raw', '-O', 'qcow2', ...options, 'disk.raw', 'disk.qcow2');
    image('convert', '-f', 'qcow2', '-O', 'raw', 'disk.qcow2', 'back.raw');
    // What QEMU reads back is padded to whole sectors, as ours is.
    assert.equal(await digestOf('disk.qcow2'), sha256('back.raw'));
  });

test('a disk with a snapshot inside: its present state', async () => {
  image('convert', '-O', 'qcow2', 'disk.raw', 'snapshot.qcow2');
  image('snapshot', '-c', 'before', 'snapshot.qcow2');
  run('qemu-io', '-c', 'write -P 0x55 0 128k', 'snapshot.qcow2');
  image('convert', '-O', 'raw', 'snapshot.qcow2', 'back.raw');
  assert.equal(await digestOf('snapshot.qcow2'), sha256('back.raw'));
});
test('zeros over written clusters, and a disk that grew', async () => {
  image('convert', '-O', 'qcow2', 'disk.raw', 'grown.qcow2');
  run('qemu-io', '-c', 'write -z 1M 1M', '-c', 'discard 3M 256k', 'grown.qcow2');
  image('resize', 'grown.qcow2', '200M');
  image('convert', '-O', 'raw', 'grown.qcow2', 'back.raw');
  assert.equal(await digestOf('grown.qcow2'), sha256('back.raw'));
});

const refusals: readonly { readonly name: string; readonly make: () => void; readonly says: RegExp }[] = [
  {
    name: 'a backing file',
    make: () => image('create', '-f', 'qcow2', '-b', 'disk.raw', '-F', 'raw', 'bad.qcow2'),
    says: /backing file.*qemu-img convert/,
  },
  {
    name: 'an external data file',
    make: () => image('create', '-f', 'qcow2', '-o', 'data_file=outside.raw', 'bad.qcow2', '8M'),
    says: /external data file/,
  },
  {
    name: 'encryption',
    make: () => {
      writeFileSync(at('secret'), 'swordfish');
      image(
        'create',
        '-f',
        'qcow2',
        '--object',
        'secret,id=s,file=secret',
        '-o',
        'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
        'bad.qcow2',
        '8M',
      );
    },
    says: /is encrypted/,
  },
  { name: 'subclusters', make: () => image('create', '-f', 'qcow2', '-o', 'extended_l2=on', 'bad.qcow2', '8M'), says: /extended_l2=off/ },
  {
    name: 'a file that was cut off',
    make: () => {
      image('convert', '-O', 'qcow2', 'disk.raw', 'bad.qcow2');
      truncateSync(at('bad.qcow2'), 2 * 1024 * 1024);
    },
    says: /cut off/,
  },
  {
    name: 'a disk above the limit',
    make: () => image('create', '-f', 'qcow2', 'bad.qcow2', '1T'),
    says: /holds a disk of 1099511627776 bytes/,
  },
  { name: 'VMDK', make: () => image('convert', '-O', 'vmdk', 'disk.raw', 'bad.qcow2'), says: /VMDK.*qemu-img convert/ },
  { name: 'VHDX', make: () => image('convert', '-O', 'vhdx', 'disk.raw', 'bad.qcow2'), says: /VHDX.*qemu-img convert/ },
];
for (const { name, make, says } of refusals)
  test(`refuses ${name}`, async () => {
    rmSync(at('bad.qcow2'), { force: true });
    make();
    await assert.rejects(digestOf('bad.qcow2'), says);
  });

const xz: readonly { readonly args: readonly string[]; readonly says?: RegExp }[] = [
  { args: ['-0'] },
  { args: ['-6'] },
  { args: ['-9'] },
  { args: ['--check=crc32'] },
  { args: ['-T2', '--block-size=1MiB'] },
  { args: ['--check=sha256'], says: /checksum that is not known here/ },
  { args: ['--lzma2=dict=128MiB'], says: /more than 64 MiB of memory/ },
  { args: ['--delta', '--lzma2'], says: /filter/ },
];
for (const { args, says } of xz)
  test(`xz ${args.join(' ')}`, async () => {
    writeFileSync(at('disk.raw.xz'), run('xz', ...args, '-kc', 'disk.raw'));
    if (says === undefined) assert.equal(await digestOf('disk.raw.xz'), sha256('disk.raw'));
    else await assert.rejects(digestOf('disk.raw.xz'), says);
  });
test('several xz streams, one after the other, are refused', async () => {
  const one = run('xz', '-kc', 'disk.raw');
  writeFileSync(at('two.xz'), Buffer.concat([one, one]));
  await assert.rejects(digestOf('two.xz'), /not one stream but several.*xz -dc/);
});

test('gzip, in one member and in several', async () => {
  const one = run('gzip', '-kc', 'disk.raw');
  writeFileSync(at('one.gz'), one);
  assert.equal(await digestOf('one.gz'), sha256('disk.raw'));
  writeFileSync(at('two.gz'), Buffer.concat([one, one]));
  const twice = createHash('sha256').update(disk).update(disk).digest('hex');
  assert.equal(await digestOf('two.gz'), twice);
});
