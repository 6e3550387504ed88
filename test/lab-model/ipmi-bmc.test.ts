/** The virtual IPMI BMC: its handshake, who may do what, boot flags and their minute, and each of its faults. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ChassisAction,
  chassisControl,
  chassisIdentify,
  closeSession,
  getBootOptions,
  getChassisStatus,
  getSystemGuid,
  setBootOptions,
} from '../../src/bmc/ipmi/commands.ts';
import { Privilege } from '../../src/bmc/ipmi/opening.ts';
import { decodePacket, presencePing, saysIpmi } from '../../src/bmc/ipmi/packet.ts';
import { carryIpmi } from '../../src/lab/model/ipmi-carrier.ts';
import { ipmiBmc } from '../../src/lab/model/ipmi-bmc.ts';
import { noIpmiQuirks } from '../../src/lab/model/ipmi-quirks.ts';
import type { IpmiQuirks } from '../../src/lab/model/ipmi-quirks.ts';
import type { Clock, UdpSocket } from '../../src/world/world.ts';
import { bmcUser, countingRandom, testMachine } from '../bmc/bench.ts';
import { ipv4 } from '../world/memory-http.ts';
import { ask, Console, logIn, openSession } from './ipmi-console.ts';

/** Time that passes where a test says so. */
const handClock = (): Clock & { pass(ms: number): void } => {
  let now = 1_700_000_000_000;
  return {
    now: () => now,
    pass: (ms) => void (now += ms),
    sleep: () => assert.fail('the model does not sleep'),
    after: () => assert.fail('the model has no timers'),
    soon: () => assert.fail('the model has no timers'),
  };
};
const rig = (quirks: Partial<IpmiQuirks> = {}, firmware: 'bios' | 'uefi' = 'uefi') => {
  const [machine, clock] = [testMachine(firmware), handClock()];
  const bmc = ipmiBmc({ name: 'rack1-u1', machine, ...bmcUser, random: countingRandom(), clock, quirks });
  return { machine, clock, bmc };
};
type Rig = ReturnType<typeof rig>;
/** A session with an administrator's privilege, unless the BMC refuses that. */
const enter = ({ bmc }: Rig, suite = 17): Console => {
  const session = logIn(bmc, { ...bmcUser, suite });
  assert.ok(session instanceof Console, typeof session === 'string' ? session : 'no session');
  session.become(Privilege.administrator);
  return session;
};
const turn = (session: Console, number: number): number | undefined => session.code(chassisControl, { action: { number } })?.[0];
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const flagsOnce = [0xa0, 0x04, 0, 0, 0];
const setFlags = (session: Console, flags: readonly number[]): number | undefined =>
  session.code(setBootOptions, { parameter: { number: 5, invalid: false }, data: Uint8Array.from(flags) })?.[0];
const readFlags = (session: Console): readonly number[] => [
  ...session.run(getBootOptions, { parameter: { number: 5 }, set: 0, block: 0 }).data,
];
const isOn = (session: Console): boolean => session.run(getChassisStatus, {}).power.on;

/** A socket in memory, and what left by it. */
const cable = (bmc: Rig['bmc'], clock: Clock) => {
  const left: { afterMs: number; port: number }[] = [];
  let [waits, arrive] = [0, (_bytes: Uint8Array): void => assert.fail('nobody listens')];
  const address = ipv4('10.0.0.1');
  const socket: UdpSocket = {
    local: { address, port: 623 },
    receive: (handler) => void (arrive = (bytes) => handler({ bytes, address, port: 4711 })),
    send: (_, { port }) => void left.push({ afterMs: waits, port }),
    sendToHardware: () => assert.fail('a BMC has no business there'),
    close: () => undefined,
  };
  const after: Clock['after'] = (ms, run) => {
    waits = ms;
    run();
    waits = 0;
    return () => undefined;
  };
  carryIpmi(bmc, socket, { ...clock, after });
  return { left, arrive: (bytes: Uint8Array) => arrive(bytes) };
};

describe('before a session', () => {
  test('a presence ping is answered: it speaks IPMI', () => {
    const [pong] = rig().bmc.answer(presencePing(5));
    assert.ok(pong !== undefined);
    const packet = decodePacket(pong);
    assert.ok(packet.kind === 'asf' && packet.tag === 5 && saysIpmi(packet));
  });
  test('capabilities say 2.0 with named users, cipher suites are told, the rest needs a session', () => {
    const { bmc } = rig();
    assert.deepEqual([...(ask(bmc, 6, 0x38, [0x8e, 4]) ?? [])], [0, 1, 0x80, 0x04, 0x02, 0, 0, 0, 0]);
    assert.deepEqual([...(ask(bmc, 6, 0x54, [0x0e, 0, 0x80]) ?? [])], [0, 1, 0xc0, 3, 1, 0x41, 0x81, 0xc0, 17, 3, 0x44, 0x81]);
    assert.equal(ask(bmc, 0, 0x02, [1])?.[0], 0xd4);
    assert.equal(ask(bmc, 0, 0x01, [])?.[0], 0xd4);
  });
  test('a suite is three algorithms together: a mixture and suite 0 are refused', () => {
    const { bmc } = rig();
    for (const [authentication, integrity, confidentiality] of [
      [0, 0, 0],
      [3, 1, 1],
      [1, 4, 1],
      [3, 4, 0],
    ] as const)
      assert.equal(openSession(bmc, { authentication, integrity, confidentiality })?.status, 0x11);
    assert.equal(openSession(bmc, { authentication: 3, integrity: 4, confidentiality: 1 })?.status, 0);
  });
});

describe('sessions', () => {
  for (const suite of [3, 17])
    test(`both sides prove themselves by suite ${suite}`, () => {
      const all = rig();
      const session = enter(all, suite);
      const { guid } = session.run(getSystemGuid, {});
      assert.equal(Buffer.from(guid).toString('hex'), '2c1b0a3f0000004080005254006b0001');
      assert.equal(all.bmc.openSessions(), 1);
      session.run(closeSession, { session: session.session, more: new Uint8Array() });
      assert.equal(all.bmc.openSessions(), 0);
    });
  test('a wrong password and a wrong name are told apart, and counted', () => {
    const { bmc } = rig();
    assert.equal(logIn(bmc, { ...bmcUser, password: 'guess' }), 'rakp4 15');
    assert.equal(logIn(bmc, { ...bmcUser, password: 'guess', givesUp: true }), 'rakp4 lost');
    assert.equal(logIn(bmc, { ...bmcUser, username: 'nobody' }), 'rakp2 13');
    assert.deepEqual(bmc.logins, { started: 3, failed: 2 });
    assert.equal(bmc.openSessions(), 0);
  });
  test('every session begins as a user: power needs an operator', async () => {
    const { bmc, machine } = rig();
    const session = logIn(bmc, bmcUser);
    assert.ok(session instanceof Console);
    assert.equal(isOn(session), false);
    assert.equal(turn(session, ChassisAction.on), 0xd4);
    assert.equal(session.become(Privilege.operator), 0);
    assert.equal(turn(session, ChassisAction.on), 0);
    await settle();
    assert.equal(machine.power(), 'on');
  });
  test('four at most, and silence of a minute ends one', () => {
    const all = rig();
    for (const _ of [1, 2, 3, 4]) enter(all);
    assert.equal(logIn(all.bmc, bmcUser), 'open 1');
    all.clock.pass(61_000);
    assert.equal(all.bmc.openSessions(), 0);
    enter(all);
  });
  test('a packet that was seen, is too old, or was changed is dropped', () => {
    const all = rig();
    const session = enter(all);
    const packet = session.packet(0, 0x04, new Uint8Array());
    assert.equal(all.bmc.answer(packet).length, 1);
    assert.equal(all.bmc.answer(packet).length, 0);
    assert.equal(all.bmc.answer(session.packet(0, 0x04, new Uint8Array(), 200)).length, 0);
    const bent = session.packet(0, 0x02, Uint8Array.of(1));
    bent[bent.length - 1] = (bent.at(-1) ?? 0) ^ 1;
    assert.equal(all.bmc.answer(bent).length, 0);
    assert.deepEqual(all.bmc.commands, []);
  });
  test('whatever arrives, nothing is thrown and nothing is done', () => {
    const { bmc } = rig();
    const heads = [[], [6, 0, 0xff, 7, 6], [6, 0, 0xff, 7, 0], [6, 0, 0xff, 7, 6, 0x12], [6, 0, 0xff, 7, 6, 0xc0]];
    fc.assert(
      fc.property(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 80 }), (head, tail) => {
        bmc.answer(Uint8Array.from([...head, ...tail]));
      }),
    );
    assert.deepEqual(bmc.commands, []);
    assert.equal(bmc.openSessions(), 0);
  });
});

describe('chassis', () => {
  test('each action reaches the machine; what needs a running host is refused while it is off', async () => {
    const all = rig();
    const session = enter(all);
    for (const action of [ChassisAction.cycle, ChassisAction.reset, ChassisAction.soft]) assert.equal(turn(session, action), 0xd5);
    assert.equal(turn(session, ChassisAction.diagnostic), 0xcc);
    for (const action of [ChassisAction.off, ChassisAction.on, ChassisAction.cycle, ChassisAction.reset, ChassisAction.soft]) {
      assert.equal(turn(session, action), 0);
      await settle();
    }
    assert.deepEqual([all.machine.boots.length, all.machine.presses], [3, 1]);
    assert.deepEqual(
      all.bmc.commands.map(({ what }) => what),
      ['ForceOff', 'On', 'PowerCycle', 'ForceRestart', 'GracefulShutdown'],
    );
  });
  test('the light is lit for a time, for good, and put out', () => {
    const { bmc, clock, ...rest } = rig();
    const session = enter({ bmc, clock, ...rest });
    session.run(chassisIdentify, { seconds: 20, force: undefined });
    assert.equal(session.run(getChassisStatus, {}).misc.identify, 1);
    clock.pass(20_000);
    assert.ok(!bmc.isLit());
    session.run(chassisIdentify, { seconds: 0, force: { on: true } });
    assert.equal(session.run(getChassisStatus, {}).misc.identify, 2);
    session.run(chassisIdentify, { seconds: 0, force: undefined });
    assert.ok(!bmc.isLit());
  });
});

describe('boot flags', () => {
  test('once is for one boot, and read back without the valid bit afterwards', async () => {
    const all = rig();
    const session = enter(all);
    assert.equal(setFlags(session, flagsOnce), 0);
    assert.deepEqual(readFlags(session), flagsOnce);
    for (const action of [ChassisAction.on, ChassisAction.cycle]) {
      turn(session, action);
      await settle();
    }
    assert.deepEqual(all.machine.boots, ['network', undefined]);
    assert.deepEqual(readFlags(session), [0x20, 0x04, 0, 0, 0]);
  });
  test('persistent flags stay; zero clears them', async () => {
    const all = rig();
    const session = enter(all);
    setFlags(session, [0xe0, 0x04, 0, 0, 0]);
    for (const action of [ChassisAction.on, ChassisAction.reset]) {
      turn(session, action);
      await settle();
    }
    assert.deepEqual(readFlags(session), [0xe0, 0x04, 0, 0, 0]);
    setFlags(session, [0, 0, 0, 0, 0]);
    turn(session, ChassisAction.reset);
    await settle();
    assert.deepEqual(all.machine.boots, ['network', 'network', undefined]);
  });
  test('without a command within 60 s they are void; parameter 3 keeps them', async () => {
    for (const [keeps, expected] of [
      [0x00, undefined],
      [0x08, 'network'],
    ] as const) {
      const all = rig();
      const session = enter(all);
      const clearing = { parameter: { number: 3, invalid: false }, data: Uint8Array.of(keeps) };
      session.run(setBootOptions, clearing);
      setFlags(session, flagsOnce);
      all.clock.pass(50_000);
      readFlags(session);
      all.clock.pass(11_000);
      assert.equal((readFlags(session)[0] ?? 0) >>> 7, keeps === 0 ? 0 : 1);
      turn(session, ChassisAction.on);
      await settle();
      assert.deepEqual(all.machine.boots, [expected]);
    }
  });
  test('the mailbox keeps its blocks, other parameters their bytes, unknown ones are refused', () => {
    const session = enter(rig());
    const text = [0x01, ...new Uint8Array(16).fill(0x61)];
    assert.equal(session.raw(0, 0x08, 7, ...text)?.[0], 0);
    assert.deepEqual([...(session.raw(0, 0x09, 7, 1, 0) ?? [])], [0, 1, 7, ...text]);
    assert.equal(session.raw(0, 0x09, 7, 9, 0)?.[0], 0xc9);
    assert.equal(session.raw(0, 0x08, 4, 1, 1)?.[0], 0);
    assert.deepEqual([...(session.raw(0, 0x09, 4, 0, 0) ?? [])], [0, 1, 4, 1, 1]);
    assert.equal(session.raw(0, 0x08, 0x84)?.[0], 0);
    assert.deepEqual([...(session.raw(0, 0x09, 4, 0, 0) ?? [])], [0, 1, 0x84, 1, 1]);
    assert.equal(session.raw(0, 0x09, 8, 0, 0)?.[0], 0x80);
    assert.equal(setFlags(session, [0xa0, 0x04]), 0xc7);
  });
});

/** Each switch: what of it is seen. */
const shown: Readonly<Record<keyof IpmiQuirks, (all: (quirks: Partial<IpmiQuirks>) => Rig) => void | Promise<void>>> = {
  silent: (make) => assert.equal(make({ silent: true }).bmc.answer(presencePing(1)).length, 0),
  slowMs: (make) => {
    const { bmc, clock } = make({ slowMs: 5 });
    const { arrive, left } = cable(bmc, clock);
    arrive(presencePing(1));
    assert.deepEqual(left, [{ afterMs: 5, port: 4711 }]);
    bmc.quirks.slowMs = 0;
    arrive(presencePing(2));
    assert.deepEqual(left.at(-1), { afterMs: 0, port: 4711 });
  },
  suites: (make) => assert.equal(logIn(make({ suites: [3] }).bmc, bmcUser), 'open 17'),
  brokenSuites: (make) => {
    const all = make({ brokenSuites: { 17: 0x0a } });
    assert.equal(logIn(all.bmc, bmcUser), 'open 10');
    enter(all, 3);
  },
  hidesSuites: (make) => assert.equal(ask(make({ hidesSuites: true }).bmc, 6, 0x54, [0x0e, 0, 0x80]), undefined),
  refusesExtendedCapabilities: (make) => {
    const { bmc } = make({ refusesExtendedCapabilities: true });
    assert.deepEqual([ask(bmc, 6, 0x38, [0x8e, 4])?.[0], ask(bmc, 6, 0x38, [0x0e, 4])?.[0]], [0xcc, 0]);
  },
  wrongPassword: (make) => assert.equal(logIn(make({ wrongPassword: true }).bmc, { ...bmcUser, givesUp: true }), 'rakp4 lost'),
  lockoutAfter: (make) => {
    const { bmc, clock } = make({ lockoutAfter: 2 });
    for (const _ of [1, 2]) assert.equal(logIn(bmc, { ...bmcUser, password: 'guess' }), 'rakp4 15');
    assert.equal(logIn(bmc, bmcUser), 'rakp2 13');
    clock.pass(60_001);
    assert.ok(logIn(bmc, bmcUser) instanceof Console);
  },
  sessionsFull: (make) => assert.equal(logIn(make({ sessionsFull: true }).bmc, bmcUser), 'open 1'),
  forgetsSessions: (make) => {
    const all = make({ forgetsSessions: true });
    const session = enter(all);
    assert.ok(!isOn(session));
    assert.equal(session.raw(0, 0x01), undefined);
    assert.equal(all.bmc.openSessions(), 0);
  },
  losesRakp2: (make) => {
    const { bmc } = make({ losesRakp2: 1 });
    assert.equal(logIn(bmc, bmcUser), 'rakp2 lost');
    assert.ok(logIn(bmc, bmcUser) instanceof Console);
  },
  losesRakp4: (make) => {
    const { bmc } = make({ losesRakp4: 1 });
    assert.equal(logIn(bmc, bmcUser), 'rakp4 lost');
    assert.ok(logIn(bmc, bmcUser) instanceof Console);
  },
  losesReplies: async (make) => {
    const all = make({});
    const session = enter(all);
    all.bmc.quirks.losesReplies = 1;
    assert.equal(turn(session, ChassisAction.on), undefined);
    await settle();
    assert.equal(all.machine.power(), 'on');
    assert.ok(isOn(session));
  },
  refusesAdmin: (make) => {
    const session = enter(make({ refusesAdmin: true }));
    assert.deepEqual([session.become(Privilege.administrator), session.become(Privilege.operator)], [0x81, 0]);
  },
  refusesBootTimeout: (make) => assert.equal(enter(make({ refusesBootTimeout: true })).raw(0, 0x08, 3, 8)?.[0], 0x80),
  ignoresEfiBit: (make) => {
    const session = enter(make({ ignoresEfiBit: true }));
    setFlags(session, flagsOnce);
    assert.deepEqual(readFlags(session), [0x80, 0x04, 0, 0, 0]);
  },
  needsEfiBit: async (make) => {
    const all = make({ needsEfiBit: true });
    const session = enter(all);
    for (const flags of [[0x80, 0x04, 0, 0, 0], flagsOnce]) {
      setFlags(session, flags);
      turn(session, ChassisAction.on);
      await settle();
      turn(session, ChassisAction.off);
      await settle();
    }
    assert.deepEqual(all.machine.boots, [undefined, 'network']);
  },
  extraBootBytes: (make) => {
    const session = enter(make({ extraBootBytes: true }));
    setFlags(session, flagsOnce);
    assert.deepEqual(readFlags(session), [...flagsOnce, ...new Uint8Array(12)]);
  },
  refusesOffWhileOff: (make) => assert.equal(turn(enter(make({ refusesOffWhileOff: true })), ChassisAction.off), 0xd5),
  busy: (make) => {
    const all = make({});
    const session = enter(all);
    all.bmc.quirks.busy = 1;
    assert.equal(turn(session, ChassisAction.on), 0xc0);
    assert.equal(turn(session, ChassisAction.on), 0);
  },
  deadAfterControlMs: async (make) => {
    const all = make({ deadAfterControlMs: 1000 });
    const session = enter(all);
    assert.equal(turn(session, ChassisAction.on), 0);
    assert.equal(session.raw(0, 0x01), undefined);
    await settle();
    all.clock.pass(1000);
    assert.equal(session.raw(0, 0x01), undefined);
    assert.ok(isOn(enter(all)));
  },
  skipsSequences: (make) => {
    const session = enter(make({ skipsSequences: true }));
    for (const _ of [1, 2, 3]) isOn(session);
    assert.deepEqual(session.numbers, [2, 4, 6, 7]);
  },
  garbage: (make) => {
    const all = make({ garbage: true });
    assert.equal(all.bmc.answer(enter(all).packet(0, 0x01, new Uint8Array())).length, 2);
  },
  wrongChecksums: (make) => {
    const { bmc } = make({ wrongChecksums: true });
    assert.throws(() => ask(bmc, 6, 0x38, [0x8e, 4]), /checksum/);
    isOn(enter({ ...make({}), bmc }));
  },
  halfReplies: (make) => {
    const all = make({ halfReplies: true });
    const session = logIn(all.bmc, bmcUser);
    assert.ok(session instanceof Console);
    assert.throws(() => session.raw(0, 0x01));
  },
  saysOnStaysOff: async (make) => {
    const all = make({ saysOnStaysOff: true });
    const session = enter(all);
    turn(session, ChassisAction.on);
    await settle();
    assert.deepEqual([isOn(session), all.machine.power()], [true, 'off']);
  },
  ignoresPower: async (make) => {
    const session = enter(make({ ignoresPower: true }));
    assert.equal(turn(session, ChassisAction.on), 0);
    await settle();
    assert.ok(!isOn(session));
  },
  powerLag: async (make) => {
    const session = enter(make({ powerLag: 2 }));
    turn(session, ChassisAction.on);
    await settle();
    assert.deepEqual([isOn(session), isOn(session), isOn(session)], [false, false, true]);
  },
  acceptsAndForgetsBootOverride: (make) => {
    const session = enter(make({ acceptsAndForgetsBootOverride: true }));
    assert.equal(setFlags(session, flagsOnce), 0);
    assert.equal(readFlags(session)[0], 0x20);
  },
  bootOnceStays: async (make) => {
    const all = make({ bootOnceStays: true });
    const session = enter(all);
    setFlags(session, flagsOnce);
    for (const action of [ChassisAction.on, ChassisAction.cycle]) {
      turn(session, action);
      await settle();
    }
    assert.deepEqual(all.machine.boots, ['network', 'network']);
  },
  refusesBootChangeWhileOn: async (make) => {
    const session = enter(make({ refusesBootChangeWhileOn: true }));
    turn(session, ChassisAction.on);
    await settle();
    assert.equal(setFlags(session, flagsOnce), 0xd5);
  },
};
describe('each fault can be seen', () => {
  for (const [quirk, see] of Object.entries(shown)) test(quirk, () => see((quirks) => rig(quirks)));
  test('none is on by itself', () => {
    assert.deepEqual(Object.keys(shown).toSorted(), Object.keys(noIpmiQuirks).toSorted());
    const { bmc } = rig();
    assert.deepEqual(bmc.quirks, noIpmiQuirks);
  });
});
