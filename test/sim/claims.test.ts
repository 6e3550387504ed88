/** Claims that name no host: who gets which, what is said where none fits, the same request twice, waiting, time-outs, dry runs. */
import assert from 'node:assert/strict';
import { claimSchema } from '../../src/control/rack.ts';
import type { ClaimRequest } from '../../src/control/rack.ts';
import type { RemudaError } from '../../src/errors.ts';
import { poison } from './scheduler.ts';
import type { SimRack } from './rack.ts';
import {
  ask,
  asleep,
  available,
  claim,
  failed,
  hostOf,
  minute,
  pass,
  provisioned,
  reach,
  refused,
  scene,
  second,
  timeline,
} from './stage.ts';
import { writes } from './stage.ts';

poison();
const as = { by: 'test' };
const wish = (more: Record<string, unknown>): ClaimRequest => claimSchema.parse({ image: 'alpha', disk: { pick: 'smallest' }, ...more });
const both = async (rack: SimRack): Promise<void> => {
  await available(rack, 'h1');
  await available(rack, 'h2');
};

scene('many claims at once: no host is given twice, and the others hear why', async (rack) => {
  await both(rack);
  const ids = ['a', 'b', 'c', 'd', 'e'];
  const ends = await ask(rack, (daemon) => Promise.allSettled(ids.map((id) => daemon.rack.claim(wish({ id }), as))));
  const won = ends.filter((end) => end.status === 'fulfilled').map(({ value }) => value.host.name);
  assert.deepEqual(won.toSorted(), ['h1', 'h2']);
  const lost = ends.filter((end) => end.status === 'rejected').map(({ reason }) => reason as RemudaError);
  assert.equal(lost.length, 3);
  for (const error of lost) {
    assert.equal(error.code, 'no-host-fits');
    assert.match(error.message, /^2 hosts looked at, none fits: 2 held by other claims$/);
    assert.deepEqual(error.values['classes'], [{ class: 'claimed', count: 2, hosts: ['h1', 'h2'], detail: 'held by other claims' }]);
  }
});
scene('one ID asked for many times at once is one claim on one host', async (rack) => {
  await both(rack);
  const ends = await ask(rack, (daemon) => Promise.all([1, 2, 3, 4].map(() => daemon.rack.claim(wish({ id: 'a' }), as))));
  assert.equal(new Set(ends.map(({ host }) => host.id)).size, 1);
  assert.equal(ends.filter(({ isNew }) => isNew).length, 1);
  const again = await ask(rack, (daemon) => daemon.rack.claim(wish({ id: 'a' }), as));
  assert.equal(again.isNew, false);
});
scene('another request under the same ID is refused with the field that differs, and shows no user data', async (rack) => {
  await both(rack);
  const first = { id: 'a', userData: '#cloud-config\n' };
  await ask(rack, (daemon) => daemon.rack.claim(wish(first), as));
  const others = {
    owner: { owner: 'eve' },
    image: { image: 'beta' },
    userData: { userData: 'other' },
    metaData: { metaData: { tags: ['x'] } },
    disk: { disk: { only: true } },
  };
  for (const [field, part] of Object.entries(others))
    await assert.rejects(
      ask(rack, (daemon) => daemon.rack.claim(wish({ ...first, ...part }), as)),
      refused('claim-exists', new RegExp(`with another ${field}`)),
    );
  await ask(rack, (daemon) => daemon.rack.claim(wish({ ...first, waitSeconds: 5 }), as));
  const asked = hostOf(rack, 'h1').claim?.asked ?? hostOf(rack, 'h2').claim?.asked;
  assert.match(asked?.userData ?? '', /^[0-9a-f]{64}$/);
});
scene('labels, pool and hardware choose the host', async (rack) => {
  await both(rack);
  await ask(rack, (daemon) => daemon.rack.describe('h2', { labels: { tier: 'web' }, pool: 'fast', failureDomain: 'b' }, as));
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.claim(wish({ selector: { labels: { tier: 'web' } } }), as)),
    refused('no-host-fits', /2 hosts looked at, none fits: 1 in another pool.*; 1 with other labels/),
  );
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.claim(wish({ selector: { memoryBytes: 128 * 1024 ** 3 } }), as)),
    refused('no-host-fits', /1 with too little memory \(largest 476\.8 MiB, wanted 128 GiB\)/),
  );
  const selector = { pool: 'fast', labels: { tier: { in: ['web', 'db'] } }, failureDomain: 'b', firmware: 'uefi' };
  const { host } = await ask(rack, (daemon) => daemon.rack.claim(wish({ selector }), as));
  assert.equal(host.name, 'h2');
  assert.match(await timeline(rack, 'h2'), /described by test: pool: default → fast; failureDomain: none → b; label tier: none → web/);
});
scene('a claim that waits gets the host that comes free, and says so no longer than it was told', async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  const began = rack.scheduler.now;
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.claim(wish({ id: 'late', waitSeconds: 30 }), as)),
    refused('no-host-fits', /1 held by other claims/),
  );
  assert.ok(rack.scheduler.now - began >= 30 * second && rack.scheduler.now - began < 35 * second);
  const waiting = ask(rack, (daemon) => daemon.rack.claim(wish({ id: 'patient', waitSeconds: 280 }), as));
  rack.release('c1');
  const { host } = await waiting;
  assert.equal(host.claim?.id, 'patient');
});
scene('a wait ends with its client', async (rack) => {
  const client = new AbortController();
  rack.scheduler.at(10 * second, () => client.abort());
  const began = rack.scheduler.now;
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.claim(wish({ waitSeconds: 300 }), as, client.signal)),
    refused('no-host-fits', /there is no host in this rack/),
  );
  assert.ok(rack.scheduler.now - began < 11 * second);
});
scene('a claim that is not provisioned in time has failed, says at what, and a retry has its full time again', async (rack) => {
  await asleep(rack);
  rack.metal('h1').faults.dead = true;
  await claim(rack, { provisionTimeoutSeconds: 60 });
  const began = rack.scheduler.now;
  await reach(rack, 'timed out', failed(rack));
  assert.equal(hostOf(rack).failed?.code, 'timed-out');
  assert.equal(hostOf(rack).failed?.step, 'boot');
  assert.match(hostOf(rack).failed?.reason ?? '', /not provisioned within 60 s; last: .*packet/);
  assert.ok(rack.scheduler.now - began >= 60 * second && rack.scheduler.now - began < 65 * second);
  assert.equal(hostOf(rack).claim?.id, 'c1', 'the claim stays');
  assert.equal(hostOf(rack).job, null);
  await pass(rack, 10 * minute);
  assert.equal(hostOf(rack).failed?.code, 'timed-out', 'and nothing is tried by itself');
  rack.metal('h1').faults.dead = false;
  rack.retry('h1');
  await provisioned(rack);
});
scene('a time-out in the middle of writing ends the work, and the release cleans what was written', async (rack) => {
  await available(rack);
  rack.metal('h1').faults.dieAfterChunks = 2;
  await claim(rack, { provisionTimeoutSeconds: 60 });
  await reach(rack, 'timed out', failed(rack));
  assert.deepEqual([hostOf(rack).failed?.code, hostOf(rack).failed?.step], ['timed-out', 'install']);
  assert.deepEqual([hostOf(rack).job, hostOf(rack).boot?.closedAt === undefined], [null, false]);
  const before = writes(rack);
  assert.ok(before > 0);
  await pass(rack, 10 * minute);
  assert.equal(writes(rack), before);
  rack.release('c1');
  await reach(rack, 'clean', () => hostOf(rack).state === 'available');
  assert.ok(rack.metal('h1').disks[0]?.isZero());
});
scene('dry runs name the disk that would be overwritten or cleaned, and change nothing', async (rack) => {
  await both(rack);
  const version = (): number => hostOf(rack).version + hostOf(rack, 'h2').version;
  const before = version();
  const runs = await ask(rack, (daemon) => daemon.rack.dryRun(wish({ selector: { firmware: 'uefi' } })));
  assert.deepEqual(
    runs.map(({ host, allowed }) => ({ host, allowed })),
    [
      { host: 'h2', allowed: true },
      { host: 'h1', allowed: false },
    ],
  );
  assert.deepEqual(
    runs[0]?.disks.map(({ disk, fate }) => [disk.serial, fate]),
    [
      ['disk-2', 'overwritten'],
      ['foreign', 'untouched'],
    ],
  );
  assert.equal(version(), before);
  await claim(rack);
  const unwritten = await ask(rack, (daemon) => daemon.rack.dryRelease('c1'));
  assert.match(unwritten.reason, /nothing was written/);
  await provisioned(rack);
  const release = await ask(rack, (daemon) => daemon.rack.dryRelease('c1'));
  assert.deepEqual(
    release.disks.map(({ fate }) => fate),
    ['cleaned'],
  );
  const next = await ask(rack, (daemon) => daemon.rack.dryReprovision('c1', { image: 'beta' }));
  assert.deepEqual([next.allowed, next.disks[0]?.fate], [true, 'overwritten']);
  assert.match(next.reason, /generation 2 would be put on \/dev\/vda/);
  assert.equal(hostOf(rack).claim?.generation, 1);
});
scene(
  'a host that a release kept is given back to its word alone, seen off and clean, also by a daemon that was begun anew',
  async (rack) => {
    await both(rack);
    await claim(rack);
    await provisioned(rack);
    await ask(rack, (daemon) => daemon.rack.release('c1', as, { reserve: { for: 'md-0', seconds: 3600 } }));
    const again = wish({ id: 'next', reuse: { of: 'md-0', mode: 'wait' } });
    await assert.rejects(
      ask(rack, (daemon) => daemon.rack.claim(again, as)),
      refused('no-host-fits', /^2 hosts looked at, none fits: 2 kept back$/),
    );
    await reach(rack, 'seen off', () => rack.host('h1')?.release?.offAt !== undefined);
    assert.equal(rack.metal('h1').power(), 'off');
    rack.crash();
    await reach(rack, 'begun anew', () => rack.daemon !== undefined && rack.host('h1')?.state === 'available');
    const standing = await ask(rack, (daemon) => daemon.rack.standing('c1'));
    assert.equal(standing.is, 'over');
    await assert.rejects(
      ask(rack, (daemon) => daemon.rack.claim(wish({ id: 'other', host: 'h1' }), as)),
      refused('state-conflict', /it is kept for "md-0"/),
    );
    const { host } = await ask(rack, (daemon) => daemon.rack.claim(again, as));
    assert.deepEqual([host.name, host.reservation], ['h1', null]);
    await reach(rack, 'provisioned again', () => rack.host('h1')?.state === 'provisioned');
  },
);
scene('the place of a group outlives the daemon', async (rack) => {
  await both(rack);
  for (const name of ['h1', 'h2']) await ask(rack, (daemon) => daemon.rack.describe(name, { failureDomain: 'a' }, as));
  const apart = { placement: { group: 'g', by: 'failureDomain', mode: 'require-spread' } };
  await ask(rack, (daemon) => daemon.rack.claim(wish({ id: 'a', ...apart }), as));
  rack.crash();
  await reach(rack, 'begun anew', () => rack.daemon !== undefined);
  await assert.rejects(
    ask(rack, (daemon) => daemon.rack.claim(wish({ id: 'b', ...apart }), as)),
    refused('no-host-fits', /1 where the group must not stand: group g has 1 in its failureDomain a already/),
  );
});
scene('what an owner has told in meta-data stays over the generations, until other words are said', async (rack) => {
  await available(rack, 'h1');
  const metaData = { 'instance-id': 'device-1', provider_id: 'x://device-1' };
  await claim(rack, { metaData });
  await provisioned(rack);
  const again = (more: object): Promise<unknown> => ask(rack, (daemon) => daemon.rack.reprovision('c1', { image: 'beta', ...more }, as));
  await again({});
  await provisioned(rack, 2);
  assert.deepEqual(hostOf(rack).claim?.intent.metaData, metaData);
  await again({ metaData: { tags: ['new'] } });
  await provisioned(rack, 3);
  assert.deepEqual(hostOf(rack).claim?.intent.metaData, { tags: ['new'] });
});
