/** BMCs over the API: the probe, and which addresses whom the daemon asks for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { probeJson } from '../../src/api/types.ts';
import { asking } from './asking.ts';

const bmc = (url: string) => ({ protocol: url.startsWith('ipmi') ? 'ipmi' : 'redfish', url, username: 'u', password: 'hunter2' });

test('the probe tells protocol, certificate and suites, is on record, and needs an operator', async () => {
  const { ask, tokenFor } = await asking();
  const answer = await ask('POST', '/v1/bmc-probe', { token: await tokenFor('operator', 'ci'), body: { host: '10.0.0.5' } });
  assert.equal(answer.status, 200, answer.text);
  const { host, protocol, redfish, ipmi, note } = probeJson.parse(answer.json());
  assert.deepEqual([host, protocol, redfish?.fingerprint, redfish?.product, note], ['10.0.0.5', 'redfish', 'cd'.repeat(32), null, null]);
  assert.deepEqual(ipmi, { url: 'ipmi://10.0.0.5', v20: true, suites: [3, 17], usable: true });
  assert.match((await ask('GET', '/v1/audit')).text, /"actor":"ci","action":"probeBmc","subject":"10\.0\.0\.5","outcome":"ok"/);
  assert.equal((await ask('POST', '/v1/bmc-probe', { token: await tokenFor('viewer'), body: { host: '10.0.0.5' } })).status, 403);
  const nothing = await ask('POST', '/v1/bmc-probe', { body: { host: 'bmc.example' } });
  assert.deepEqual([nothing.status, (nothing.json() as { code: string }).code], [502, 'bmc-unreachable']);
});
test('the probe asks at the ports that are said, and a port is one', async () => {
  const { ask } = await asking();
  const probe = (body: object) => ask('POST', '/v1/bmc-probe', { body: { host: '10.0.0.8', ...body } });
  const { redfish, ipmi } = probeJson.parse((await probe({ redfishPort: 8443, ipmiPort: 6623 })).json());
  assert.deepEqual([redfish?.url, ipmi?.url], ['https://10.0.0.8:8443', 'ipmi://10.0.0.8:6623']);
  for (const body of [{ redfishPort: 0 }, { ipmiPort: 65_536 }, { redfishPort: '443' }, { port: 443 }])
    assert.equal((await probe(body)).status, 400, JSON.stringify(body));
});
describe('the probe asks nobody at', () => {
  for (const host of [
    '127.0.0.1',
    'localhost',
    '169.254.169.254',
    '224.0.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '2130706433',
    '10.0.0',
    'https://10.0.0.5',
    '10.0.0.5:8443',
    '10.0.0.5/x',
    '[::1]',
    'a b',
    '',
  ])
    test(JSON.stringify(host), async () => {
      const { ask } = await asking();
      const answer = await ask('POST', '/v1/bmc-probe', { body: { host } });
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.text, /host: /);
    });
});

describe('the address of a BMC', () => {
  const ways = (url: string) =>
    [
      ['POST', '/v1/hosts', { name: 'h2', bmc: bmc(url) }],
      ['POST', '/v1/hosts/h1/accept', { bmc: bmc(url) }],
      ['PUT', '/v1/hosts/h1/bmc', bmc(url)],
    ] as const;
  for (const url of [
    'https://127.0.0.1:8000',
    'http://localhost',
    'https://[::1]',
    'https://2130706433',
    'https://0x7f.1',
    'ipmi://127.0.0.1',
  ])
    test(`${url} is an admin's alone`, async () => {
      const { ask, tokenFor, rack } = await asking();
      const token = await tokenFor('operator');
      for (const [method, path, body] of [...ways(url), ['POST', '/v1/enrolments', { hosts: [{ name: 'h2', bmc: bmc(url) }] }] as const]) {
        const answer = await ask(method, path, { token, body });
        assert.equal(answer.status, 403, `${method} ${path} ${answer.text}`);
      }
      assert.deepEqual(rack.asked, []);
      for (const [method, path, body] of ways(url)) assert.ok((await ask(method, path, { body })).status < 300, path);
    });
  for (const url of [
    'http://169.254.169.254',
    'https://[fe80::1]',
    'https://0.0.0.0',
    'ipmi://224.0.0.1',
    'https://[::ffff:169.254.169.254]',
  ])
    test(`${url} is nobody's`, async () => {
      const { ask, rack } = await asking();
      for (const [method, path, body] of ways(url)) {
        const answer = await ask(method, path, { body });
        assert.equal(answer.status, 400, `${path} ${answer.text}`);
        assert.match(answer.text, /no BMC is asked there/);
      }
      assert.deepEqual(rack.asked, []);
    });
});
