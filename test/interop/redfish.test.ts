/** Foreign judges: redfishtool and sushy drive our virtual BMC over real TLS, and our driver drives sushy-emulator. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { redfishDriver } from '../../src/bmc/redfish/driver.ts';
import type { BmcDriver } from '../../src/bmc/driver.ts';
import type { BmcAddress } from '../../src/wire/words.ts';
import type { BmcQuirks } from '../../src/lab/model/quirks.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import { limits } from '../../src/limits.ts';
import { realWorld } from '../../src/world/real.ts';
import type { World } from '../../src/world/world.ts';
import { bmcUser, testMachine } from '../bmc/bench.ts';
import { ipv4 } from '../world/memory-http.ts';
import { pythonPrograms } from './redfish-venv.ts';

const run = promisify(execFile);
const programMs = 120_000;
const programs = await pythonPrograms();
/** Loopback is not to be reached by way of a proxy, nor judged by a CA bundle of whoever runs this. */
const environment = { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' };
const folder = mkdtempSync(join(tmpdir(), 'remuda-redfish-'));
const ending = new AbortController();
const world: World = realWorld({ signal: ending.signal, log: { level: 'silent' } });
after(() => {
  ending.abort();
  rmSync(folder, { recursive: true, force: true });
});

/** A virtual BMC on a port of its own, over TLS. */
const serve = async (quirks: Partial<BmcQuirks> = {}) => {
  const machine = testMachine();
  const bmc = redfishBmc({ name: 'rack1-u1', machine, ...bmcUser, random: world.random, clock: world.clock, quirks });
  const identity = await world.http.selfSigned('127.0.0.1');
  const listener = await world.http.listen({ at: { address: ipv4('127.0.0.1'), port: 0 }, routes: bmc.routes, identity });
  const rhost = `127.0.0.1:${listener.port}`;
  return { machine, bmc, identity, rhost, close: () => listener.close() };
};
type Served = Awaited<ReturnType<typeof serve>>;

describe('redfishtool drives our virtual BMC', () => {
  const tool = async ({ rhost }: Served, ...words: readonly string[]): Promise<Record<string, unknown>> => {
    const access = ['-r', rhost, '-u', bmcUser.username, '-p', bmcUser.password, '-S', 'Always', '-n'];
    const { stdout } = await run(join(programs, 'redfishtool'), [...access, ...words], { timeout: programMs, env: environment });
    return stdout.trim() === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>);
  };
  const bootOf = (system: Record<string, unknown>): readonly unknown[] => {
    const boot = system['Boot'] as Record<string, unknown>;
    return [boot['BootSourceOverrideTarget'], boot['BootSourceOverrideEnabled']];
  };
  for (const auth of ['Basic', 'Session'])
    test(`get, boot override, reset: ${auth}`, async () => {
      const served = await serve();
      const { machine, bmc } = served;
      const systems = async (...words: readonly string[]): Promise<Record<string, unknown>> =>
        tool(served, '-A', auth, 'Systems', '-F', ...words);
      assert.equal((await systems('get'))['UUID'], machine.uuid);
      await systems('setBootOverride', 'Once', 'Pxe');
      assert.deepEqual(bootOf(await systems('get')), ['Pxe', 'Once']);
      await systems('reset', 'On');
      assert.deepEqual([machine.power(), machine.boots], ['on', ['network']]);
      const running = await systems('get');
      assert.deepEqual([running['PowerState'], ...bootOf(running)], ['On', 'None', 'Disabled']);
      await systems('reset', 'ForceOff');
      assert.equal((await systems('get'))['PowerState'], 'Off');
      assert.deepEqual(
        bmc.commands.map(({ what }) => what),
        ['Boot Pxe Once UEFI', 'On', 'ForceOff'],
      );
      await served.close();
    });
  test('the rest of the tree, and a refusal', async () => {
    const served = await serve();
    const { machine } = served;
    assert.deepEqual(await tool(served, 'versions'), { v1: '/redfish/v1/' });
    assert.equal((await tool(served, 'root'))['RedfishVersion'], '1.18.0');
    assert.equal((await tool(served, 'Managers', '-F'))['ManagerType'], 'BMC');
    assert.equal((await tool(served, 'Chassis', '-F'))['SerialNumber'], machine.serial);
    assert.equal((await tool(served, 'Systems', '-F', 'EthernetInterfaces', '-i', 'NIC2'))['MACAddress'], machine.macs[1]);
    assert.equal((await tool(served, 'SessionService'))['ServiceEnabled'], true);
    assert.equal((await tool(served, 'AccountService', 'Accounts'))['Members@odata.count'], 1);
    await assert.rejects(tool(served, 'Systems', '-F', 'reset', 'ForceRestart'));
    assert.equal(machine.boots.length, 0);
    await served.close();
  });
});

describe('sushy drives our virtual BMC', () => {
  const script = join(import.meta.dirname, 'redfish_sushy.py');
  const sushy = async ({ rhost }: Served, kind: 'basic' | 'session'): Promise<readonly Record<string, unknown>[]> => {
    const words = ['-W', 'ignore', script, `https://${rhost}/redfish/v1`, bmcUser.username, bmcUser.password, kind];
    const { stdout } = await run(join(programs, 'python'), words, { timeout: programMs, env: environment });
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const cases: readonly (readonly ['basic' | 'session', Partial<BmcQuirks>])[] = [
    ['session', {}],
    ['basic', {}],
    ['session', { requiresIfMatch428: true }],
    ['session', { weakEtag412: true }],
    ['session', { bootInSettings: true }],
  ];
  for (const [kind, quirks] of cases)
    test(`power and boot override by ${kind} ${JSON.stringify(quirks)}`, async () => {
      const served = await serve(quirks);
      const { machine } = served;
      const steps = await sushy(served, kind);
      const shown = steps.slice(0, 5).map(({ step, power, target, enabled }) => [step, power, target, enabled]);
      assert.deepEqual(shown, [
        ['start', 'Off', 'None', 'Disabled'],
        ['override', 'Off', 'Pxe', 'Once'],
        ['on', 'On', 'None', 'Disabled'],
        ['restarted', 'On', 'None', 'Disabled'],
        ['off', 'Off', 'None', 'Disabled'],
      ]);
      assert.deepEqual(machine.boots, ['network', undefined]);
      const { uuid, macs, mode, memory, manager, chassis } = steps[0] ?? {};
      assert.deepEqual([uuid, macs, mode, memory, manager, chassis], [machine.uuid, [...machine.macs], 'UEFI', 2, '1.0.0', 'RackMount']);
      assert.equal(steps[5]?.['status'], 409);
      assert.match(String(steps[5]?.['message']), /standby/);
      await served.close();
    });
});

describe("the DMTF's protocol validator judges our virtual BMC", () => {
  test('all checks of the Redfish specification hold but one that HTTP itself forestalls', async () => {
    const served = await serve();
    const certificate = join(folder, 'bmc.pem');
    writeFileSync(certificate, served.identity.certificate);
    const access = ['-r', `https://${served.rhost}`, '-u', bmcUser.username, '-p', bmcUser.password, '--ca-bundle', certificate];
    const reports = ['--avoid-http-redirect', '--report-type', 'tsv', '--report-dir', folder];
    // Its requests without a login look for the certificate in the environment only.
    const env = { ...environment, REQUESTS_CA_BUNDLE: certificate };
    // It ends with 1 where any check failed; the report tells which.
    await run(join(programs, 'rf_protocol_validator'), [...access, ...reports], { timeout: programMs, env, cwd: folder }).catch(
      () => undefined,
    );
    const report = readdirSync(folder).find((name) => name.endsWith('.tsv'));
    const rows = readFileSync(join(folder, report ?? ''), 'utf8')
      .split('\n')
      .map((row) => row.split('\t'));
    const failed = rows.filter((row) => row[4] === 'FAIL').map(([check, method]) => `${check} ${method}`);
    assert.deepEqual(failed, ['PROTO_HTTP_UNSUPPORTED_METHODS FAKEMETHODFORTEST']);
    assert.ok(rows.filter((row) => row[4] === 'PASS').length > 200);
    await served.close();
  });
});

describe('our driver over real TLS drives our virtual BMC', () => {
  test('pinned: one session, power and override', async () => {
    const served = await serve();
    const address = { protocol: 'redfish', url: `https://${served.rhost}`, ...bmcUser, fingerprint: served.identity.fingerprint } as const;
    const driver = redfishDriver(world, address, limits);
    assert.equal((await driver.bootOnceFromNetwork('uefi')).settled, true);
    assert.equal((await driver.setPower('on')).settled, true);
    assert.deepEqual(served.machine.boots, ['network']);
    await driver.close();
    await assert.rejects(redfishDriver(world, { ...address, fingerprint: '00'.repeat(32) }, limits).readPower(), { code: 'bmc-untrusted' });
    await served.close();
  });
  test('silent: unreachable within the limit', async () => {
    const served = await serve({ silent: true });
    const address = { protocol: 'redfish', url: `https://${served.rhost}`, ...bmcUser, insecure: true } as const;
    await assert.rejects(redfishDriver(world, address, { ...limits, bmcTimeoutMs: 200 }).readPower(), { code: 'bmc-unreachable' });
    await served.close();
  });
});

describe('our driver drives sushy-emulator', () => {
  let emulator: ChildProcess | undefined;
  let driver: BmcDriver | undefined;
  let address: BmcAddress = { protocol: 'redfish', url: '', ...bmcUser };
  const said: string[] = [];

  /** The emulator speaks TLS 1.2, knows only HTTP basic, and applies power up to eleven seconds late, like many a BMC. */
  before(async () => {
    const identity = await world.http.selfSigned('sushy');
    const probe = await world.http.listen({ at: { address: ipv4('127.0.0.1'), port: 0 }, routes: [] });
    const port = probe.port ?? 0;
    await probe.close();
    const hash = 'import bcrypt,sys; print(bcrypt.hashpw(sys.argv[1].encode(), bcrypt.gensalt(4)).decode())';
    const { stdout } = await run(join(programs, 'python'), ['-c', hash, bmcUser.password], { timeout: programMs, env: environment });
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const config = [
      `SUSHY_EMULATOR_STATE_DIR = ${JSON.stringify(folder)}`,
      `SUSHY_EMULATOR_AUTH_FILE = ${JSON.stringify(file('htpasswd', `${bmcUser.username}:${stdout.trim()}\n`))}`,
    ].join('\n');
    const words = ['--fake', '-i', '127.0.0.1', '-p', String(port), '--config', file('config.py', config)];
    const tls = ['--ssl-certificate', file('cert.pem', identity.certificate), '--ssl-key', file('key.pem', identity.key)];
    emulator = spawn(join(programs, 'sushy-emulator'), [...words, ...tls], { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
    for (const stream of [emulator.stdout, emulator.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    address = { ...address, url: `https://127.0.0.1:${port}`, fingerprint: identity.fingerprint };
    driver = redfishDriver(world, address, limits);
    await until(async () => (await driver?.readPower().catch(() => undefined)) !== undefined, 30_000);
  });
  after(async () => {
    await driver?.close();
    if (emulator === undefined || emulator.exitCode !== null) return;
    emulator.kill();
    await once(emulator, 'exit');
  });

  const until = async (holds: () => Promise<boolean>, withinMs: number): Promise<void> => {
    const end = world.clock.now() + withinMs;
    while (!(await holds())) {
      assert.ok(world.clock.now() < end, `not within ${withinMs} ms:\n${said.join('').slice(-2000)}`);
      await world.clock.sleep(300);
    }
  };
  const started = (): BmcDriver => {
    assert.ok(driver !== undefined);
    return driver;
  };

  test('it is identified', async () => {
    const identity = await started().identify();
    assert.equal(identity.uuid, '27946b59-9e44-4fa7-8e91-f3527a1ef094');
    assert.deepEqual(identity.macs, ['00:5c:52:31:3a:9c']);
    assert.equal(identity.power, 'off');
    assert.equal(identity.vendor, 'Sushy Emulator');
  });
  test('boot from the network is set and read back', async () => {
    const outcome = await started().bootOnceFromNetwork('uefi');
    assert.deepEqual([outcome.observed, outcome.settled], ['network', true]);
    // It knows no Once, and the outcome says so.
    assert.match(outcome.note ?? '', /continuous/);
  });
  test('power goes on and off, though late', async () => {
    for (const wanted of ['on', 'off'] as const) {
      const first = await started().setPower(wanted);
      assert.equal(first.asked, wanted);
      await until(async () => (await started().readPower()) === wanted, 20_000);
      assert.deepEqual(await started().setPower(wanted), { asked: wanted, observed: wanted, settled: true });
    }
  });
  test('a wrong password is refused', async () => {
    const wrong = redfishDriver(world, { ...address, password: 'wrong' }, limits);
    await assert.rejects(wrong.readPower(), { code: 'bmc-refused' });
  });
});
