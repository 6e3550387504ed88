/** Signatures: the same bytes are signed by the builder and checked by the store, and what was changed is refused. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import { encodeManifest } from '../../src/image/manifest.ts';
import { generateKey, signFile } from '../../src/image/sign.ts';
import { judgeSignatures, mergeSignatures, parseSignatureFile, statementOf } from '../../src/image/signature.ts';
import type { Trust, TrustedKey } from '../../src/image/signature.ts';
import { closedSources } from '../../src/image/source-policy.ts';
import { openImageStore } from '../../src/image/store.ts';
import { parsePublicKey } from '../../src/wire/signing-key.ts';
import { imageWorld, limits, place, seededImage } from './disk.ts';
import type { TestWorld } from './disk.ts';
import { qcow2Image } from './qcow2-writer.ts';

const { chunkBytes } = limits;
const random = { next: () => 0, bytes: (count: number): Uint8Array => randomBytes(count) };
const refused =
  (code: Code, what = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof RemudaError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, what);
    return true;
  };
const read = async (world: TestWorld, path: string): Promise<string> => new TextDecoder().decode(await world.files.read(path));
const keyAt = async (world: TestWorld, file: string): Promise<TrustedKey> => {
  await world.files.makeFolder('/keys');
  await generateKey({ files: world.files, random }, file);
  const key = parsePublicKey(await read(world, `${file}.pub`));
  assert.ok(key !== undefined);
  return { ...key, name: file.slice('/keys/'.length) };
};
const storeOf = (world: TestWorld, trust: Trust) => openImageStore(world, '/images', limits, () => ({ trust, sources: closedSources }));
const filesUnder = (world: TestWorld): string[] =>
  [...world.files.disk].filter(([path, node]) => path.startsWith('/images/') && node.kind === 'file').map(([path]) => path);
const image = seededImage(randomBytes(20_000));

test('what is signed of the file is what the store has of the image, in whatever form it comes', async () => {
  const world = imageWorld();
  const builder = await keyAt(world, '/keys/builder');
  const store = storeOf(world, { keys: [builder], required: true });
  const forms = { raw: image, zst: zstdCompressSync(image), gz: gzipSync(image), qcow2: qcow2Image(image) };
  const statements = new Set<string>();
  for (const [form, bytes] of Object.entries(forms)) {
    const source = await place(world, `/in/${form}`, bytes);
    const made = await signFile(world, { file: source.file, keyFile: '/keys/builder', chunkBytes });
    assert.deepEqual(made, { digest: made.digest, keyId: builder.keyId, output: `${source.file}.sig` });
    const entry = await store.import(source, { name: form });
    assert.equal(entry.digest, made.digest);
    assert.deepEqual(entry.signedBy, ['builder']);
    assert.equal(entry.refused, undefined);
    statements.add(await read(world, `${source.file}.sig`));
    const { verdict, signatures } = await store.proof(made.digest);
    assert.deepEqual(verdict, { signedBy: ['builder'] });
    assert.equal(signatures.length, 1);
  }
  assert.equal(statements.size, 1, 'Ed25519 is deterministic, so one image has one signature');
});

test('the statement, byte by byte', () => {
  const signed = {
    digest: `sha256:${'a'.repeat(64)}`,
    sizeBytes: 10_240,
    chunkBytes: 4096,
    chunks: [{ sha256: 'b'.repeat(64) }, { zero: true }, { sha256: 'c'.repeat(64) }] as const,
  };
  const head = `remuda image 1\ndigest sha256:${'a'.repeat(64)}\nsize 10240\nchunk 4096\n`;
  const tail = `${'b'.repeat(64)}\nzero\n${'c'.repeat(64)}\n`;
  assert.equal(Buffer.from(statementOf({ ...signed, seed: null })).toString(), `${head}seed none\n${tail}`);
  assert.equal(
    Buffer.from(statementOf({ ...signed, seed: { offsetBytes: 512, sizeBytes: 1024 } })).toString(),
    `${head}seed 512 1024\n${tail}`,
  );
});

test('with a required signature: none, of a stranger, of another image, of a changed one, for other chunks', async () => {
  const world = imageWorld();
  const builder = await keyAt(world, '/keys/builder');
  await keyAt(world, '/keys/stranger');
  const store = storeOf(world, { keys: [builder], required: true });
  const source = await place(world, '/in/image', image);
  const other = await place(world, '/in/other', seededImage(randomBytes(9_000)));
  const signatureOf = async (file: string, keyFile: string, bytes = chunkBytes) => {
    await signFile(world, { file, keyFile, output: '/keys/out', chunkBytes: bytes });
    return parseSignatureFile(await read(world, '/keys/out'));
  };
  const tries: readonly (readonly [code: Code, what: RegExp, signature: Awaited<ReturnType<typeof signatureOf>> | undefined])[] = [
    ['image-unsigned', /is not signed.*remuda image sign/, undefined],
    ['image-unsigned', /signed by key [0-9a-f]{16}, which is not among images.trust/, await signatureOf(source.file, '/keys/stranger')],
    ['signature-invalid', /is that of image sha256:/, await signatureOf(other.file, '/keys/builder')],
    ['signature-invalid', /--chunk-bytes 4096/, await signatureOf(source.file, '/keys/builder', 8192)],
    [
      'signature-invalid',
      /signature of builder does not fit/,
      {
        ...(await signatureOf(other.file, '/keys/builder')),
        digest: (await storeOf(world, { keys: [], required: false }).import(source, { name: 'probe' })).digest,
      },
    ],
  ];
  await store.remove('probe');
  for (const [code, what, signature] of tries) {
    await assert.rejects(store.import(source, { name: 'tiny', ...(signature === undefined ? {} : { signature }) }), refused(code, what));
    assert.deepEqual(filesUnder(world), [], 'nothing is left behind');
  }
  await world.files.write('/in/image.sig', 'not JSON');
  await assert.rejects(store.import(source, { name: 'tiny' }), refused('signature-invalid', /\/in\/image\.sig: .*not JSON/));
});

test('a stored image is judged at each look: the key goes, the signature is damaged, the manifest is changed', async () => {
  const world = imageWorld();
  const builder = await keyAt(world, '/keys/builder');
  const source = await place(world, '/in/image', image);
  let trust: Trust = { keys: [builder], required: false };
  const store = openImageStore(world, '/images', limits, () => ({ trust, sources: closedSources }));
  assert.deepEqual((await store.import(source, { name: 'tiny' })).signedBy, []);
  trust = { ...trust, required: true };
  assert.equal((await store.find('tiny')).refused?.code, 'image-unsigned');
  await signFile(world, { file: source.file, keyFile: '/keys/builder', chunkBytes });
  const { digest } = await store.import(source, { name: 'tiny' });
  assert.equal((await store.find('tiny')).refused, undefined);
  // Importing again without the signature keeps the one that is here.
  await world.files.remove('/in/image.sig');
  assert.deepEqual((await store.import(source, { name: 'again' })).signedBy, ['builder']);

  const path = `/images/manifests/${digest.slice(7)}`;
  const manifest = await store.manifest(digest);
  await world.files.write(`${path}.json`, encodeManifest({ ...manifest, seed: { offsetBytes: 512, sizeBytes: 512 } }));
  assert.equal((await store.find('tiny')).refused?.code, 'signature-invalid');
  await world.files.write(`${path}.json`, encodeManifest({ ...manifest, phoneHome: 'image' }));
  assert.equal((await store.find('tiny')).refused, undefined, 'who phones home is the operator\u2019s word');
  const kept = await read(world, `${path}.sig`);
  await world.files.write(`${path}.sig`, '{}');
  assert.equal((await store.find('tiny')).refused?.code, 'image-unsigned');
  assert.match(world.warnings.join(), /signatures of an image cannot be read/);
  await world.files.write(`${path}.sig`, kept);
  trust = { keys: [], required: true };
  assert.equal((await store.find('tiny')).refused?.code, 'image-unsigned');
  await store.remove('tiny');
  await store.remove('again');
  assert.deepEqual(filesUnder(world), []);
});

test('two keys sign one file; a bad signature of a trusted key spoils a good one', async () => {
  const world = imageWorld();
  const [one, two] = [await keyAt(world, '/keys/one'), await keyAt(world, '/keys/two')];
  const source = await place(world, '/in/image', image);
  await signFile(world, { file: source.file, keyFile: '/keys/one', chunkBytes });
  await signFile(world, { file: source.file, keyFile: '/keys/two', chunkBytes });
  const trust: Trust = { keys: [one, two], required: true };
  const store = storeOf(world, trust);
  const { digest, signedBy } = await store.import(source, { name: 'tiny' });
  assert.deepEqual(signedBy, ['one', 'two']);
  const { signatures } = await store.proof(digest);
  const [first, second] = signatures;
  assert.ok(first !== undefined && second !== undefined);
  const bad = { ...first, signature: second.signature };
  assert.equal(judgeSignatures(await store.manifest(digest), [bad, second], trust).refused, 'signature-invalid');
  assert.deepEqual(mergeSignatures([first], [bad, second]), [bad, second]);
  // A file that changed gets a new signature, not one more.
  await place(world, '/in/image', seededImage(randomBytes(100)));
  await signFile(world, { file: source.file, keyFile: '/keys/one', chunkBytes });
  assert.equal(parseSignatureFile(await read(world, '/in/image.sig')).signatures.length, 1);
});

test('one flipped bit anywhere in what is signed, and the signature does not hold', async () => {
  const world = imageWorld();
  const builder = await keyAt(world, '/keys/builder');
  const store = storeOf(world, { keys: [builder], required: true });
  const source = await place(world, '/in/image', image);
  await signFile(world, { file: source.file, keyFile: '/keys/builder', chunkBytes });
  const { digest } = await store.import(source, { name: 'tiny' });
  const { signatures, trust } = await store.proof(digest);
  const manifest = await store.manifest(digest);
  const hashes = manifest.chunks.flatMap((chunk, index) => ('sha256' in chunk ? [index] : []));
  fc.assert(
    fc.property(fc.constantFrom(...hashes), fc.nat(63), (index, at) => {
      const chunks = manifest.chunks.map((chunk, here) =>
        here === index && 'sha256' in chunk
          ? { ...chunk, sha256: `${chunk.sha256.slice(0, at)}${chunk.sha256[at] === '0' ? '1' : '0'}${chunk.sha256.slice(at + 1)}` }
          : chunk,
      );
      assert.equal(judgeSignatures({ ...manifest, chunks }, signatures, trust).refused, 'signature-invalid');
    }),
  );
  for (const change of [
    { sizeBytes: manifest.sizeBytes + 512 },
    { chunkBytes: 8192 },
    { seed: null },
    { digest: `sha256:${'0'.repeat(64)}` },
    { chunks: manifest.chunks.toReversed() },
  ])
    assert.equal(
      judgeSignatures({ ...manifest, ...change }, signatures, trust).refused,
      'signature-invalid',
      JSON.stringify(change).slice(0, 40),
    );
});

test('keys are never written over, and nothing that is no key signs', async () => {
  const world = imageWorld();
  await keyAt(world, '/keys/one');
  await assert.rejects(generateKey({ files: world.files, random }, '/keys/one'), refused('conflict', /never written over/));
  const { file } = await place(world, '/in/image', image);
  await assert.rejects(
    signFile(world, { file, keyFile: '/keys/one.pub' }),
    refused('bad-request', /no private Ed25519 key.*image key generate/),
  );
  await world.files.write('/in/image.sig', 'a letter to my aunt');
  await assert.rejects(signFile(world, { file, keyFile: '/keys/one' }), refused('bad-request', /already.*no signature/));
  await assert.rejects(signFile(world, { file: '/in/none', keyFile: '/keys/one' }), refused('not-found'));
});

test('hostile signature files are refused as such', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => parseSignatureFile(text), refused('signature-invalid'));
    }),
  );
});
