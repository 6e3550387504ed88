/** Images over the API: from a file or a URL, pinned and signed, and what is collected. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { collectJson, imageJson, itemsOf } from '../../src/api/types.ts';
import { encodeSignatureFile } from '../../src/image/signature.ts';
import { claimOn, digest, image, readyHost } from './admin-rack.ts';
import { asking } from './asking.ts';

const hex = 'c'.repeat(64);
const signature = { format: 1, digest, chunkBytes: 4096, signatures: [{ keyId: hex, signature: `${'A'.repeat(86)}==` }] } as const;

describe('imports', () => {
  test('a URL, its hash and its signature reach the store', async () => {
    const { ask, desk } = await asking();
    const text = encodeSignatureFile({ ...signature, signatures: [...signature.signatures] });
    const body = { url: 'https://images.example/a.raw', sha256: hex, name: 'new', expectDigest: digest, signature: text };
    assert.equal((await ask('POST', '/v1/images', { body })).status, 200);
    const [source, wish] = desk.asked[0]?.args ?? [];
    assert.deepEqual(source, { url: 'https://images.example/a.raw', sha256: hex });
    assert.deepEqual({ ...(wish as object), signal: undefined }, { name: 'new', expectDigest: digest, signature, signal: undefined });
  });
  const wrong: readonly (readonly [what: string, body: Readonly<Record<string, unknown>>, status: number, says: RegExp])[] = [
    ['both', { path: '/a', url: 'https://a/' }, 400, /say one of path and url/],
    ['neither', {}, 400, /say one of path and url/],
    ['a path that is not absolute', { path: 'a' }, 400, /absolute path/],
    ['a signature that is none', { path: '/a', signature: 'x' }, 422, /not JSON/],
    ['a signature that is too long', { path: '/a', signature: 'x'.repeat(65_537) }, 400, /signature/],
  ];
  for (const [what, body, status, says] of wrong)
    test(`refuses ${what}`, async () => {
      const { ask, desk } = await asking();
      const answer = await ask('POST', '/v1/images', { body: { name: 'new', ...body } });
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.text, says);
      assert.deepEqual(desk.asked, []);
    });
});

test('who has signed an image, and why it is not run, is told', async () => {
  const { ask, desk } = await asking();
  desk.entries.push(
    image('signed', { signedBy: ['builders'] }),
    image('bad', { refused: { code: 'image-unsigned', reason: 'nobody signed it' } }),
  );
  const { items } = itemsOf(imageJson).parse((await ask('GET', '/v1/images')).json());
  assert.deepEqual(
    items.slice(-2).map(({ signedBy, refused }) => ({ signedBy, refused })),
    [
      { signedBy: ['builders'], refused: null },
      { signedBy: [], refused: { code: 'image-unsigned', reason: 'nobody signed it' } },
    ],
  );
});

describe('collection', () => {
  test('what the claims want is said to the store, and what went is told', async () => {
    const { ask, desk, rack } = await asking();
    rack.put(claimOn(readyHost('h1')));
    for (const [body, dryRun] of [
      [{}, false],
      [{ dryRun: true }, true],
    ] as const) {
      const answer = await ask('POST', '/v1/images/collect', { body });
      assert.deepEqual(collectJson.parse(answer.json()), { dryRun, images: [{ digest, sizeBytes: 8 }], files: 3, bytes: 4096 });
      assert.deepEqual(desk.asked.at(-1), { verb: 'collect', args: [[digest], dryRun] });
    }
  });
  test('a viewer may not', async () => {
    const { ask, desk, tokenFor } = await asking();
    assert.equal((await ask('POST', '/v1/images/collect', { body: {}, token: await tokenFor('viewer') })).status, 403);
    assert.deepEqual(desk.asked, []);
    assert.equal((await ask('POST', '/v1/images/collect', { body: {}, token: await tokenFor('operator') })).status, 200);
  });
});
