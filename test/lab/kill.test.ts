/** kill -9 of the daemon at five moments of one provisioning over IPMI: the host arrives, once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { images, Lab } from './crew.ts';

const settled = { timeout: 8 * 60_000 };
let lab: Lab;
before(async () => {
  lab = await Lab.up({ name: 'test-kill', firmware: ['bios'], bmc: ['ipmi'] });
  await lab.crew.admin.importImage(images.tiny(), 'tiny');
}, settled);
after(async () => lab?.down(), settled);

const kill = async (): Promise<void> => {
  const daemon = lab.crew.daemon();
  assert.ok(daemon.kill('SIGKILL'));
  assert.equal((await daemon.wait()).signal, 'SIGKILL');
  await lab.crew.startDaemon();
};

test('kill -9 as it is powered on, as it fetches its kernel, as the agent works, as it writes, as its OS boots', settled, async () => {
  await lab.enrol();
  const moments: readonly (readonly [string, RegExp])[] = [
    ['powered on', /^powered on$/],
    ['fetching', /boot script fetched|given 10\.77\.0\.\d+, boot script/],
    ['agent at work', /agent arrived/],
  ];
  for (const [what, line] of moments) {
    await lab.until('h1', what, lab.saw('h1', line));
    await kill();
  }
  await lab.until('h1', 'inspected', ({ state }) => state === 'available');
  await lab.crew.admin.claim({
    id: 'c1',
    host: 'h1',
    image: 'tiny',
    disk: { serial: 'REMUDA-h1-d0' },
    userData: '#cloud-config\nhostname: survivor\n',
  });
  await lab.until('h1', 'writing', lab.saw('h1', /^writing /));
  await kill();
  await lab.until('h1', 'verified', lab.saw('h1', /verified on/));
  await kill();
  const host = await lab.until('h1', 'phoned home', ({ facts }) => facts.phonedHome !== null);
  assert.equal(host.facts.phonedHome?.hostName, 'survivor');
  assert.deepEqual([host.facts.installCount, host.facts.wipeCount, host.claim?.generation], [1, 0, 1]);
  const lines = (await lab.timeline('h1')).map(({ text }) => text);
  assert.equal(lines.filter((text) => /phoned home: provisioned/.test(text)).length, 1);
  assert.equal(lines.filter((text) => text.startsWith('writing ')).length, 1);
});
