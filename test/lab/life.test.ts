/** SeaBIOS behind Redfish, OVMF behind IPMI: an empty server becomes its image, another image, and clean again; a disk that nobody gave us stays as it was. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { images, Lab, sha256 } from './crew.ts';

const foreign = randomBytes(8 * 1024 * 1024);
let lab: Lab;
let digests: { tiny: string; tiny2: string };
const hosts = ['h1', 'h2'];
const settled = { timeout: 8 * 60_000 };

before(async () => {
  const [tiny, tiny2] = [images.tiny(), images.tiny2()];
  digests = { tiny: `sha256:${await sha256(tiny)}`, tiny2: `sha256:${await sha256(tiny2)}` };
  assert.notEqual(digests.tiny, digests.tiny2);
  lab = await Lab.up({ name: 'test-life', firmware: ['bios', 'uefi'], foreign });
  await lab.crew.admin.importImage(tiny, 'tiny');
  await lab.crew.admin.importImage(tiny2, 'tiny-2');
}, settled);
after(async () => lab?.down(), settled);

test('enrolled through their BMCs, both servers are inspected', settled, async () => {
  await lab.enrol();
  for (const name of hosts) {
    const host = await lab.until(name, 'inspected', ({ state }) => state === 'available');
    assert.equal(host.inventory?.firmware, name === 'h1' ? 'bios' : 'uefi');
    assert.equal(host.bmc?.protocol, name === 'h1' ? 'redfish' : 'ipmi');
    assert.equal(host.identified?.serial, `REMUDA-${name}`);
    assert.deepEqual(
      host.inventory?.disks.map(({ serial }) => serial),
      [`REMUDA-${name}-d0`, `REMUDA-${name}-d1`],
    );
  }
});

test('an ambiguous, a wrong and a second claim are refused, with what was found', settled, async () => {
  const { admin } = lab.crew;
  await assert.rejects(admin.claim({ host: 'h1', image: 'tiny', disk: { only: true } }), /2 disks.*REMUDA-h1-d0.*REMUDA-h1-d1/s);
  await assert.rejects(admin.claim({ host: 'h1', image: 'tiny', disk: { serial: 'nobody' } }), /no disk matches.*REMUDA-h1-d0/s);
  await assert.rejects(admin.claim({ host: 'h1', image: 'tiny', disk: { serial: 'REMUDA-h1-d1' } }), /does not fit/);
  await assert.rejects(admin.claim({ host: 'h1', image: 'no-such', disk: { serial: 'REMUDA-h1-d0' } }), /no-such/);
});

test('random bytes to every port change nothing', settled, async () => {
  const versions = async (): Promise<readonly number[]> => (await lab.crew.admin.hosts()).map(({ version }) => version);
  const untouched = await versions();
  assert.match(lab.inNamespace(process.execPath, new URL('noise.ts', import.meta.url).pathname, '10.77.0.1'), /noise made/);
  assert.deepEqual(await versions(), untouched);
});

test('claimed, each becomes its image and phones home with the name in its user data', settled, async () => {
  for (const name of hosts)
    await lab.crew.admin.claim({
      id: `c-${name}`,
      owner: 'test',
      host: name,
      image: 'tiny',
      disk: { serial: `REMUDA-${name}-d0` },
      hostName: name,
      userData: `#cloud-config\nhostname: ${name}-from-user-data\n`,
    });
  await assert.rejects(lab.crew.admin.claim({ host: 'h1', image: 'tiny', disk: { serial: 'REMUDA-h1-d0' } }), /claimed by test/);
  for (const name of hosts) {
    const host = await lab.until(name, 'phoned home', ({ facts }) => facts.phonedHome !== null);
    assert.equal(host.state, 'provisioned');
    assert.equal(host.facts.phonedHome?.hostName, `${name}-from-user-data`);
    assert.equal(host.facts.installed?.digest, digests.tiny);
  }
});

test('reprovisioned under the same claim, each becomes the other image', settled, async () => {
  for (const name of hosts) await lab.crew.admin.reprovision(`c-${name}`, { image: 'tiny-2' });
  for (const name of hosts) {
    const host = await lab.until(name, 'phoned home', ({ facts }) => facts.phonedHome?.generation === 2);
    assert.equal(host.facts.installed?.digest, digests.tiny2);
    assert.deepEqual([host.claim?.generation, host.facts.installCount], [2, 2]);
  }
});

test('released, each is cleaned and available, its disk all zeros', settled, async () => {
  for (const name of hosts) await lab.crew.admin.release(`c-${name}`);
  for (const name of hosts) {
    await lab.until(name, 'cleaned', ({ state }) => state === 'available');
    assert.ok(lab.isZero(lab.disk(name)), `${name}'s disk is not clean`);
  }
});

test('the disks that nobody gave us are as they were, bit for bit', async () => {
  const wanted = await sha256(lab.disk('h1', 1));
  for (const name of hosts) assert.equal(await sha256(lab.disk(name, 1)), wanted);
  assert.ok(foreign.equals((await import('node:fs')).readFileSync(lab.disk('h2', 1))));
});

test('the daemon needs less than 150 MB with two hosts', () => {
  const { now, peak } = lab.rssMiB();
  console.log(`daemon: ${now.toFixed(0)} MiB resident, ${peak.toFixed(0)} MiB at most`);
  assert.ok(now * 1.048576 < 150, `${now} MiB`);
});
