/** What every store must do, sentence by sentence of src/store/store.ts; each implementation runs it from its own test file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Code } from '../../src/errors.ts';
import { RemudaError } from '../../src/errors.ts';
import { newHost } from '../../src/host/host.ts';
import type { Claim, Host, JournalEntry } from '../../src/host/host.ts';
import { limits } from '../../src/limits.ts';
import type { AuditEntry, JournalRow, Store, TokenRow } from '../../src/store/store.ts';
import { parseIpv4, parseMac } from '../../src/wire/address.ts';
import type { Ipv4, Mac } from '../../src/wire/address.ts';
import type { Lease } from '../../src/wire/words.ts';

export interface StoreUnderTest {
  readonly store: Store;
  /** The process dies without closing anything, and the next one opens the same data. */
  readonly reopen: () => Promise<Store>;
  readonly dispose: () => Promise<void>;
}
/** An implementation is opened with these, so that its bounds are near. */
export const complianceLimits = { ...limits, timelineEntriesPerHost: 20, auditEntries: 20, storeBusyMs: 0 };
const journalMost = complianceLimits.timelineEntriesPerHost;

export const mac = (number: number): Mac => {
  const parsed = parseMac(`52:54:00:00:00:${number.toString(16).padStart(2, '0')}`);
  assert(parsed !== undefined);
  return parsed;
};
const address = (number: number): Ipv4 => {
  const parsed = parseIpv4(`10.77.0.${number}`);
  assert(parsed !== undefined);
  return parsed;
};
export const hostNumber = (number: number): Host =>
  newHost({ id: `h${number}`, name: `rack1-${number}`, state: 'enrolled', macs: [mac(number)] }, 1_000);
export const claimOf = (id: string, owner = 'team-a'): Claim => ({
  id,
  owner,
  generation: 1,
  intent: { image: 'sha256:00', imageName: 'os', imageSizeBytes: 1, phoneHome: 'none', hostName: 'n1' },
  rule: { only: true },
  disk: { path: '/dev/vda', sizeBytes: 1024, serial: 'd0' },
  createdAt: 2_000,
});
export const entry = (hostId: string, text: string, kind: JournalEntry['kind'] = 'state', at = 3_000): JournalEntry => ({
  hostId,
  at,
  kind,
  boot: 0,
  text,
});
const lease = (number: number, more: Partial<Lease> = {}): Lease => ({
  address: address(number),
  mac: mac(number),
  startsAt: 1,
  endsAt: 2,
  ...more,
});
const texts = (rows: readonly JournalRow[]): readonly string[] => rows.map(({ text }) => text);

/** `promise` is refused with this code, on purpose and in words. */
export const refused = async (code: Code, promise: Promise<unknown>, words = /\w+ \w+/): Promise<void> => {
  await assert.rejects(promise, (error) => {
    assert(error instanceof RemudaError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  });
};

type Case = (store: Store, under: StoreUnderTest) => Promise<void>;

const hostCases: Readonly<Record<string, Case>> = {
  'an empty store has nothing': async (store) => {
    assert.deepEqual(await store.hosts(), []);
    assert.equal(await store.host('h1'), undefined);
    assert.deepEqual(await store.claims(), []);
    assert.equal(await store.claim('c1'), undefined);
    assert.deepEqual(await store.leases(), []);
    assert.deepEqual(await store.timeline('h1', { most: 5 }), []);
  },
  'a created host has version 1, its first entries, and comes back whole': async (store) => {
    const rich: Host = {
      ...hostNumber(1),
      version: 7,
      bmc: { protocol: 'redfish', url: 'https://10.0.0.1', username: 'root', password: 'ä"\\\u0000', insecure: true },
      held: { by: 'ann', why: 'disk swap', at: 5 },
    };
    const created = await store.create(rich, [
      entry('h1', 'first'),
      { ...entry('h1', 'second', 'packet', 4_000), boot: 3, data: { a: [1, null], b: 'x' } },
    ]);
    assert.deepEqual(created, { ...rich, version: 1 });
    assert.deepEqual(await store.host('h1'), created);
    const rows = await store.timeline('h1', { most: 10 });
    assert.deepEqual(rows, [
      { ...entry('h1', 'first'), seq: 1 },
      { ...entry('h1', 'second', 'packet', 4_000), boot: 3, data: { a: [1, null], b: 'x' }, seq: 2 },
    ]);
  },
  'all hosts, by name': async (store) => {
    for (const [id, name] of [
      ['a', 'zulu'],
      ['b', 'Alpha'],
      ['c', 'mike'],
      ['d', 'alpha'],
    ] as const)
      await store.create({ ...hostNumber(1), id, name, macs: [] }, []);
    assert.deepEqual(
      (await store.hosts()).map(({ name }) => name),
      ['Alpha', 'alpha', 'mike', 'zulu'],
    );
  },
  'host-exists: name, MAC or ID of another host, and nothing of the refused host stays': async (store) => {
    await store.create({ ...hostNumber(1), macs: [mac(1), mac(101)] }, []);
    await refused('host-exists', store.create({ ...hostNumber(2), name: 'rack1-1' }, [entry('h2', 'x')]), /rack1-1/);
    await refused(
      'host-exists',
      store.create({ ...hostNumber(2), macs: [mac(2), mac(101)], claim: claimOf('c1') }, [entry('h2', 'x')]),
      /52:54:00:00:00:65 belongs to host rack1-1/,
    );
    await refused('host-exists', store.create({ ...hostNumber(1), name: 'other', macs: [] }, []));
    assert.equal((await store.hosts()).length, 1);
    assert.deepEqual(await store.timeline('h2', { most: 5 }), []);
    assert.deepEqual(await store.claims(), []);
    await store.create(hostNumber(2), []);
  },
  'a save may move a MAC or a name only where it is free': async (store) => {
    const one = await store.create(hostNumber(1), []);
    const two = await store.create(hostNumber(2), []);
    await refused('host-exists', store.save({ ...one, macs: [mac(2)] }, []));
    await refused('host-exists', store.save({ ...one, name: 'rack1-2' }, []));
    assert.deepEqual(await store.host('h1'), one);
    const without = await store.save({ ...two, macs: [], name: 'spare' }, []);
    const moved = await store.save({ ...one, macs: [mac(2), mac(1), mac(2)], name: 'rack1-2' }, []);
    assert.deepEqual(await store.hosts(), [moved, without]);
    await refused('host-exists', store.create({ ...hostNumber(3), macs: [mac(2)] }, []));
  },
  'a save takes the version that the writer saw and returns the next': async (store) => {
    const created = await store.create(hostNumber(1), []);
    const saved = await store.save({ ...created, state: 'inspecting' }, [entry('h1', 'inspecting')]);
    assert.deepEqual(saved, { ...created, state: 'inspecting', version: 2 });
    assert.deepEqual(await store.host('h1'), saved);
    await refused(
      'version-conflict',
      store.save({ ...created, state: 'available', claim: claimOf('c1'), macs: [mac(9)] }, [entry('h1', 'late')]),
      /rack1-1/,
    );
    await refused('version-conflict', store.save({ ...created, version: 3 }, []));
    assert.deepEqual(await store.host('h1'), saved);
    assert.deepEqual(await store.claims(), []);
    assert.deepEqual(texts(await store.timeline('h1', { most: 10 })), ['inspecting']);
    await store.create({ ...hostNumber(2), macs: [mac(9)] }, []);
  },
  'a host that is gone cannot be saved or forgotten': async (store) => {
    await refused('host-not-found', store.save({ ...hostNumber(1), version: 1 }, []));
    await refused('host-not-found', store.forget('h1', 1));
  },
  'an entry of another host is not taken': async (store) => {
    const created = await store.create(hostNumber(1), []);
    await store.create(hostNumber(2), []);
    await refused('internal', store.save(created, [entry('h2', 'stray')]));
    await refused('internal', store.create(hostNumber(3), [entry('h2', 'stray')]));
    assert.deepEqual(await store.host('h1'), created);
    assert.deepEqual(await store.timeline('h2', { most: 5 }), []);
  },
  'forget takes the journal, the name and the MACs along, and only the version that was seen': async (store) => {
    const created = await store.create(hostNumber(1), [entry('h1', 'first')]);
    await refused('version-conflict', store.forget('h1', 2));
    await store.forget('h1', created.version);
    assert.equal(await store.host('h1'), undefined);
    assert.deepEqual(await store.timeline('h1', { most: 5 }), []);
    await store.create(hostNumber(1), [entry('h1', 'again')]);
    assert.deepEqual(texts(await store.timeline('h1', { most: 5 })), ['again']);
  },
};

const claimCases: Readonly<Record<string, Case>> = {
  'a new claim has a row; saving it again changes nothing': async (store) => {
    const created = await store.create(hostNumber(1), []);
    const claimed = await store.save({ ...created, claim: claimOf('c1') }, []);
    const row = { id: 'c1', hostId: 'h1', owner: 'team-a', createdAt: 2_000, releasedAt: null };
    assert.deepEqual(await store.claim('c1'), row);
    await store.save({ ...claimed, claim: { ...claimOf('c1'), generation: 2 } }, []);
    assert.deepEqual(await store.claims(), [row]);
    assert.equal((await store.host('h1'))?.claim?.generation, 2);
  },
  'a host may be created with its claim': async (store) => {
    await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
    assert.equal((await store.claim('c1'))?.hostId, 'h1');
    await refused('claim-exists', store.create({ ...hostNumber(2), claim: claimOf('c1') }, []));
  },
  'a claim that went away is released when the record says': async (store) => {
    const claimed = await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
    const release = { claimId: 'c1', generation: 1, disk: claimOf('c1').disk, at: 9_000 };
    await store.save({ ...claimed, claim: null, release }, [entry('h1', 'released', 'state', 9_999)]);
    assert.equal((await store.claim('c1'))?.releasedAt, 9_000);
  },
  'without a record of the release, its entry dates it': async (store) => {
    const claimed = await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
    await store.save({ ...claimed, claim: null }, [entry('h1', 'released', 'state', 9_999)]);
    assert.equal((await store.claim('c1'))?.releasedAt, 9_999);
  },
  'a released ID is never given again, not even to its own host': async (store) => {
    const claimed = await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
    const free = await store.save({ ...claimed, claim: null }, []);
    const other = await store.create(hostNumber(2), []);
    await refused('claim-exists', store.save({ ...free, claim: claimOf('c1') }, [entry('h1', 'again')]), /c1/);
    await refused('claim-exists', store.save({ ...other, claim: claimOf('c1') }, []));
    assert.deepEqual(await store.host('h1'), free);
    assert.deepEqual(await store.timeline('h1', { most: 5 }), []);
    await store.save({ ...free, claim: claimOf('c2') }, []);
  },
  'an ID in use is not given to another host': async (store) => {
    await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
    const other = await store.create(hostNumber(2), []);
    await refused('claim-exists', store.save({ ...other, claim: claimOf('c1', 'team-b') }, []), /h1/);
    assert.deepEqual(await store.host('h2'), other);
    assert.equal((await store.claim('c1'))?.owner, 'team-a');
  },
  'another claim in its place releases the first': async (store) => {
    const claimed = await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
    await store.save({ ...claimed, claim: claimOf('c2') }, [entry('h1', 'moved', 'state', 7_000)]);
    assert.deepEqual(
      (await store.claims()).map(({ id, releasedAt }) => [id, releasedAt]),
      [
        ['c1', 7_000],
        ['c2', null],
      ],
    );
  },
  'a claimed host is not forgotten; the claim outlives its host': async (store) => {
    const claimed = await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
    await refused('host-claimed', store.forget('h1', claimed.version), /c1/);
    const free = await store.save({ ...claimed, claim: null }, []);
    await store.forget('h1', free.version);
    assert.equal((await store.claim('c1'))?.hostId, 'h1');
    const again = await store.create(hostNumber(1), []);
    await refused('claim-exists', store.save({ ...again, claim: claimOf('c1') }, []));
  },
};

const journalCases: Readonly<Record<string, Case>> = {
  'seq grows by one a row over all hosts and is the cursor of a reader': async (store) => {
    const one = await store.create(hostNumber(1), [entry('h1', 'a')]);
    await store.create(hostNumber(2), [entry('h2', 'b')]);
    await store.observe([entry('h2', 'c', 'packet'), entry('h1', 'd', 'packet')]);
    await store.save(one, [entry('h1', 'e'), entry('h1', 'f')]);
    const rows = [...(await store.timeline('h1', { most: 10 })), ...(await store.timeline('h2', { most: 10 }))].toSorted(
      (a, b) => a.seq - b.seq,
    );
    assert.deepEqual(texts(rows), ['a', 'b', 'c', 'd', 'e', 'f']);
    const first = rows[0]?.seq ?? 0;
    assert.deepEqual(
      rows.map(({ seq }) => seq - first),
      [0, 1, 2, 3, 4, 5],
    );
    assert.deepEqual(texts(await store.timeline('h1', { after: first, most: 2 })), ['d', 'e']);
    assert.deepEqual(texts(await store.timeline('h1', { after: first + 4, most: 9 })), ['f']);
    assert.deepEqual(await store.timeline('h1', { after: first + 5, most: 9 }), []);
    assert.deepEqual(texts(await store.timeline('h1', { most: 2 })), ['e', 'f']);
  },
  'a refused change leaves no gap, and a forgotten host gives no number back': async (store) => {
    const one = await store.create(hostNumber(1), [entry('h1', 'a')]);
    const before = (await store.timeline('h1', { most: 1 }))[0]?.seq ?? 0;
    await refused('version-conflict', store.save({ ...one, version: 9 }, [entry('h1', 'x')]));
    await store.forget('h1', 1);
    await store.create(hostNumber(1), [entry('h1', 'b')]);
    assert.equal((await store.timeline('h1', { most: 1 }))[0]?.seq, before + 1);
  },
  'observations carry no version; those of an unknown host are dropped': async (store) => {
    await store.create(hostNumber(1), []);
    await store.observe([]);
    await store.observe([entry('gone', 'x', 'packet'), entry('h1', 'seen', 'packet')]);
    assert.equal((await store.host('h1'))?.version, 1);
    assert.deepEqual(texts(await store.timeline('h1', { most: 5 })), ['seen']);
    assert.deepEqual(await store.timeline('gone', { most: 5 }), []);
  },
  'the journal is bounded per host: oldest packets go first, state entries last': async (store) => {
    const many = (kind: JournalEntry['kind'], name: string, count: number): JournalEntry[] =>
      Array.from({ length: count }, (_, index) => entry('h1', `${name}${index}`, kind));
    const host = await store.create(hostNumber(1), many('state', 's', 5));
    await store.create(hostNumber(2), [entry('h2', 'other')]);
    await store.observe(many('packet', 'p', journalMost));
    const kept = texts(await store.timeline('h1', { most: 1_000 }));
    assert.deepEqual(kept, [
      ...many('state', 's', 5).map(({ text }) => text),
      ...many('packet', 'p', journalMost)
        .slice(5)
        .map(({ text }) => text),
    ]);
    await store.save(host, many('state', 't', journalMost - 1));
    assert.deepEqual(texts(await store.timeline('h1', { most: 1_000 })), [
      's4',
      ...many('state', 't', journalMost - 1).map(({ text }) => text),
    ]);
    await store.observe(many('packet', 'q', 3));
    assert.equal((await store.timeline('h1', { most: 1_000 })).length, journalMost);
    assert.deepEqual(texts(await store.timeline('h2', { most: 5 })), ['other']);
    await store.create(hostNumber(3), []);
    await store.observe(Array.from({ length: 1_200 }, (_, index) => entry('h3', `r${index}`, 'packet')));
    assert.deepEqual(
      texts(await store.timeline('h3', { most: 1_000 })),
      Array.from({ length: journalMost }, (_, index) => `r${1_200 - journalMost + index}`),
    );
    await store.create(
      hostNumber(4),
      Array.from({ length: journalMost + 2 }, (_, index) => entry('h4', `u${index}`)),
    );
    assert.equal(texts(await store.timeline('h4', { most: 1_000 }))[0], 'u2');
  },
};

const otherCases: Readonly<Record<string, Case>> = {
  'leases are upserted by address and freed': async (store) => {
    await store.saveLeases([lease(1), lease(2, { clientId: 'ff01', hostName: 'a' }), lease(10)], []);
    assert.deepEqual(await store.leases(), [lease(1), lease(2, { clientId: 'ff01', hostName: 'a' }), lease(10)]);
    await store.saveLeases([lease(2, { mac: mac(9), startsAt: 5, endsAt: 6 })], [address(1), address(77)]);
    assert.deepEqual(await store.leases(), [lease(2, { mac: mac(9), startsAt: 5, endsAt: 6 }), lease(10)]);
  },
  'the last of two leases of one address counts, and a lease beats its own freeing': async (store) => {
    await store.saveLeases([lease(1), lease(1, { endsAt: 9 })], [address(1)]);
    assert.deepEqual(await store.leases(), [lease(1, { endsAt: 9 })]);
    await store.saveLeases([], []);
    assert.equal((await store.leases()).length, 1);
  },
  'two thousand leases in one transaction': async (store) => {
    const all = Array.from({ length: 2_000 }, (_, index): Lease => {
      const at = parseIpv4(`10.78.${index >> 8}.${index & 255}`);
      assert(at !== undefined);
      return lease(1, { address: at, startsAt: 1_793_000_000_000 + index, endsAt: 1_793_000_000_000 + index });
    });
    await store.saveLeases(all, []);
    assert.deepEqual(await store.leases(), all);
    await store.saveLeases(
      [],
      all.map((one) => one.address),
    );
    assert.deepEqual(await store.leases(), []);
  },
  'a setting is made once, and all get the first value': async (store, { reopen }) => {
    let made = 0;
    const make = (): string => `value ${(made += 1)}`;
    assert.deepEqual(await Promise.all([store.setting('secret', make), store.setting('secret', make), store.setting('secret', make)]), [
      'value 1',
      'value 1',
      'value 1',
    ]);
    assert.equal(await store.setting('certificate', make), 'value 2');
    const again = await reopen();
    assert.equal(await again.setting('secret', make), 'value 1');
    assert.equal(made, 2);
  },
  'a setting that was dropped is made anew': async (store, { reopen }) => {
    await store.setting('secret', () => 'one');
    await store.setting('other', () => 'stays');
    await store.dropSetting('secret');
    await store.dropSetting('never made');
    const again = await reopen();
    assert.equal(await again.setting('secret', () => 'two'), 'two');
    assert.equal(await again.setting('other', () => 'x'), 'stays');
  },
  'a setting that could not be made is made by the next': async (store) => {
    await assert.rejects(
      store.setting('secret', () => {
        throw new RemudaError('internal', 'no chance today');
      }),
      /no chance today/,
    );
    assert.equal(await store.setting('secret', () => 'x'), 'x');
  },
  'close waits for what was asked before it; afterwards nothing is taken': async (store) => {
    const created = store.create(hostNumber(1), []);
    const closed = store.close();
    assert.equal((await created).version, 1);
    await closed;
    await store.close();
    await refused('internal', store.hosts(), /closed/);
  },
};

const crashCases: Readonly<Record<string, Case>> = {
  'everything that returned is there after a crash': async (store, { reopen }) => {
    const created = await store.create({ ...hostNumber(1), claim: claimOf('c1') }, [entry('h1', 'a')]);
    const saved = await store.save({ ...created, state: 'provisioning' }, [entry('h1', 'b')]);
    await store.observe([entry('h1', 'c', 'packet')]);
    await store.saveLeases([lease(1), lease(2)], []);
    await store.saveLeases([], [address(2)]);
    const rows = await store.timeline('h1', { most: 10 });
    const again = await reopen();
    assert.deepEqual(await again.hosts(), [saved]);
    assert.deepEqual(await again.timeline('h1', { most: 10 }), rows);
    assert.deepEqual(texts(rows), ['a', 'b', 'c']);
    assert.deepEqual(await again.leases(), [lease(1)]);
    assert.equal((await again.claim('c1'))?.releasedAt, null);
    await refused('host-exists', again.create({ ...hostNumber(2), macs: [mac(1)] }, []));
    await again.save({ ...saved, claim: null }, [entry('h1', 'd')]);
    assert.deepEqual(
      (await again.timeline('h1', { after: rows.at(-1)?.seq ?? 0, most: 5 })).map(({ seq }) => seq),
      [(rows.at(-1)?.seq ?? 0) + 1],
    );
  },
  'a crash with changes under way leaves each whole or not at all': async (store, { reopen }) => {
    const created = await store.create(hostNumber(1), []);
    void store.save({ ...created, claim: claimOf('c1'), macs: [mac(5)] }, [entry('h1', 'claimed')]);
    void store.saveLeases([lease(1), lease(2)], []);
    const again = await reopen();
    const host = await again.host('h1');
    const done = host?.version === 2;
    assert.deepEqual(host?.macs, done ? [mac(5)] : [mac(1)]);
    assert.equal((await again.claims()).length, done ? 1 : 0);
    assert.deepEqual(texts(await again.timeline('h1', { most: 5 })), done ? ['claimed'] : []);
    assert([0, 2].includes((await again.leases()).length));
  },
};

/** One writer: at its own moment it reads a host and saves it with what it wants, or lets it go. */
const writer = fc.record({
  host: fc.integer({ min: 1, max: 2 }),
  wants: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  waitBefore: fc.nat(30),
  waitBetween: fc.nat(30),
  crowd: fc.nat(3),
});
const microtasks = async (count: number): Promise<void> => {
  for (let index = 0; index < count; index += 1) await Promise.resolve();
};
type Writer = typeof writer extends fc.Arbitrary<infer W> ? W : never;

/** The saved version, or undefined where the store refused in one of the ways it may. */
const write = async (store: Store, { host, wants, waitBefore, waitBetween, crowd }: Writer, name: string): Promise<number | undefined> => {
  await microtasks(waitBefore);
  const seen = await store.host(`h${host}`);
  assert(seen !== undefined);
  await microtasks(waitBetween);
  const observed = store.observe(Array.from({ length: crowd }, (_, index) => entry(seen.id, `${name}.${index}`, 'packet')));
  try {
    const saved = await store.save({ ...seen, claim: wants === undefined ? null : claimOf(`c${wants}`) }, [
      entry(seen.id, `${name} first`),
      entry(seen.id, `${name} second`),
    ]);
    assert.equal(saved.version, seen.version + 1);
    return saved.version;
  } catch (error) {
    assert(error instanceof RemudaError && ['version-conflict', 'claim-exists'].includes(error.code), String(error));
    return undefined;
  } finally {
    await observed;
  }
};

/** Versions without a hole, claims that agree with the records, both entries of every save and of no other. */
const checkHost = async (store: Store, id: string, saves: ReadonlyMap<string, number>): Promise<void> => {
  const host = await store.host(id);
  assert(host !== undefined);
  assert.deepEqual(
    [...saves.values()].toSorted((a, b) => a - b),
    Array.from({ length: saves.size }, (_, index) => index + 2),
  );
  assert.equal(host.version, saves.size + 1);
  const unreleased = (await store.claims()).filter((claim) => claim.hostId === id && claim.releasedAt === null);
  assert.deepEqual(
    unreleased.map((claim) => claim.id),
    host.claim === null ? [] : [host.claim.id],
  );
  const rows = await store.timeline(id, { most: 1_000 });
  assert(rows.length <= journalMost);
  const inOrder = [...saves].toSorted(([, a], [, b]) => a - b).flatMap(([name]) => [`${name} first`, `${name} second`]);
  assert.deepEqual(texts(rows.filter(({ kind }) => kind === 'state')), inOrder.slice(-journalMost));
};

const interleavings: Case = async (_, { reopen }) => {
  let store = await reopen();
  let round = 0;
  const ids = ['h1', 'h2'];
  await fc.assert(
    fc.asyncProperty(fc.array(writer, { minLength: 2, maxLength: 12 }), async (writers) => {
      round += 1;
      for (const id of ids) await store.create({ ...hostNumber(Number(id.slice(1))), name: `${id}-${round}` }, []);
      const versions = await Promise.all(
        writers.map((one, index) =>
          write(store, { ...one, wants: one.wants === undefined ? undefined : one.wants + round * 10 }, `w${index}`),
        ),
      );
      assert(versions.some((version) => version !== undefined));
      for (const id of ids) {
        const saves = writers.flatMap((one, index) =>
          `h${one.host}` === id && versions[index] !== undefined ? [[`w${index}`, versions[index]] as const] : [],
        );
        await checkHost(store, id, new Map(saves));
      }
      store = await reopen();
      for (const id of ids) {
        const host = await store.host(id);
        assert(host !== undefined);
        const free = host.claim === null ? host : await store.save({ ...host, claim: null }, []);
        await store.forget(id, free.version);
      }
    }),
    { numRuns: 40 },
  );
};

const tokenNumber = (number: number): TokenRow => ({
  id: `t${number}`,
  name: `ci-${number}`,
  role: 'viewer',
  hash: String(number).padStart(64, '0'),
  createdAt: 1_000 + number,
  expiresAt: number % 2 === 0 ? 9_000 : null,
  revokedAt: null,
});
const asked = (action: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
  at: 5_000,
  actor: 'ann',
  action,
  subject: 'h1',
  outcome: 'begun',
  ...more,
});
const accessCases: Readonly<Record<string, Case>> = {
  'entries of all hosts are read in the order of their writing, from a cursor': async (store) => {
    assert.equal(await store.newestEntry(), 0);
    assert.deepEqual(await store.journal({ after: 0, most: 5 }), []);
    for (const number of [1, 2]) await store.create(hostNumber(number), [entry(`h${number}`, `enrolled ${number}`)]);
    await store.observe([entry('h1', 'seen', 'packet')]);
    const all = await store.journal({ after: 0, most: 10 });
    assert.deepEqual(texts(all), ['enrolled 1', 'enrolled 2', 'seen']);
    assert.equal(await store.newestEntry(), all.at(-1)?.seq);
    const [first] = await store.journal({ after: 0, most: 1 });
    assert.deepEqual(texts(await store.journal({ after: first?.seq ?? 0, most: 10 })), ['enrolled 2', 'seen']);
  },
  'tokens come back as they were made, and outlive the process': async (store, { reopen }) => {
    for (const number of [2, 1]) await store.createToken(tokenNumber(number));
    assert.deepEqual(await (await reopen()).tokens(), [tokenNumber(1), tokenNumber(2)]);
  },
  'a name is given once at a time': async (store) => {
    await store.createToken(tokenNumber(1));
    await refused('conflict', store.createToken({ ...tokenNumber(2), name: 'ci-1' }));
    await store.revokeToken('t1', 7_000);
    await store.createToken({ ...tokenNumber(2), name: 'ci-1' });
    assert.equal((await store.tokens()).length, 2);
  },
  'a revoked token stays revoked from its first moment': async (store) => {
    await store.createToken(tokenNumber(1));
    assert.equal((await store.revokeToken('t1', 7_000)).revokedAt, 7_000);
    assert.equal((await store.revokeToken('t1', 8_000)).revokedAt, 7_000);
    assert.equal((await store.tokens())[0]?.revokedAt, 7_000);
    await refused('not-found', store.revokeToken('t9', 8_000));
  },
  'what was asked is on record before it is done, and what became of it afterwards': async (store, { reopen }) => {
    const seq = await store.audit(asked('holdHost', { detail: { request: 'r1' } }));
    await store.audit(asked('claimHost'));
    await store.auditOutcome(seq, 'ok');
    const again = await reopen();
    const rows = await again.auditLog({ most: 10 });
    assert.deepEqual(
      rows.map(({ action, outcome, detail }) => [action, outcome, detail]),
      [
        ['claimHost', 'begun', undefined],
        ['holdHost', 'ok', { request: 'r1' }],
      ],
    );
    assert.deepEqual(
      (await again.auditLog({ before: rows[0]?.seq ?? 0, most: 10 })).map(({ action }) => action),
      ['holdHost'],
      'the rows before the cursor',
    );
  },
  'the audit log is bounded: the oldest rows go': async (store) => {
    for (let number = 1; number <= 25; number++) await store.audit(asked(`a${number}`));
    const rows = await store.auditLog({ most: 100 });
    assert.deepEqual([rows.length, rows[0]?.action, rows.at(-1)?.action], [20, 'a25', 'a6']);
  },
};

/** Runs the whole suite; `open` gives a new, empty store under `complianceLimits`. */
export const storeCompliance = (name: string, open: () => Promise<StoreUnderTest>): void => {
  const cases: Readonly<Record<string, Case>> = {
    ...hostCases,
    ...claimCases,
    ...journalCases,
    ...otherCases,
    ...crashCases,
    ...accessCases,
    'random interleavings keep versions, journal and claims consistent': interleavings,
  };
  for (const [sentence, run] of Object.entries(cases))
    test(`${name}: ${sentence}`, async () => {
      const under = await open();
      try {
        await run(under.store, under);
      } finally {
        await under.dispose();
      }
    });
};
