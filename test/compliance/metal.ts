/** What every Metal must do, whoever stands behind it: over the rack of this process and over the API of a daemon, the same words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimSchema } from '../../src/control/rack.ts';
import type { ClaimRequest } from '../../src/control/rack.ts';
import { RemudaError } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import type { Metal } from '../../src/kube/metal.ts';
import type { Bench } from '../control/bench.ts';
import { hostNumber } from '../control/bench.ts';
import { disk, inventory } from '../host/make.ts';
import type { Lease } from '../../src/wire/words.ts';
import { ipv4 } from '../world/memory-http.ts';

export interface MetalBench extends Bench {
  readonly metal: Metal;
  readonly end: () => void;
}
export const wish = (id: string, more: Record<string, unknown> = {}): ClaimRequest & { readonly id: string } => ({
  ...claimSchema.parse({ image: 'alpha', ...more }),
  id,
});
/** What the agent and the OS tell of the host in the course of the claim's first generation. */
export const install = async ({ keeper }: Bench, { id, boot }: Pick<Host, 'id' | 'boot'>, claimId: string): Promise<void> => {
  const number = boot?.number ?? 1;
  const jobId = `${number}.1.install`;
  const job = { id: jobId, kind: 'install', boot: number, claimId, generation: 1, disk, givenAt: 0 } as const;
  await keeper.apply(id, { type: 'job-given', job });
  await keeper.apply(id, { type: 'job-started', jobId });
  await keeper.apply(id, { type: 'installed', jobId, digest: `sha256:${'a'.repeat(64)}` });
};
/** Off, booted into the agent, cleaned. */
export const clean = async ({ keeper }: Bench, id: string, claimId: string, between: () => Promise<void>): Promise<void> => {
  await keeper.apply(id, { type: 'power-seen', power: 'off', release: claimId });
  await between();
  const number = (keeper.get(id)?.boot?.number ?? 0) + 1;
  const jobId = `${number}.1.clean`;
  const job = { id: jobId, kind: 'clean', boot: number, claimId, generation: 1, disk, givenAt: 0 } as const;
  await keeper.apply(id, { type: 'boot-opened' });
  await keeper.apply(id, { type: 'boot-armed', note: '' });
  await keeper.apply(id, { type: 'boot-powered' });
  await keeper.apply(id, { type: 'redeemed', boot: number, publicKey: 'k' });
  await keeper.apply(id, { type: 'inventory', boot: number, inventory });
  await keeper.apply(id, { type: 'job-given', job });
  await keeper.apply(id, { type: 'job-started', jobId });
  await keeper.apply(id, { type: 'cleaned', jobId });
};
/** As the daemon of both has them: the first host's own, one of it that has ended, and another's. */
export const leasesOf = (hosts: readonly Host[]): readonly Lease[] =>
  hosts.flatMap(({ macs: [mac] }, index) => {
    if (mac === undefined) return [];
    const lease = (address: string, endsAt: number): Lease => ({ mac, address: ipv4(address), startsAt: 0, endsAt });
    return [lease(`10.9.0.${index + 1}`, 1_000), lease(`10.9.1.${index + 1}`, 0)];
  });
/** Code, words and what explains them. */
export const refusalOf = async (act: Promise<unknown>): Promise<unknown> => {
  try {
    await act;
  } catch (error) {
    assert.ok(error instanceof RemudaError, String(error));
    return { code: error.code, message: error.message, classes: error.values['classes'] };
  }
  return assert.fail('it was not refused');
};

export const metalSuite = (name: string, benchOf: (hosts: readonly Host[]) => Promise<MetalBench>): void => {
  const on = (what: string, count: number, run: (bench: MetalBench) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const bench = await benchOf(Array.from({ length: count }, (_, index) => hostNumber(index)));
      try {
        await run(bench);
      } finally {
        bench.end();
      }
    });
  };
  on('the addresses of a host are those that its MACs hold now', 2, async ({ metal }) => {
    assert.deepEqual(await metal.leases(await metal.host('h001')), ['10.9.0.2']);
  });
  on('hosts, one host by name, images; what is not there is refused by its code', 2, async ({ metal }) => {
    assert.deepEqual(
      (await metal.hosts()).map((host) => host.name),
      ['h000', 'h001'],
    );
    assert.equal((await metal.host('h001')).state, 'available');
    assert.deepEqual(
      (await metal.images()).map((image) => image.name),
      ['alpha'],
    );
    assert.deepEqual(await refusalOf(metal.host('h9')), {
      code: 'host-not-found',
      message: 'there is no host h9; `remuda host list` shows all',
      classes: undefined,
    });
  });
  on('the same claim again is the same host, another one under its ID is refused with the field', 3, async ({ metal }) => {
    const first = await metal.claim(wish('c1', { selector: { pools: ['default'] } }));
    const second = await metal.claim(wish('c1', { selector: { pools: ['default'] } }));
    assert.deepEqual([first.isNew, second.isNew, second.host.id], [true, false, first.host.id]);
    assert.equal(first.host.claim?.id, 'c1');
    const refused = await refusalOf(metal.claim(wish('c1', { placement: { group: 'g', by: 'rack', mode: 'spread' } })));
    assert.match(JSON.stringify(refused), /claim-exists.*was asked for with another selector/);
  });
  on('where none fits: how many were looked at, and why each class does not fit', 2, async ({ metal, keeper }) => {
    await keeper.apply('h000', { type: 'described', by: 'eve', patch: { pool: 'gpu' } });
    assert.deepEqual(await refusalOf(metal.claim(wish('c1', { selector: { gpus: 2 } }))), {
      code: 'no-host-fits',
      message: '2 hosts looked at, none fits: 1 in another pool: it is in pool gpu, not default; 1 with too few GPUs (largest 0, wanted 2)',
      classes: [
        { class: 'pool', count: 1, hosts: ['h000'], detail: 'in another pool: it is in pool gpu, not default' },
        { class: 'gpus', count: 1, hosts: ['h001'], detail: 'with too few GPUs (largest 0, wanted 2)' },
      ],
    });
  });
  on('what became of a claim, from before it was made until its host is another one’s', 1, async (bench) => {
    const { metal } = bench;
    const at = async (): Promise<string> => (await metal.standing('c1')).is;
    assert.equal(await at(), 'unknown');
    const { host } = await metal.claim(wish('c1'));
    assert.equal(await at(), 'held');
    await install(bench, bench.keeper.get(host.id) ?? assert.fail(), 'c1');
    assert.equal((await metal.host(host.id)).state, 'provisioned');
    await metal.release('c1', { reserve: { for: 'md-0', seconds: 60 } });
    const leaving = await metal.standing('c1');
    assert.ok(leaving.is === 'leaving');
    assert.deepEqual([leaving.offAt, leaving.host.reservation], [null, { for: 'md-0', until: null }]);
    // Twice is no error, and changes nothing.
    await metal.release('c1', {});
    await clean(bench, host.id, 'c1', async () => {
      const off = await metal.standing('c1');
      assert.ok(off.is === 'leaving' && off.offAt !== null && off.host.release?.offAt === off.offAt);
    });
    assert.equal(await at(), 'over');
    assert.match(JSON.stringify(await refusalOf(metal.claim(wish('c2')))), /1 kept back: it is kept for \\"md-0\\"/);
    assert.ok((await metal.claim(wish('c3', { reuse: { of: 'md-0', mode: 'wait' } }))).isNew);
    assert.equal((await metal.host(host.id)).reservation, null);
    assert.equal(await at(), 'over');
    await metal.release('c3', {});
    await bench.rack.forget(host.id, { by: 'eve' });
    assert.equal(await at(), 'over');
    await metal.release('c1', {});
    assert.match(JSON.stringify(await refusalOf(metal.release('c9', {}))), /claim-not-found/);
  });
  on('a reading that began before the release says nothing of it', 1, async (bench) => {
    const { host } = await bench.metal.claim(wish('c1'));
    await install(bench, bench.keeper.get(host.id) ?? assert.fail(), 'c1');
    await bench.metal.release('c1', {});
    await bench.keeper.apply(host.id, { type: 'power-seen', power: 'off' });
    const standing = await bench.metal.standing('c1');
    assert.ok(standing.is === 'leaving' && standing.offAt === null);
  });
  on('the next generation, power, retry and the timeline', 1, async (bench) => {
    const { metal, keeper, bmcs } = bench;
    const { host } = await metal.claim(wish('c1'));
    await install(bench, keeper.get(host.id) ?? assert.fail(), 'c1');
    await keeper.apply(host.id, { type: 'bootstrap-failed', claimId: 'c1', generation: 1, tail: 'join: no route' });
    assert.equal((await metal.host('h000')).failed?.code, 'bootstrap-failed');
    const { version } = await metal.host('h000');
    const stale = metal.reprovision('c1', { image: 'alpha' }, version - 1);
    assert.match(JSON.stringify(await refusalOf(stale)), /precondition-failed/);
    assert.equal((await metal.reprovision('c1', { image: 'alpha' }, version)).claim?.generation, 2);
    assert.equal((await metal.host('h000')).failed, null);
    assert.match(JSON.stringify(await refusalOf(metal.retry('h000'))), /state-conflict.*has not failed/);
    assert.match(JSON.stringify(await refusalOf(metal.power('h000', 'off'))), /bmc-unreachable/);
    bmcs.set(hostNumber(0).bmc?.url ?? '', { power: 'off', macs: [] });
    assert.deepEqual(await metal.power('h000', 'off'), { observed: 'off', settled: true });
    const lines = await metal.timeline('h000', 3);
    assert.equal(lines.length, 3);
    assert.match(lines.at(-1)?.text ?? '', /power/);
  });
  on('whoever waits hears of a change, and is let go by his signal', 1, async ({ metal, keeper }) => {
    const signal = new AbortController();
    await metal.claim(wish('c1'));
    const changed = metal.changed(60_000, signal.signal);
    await keeper.apply('h000', { type: 'hold', by: 'eve', why: 'cable' });
    await changed;
    // What came before may still be told once.
    for (let told = 0; told < 3; told++) {
      const waiting = metal.changed(60_000, signal.signal);
      setImmediate(() => signal.abort());
      await waiting;
    }
    await metal.changed(60_000, signal.signal);
  });
  on('no secret is in any answer', 1, async (bench) => {
    const { metal } = bench;
    const said = [
      await metal.claim(wish('c1')),
      await metal.hosts(),
      await metal.host('h000'),
      await metal.standing('c1'),
      await metal.timeline('h000', 50),
    ];
    await metal.release('c1', {});
    said.push(await metal.standing('c1'), await metal.hosts());
    const text = JSON.stringify(said);
    assert.ok(!text.includes('secret'), 'the password of its BMC');
    assert.ok(text.includes('"username":"root"'));
  });
  on('hosts of one group come to stand apart, however many ask at once', 6, async ({ metal, keeper }) => {
    for (let number = 0; number < 6; number++)
      await keeper.apply(`h00${number}`, { type: 'described', by: 'eve', patch: { failureDomain: `z${number % 3}` } });
    const placement = { group: 'g', by: 'failureDomain', mode: 'require-spread' };
    const ends = await Promise.allSettled(Array.from({ length: 6 }, (_, index) => metal.claim(wish(`c${index}`, { placement }))));
    const places = ends.filter((end) => end.status === 'fulfilled').map(({ value }) => value.host.profile.failureDomain);
    assert.deepEqual([places.length, new Set(places)], [3, new Set(['z0', 'z1', 'z2'])]);
    for (const end of ends) if (end.status === 'rejected') assert.match(String(end.reason), /3 where the group must not stand/);
  });
};
