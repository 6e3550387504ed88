/** The virtual BMC as any Redfish client sees it: resources, refusals, power, and the override that is used once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BmcQuirks } from '../../src/lab/model/quirks.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import type { HttpAnswer, Method } from '../../src/world/world.ts';
import { bmcUser, countingRandom, testMachine } from '../bmc/bench.ts';
import { idleClock } from '../bmc/idle-clock.ts';
import { ipv4, MemoryHttp } from '../world/memory-http.ts';

interface Reply {
  readonly status: number;
  readonly headers: HttpAnswer['headers'];
  readonly body: unknown;
  /** The id of the first message of a refusal, without its registry. */
  readonly message: string | undefined;
}
const basic = `Basic ${Buffer.from(`${bmcUser.username}:${bmcUser.password}`).toString('base64')}`;

const rig = async (quirks: Partial<BmcQuirks> = {}) => {
  const clock = idleClock();
  const http = new MemoryHttp({ clock }).at(ipv4('10.0.0.9'));
  const machine = testMachine();
  const bmc = redfishBmc({ name: 'rack1-u1', machine, ...bmcUser, random: countingRandom(), clock, quirks });
  await http.listen({ at: { address: ipv4('10.0.0.9'), port: 80 }, routes: bmc.routes });
  const ask = async (
    method: Method,
    path: string,
    body?: unknown,
    headers: Record<string, string> = { authorization: basic },
  ): Promise<Reply> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await http.call({
      method,
      url: `http://10.0.0.9${path}`,
      headers,
      ...(body === undefined ? {} : { body: text }),
      timeoutMs: 1000,
      replyBytesMax: 100_000,
    });
    const plain = new TextDecoder().decode(answer.body);
    const parsed = answer.headers['content-type']?.startsWith('application/json') === true ? (JSON.parse(plain) as unknown) : plain;
    const message = /"MessageId":"Base\.[0-9.]+\.([A-Za-z]+)"/.exec(plain)?.[1];
    return { status: answer.status, headers: answer.headers, body: parsed, message };
  };
  const reset = (ResetType: string): Promise<Reply> => ask('POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', { ResetType });
  const boot = (Boot: object, headers?: Record<string, string>): Promise<Reply> =>
    ask('PATCH', '/redfish/v1/Systems/1', { Boot }, { authorization: basic, ...headers });
  const system = async (): Promise<Record<string, unknown>> => (await ask('GET', '/redfish/v1/Systems/1')).body as Record<string, unknown>;
  return { bmc, machine, clock, ask, reset, boot, system };
};

/** All links that stand anywhere in a body. */
const linksIn = (value: unknown): readonly string[] => {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => (name === '@odata.id' && typeof inner === 'string' ? [inner] : linksIn(inner)));
};

describe('the tree', () => {
  test('every link leads to a resource that names itself and its type', async () => {
    const { ask } = await rig();
    const seen = new Set<string>();
    const todo = ['/redfish/v1/'];
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const { status, body, headers } = await ask('GET', path);
      assert.equal(status, 200, path);
      const resource = body as Record<string, unknown>;
      assert.equal(resource['@odata.id'], path);
      assert.match(String(resource['@odata.type']), /^#[A-Za-z]+\.(v\d+_\d+_\d+\.)?[A-Za-z]+$/);
      assert.ok(typeof resource['Name'] === 'string');
      assert.equal(headers['odata-version'], '4.0');
      assert.match(headers['allow'] ?? '', /^GET, HEAD/);
      assert.match(headers['link'] ?? '', /rel=describedby$/);
      if (!('Members' in resource)) assert.equal(resource['@odata.etag'], headers['etag']);
      todo.push(...linksIn(body));
    }
    assert.equal(seen.size, 19);
  });
  test('root, versions, metadata and service document need no login; all else does', async () => {
    const { ask } = await rig();
    for (const path of ['/redfish', '/redfish/', '/redfish/v1', '/redfish/v1/', '/redfish/v1/$metadata', '/redfish/v1/odata'])
      assert.equal((await ask('GET', path, undefined, {})).status, 200, path);
    for (const path of ['/redfish/v1/Systems', '/redfish/v1/Systems/1', '/redfish/v1/SessionService/Sessions', '/redfish/v1/Managers/1']) {
      const { status, headers, message } = await ask('GET', path, undefined, {});
      assert.deepEqual([status, message], [401, 'AccessDenied'], path);
      assert.match(headers['www-authenticate'] ?? '', /^Basic realm=/);
    }
    assert.equal((await ask('POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', { ResetType: 'On' }, {})).status, 401);
  });
  test('the system tells its machine', async () => {
    const { system, machine } = await rig();
    const { UUID, SerialNumber, PowerState, MemorySummary, ProcessorSummary } = await system();
    assert.deepEqual([UUID, SerialNumber, PowerState], [machine.uuid, machine.serial, 'Off']);
    assert.equal((MemorySummary as { TotalSystemMemoryGiB: number }).TotalSystemMemoryGiB, 2);
    assert.equal((ProcessorSummary as { CoreCount: number }).CoreCount, 2);
  });
});

describe('power', () => {
  const table: readonly (readonly [string, readonly string[], 'on' | 'off', number, number])[] = [
    ['On', ['On'], 'on', 1, 0],
    ['On twice starts once', ['On', 'On'], 'on', 1, 0],
    ['ForceOff', ['On', 'ForceOff'], 'off', 1, 0],
    ['ForceRestart is off and on', ['On', 'ForceRestart'], 'on', 2, 0],
    ['PowerCycle is off and on', ['On', 'PowerCycle'], 'on', 2, 0],
    ['GracefulShutdown presses the button', ['On', 'GracefulShutdown'], 'on', 1, 1],
    ['PushPowerButton while on presses the button', ['On', 'PushPowerButton'], 'on', 1, 1],
    ['PushPowerButton while off turns on', ['PushPowerButton'], 'on', 1, 0],
  ];
  for (const [name, types, power, boots, presses] of table)
    test(name, async () => {
      const { reset, machine, system, bmc } = await rig();
      for (const type of types) assert.equal((await reset(type)).status, 204);
      assert.deepEqual([machine.power(), machine.boots.length, machine.presses], [power, boots, presses]);
      assert.equal((await system())['PowerState'], power === 'on' ? 'On' : 'Off');
      assert.deepEqual(
        bmc.commands.map(({ what }) => what),
        types,
      );
    });
  for (const type of ['ForceRestart', 'PowerCycle', 'GracefulShutdown'])
    test(`${type} of a host that is off is refused`, async () => {
      const { reset, machine, bmc } = await rig();
      assert.deepEqual([(await reset(type)).message, machine.boots.length, bmc.commands.length], ['ResourceInStandby', 0, 0]);
    });
  test('a machine that fails to start is an error of the BMC, and tells why in its commands', async () => {
    const { reset, machine, bmc } = await rig();
    machine.turnOn = () => Promise.reject(new Error('no such firmware file'));
    assert.deepEqual([(await reset('On')).status, bmc.commands.at(-1)?.what], [500, 'On failed: no such firmware file']);
  });
  test('a host that turns itself off is shown off', async () => {
    const { reset, machine, system } = await rig();
    await reset('On');
    await machine.turnOff();
    assert.equal((await system())['PowerState'], 'Off');
  });
  test('a lying BMC is honest again after ForceOff', async () => {
    const { reset, system, machine, bmc } = await rig({ saysOnStaysOff: true });
    await reset('On');
    assert.deepEqual([(await system())['PowerState'], machine.power()], ['On', 'off']);
    bmc.quirks.saysOnStaysOff = false;
    await reset('ForceOff');
    await reset('On');
    assert.deepEqual([(await system())['PowerState'], machine.power()], ['On', 'on']);
  });
  test('power that lags shows the old state for so many readings', async () => {
    const { reset, system } = await rig({ powerLag: 2 });
    await reset('On');
    const shown = [await system(), await system(), await system()].map((body) => body['PowerState']);
    assert.deepEqual(shown, ['Off', 'Off', 'On']);
  });
});

describe('the boot override', () => {
  const shownIn = (body: Record<string, unknown>): unknown => {
    const Boot = body['Boot'] as Record<string, unknown>;
    return [Boot['BootSourceOverrideTarget'], Boot['BootSourceOverrideEnabled']];
  };
  const once = { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' };
  test('Once is used by one start, and shown Disabled afterwards', async () => {
    const { boot, reset, system, machine } = await rig();
    assert.deepEqual(shownIn((await boot(once)).body as Record<string, unknown>), ['Pxe', 'Once']);
    await reset('On');
    assert.deepEqual(shownIn(await system()), ['None', 'Disabled']);
    await reset('ForceRestart');
    assert.deepEqual(machine.boots, ['network', undefined]);
  });
  test('Once set while the host runs is used by the restart', async () => {
    const { boot, reset, machine } = await rig();
    await reset('On');
    await boot(once);
    await reset('ForceRestart');
    await reset('ForceRestart');
    assert.deepEqual(machine.boots, [undefined, 'network', undefined]);
  });
  test('Continuous stays until it is Disabled', async () => {
    const { boot, reset, system, machine } = await rig();
    await boot({ BootSourceOverrideTarget: 'Hdd', BootSourceOverrideEnabled: 'Continuous' });
    for (const type of ['On', 'ForceRestart']) await reset(type);
    await boot({ BootSourceOverrideEnabled: 'Disabled' });
    await reset('ForceRestart');
    assert.deepEqual(machine.boots, ['disk', 'disk', undefined]);
    assert.deepEqual(shownIn(await system()), ['None', 'Disabled']);
  });
});

describe('refusals', () => {
  const reset = '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset';
  const table: readonly (readonly [Method, string, unknown, number, string])[] = [
    ['GET', '/redfish/v1/Systems/2', undefined, 404, 'ResourceMissingAtURI'],
    ['GET', '/redfish/v1/Systems/1/Settings', undefined, 404, 'ResourceMissingAtURI'],
    ['GET', '/redfish/v1/Systems/1/EthernetInterfaces/NIC3', undefined, 404, 'ResourceMissingAtURI'],
    ['DELETE', '/redfish/v1/SessionService/Sessions/zz', undefined, 404, 'ResourceMissingAtURI'],
    ['POST', reset, '{"ResetType":', 400, 'MalformedJSON'],
    ['POST', reset, {}, 400, 'ActionParameterMissing'],
    ['POST', reset, { ResetType: 'Nmi' }, 400, 'ActionParameterNotSupported'],
    ['PATCH', '/redfish/v1/Systems/1', {}, 400, 'PropertyMissing'],
    ['PATCH', '/redfish/v1/Systems/1', { AssetTag: 'x', Boot: {} }, 400, 'PropertyUnknown'],
    ['PATCH', '/redfish/v1/Systems/1', { Boot: { BootNext: 'x' } }, 400, 'PropertyUnknown'],
    ['PATCH', '/redfish/v1/Systems/1', { Boot: { BootSourceOverrideTarget: 'Floppy' } }, 400, 'PropertyValueNotInList'],
    ['PATCH', '/redfish/v1/Systems/1', { Boot: { BootSourceOverrideMode: 'Legacy' } }, 400, 'PropertyValueNotInList'],
    ['POST', '/redfish/v1/SessionService/Sessions', { UserName: 'admin' }, 400, 'PropertyMissing'],
    ['POST', '/redfish/v1/SessionService/Sessions', { UserName: 'admin', Password: 'x' }, 401, 'AccessDenied'],
  ];
  for (const [method, path, body, status, message] of table)
    test(`${method} ${path} ${JSON.stringify(body) ?? ''}: ${message}`, async () => {
      const { ask, bmc } = await rig();
      const reply = await ask(method, path, body);
      assert.deepEqual([reply.status, reply.message], [status, message]);
      assert.equal(bmc.commands.length, 0);
    });
  test('an ETag of another state is refused, the current one and * are not', async () => {
    const { boot, ask } = await rig();
    const { headers } = await ask('GET', '/redfish/v1/Systems/1');
    const change = { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' };
    assert.equal((await boot(change, { 'if-match': '"other"' })).message, 'PreconditionFailed');
    assert.equal((await boot(change, { 'if-match': headers['etag'] ?? '' })).status, 200);
    assert.equal((await boot(change, { 'if-match': headers['etag'] ?? '' })).message, 'PreconditionFailed');
    assert.equal((await boot(change, { 'if-match': '*' })).status, 200);
  });
});

test('another OData version is refused, and Allow tells the methods', async () => {
  const { ask } = await rig();
  const refused = await ask('GET', '/redfish/v1/Systems/1', undefined, { authorization: basic, 'odata-version': '4.1' });
  assert.deepEqual([refused.status, refused.message], [412, 'ODataVersionNotSupported']);
  assert.equal((await ask('GET', '/redfish/v1/Systems/1')).headers['allow'], 'GET, HEAD, PATCH');
  assert.equal((await ask('GET', '/redfish/v1/SessionService/Sessions')).headers['allow'], 'GET, HEAD, POST');
});

describe('sessions', () => {
  const sessions = '/redfish/v1/SessionService/Sessions';
  const logIn = { UserName: bmcUser.username, Password: bmcUser.password };
  test('open, use, list, end', async () => {
    const { ask } = await rig();
    const opened = await ask('POST', sessions, logIn, {});
    const token = { 'x-auth-token': opened.headers['x-auth-token'] ?? '' };
    const location = opened.headers['location'] ?? '';
    assert.equal(opened.status, 201);
    assert.ok(!JSON.stringify(opened.body).includes(token['x-auth-token']));
    assert.deepEqual(linksIn((await ask('GET', sessions, undefined, token)).body), [sessions, location]);
    assert.equal((await ask('GET', location, undefined, token)).status, 200);
    assert.equal((await ask('DELETE', location, undefined, token)).status, 204);
    assert.equal((await ask('GET', '/redfish/v1/Systems/1', undefined, token)).status, 401);
  });
  test('an idle session ends after half an hour, a used one does not', async () => {
    const { ask, clock } = await rig();
    const token = { 'x-auth-token': (await ask('POST', sessions, logIn, {})).headers['x-auth-token'] ?? '' };
    await clock.sleep(29 * 60_000);
    assert.equal((await ask('GET', '/redfish/v1/Systems', undefined, token)).status, 200);
    await clock.sleep(29 * 60_000);
    assert.equal((await ask('GET', '/redfish/v1/Systems', undefined, token)).status, 200);
    await clock.sleep(31 * 60_000);
    assert.equal((await ask('GET', '/redfish/v1/Systems', undefined, token)).status, 401);
  });
});
