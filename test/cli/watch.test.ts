/** Answers in every form, once and as they change; and the question before something is lost. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { adminRoutes } from '../../src/api/admin-routes.ts';
import { eventsOf } from '../../src/wire/event-stream.ts';
import { namesIn } from '../../src/cli/output.ts';
import type { Route } from '../../src/world/world.ts';
import { claimOn, now, readyHost } from '../api/admin-rack.ts';
import { ipv4 } from '../world/memory-http.ts';
import { bench } from './bench.ts';

/** A daemon at port 7480, which tells of changes as the test says so, or never. */
const serving = async (events: Route | undefined) => {
  const ours = await bench();
  const routes = adminRoutes(ours.deps).filter(({ path }) => path !== '/v1/events');
  await ours.http.listen({
    at: { address: ipv4('127.0.0.1'), port: 7480 },
    routes: [...routes, ...(events === undefined ? [] : [events])],
  });
  return {
    ...ours,
    run: (line: string, options?: Parameters<typeof ours.run>[1]) => ours.run(`${line} --url http://127.0.0.1:7480`, options),
  };
};
const telling = async () => {
  const news = { now: Promise.withResolvers<void>() };
  const ours = await serving({
    method: 'GET',
    path: '/v1/events',
    handle: async () => ({
      status: 200,
      headers: { 'content-type': 'text/event-stream' },
      body: (async function* () {
        for (;;) {
          await news.now.promise;
          news.now = Promise.withResolvers();
          yield new TextEncoder().encode('event: host\ndata: {}\n\n');
        }
      })(),
    }),
  });
  return { ...ours, tell: () => news.now.resolve() };
};

describe('watching', () => {
  /** Runs `line` until the list was asked for `looks` times; before each the rack is changed by `change`. */
  const watched = async (line: string, change: (look: number, rack: Awaited<ReturnType<typeof bench>>['rack']) => void, tty = false) => {
    const ours = await serving(undefined);
    let looks = 0;
    const hosts = ours.rack.port.hosts.bind(ours.rack.port);
    Object.assign(ours.rack.port, {
      hosts: async () => {
        looks += 1;
        if (looks > 4) ours.ending.abort(new Error('Ctrl-C'));
        change(looks, ours.rack);
        return hosts();
      },
    });
    return ours.run(line, { tty, env: { NO_COLOR: '1' } });
  };
  test('into a pipe: only lines that are new', async () => {
    const { exit, out } = await watched('host list --watch', (look, rack) => {
      if (look === 3) rack.put(readyHost('h2'));
    });
    assert.equal(exit, 130);
    assert.deepEqual(
      out.split('\n').map((text) => text.split(' ')[0]),
      ['NAME', 'h1', 'h2', ''],
    );
  });
  test('as JSON: one object a line, when it changed', async () => {
    const { out } = await watched('host list --watch --json', (look, rack) => {
      if (look === 2) rack.put({ ...readyHost('h1'), held: { by: 'ann', why: 'a fan', at: now } });
    });
    const held = out
      .trim()
      .split('\n')
      .map((text) => (JSON.parse(text) as { held: unknown }).held !== null);
    assert.deepEqual(held, [false, true]);
  });
  test('on a terminal it is drawn over what stood there', async () => {
    const { out } = await watched('host list -w', () => {}, true);
    assert.ok(out.split('\u001b[H').length >= 4, out);
    const plain = out.replaceAll('\u001b', '<');
    assert.match(plain, /<\[H2026-[^\n]*<\[K\nNAME [^]*<\[J/);
  });
  test('by the daemon\u2019s events, not by the clock', async () => {
    const { run, rack, ending, tell } = await telling();
    const hosts = rack.port.hosts.bind(rack.port);
    let looks = 0;
    Object.assign(rack.port, {
      hosts: async () => {
        looks += 1;
        if (looks === 2) rack.put(readyHost('h2'));
        if (looks === 3) ending.abort(new Error('Ctrl-C'));
        tell();
        return hosts();
      },
    });
    const { out } = await run('host list --watch -q');
    assert.ok(out.includes('h2'), out);
  });
});

describe('forms', () => {
  test('yaml, names, quiet, wide', async () => {
    const { rack, run } = await bench();
    rack.put(claimOn(readyHost('h2')));
    assert.equal((await run('hosts ls -q')).out, 'h1\nh2\n');
    assert.equal((await run('claims ls -o name')).out, 'c-h2\n');
    assert.equal((await run('images list -q')).out, 'debian\n');
    assert.equal((await run('leases ls -q')).out, '10.77.0.50\n');
    assert.match((await run('host get h1 -o yaml')).out, /^id: h-h1\nname: h1\n/);
    assert.match((await run('host list -o wide')).out, /^NAME/);
    assert.equal((await run('host list -o xml')).exit, 2);
  });
  test('sorted and filtered', async () => {
    const { rack, run } = await bench();
    rack.put({ ...readyHost('h10'), held: { by: 'ann', why: 'a fan', at: now } });
    rack.put({ ...claimOn(readyHost('h9')), failed: { step: 'boot', code: 'internal', reason: 'no', at: now, tries: 1 } });
    assert.equal((await run('host list -q --sort name')).out, 'h1\nh9\nh10\n');
    assert.equal((await run('host list -q --held')).out, 'h10\n');
    assert.equal((await run('host list -q --failed')).out, 'h9\n');
    assert.equal((await run('host list -q --sort state')).out, 'h1\nh10\nh9\n');
    assert.equal((await run('host list -q --sort colour')).exit, 2);
  });
  test('names of documents', () => {
    assert.deepEqual(namesIn({ items: [{ name: 'a', id: '1' }, { id: '2' }, { address: '3' }, {}, null, 'x'] }), ['a', '2', '3', 'x']);
    assert.deepEqual(namesIn({ name: 'a' }), ['a']);
    assert.deepEqual(namesIn(undefined), []);
  });
});

describe('before something is lost', () => {
  const lines: readonly [string, RegExp][] = [
    ['host release h2', /Claim c-h2 of operator ends\. Host h2 \(h2, debian\) is switched off[^]*\/dev\/vda, 256\.0 MiB, serial h1-d0/],
    ['claim release c-h2', /everything on this disk is lost/],
    ['host forget h1', /Host h1 is struck, with its timeline/],
  ];
  for (const [line, says] of lines)
    test(line, async () => {
      const { rack, run } = await bench();
      rack.put(claimOn(readyHost('h2')));
      const env = { NO_COLOR: '1' };
      for (const answers of [['no'], [''], []]) {
        const { exit, err, asked } = await run(line, { tty: true, env, answers });
        assert.equal(exit, 1);
        assert.match(err, says);
        assert.match(err, /error: nothing was changed/);
        assert.deepEqual(asked, ['Go on? [y/N] ']);
      }
      assert.deepEqual(rack.asked, []);
      assert.equal((await run(line, { tty: true, env, answers: ['y'] })).exit, 0);
      assert.equal(rack.asked.length, 1);
    });
  test('not asked with --yes, nor where there is no terminal', async () => {
    for (const [line, tty] of [
      ['host release h2 --yes', true],
      ['host release h2', false],
    ] as const) {
      const { rack, run } = await bench();
      rack.put(claimOn(readyHost('h2')));
      const { exit, asked } = await run(line, { tty });
      assert.deepEqual([exit, asked], [0, []]);
    }
  });
});

describe('server-sent events', () => {
  const text = ': hello\n\nevent: host\nid: 7\ndata: {"a":1}\ndata: {"b":2}\n\ndata:plain\r\n\r\nevent: nothing\n\ndata: cut off';
  const read = async (cuts: readonly number[]) => {
    const bytes = new TextEncoder().encode(text);
    const ends = [...new Set([0, ...cuts.map((cut) => cut % bytes.length), bytes.length])].toSorted((one, other) => one - other);
    const chunks = (async function* () {
      for (const [at, end] of ends.entries()) if (at > 0) yield bytes.subarray(ends[at - 1], end);
    })();
    return Array.fromAsync(eventsOf(chunks));
  };
  test('however the chunks are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(200), { maxLength: 12 }), async (cuts) => {
        assert.deepEqual(await read(cuts), [
          { event: 'host', data: '{"a":1}\n{"b":2}', id: '7' },
          { event: 'message', data: 'plain', id: '7' },
        ]);
      }),
    );
  });
});
