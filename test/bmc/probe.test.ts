/** The probe: which protocol answers, what is told to a stranger, and that a stranger is told no password. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeBmc } from '../../src/bmc/probe.ts';
import type { Probe } from '../../src/bmc/probe.ts';
import { RemudaError } from '../../src/errors.ts';
import { carryIpmi } from '../../src/lab/model/ipmi-carrier.ts';
import { ipmiBmc } from '../../src/lab/model/ipmi-bmc.ts';
import type { IpmiQuirks } from '../../src/lab/model/ipmi-quirks.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import { limits } from '../../src/limits.ts';
import type { HttpCall, HttpListen } from '../../src/world/world.ts';
import { ipv4, MemoryHttp } from '../world/memory-http.ts';
import { bmcUser, countingRandom, memoryLog, testMachine } from './bench.ts';
import { idleClock } from './idle-clock.ts';
import { MemoryUdp } from './ipmi/bench.ts';

interface Wanted {
  readonly redfish?: boolean | HttpListen['routes'];
  readonly ipmi?: Partial<IpmiQuirks>;
}
/** A host at 10.0.0.5 that speaks what is wanted, and what the probe of it sends and says. */
const probed = async ({ redfish, ipmi }: Wanted, host = '10.0.0.5') => {
  const clock = idleClock();
  const [http, udp] = [new MemoryHttp({ clock }), new MemoryUdp()];
  const machine = testMachine();
  const random = countingRandom();
  const there = ipv4('10.0.0.5');
  const itsHttp = http.at(there);
  const identity = await itsHttp.selfSigned('bmc');
  if (redfish !== undefined) {
    const routes = Array.isArray(redfish)
      ? (redfish as HttpListen['routes'])
      : redfishBmc({ name: 'x', machine, ...bmcUser, random, clock }).routes;
    await itsHttp.listen({ at: { address: there, port: 443 }, routes, identity });
  }
  if (ipmi !== undefined)
    carryIpmi(
      ipmiBmc({ name: 'x', machine, ...bmcUser, random, clock, quirks: ipmi }),
      await udp.at(there).udp({ address: there, port: 623 }),
      clock,
    );
  const calls: HttpCall[] = [];
  const ours = http.at(ipv4('10.0.0.1'));
  const world = {
    http: { ...ours, call: (call: HttpCall) => (calls.push(call), ours.call(call)) },
    net: udp.at(ipv4('10.0.0.1')),
    clock,
    random,
    log: memoryLog([]),
    signal: new AbortController().signal,
  };
  const open = udp.open;
  const result: Probe | RemudaError = await probeBmc(world, { host }, limits).catch((error: unknown) => {
    if (error instanceof RemudaError) return error;
    throw error;
  });
  assert.equal(udp.open, open, 'a socket was left open');
  for (const { headers } of calls) assert.ok(headers?.['authorization'] === undefined && headers?.['x-auth-token'] === undefined);
  return { result, identity, calls };
};

test('both answer: Redfish, with the fingerprint to pin and the suites of the other', async () => {
  const { result, identity } = await probed({ redfish: true, ipmi: {} });
  assert.ok(!(result instanceof RemudaError));
  assert.equal(result.protocol, 'redfish');
  assert.deepEqual([result.redfish?.url, result.redfish?.vendor], ['https://10.0.0.5', 'Remuda']);
  assert.equal(result.redfish?.fingerprint, identity.fingerprint);
  assert.deepEqual(result.ipmi, { url: 'ipmi://10.0.0.5', v20: true, suites: [3, 17], usable: true });
});
test('only IPMI answers, and why Redfish did not', async () => {
  const { result } = await probed({ ipmi: { suites: [1, 2] } });
  assert.ok(!(result instanceof RemudaError));
  assert.deepEqual(result.ipmi, { url: 'ipmi://10.0.0.5', v20: true, suites: [1, 2], usable: false });
  assert.equal(result.protocol, 'ipmi');
  assert.match(result.note ?? '', /https:\/\/10\.0\.0\.5/);
});
test('suites that are not told are not guessed', async () => {
  const { result } = await probed({ ipmi: { hidesSuites: true } });
  assert.ok(!(result instanceof RemudaError));
  assert.deepEqual(result.ipmi, { url: 'ipmi://10.0.0.5', v20: true, suites: [] });
});
test('only Redfish answers', async () => {
  const { result } = await probed({ redfish: true });
  assert.ok(!(result instanceof RemudaError));
  assert.deepEqual([result.protocol, result.ipmi], ['redfish', undefined]);
  assert.match(result.note ?? '', /ipmi:\/\/10\.0\.0\.5: no answer/);
});
test('neither: unreachable, with the reason of each', async () => {
  const { result } = await probed({});
  assert.ok(result instanceof RemudaError);
  assert.equal(result.code, 'bmc-unreachable');
  assert.match(result.message, /nothing at 10\.0\.0\.5 answers as a BMC\. Redfish: .*IPMI: .*no answer/);
});
test('a web server is no BMC', async () => {
  const page = { method: 'GET', path: '/redfish/v1/', handle: async () => ({ status: 200, body: '{"hello":"world"}' }) } as const;
  const { result } = await probed({ redfish: [page] });
  assert.ok(result instanceof RemudaError);
  assert.match(result.message, /is no Redfish service/);
});
test('a name is not asked by IPMI', async () => {
  const { result } = await probed({ ipmi: {} }, 'bmc.example');
  assert.ok(result instanceof RemudaError);
  assert.match(result.message, /by IPv4 address only/);
});
