/** Foreign judges: our IPMI driver drives goipmi-server by suites 17 and 3, and ipmi_sim, which has 3 only. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { ipmiDriver } from '../../src/bmc/ipmi/driver.ts';
import type { BmcDriver } from '../../src/bmc/driver.ts';
import { probeBmc } from '../../src/bmc/probe.ts';
import { limits } from '../../src/limits.ts';
import { realWorld } from '../../src/world/real.ts';
import { peerUser, startGoipmi, startIpmiSim } from './ipmi-driver-peers.ts';
import type { Peer } from './ipmi-driver-peers.ts';

const ending = new AbortController();
const world = realWorld({ signal: ending.signal, log: { level: 'silent' } });
after(() => ending.abort());

const driverOf = ({ url }: Peer, more: { readonly password?: string; readonly suites?: readonly number[] } = {}): BmcDriver =>
  ipmiDriver(world, { protocol: 'ipmi', url, ...peerUser, ...more }, limits);
const portOf = ({ url }: Peer): number => Number(new URL(url).port);

const settled = <T>(asked: T) => ({ asked, observed: asked, settled: true });
/** On, off, and what lies between. */
const drivesPower = async (driver: BmcDriver): Promise<void> => {
  assert.deepEqual(await driver.setPower('on'), settled('on'));
  assert.equal(await driver.readPower(), 'on');
  assert.equal((await driver.command('reset')).asked, 'reset');
  assert.deepEqual(await driver.setPower('off'), settled('off'));
  await assert.rejects(driver.command('cycle'), { code: 'state-conflict' });
};
const refusesPassword = async (peer: Peer): Promise<void> => {
  const driver = driverOf(peer, { password: 'guess' });
  for (const _ of [1, 2])
    await assert.rejects(driver.readPower(), { code: 'bmc-refused', message: /refuses the user "admin" with the password it was given/ });
  await driver.close();
};

describe('goipmi-server', () => {
  for (const suites of [[17], [3], [3, 17]])
    test(`power, boot and identity by what it has: suites ${suites.join(' and ')}`, async () => {
      const peer = await startGoipmi(suites);
      const driver = driverOf(peer);
      try {
        const { vendor, model, serial, bmcVersion, power } = await driver.identify();
        assert.deepEqual([vendor, model, serial, bmcVersion, power], ['go-ipmi', 'reference-bmc', 'e2e', '1.00', 'off']);
        await drivesPower(driver);
        assert.deepEqual(await driver.bootOnceFromNetwork('uefi'), settled('network'));
        assert.deepEqual(await driver.bootOnceFromNetwork(undefined), settled('network'));
        assert.deepEqual(await driver.setBoot({ device: 'disk', persistent: true, firmware: 'bios' }), settled('disk'));
        assert.deepEqual(await driver.setBoot({ device: 'none', persistent: false, firmware: undefined }), settled('none'));
        await refusesPassword(peer);
      } finally {
        await driver.close();
        await peer.stop();
      }
    });
  for (const suite of [16, 15, 2, 1])
    test(`suite ${suite} only by an operator's word`, async () => {
      const peer = await startGoipmi([suite]);
      const opted = driverOf(peer, { suites: [suite] });
      try {
        await assert.rejects(driverOf(peer).readPower(), { code: 'bmc-refused', message: /none of the cipher suites 17, 3/ });
        assert.deepEqual(await opted.setPower('on'), settled('on'));
      } finally {
        await opted.close();
        await peer.stop();
      }
    });
  test('the probe tells its suites', async () => {
    const peer = await startGoipmi([3, 17]);
    try {
      const { protocol, ipmi } = await probeBmc(world, { host: '127.0.0.1', redfishPort: 1, ipmiPort: portOf(peer) }, limits);
      assert.deepEqual([protocol, ipmi?.suites.toSorted((a, b) => a - b), ipmi?.usable], ['ipmi', [3, 17], true]);
    } finally {
      await peer.stop();
    }
  });
});

describe('ipmi_sim', () => {
  test('power and boot by suite 3, after 17 was refused', async () => {
    const peer = await startIpmiSim();
    const driver = driverOf(peer);
    try {
      assert.deepEqual(await driver.identify(), { bmcVersion: '9.08', macs: [], power: 'off' });
      await drivesPower(driver);
      await refusesPassword(peer);
      const { ipmi } = await probeBmc(world, { host: '127.0.0.1', redfishPort: 1, ipmiPort: portOf(peer) }, limits);
      assert.equal(ipmi?.v20, true);
    } finally {
      await driver.close();
      await peer.stop();
    }
  });
});
