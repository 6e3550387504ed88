/** Whose images a host is given: asked at the claim, and once more when its agent asks for work, which is told the proof. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { mintCredential } from '../../src/boot/ticket.ts';
import { Desk } from '../../src/control/desk.ts';
import { intentOf } from '../../src/control/intent.ts';
import { Keeper } from '../../src/control/keeper.ts';
import { PresenceBook } from '../../src/control/presence.ts';
import { closedSources } from '../../src/image/source-policy.ts';
import { openImageStore } from '../../src/image/store.ts';
import { generateKey, signFile } from '../../src/image/sign.ts';
import type { Trust } from '../../src/image/signature.ts';
import { limits } from '../../src/limits.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import { parsePublicKey } from '../../src/wire/signing-key.ts';
import { after, available, disk, intent } from '../host/make.ts';
import { imageWorld, limits as imageLimits, place, seededImage } from '../image/disk.ts';
import { testSealer } from '../store/sealer.ts';

const local = parseIpv4('10.77.0.1');
assert.ok(local !== undefined);
const secret = Buffer.alloc(32, 1);
const caller = { credential: mintCredential(secret, { hostId: 'h1', boot: 1, publicKey: 'key' }), local };

/** A host in provisioning whose agent has come, and its image, signed by a key that is trusted until a test says otherwise. */
const setting = async () => {
  const world = imageWorld();
  await world.files.makeFolder('/keys');
  await generateKey({ files: world.files, random: { next: () => 0, bytes: (count) => randomBytes(count) } }, '/keys/k');
  const key = parsePublicKey(new TextDecoder().decode(await world.files.read('/keys/k.pub')));
  assert.ok(key !== undefined);
  const policy: { trust: Trust } = { trust: { keys: [{ ...key, name: 'builders' }], required: true } };
  const images = openImageStore(world, '/images', imageLimits, () => ({ trust: policy.trust, sources: closedSources }));
  const source = await place(world, '/in/a.raw', seededImage(randomBytes(9_000)));
  await signFile(world, { file: source.file, keyFile: '/keys/k', chunkBytes: imageLimits.chunkBytes });
  const entry = await images.import(source, { name: 'alpha' });

  const clock = { now: () => 1000, sleep: () => Promise.resolve(), after: () => () => undefined, soon: () => undefined };
  const presence = new PresenceBook(clock);
  const keeper = new Keeper({ store: await openSqliteStore(':memory:', limits, { sealer: testSealer }), clock, log: world.log, presence });
  const claim = { type: 'claim', id: 'c1', owner: 'me', intent: { ...intent, image: entry.digest }, rule: { serial: 'd0' }, disk } as const;
  await keeper.create(after(available, claim), 'made by a test');
  const desk = new Desk({ keeper, presence, clock, limits: { ...limits, agentPollMs: 0 }, images, secret, httpPort: 7480 });
  return { world, key, policy, images, entry, keeper, next: () => desk.next(caller, new AbortController().signal) };
};

test('the agent is told the signatures and whose count', async () => {
  const { next, key, images, entry } = await setting();
  const { work, job } = (await next()) as { work: string; job: { signatures: unknown; trust: unknown } };
  assert.equal(work, 'install');
  assert.deepEqual(job.signatures, (await images.proof(entry.digest)).signatures);
  assert.deepEqual(job.trust, {
    required: true,
    keys: [{ name: 'builders', keyId: key.keyId, publicKey: Buffer.from(key.bytes).toString('base64') }],
  });
});

const losses: readonly (readonly [what: string, code: string, lose: (of: Awaited<ReturnType<typeof setting>>) => Promise<void> | void])[] =
  [
    ['the key is trusted no more', 'image-unsigned', ({ policy }) => void (policy.trust = { keys: [], required: true })],
    ['the signature is gone', 'image-unsigned', ({ world, entry }) => world.files.remove(`/images/manifests/${entry.digest.slice(7)}.sig`)],
    [
      'the signature is that of something else',
      'signature-invalid',
      async ({ world, entry }) => {
        const path = `/images/manifests/${entry.digest.slice(7)}.sig`;
        const text = new TextDecoder().decode(await world.files.read(path));
        const other = text.replace(/"signature": "(.)/, (_all, first: string) => `"signature": "${first === 'A' ? 'B' : 'A'}`);
        await world.files.write(path, other);
      },
    ],
  ];
for (const [what, code, lose] of losses)
  test(`after the claim ${what}: no job is given, the host says why, and no new claim gets the image`, async () => {
    const all = await setting();
    await lose(all);
    assert.deepEqual(await all.next(), { work: 'wait' });
    const host = all.keeper.get('h1');
    assert.equal(host?.failed?.step, 'install');
    assert.equal(host?.failed?.code, code);
    assert.match(host?.failed?.reason ?? '', new RegExp(all.entry.digest));
    assert.equal(host?.job, null);
    const image = await all.images.find('alpha');
    assert.throws(() => intentOf(limits, { image, hostName: 'one' }, { ...disk, sizeBytes: 1e9 }), { code });
  });
test('with its signature the image may be claimed', async () => {
  const { images, entry } = await setting();
  const image = { ...(await images.find('alpha')), seed: null };
  assert.equal(intentOf(limits, { image, hostName: 'one' }, { ...disk, sizeBytes: 1e9 }).image, entry.digest);
});
