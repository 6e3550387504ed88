/** The configuration: every fault at once with its line, examples that hold every setting, and what may change while the daemon runs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { checkConfig } from '../../src/config/check.ts';
import { fullExample, minimalExample } from '../../src/config/example.ts';
import { configSchema, faultText, judgeConfig, parseConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import { RemudaError } from '../../src/errors.ts';
import { planReload } from '../../src/config/reload.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import type { LocalAddress } from '../../src/world/world.ts';
import { MemoryFiles } from '../world/memory-files.ts';

/** The example with every setting at rest woken. */
const wokenExample = fullExample.replaceAll(/^( *)#(?=[a-z-]| {2,}[a-z-])/gim, '$1');
const faults = (text: string): readonly string[] => {
  const judged = judgeConfig(text);
  return 'config' in judged ? [] : judged.faults.map((fault) => faultText('r.yaml', fault));
};
const boot = 'boot: { agent: /a, firmware: /f }\n';
const subnet = 'subnets: [{ interface: br0, cidr: 10.77.0.0/24, serverAddress: 10.77.0.1, pool: { from: 10.77.0.50, to: 10.77.0.99 } }]\n';

describe('faults', () => {
  const cases: readonly { name: string; text: string; says: readonly string[] }[] = [
    { name: 'none', text: boot + subnet, says: [] },
    {
      name: 'several at once, in the order of the lines',
      text: `log: loud\nboot:\n  agent: here\n${subnet}data: there\n`,
      says: [
        'r.yaml:1: log: Invalid option: expected one of "debug"|"info"|"warn"|"error"',
        'r.yaml:3: boot.agent: must be an absolute path: one that begins with /',
        'r.yaml:3: boot.firmware: is missing',
        'r.yaml:5: data: must be an absolute path: one that begins with /',
      ],
    },
    {
      name: 'a setting that is written otherwise',
      text: `${boot}${subnet}accepts: {}\nacept: {}\nsub-nets: []\n`,
      says: ['accept', 'accept', 'subnets'].map(
        (guess, at) => `r.yaml:${at + 3}: ${['accepts', 'acept', 'sub-nets'][at] ?? ''}: there is no such setting; is ${guess} meant?`,
      ),
    },
    {
      name: 'a setting that nobody knows, deep inside',
      text: `${boot}subnets:\n  - interface: br0\n    cidr: 10.77.0.0/24\n    serverAddress: 10.77.0.1\n    pool:\n      from: 10.77.0.50\n      to: 10.77.0.99\n      colour: red\n`,
      says: ['r.yaml:9: subnets.0.pool.colour: there is no such setting; here may stand from, to'],
    },
    {
      name: 'YAML itself, all of it',
      text: 'a: [\nb: "\n',
      says: [
        'r.yaml:2: Flow sequence in block collection must be sufficiently indented and end with a ]',
        'r.yaml:3: Missing closing "quote',
      ],
    },
    {
      name: 'no network',
      text: `${boot}subnets: []\n`,
      says: ['r.yaml:2: subnets: at least one network that hosts boot from must stand here'],
    },
    { name: 'an empty file', text: '', says: ['r.yaml:1: boot: is missing', 'r.yaml:1: subnets: is missing'] },
    {
      name: 'limits that a file cannot change',
      text: `${boot}${subnet}limits:\n  dhcpLeaseSeconds: 60\n  httpBodyBytes: 7\n`,
      says: [
        'r.yaml:4: limits.dhcpLeaseSeconds: say it for each subnet: subnets[].leaseSeconds',
        'r.yaml:5: limits.httpBodyBytes: this limit is fixed',
      ],
    },
    {
      name: 'a limit that is none',
      text: `${boot}${subnet}limits:\n  speed: 3\n`,
      says: ['r.yaml:4: limits.speed: there is no limit speed'],
    },
  ];
  for (const { name, text, says } of cases) test(name, () => assert.deepEqual(faults(text), says));
  test('as one refusal with a line for each', () => {
    assert.throws(
      () => parseConfig('log: loud\n', 'r.yaml'),
      (error: unknown) => error instanceof RemudaError && error.code === 'bad-config' && error.message.split('\n').length === 3,
    );
  });
});

describe('the examples', () => {
  test('are whole configurations, also with every setting woken', () => {
    assert.deepEqual(faults(minimalExample), []);
    assert.deepEqual(faults(fullExample), []);
    assert.deepEqual(faults(wokenExample), []);
  });
  test('what is said to be a default is one', () => {
    const full = parseConfig(fullExample, 'full');
    const woken = parseConfig(wokenExample, 'woken');
    for (const key of ['data', 'socket', 'log'] as const) assert.equal(woken[key], full[key]);
    assert.deepEqual([woken.boot.httpPort, woken.boot.agentPort], [full.boot.httpPort, full.boot.agentPort]);
  });
  test('every setting of the schema stands in the full one', () => {
    interface Schema {
      readonly properties?: Readonly<Record<string, Schema>>;
      readonly items?: Schema;
      readonly anyOf?: readonly Schema[];
    }
    const keys = (schema: Schema): readonly string[] => [
      ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => [name, ...keys(inner)]),
      ...(schema.items === undefined ? [] : keys(schema.items)),
      ...(schema.anyOf ?? []).flatMap(keys),
    ];
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what of JSON Schema matters here
    const all = keys(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as Schema);
    assert.ok(all.length > 25, `${all.length} settings`);
    assert.deepEqual(
      [...new Set(all)].filter((name) => !new RegExp(`^[ #-]*${name}:|[{,] ${name}:`, 'm').test(fullExample)),
      [],
    );
  });
  test('stand in deploy/examples as they are printed', () => {
    assert.equal(readFileSync('deploy/examples/remuda.yaml', 'utf8'), fullExample);
    assert.equal(readFileSync('deploy/examples/remuda-minimal.yaml', 'utf8'), minimalExample);
  });
});

describe('against the machine', () => {
  const at = async (interfaces: readonly string[], addresses: readonly LocalAddress[]) => {
    const files = new MemoryFiles({ now: () => 0 });
    await files.makeFolder('/proc/self/net');
    const lines = interfaces.map((name) => `${name.padStart(6)}: 0 0\n`).join('');
    if (interfaces.length > 0) await files.write('/proc/self/net/dev', `Inter-| Receive\n face |bytes\n${lines}`);
    await files.makeFolder('/a');
    await files.makeFolder('/f');
    for (const path of ['/a/ramdisk.json', '/a/vmlinuz', '/a/initrd.zst', '/f/undionly.kpxe', '/f/snponly.efi', '/f/autoexec.ipxe'])
      await files.write(path, 'x');
    await files.makeFolder('/etc');
    await files.write('/etc/r.yaml', boot + subnet);
    return { files, net: { localAddresses: () => addresses } };
  };
  const address = parseIpv4('10.77.0.1');
  assert.ok(address !== undefined);
  test('all is there', async () => {
    const machine = await at(['lo', 'br0'], [{ interface: 'br0', address, prefix: 24 }]);
    const { faults: none, warnings, config } = await checkConfig(machine, '/etc/r.yaml');
    assert.deepEqual([none, warnings], [[], []]);
    assert.equal(config?.boot.agent, '/a');
  });
  test('an interface, an address and a file that are not', async () => {
    const machine = await at(['lo', 'eth0'], []);
    await machine.files.remove('/f/snponly.efi');
    const { warnings } = await checkConfig(machine, '/etc/r.yaml');
    assert.deepEqual(warnings, [
      'this machine has no network interface br0; it has eth0: name one of them under subnets, or make it first',
      'br0 does not have the address 10.77.0.1 now: ip address add 10.77.0.1/24 dev br0',
      '/f/snponly.efi is missing: hosts that need it cannot boot from the network',
    ]);
  });
  test('hosts behind a relay without a way to us, and no kubeconfig', async () => {
    const machine = await at(['lo', 'br0'], [{ interface: 'br0', address, prefix: 24 }]);
    const far = (more: string) =>
      subnet.replace(' }]', ` }, { relay: { via: br0 }, cidr: 10.78.0.0/24, pool: { from: 10.78.0.100, to: 10.78.0.199 }${more} }]`);
    await machine.files.write('/etc/r.yaml', `${boot}${far('')}kubernetes: { kubeconfig: /etc/kube }\n`);
    const { warnings } = await checkConfig(machine, '/etc/r.yaml');
    assert.match(warnings[0] ?? '', /^hosts of 10\.78\.0\.0\/24 behind the relay are told no router/);
    assert.equal(warnings[1], '/etc/kube is missing: the provider does not reach its management cluster');
    assert.equal(warnings.length, 2);
    await machine.files.write('/etc/r.yaml', boot + far(', router: 10.78.0.1'));
    assert.deepEqual((await checkConfig(machine, '/etc/r.yaml')).warnings, []);
  });
  test('no file', async () => {
    await assert.rejects(checkConfig(await at([], []), '/etc/none.yaml'), /there is no configuration at \/etc\/none\.yaml/);
  });
});

describe('reload', () => {
  const parse = (more: string, subnets = subnet) => parseConfig(`${boot}${subnets}${more}`, 'r.yaml');
  const before = parse('');
  const pool = subnet.replace('10.77.0.99', '10.77.0.120');
  const cases: readonly { name: string; after: Config; applied: readonly string[]; restart: readonly string[] }[] = [
    { name: 'nothing changed', after: parse(''), applied: [], restart: [] },
    { name: 'what is said as the default says it', after: parse('log: info\nlimits: { stepTries: 3 }\n'), applied: [], restart: [] },
    { name: 'log and rules', after: parse('log: debug\naccept: { macs: ["52:*"] }\n'), applied: ['accept', 'log'], restart: [] },
    {
      name: 'limits: some are read where they are used, some once',
      after: parse('limits: { stepTries: 5, storeBusyMs: 7 }\n'),
      applied: ['limits.stepTries'],
      restart: ['limits.storeBusyMs'],
    },
    { name: 'whose images count', after: parse('images: { requireSignature: false }\n'), applied: [], restart: [] },
    {
      name: 'from where images may come',
      after: parse('images: { sources: { allowPrivate: [10.0.0.0/8] } }\n'),
      applied: ['images.sources'],
      restart: [],
    },
    { name: 'a pool', after: parse('', pool), applied: ['subnets.0.pool'], restart: [] },
    {
      name: 'a subnet behind a relay, on an interface that is served',
      after: parse(
        '',
        `${subnet.trimEnd().slice(0, -1)}, { relay: { via: br0 }, cidr: 10.78.0.0/24, pool: { from: 10.78.0.5, to: 10.78.0.9 } }]\n`,
      ),
      applied: ['subnets.1'],
      restart: [],
    },
    {
      name: 'another interface',
      after: parse('', subnet.replace('br0', 'br1')),
      applied: [],
      restart: ['subnets.0.interface'],
    },
    {
      name: 'places and ports',
      after: { ...parse('data: /d\nsocket: /s\n'), boot: { ...before.boot, httpPort: 1 } },
      applied: [],
      restart: ['boot.httpPort', 'data', 'socket'],
    },
  ];
  for (const { name, after, applied, restart } of cases)
    test(name, () => {
      const plan = planReload(before, after);
      assert.deepEqual([plan.applied.toSorted(), plan.restart.toSorted()], [applied, restart]);
      // What holds now, held against the same file again, has only that left which waits for a restart.
      assert.deepEqual(planReload(plan.running, after), { running: plan.running, applied: [], restart: plan.restart });
    });
});
