/** `remuda restore`: what is asked of this machine, and how the outcome is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { bench } from './bench.ts';

test('paths are those of whoever asks; what was done, and what is to be done next', async () => {
  const { run, local } = await bench();
  const { exit, out } = await run('restore b.tar --data d --replace');
  assert.deepEqual([exit, local.asked], [0, [['restore', '/home/ann/b.tar', '/home/ann/d', true, false]]]);
  assert.match(
    out,
    /^restored into \/home\/ann\/d: 3 files, 10 B, made 2026-11-21T02:14:05\.000Z by Remuda 1\.2\.3\nEvery host is held[^]*remuda host unhold/,
  );
  assert.match((await run('restore b.tar --check')).out, /^a whole backup: 3 files, 10 B, [^\n]*\n$/);
});
test('the outcome as a document, in each form', async () => {
  const { run } = await bench();
  const asJson = (await run('restore b.tar --json')).json();
  assert.deepEqual(asJson, {
    about: { version: '1.2.3', madeAt: Date.UTC(2026, 10, 21, 2, 14, 5), images: true },
    data: '/var/lib/remuda',
    held: 1,
    files: 3,
    bytes: 10,
  });
  assert.deepEqual((await run('restore b.tar -o json')).json(), asJson);
  assert.deepEqual(parse((await run('restore b.tar -o yaml')).out), asJson);
});
