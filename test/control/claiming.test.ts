/** Claims over a real store: many at once, each host given once, always the same choice, and what is said when the rack is full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { claimSchema } from '../../src/control/rack.ts';
import type { ClaimRequest } from '../../src/control/rack.ts';
import type { RemudaError } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import { profileOf } from '../../src/host/profile.ts';
import { limits } from '../../src/limits.ts';
import { benchWith, by, hostNumber, refused } from './bench.ts';

const wish = (more: Record<string, unknown> = {}): ClaimRequest => claimSchema.parse({ image: 'alpha', ...more });
const rackOf = (count: number) => benchWith(Array.from({ length: count }, (_, index) => hostNumber(index)));

test('more claims than hosts at once: each host is given once, the rest are told how many were looked at', async () => {
  const { rack, store } = await rackOf(20);
  const ends = await Promise.allSettled(Array.from({ length: 30 }, (_, index) => rack.claim(wish({ id: `c${index}` }), by)));
  const won = ends.filter((end) => end.status === 'fulfilled').map(({ value }) => value.host.name);
  assert.equal(won.length, 20);
  assert.equal(new Set(won).size, 20);
  for (const end of ends)
    if (end.status === 'rejected')
      assert.equal((end.reason as RemudaError).message, '20 hosts looked at, none fits: 20 held by other claims');
  assert.equal((await store.claims()).filter(({ releasedAt }) => releasedAt === null).length, 20);
});
test('any mix of claims, repeated or not: one host a claim, one claim a host, the same answer to the same request', async () => {
  const request = fc.record({ id: fc.integer({ min: 0, max: 5 }), host: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }) });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 12 }), async (requests) => {
      const { rack } = await rackOf(4);
      const ends = await Promise.allSettled(
        requests.map(({ id, host }) =>
          rack.claim(wish({ id: `c${id}`, ...(host === undefined ? {} : { host: hostNumber(host).name }) }), by),
        ),
      );
      const holders = (await rack.hosts()).map(({ host }) => host).filter(({ claim }) => claim !== null);
      assert.equal(new Set(holders.map(({ claim }) => claim?.id)).size, holders.length);
      for (const [index, end] of ends.entries()) {
        const { id, host } = requests[index] ?? {};
        if (end.status === 'rejected') {
          assert.match((end.reason as RemudaError).code, /^(no-host-fits|host-claimed|claim-exists)$/);
          continue;
        }
        assert.equal(end.value.host.claim?.id, `c${id}`);
        if (host !== undefined) assert.equal(end.value.host.name, hostNumber(host).name);
        assert.ok(holders.some((one) => one.id === end.value.host.id));
      }
      for (const { id } of requests) {
        const news = ends.filter((end, index) => requests[index]?.id === id && end.status === 'fulfilled' && end.value.isNew);
        assert.ok(news.length <= 1, `claim c${id} was made ${news.length} times`);
      }
    }),
    { numRuns: 40 },
  );
});
test('the smallest host that fits is taken, and the large one is left', async () => {
  const gib = 1024 ** 3;
  const { rack } = await benchWith([
    hostNumber(1, { memoryBytes: 512 * gib }),
    hostNumber(2, { memoryBytes: 64 * gib }),
    hostNumber(3, { memoryBytes: 16 * gib }),
  ]);
  const take = async (memoryBytes: number): Promise<string> => (await rack.claim(wish({ selector: { memoryBytes } }), by)).host.name;
  assert.equal(await take(32 * gib), 'h002');
  assert.equal(await take(1), 'h003');
  assert.equal(await take(1), 'h001');
});
test('a host that changes while it is looked at is looked at again', async () => {
  const { rack, keeper } = await rackOf(2);
  const [claimed] = await Promise.all([
    rack.claim(wish(), by),
    keeper.apply('h000', { type: 'described', by: 'eve', patch: { pool: 'gpu' } }),
  ]);
  const pool = claimed.host.profile.pool;
  assert.ok(pool === 'default' || claimed.host.name === 'h001', `${claimed.host.name} of pool ${pool} was taken`);
});
test('refusals of a host that is named', async () => {
  const { rack, keeper } = await rackOf(3);
  await rack.claim(wish({ id: 'c', host: 'h000' }), by);
  await keeper.apply('h001', { type: 'hold', by: 'eve', why: 'cable' });
  await assert.rejects(rack.claim(wish({ host: 'h000' }), by), refused('host-claimed', /claimed by operator \(c\)/));
  await assert.rejects(rack.claim(wish({ host: 'h001' }), by), refused('state-conflict', /held by eve: cable/));
  await assert.rejects(rack.claim(wish({ host: 'h009' }), by), refused('host-not-found', /no host h009/));
  await assert.rejects(rack.claim(wish({ host: 'h002', selector: { cores: 99 } }), by), refused('no-host-fits', /has 1, wanted 99/));
  await assert.rejects(rack.claim(wish({ host: 'h002', image: 'gamma' }), by), refused('image-not-found', /gamma/));
  await assert.rejects(rack.claim(wish({ host: 'h002', disk: { serial: 'x' } }), by), refused('disk-missing', /no disk matches/));
  await assert.rejects(
    rack.claim(wish({ host: 'h002' }), { by: 'eve', ifVersion: 9 }),
    refused('precondition-failed', /version 1.*version 9/),
  );
  await assert.rejects(rack.claim(wish({ host: 'h002', userData: 'x' }), by), refused('bad-request', /no seed partition/));
});
test('the network of the request, else of the profile, reaches the intent only where the image has a seed', async () => {
  const network = { ethernets: [{ name: 'eth0', dhcp4: true }] };
  const { rack } = await benchWith([{ ...hostNumber(1), profile: profileOf({ network }) }]);
  await assert.rejects(rack.claim(wish({ host: 'h001' }), by), refused('bad-request', /cannot be given a network/));
});
test('only so many claims wait, and whoever does not wait is heard all the same', async () => {
  const { rack } = await rackOf(0);
  const ends: Promise<unknown>[] = [];
  const client = new AbortController();
  for (let index = 0; index < limits.claimsWaitingMax; index++) ends.push(rack.claim(wish({ waitSeconds: 600 }), by, client.signal));
  await assert.rejects(rack.claim(wish({ waitSeconds: 1 }), by), refused('rate-limited', /64 claims wait/));
  await assert.rejects(rack.claim(wish(), by), refused('no-host-fits', /no host/));
  client.abort();
  for (const end of await Promise.allSettled(ends)) assert.equal(end.status, 'rejected');
  const gone = new AbortController();
  const next = rack.claim(wish({ waitSeconds: 600 }), by, gone.signal);
  gone.abort();
  await assert.rejects(next, refused('no-host-fits', /no host/));
});
test('who waits for one host is not woken by another', async () => {
  const { rack, keeper } = await rackOf(2);
  const heard: string[] = [];
  const { signal } = new AbortController();
  const one = rack.changed(60_000, signal, 'h000').then(() => heard.push('h000'));
  const any = rack.changed(60_000, signal).then(() => heard.push('any'));
  await keeper.apply('h001', { type: 'hold', by: 'eve', why: 'x' });
  await any;
  assert.deepEqual(heard, ['any']);
  await keeper.apply('h000', { type: 'hold', by: 'eve', why: 'x' });
  await one;
  assert.deepEqual(heard, ['any', 'h000']);
});
test('a reservation whose time is over is shown to nobody and keeps nobody out', async () => {
  const kept = (until: number): Host => ({ ...hostNumber(1), reservation: { for: 'md-0', seconds: 60, until } });
  const forEver = await benchWith([kept(Number.MAX_SAFE_INTEGER)]);
  assert.equal((await forEver.rack.host('h001')).host.reservation?.for, 'md-0');
  await assert.rejects(forEver.rack.claim(wish(), by), refused('no-host-fits', /1 kept back: it is kept for "md-0"/));
  const over = await benchWith([kept(1)]);
  assert.equal((await over.rack.host('h001')).host.reservation, null);
  assert.equal((await over.rack.claim(wish(), by)).host.name, 'h001');
});
