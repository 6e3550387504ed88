/** `remuda image`: from a URL, with hash and signature; signing and keys without a daemon; collection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { image } from '../api/admin-rack.ts';
import { bench } from './bench.ts';

const hex = 'c'.repeat(64);
const digest = `sha256:${'d'.repeat(64)}`;
const signature = { format: 1, digest, chunkBytes: 4096, signatures: [{ keyId: hex, signature: `${'A'.repeat(86)}==` }] };

test('a URL is fetched by the daemon, a signature is read here', async () => {
  const { desk, files, run } = await bench();
  await files.makeFolder('/home/ann');
  await files.write('/home/ann/a.sig', JSON.stringify(signature));
  const { exit, err } = await run(
    `image import HTTPS://images.example/a.raw.xz --name new --sha256 ${hex} --digest ${digest} --signature a.sig`,
  );
  assert.equal(exit, 0, err);
  const [source, wish] = desk.asked[0]?.args ?? [];
  assert.deepEqual(source, { url: 'HTTPS://images.example/a.raw.xz', sha256: hex });
  assert.deepEqual((wish as { signature: unknown }).signature, signature);
  assert.equal((wish as { expectDigest: unknown }).expectDigest, digest);
});
test('a download is told apart from the import', async () => {
  const { desk, run } = await bench();
  desk.work = async (onProgress) => {
    onProgress({ step: 'download', doneBytes: 1, totalBytes: 4 });
    await new Promise((resolve) => setImmediate(resolve));
  };
  const { err } = await run(`image import https://a.example/a --name new --sha256 ${hex}`, { tty: true, env: { NO_COLOR: '1' } });
  assert.match(err, /downloading new \[#+-+\]\s+25 %/);
});
test('a signature that cannot be read stops the import here', async () => {
  const { desk, run } = await bench();
  const { exit, err } = await run('image import a.raw --name new --signature none.sig');
  assert.notEqual(exit, 0);
  assert.match(err, /none\.sig cannot be read/);
  assert.deepEqual(desk.asked, []);
});

test('signing: absolute paths, a bar, and where the signature lies', async () => {
  const { local, run } = await bench();
  const { exit, out, err } = await run('image sign a.raw --key k', { tty: true, env: { NO_COLOR: '1' } });
  assert.equal(exit, 0);
  assert.deepEqual(local.asked, [['sign', '/home/ann/a.raw', '/home/ann/k']]);
  assert.match(out, new RegExp(`^${digest} is signed by key e{16}: /home/ann/a\\.raw\\.sig\\n$`));
  assert.match(err, /reading a\.raw/);
  assert.match((await run('image sign a.raw --key k --out /tmp/s')).out, /: \/tmp\/s\n$/);
});
test('a new key is told with what to put into the configuration', async () => {
  const { local, run } = await bench();
  const { exit, out } = await run('image key generate keys/k');
  assert.equal(exit, 0);
  assert.deepEqual(local.asked, [['key', '/home/ann/keys/k']]);
  assert.match(
    out,
    /^key e{64}\nprivate: \/home\/ann\/keys\/k \(keep it secret\)\npublic: {2}\/home\/ann\/keys\/k\.pub\n[^]*images\.trust[^]*publicKey: MCowBQ\n$/,
  );
});

test('gc says what went, and a dry run what would', async () => {
  const { desk, run } = await bench();
  assert.match((await run('image gc')).out, /^removed image sha256:abab\S+, 8 B\n1 image and 3 files, 4(\.0)? KiB, are gone\n$/);
  assert.match((await run('image gc --dry-run')).out, /^would remove image [^]*would go\n$/);
  assert.deepEqual(
    desk.asked.map(({ args }) => args[1]),
    [false, true],
  );
});
test('the list and one image tell whose signature counts', async () => {
  const { desk, run } = await bench();
  desk.entries.push(
    image('signed', { signedBy: ['builders', 'ann'] }),
    image('bad', { refused: { code: 'image-unsigned', reason: 'nobody signed it' } }),
  );
  const { out } = await run('image list');
  assert.match(out, /signed .*builders, ann/);
  assert.match(out, /bad .*refused: image-unsigned/);
  assert.match((await run('image show bad')).out, /refused\s+nobody signed it/);
  assert.match((await run('image show debian')).out, /signed by\s+no key that is trusted here/);
});
