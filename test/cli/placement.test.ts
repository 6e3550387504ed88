/** Hosts that are kept and groups that stand apart, from the command line to the rack, and as a host shows them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePlacement } from '../../src/cli/placement-option.ts';
import { claimOn, minute, now, readyHost } from '../api/admin-rack.ts';
import { bench } from './bench.ts';

test('--placement in words', () => {
  assert.deepEqual(parsePlacement('spread=web'), { group: 'web', by: 'failureDomain', mode: 'spread' });
  assert.deepEqual(parsePlacement('require-spread=ns/MachineDeployment/md-0,by=rack'), {
    group: 'ns/MachineDeployment/md-0',
    by: 'rack',
    mode: 'require-spread',
  });
  assert.deepEqual(parsePlacement('together=a=b,by=example.org/row'), { group: 'a=b', by: 'example.org/row', mode: 'together' });
  for (const bad of ['web', 'apart=web', 'spread=', '=web']) assert.throws(() => parsePlacement(bad), /not a placement/);
});
test('what a claim with reuse, placement and pools asks of the rack', async () => {
  const { rack, run } = await bench();
  const line =
    'claim create --image debian --reuse md-0 --reuse-wait --placement spread=web,by=rack --pool gpu --pool fast --gpus 2 --disks 3';
  assert.equal((await run(line)).err, '');
  const { selector, reuse, placement } = (rack.asked.find(({ verb }) => verb === 'claim')?.args[0] ?? {}) as Record<string, unknown>;
  assert.deepEqual(selector, { pools: ['gpu', 'fast'], gpus: 2, disks: 3 });
  assert.deepEqual(reuse, { of: 'md-0', mode: 'wait' });
  assert.deepEqual(placement, { group: 'web', by: 'rack', mode: 'spread' });
  assert.match((await run('claim create --image debian --reuse-wait')).err, /--reuse-wait is for --reuse/);
});
test('a release that keeps the host, and a host that is kept no longer', async () => {
  const { rack, run } = await bench();
  rack.put(claimOn(readyHost('h1')));
  assert.match((await run('claim release c-h1 --reserve-for md-0')).err, /belong together/);
  assert.equal((await run('claim release c-h1 --reserve-for md-0 --reserve-for-seconds 10m')).err, '');
  assert.deepEqual(rack.asked.at(-1), {
    verb: 'release',
    args: ['c-h1', rack.asked.at(-1)?.args[1], { reserve: { for: 'md-0', seconds: 600 } }],
  });
  assert.match((await run('host unreserve h1')).out, /^h1 is cleaning/);
  assert.equal(rack.asked.at(-1)?.verb, 'unreserve');
});
test('a host says for whom it is kept, until when, and whether it was seen off', async () => {
  const { rack, run } = await bench();
  const host = readyHost('h1');
  const shown = async (): Promise<string> => (await run('host show h1')).out;
  rack.put({ ...host, reservation: { for: 'md-0', seconds: 60, until: now + minute } });
  assert.match(await shown(), /while it is kept: … --reuse md-0; or: remuda host unreserve h1\n[^]*kept for\s+md-0, until \S+ \S+Z\n/);
  const release = { claimId: 'c0', generation: 1, disk: { path: '/dev/vda', sizeBytes: 1 }, at: now - minute };
  rack.put({ ...host, state: 'cleaning', release, reservation: { for: 'md-0', seconds: 60, until: null } });
  assert.match(await shown(), /seen off\s+not yet since the release\n[^]*kept for\s+md-0, from when it is clean/);
  rack.put({ ...host, state: 'cleaning', release: { ...release, offAt: now } });
  assert.match(await shown(), /seen off\s+(?!not yet).*\d/);
});
