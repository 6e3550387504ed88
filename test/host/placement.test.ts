/** Hosts of one group and where they come to stand, and hosts that a release kept for a word: who is taken, and why the others are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reservationOf } from '../../src/host/host.ts';
import type { Host, PlacementRule, Reservation } from '../../src/host/host.ts';
import { crowd, misplaced, placeOf, placesOf } from '../../src/host/placement.ts';
import { profileOf } from '../../src/host/profile.ts';
import { aroundOf, countMisfits, misfit, preferenceOf, selectorSchema, tellMisfits } from '../../src/host/select.ts';
import type { Wish } from '../../src/host/select.ts';
import { after, available, claimed, cleaning, provisioned } from './make.ts';

const at = (name: string, failureDomain?: string, labels = {}): Host => ({
  ...available,
  id: name,
  name,
  profile: profileOf({ ...(failureDomain === undefined ? {} : { failureDomain }), rack: `r-${failureDomain ?? 'none'}`, labels }),
});
/** The same host, taken by a claim of this group. */
const inGroup = (host: Host, group: string): Host => {
  const claim = claimed.claim;
  assert.ok(claim !== null);
  const rule: PlacementRule = { group, by: 'rack', mode: 'spread' };
  return {
    ...host,
    state: 'provisioned',
    claim: { ...claim, asked: { owner: 'me', disk: { only: true }, image: 'alpha', placement: rule } },
  };
};
const wish = (part: Partial<Wish>): Wish => ({
  selector: selectorSchema.parse({}),
  rule: { only: true },
  imageBytes: 1,
  isNamed: false,
  ...part,
});
const spread: PlacementRule = { group: 'g', by: 'failureDomain', mode: 'spread' };
/** Names of the hosts that fit, the one that is taken first. */
const fitting = (hosts: readonly Host[], asked: Wish, now = 0): readonly string[] => {
  const around = aroundOf(hosts, asked, now);
  return hosts
    .filter((host) => misfit(host, asked, around) === undefined)
    .toSorted(preferenceOf(asked, around))
    .map(({ name }) => name);
};
const classOf = (host: Host, hosts: readonly Host[], asked: Wish, now = 0): string | undefined =>
  misfit(host, asked, aroundOf(hosts, asked, now))?.class;

test('a place is the failure domain, the rack, or a label; nobody said it: none', () => {
  const host = at('a', 'z1', { row: '7' });
  assert.deepEqual(
    [placeOf(host, 'failureDomain'), placeOf(host, 'rack'), placeOf(host, 'row'), placeOf(host, 'pdu')],
    ['z1', 'r-z1', '7', undefined],
  );
});
test('places count the hosts of the group alone, by what this claim asks for', () => {
  const hosts = [
    inGroup(at('a', 'z1'), 'g'),
    inGroup(at('b', 'z1'), 'g'),
    inGroup(at('c', 'z2'), 'other'),
    inGroup(at('d'), 'g'),
    at('e', 'z3'),
  ];
  assert.deepEqual([...placesOf(hosts, spread)], [['z1', 2]]);
});
test('spread: where the fewest of the group are; a place that nobody said comes last', () => {
  const hosts = [inGroup(at('a', 'z1'), 'g'), at('b', 'z1'), at('c', 'z2'), at('d'), at('e', 'z1')];
  assert.deepEqual(fitting(hosts, wish({ placement: spread })), ['c', 'b', 'e', 'd']);
  assert.equal(crowd(at('d'), spread, new Map()), Number.MAX_SAFE_INTEGER);
});
test('require-spread: only where none of the group is, and where nobody knows it is refused', () => {
  const hosts = [inGroup(at('a', 'z1'), 'g'), at('b', 'z1'), at('c', 'z2'), at('d')];
  const asked = wish({ placement: { ...spread, mode: 'require-spread' } });
  assert.deepEqual(fitting(hosts, asked), ['c']);
  const around = aroundOf(hosts, asked, 0);
  const misfits = hosts.map((host) => misfit(host, asked, around)).filter((one) => one !== undefined);
  assert.deepEqual(
    misfits.map((one) => [one.host.name, one.class, one.reason]),
    [
      ['a', 'claimed', 'claimed by me (c1)'],
      ['b', 'placement', 'group g has 1 in its failureDomain z1 already'],
      ['d', 'placement', 'its failureDomain is not known, so it cannot be apart from group g'],
    ],
  );
  assert.equal(
    tellMisfits(countMisfits(misfits, asked), 4),
    '4 hosts looked at, none fits: 2 where the group must not stand; 1 held by other claims: claimed by me (c1)',
  );
});
test('together: only where one of the group is; anywhere where there is none yet', () => {
  const rule: PlacementRule = { ...spread, mode: 'together' };
  assert.deepEqual(fitting([at('a', 'z1'), at('b', 'z2'), at('c')], wish({ placement: rule })), ['a', 'b', 'c']);
  const hosts = [inGroup(at('a', 'z2'), 'g'), at('b', 'z1'), at('c', 'z2'), at('d')];
  assert.deepEqual(fitting(hosts, wish({ placement: rule })), ['c']);
  assert.match(misplaced(at('b', 'z1'), rule, new Map([['z2', 1]])) ?? '', /its failureDomain is z1, group g is in z2/);
  assert.match(misplaced(at('d'), rule, new Map([['z2', 1]])) ?? '', /cannot be with group g/);
});
test('a host that is named is judged by its place too', () => {
  const hosts = [inGroup(at('a', 'z1'), 'g'), at('b', 'z1')];
  const asked = wish({ placement: { ...spread, mode: 'require-spread' }, isNamed: true });
  assert.equal(classOf(hosts[1] ?? at('x'), hosts, asked), 'placement');
});

const kept = (host: Host, reservation: Reservation): Host => ({ ...host, reservation });
const free = { for: 'md-0', seconds: 60, until: 1_000 };
const later = { for: 'md-0', seconds: 60, until: null };
const busy = (name: string): Host => ({ ...at(name), state: 'cleaning', release: cleaning.release, reservation: later });
const mine = { of: 'md-0', mode: 'prefer' } as const;
test('a host that is kept is taken with its word first, by nobody else, and by anybody when the time is over', () => {
  const hosts = [at('a'), kept(at('b'), free)];
  assert.deepEqual(fitting(hosts, wish({ reuse: mine })), ['b', 'a']);
  assert.deepEqual(fitting(hosts, wish({ reuse: { ...mine, of: 'md-1' } })), ['a']);
  assert.deepEqual(fitting(hosts, wish({})), ['a']);
  assert.equal(classOf(hosts[1] ?? at('x'), hosts, wish({})), 'reserved');
  assert.equal(classOf(hosts[1] ?? at('x'), hosts, wish({ isNamed: true })), 'reserved');
  assert.deepEqual(fitting(hosts, wish({}), 1_000), ['a', 'b']);
  assert.deepEqual([reservationOf({ reservation: free }, 999)?.for, reservationOf({ reservation: free }, 1_000)], ['md-0', undefined]);
  assert.deepEqual([reservationOf({}, 0), reservationOf({ reservation: null }, 0)], [undefined, undefined]);
});
test('prefer: while it is cleaned another is taken; wait: none is, and the class is `reserved`', () => {
  const hosts = [at('a'), busy('b')];
  const waiting = wish({ reuse: { ...mine, mode: 'wait' } });
  assert.deepEqual(fitting(hosts, wish({ reuse: mine })), ['a']);
  assert.deepEqual(fitting(hosts, waiting), []);
  assert.deepEqual(
    hosts.map((host) => misfit(host, waiting, aroundOf(hosts, waiting, 0))?.reason),
    ['the claim waits for host b, which is being cleaned', 'it is kept for this claim and is being cleaned'],
  );
  assert.deepEqual(
    hosts.map((host) => classOf(host, hosts, waiting)),
    ['reserved', 'reserved'],
  );
});
test('wait: what failed at cleaning, is held, or would not fit is not waited for; one that is free already is taken', () => {
  const waiting = wish({ reuse: { ...mine, mode: 'wait' } });
  const failed: Host = { ...busy('b'), failed: { step: 'clean', code: 'internal', reason: 'x', at: 0, tries: 3 } };
  assert.deepEqual(fitting([at('a'), failed], waiting), ['a']);
  assert.deepEqual(fitting([at('a'), { ...busy('b'), held: { by: 'eve', why: 'x', at: 0 } }], waiting), ['a']);
  assert.deepEqual(fitting([at('a'), { ...busy('b'), profile: profileOf({ pool: 'gpu' }) }], waiting), ['a']);
  assert.deepEqual(fitting([at('a'), busy('b'), kept(at('c'), free)], waiting), ['c']);
});

const claim = {
  type: 'claim',
  id: 'c2',
  owner: 'you',
  intent: claimed.claim?.intent ?? assert.fail(),
  rule: { only: true },
  disk: claimed.claim?.disk ?? assert.fail(),
} as const;
test('the rulebook: kept through cleaning, counted from when it is clean, given up by the claim with its word', () => {
  const reserve = { for: 'md-0', seconds: 60 };
  const unwritten = after(claimed, { type: 'release', claimId: 'c1', by: 'me', reserve });
  assert.deepEqual(unwritten.reservation, { ...reserve, until: 61_000 });
  const released = after(provisioned, { type: 'release', claimId: 'c1', by: 'me', reserve });
  assert.deepEqual(released.reservation, { ...reserve, until: null });
  assert.equal(after(released, { type: 'release', claimId: 'c1', by: 'me' }).reservation?.for, 'md-0', 'the first wish stands');
  const clean = after({ ...cleaning, reservation: released.reservation ?? null }, { type: 'cleaned', jobId: '2.1.clean' });
  assert.deepEqual(clean.reservation, { ...reserve, until: 61_000 });
  assert.throws(() => after(clean, claim), /is kept for \\"md-0\\"/);
  const asked = { owner: 'you', disk: { only: true }, image: 'alpha', reuse: mine } as const;
  assert.equal(after(clean, { ...claim, asked }).reservation, null);
  assert.equal(after(after(clean, { type: 'unreserve', by: 'eve' }), claim).claim?.id, 'c2');
  assert.throws(() => after(available, { type: 'unreserve', by: 'eve' }), /kept for nobody/);
  const again = after(after(clean, { ...claim, asked }), { type: 'release', claimId: 'c2', by: 'you' });
  assert.equal(again.reservation, null, 'a release without a wish keeps it for nobody');
});
