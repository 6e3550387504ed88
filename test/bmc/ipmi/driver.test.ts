/** The IPMI driver against the virtual BMC: the suite of all drivers, and what is IPMI's own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { suiteOf } from '../../../src/bmc/ipmi/crypt.ts';
import { systemUuid } from '../../../src/bmc/ipmi/identity.ts';
import { decodeOpening } from '../../../src/bmc/ipmi/opening.ts';
import { decodePacket, PayloadType } from '../../../src/bmc/ipmi/packet.ts';
import { RemudaError } from '../../../src/errors.ts';
import type { Code } from '../../../src/errors.ts';
import { limits } from '../../../src/limits.ts';
import type { Ipv4 } from '../../../src/wire/address.ts';
import type { BmcAddress } from '../../../src/wire/words.ts';
import type { IpmiQuirks } from '../../../src/lab/model/ipmi-quirks.ts';
import { bmcCompliance } from '../../compliance/bmc.ts';
import type { SharedQuirks } from '../../compliance/bmc.ts';
import { bmcUser } from '../bench.ts';
import { ipmiBench } from './bench.ts';
import type { IpmiBench } from './bench.ts';

/** More commands than any verb repeats. */
const always = 1_000_000;
/** The names that all protocols share, for those of this one. */
const shared = (live: IpmiQuirks): SharedQuirks => {
  const target = live as IpmiQuirks & SharedQuirks;
  Object.defineProperties(target, {
    unavailable: {
      get: () => live.busy > 0,
      set: (on: boolean) => {
        live.busy = on ? always : 0;
      },
    },
    halfAnswers: {
      get: () => live.halfReplies,
      set: (on: boolean) => {
        live.halfReplies = on;
      },
    },
  });
  return target;
};
bmcCompliance('ipmi', async (quirks = {}) => {
  const { driver, machine, quirks: live, bmc, log } = await ipmiBench();
  const logged = (): string => JSON.stringify(log);
  const its = Object.assign(shared(live), quirks);
  const openSessions = async (): Promise<number> => bmc.openSessions();
  const tells = { macs: false, modes: false };
  return { driver, machine, tells, quirks: its, commands: bmc.commands, openSessions, logged, password: bmcUser.password };
});

const fails = async (promise: Promise<unknown>, code: Code): Promise<RemudaError> => {
  const error = await promise.then(
    (value) => assert.fail(`expected ${code}, got ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RemudaError, String(error));
  assert.equal(error.code, code, error.message);
  assert.ok(!`${error.message}${JSON.stringify(error.values)}`.includes(bmcUser.password));
  return error;
};
/** The payload types that the driver sent to open sessions. */
const openings = ({ network }: IpmiBench): readonly number[] =>
  network.sent
    .filter(({ from }) => from === '10.0.0.1')
    .map(({ bytes }) => decodePacket(bytes))
    .flatMap((packet) => (packet.kind === 'v20' && packet.session === 0 ? [packet.payload.type] : []))
    .filter((type) => type >= PayloadType.openRequest);
/** The suites that the driver asked for, in order. */
const suitesAsked = ({ network }: IpmiBench): readonly (number | undefined)[] =>
  network.sent
    .map(({ bytes }) => decodePacket(bytes))
    .flatMap((packet) =>
      packet.kind === 'v20' && packet.payload.type === PayloadType.openRequest
        ? [suiteOf(decodeOpening('openRequest', packet.data).algorithms)?.id]
        : [],
    );

describe('the way in', () => {
  const table: readonly (readonly [string, Partial<IpmiQuirks>, readonly number[]])[] = [
    ['suite 17 where both are there', {}, [17]],
    ['suite 3 where that is all', { suites: [3] }, [3]],
    ['17 that is told and fails: 3', { brokenSuites: { 17: 0x11 } }, [17, 3]],
    ['17 that fails by "unauthorized role": as operator, then 3', { brokenSuites: { 17: 0x0a } }, [17, 17, 3]],
    ['17 that fails by "illegal parameter": the same', { brokenSuites: { 17: 0x12 } }, [17, 17, 3]],
    ['a list that is not told: 17, then 3', { hidesSuites: true, suites: [3] }, [17, 3]],
    ['a BMC that wants the reserved bit zero', { refusesExtendedCapabilities: true }, [17]],
    ['no administrator sessions: an operator will do', { refusesAdmin: true }, [17]],
    ['numbers that are skipped', { skipsSequences: true }, [17]],
    ['checksums that are wrong everywhere: what it can is tried', { wrongChecksums: true, suites: [3] }, [17, 3]],
    ['garbage between the answers', { garbage: true }, [17]],
  ];
  for (const [name, quirks, suites] of table)
    test(name, async () => {
      const bench = await ipmiBench(quirks);
      assert.equal((await bench.driver.setPower('on')).settled, true);
      assert.deepEqual(suitesAsked(bench), suites);
      assert.equal(bench.bmc.openSessions(), 1);
      // The second time the BMC is not asked again what it can.
      await bench.driver.close();
      assert.equal(await bench.driver.readPower(), 'on');
      assert.deepEqual(suitesAsked(bench), [...suites, suites.at(-1)]);
    });
  test('checksums that are wrong inside a proven packet', async () => {
    const bench = await ipmiBench();
    await bench.driver.readPower();
    bench.quirks.wrongChecksums = true;
    assert.equal((await bench.driver.setPower('on')).settled, true);
  });
  for (const lost of ['losesRakp2', 'losesRakp4'] as const)
    test(`${lost}: the whole handshake again, never one of its messages`, async () => {
      const bench = await ipmiBench({ [lost]: 1 });
      assert.equal(await bench.driver.readPower(), 'off');
      const { openRequest, rakp1, rakp3 } = PayloadType;
      const begun = lost === 'losesRakp2' ? [openRequest, rakp1] : [openRequest, rakp1, rakp3];
      assert.deepEqual(openings(bench), [...begun, openRequest, rakp1, rakp3]);
    });
  test('no suite in common: refused, and what the BMC tells is said', async () => {
    const bench = await ipmiBench({ suites: [2, 16] });
    const { message } = await fails(bench.driver.readPower(), 'bmc-refused');
    assert.match(message, /none of the cipher suites 17, 3 .*tells 2, 16/);
  });
  for (const suite of [16, 2, 15, 1])
    test(`suite ${suite} by an operator's word only`, async () => {
      const bench = await ipmiBench({ suites: [suite] });
      await fails(bench.driver.readPower(), 'bmc-refused');
      const opted = bench.driverFor({ suites: [suite] });
      assert.equal((await opted.setPower('on')).settled, true);
      assert.equal(suitesAsked(bench).at(-1), suite);
    });
  test('suite 0 is never asked for, whatever the operator says', async () => {
    const bench = await ipmiBench({ suites: [0] });
    await fails(bench.driverFor({ suites: [0] }).readPower(), 'bmc-refused');
    assert.ok(!suitesAsked(bench).includes(undefined) && !suitesAsked(bench).includes(0));
  });
  test('all sessions taken: unreachable for now, in the words of the standard', async () => {
    const bench = await ipmiBench({ sessionsFull: true });
    assert.match((await fails(bench.driver.readPower(), 'bmc-unreachable')).message, /insufficient resources.*after a minute/);
  });
  test('a wrong password: one attempt, then silence for longer each time', async () => {
    const bench = await ipmiBench({ wrongPassword: true, lockoutAfter: 3 });
    for (const _ of [1, 2, 3, 4]) await fails(bench.driver.readPower(), 'bmc-refused');
    assert.deepEqual(bench.bmc.logins, { started: 1, failed: 1 });
    await bench.clock.sleep(limits.bmcLoginPauseMs);
    const { message, values } = await fails(bench.driver.readPower(), 'bmc-refused');
    assert.match(message, /refuses the user "admin" with the password it was given .*lest the BMC lock the account/);
    assert.equal(values['retryAfterSeconds'], (2 * limits.bmcLoginPauseMs) / 1000);
    assert.equal(bench.bmc.logins.started, 2);
    // The account was never locked: the right password is let in at once.
    bench.quirks.wrongPassword = false;
    assert.equal(await bench.driverFor({}).readPower(), 'off');
  });
  test('a wrong user: one attempt', async () => {
    const bench = await ipmiBench();
    const driver = bench.driverFor({ username: 'root' });
    for (const _ of [1, 2]) assert.match((await fails(driver.readPower(), 'bmc-refused')).message, /unauthorized name/);
    assert.equal(bench.bmc.logins.started, 1);
  });
  const unusable: readonly (readonly [string, Partial<BmcAddress>])[] = [
    ['a name for an address', { url: 'ipmi://bmc.example' }],
    ['another scheme', { url: 'https://10.0.0.6' }],
    ['a user in the URL', { url: 'ipmi://admin@10.0.0.6' }],
    ['a password that IPMI has no room for', { password: 'x'.repeat(21) }],
    ['a user name that IPMI has no room for', { username: 'x'.repeat(17) }],
  ];
  for (const [name, address] of unusable)
    test(`${name}: bad-config, and nothing is sent`, async () => {
      const bench = await ipmiBench();
      await fails(bench.driverFor(address).readPower(), 'bad-config');
      assert.equal(bench.network.sent.length, 0);
    });
});

describe('commands', () => {
  test('a BMC that is busy for a moment is asked again', async () => {
    const bench = await ipmiBench();
    await bench.driver.readPower();
    bench.quirks.busy = 2;
    assert.equal(await bench.driver.readPower(), 'off');
  });
  test('a lost answer to power on: asked again, and on is on', async () => {
    const bench = await ipmiBench();
    await bench.driver.readPower();
    let dropped = 0;
    bench.network.arrives = ({ from }) => from !== '10.0.0.6' || (dropped += 1) !== 2;
    const outcome = await bench.driver.setPower('on');
    assert.deepEqual([outcome.settled, bench.machine.boots.length], [true, 1]);
  });
  test('a lost answer to reset: it is sent once, and the error says so', async () => {
    const bench = await ipmiBench();
    await bench.driver.setPower('on');
    let dropped = 0;
    bench.network.arrives = ({ from }) => from !== '10.0.0.6' || (dropped += 1) !== 2;
    assert.match((await fails(bench.driver.command('reset'), 'bmc-unreachable')).message, /sent once, and may have been carried out/);
    assert.deepEqual(
      bench.bmc.commands.map(({ what }) => what),
      ['On', 'ForceRestart'],
    );
  });
  test('a BMC that is gone for a while after each power command: said, and settled when asked again', async () => {
    const bench = await ipmiBench({ deadAfterControlMs: 25_000 });
    const outcome = await bench.driver.setPower('on');
    assert.deepEqual([outcome.observed, outcome.settled], ['unknown', false]);
    assert.match(outcome.note ?? '', /took the command, then: .*no answer/);
    await bench.clock.sleep(25_000);
    assert.equal((await bench.driver.setPower('on')).settled, true);
    assert.equal(bench.bmc.commands.length, 1);
  });
  test('an idle session is ended, its socket closed, and a new one opened when needed', async () => {
    const bench = await ipmiBench();
    await bench.driver.readPower();
    assert.deepEqual([bench.bmc.openSessions(), bench.network.open], [1, 2]);
    await bench.clock.sleep(limits.ipmiIdleMs + 1);
    assert.deepEqual([bench.bmc.openSessions(), bench.network.open], [0, 1]);
    assert.equal(await bench.driver.readPower(), 'off');
    await bench.driver.close();
    assert.equal(bench.network.open, 1);
  });
  test('after a BMC that does not answer no socket stays open', async () => {
    const bench = await ipmiBench({ silent: true });
    await fails(bench.driver.readPower(), 'bmc-unreachable');
    await bench.clock.sleep(limits.ipmiIdleMs + 1);
    assert.equal(bench.network.open, 1);
  });
  test('datagrams of others, and of earlier sessions, are not answers', async () => {
    const bench = await ipmiBench();
    await bench.driver.readPower();
    const old = bench.network.sent.findLast(({ from }) => from === '10.0.0.6');
    assert.ok(old !== undefined);
    const stranger = await bench.network.at('10.0.0.7' as Ipv4).udp({ address: '10.0.0.7' as Ipv4, port: 623 });
    bench.network.arrives = ({ from }) => {
      // Before each answer the last one of before, and a forged one of another address.
      if (from === '10.0.0.6') for (const port of [40_000, 40_001]) stranger.send(old.bytes, { address: '10.0.0.1' as Ipv4, port });
      return true;
    };
    assert.equal((await bench.driver.setPower('on')).settled, true);
  });
});

describe('boot flags', () => {
  /** Data of the Set System Boot Options that the BMC took: [parameter, bytes]. */
  const written = (bench: IpmiBench): readonly string[] => bench.bmc.commands.map(({ what }) => what);
  test('the EFI bit is set for a UEFI host, and not for a BIOS one', async () => {
    for (const firmware of ['uefi', 'bios'] as const) {
      const bench = await ipmiBench({ needsEfiBit: true }, firmware);
      assert.equal((await bench.driver.bootOnceFromNetwork(firmware)).settled, true);
      assert.deepEqual(written(bench), [`Boot Pxe Once ${firmware === 'uefi' ? 'UEFI' : 'Legacy'}`]);
      await bench.driver.setPower('on');
      assert.deepEqual(bench.machine.boots, ['network']);
    }
  });
  test('they outlive the 60 s time-out, where the BMC can be told', async () => {
    const bench = await ipmiBench();
    await bench.driver.bootOnceFromNetwork('uefi');
    await bench.clock.sleep(10 * 60_000);
    await bench.driver.setPower('on');
    assert.deepEqual(bench.machine.boots, ['network']);
  });
  test('a BMC that does not know the time-out is no failure', async () => {
    const bench = await ipmiBench({ refusesBootTimeout: true });
    assert.equal((await bench.driver.bootOnceFromNetwork('uefi')).settled, true);
    await bench.driver.setPower('on');
    assert.deepEqual(bench.machine.boots, ['network']);
  });
  test('an EFI bit that is not kept: not settled, and what is shown is said', async () => {
    const bench = await ipmiBench({ ignoresEfiBit: true });
    const outcome = await bench.driver.bootOnceFromNetwork('uefi');
    assert.equal(outcome.settled, false);
    assert.match(outcome.note ?? '', /shows network, once, legacy/);
  });
  test('bytes behind the flags do not matter', async () => {
    const bench = await ipmiBench({ extraBootBytes: true });
    assert.equal((await bench.driver.bootOnceFromNetwork('uefi')).settled, true);
  });
  test('without a firmware the EFI bit stays as it is', async () => {
    const bench = await ipmiBench();
    await bench.driver.bootOnceFromNetwork('uefi');
    await bench.driver.bootOnceFromNetwork(undefined);
    assert.deepEqual(written(bench), ['Boot Pxe Once UEFI', 'Boot Pxe Once UEFI']);
  });
});

describe('the identify light', () => {
  test('it burns for its seconds, and ends when told', async () => {
    const bench = await ipmiBench();
    assert.deepEqual(await bench.driver.locate(30), { asked: 'on', observed: 'on', settled: true });
    assert.ok(bench.bmc.isLit());
    assert.deepEqual(await bench.driver.locate('off'), { asked: 'off', observed: 'off', settled: true });
    assert.ok(!bench.bmc.isLit());
  });
});

describe('the GUID of a system', () => {
  const uuid = '3f0a1b2c-0000-4000-8000-5254006b0001';
  const plain = Array.from(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
  const swap = (bytes: readonly number[]): readonly number[] => [
    ...bytes.slice(0, 4).toReversed(),
    ...bytes.slice(4, 6).toReversed(),
    ...bytes.slice(6, 8).toReversed(),
    ...bytes.slice(8),
  ];
  const table: readonly (readonly [string, readonly number[], string | undefined])[] = [
    ['as written', plain, uuid],
    ['as SMBIOS lays it out', swap(plain), uuid],
    ['last byte first, by the book', plain.toReversed(), uuid],
    ['nothing that is a UUID', Array.from(new Uint8Array(16)), undefined],
    ['two readings that could be', [1, 2, 3, 4, 5, 6, 0x41, 0x42, 0x80, 0, 0, 0, 0, 0, 0, 0], undefined],
  ];
  for (const [name, bytes, says] of table) test(name, () => assert.equal(systemUuid(Uint8Array.from(bytes)), says));
});
