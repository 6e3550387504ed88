/** A database of the first thread becomes one of today: nothing is lost, its secrets are sealed, and a crash on the way is harmless. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { plainProfile, reservationOf } from '../../src/host/host.ts';
import { schemaVersion } from '../../src/store/schema.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { complianceLimits, refused } from '../compliance/store.ts';
import { sealerOf, testSealer } from './sealer.ts';

const script = new URL('../vectors/store/first-thread.sql', import.meta.url);
const secrets = ['old-password-2', 'old-password-3', 'old-user-data-3', 'PRIVATE-OLD', 'ab'.repeat(32)];

const withOldDatabase = async (run: (path: string, folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'upgrade-'));
  try {
    const path = join(folder, 'remuda.db');
    const database = new Database(path);
    database.exec(await readFile(script, 'utf8'));
    database.close();
    await run(path, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
};
/** All bytes of the database and of what stands beside it. */
const bytesIn = async (folder: string): Promise<string> =>
  Buffer.concat(await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))).toString('latin1');

test('every host, claim, line, lease and setting of the first thread is there after the upgrade', () =>
  withOldDatabase(async (path) => {
    const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
    const hosts = await store.hosts();
    assert.deepEqual(
      hosts.map(({ name, state, version }) => [name, state, version]),
      [
        ['found-1', 'discovered', 1],
        ['rack-2', 'available', 8],
        ['rack-3', 'provisioned', 13],
        ['rack-4', 'cleaning', 14],
      ],
    );
    for (const host of hosts) assert.deepEqual([host.serial, host.profile], [null, plainProfile]);
    const [, available, provisioned, cleaning] = hosts;
    assert.equal(available?.bmc?.password, 'old-password-2');
    assert.match(provisioned?.claim?.intent.userData ?? '', /old-user-data-3/);
    assert.equal(provisioned?.facts.installed?.disk.serial, 'disk-3');
    assert.deepEqual([cleaning?.release?.claimId, cleaning?.release?.disk.serial], ['c4', 'disk-4']);
    assert.deepEqual(
      (await store.claims()).map(({ id, releasedAt }) => [id, releasedAt !== null]),
      [
        ['c3', false],
        ['c4', true],
      ],
    );
    assert.equal((await store.timeline('h3', { most: 100 })).length, 13);
    assert.deepEqual(
      (await store.leases()).map(({ address }) => String(address)),
      ['10.77.0.50'],
    );
    assert.equal(await store.setting('secret', () => 'another'), 'ab'.repeat(32));
    assert.match(await store.setting('identity', () => 'another'), /PRIVATE-OLD/);
    // What came later is absent, and means that there is none.
    for (const host of hosts)
      assert.deepEqual([host.reservation, reservationOf(host, 0), host.release?.offAt], [undefined, undefined, undefined]);
    assert.equal(provisioned?.claim?.asked?.placement, undefined);
    // A host of then may be changed now.
    assert.ok(available !== undefined);
    assert.equal((await store.save({ ...available, serial: 'S2' }, [])).version, 9);
    await store.close();
  }));

test('after the upgrade no secret of then stands in clear in any file', () =>
  withOldDatabase(async (path, folder) => {
    const before = await bytesIn(folder);
    for (const secret of secrets) assert.ok(before.includes(secret), `${secret} stands in the old database`);
    const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
    const open = await bytesIn(folder);
    await store.close();
    const closed = await bytesIn(folder);
    for (const secret of secrets) assert.ok(!open.includes(secret) && !closed.includes(secret), `${secret} is gone`);
  }));

test('a changed key opens what the old one sealed, seals it anew, and then the old one is not needed', () =>
  withOldDatabase(async (path) => {
    await (await openSqliteStore(path, complianceLimits, { sealer: sealerOf('1') })).close();
    await refused('bad-config', openSqliteStore(path, complianceLimits, { sealer: sealerOf('2') }), /sealed with key [0-9a-f]{8}/);
    await (await openSqliteStore(path, complianceLimits, { sealer: sealerOf('2', '1') })).close();
    const store = await openSqliteStore(path, complianceLimits, { sealer: sealerOf('2') });
    assert.equal((await store.host('h2'))?.bmc?.password, 'old-password-2');
    await store.close();
  }));

/** Long enough to die at every await of an upgrade, and after it. */
const deaths = Array.from({ length: 60 }, (_, index) => index * 8);
test('an upgrade that dies anywhere goes on where it stopped', async () => {
  let cutOff = 0;
  for (const turns of deaths)
    await withOldDatabase(async (path) => {
      const life = new AbortController();
      const opening = openSqliteStore(path, complianceLimits, { sealer: testSealer, died: life.signal }).then(
        () => 'opened',
        () => 'refused',
      );
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      cutOff += (await Promise.race([opening, Promise.resolve('under way')])) === 'under way' ? 1 : 0;
      life.abort();
      const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
      assert.deepEqual(
        (await store.hosts()).map(({ version, profile }) => [version, profile.pool]),
        [1, 8, 13, 14].map((version) => [version, 'default']),
      );
      assert.equal(await store.setting('secret', () => 'another'), 'ab'.repeat(32));
      await store.close();
      const database = new Database(path, { readonly: true });
      const versions = database.prepare('select version from schema_migrations order by version').pluck().all();
      database.close();
      assert.deepEqual(
        versions,
        Array.from({ length: schemaVersion }, (_, index) => index + 1),
      );
    });
  assert.ok(cutOff > 10 && cutOff < deaths.length, `${cutOff} of ${deaths.length} upgrades were cut off`);
});
