/** What the tests of the image recipes have in common: building, building again, looking into the root. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

export const run = promisify(execFile);
export const images = join(import.meta.dirname, '../../images');
export const minute = 60_000;

/** Tools that the recipes need; without one of them (a laptop, say) the tests that build are skipped. */
const tools = [
  '/usr/bin/busybox',
  '/usr/bin/mcopy',
  '/usr/bin/cpio',
  '/usr/bin/zstd',
  '/usr/sbin/mkfs.vfat',
  '/usr/bin/grub-mkimage',
  '/usr/lib/grub/i386-pc/boot.img',
  '/usr/lib/grub/x86_64-efi/fat.mod',
];
const debianTools = ['/usr/bin/mmdebstrap', '/usr/bin/mksquashfs', '/usr/share/keyrings/debian-archive-keyring.gpg'];
const skipWithout = (...names: readonly string[]): string | false => {
  const missing = names.filter((tool) => !existsSync(tool) && !existsSync(tool.replace('/usr', '')));
  return missing.length > 0 && `missing: ${missing.join(', ')}`;
};
export const skip = skipWithout(...tools);
export const skipDebian = skipWithout(...tools, ...debianTools);
export const skipKubernetes = skipWithout(...tools, ...debianTools, '/usr/bin/gcc');

/** Runs build.sh and returns the directory that it names on its last line. */
export const build = async (...words: string[]): Promise<string> => {
  const { stdout } = await run(join(images, 'build.sh'), words, { timeout: 25 * minute, maxBuffer: 64 * 1024 * 1024 });
  return stdout.trimEnd().split('\n').at(-1) ?? '';
};

export const sha256 = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
};

/**
 * A second build costs minutes, and its proof holds as long as nothing changes that decides the bytes: the result's folder is named by a hash
 * of recipe, packages and tools, and the proof is noted in it.
 */
export const builtTwice = async (folder: string, image: string): Promise<void> => {
  const note = join(folder, 'built-twice.json');
  const digest = await sha256(join(folder, image));
  if (existsSync(note) && JSON.parse(await readFile(note, 'utf8')).sha256 === digest) return console.log(`proved before: ${note}`);
  const temp = await mkdtemp(join(tmpdir(), 'remuda-images-'));
  try {
    const second = join(temp, image);
    await run(join(images, image.replace('.raw', ''), 'build.sh'), [second], { timeout: 20 * minute, maxBuffer: 64 * 1024 * 1024 });
    assert.equal(await sha256(second), digest);
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
  await writeFile(note, JSON.stringify({ sha256: digest }));
};

/** Looks into the squashfs of the fourth partition. */
export const rootOf = async (image: string) => {
  const file = await open(image);
  const head = Buffer.alloc(1024 + 4 * 128);
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  const entry = head.subarray(1024 + 3 * 128);
  assert.equal(entry.toString('utf16le', 56, 128).replace(/\0+$/, ''), 'ROOT');
  const offset = String(Number(entry.readBigUInt64LE(32)) * 512);
  return {
    cat: async (...files: string[]) => (await run('unsquashfs', ['-o', offset, '-cat', image, ...files])).stdout,
    list: async () => (await run('unsquashfs', ['-o', offset, '-lls', image], { maxBuffer: 64 * 1024 * 1024 })).stdout,
  };
};

export const rootHoldsNothingOfOneMachine = async (image: string): Promise<void> => {
  const { cat, list } = await rootOf(image);
  assert.equal(await cat('etc/machine-id'), '');
  // No password of anybody: locked (*, !) or locked and empty.
  assert.deepEqual(
    (await cat('etc/shadow')).split('\n').filter((line) => line !== '' && !/^[^:]+:[!*]+:/.test(line)),
    [],
  );
  const all = await list();
  assert.doesNotMatch(all, /ssh_host_|var\/lib\/systemd\/random-seed|\/var\/log\/\S/);
  assert.match(all, /squashfs-root\/var\/lib\/cloud\/seed\/nocloud -> \/run\/remuda\/seed/);
};
