/** The key of the sealed secrets: named, made once, and never made anew beside secrets that another one sealed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { sealerFor } from '../../src/store/key.ts';
import { MemoryFiles } from '../world/memory-files.ts';
import { testSealer } from './sealer.ts';

const worldOf = () => {
  const files = new MemoryFiles();
  const said: string[] = [];
  let drawn = 0;
  const random = { bytes: (count: number) => new Uint8Array(count).fill((drawn += 1)) };
  const log = { info: () => undefined, warn: (text: string) => void said.push(text) };
  return { files, said, random, log };
};

test('made at the first start, told once, and the same at the next', async () => {
  const world = worldOf();
  await world.files.makeFolder('/data');
  const first = await sealerFor(world, { data: '/data' });
  const second = await sealerFor(world, { data: '/data' });
  assert.equal(first.keyId, second.keyId);
  assert.equal(world.said.length, 1);
  assert.match(world.said[0] ?? '', /keep a copy/);
});

test('a database of before there were keys gets one; one whose key is gone is refused, and no other key is made', async () => {
  const world = worldOf();
  await world.files.makeFolder('/data');
  await world.files.write('/data/remuda.db', 'an older database, everything in clear');
  await sealerFor(world, { data: '/data' });
  await world.files.remove('/data/key');
  // On the border of two ranges that are read.
  const border = 1024 * 1024 - 4;
  await world.files.write('/data/remuda.db', `${'x'.repeat(border)}${testSealer.seal('secret', 'here')}`);
  await assert.rejects(sealerFor(world, { data: '/data' }), /their key is gone from \/data\/key: put your copy of it there/);
  assert.equal(await world.files.stat('/data/key'), undefined);
});

test('a named key that is missing, or none, is refused by its path; old keys open what they sealed', async () => {
  const world = worldOf();
  await world.files.makeFolder('/etc');
  await assert.rejects(sealerFor(world, { data: '/data', keyFile: '/etc/key' }), (error: unknown) => {
    assert.ok(error instanceof RemudaError);
    assert.match(
      `${error.message}\n${error.next ?? ''}`,
      /^there is no key at \/etc\/key\nput your copy [^]*openssl rand -hex 32 > \/etc\/key$/,
    );
    return true;
  });
  await world.files.write('/etc/key', 'not a key');
  await assert.rejects(sealerFor(world, { data: '/data', keyFile: '/etc/key' }), /\/etc\/key holds no key/);
  await world.files.write('/etc/key', '2'.repeat(64));
  await world.files.write('/etc/old', '1'.repeat(64));
  const sealer = await sealerFor(world, { data: '/data', keyFile: '/etc/key', oldKeyFiles: ['/etc/old'] });
  assert.equal(sealer.open(testSealer.seal('secret', 'here'), 'here'), 'secret');
});
