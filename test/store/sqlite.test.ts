/** The SQLite store: the whole compliance suite, and what a file on a disk adds: locks, modes, full disks, broken bytes, sudden deaths. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import * as fc from 'fast-check';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { claimOf, complianceLimits, entry, hostNumber, mac, refused, storeCompliance } from '../compliance/store.ts';
import type { StoreUnderTest } from '../compliance/store.ts';
import { testSealer } from './sealer.ts';

const inFolder = async (run: (path: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'store-'));
  try {
    await run(join(folder, 'remuda.db'));
  } finally {
    await rm(folder, { recursive: true });
  }
};
/** A process that can die: its handle is closed in the middle of whatever it does. */
const living = async (path: string): Promise<{ readonly store: Store; readonly die: () => void }> => {
  const life = new AbortController();
  return { store: await openSqliteStore(path, complianceLimits, { sealer: testSealer, died: life.signal }), die: () => life.abort() };
};

const underTest = async (): Promise<StoreUnderTest> => {
  const folder = await mkdtemp(join(tmpdir(), 'store-'));
  const path = join(folder, 'remuda.db');
  let life = await living(path);
  return {
    store: life.store,
    reopen: async () => {
      life.die();
      life = await living(path);
      return life.store;
    },
    dispose: async () => {
      life.die();
      await rm(folder, { recursive: true });
    },
  };
};
storeCompliance('sqlite', underTest);

test('a death at any microtask of a save leaves all of it or nothing, frees the file at once, and nobody hears of it', async () => {
  const seen = new Set<number | undefined>();
  for (let steps = 0; steps < 400; steps += 9)
    await inFolder(async (path) => {
      const { store, die } = await living(path);
      const created = await store.create(hostNumber(1), []);
      let heard = 'nothing';
      store.save({ ...created, claim: claimOf('c1'), macs: [mac(5)] }, [entry('h1', 'claimed')]).then(
        () => (heard = 'saved'),
        () => (heard = 'refused'),
      );
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      const before = heard;
      die();
      const next = await living(path);
      const host = await next.store.host('h1');
      assert.equal(heard, before);
      if (heard === 'saved') assert.equal(host?.version, 2);
      assert.equal((await next.store.claims()).length, (host?.version ?? 0) - 1);
      assert.equal((await next.store.timeline('h1', { most: 5 })).length, (host?.version ?? 0) - 1);
      assert.deepEqual(host?.macs, host?.version === 2 ? [mac(5)] : [mac(1)]);
      seen.add(host?.version);
      await next.store.close();
    });
  assert.deepEqual(seen, new Set([1, 2]));
});

test('a death before or while the store opens leaves a file that the next one opens', async () => {
  const sizes = new Set<number>();
  for (let steps = -1; steps < 400; steps += 20)
    await inFolder(async (path) => {
      const life = new AbortController();
      if (steps < 0) life.abort();
      let heard = 'nothing';
      openSqliteStore(path, complianceLimits, { sealer: testSealer, died: life.signal }).then(
        () => (heard = 'opened'),
        () => (heard = 'refused'),
      );
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      life.abort();
      sizes.add((await stat(path).catch(() => undefined))?.size ?? -1);
      const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
      assert.notEqual(heard, 'refused');
      assert.equal((await store.create(hostNumber(1), [])).version, 1);
      await store.close();
    });
  assert(sizes.has(-1) && sizes.size > 2, `deaths before the file, in the middle of opening and after it: ${[...sizes].join()}`);
});

const child = (
  path: string,
): {
  readonly lines: string[];
  readonly ended: Promise<unknown>;
  readonly until: (count: number) => Promise<void>;
  readonly kill: () => void;
} => {
  const started = spawn(process.execPath, [join(import.meta.dirname, 'saver.ts'), path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(started, 'close');
  const lines: string[] = [];
  let rest = '';
  started.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  return {
    lines,
    ended,
    until: async (count) => {
      while (lines.length < count) await once(started.stdout, 'data');
    },
    kill: () => started.kill('SIGKILL'),
  };
};

test('what a process reported as saved is there after SIGKILL, five times in a row', { timeout: 120_000 }, async () => {
  await inFolder(async (path) => {
    const first = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
    await first.create(hostNumber(1), []);
    await first.close();
    for (const count of fc.sample(fc.integer({ min: 1, max: 150 }), 5)) {
      const saver = child(path);
      await saver.until(count);
      saver.kill();
      await saver.ended;
      const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
      const reported = Number(saver.lines.at(-1));
      const host = await store.host('h1');
      assert(host !== undefined && Number.isInteger(reported));
      assert(
        host.version === reported || host.version === reported + 1,
        `reported ${reported}, found ${host.version} (killed after ${count})`,
      );
      assert.equal(host.claim?.id, `c${host.version}`);
      const claims = await store.claims();
      assert.equal(claims.length, host.version - 1);
      assert.deepEqual(
        claims.filter(({ releasedAt }) => releasedAt === null).map(({ id }) => id),
        [host.claim.id],
      );
      assert.equal((await store.timeline('h1', { most: 1 }))[0]?.text, `${host.version}`);
      await store.close();
    }
  });
});

test(
  'a second daemon on the file is refused in words, in this process and in another; the first goes on',
  { timeout: 60_000 },
  async () => {
    await inFolder(async (path) => {
      const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
      await refused('conflict', openSqliteStore(path, complianceLimits, { sealer: testSealer }), /open in another process/);
      const other = child(path);
      await other.ended;
      assert.match(other.lines.join(), /^refused: .*one daemon serves one database/);
      await store.create(hostNumber(1), []);
      await store.close();
      const next = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
      assert.equal((await next.hosts()).length, 1);
      await next.close();
    });
  },
);

test('the database and its log are readable by their owner alone, and the umask is as before', async () => {
  await inFolder(async (path) => {
    const before = process.umask();
    const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
    await store.create(hostNumber(1), []);
    for (const file of [path, `${path}-wal`]) assert.equal((await stat(file)).mode & 0o777, 0o600, file);
    assert.equal(process.umask(), before);
    await store.close();
  });
});

test('disk-full keeps what was there, changes nothing, and ends when there is room', async () => {
  await inFolder(async (path) => {
    const store = await openSqliteStore(
      path,
      { ...complianceLimits, timelineEntriesPerHost: 100_000, storeBytesMax: 512 * 1024 },
      { sealer: testSealer },
    );
    const host = await store.create(hostNumber(1), []);
    await store.create(hostNumber(2), []);
    const batch = Array.from({ length: 10 }, () => entry('h2', 'x'.repeat(2_000), 'packet'));
    let batches = 0;
    await refused(
      'disk-full',
      (async () => {
        for (; batches < 1_000; batches += 1) await store.observe(batch);
      })(),
      /make room/,
    );
    // A row without references: here SQLite ends the whole transaction by itself, not only the statement.
    await refused(
      'disk-full',
      (async () => {
        for (let name = 0; name < 1_000; name += 1) await store.setting(`${name}`, () => 'x'.repeat(1_000));
      })(),
      /make room/,
    );
    assert(batches > 2 && batches < 1_000);
    assert.equal((await store.timeline('h2', { most: 100_000 })).length, batches * 10);
    await refused('disk-full', store.save({ ...host, held: { by: 'x'.repeat(100_000), why: '', at: 1 }, claim: claimOf('c1') }, []));
    assert.deepEqual(await store.host('h1'), host);
    assert.deepEqual(await store.claims(), []);
    await store.forget('h2', 1);
    assert.equal((await store.save({ ...host, held: { by: 'x'.repeat(100_000), why: '', at: 1 } }, [])).version, 2);
    await store.close();
  });
});

/** Looks at, or spoils, a closed database with SQL of its own. */
const raw = <T>(path: string, run: (database: Database.Database) => T): T => {
  const database = new Database(path);
  try {
    return run(database);
  } finally {
    database.close();
  }
};

test('a database of a newer program is refused with a sentence and left alone', async () => {
  await inFolder(async (path) => {
    await (await openSqliteStore(path, complianceLimits, { sealer: testSealer })).close();
    raw(path, (database) => database.exec("insert into schema_migrations (version, name) values (99, 'from the future')"));
    await refused(
      'bad-config',
      openSqliteStore(path, complianceLimits, { sealer: testSealer }),
      /newer Remuda \(schema version 99; this one knows \d+\)/,
    );
    assert.deepEqual(
      raw(path, (database) => database.pragma('integrity_check', { simple: true })),
      'ok',
    );
    raw(path, (database) => database.exec('delete from schema_migrations where version = 99'));
    await (await openSqliteStore(path, complianceLimits, { sealer: testSealer })).close();
  });
});

test('a broken record names its host', async () => {
  const spoiled: readonly (readonly [string, RegExp])[] = [
    ['{"id":', /rack1-1 \(h1\) is broken at "JSON"/],
    ['[]', /"JSON"/],
    ['{}', /rack1-1 \(h1\) is broken at "id"/],
    [JSON.stringify({ ...hostNumber(1), name: 'other' }), /"name"/],
    [JSON.stringify({ ...hostNumber(1), state: 'flying' }), /"state"/],
    [JSON.stringify({ ...hostNumber(1), macs: ['AA'] }), /"macs"/],
    [JSON.stringify({ ...hostNumber(1), bmc: 7 }), /"bmc"/],
    [JSON.stringify({ ...hostNumber(1), claim: { id: 'c1' } }), /"claim"/],
    [JSON.stringify({ ...hostNumber(1), release: {} }), /"release"/],
    [JSON.stringify({ ...hostNumber(1), boot: {} }), /"boot"/],
    [JSON.stringify({ ...hostNumber(1), job: undefined }), /"job"/],
    [JSON.stringify({ ...hostNumber(1), facts: null }), /"facts"/],
  ];
  await inFolder(async (path) => {
    for (const [record, words] of spoiled) {
      const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
      if ((await store.claims()).length === 0) await store.create({ ...hostNumber(1), claim: claimOf('c1') }, []);
      await store.close();
      raw(path, (database) => database.prepare('update hosts set record = ?').run(record));
      const again = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
      await refused('internal', again.host('h1'), words);
      await refused('internal', again.hosts(), words);
      await again.close();
    }
  });
});

test('no host holds two claims, even where the code went wrong', async () => {
  await inFolder(async (path) => {
    await (await openSqliteStore(path, complianceLimits, { sealer: testSealer })).close();
    raw(path, (database) => {
      const insert = database.prepare("insert into claims (id, host_id, owner, created_at, released_at) values (?, 'h1', 'a', 1, ?)");
      insert.run('c1', 5);
      insert.run('c2', null);
      assert.throws(() => insert.run('c3', null), /UNIQUE/);
    });
  });
});

test('the file is in WAL mode, and a MAC without its host is refused', async () => {
  await inFolder(async (path) => {
    const store = await openSqliteStore(path, complianceLimits, { sealer: testSealer });
    await store.create(hostNumber(1), [entry('h1', 'a')]);
    await store.close();
    raw(path, (database) => {
      assert.equal(database.pragma('journal_mode', { simple: true }), 'wal');
      database.pragma('foreign_keys = ON');
      assert.throws(() => database.exec("insert into host_macs (mac, host_id) values ('52:54:00:00:00:77', 'nobody')"), /FOREIGN KEY/);
    });
  });
});

test('a path that cannot be a database is refused with a sentence', async () => {
  await inFolder(async (path) => {
    await refused(
      'bad-config',
      openSqliteStore(join(path, 'nowhere', 'x.db'), complianceLimits, { sealer: testSealer }),
      /cannot be opened/,
    );
    await writeFile(path, 'This is a text file, and long enough to be looked at by anybody who hopes for a database.'.repeat(20));
    await refused('bad-config', openSqliteStore(path, complianceLimits, { sealer: testSealer }), /not a sound SQLite database/);
  });
});

test('a store in memory serves and is gone', async () => {
  const store = await openSqliteStore(':memory:', complianceLimits, { sealer: testSealer });
  await store.create(hostNumber(1), []);
  assert.equal((await store.hosts()).length, 1);
  await store.close();
  const next = await openSqliteStore(':memory:', complianceLimits, { sealer: testSealer });
  assert.deepEqual(await next.hosts(), []);
  await next.close();
});
