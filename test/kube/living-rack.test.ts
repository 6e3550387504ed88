/** The living rack itself: hosts that live through the real daemon beside real time, the hands of a test, and laws that can fail. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claimSchema, reprovisionSchema } from '../../src/control/rack.ts';
import type { Standing } from '../../src/kube/metal.ts';
import { livingRack } from './living-rack.ts';
import type { LivingOptions, LivingRack } from './living-rack.ts';

const userData = '#cloud-config\n# for the kubelet: ümläut\n';
const alive = (name: string, options: Partial<LivingOptions>, act: (rack: LivingRack) => Promise<void>): void =>
  void test(name, async () => {
    const rack = await livingRack({ hosts: 2, speed: 60, ...options });
    try {
      await rack.allAvailable();
      await act(rack);
    } finally {
      await rack.stop();
    }
  });
const claim = async (rack: LivingRack, id: string, more: object = {}): Promise<string> => {
  const request = claimSchema.parse({ id, image: 'kubernetes-v1.34.4', userData, hostName: `n-${id}`, ...more });
  return (await rack.metal.claim({ ...request, id })).host.name;
};
const runs = (rack: LivingRack, host: string, generation: number): Promise<void> =>
  rack.reach(
    `${host} runs generation ${generation}`,
    () => rack.host(host).state === 'provisioned' && rack.whatRuns(host)?.generation === generation,
  );
const standing = (rack: LivingRack, id: string): Promise<Standing['is']> => rack.metal.standing(id).then(({ is }) => is);

void describe('the living rack', { concurrency: false }, () => {
  alive(
    'twelve hosts: claimed, run, imaged again, released, clean',
    { hosts: 12, profile: (index) => ({ rack: `r${index % 3}` }) },
    async (rack) => {
      const told: string[] = [];
      rack.onOs((host, running) => told.push(`${host} ${running === undefined ? 'down' : `${running.claim}.${running.generation}`}`));
      assert.equal(rack.host('h005').profile.rack, 'r1');
      const hosts = await Promise.all(rack.hosts.map((_, index) => claim(rack, `c${index}`)));
      assert.equal(new Set(hosts).size, 12);
      await Promise.all(hosts.map((host) => runs(rack, host, 1)));
      const [first = ''] = hosts;
      const digests = new Map((await rack.metal.images()).map(({ name, digest }) => [name, digest]));
      const { address, reportFailureUrl, ...running } = rack.whatRuns(first) ?? assert.fail();
      assert.match(address, /^10\.77\.[1-9]\./);
      assert.match(reportFailureUrl ?? '', /failed$/);
      assert.deepEqual(running, {
        image: digests.get('kubernetes-v1.34.4'),
        hostName: 'n-c0',
        userData,
        claim: 'c0',
        generation: 1,
        providerId: 'remuda://c0',
      });
      await rack.metal.reprovision('c0', reprovisionSchema.parse({ image: 'kubernetes-v1.34.5' }));
      await runs(rack, first, 2);
      assert.equal(rack.whatRuns(first)?.image, digests.get('kubernetes-v1.34.5'));
      assert.deepEqual(
        told.filter((line) => line.startsWith(first)),
        [`${first} c0.1`, `${first} down`, `${first} c0.2`],
      );
      await Promise.all(hosts.map((_, index) => rack.metal.release(`c${index}`, {})));
      await rack.allAvailable();
      assert.equal(rack.whatRuns(first), undefined);
      for (const { disk } of rack.hosts) assert.ok(disk.isZero() && disk.writes.length > 0);
      assert.equal(await standing(rack, 'c0'), 'over');
    },
  );

  alive('a host that crashed stays on and runs nothing, until somebody switches it off and on', {}, async (rack) => {
    const host = await claim(rack, 'c1');
    await runs(rack, host, 1);
    rack.crash(host);
    assert.deepEqual([rack.powerOf(host), rack.whatRuns(host)], ['on', undefined]);
    await rack.metal.power(host, 'cycle');
    await runs(rack, host, 1);
  });

  alive('a BMC that keeps its host on: what was released is never seen off', {}, async (rack) => {
    const host = await claim(rack, 'c1');
    await runs(rack, host, 1);
    rack.keepOn(host);
    await rack.metal.release('c1', {});
    await rack.reach('given up', () => rack.host(host).failed?.step === 'power-off');
    const stays = await rack.metal.standing('c1');
    assert.ok(stays.is === 'leaving' && stays.offAt === null, JSON.stringify(stays));
    assert.equal(rack.whatRuns(host)?.claim, 'c1');
    rack.keepOn(host, false);
    await rack.metal.retry(host);
    await rack.allAvailable();
  });

  alive('installs that fail and then do not; a bootstrap that failed is told', { hosts: 1 }, async (rack) => {
    rack.failInstall('h001', 1);
    rack.failBootstrap('h001', 'kubeadm join: no route to host');
    await claim(rack, 'c1');
    await runs(rack, 'h001', 1);
    assert.equal(rack.hosts[0]?.metal.installsStarted, 2);
    await rack.reach('told', () => JSON.stringify(rack.host('h001')).includes('no route to host'));
  });

  void test('a write that nobody allowed is told at the end, and nothing moves after it', async () => {
    const rack = await livingRack({ hosts: 1, speed: 60 });
    await rack.allAvailable();
    rack.diskOf('h001').write(0, Uint8Array.of(1), { at: rack.now(), by: 'install', job: '1.1.install' });
    await assert.rejects(rack.stop(), /the law of the disk: h001 disk-h001 was written by 1\.1\.install/);
  });
});
