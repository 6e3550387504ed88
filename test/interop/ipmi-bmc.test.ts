/** Foreign judges: ipmitool, FreeIPMI and pyghmi drive our virtual IPMI BMC on loopback, by cipher suites 3 and 17. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { carryIpmi } from '../../src/lab/model/ipmi-carrier.ts';
import { ipmiBmc } from '../../src/lab/model/ipmi-bmc.ts';
import type { IpmiQuirks } from '../../src/lab/model/ipmi-quirks.ts';
import { realWorld } from '../../src/world/real.ts';
import { bmcUser, testMachine } from '../bmc/bench.ts';
import { ipv4 } from '../world/memory-http.ts';
import { pythonPrograms } from './redfish-venv.ts';

const run = promisify(execFile);
const programMs = 60_000;
const ending = new AbortController();
const world = realWorld({ signal: ending.signal, log: { level: 'silent' } });
after(() => ending.abort());

/** FreeIPMI's programs stand where only root has its path. */
const environment = { PATH: `${process.env['PATH']}:/usr/sbin`, HOME: process.env['HOME'], IPMI_PASSWORD: bmcUser.password };

/** A virtual BMC on a port of its own. */
const serve = async (quirks: Partial<IpmiQuirks> = {}) => {
  const machine = testMachine('uefi');
  const bmc = ipmiBmc({ name: 'rack1-u1', machine, ...bmcUser, random: world.random, clock: world.clock, quirks });
  const socket = await world.net.udp({ address: ipv4('127.0.0.1'), port: 0 });
  carryIpmi(bmc, socket, world.clock);
  return { machine, bmc, port: String(socket.local.port), close: () => socket.close() };
};
type Served = Awaited<ReturnType<typeof serve>>;
const told = ({ bmc }: Served): readonly string[] => bmc.commands.map(({ what }) => what);

interface Said {
  readonly code: number;
  readonly text: string;
}
/** Whatever its exit code. */
const call = async (program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> => {
  try {
    const { stdout, stderr } = await run(program, args, { timeout: programMs, env: { ...environment, ...env } });
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    assert.equal(typeof code, 'number', `${program} did not run: ${String(error)}`);
    return { code: Number(code), text: stdout + stderr };
  }
};
const good = async (said: Promise<Said>, says: RegExp): Promise<void> => {
  const { code, text } = await said;
  assert.equal(code, 0, text);
  assert.match(text, says);
};

describe('ipmitool', () => {
  const tool = ({ port }: Served, suite: string, ...words: readonly string[]): Promise<Said> =>
    call('ipmitool', ['-I', 'lanplus', '-H', '127.0.0.1', '-p', port, '-U', bmcUser.username, '-E', '-C', suite, ...words]);
  for (const suite of ['3', '17']) {
    test(`power and boot by suite ${suite}`, async () => {
      const served = await serve();
      const ipmi = (...words: readonly string[]): Promise<Said> => tool(served, suite, ...words);
      await good(ipmi('power', 'status'), /Chassis Power is off/);
      await good(ipmi('chassis', 'bootdev', 'pxe', 'options=efiboot'), /Set Boot Device to pxe/);
      await good(
        ipmi('chassis', 'bootparam', 'get', '5'),
        /Boot parameter data: a004000000[^]*Boot Flag Valid[^]*only next boot[^]*EFI boot[^]*Force PXE/,
      );
      await good(ipmi('power', 'on'), /Up\/On/);
      await good(ipmi('power', 'status'), /Chassis Power is on/);
      await good(ipmi('chassis', 'bootparam', 'get', '5'), /data: 2004000000[^]*Boot Flag Invalid/);
      await good(ipmi('power', 'cycle'), /Cycle/);
      await good(ipmi('power', 'soft'), /Soft/);
      await good(ipmi('power', 'reset'), /Reset/);
      await good(ipmi('chassis', 'bootdev', 'pxe', 'options=efiboot,persistent'), /Set Boot Device to pxe/);
      await good(ipmi('chassis', 'bootparam', 'get', '5'), /data: e004000000[^]*all future boots/);
      await good(ipmi('power', 'off'), /Down\/Off/);
      await good(ipmi('chassis', 'bootdev', 'none'), /Set Boot Device to none/);
      assert.deepEqual(served.machine.boots, ['network', undefined, undefined]);
      assert.equal(served.machine.presses, 1);
      assert.deepEqual(told(served), [
        'Boot Pxe Once UEFI',
        'On',
        'PowerCycle',
        'GracefulShutdown',
        'ForceRestart',
        'Boot Pxe Continuous UEFI',
        'ForceOff',
        'Boot None Once Legacy',
      ]);
      assert.equal(served.bmc.openSessions(), 0);
      served.close();
    });
    test(`what it is, by suite ${suite}`, async () => {
      const served = await serve();
      const ipmi = (...words: readonly string[]): Promise<Said> => tool(served, suite, ...words);
      await good(ipmi('mc', 'info'), /IPMI Version +: 2\.0[^]*Chassis Device/);
      await good(ipmi('mc', 'guid'), new RegExp(`System GUID +: ${served.machine.uuid}`));
      await good(ipmi('fru'), /Board Mfg +: Remuda[^]*Product Name +: Virtual host[^]*Product Serial +: LAB0001/);
      await good(ipmi('chassis', 'status'), /System Power +: off[^]*Power Restore Policy : always-off/);
      await good(ipmi('chassis', 'identify', '30'), /30 seconds/);
      assert.ok(served.bmc.isLit());
      await good(ipmi('chassis', 'identify', '0'), /off/i);
      assert.ok(!served.bmc.isLit());
      await good(ipmi('sel', 'list'), /no entries/);
      const { code, text } = await ipmi('sdr', 'list');
      assert.deepEqual([code, text], [0, '']);
      await good(ipmi('channel', 'getciphers', 'ipmi'), /3 +N\/A +hmac_sha1[^]*17 +N\/A +hmac_sha256/);
      served.close();
    });
  }
  test('a wrong password, a stranger, suite 0 and a full BMC are refused', async () => {
    const served = await serve();
    const args = ['-I', 'lanplus', '-H', '127.0.0.1', '-p', served.port, '-E', '-R', '1', '-v', '-C', '17'];
    const status = ['power', 'status'];
    const wrong = await call('ipmitool', [...args, '-U', bmcUser.username, ...status], { IPMI_PASSWORD: 'guess' });
    assert.equal(wrong.code, 1);
    assert.match(wrong.text, /RAKP 2 HMAC is invalid/);
    const stranger = await call('ipmitool', [...args, '-U', 'nobody', ...status]);
    assert.equal(stranger.code, 1);
    assert.match(stranger.text, /unauthorized name/);
    const open = await tool(served, '0', ...status);
    assert.equal(open.code, 1);
    assert.match(open.text, /no matching cipher suite/);
    served.bmc.quirks.sessionsFull = true;
    const full = await tool(served, '17', ...status);
    assert.equal(full.code, 1);
    assert.match(full.text, /insufficient resources/);
    assert.deepEqual(told(served), []);
    served.close();
  });
  test('it chooses the suite that is left where one was dropped', async () => {
    for (const suites of [[3], [17]]) {
      const served = await serve({ suites });
      const args = ['-I', 'lanplus', '-H', '127.0.0.1', '-p', served.port, '-U', bmcUser.username, '-E'];
      await good(call('ipmitool', [...args, 'power', 'status']), /Chassis Power is off/);
      served.close();
    }
  });
  test('numbers that are skipped and a lost RAKP 2 do not stop it', async () => {
    const served = await serve({ skipsSequences: true, losesRakp2: 1 });
    await good(tool(served, '17', 'power', 'status'), /Chassis Power is off/);
    served.close();
  });
});

describe('FreeIPMI', () => {
  const tool = (program: string, { port }: Served, suite: string, ...words: readonly string[]): Promise<Said> => {
    const access = ['-D', 'LAN_2_0', '-I', suite, '-h', `127.0.0.1:${port}`, '-u', bmcUser.username, '-p', bmcUser.password];
    return call(program, ['--config-file=/dev/null', ...access, ...words]);
  };
  for (const suite of ['3', '17'])
    test(`ipmipower, ipmi-chassis and bmc-info by suite ${suite}`, async () => {
      const served = await serve();
      const power = (...words: readonly string[]): Promise<Said> => tool('ipmipower', served, suite, ...words);
      await good(power('--stat'), /: off/);
      await good(power('--on', '--wait-until-on'), /: ok/);
      await good(power('--stat'), /: on/);
      await good(power('--cycle'), /: ok/);
      await good(power('--off', '--wait-until-off'), /: ok/);
      await good(power('--stat'), /: off/);
      await good(tool('ipmi-chassis', served, suite, '--get-chassis-status'), /System Power +: off[^]*Power restore policy +: Always off/);
      await good(tool('bmc-info', served, suite), /IPMI Version +: 2\.0[^]*Chassis Device +: supported[^]*Medium Type +: 802\.3 LAN/);
      assert.deepEqual(told(served), ['On', 'PowerCycle', 'ForceOff']);
      served.close();
    });
});

test('pyghmi: power, boot once and for good by UEFI, identify', async () => {
  const served = await serve();
  const python = join(await pythonPrograms(), 'python');
  const script = join(import.meta.dirname, 'ipmi_pyghmi.py');
  const { code, text } = await call(python, [script, '127.0.0.1', served.port, bmcUser.username, bmcUser.password]);
  assert.equal(code, 0, text);
  const seen = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly step: string; readonly seen: unknown });
  assert.deepEqual(Object.fromEntries(seen.map((one) => [one.step, one.seen])), {
    start: 'off',
    once: { bootdev: 'network', persistent: false, uefimode: true },
    persistent: { bootdev: 'network', persistent: true, uefimode: true },
    on: 'on',
    off: 'off',
    default: 'default',
  });
  assert.deepEqual(served.machine.boots, ['network']);
  assert.ok(served.bmc.isLit());
  served.close();
});
