/** What people change of hosts and claims over the API: what each path asks of the rack, and what it refuses to read. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dryRunJson, enrolmentsJson, hostJson, itemsOf, powerJson } from '../../src/api/types.ts';
import type { Method } from '../../src/world/world.ts';
import { claimOn, readyHost } from './admin-rack.ts';
import { asking } from './asking.ts';

const bmc = { url: 'https://10.0.0.5', username: 'root', password: 'hunter2' };
interface Row {
  readonly name: string;
  readonly method: Method;
  readonly path: string;
  readonly body?: unknown;
  readonly asks: readonly unknown[];
}
const rows: readonly Row[] = [
  {
    name: 'describe',
    method: 'PATCH',
    path: '/v1/hosts/h1',
    body: { pool: 'gpu', note: null, labels: { tier: 'web', old: null } },
    asks: ['describe', 'h1', { pool: 'gpu', note: null, labels: { tier: 'web', old: null } }, 'operator'],
  },
  {
    name: 'adopt',
    method: 'POST',
    path: '/v1/hosts/h1/macs',
    body: { adopt: '52:54:00:00:00:09' },
    asks: ['macs', 'h1', { adopt: '52:54:00:00:00:09' }, 'operator'],
  },
  {
    name: 'bmc',
    method: 'PUT',
    path: '/v1/hosts/h1/bmc',
    body: bmc,
    asks: ['setBmc', 'h1', { protocol: 'redfish', check: true, ...bmc }, 'operator'],
  },
  {
    name: 'bmc of IPMI',
    method: 'PUT',
    path: '/v1/hosts/h1/bmc',
    body: { ...bmc, protocol: 'ipmi', url: 'ipmi://10.0.0.6', suites: [8], check: false },
    asks: ['setBmc', 'h1', { protocol: 'ipmi', check: false, ...bmc, url: 'ipmi://10.0.0.6', suites: [8] }, 'operator'],
  },
  { name: 'bmc away', method: 'DELETE', path: '/v1/hosts/h1/bmc', asks: ['setBmc', 'h1', null, 'operator'] },
];
for (const { name, method, path, body, asks } of rows)
  test(`${name}: ${method} ${path}`, async () => {
    const { ask, rack } = await asking();
    const answer = await ask(method, path, body === undefined ? {} : { body });
    assert.equal(answer.status, 200, answer.text);
    hostJson.parse(answer.json());
    assert.ok(!answer.text.includes('hunter2'));
    const [asked] = rack.asked;
    assert.deepEqual([asked?.verb, ...(asked?.args ?? [])], asks);
  });

test('power words and the light', async () => {
  const { ask, rack } = await asking();
  for (const power of ['on', 'off', 'soft', 'cycle', 'reset'])
    powerJson.parse((await ask('POST', '/v1/hosts/h1/power', { body: { power } })).json());
  powerJson.parse((await ask('POST', '/v1/hosts/h1/locate', { body: { on: true } })).json());
  assert.deepEqual(rack.asked.at(-1)?.args, ['h1', { on: true, seconds: 60 }, 'operator']);
  assert.equal((await ask('POST', '/v1/hosts/h1/power', { body: { power: 'explode' } })).status, 400);
});
test('many hosts: rows go to the rack as they came, wrong ones too', async () => {
  const { ask, rack } = await asking();
  const hosts = [{ name: 'n1', bmc }, { nonsense: true }];
  const answer = await ask('POST', '/v1/enrolments', { body: { dryRun: true, hosts } });
  assert.equal(enrolmentsJson.parse(answer.json()).rows.length, 2);
  assert.deepEqual(rack.asked[0]?.args[0], { dryRun: true, partial: false, hosts });
  assert.equal((await ask('POST', '/v1/enrolments', { body: { hosts: [] } })).status, 400);
});

describe('claims', () => {
  const body = { image: 'debian', host: 'h1', disk: { serial: 'h1-d0' } };
  test('PUT: 201 the first time, 200 the second', async () => {
    const { ask, rack } = await asking();
    assert.equal((await ask('PUT', '/v1/claims/mine', { body })).status, 201);
    assert.equal((await ask('PUT', '/v1/claims/mine', { body })).status, 200);
    assert.deepEqual(rack.asked[0]?.args[0], { id: 'mine', owner: 'operator', waitSeconds: 0, dryRun: false, ...body });
  });
  test('PUT: an ID in the body, or one that is none, is refused', async () => {
    const { ask, rack } = await asking();
    assert.equal((await ask('PUT', '/v1/claims/mine', { body: { ...body, id: 'other' } })).status, 400);
    assert.equal((await ask('PUT', '/v1/claims/.x', { body })).status, 400);
    assert.deepEqual(rack.asked, []);
  });
  test('dry runs of claim, release and reprovision change nothing and say the fate of each disk', async () => {
    const { ask, rack } = await asking();
    rack.put(claimOn(readyHost('h1')));
    const dry = itemsOf(dryRunJson);
    dry.parse((await ask('PUT', '/v1/claims/mine', { body: { ...body, dryRun: true } })).json());
    dry.parse((await ask('DELETE', '/v1/claims/c-h1?dryRun=true')).json());
    dry.parse((await ask('POST', '/v1/claims/c-h1/reprovision', { body: { image: 'debian', dryRun: true } })).json());
    dry.parse((await ask('POST', '/v1/hosts/h1/reprovision', { body: { image: 'debian', dryRun: true } })).json());
    assert.deepEqual(
      rack.asked.map(({ verb }) => verb),
      ['dryRun', 'dryRelease', 'dryReprovision', 'dryReprovision'],
    );
    assert.equal((await ask('DELETE', '/v1/claims/c-h1?dryRun=perhaps')).status, 400);
    for (const half of [
      'reserveFor=md-0',
      'reserveSeconds=60',
      'reserveFor=md-0&reserveSeconds=0',
      'reserveFor=md-0&reserveSeconds=9999999',
    ])
      assert.equal((await ask('DELETE', `/v1/claims/c-h1?${half}`)).status, 400, half);
  });
  test('the selector, the time-out and the network are read; nonsense in them is refused', async () => {
    const { ask, rack } = await asking();
    const selector = { pool: 'gpu', labels: { tier: { in: ['web'] } }, memoryBytes: 1024 };
    const network = { ethernets: [{ name: 'eth0', dhcp4: true }] };
    await ask('POST', '/v1/claims', { body: { ...body, selector, network, provisionTimeoutSeconds: 600, waitSeconds: 5 } });
    assert.deepEqual(rack.asked[0]?.args[0], {
      owner: 'operator',
      waitSeconds: 5,
      dryRun: false,
      ...body,
      selector,
      network,
      provisionTimeoutSeconds: 600,
    });
    for (const bad of [{ selector: { gpu: 1 } }, { provisionTimeoutSeconds: 1 }, { waitSeconds: 601 }, { network: {} }])
      assert.equal((await ask('POST', '/v1/claims', { body: { ...body, ...bad } })).status, 400, JSON.stringify(bad));
  });
});
test('a host is shown with profile, serial number and identity, and its conflicts with the other’s name', async () => {
  const { ask, rack } = await asking();
  const other = readyHost('h2');
  rack.put({ ...readyHost('h1'), serial: 'S1' }, { conflicts: [{ what: 'serial', value: 's1', host: other }] });
  const shown = hostJson.parse((await ask('GET', '/v1/hosts/h1')).json());
  assert.deepEqual([shown.serial, shown.profile.pool], ['S1', 'default']);
  assert.deepEqual(shown.identity.conflicts, [{ what: 'serial', value: 's1', host: { id: 'h-h2', name: 'h2' } }]);
});
