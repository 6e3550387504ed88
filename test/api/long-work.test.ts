/** What goes on behind an answer: its outcome on record, its errors in the log, its end with the token or the client. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { auditRowJson, tokenJson } from '../../src/api/access-types.ts';
import { itemsOf, problemJson } from '../../src/api/types.ts';
import { RemudaError } from '../../src/errors.ts';
import { backups } from './admin-rack.ts';
import { asking } from './asking.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));
const outcomesOf = async (ask: Awaited<ReturnType<typeof asking>>['ask']) =>
  itemsOf(auditRowJson)
    .parse((await ask('GET', '/v1/audit')).json())
    .items.map(({ action, outcome }) => [action, outcome]);
const body = { url: 'https://images.example/a.raw', name: 'new' };

describe('an import', () => {
  test('that ends well', async () => {
    const { ask } = await asking();
    assert.equal((await ask('POST', '/v1/images', { body })).status, 200);
    assert.deepEqual(await outcomesOf(ask), [['importImage', 'ok']]);
  });
  for (const [name, error, outcome, logged] of [
    ['that is refused half-way', new RemudaError('image-invalid', 'its hash is another'), 'image-invalid', 0],
    ['that breaks half-way', new Error('boom: /etc/shadow'), 'internal', 1],
  ] as const)
    test(name, async () => {
      const { ask, desk, access } = await asking();
      desk.work = async (onProgress) => {
        onProgress({ doneBytes: 1 });
        await settled();
        throw error;
      };
      const answer = await ask('POST', '/v1/images', { body });
      assert.equal(answer.status, 200);
      const last = JSON.parse(answer.text.trim().split('\n').at(-1) ?? '') as { error: unknown };
      assert.equal(problemJson.parse(last.error).code, outcome);
      assert.deepEqual(await outcomesOf(ask), [['importImage', outcome]]);
      const lines = access.world.logged.filter(({ level }) => level === 'error');
      assert.equal(lines.length, logged);
      if (logged > 0) assert.equal(lines[0]?.fields['request'], answer.headers['x-request-id']);
      assert.doesNotMatch(answer.text, /shadow/);
    });
  test('whose client leaves', async () => {
    const { ask, stream, desk, access } = await asking();
    const goOn = Promise.withResolvers<void>();
    desk.work = async (onProgress) => {
      onProgress({ doneBytes: 1 });
      await goOn.promise;
      throw new DOMException('nobody waits', 'AbortError');
    };
    const lines = stream('/v1/images', { body }, 'POST')[Symbol.asyncIterator]();
    await lines.next();
    assert.deepEqual(await outcomesOf(ask), [['importImage', 'begun']]);
    await lines.return?.();
    goOn.resolve();
    await settled();
    assert.deepEqual(await outcomesOf(ask), [['importImage', 'left']]);
    assert.deepEqual(
      access.world.logged.filter(({ level }) => level === 'error'),
      [],
    );
  });
});

describe('a backup', () => {
  test('is on record, though it is a question', async () => {
    const { ask } = await asking();
    assert.match((await ask('GET', '/v1/backup?images=false')).text, /^a backup without images, SHA256SUMS$/);
    await settled();
    assert.deepEqual(await outcomesOf(ask), [['getBackup', 'ok']]);
  });
  test('is not made for HEAD, and is cleared away where the client leaves', async () => {
    const { ask, stream } = await asking();
    const { begun } = backups;
    const head = await ask('HEAD', '/v1/backup');
    assert.deepEqual([head.status, head.headers['content-type'], backups.begun - begun], [200, 'application/x-tar', 0]);
    const pieces = stream('/v1/backup')[Symbol.asyncIterator]();
    await pieces.next();
    await pieces.return?.();
    await settled();
    assert.deepEqual([backups.begun - begun, backups.cleared], [1, backups.begun]);
    assert.deepEqual((await outcomesOf(ask))[0], ['getBackup', 'left']);
  });
});

test('a stream ends with the token that asked for it; another one goes on', async () => {
  const { ask, stream, rack, access, tokenFor } = await asking();
  const wait = Promise.withResolvers<void>();
  rack.onWait = () => wait.promise;
  const [one, other] = await Promise.all([tokenFor('viewer', 'one'), tokenFor('viewer', 'other')]);
  const [ended, going] = [one, other].map((token) => stream('/v1/events', { token })[Symbol.asyncIterator]());
  await Promise.all([ended?.next(), going?.next()]);
  assert.ok(tokenJson.parse((await ask('DELETE', '/v1/tokens/one')).json()).revokedAt !== null);
  rack.happen('h-h1', 'secret news');
  wait.resolve();
  assert.deepEqual(await ended?.next(), { done: true, value: undefined });
  assert.match(new TextDecoder().decode((await going?.next())?.value), /secret news/);
  access.ending.abort();
  await going?.return?.();
});
