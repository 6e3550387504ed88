/** Two ends in the middle of an installation: SIGTERM, after which the same agent goes on; and a backup brought back, after which nothing is done until a person says so. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { images, Lab, sha256 } from './crew.ts';

const settled = { timeout: 8 * 60_000 };
let lab: Lab;
before(async () => {
  lab = await Lab.up({ name: 'test-ends', firmware: ['bios'], limits: { agentAliveMs: 12_000, jobSilenceMs: 15_000, agentPollMs: 3000 } });
  await lab.crew.admin.importImage(images.tiny(), 'tiny');
  await lab.crew.admin.importImage(images.tiny2(), 'tiny-2');
}, settled);
after(async () => lab?.down(), settled);

/** The daemon ends in good order. */
const end = async (): Promise<void> => {
  const daemon = lab.crew.daemon();
  assert.ok(daemon.kill('SIGTERM'));
  assert.deepEqual(await daemon.wait(), { code: 0, signal: undefined });
};
const lines = async (): Promise<readonly string[]> => (await lab.timeline('h1')).map(({ text }) => text);
const serial = (): string => readFileSync(`${lab.place.folder}/h1/serial.log`, 'latin1');

test('SIGTERM while the agent writes: exit 0, and after the next start the same agent ends the same install', settled, async () => {
  await lab.enrol();
  await lab.until('h1', 'inspected', ({ state }) => state === 'available');
  await lab.crew.admin.claim({ id: 'c1', host: 'h1', image: 'tiny', disk: { only: true }, userData: '#cloud-config\nhostname: ended\n' });
  await lab.until('h1', 'writing', lab.saw('h1', /^writing /));
  assert.equal((await lab.host('h1')).facts.installed, null);
  await end();
  await lab.crew.startDaemon();
  const host = await lab.until('h1', 'phoned home', ({ facts }) => facts.phonedHome !== null);
  assert.equal(host.facts.phonedHome?.hostName, 'ended');
  assert.deepEqual([host.claim?.generation, host.facts.installCount, host.boot?.number], [1, 1, 1]);
  assert.equal((await lines()).filter((text) => text.startsWith('writing ')).length, 1);
});

test(
  'a backup of that moment, restored: nothing is written while the host is held, and unhold brings it to its image',
  settled,
  async () => {
    await lab.crew.admin.reprovision('c1', { image: 'tiny-2' });
    await lab.until('h1', 'at work again', async ({ boot }) => boot?.number === 2 && boot.agentArrivedAt !== null);
    const archive = `${lab.place.folder}/middle.tar`;
    await lab.remuda('backup', archive);
    assert.equal((await lab.host('h1')).state, 'provisioning');
    await end();
    const restored = await lab.remuda('restore', archive, '--config', lab.place.config, '--replace');
    assert.match(restored, /Every host is held/);
    await lab.crew.startDaemon();

    const held = await lab.host('h1');
    assert.deepEqual([held.state, held.held?.by, held.claim?.generation], ['provisioning', 'restore', 2]);
    // What the agent was allowed before is worth nothing to this daemon: it says so and stops.
    await lab.until('h1', 'given up', () => serial().includes('this boot cannot go on; no disk is written'));
    const untouched = await sha256(lab.disk('h1'));
    await assert.rejects(
      lab.until('h1', 'moved', ({ held: still }) => still === null, 10_000),
      /never moved/,
    );
    assert.equal(await sha256(lab.disk('h1')), untouched);

    await lab.remuda('host', 'unhold', '--all', '--by', 'restore');
    const host = await lab.until('h1', 'phoned home', ({ facts }) => facts.phonedHome?.generation === 2);
    assert.equal(host.state, 'provisioned');
    assert.equal(host.facts.installed?.digest, `sha256:${await sha256(images.tiny2())}`);
    assert.deepEqual([host.held, host.claim?.generation], [null, 2]);
  },
);
