/** Build and import on a real disk with real processes; the recipes are small scripts that behave and misbehave as images/build.sh may. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { buildRecipe } from '../../src/image/build.ts';
import { sha256Of } from '../../src/image/digest.ts';
import { openImageStore } from '../../src/image/store.ts';
import { realClock } from '../../src/world/clock.ts';
import { realFiles } from '../../src/world/files.ts';
import { realProcesses } from '../../src/world/processes.ts';
import { imageWorld, limits, seededImage } from './disk.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-build-'));
const life = new AbortController();
after(() => {
  life.abort();
  rmSync(folder, { recursive: true });
});
const world = {
  files: realFiles,
  clock: realClock(life.signal),
  log: imageWorld().log,
  http: imageWorld().http,
  processes: realProcesses(life.signal, { PATH: '/usr/bin:/bin' }),
};
const store = openImageStore(world, join(folder, 'store'), limits);
const image = seededImage(randomBytes(20_000));
writeFileSync(join(folder, 'tiny.raw'), image);
const account = (sha256: string): string =>
  `printf '{ "release": "%s", "sha256": "${sha256}", "sizeBytes": ${image.length} }' "$3" >'${folder}/tiny.json'`;
let scripts = 0;
const script = (...lines: string[]): string => {
  const file = join(folder, `build-${scripts++}.sh`);
  writeFileSync(file, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
  return file;
};
const refused =
  (what: RegExp, code = 'internal') =>
  (error: unknown) => {
    assert.ok(error instanceof RemudaError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, what);
    return true;
  };

test('a recipe is built, imported and sound on a real disk', async () => {
  const lines: string[] = [];
  const entry = await buildRecipe(world, 'tiny', {
    store,
    imageName: 'tiny-7',
    release: '7',
    onLine: (line) => lines.push(line),
    script: script('echo "images: building $*" >&2', account(sha256Of(image)), 'echo chatter', `echo '${folder}'`),
  });
  assert.deepEqual([entry.name, entry.digest, entry.phoneHome], ['tiny-7', `sha256:${sha256Of(image)}`, 'image']);
  assert.ok(lines.includes('images: building tiny --release 7'));
  assert.equal((await store.verify(entry.digest)).ok, true);
  assert.deepEqual(readdirSync(join(folder, 'store')).toSorted(), ['chunks', 'manifests', 'names']);
  assert.equal(readFileSync(join(folder, 'store/names/tiny-7'), 'utf8'), `${entry.digest}\n`);
  const chunk = (await store.manifest(entry.digest)).chunks.find((candidate) => 'sha256' in candidate);
  assert.ok(chunk !== undefined && 'sha256' in chunk);
  const body = await store.chunkFile(chunk.sha256);
  assert.ok(body !== undefined && statSync(body.file).size === chunk.storedBytes);
  await store.remove('tiny-7');
  assert.deepEqual(readdirSync(join(folder, 'store/names')), []);
});

test('a recipe that names its image is taken at its word', async () => {
  writeFileSync(join(folder, 'kubernetes.raw'), image);
  const own = `printf '{ "name": "kubernetes-v1.2.3", "sha256": "${sha256Of(image)}", "sizeBytes": ${image.length} }' >'${folder}/kubernetes.json'`;
  const entry = await buildRecipe(world, 'kubernetes', { store, script: script(own, `echo '${folder}'`) });
  assert.deepEqual([entry.name, entry.phoneHome], ['kubernetes-v1.2.3', 'image']);
  await store.remove('kubernetes-v1.2.3');
});

test('a build that fails says its last word', async () => {
  const failing = script('echo "images: mkfs.vfat is missing; install the package dosfstools" >&2', 'exit 1');
  await assert.rejects(
    buildRecipe(world, 'tiny', { store, script: failing }),
    refused(/ended with code 1: images: mkfs\.vfat is missing; install the package dosfstools/),
  );
  await assert.rejects(buildRecipe(world, 'tiny', { store, script: script('kill -9 $$') }), refused(/ended with/));
  await assert.rejects(buildRecipe(world, 'tiny', { store, script: join(folder, 'none.sh') }), refused(/ended with code 127/));
});

test('what a build leaves is not taken on trust', async () => {
  await assert.rejects(buildRecipe(world, 'tiny', { store, script: script('true') }), refused(/did not say where its result is/));
  const other = script(account('a'.repeat(64)), `echo '${folder}'`);
  await assert.rejects(buildRecipe(world, 'tiny', { store, script: other }), refused(/not the expected sha256:aaaa/, 'image-invalid'));
  const broken = script(`echo '{' >'${folder}/tiny.json'`, `echo '${folder}'`);
  await assert.rejects(buildRecipe(world, 'tiny', { store, script: broken }), refused(/account .* cannot be read/));
  await assert.rejects(buildRecipe(world, 'huge', { store }), refused(/no recipe "huge"; there is: tiny/, 'bad-request'));
  assert.deepEqual(await store.list(), []);
});

test('a build that is called off ends with all it started', async () => {
  const called = new AbortController();
  const why = new RemudaError('conflict', 'called off');
  const slow = script('echo started >&2', 'sleep 600');
  const running = buildRecipe(world, 'tiny', { store, script: slow, signal: called.signal, onLine: () => called.abort(why) });
  // It would not end before the sleep does if the sleep were left running with the pipe.
  await assert.rejects(running, why);
});
