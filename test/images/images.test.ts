/** The image recipes: what they promise about size and sameness. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const images = join(import.meta.dirname, '../../images');
const minute = 60_000;

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
const missing = tools.filter((tool) => !existsSync(tool) && !existsSync(tool.replace('/usr', '')));
const skip = missing.length > 0 && `missing: ${missing.join(', ')}`;

let temp: string;
before(async () => {
  temp = await mkdtemp(join(tmpdir(), 'remuda-images-'));
});
after(() => rm(temp, { recursive: true, force: true }));

/** Runs build.sh and returns the directory that it names on its last line. */
async function build(...words: string[]): Promise<string> {
  const { stdout } = await run(join(images, 'build.sh'), words, { timeout: 5 * minute });
  return stdout.trimEnd().split('\n').at(-1) ?? '';
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/**
 * A second build costs minutes, and its proof holds as long as nothing changes that decides the bytes: the result's folder is named by a hash
 * of recipe, packages and tools, and the proof is noted in it.
 */
async function builtTwice(folder: string, image: string): Promise<void> {
  const note = join(folder, 'built-twice.json');
  const digest = await sha256(join(folder, image));
  if (existsSync(note) && JSON.parse(await readFile(note, 'utf8')).sha256 === digest) return console.log(`proved before: ${note}`);
  const second = join(temp, image);
  await run(join(images, image.replace('.raw', ''), 'build.sh'), [second], { timeout: 20 * minute });
  assert.equal(await sha256(second), digest);
  await writeFile(note, JSON.stringify({ sha256: digest }));
}

test('the agent passes its own tests', { timeout: 5 * minute }, async () => {
  const path = `${process.env['PATH']}:/usr/local/go/bin`;
  await run('go', ['vet', './...'], { cwd: join(images, 'agent'), env: { ...process.env, PATH: path } });
  await run('go', ['test', './...'], { cwd: join(images, 'agent'), env: { ...process.env, PATH: path } });
});

test('the ramdisk is small and described by its own digests', { skip, timeout: 6 * minute }, async () => {
  const result = await build('ramdisk');
  const description = JSON.parse(await readFile(join(result, 'ramdisk.json'), 'utf8'));
  const [kernel, initrd] = [join(result, 'vmlinuz'), join(result, 'initrd.zst')];
  assert.deepEqual(description.vmlinuz, { sha256: await sha256(kernel), sizeBytes: (await stat(kernel)).size });
  assert.deepEqual(description.initrd, { sha256: await sha256(initrd), sizeBytes: (await stat(initrd)).size });
  assert.ok(description.initrd.sizeBytes <= 8_000_000, `initrd ${description.initrd.sizeBytes}`);
  assert.ok(description.initrd.sizeBytes + description.vmlinuz.sizeBytes <= 25_000_000);
  assert.match(description.kernelVersion, /^\d+\.\d+/);
});

test('two builds of the tiny image are the same, another release is not', { skip, timeout: 10 * minute }, async () => {
  const folder = await build('tiny');
  await builtTwice(folder, 'tiny.raw');
  const first = join(folder, 'tiny.raw');
  assert.notEqual(await sha256(join(await build('tiny', '--release', 'two'), 'tiny.raw')), await sha256(first));
  const { size } = await stat(first);
  assert.ok(size <= 24_200_000, `tiny ${size}`);
  assert.equal(size % 512, 0);
});

test('the tiny image has a boot record and the CIDATA partition', { skip, timeout: 5 * minute }, async () => {
  const image = await readFile(join(await build('tiny'), 'tiny.raw'));
  assert.equal(image.readUInt16LE(510), 0xaa55); // UEFI 2.10 §5.2.1
  assert.equal(image.toString('latin1', 512, 520), 'EFI PART'); // §5.3.2
  const entry = image.subarray(1024 + 2 * 128, 1024 + 3 * 128);
  assert.equal(entry.toString('utf16le', 56, 128).replace(/\0+$/, ''), 'CIDATA');
  const start = Number(entry.readBigUInt64LE(32)) * 512;
  const length = (Number(entry.readBigUInt64LE(40)) + 1) * 512 - start;
  assert.equal(length, 2 << 20);
  assert.equal(image.toString('latin1', start + 43, start + 49), 'CIDATA'); // the FAT's own label
});

test('a second call finds the result in the cache', { skip, timeout: 5 * minute }, async () => {
  const result = await build('tiny');
  const started = performance.now();
  assert.equal(await build('tiny'), result);
  const seconds = (performance.now() - started) / 1000;
  assert.ok(seconds < 2, `${seconds} s`); // 0.1 s on an idle machine
  assert.notEqual(await build('tiny', '--release', 'two'), result);
});

const debianTools = ['/usr/bin/mmdebstrap', '/usr/bin/mksquashfs', '/usr/share/keyrings/debian-archive-keyring.gpg'];
const debianMissing = [...missing, ...debianTools.filter((tool) => !existsSync(tool))];
const skipDebian = debianMissing.length > 0 && `missing: ${debianMissing.join(', ')}`;

test(
  'two builds of the debian image are the same, and hold nothing of one machine',
  { skip: skipDebian, timeout: 40 * minute },
  async () => {
    const { stdout } = await run(join(images, 'build.sh'), ['debian'], { timeout: 20 * minute });
    const folder = stdout.trimEnd().split('\n').at(-1) ?? '';
    const built = join(folder, 'debian.raw');
    const about = JSON.parse(await readFile(join(folder, 'debian.json'), 'utf8'));
    assert.deepEqual(about, { release: 'bookworm', sha256: await sha256(built), sizeBytes: (await stat(built)).size });
    assert.ok(about.sizeBytes <= 150_000_000, `debian ${about.sizeBytes}`);
    await builtTwice(folder, 'debian.raw');
    await rootHoldsNothingOfOneMachine(built);
  },
);

/** Looks into the squashfs of the fourth partition. */
async function rootHoldsNothingOfOneMachine(image: string): Promise<void> {
  const entry = (await readFile(image)).subarray(1024 + 3 * 128, 1024 + 4 * 128);
  assert.equal(entry.toString('utf16le', 56, 128).replace(/\0+$/, ''), 'ROOT');
  const offset = String(Number(entry.readBigUInt64LE(32)) * 512);
  const cat = async (...files: string[]) => (await run('unsquashfs', ['-o', offset, '-cat', image, ...files])).stdout;
  assert.equal(await cat('etc/machine-id'), '');
  // No password of anybody: locked (*, !) or locked and empty.
  assert.deepEqual(
    (await cat('etc/shadow')).split('\n').filter((line) => line !== '' && !/^[^:]+:[!*]+:/.test(line)),
    [],
  );
  const { stdout } = await run('unsquashfs', ['-o', offset, '-lls', image], { maxBuffer: 64 * 1024 * 1024 });
  assert.doesNotMatch(stdout, /ssh_host_|var\/lib\/systemd\/random-seed|\/var\/log\/\S/);
  assert.match(stdout, /squashfs-root\/var\/lib\/cloud\/seed\/nocloud -> \/run\/remuda\/seed/);
}

test('a release name that is none is refused', { skip }, async () => {
  await assert.rejects(build('tiny', '--release', 'a b'), /release name/);
  await assert.rejects(build('nothing'), /usage/);
});
