/** `remuda bmc probe`: what answers, what is to be compared, and the exact next command. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProbeJson } from '../../src/api/types.ts';
import { nextCommand } from '../../src/cli/bmc-commands.ts';
import { bench } from './bench.ts';

const fingerprint = 'cd'.repeat(32);
test('Redfish with a certificate of its own: the fingerprint, and the command that pins it', async () => {
  const { run } = await bench();
  const { exit, out } = await run('bmc probe 10.0.0.5');
  assert.equal(exit, 0);
  assert.equal(
    out,
    [
      'Redfish answers at https://10.0.0.5: Remuda',
      'its certificate is not believed: it vouches for itself',
      `SHA-256 ${fingerprint}: compare it with what the BMC shows on its own page, then pin it`,
      'IPMI 2.0 answers at ipmi://10.0.0.5: cipher suites 3, 17',
      `next: remuda host enrol NAME --bmc-url https://10.0.0.5 --bmc-username USER --bmc-fingerprint ${fingerprint}`,
      '',
    ].join('\n'),
  );
  assert.equal(((await run('bmc probe 10.0.0.5 --json')).json() as ProbeJson).redfish?.fingerprint, fingerprint);
  assert.equal((await run('bmc probe 10.0.0.5 -q')).out, '10.0.0.5\n');
});
test('IPMI with weak suites only says so, and what would be needed', async () => {
  const { run } = await bench();
  const { out } = await run('bmc probe 10.0.0.6');
  assert.match(out, /^IPMI 2\.0 answers at ipmi:\/\/10\.0\.0\.6: cipher suites 1, 2; 17 and 3 are not among them: .*--bmc-suite/);
  assert.match(out, /no answer by the other protocol: no web\n/);
  assert.match(out, /\nnext: remuda host enrol NAME --bmc-url ipmi:\/\/10\.0\.0\.6 --bmc-username USER --bmc-suite 2\n$/);
});
test('nothing there, a place where none may be, and no host at all', async () => {
  const { run } = await bench();
  const silent = await run('bmc probe 10.0.0.7');
  assert.equal(silent.exit, 1);
  assert.match(silent.err, /nothing at 10\.0\.0\.7 answers as a BMC\nnext: .*reaches its network/);
  assert.match((await run('bmc probe 127.0.0.1')).err, /no BMC is at loopback/);
  assert.equal((await run('bmc probe')).exit, 2);
});

describe('a place with its port', () => {
  for (const [place, redfish, ipmi] of [
    ['10.0.0.8', 'usual', 'usual'],
    ['https://10.0.0.8', 'usual', 'usual'],
    ['https://10.0.0.8:8443', '8443', 'usual'],
    ['https://10.0.0.8:8443/redfish/v1/', '8443', 'usual'],
    ['ipmi://10.0.0.8:6623', 'usual', '6623'],
    ['10.0.0.8:8443', '8443', '8443'],
  ] as const)
    test(place, async () => {
      const { run } = await bench();
      const { exit, out, err } = await run(['bmc', 'probe', place]);
      assert.equal(exit, 0, err);
      assert.match(
        out,
        new RegExp(`^Redfish answers at https://10\\.0\\.0\\.8:${redfish}\n[^]*answers at ipmi://10\\.0\\.0\\.8:${ipmi}: `),
      );
    });
  for (const [place, says] of [
    ['http://10.0.0.8', /over TLS alone\nnext: .*remuda bmc probe 10\.0\.0\.8/],
    ['https://root:calvin@10.0.0.8', /is not called like that\nnext: .*--bmc-username/],
    ['10.0.0.8:99999', /is not called like that/],
    ['10.0.0.8:0', /is not called like that/],
    ['ftp://10.0.0.8', /is not called like that/],
    ['two words', /is not called like that/],
  ] as const)
    test(`${place} is refused`, async () => {
      const { run } = await bench();
      const { exit, err } = await run(['bmc', 'probe', place]);
      assert.deepEqual([exit, err.split('\n').length], [2, 3], err);
      assert.match(err, says);
    });
  test('enrol wants to know the protocol, and says what each would be', async () => {
    const { run } = await bench();
    const { exit, err } = await run('host enrol h9 --bmc-url 10.0.0.8 --bmc-username u', { env: { REMUDA_BMC_PASSWORD: 'p' } });
    assert.equal(exit, 2);
    assert.match(err, /--bmc-url 10\.0\.0\.8 does not say[^]*https:\/\/10\.0\.0\.8 for Redfish[^]*remuda bmc probe 10\.0\.0\.8\n$/);
  });
});

describe('the next command', () => {
  const redfish = { url: 'https://b', vendor: null, product: null, fingerprint: null, distrust: null };
  const ipmi = { url: 'ipmi://10.0.0.6', v20: true, suites: [17], usable: true };
  const probe: ProbeJson = { host: 'b', protocol: 'redfish', redfish, ipmi: null, note: null };
  const cases: readonly (readonly [string, ProbeJson, string | undefined])[] = [
    ['a believed certificate needs no pin', probe, 'remuda host enrol NAME --bmc-url https://b --bmc-username USER'],
    [
      'IPMI as usual',
      { ...probe, protocol: 'ipmi', redfish: null, ipmi },
      'remuda host enrol NAME --bmc-url ipmi://10.0.0.6 --bmc-username USER',
    ],
    ['IPMI 1.5 is not driven', { ...probe, protocol: 'ipmi', redfish: null, ipmi: { ...ipmi, v20: false } }, undefined],
    [
      'suite 0 is never offered',
      { ...probe, protocol: 'ipmi', redfish: null, ipmi: { ...ipmi, suites: [0], usable: false } },
      'remuda host enrol NAME --bmc-url ipmi://10.0.0.6 --bmc-username USER',
    ],
  ];
  for (const [name, said, command] of cases) test(name, () => assert.equal(nextCommand(said), command));
});
