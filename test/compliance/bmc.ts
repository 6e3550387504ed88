/** What every BmcDriver owes the plan, whatever its protocol: one suite, run for each implementation. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BmcDriver } from '../../src/bmc/driver.ts';
import type { Code } from '../../src/errors.ts';
import { RemudaError } from '../../src/errors.ts';
import type { Machine } from '../../src/lab/model/machine.ts';
import type { HostQuirks } from '../../src/lab/model/quirks.ts';

/** The faults that every protocol can have, under one name each. */
export interface SharedQuirks extends HostQuirks {
  silent: boolean;
  slowMs: number;
  /** Cannot just now, and says so. */
  unavailable: boolean;
  /** Answers end half way. */
  halfAnswers: boolean;
  sessionsFull: boolean;
  wrongPassword: boolean;
  forgetsSessions: boolean;
}

export interface BmcUnderTest {
  /** IPMI tells neither network cards nor boot modes. */
  readonly tells: { readonly macs: boolean; readonly modes: boolean };
  readonly driver: BmcDriver;
  readonly machine: Machine & { readonly boots: readonly ('network' | 'disk' | undefined)[]; readonly presses: number };
  readonly quirks: SharedQuirks;
  /** Commands the BMC took, in its own words. */
  readonly commands: readonly { readonly what: string }[];
  readonly openSessions: () => Promise<number>;
  /** Everything the driver logged, as text. */
  readonly logged: () => string;
  readonly password: string;
}
type Make = (quirks?: Partial<SharedQuirks>) => Promise<BmcUnderTest>;

/** Asserts the code, and that the error carries no password. */
const fails = async (promise: Promise<unknown>, code: Code, password: string): Promise<RemudaError> => {
  const error = await promise.then(
    (value) => assert.fail(`expected ${code}, got ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RemudaError, String(error));
  assert.equal(error.code, code, error.message);
  assert.ok(!`${error.message} ${JSON.stringify(error.values)}`.includes(password), 'the error carries the password');
  return error;
};

export const bmcCompliance = (name: string, make: Make): void => {
  describe(`${name}: what a BmcDriver owes`, () => {
    verbs(make);
    wishes(make);
    order(make);
    faults(make);
  });
};

const verbs = (make: Make): void => {
  test('identify tells the host by uuid, serial and macs', async () => {
    const { driver, machine, tells } = await make();
    const { uuid, serial, macs, power } = await driver.identify();
    const expected = { uuid: machine.uuid, serial: machine.serial, macs: tells.macs ? machine.macs : [], power: 'off' };
    assert.deepEqual({ uuid, serial, macs, power }, expected);
  });
  test('on and off settle, each by one command', async () => {
    const { driver, machine, commands } = await make();
    assert.deepEqual(await driver.setPower('on'), { asked: 'on', observed: 'on', settled: true });
    assert.equal(machine.power(), 'on');
    assert.equal(await driver.readPower(), 'on');
    assert.deepEqual(await driver.setPower('off'), { asked: 'off', observed: 'off', settled: true });
    assert.equal(machine.power(), 'off');
    assert.equal(commands.length, 2);
  });
  test('a power state that is there already settles without a command', async () => {
    const { driver, commands } = await make();
    assert.equal((await driver.setPower('off')).settled, true);
    await driver.setPower('on');
    assert.equal((await driver.setPower('on')).settled, true);
    assert.equal(commands.length, 1);
  });
  test('boot once from the network holds for one boot', async () => {
    const { driver, machine } = await make();
    assert.deepEqual(await driver.bootOnceFromNetwork(machine.firmware), { asked: 'network', observed: 'network', settled: true });
    for (const power of ['on', 'off', 'on'] as const) await driver.setPower(power);
    assert.deepEqual(machine.boots, ['network', undefined]);
  });
  test('boot once asked twice still holds for one boot', async () => {
    const { driver, machine } = await make();
    assert.equal((await driver.bootOnceFromNetwork(undefined)).settled, true);
    assert.equal((await driver.bootOnceFromNetwork(undefined)).settled, true);
    for (const power of ['on', 'off', 'on'] as const) await driver.setPower(power);
    assert.deepEqual(machine.boots, ['network', undefined]);
  });
};

const wishes = (make: Make): void => {
  test('boot from the disk once, persistently from the network, and by the permanent order', async () => {
    const { driver, machine } = await make();
    const { firmware } = machine;
    assert.deepEqual(await driver.setBoot({ device: 'disk', persistent: false, firmware }), {
      asked: 'disk',
      observed: 'disk',
      settled: true,
    });
    for (const power of ['on', 'off', 'on', 'off'] as const) await driver.setPower(power);
    assert.equal((await driver.setBoot({ device: 'network', persistent: true, firmware })).settled, true);
    for (const power of ['on', 'off', 'on', 'off'] as const) await driver.setPower(power);
    assert.equal((await driver.setBoot({ device: 'none', persistent: false, firmware: undefined })).settled, true);
    await driver.setPower('on');
    assert.deepEqual(machine.boots, ['disk', undefined, 'network', 'network', undefined]);
  });
  test('boot once after a persistent override ends it', async () => {
    const { driver, machine } = await make();
    await driver.setBoot({ device: 'network', persistent: true, firmware: machine.firmware });
    assert.deepEqual(await driver.bootOnceFromNetwork(machine.firmware), { asked: 'network', observed: 'network', settled: true });
    for (const power of ['on', 'off', 'on'] as const) await driver.setPower(power);
    assert.deepEqual(machine.boots, ['network', undefined]);
  });
  test('reset and cycle start the host again, soft presses its button', async () => {
    const { driver, machine } = await make();
    await driver.setPower('on');
    for (const action of ['reset', 'cycle'] as const) assert.equal((await driver.command(action)).power, 'on');
    assert.equal(machine.boots.length, 3);
    assert.deepEqual([(await driver.command('soft')).asked, machine.presses], ['soft', 1]);
  });
  test('of a host that is off: soft is done already, cycle and reset are a conflict; nothing is sent', async () => {
    const { driver, commands, password } = await make();
    assert.equal((await driver.command('soft')).power, 'off');
    for (const action of ['reset', 'cycle'] as const) await fails(driver.command(action), 'state-conflict', password);
    assert.equal(commands.length, 0);
  });
};

const order = (make: Make): void => {
  test('calls at the same time are served one after another', async () => {
    const { driver, machine, openSessions } = await make({ slowMs: 50 });
    const [on, off, last] = await Promise.all([driver.setPower('on'), driver.setPower('off'), driver.readPower()]);
    assert.deepEqual([on.settled, off.settled, last], [true, true, 'off']);
    assert.equal(machine.boots.length, 1);
    assert.equal(await openSessions(), 1);
  });
  test('a failed call does not hold up the next', async () => {
    const { driver, quirks, password } = await make({ unavailable: true });
    await fails(driver.readPower(), 'bmc-unreachable', password);
    quirks.unavailable = false;
    assert.equal(await driver.readPower(), 'off');
  });
  test('what is aborted while it waits sends nothing', async () => {
    const { driver, commands, quirks } = await make({ silent: true });
    const first = driver.readPower().catch(() => undefined);
    const aborter = new AbortController();
    const second = driver.setPower('on', aborter.signal);
    aborter.abort(new Error('the plan changed'));
    quirks.silent = false;
    await assert.rejects(second, /the plan changed/);
    await first;
    assert.equal(commands.length, 0);
  });
  test('an abort ends a call that gets no answer', async () => {
    const { driver } = await make({ silent: true });
    const aborter = new AbortController();
    const reading = driver.readPower(aborter.signal);
    queueMicrotask(() => aborter.abort(new Error('shutting down')));
    await assert.rejects(reading, /shutting down/);
  });
  test('one session serves many calls, and close ends it', async () => {
    const { driver, openSessions } = await make();
    await driver.identify();
    await driver.setPower('on');
    assert.equal(await openSessions(), 1);
    await driver.close();
    assert.equal(await openSessions(), 0);
  });
  test('close without a session, of a silent BMC, and twice, is quiet', async () => {
    const { driver, quirks } = await make();
    await driver.close();
    await driver.readPower();
    quirks.silent = true;
    await driver.close();
    await driver.close();
  });
  test('after close a verb logs in anew', async () => {
    const { driver } = await make();
    await driver.readPower();
    await driver.close();
    assert.equal(await driver.readPower(), 'off');
  });
};

const faults = (make: Make): void => {
  const unreachable: readonly (readonly [string, Partial<SharedQuirks>])[] = [
    ['a silent BMC', { silent: true }],
    ['a BMC slower than the limit', { slowMs: 60_000 }],
    ['a BMC whose answers end half way', { halfAnswers: true }],
    ['a BMC with all session slots taken', { sessionsFull: true }],
  ];
  for (const [what, quirks] of unreachable)
    test(`${what} is unreachable`, async () => {
      const { driver, password } = await make(quirks);
      await fails(driver.readPower(), 'bmc-unreachable', password);
    });
  test('a BMC that is busy is unreachable', async () => {
    const { driver, password } = await make({ unavailable: true });
    await fails(driver.setPower('on'), 'bmc-unreachable', password);
  });
  test('a changed password is refused, and named neither in error nor log', async () => {
    const { driver, quirks, password, logged } = await make();
    await driver.readPower();
    quirks.wrongPassword = true;
    await driver.close();
    const error = await fails(driver.readPower(), 'bmc-refused', password);
    assert.match(error.message, /password/);
    assert.ok(!logged().includes(password));
  });
  test('sessions that die are opened anew, and no command is sent twice', async () => {
    const { driver, machine, commands } = await make({ forgetsSessions: true });
    assert.equal((await driver.setPower('on')).settled, true);
    assert.equal((await driver.setPower('off')).settled, true);
    assert.deepEqual(machine.boots, [undefined]);
    assert.equal(commands.length, 2);
  });
  test('a BMC that says on is believed: what runs is the plan to find out', async () => {
    const { driver, machine } = await make({ saysOnStaysOff: true });
    assert.equal((await driver.setPower('on')).settled, true);
    assert.equal(machine.power(), 'off');
  });
  test('a BMC that takes the command and does nothing: not settled', async () => {
    const { driver } = await make({ ignoresPower: true });
    const outcome = await driver.setPower('on');
    assert.deepEqual([outcome.observed, outcome.settled], ['off', false]);
    assert.match(outcome.note ?? '', /shows off/i);
  });
  test('power that shows late: not settled at first, and settled when asked again, without a second command', async () => {
    const { driver, commands } = await make({ powerLag: 1 });
    assert.equal((await driver.setPower('on')).settled, false);
    assert.equal((await driver.setPower('on')).settled, true);
    assert.equal(commands.length, 1);
  });
  test('a boot override that is forgotten: not settled', async () => {
    const { driver } = await make({ acceptsAndForgetsBootOverride: true });
    const outcome = await driver.bootOnceFromNetwork(undefined);
    assert.deepEqual([outcome.observed, outcome.settled], ['unknown', false]);
    assert.match(outcome.note ?? '', /none/i);
  });
  test('a boot change refused while the host is on: refused in its own words', async () => {
    const { driver, password } = await make({ refusesBootChangeWhileOn: true });
    await driver.setPower('on');
    assert.match(
      (await fails(driver.bootOnceFromNetwork(undefined), 'bmc-refused', password)).message,
      /while the host is on|present state/,
    );
    await driver.setPower('off');
    assert.equal((await driver.bootOnceFromNetwork(undefined)).settled, true);
  });
  test('a mode the host does not have is refused, where the BMC knows', async () => {
    const { driver, machine, password, tells } = await make();
    const asked = driver.bootOnceFromNetwork(machine.firmware === 'uefi' ? 'bios' : 'uefi');
    if (tells.modes) await fails(asked, 'bmc-refused', password);
    else assert.equal((await asked).settled, true);
  });
};
