/** The image recipes: what they promise about size and sameness. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, builtTwice, images, minute, rootHoldsNothingOfOneMachine, run, sha256, skip, skipDebian } from './recipe.ts';

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

test(
  'two builds of the debian image are the same, and hold nothing of one machine',
  { skip: skipDebian, timeout: 40 * minute },
  async () => {
    const folder = await build('debian');
    const built = join(folder, 'debian.raw');
    const about = JSON.parse(await readFile(join(folder, 'debian.json'), 'utf8'));
    assert.deepEqual(about, { release: 'bookworm', sha256: await sha256(built), sizeBytes: (await stat(built)).size });
    assert.ok(about.sizeBytes <= 150_000_000, `debian ${about.sizeBytes}`);
    await builtTwice(folder, 'debian.raw');
    await rootHoldsNothingOfOneMachine(built);
  },
);

test('a release name that is none is refused', { skip }, async () => {
  await assert.rejects(build('tiny', '--release', 'a b'), /release name/);
  await assert.rejects(build('nothing'), /usage/);
});
