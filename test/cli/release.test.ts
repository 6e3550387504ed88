/** `claim release` and `host release` with `--wait`: until the host is available again, or the reason why it will not be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hostJson } from '../../src/api/types.ts';
import type { Host } from '../../src/host/host.ts';
import { claimOn, now, readyHost } from '../api/admin-rack.ts';
import { bench } from './bench.ts';

/** A claimed host that is cleaned from its release on; at the `when`th look after it, it becomes something else. */
const releasing = async ({ when = 4, becomes = (host) => host }: { when?: number; becomes?: (host: Host) => Host } = {}) => {
  const { rack, run } = await bench();
  rack.put(claimOn(readyHost('h1')));
  let looks = 0;
  rack.onLook = () => {
    const { host } = rack.view('h1');
    if (host.state !== 'cleaning') return;
    looks += 1;
    if (looks === 2) rack.put(host, { doing: 'cleaning the disk', progress: { step: 'clean', done: 50, total: 100 } });
    if (looks !== when) return;
    const changed = becomes(host);
    rack.happen('h-h1', 'what comes then');
    rack.put(changed, { doing: changed.state });
  };
  return { rack, run };
};
const clean = (host: Host): Host => ({ ...host, state: 'available', release: null });
const lines = ['claim release c-h1 --wait', 'host release h1 --wait'];

describe('release --wait', () => {
  for (const line of lines)
    test(`${line} shows how the host is cleaned, and ends when it is available`, async () => {
      const { run, rack } = await releasing({ becomes: clean });
      const { exit, out, err } = await run(`${line} --yes`, { tty: true, env: { NO_COLOR: '1', USER: 'ann' } });
      assert.equal(exit, 0, err);
      assert.match(out, /what comes then\nh1 is available: available\n$/);
      assert.match(err, /h1: clean \[#+-+\]\s+50 %/);
      assert.deepEqual(rack.asked.filter(({ verb }) => verb === 'release').length, 1);
    });
  test('with --json it is one document, with -q one name', async () => {
    const { json } = await (await releasing({ becomes: clean })).run('claim release c-h1 --wait --json');
    assert.equal(hostJson.parse(json()).state, 'available');
    assert.equal((await (await releasing({ becomes: clean })).run('claim release c-h1 --wait -q')).out, 'h1\n');
  });
  test('a host of which nothing was written is available at once', async () => {
    const { run } = await releasing({ when: 1, becomes: clean });
    assert.equal((await run('claim release c-h1 --wait')).exit, 0);
  });
  test('somebody takes the host as soon as it is clean: it was available', async () => {
    const { run } = await releasing({ becomes: (host) => claimOn(clean(host), { id: 'next' }) });
    assert.equal((await run('claim release c-h1 --wait')).exit, 0);
  });
  test('a cleaning that fails ends it with 1, the reason and what to do', async () => {
    const failed = { step: 'clean', code: 'disk-missing', reason: 'the disk is gone', at: now, tries: 3 } as const;
    const { run } = await releasing({ becomes: (host) => ({ ...host, failed }) });
    const { exit, err } = await run('claim release c-h1 --wait');
    assert.equal(exit, 1);
    assert.match(err, /^error: host h1 failed at clean: the disk is gone\nnext: .*remuda host retry h1\n$/);
  });
  test('a host that is held is not waited for', async () => {
    const { run } = await releasing({ becomes: (host) => ({ ...host, held: { by: 'bob', why: 'a new fan', at: now } }) });
    const { exit, err } = await run('claim release c-h1 --wait');
    assert.equal(exit, 1);
    assert.match(err, /^error: the claim is released, but host h1 is cleaning and held by bob: a new fan[^]*remuda host unhold h1/);
  });
  test('--timeout ends it with 5, and the cleaning goes on', async () => {
    const { run } = await releasing();
    const { exit, err } = await run('claim release c-h1 --wait --timeout 30s');
    assert.equal(exit, 5);
    assert.match(err, /^error: host h1 is not available within 30 s: cleaning\nnext: {2}it goes on without you/);
  });
  test('asked again while the host is cleaned, it waits for the same, and asks nothing', async () => {
    const { run, rack } = await releasing({ becomes: clean });
    assert.equal((await run('claim release c-h1')).exit, 0);
    rack.port.release = async () => rack.view('h1').host;
    const { exit, asked } = await run('claim release c-h1 --wait', { tty: true });
    assert.deepEqual([exit, asked], [0, []]);
  });
  test('words that contradict each other are refused before anything is released', async () => {
    const { run, rack } = await releasing();
    for (const [line, says] of [
      ['claim release c-h1 --wait --dry-run', /nothing to wait for/],
      ['host release h1 --timeout 5m', /--timeout is for --wait\nnext: {2}add --wait/],
      ['host release h1 --reserve-for md-0', /belong together/],
    ] as const) {
      const { exit, err } = await run(line);
      assert.equal(exit, 2, line);
      assert.match(err, says);
    }
    assert.deepEqual(rack.asked, []);
  });
});
