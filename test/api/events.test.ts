/** Server-sent events: what is told, from where on, and how a stream ends. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { problemJson } from '../../src/api/types.ts';
import { limits } from '../../src/limits.ts';
import { bareHost, readyHost } from './admin-rack.ts';
import { asking } from './asking.ts';

interface Told {
  readonly event?: string;
  readonly id?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly comment?: true;
}
const toldIn = (text: string): readonly Told[] =>
  text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      if (block.startsWith(':')) return { comment: true };
      const fields = Object.fromEntries(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      return {
        event: fields['event'] ?? '',
        ...(fields['id'] === undefined ? {} : { id: fields['id'] }),
        data: JSON.parse(fields['data'] ?? '{}'),
      };
    });

/** All that can be done without news was done. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A rack whose waits end when the test says so, and a stream of it. */
const following = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
  const under = await asking();
  let wake = Promise.withResolvers<void>();
  under.rack.onWait = () => wake.promise;
  const open = (): AsyncIterator<Uint8Array> => under.stream(path, { headers })[Symbol.asyncIterator]();
  return {
    ...under,
    open,
    /** Something happened: whoever waits looks again. */
    wake: (): void => {
      const before = wake;
      wake = Promise.withResolvers<void>();
      before.resolve();
    },
  };
};
const nextOf = async (chunks: AsyncIterator<Uint8Array>): Promise<readonly Told[]> => {
  const { value, done } = await chunks.next();
  return done === true ? [] : toldIn(new TextDecoder().decode(value));
};

test('begins at once with a comment, then tells lines with their number and hosts that changed', async () => {
  const { open, rack, wake } = await following('/v1/events');
  rack.happen('h-h1', 'long ago');
  const chunks = open();
  assert.deepEqual(await nextOf(chunks), [{ comment: true }]);
  const coming = nextOf(chunks);
  await settled();
  const { seq } = rack.happen('h-h1', 'held by ann');
  rack.put({ ...readyHost('h1'), version: 9 });
  wake();
  const told = await coming;
  assert.deepEqual(
    told.map(({ event, id }) => [event, id]),
    [
      ['timeline', String(seq)],
      ['host', undefined],
    ],
  );
  assert.equal(told[0]?.data?.['text'], 'held by ann');
  assert.deepEqual(told[0]?.data?.['host'], { id: 'h-h1', name: 'h1' });
  assert.equal(told[1]?.data?.['version'], 9);
  await chunks.return?.();
});
test('goes on after the last event that was heard, by header or by query', async () => {
  for (const [path, headers] of [
    ['/v1/events', { 'last-event-id': '1' }],
    ['/v1/events?after=1', {}],
  ] as const) {
    const { open, rack } = await following(path, headers);
    for (const text of ['one', 'two', 'three']) rack.happen('h-h1', text);
    const chunks = open();
    await nextOf(chunks);
    assert.deepEqual(
      (await nextOf(chunks)).map(({ id, data }) => [id, data?.['text']]),
      [
        ['2', 'two'],
        ['3', 'three'],
      ],
    );
    await chunks.return?.();
  }
});
test('one host is all that is told where one is asked for', async () => {
  const { open, rack } = await following('/v1/events?host=h2&after=0');
  rack.put({ ...bareHost('h2'), id: 'h-h2' });
  rack.happen('h-h1', 'of the other');
  rack.happen('h-h2', 'of this one');
  const chunks = open();
  await nextOf(chunks);
  assert.deepEqual(
    (await nextOf(chunks)).map(({ data }) => data?.['text']),
    ['of this one'],
  );
  await chunks.return?.();
});
test('a host that was forgotten is told once', async () => {
  const { open, rack, wake } = await following('/v1/events');
  rack.put({ ...bareHost('h2'), id: 'h-h2' });
  const chunks = open();
  await nextOf(chunks);
  const coming = nextOf(chunks);
  await settled();
  rack.hosts.delete('h-h2');
  wake();
  assert.deepEqual(await coming, [{ event: 'forgotten', data: { id: 'h-h2' } }]);
  await chunks.return?.();
});
test('silence is a comment, so that nobody takes it for a broken connection', async () => {
  const { open, wake, access } = await following('/v1/events');
  const chunks = open();
  await nextOf(chunks);
  const coming = nextOf(chunks);
  await settled();
  await access.world.advance(limits.apiHeartbeatMs);
  wake();
  assert.deepEqual(await coming, [{ comment: true }]);
  await chunks.return?.();
});

describe('a stream ends with a clear word', () => {
  test('for a client that reads too slowly: where to go on', async () => {
    const { open, rack, wake } = await following('/v1/events');
    const chunks = open();
    await nextOf(chunks);
    const coming = nextOf(chunks);
    await settled();
    rack.happen('h-h1', 'first');
    wake();
    const [first] = await coming;
    for (let number = 0; number <= limits.apiEventsBacklogMax; number++) rack.happen('h-h1', `line ${number}`, { kind: 'packet' });
    wake();
    const [closed] = await nextOf(chunks);
    assert.equal(closed?.event, 'closed');
    assert.equal(closed.data?.['after'], Number(first?.id));
    assert.deepEqual(await nextOf(chunks), []);
  });
  test('when the daemon ends', async () => {
    const { open, access, wake } = await following('/v1/events');
    const chunks = open();
    await nextOf(chunks);
    const coming = nextOf(chunks);
    access.ending.abort();
    wake();
    const told = (await coming).concat(await nextOf(chunks));
    assert.match(String(told.find(({ event }) => event === 'closed')?.data?.['reason']), /daemon is ending/);
  });
});
test('who comes back after long away is told everything that is left, page after page', async () => {
  const { open, rack } = await following('/v1/events?after=0');
  const rows = limits.apiEventsBacklogMax + 500;
  for (let number = 0; number < rows; number++) rack.happen('h-h1', `line ${number}`);
  const chunks = open();
  await nextOf(chunks);
  let heard = 0;
  while (heard < rows) heard += (await nextOf(chunks)).filter(({ event }) => event === 'timeline').length;
  assert.equal(heard, rows);
  await chunks.return?.();
});
test('what is no id of ours, and an unknown host, are refused', async () => {
  const { ask } = await asking();
  for (const id of ['x', '-1', '1e3']) assert.equal((await ask('GET', '/v1/events', { headers: { 'last-event-id': id } })).status, 400, id);
  assert.equal(problemJson.parse((await ask('GET', '/v1/events?host=nobody')).json()).code, 'host-not-found');
});
