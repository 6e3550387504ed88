/** Lists of hosts: filters, pages, entity tags; and the buckets that bound who asks. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { paged } from '../../src/api/page.ts';
import { Buckets, Seats } from '../../src/api/rate.ts';
import { hostJson } from '../../src/api/types.ts';
import type { Asker } from '../../src/control/rack.ts';
import { plainProfile } from '../../src/host/host.ts';
import { bareHost, claimOn, now, readyHost } from './admin-rack.ts';
import { asking } from './asking.ts';

interface Page {
  readonly items: readonly { readonly name: string }[];
  readonly next?: string;
}
const racked = async () => {
  const under = await asking();
  under.rack.hosts.clear();
  under.rack.put({ ...readyHost('a'), profile: { ...plainProfile, labels: { tier: 'web', gpu: 'yes' }, pool: 'edge' } });
  under.rack.put({ ...claimOn(readyHost('b')), profile: { ...plainProfile, labels: { tier: 'db' } } });
  under.rack.put({ ...bareHost('c'), held: { by: 'ann', why: 'w', at: now }, serial: 'SN-77' });
  under.rack.put({ ...bareHost('d', 'discovered'), failed: { step: 'boot', code: 'timed-out', reason: 'r', at: now, tries: 1 } });
  const names = async (query: string): Promise<string> =>
    ((await under.ask('GET', `/v1/hosts${query}`)).json() as Page).items.map(({ name }) => name).join('');
  return { ...under, names };
};

describe('filters', () => {
  const cases: readonly [string, string][] = [
    ['', 'abcd'],
    ['?state=available', 'a'],
    ['?pool=edge', 'a'],
    ['?pool=default', 'bcd'],
    ['?labels=tier', 'ab'],
    ['?labels=!tier', 'cd'],
    // In every object of the language, and no label of anybody.
    ['?labels=constructor', ''],
    ['?labels=!toString', 'abcd'],
    ['?labels=tier=db', 'b'],
    ['?labels=tier!=db', 'acd'],
    ['?labels=tier,!gpu', 'b'],
    ['?held=true', 'c'],
    ['?held=false&failed=false', 'ab'],
    ['?failed=true', 'd'],
    ['?q=sn-7', 'c'],
    ['?q=debian', 'b'],
    ['?q=52:54', 'abcd'],
    ['?state=available&pool=default', ''],
  ];
  for (const [query, wanted] of cases)
    test(`/v1/hosts${query}`, async () => {
      const { names } = await racked();
      assert.equal(await names(query), wanted);
    });
  for (const query of ['?state=broken', '?labels=%3Dx', '?labels=!a%3Db', '?held=maybe', '?limit=0', '?limit=100000', '?colour=red'])
    test(`/v1/hosts${query} is refused`, async () => {
      const { ask } = await racked();
      assert.equal((await ask('GET', `/v1/hosts${query}`)).status, 400);
    });
});

describe('pages', () => {
  test('each goes on where the one before ended, though hosts come and go', async () => {
    const { ask, rack } = await racked();
    const first = (await ask('GET', '/v1/hosts?limit=2')).json() as Page;
    rack.hosts.delete('h-b');
    rack.put(bareHost('aa'));
    const second = (await ask('GET', `/v1/hosts?limit=2&cursor=${first.next ?? ''}`)).json() as Page;
    assert.deepEqual(
      [first, second].map(({ items }) => items.map(({ name }) => name).join('')),
      ['ab', 'cd'],
    );
    assert.equal(second.next, undefined);
  });
  test('together they are the whole list, whatever the limit', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 70 }),
        (keys, limit) => {
          const all: string[] = [];
          for (let cursor: string | undefined, turns = 0; turns < 100; turns++) {
            const page = paged(keys, (key) => key, { limit, ...(cursor === undefined ? {} : { cursor }) });
            all.push(...page.items);
            cursor = page.next;
            if (cursor === undefined) break;
          }
          assert.deepEqual(
            all,
            keys.toSorted((a, b) => (a < b ? -1 : 1)),
          );
        },
      ),
    );
  });
});

describe('entity tags', () => {
  test('a change that names the version as it was seen is done; another is refused', async () => {
    const { ask, rack } = await asking();
    const seen = (await ask('GET', '/v1/hosts/h1')).headers['etag'] ?? '';
    const { version } = hostJson.parse((await ask('GET', '/v1/hosts/h1')).json());
    assert.match(seen, new RegExp(`^"${version}-[0-9a-f]{16}"$`));
    const askers: Asker[] = [];
    rack.port.hold = async (idOrName, _, as) => {
      askers.push(as);
      return rack.view(idOrName).host;
    };
    await ask('POST', '/v1/hosts/h1/hold', { body: { why: 'w' }, headers: { 'if-match': seen } });
    assert.deepEqual(askers, [{ by: 'operator', ifVersion: version }]);
  });
  for (const [tag, code] of [
    ['*', 200],
    ['"7"', 200],
    ['7', 412],
    ['W/"7"', 412],
    ['"x"', 412],
  ] as const)
    test(`If-Match: ${tag} is ${code}`, async () => {
      const { ask } = await asking();
      assert.equal((await ask('POST', '/v1/hosts/h1/hold', { body: { why: 'w' }, headers: { 'if-match': tag } })).status, code);
    });
  test('what is known already is not sent again, and what the host does is not missed', async () => {
    const { ask, rack } = await asking();
    const { headers } = await ask('GET', '/v1/hosts/h1');
    const again = await ask('GET', '/v1/hosts/h1', { headers: { 'if-none-match': `"x", W/${headers['etag'] ?? ''}` } });
    assert.deepEqual([again.status, again.text, again.headers['etag']], [304, '', headers['etag']]);
    rack.put(rack.view('h1').host, { doing: 'waiting for the first packet' });
    assert.equal((await ask('GET', '/v1/hosts/h1', { headers: { 'if-none-match': headers['etag'] ?? '' } })).status, 200);
  });
});

describe('bounds', () => {
  test('a bucket gives its burst, then its rate, and no more however the clock jumps back', () => {
    const buckets = new Buckets({ perSecond: 2, burst: 3, namesMax: 10 });
    assert.deepEqual(
      [0, 0, 0, 0, 250, 500, 400].map((at) => buckets.take('a', at)),
      [0, 0, 0, 500, 250, 0, 500],
    );
  });
  test('no more names are kept than may be', () => {
    const buckets = new Buckets({ perSecond: 1, burst: 1, namesMax: 2 });
    for (const name of ['a', 'b', 'c']) assert.equal(buckets.take(name, 0), 0);
    assert.ok(buckets.take('c', 0) > 0);
    assert.equal(buckets.take('a', 0), 0, 'the one that was longest silent was forgotten');
  });
  test('seats are bounded for each and for all, and come back once', () => {
    const seats = new Seats(3, 2);
    const [one, two] = [seats.take('a'), seats.take('a')];
    assert.equal(seats.take('a'), undefined);
    assert.ok(seats.take('b') !== undefined);
    assert.equal(seats.take('b'), undefined, 'all are taken');
    one?.();
    one?.();
    assert.ok(seats.take('a') !== undefined);
    assert.equal(seats.take('c'), undefined);
    two?.();
  });
});
