/** The Redfish driver against the virtual BMC: the suite of all drivers, and what is Redfish's own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import type { Code } from '../../src/errors.ts';
import type { BmcQuirks } from '../../src/lab/model/quirks.ts';
import type { HttpCall, HttpReply, Route } from '../../src/world/world.ts';
import { bmcCompliance } from '../compliance/bmc.ts';
import type { SharedQuirks } from '../compliance/bmc.ts';
import { bench, bmcUser } from './bench.ts';

/** The names that all protocols share, for those of this one. */
const shared = (live: BmcQuirks): SharedQuirks => {
  const target = live as BmcQuirks & SharedQuirks;
  Object.defineProperties(target, {
    unavailable: {
      get: () => live.unavailable503 > 0,
      set: (on: boolean) => {
        live.unavailable503 = on ? 30 : 0;
      },
    },
    halfAnswers: {
      get: () => live.halfJson,
      set: (on: boolean) => {
        live.halfJson = on;
      },
    },
  });
  return target;
};
bmcCompliance('redfish', async (quirks = {}) => {
  const { driver, machine, quirks: live, bmc, openSessions, log } = await bench();
  const logged = (): string => JSON.stringify(log);
  const tells = { macs: true, modes: true };
  const its = Object.assign(shared(live), quirks);
  return { driver, machine, tells, quirks: its, commands: bmc.commands, openSessions, logged, password: bmcUser.password };
});

const fails = async (promise: Promise<unknown>, code: Code): Promise<RemudaError> => {
  const error = await promise.then(
    () => assert.fail(`expected ${code}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RemudaError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
};
const patches = (calls: readonly HttpCall[]): readonly (string | undefined)[] =>
  calls.filter(({ method }) => method === 'PATCH').map(({ headers }) => headers?.['if-match']);

describe('the boot override and its ETags', () => {
  const etagTable: readonly (readonly [string, Partial<BmcQuirks>, readonly (RegExp | undefined)[]])[] = [
    ['a strong ETag is sent as it is', {}, [/^"[0-9a-f]{8}"$/]],
    ['a BMC that requires If-Match gets it', { requiresIfMatch428: true }, [/^"[0-9a-f]{8}"$/]],
    ['a weak ETag refused is sent strong', { weakEtag412: true }, [/^W\/"/, /^"[0-9a-f]{8}"$/]],
    ['an empty ETag is not echoed', { emptyEtag: true }, [undefined]],
    ['an empty ETag where one is required: *', { emptyEtag: true, requiresIfMatch428: true }, [undefined, /^\*$/]],
  ];
  for (const [name, quirks, expected] of etagTable)
    test(name, async () => {
      const { driver, calls } = await bench({ quirks });
      assert.equal((await driver.bootOnceFromNetwork('uefi')).settled, true);
      const sent = patches(calls);
      assert.equal(sent.length, expected.length, JSON.stringify(sent));
      for (const [at, pattern] of expected.entries()) {
        if (pattern === undefined) assert.equal(sent[at], undefined);
        else assert.match(sent[at] ?? '', pattern);
      }
    });

  test('no request asks for compression, which makes ETags weak', async () => {
    const { driver, calls } = await bench();
    await driver.bootOnceFromNetwork('uefi');
    assert.ok(calls.length > 3);
    for (const { headers } of calls) assert.ok(!Object.keys(headers ?? {}).some((name) => name.toLowerCase() === 'accept-encoding'));
  });
  test('the settings resource is changed where the BMC has its boot there', async () => {
    const { driver, calls, machine } = await bench({ quirks: { bootInSettings: true, requiresIfMatch428: true } });
    assert.equal((await driver.bootOnceFromNetwork('uefi')).settled, true);
    assert.deepEqual(
      calls.filter(({ method }) => method === 'PATCH').map(({ url }) => url),
      ['https://10.0.0.9/redfish/v1/Systems/1/Settings'],
    );
    await driver.setPower('on');
    assert.deepEqual(machine.boots, ['network']);
  });
  test('no mode is sent to a BMC that has none', async () => {
    const { driver, bmc } = await bench({ quirks: { noBootMode: true } });
    assert.equal((await driver.bootOnceFromNetwork('uefi')).settled, true);
    assert.deepEqual(
      bmc.commands.map(({ what }) => what),
      ['Boot Pxe Once'],
    );
  });
  test('a BIOS host is asked in Legacy mode', async () => {
    const { driver, bmc } = await bench({ firmware: 'bios' });
    assert.equal((await driver.bootOnceFromNetwork('bios')).settled, true);
    assert.deepEqual(
      bmc.commands.map(({ what }) => what),
      ['Boot Pxe Once Legacy'],
    );
  });
  test('an override that never ends is shown as still there', async () => {
    const { driver, machine } = await bench({ quirks: { bootOnceStays: true } });
    await driver.bootOnceFromNetwork('uefi');
    for (const power of ['on', 'off', 'on'] as const) await driver.setPower(power);
    assert.deepEqual(machine.boots, ['network', 'network']);
  });
});

describe('sessions', () => {
  test('a BMC without a session service gets basic, and the log says so', async () => {
    const { driver, log, calls } = await bench({ quirks: { noSessionService: true } });
    assert.equal((await driver.setPower('on')).settled, true);
    assert.ok(log.some(({ message, level }) => level === 'info' && message.includes('HTTP basic')));
    assert.ok(!calls.some(({ method, url }) => method === 'POST' && url.endsWith('/Sessions')));
    assert.ok(!JSON.stringify(log).includes(Buffer.from(`${bmcUser.username}:${bmcUser.password}`).toString('base64')));
  });
  test('full session slots are told in the words of the BMC, and not evaded by basic', async () => {
    const { driver, calls } = await bench({ quirks: { sessionsFull: true } });
    assert.match((await fails(driver.readPower(), 'bmc-unreachable')).message, /sessions is exceeded/);
    assert.ok(!calls.some(({ headers }) => headers?.['authorization'] !== undefined));
  });
  test('a session that expired is opened anew', async () => {
    const { driver, clock, calls, openSessions } = await bench();
    await driver.readPower();
    await clock.sleep(31 * 60_000);
    assert.equal(await driver.readPower(), 'off');
    assert.equal(calls.filter(({ method }) => method === 'POST').length, 2);
    assert.equal(await openSessions(), 1);
  });
  test('the BMC keeps eight sessions and refuses the ninth', async () => {
    const { driverFor } = await bench();
    const drivers = Array.from({ length: 9 }, () => driverFor({}));
    for (const driver of drivers.slice(0, 8)) await driver.readPower();
    await fails(drivers[8]?.readPower() ?? Promise.resolve(), 'bmc-unreachable');
    await drivers[0]?.close();
    assert.equal(await drivers[8]?.readPower(), 'off');
  });
  test('a BMC that is busy says for how long', async () => {
    const { driver } = await bench({ quirks: { unavailable503: 30 } });
    assert.equal((await fails(driver.setPower('on'), 'bmc-unreachable')).values['retryAfterSeconds'], 30);
  });
  test('ExtendedInfo as one object is read all the same', async () => {
    const { driver } = await bench({ quirks: { extendedInfoObject: true, unavailable503: 9 } });
    assert.match((await fails(driver.readPower(), 'bmc-unreachable')).message, /Retry in 9 seconds/);
  });
});

describe('the address', () => {
  const table: readonly (readonly [string, Parameters<Awaited<ReturnType<typeof bench>>['driverFor']>[0], Code])[] = [
    ['another certificate', { fingerprint: 'ab'.repeat(32) }, 'bmc-untrusted'],
    ['plain http over the network', { url: 'http://10.0.0.9' }, 'bmc-untrusted'],
    ['plain http to a name that only looks like loopback', { url: 'http://127.0.0.1.example' }, 'bmc-untrusted'],
    ['a password in the URL', { url: 'https://admin:secret@10.0.0.9' }, 'bad-config'],
    ['no URL', { url: '10.0.0.9' }, 'bad-config'],
    ['another scheme', { url: 'ftp://10.0.0.9' }, 'bad-config'],
    ['nobody there', { url: 'https://10.0.0.8' }, 'bmc-unreachable'],
    ['a system that is not there', { system: '7' }, 'bad-config'],
    ['a wrong user', { username: 'root' }, 'bmc-refused'],
  ];
  for (const [name, address, code] of table)
    test(`${name}: ${code}`, async () => {
      const { driverFor, log } = await bench();
      const error = await fails(driverFor(address).readPower(), code);
      assert.ok(!`${error.message}${JSON.stringify(error.values)}${JSON.stringify(log)}`.includes(bmcUser.password));
      assert.ok(!error.message.includes('secret'));
    });
  test('nothing is sent in clear', async () => {
    const { driverFor, calls } = await bench();
    await fails(driverFor({ url: 'http://10.0.0.9' }).readPower(), 'bmc-untrusted');
    assert.equal(calls.length, 0);
  });
  test('a system by its id or its link', async () => {
    const { driverFor } = await bench();
    assert.equal(await driverFor({ system: '1' }).readPower(), 'off');
    assert.equal(await driverFor({ system: '/redfish/v1/Systems/1' }).readPower(), 'off');
  });
});

/** A BMC that is nothing but fixed answers, for what the virtual BMC is too correct to say. */
const canned = (answers: Readonly<Record<string, unknown>>): readonly Route[] =>
  Object.entries(answers).map(([key, body]) => {
    const [method = 'GET', path = '/'] = key.split(' ');
    const reply = (body as { readonly reply?: HttpReply }).reply ?? { status: 200, body: JSON.stringify(body) };
    return { method: method as Route['method'], path, handle: async () => reply };
  });
const oneSystem = (system: unknown): Readonly<Record<string, unknown>> => ({
  'GET /redfish/v1/': { Systems: { '@odata.id': '/s' } },
  'GET /s': { Members: [{ '@odata.id': '/s/a' }] },
  'GET /s/a': system,
});

describe('BMCs that are not by the book', () => {
  test('links that name another host stay on the BMC', async () => {
    const routes = canned({
      'GET /redfish/v1/': { Systems: { '@odata.id': 'https://10.9.9.9/s' } },
      'GET /s': { Members: [{ '@odata.id': '//10.9.9.9/s/a' }] },
      'GET /s/a': { PowerState: 'On' },
    });
    const { driver, calls } = await bench({ routes });
    assert.equal(await driver.readPower(), 'on');
    for (const { url } of calls) assert.ok(url.startsWith('https://10.0.0.9/'), url);
  });
  test('wrong types count as absent', async () => {
    const system = { PowerState: 7, UUID: null, SerialNumber: '', Manufacturer: ['x'], Boot: 'no', Actions: [], Links: { ManagedBy: 'x' } };
    const { driver } = await bench({ routes: canned(oneSystem(system)) });
    assert.deepEqual(await driver.identify(), { macs: [], power: 'unknown' });
  });
  test('ports without an address are no ports, and Dell shows its SKU', async () => {
    const routes = canned({
      ...oneSystem({ Manufacturer: 'Dell Inc.', SerialNumber: 'CN747', SKU: 'ABC1234', EthernetInterfaces: { '@odata.id': '/e' } }),
      'GET /e': { Members: ['/e/1', '/e/2', '/e/3'].map((link) => ({ '@odata.id': link })) },
      'GET /e/1': { MACAddress: '' },
      'GET /e/2': { MACAddress: '52-54-00-AA-BB-CC', PermanentMACAddress: null },
    });
    const { driver } = await bench({ routes });
    const { serial, macs } = await driver.identify();
    assert.deepEqual([serial, macs], ['ABC1234', ['52:54:00:aa:bb:cc']]);
  });
  test('several systems must be told apart', async () => {
    const routes = canned({
      'GET /redfish/v1/': { Systems: { '@odata.id': '/s' } },
      'GET /s': { Members: [{ '@odata.id': '/s/a' }, { '@odata.id': '/s/b' }] },
      'GET /s/b': { PowerState: 'On' },
    });
    const { driver, driverFor } = await bench({ routes });
    assert.deepEqual((await fails(driver.readPower(), 'bad-config')).values['systems'], ['a', 'b']);
    assert.equal(await driverFor({ system: 'b' }).readPower(), 'on');
  });
  test('only a reset type that is permitted is sent', async () => {
    const action = { target: '/reset', 'ResetType@Redfish.AllowableValues': ['GracefulShutdown', 'ForceRestart'] };
    const system = { PowerState: 'On', Actions: { '#ComputerSystem.Reset': action } };
    const { driver, calls } = await bench({ routes: canned(oneSystem(system)) });
    assert.match((await fails(driver.setPower('off'), 'bmc-refused')).message, /permits no ForceOff, only: GracefulShutdown, ForceRestart/);
    assert.ok(!calls.some(({ method }) => method === 'POST'));
  });
  test('the permitted types may stand in ActionInfo', async () => {
    const system = { PowerState: 'Off', Actions: { '#ComputerSystem.Reset': { target: '/reset', '@Redfish.ActionInfo': '/info' } } };
    const info = { Parameters: [{ Name: 'ResetType', AllowableValues: ['ForceOn', 'ForceOff'] }] };
    const routes = canned({ ...oneSystem(system), 'GET /info': info, 'POST /reset': {} });
    const { driver, calls } = await bench({ routes });
    assert.deepEqual((await driver.setPower('on')).observed, 'off');
    assert.equal(calls.find(({ method }) => method === 'POST')?.body, '{"ResetType":"ForceOn"}');
  });
  test('a host that is powering on gets no second command', async () => {
    const system = { PowerState: 'PoweringOn', Actions: { '#ComputerSystem.Reset': { target: '/reset' } } };
    const { driver, calls } = await bench({ routes: canned(oneSystem(system)) });
    assert.deepEqual(await driver.setPower('on'), { asked: 'on', observed: 'unknown', settled: false, note: 'the host is powering on' });
    assert.ok(!calls.some(({ method }) => method === 'POST'));
  });
  test('a BMC that repeats the password gets it struck out', async () => {
    const reply = { status: 400, body: JSON.stringify({ error: { message: `bad value ${bmcUser.password}\u001b[31m` } }) };
    const routes = canned({
      'GET /redfish/v1/': { Systems: { '@odata.id': '/s' }, Links: { Sessions: { '@odata.id': '/sessions' } } },
      'POST /sessions': { reply },
      'GET /s': { reply },
    });
    const { driver } = await bench({ routes });
    const { message } = await fails(driver.readPower(), 'bmc-refused');
    assert.match(message, /bad value …/);
    assert.ok(!message.includes('\u001b'));
  });
  test('a web page is no Redfish service', async () => {
    const { driver } = await bench({ routes: canned({ 'GET /redfish/v1/': { reply: { status: 200, body: '<html>' } } }) });
    assert.match((await fails(driver.readPower(), 'bmc-unreachable')).message, /no Redfish service/);
  });
  test('the reading after a command may fail without hiding that the command was taken', async () => {
    let reads = 0;
    const system: Route = {
      method: 'GET',
      path: '/s/a',
      handle: async () => {
        reads += 1;
        return reads > 1
          ? { status: 503 }
          : { status: 200, body: JSON.stringify({ PowerState: 'Off', Actions: { '#ComputerSystem.Reset': { target: '/reset' } } }) };
      },
    };
    const routes = [...canned(oneSystem({})).filter(({ path }) => path !== '/s/a'), system, ...canned({ 'POST /reset': {} })];
    const { driver } = await bench({ routes });
    const outcome = await driver.setPower('on');
    assert.deepEqual([outcome.observed, outcome.settled], ['unknown', false]);
    assert.match(outcome.note ?? '', /took the command, then: .*503/);
  });
  test('an unchanged override that is refused with 400 is settled, as it stands', async () => {
    const Boot = { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'UEFI' };
    const routes = canned({ ...oneSystem({ '@odata.id': '/s/a', Boot }), 'PATCH /s/a': { reply: { status: 400 } } });
    const { driver } = await bench({ routes });
    assert.equal((await driver.bootOnceFromNetwork('uefi')).settled, true);
  });
});

describe('the identify light', () => {
  const lit = (where: object): { routes: readonly Route[]; patched: unknown[] } => {
    const patched: unknown[] = [];
    let state: Readonly<Record<string, unknown>> = { '@odata.id': '/light', ...where };
    const light: readonly Route[] = [
      { method: 'GET', path: '/light', handle: async () => ({ status: 200, body: JSON.stringify(state) }) },
      {
        method: 'PATCH',
        path: '/light',
        handle: async ({ body }) => {
          const change = JSON.parse(new TextDecoder().decode(body)) as object;
          patched.push(change);
          state = { ...state, ...change };
          return { status: 200 };
        },
      },
    ];
    const system = { '@odata.id': '/s/a', Links: { Chassis: [{ '@odata.id': '/light' }] } };
    return { routes: [...canned(oneSystem(system)), ...light], patched };
  };
  test('at the chassis, by the new property', async () => {
    const { routes, patched } = lit({ LocationIndicatorActive: false, IndicatorLED: 'Off' });
    const { driver } = await bench({ routes });
    const on = await driver.locate(15);
    assert.deepEqual([on.observed, on.settled], ['on', true]);
    assert.match(on.note ?? '', /until it is told off/);
    assert.deepEqual(await driver.locate('off'), { asked: 'off', observed: 'off', settled: true });
    assert.deepEqual(patched, [{ LocationIndicatorActive: true }, { LocationIndicatorActive: false }]);
  });
  test('by the old property', async () => {
    const { routes, patched } = lit({ IndicatorLED: 'Lit' });
    const { driver } = await bench({ routes });
    assert.equal((await driver.locate('off')).observed, 'off');
    assert.equal((await driver.locate(5)).observed, 'on');
    assert.deepEqual(patched, [{ IndicatorLED: 'Off' }, { IndicatorLED: 'Blinking' }]);
  });
  test('a host without one says so', async () => {
    const { driver } = await bench({ routes: canned(oneSystem({ '@odata.id': '/s/a' })) });
    assert.match((await fails(driver.locate(5), 'bmc-refused')).message, /no identify light/);
  });
});

describe('ways in, by the book and beside it', () => {
  const root = { 'GET /redfish/v1/': { Systems: { '@odata.id': '/s' }, Links: { Sessions: { '@odata.id': '/sessions' } } } };
  const rest = { 'GET /s': { Members: [{ '@odata.id': '/s/a' }] }, 'GET /s/a': { PowerState: 'On' } };
  const opened = (token: string): HttpReply => ({ status: 201, headers: { 'X-Auth-Token': token, Location: '/sessions/1' } });
  test('the session service is asked where the root has no direct link', async () => {
    const routes = canned({
      ...rest,
      'GET /redfish/v1/': { Systems: { '@odata.id': '/s' }, SessionService: { '@odata.id': '/service' } },
      'GET /service': { Sessions: { '@odata.id': '/sessions' } },
      'POST /sessions': { reply: opened('t0k') },
    });
    const { driver, calls } = await bench({ routes });
    assert.equal(await driver.readPower(), 'on');
    assert.equal(calls.at(-1)?.headers?.['x-auth-token'], 't0k');
  });
  test('a session service that is named and is not there: basic, and the log says so', async () => {
    const { driver, calls, log } = await bench({ routes: canned({ ...root, ...rest }) });
    assert.equal(await driver.readPower(), 'on');
    assert.match(calls.at(-1)?.headers?.['authorization'] ?? '', /^Basic /);
    assert.ok(log.some(({ message }) => message.includes('HTTP basic')));
  });
  for (const noSessionService of [true, false])
    test(`credentials that are refused are sent once, then waited out: ${noSessionService ? 'basic' : 'session'}`, async () => {
      const { driver, driverFor, calls, clock, quirks } = await bench({ quirks: { noSessionService, wrongPassword: true } });
      const logins = (): number =>
        calls.filter(
          ({ method, url, headers }) => (method === 'POST' && url.endsWith('/Sessions')) || headers?.['authorization'] !== undefined,
        ).length;
      for (const _ of [1, 2, 3]) {
        const { message, values } = await fails(driver.readPower(), 'bmc-refused');
        assert.match(message, /refuses the user "admin" with the password it was given/);
        assert.ok(Number(values['retryAfterSeconds']) > 200, String(values['retryAfterSeconds']));
      }
      assert.equal(logins(), 1);
      await clock.sleep(limits.bmcLoginPauseMs);
      assert.ok(Number((await fails(driver.readPower(), 'bmc-refused')).values['retryAfterSeconds']) > 500);
      assert.equal(logins(), 2);
      // Other credentials are another driver, and are tried at once.
      quirks.wrongPassword = false;
      assert.equal(await driverFor({}).readPower(), 'off');
      await fails(driver.readPower(), 'bmc-refused');
      await clock.sleep(2 * limits.bmcLoginPauseMs);
      assert.equal(await driver.readPower(), 'off');
    });
  test('a token that is refused at once is not renewed', async () => {
    const routes = canned({ ...root, 'POST /sessions': { reply: opened('t0k') }, 'GET /s': { reply: { status: 401 } } });
    const { driver, calls } = await bench({ routes });
    await fails(driver.readPower(), 'bmc-refused');
    assert.equal(calls.filter(({ method }) => method === 'POST').length, 1);
  });
  test('a session without a token is refused', async () => {
    const { driver } = await bench({ routes: canned({ ...root, ...rest, 'POST /sessions': { reply: opened('') } }) });
    assert.match((await fails(driver.readPower(), 'bmc-refused')).message, /without a token/);
  });
  test('too many requests is a BMC that cannot just now', async () => {
    const reply = { status: 429, headers: { 'Retry-After': '7' } };
    const { driver } = await bench({ routes: canned({ ...root, 'POST /sessions': { reply } }) });
    assert.equal((await fails(driver.readPower(), 'bmc-unreachable')).values['retryAfterSeconds'], 7);
  });
  test('a collection without end is followed no further than 64 members', async () => {
    const ports = Array.from({ length: 200 }, (_, at) => ({ '@odata.id': `/e/${at}` }));
    const system = { 'GET /s/a': { EthernetInterfaces: { '@odata.id': '/e' } }, 'GET /e': { Members: ports } };
    const { driver, calls } = await bench({ routes: canned({ ...root, ...rest, ...system, 'POST /sessions': { reply: opened('t0k') } }) });
    await driver.identify();
    assert.equal(calls.filter(({ url }) => url.includes('/e/')).length, 64);
  });
  test('a system whose link changed is found again by the next call', async () => {
    let link = '/s/a';
    const list: Route = {
      method: 'GET',
      path: '/s',
      handle: async () => ({ status: 200, body: JSON.stringify({ Members: [{ '@odata.id': link }] }) }),
    };
    const systems: Route = {
      method: 'GET',
      path: '/s/:id',
      handle: async ({ path }) => (path === link ? { status: 200, body: '{"PowerState":"On"}' } : { status: 404 }),
    };
    const { driver } = await bench({ routes: [...canned({ 'GET /redfish/v1/': { Systems: { '@odata.id': '/s' } } }), list, systems] });
    assert.equal(await driver.readPower(), 'on');
    link = '/s/b';
    await fails(driver.readPower(), 'bmc-refused');
    assert.equal(await driver.readPower(), 'on');
  });
});

describe('boot overrides that are not by the book', () => {
  const shown = { BootSourceOverrideTarget: 'None', BootSourceOverrideEnabled: 'Disabled', BootSourceOverrideMode: 'UEFI' };
  /** A system that shows `Boot` and answers the nth PATCH with the nth status; what it took, it shows. */
  const withBoot = (Boot: Readonly<Record<string, unknown>>, statuses: readonly number[], takes = true): readonly Route[] => {
    let now = Boot;
    let patched = 0;
    const patch: Route = {
      method: 'PATCH',
      path: '/s/a',
      handle: async ({ body }) => {
        const status = statuses[patched++] ?? 500;
        const asked = JSON.parse(new TextDecoder().decode(body)) as { readonly Boot: object };
        if (status < 300 && takes) now = { ...now, ...asked.Boot };
        return { status };
      },
    };
    const read: Route = {
      method: 'GET',
      path: '/s/a',
      handle: async () => ({ status: 200, body: JSON.stringify({ '@odata.id': '/s/a', Boot: now }) }),
    };
    return [...canned(oneSystem({})).filter(({ path }) => path !== '/s/a'), patch, read];
  };
  const bodies = (calls: readonly HttpCall[]): readonly unknown[] =>
    calls.filter(({ method }) => method === 'PATCH').map(({ body }) => (JSON.parse(String(body)) as { readonly Boot: unknown }).Boot);
  const minimal = { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' };
  const full = { ...minimal, BootSourceOverrideMode: 'UEFI' };

  test('a full request refused with 400 is repeated without the mode that stands already', async () => {
    const { driver, calls } = await bench({ routes: withBoot(shown, [400, 200]) });
    assert.equal((await driver.bootOnceFromNetwork(undefined)).settled, true);
    assert.deepEqual(bodies(calls), [full, minimal]);
  });
  test('a mode that must change is never left out', async () => {
    const { driver, calls } = await bench({ routes: withBoot({ ...shown, BootSourceOverrideMode: 'Legacy' }, [400, 200]) });
    await fails(driver.bootOnceFromNetwork('uefi'), 'bmc-refused');
    assert.deepEqual(bodies(calls), [full]);
  });
  test('other refusals are final', async () => {
    const { driver, calls } = await bench({ routes: withBoot(shown, [403, 200]) });
    await fails(driver.bootOnceFromNetwork('uefi'), 'bmc-refused');
    assert.equal(bodies(calls).length, 1);
  });
  test('a mode that is taken and not shown: not settled', async () => {
    const Boot = { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'Legacy' };
    const { driver } = await bench({ routes: withBoot(Boot, [200], false) });
    const outcome = await driver.bootOnceFromNetwork('uefi');
    assert.equal(outcome.settled, false);
    assert.match(outcome.note ?? '', /took mode UEFI and shows Legacy/);
  });
  test('a BMC that permits no network boot is not asked', async () => {
    const Boot = { ...shown, 'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Hdd'] };
    const { driver, calls } = await bench({ routes: withBoot(Boot, [200]) });
    assert.match((await fails(driver.bootOnceFromNetwork('uefi'), 'bmc-refused')).message, /only: None, Hdd/);
    assert.equal(bodies(calls).length, 0);
  });
  test('an empty list of permitted values permits all', async () => {
    const Boot = { ...shown, 'BootSourceOverrideTarget@Redfish.AllowableValues': [] };
    const { driver } = await bench({ routes: withBoot(Boot, [200]) });
    assert.equal((await driver.bootOnceFromNetwork('uefi')).settled, true);
  });
  test('a system without a boot override says so', async () => {
    const { driver } = await bench({ routes: canned(oneSystem({ '@odata.id': '/s/a' })) });
    assert.match((await fails(driver.bootOnceFromNetwork('uefi'), 'bmc-refused')).message, /no boot override/);
  });
});
